"""Models in memory: loaded once, within the budget, never dropped while somebody uses them."""

from __future__ import annotations

import sys
import threading
import weakref
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mmdemo.encoders.base import Tokens
from mmdemo.encoders.spec import ModelSpec
from mmdemo.errors import ModelError
from mmdemo.models import lane
from mmdemo.models.encoder import Encoder
from mmdemo.models.pool import Pool
from tests.fakes import FakeModel
from tests.waiting import MOST, wait_until

ROOM = 2
"""How many of the fake models have room."""


class Fake(FakeModel):
    """Ten megabytes that embed a text by its length."""

    modalities = frozenset({"text"})
    fusion = "none"
    nbytes = 10_000_000  # pyright: ignore[reportAssignmentType, reportIncompatibleMethodOverride]
    loads: list[str]
    fault: Exception | None = None
    gates: dict[str, threading.Event]
    entered: threading.Semaphore

    def __init__(self, name: str, *_files: Path) -> None:
        type(self).loads.append(name)
        if (gate := self.gates.get(f"load {name}")) is not None:
            self.entered.release()
            assert gate.wait(MOST)
        if (fault := type(self).fault) is not None:
            raise fault
        self.name = name

    def text_vectors(self, texts: Sequence[Tokens]) -> NDArray[np.float32]:
        if (gate := self.gates.get(f"use {self.name}")) is not None:
            self.entered.release()
            assert gate.wait(MOST)
        return super().text_vectors(texts)


@pytest.fixture
def fakes(monkeypatch: pytest.MonkeyPatch) -> type[Fake]:
    """Return the family, which the pool imports as any other; room for two of its models."""
    module = ModuleType("mmdemo.encoders.fake")
    family = type("Fresh", (Fake,), {"loads": [], "gates": {}, "entered": threading.Semaphore(0)})
    module.Fresh = family  # pyright: ignore[reportAttributeAccessIssue]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    # An eighth is kept for caches.
    monkeypatch.setenv("MMDEMO_MEMORY", str(10 * ROOM + 4))
    return family


def spec(name: str) -> ModelSpec:
    return ModelSpec(
        name=name,
        title=name,
        architecture="fake:Fresh",
        source="local",
        modalities=("text",),
        fusion="none",
        dim=4,
        languages=("multilingual",),
        size_mb=10.0,
        licence="",
    )


def get(pool: Pool, name: str) -> Encoder:
    return pool.encoder(spec(name), ())


def here(pool: Pool) -> list[str]:
    return [row["name"] for row in pool.state()["models"]]


def test_one_load_whoever_asks(fakes: type[Fake]) -> None:
    pool, barrier = Pool(), threading.Barrier(8)

    def ask() -> Encoder:
        barrier.wait(MOST)
        return get(pool, "one")

    with ThreadPoolExecutor(8) as threads:
        found = {id(one.result(MOST)) for one in [threads.submit(ask) for _ in range(8)]}
    assert len(found) == 1
    assert fakes.loads == ["one"]


def test_a_failed_load_is_told_to_all_and_can_be_tried_again(fakes: type[Fake]) -> None:
    pool, gate = Pool(), threading.Event()
    fakes.gates["load one"] = gate
    fakes.fault = ModelError("It is broken.", "no_weights", name="one")
    with ThreadPoolExecutor(4) as threads:
        first = threads.submit(get, pool, "one")
        assert fakes.entered.acquire(timeout=MOST)
        others = [threads.submit(get, pool, "one") for _ in range(3)]
        wait_until(lambda: len(pool._changed._waiters) == 3)  # pyright: ignore[reportAttributeAccessIssue] -- that they wait is what is tried
        gate.set()
        for one in (first, *others):
            error = one.exception(MOST)
            assert isinstance(error, ModelError)
            assert (str(error), error.code) == ("It is broken.", "no_weights")
    assert fakes.loads == ["one"]
    fakes.fault = None
    assert get(pool, "one").encode("a text").shape == (1, 4)


def test_the_least_recently_used_makes_room(fakes: type[Fake]) -> None:
    pool = Pool()
    encoders = {name: get(pool, name) for name in ("one", "two")}
    encoders["one"].encode("used again")
    get(pool, "three")
    assert here(pool) == ["one", "three"]
    # The handle is as good as ever: what it has computed is there, what is new brings it back.
    loads = len(fakes.loads)
    kept = encoders["one"].encode("used again")
    encoders["two"].encode("new")
    assert len(fakes.loads) == loads + 1
    assert get(pool, "two") is encoders["two"]
    np.testing.assert_array_equal(encoders["one"].encode("used again"), kept)
    assert len(here(pool)) == ROOM


def test_weights_that_made_room_are_gone(
    fakes: type[Fake], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane, "_LINGER", 10 * MOST)  # its worker is still there
    pool = Pool()
    encoder = get(pool, "one")
    encoder.encode("a text")
    encoder.at(lane.Priority.TYPING).encode("another text")
    with encoder._source.lease() as model:
        weights = weakref.ref(model)
    del model
    for name in ("two", "three"):
        get(pool, name).encode("a text")
    wait_until(lambda: weights() is None)


