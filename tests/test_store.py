"""The one cache: what it keeps, for whom, and what it lets go of."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mmdemo.models.store import Key, Store, pair_digest, text_digest

ROOM = 10_000


def key(name: str, owner: str = "a") -> Key:
    return Key(owner, "vector", text_digest(name))


def array(size: int) -> Any:
    return np.zeros(size, dtype=np.uint8)


def test_the_least_recently_used_goes_first() -> None:
    store = Store(3 * 2000)
    for name in "abc":
        store.put(key(name), array(1500))
    assert store.get(key("a")) is not None
    store.put(key("d"), array(1500))
    assert [store.get(key(name)) is None for name in "abcd"] == [False, True, False, False]


def test_bytes_are_counted_with_their_places() -> None:
    store = Store(ROOM)
    for number in range(10_000):
        store.put(key(str(number)), array(0))
    assert 10 < len(store) < 100
    assert store.nbytes <= ROOM


def test_a_smaller_limit_holds_at_once() -> None:
    store = Store(ROOM)
    for name in "abc":
        store.put(key(name), array(2000))
    store.limit = 3000
    assert len(store) == 1
    assert store.nbytes <= 3000
    store.put(key("large"), array(5000))
    assert store.get(key("large")) is None


def test_what_is_put_twice_counts_once() -> None:
    store = Store(ROOM)
    store.put(key("a"), array(3000))
    store.put(key("a"), array(100))
    assert store.nbytes < 1000


def test_each_owner_finds_its_own() -> None:
    store = Store(ROOM)
    store.put(key("a", "one"), array(10))
    store.put(key("a", "two"), array(20))
    assert len(store.get(key("a", "two"))) == 20
    store.forget("one")
    assert store.get(key("a", "one")) is None
    assert len(store) == 1


def test_nobody_changes_what_others_read() -> None:
    store = Store(ROOM)
    store.put(key("a"), array(10))
    with pytest.raises(ValueError, match="read-only"):
        store.get(key("a"))[0] = 1


def test_digests_differ_where_content_does() -> None:
    picture = text_digest("stands for a picture")
    digests = [
        text_digest("a"),
        text_digest("b"),
        text_digest("\ud83d"),  # half of a sign
        pair_digest(picture, "a"),
        pair_digest(picture, "b"),
        pair_digest(picture + b"a", ""),
        pair_digest(picture, ""),
    ]
    assert len(set(digests)) == len(digests)
    assert all(len(digest) == 20 for digest in digests)