def test_any_number_in_turn_stays_within_the_budget(fakes: type[Fake]) -> None:
    pool = Pool()
    for turn in range(2):
        for number in range(9):
            assert get(pool, f"model {number}").encode(f"text {turn} {number}").shape == (1, 4)
            state = pool.state()["memory"]
            assert state["weights_mb"] + state["caches_mb"] <= state["budget_mb"]
    assert len(fakes.loads) > 9


def test_what_is_in_use_is_waited_for_and_not_dropped(fakes: type[Fake]) -> None:
    pool, names = Pool(), ("one", "two")
    encoders = {name: get(pool, name) for name in names}
    gates = {name: threading.Event() for name in names}
    fakes.gates |= {f"use {name}": gate for name, gate in gates.items()}
    with ThreadPoolExecutor(4) as threads:
        held = {name: threads.submit(encoders[name].encode, "a text") for name in names}
        for _ in held:
            assert fakes.entered.acquire(timeout=MOST)
        new = threads.submit(get, pool, "new")
        wait_until(lambda: any(slot.leaving for slot in pool._slots.values()))
        assert set(here(pool)) == set(names)
        [leaving] = [slot.spec.name for slot in pool._slots.values() if slot.leaving]
        [other] = set(names) - {leaving}
        # Whoever comes for the one that is to leave waits for its return, else it would never go.
        late = threads.submit(encoders[leaving].encode, "another text")
        gates[leaving].set()
        held[leaving].result(MOST)
        wait_until(lambda: "new" in fakes.loads)
        gates[other].set()
        for one in (held[other], new, late):
            one.result(MOST)
    assert (fakes.loads.count(leaving), fakes.loads.count(other)) == (2, 1)
    assert len(here(pool)) == ROOM
    assert not any(slot.leaving or slot.users for slot in pool._slots.values())


def test_a_model_that_never_fits_is_refused_and_the_others_stay(
    fakes: type[Fake], monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = Pool()
    get(pool, "one")
    monkeypatch.setattr(fakes, "nbytes", 50_000_000)
    with pytest.raises(ModelError, match="MMDEMO_MEMORY") as caught:
        get(pool, "large")
    assert caught.value.code == "model_too_large"
    assert here(pool) == ["one"]
    monkeypatch.setattr(fakes, "nbytes", 10_000_000)
    with pytest.raises(ModelError, match="MMDEMO_MEMORY"):  # its size is known now
        get(pool, "large")
    assert fakes.loads == ["one", "large"]


def test_caches_have_what_weights_leave(fakes: type[Fake]) -> None:
    pool = Pool()
    get(pool, "one")
    assert pool.store.limit == 14_000_000
    get(pool, "two")
    assert pool.store.limit == 4_000_000
    encoder = get(pool, "two")
    for number in range(30):
        encoder.encode([f"{number} {other}" for other in range(500)])
    assert 3_900_000 < pool.store.nbytes <= 4_000_000


def test_two_models_load_at_the_same_time(fakes: type[Fake]) -> None:
    pool, gate = Pool(), threading.Event()
    fakes.gates["load slow"] = gate
    with ThreadPoolExecutor(2) as threads:
        slow = threads.submit(get, pool, "slow")
        assert fakes.entered.acquire(timeout=MOST)
        assert threads.submit(get, pool, "quick").result(MOST).encode("x").shape == (1, 4)
        gate.set()
        slow.result(MOST)


def test_a_view_shares_all_but_its_terms(fakes: type[Fake]) -> None:
    from mmdemo.models.lane import Priority

    encoder: Any = get(Pool(), "one")
    view = encoder.at(Priority.TYPING)
    assert view is not encoder
    np.testing.assert_array_equal(view.encode("a"), encoder.encode("a"))
    assert (view.dim, view.waiting) == (encoder.dim, 0)
    assert view.waited > 0 or encoder.waited > 0


def test_files_that_were_replaced_are_another_model(fakes: type[Fake], tmp_path: Path) -> None:
    pool = Pool()
    weights = tmp_path / "weights"
    weights.write_text("old")
    here = replace(spec("one"), local=(weights,))
    first = pool.encoder(here, here.local)
    vector = first.encode("a text")
    weights.write_text("newer")
    second = pool.encoder(here, here.local)
    assert second is not first
    assert second.fingerprint != first.fingerprint
    for name in ("two", "three"):
        get(pool, name)
    # What the old ones computed is good; of the new ones they compute nothing.
    np.testing.assert_array_equal(first.encode("a text"), vector)
    with pytest.raises(ModelError, match="changed") as caught:
        first.encode("another text")
    assert caught.value.code == "weights_changed"
    assert second.encode("another text").shape == (1, 4)
