"""One cache for all that models have computed: by the weights, and by a digest of the content."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np

Kind = Literal["vector", "features", "encoding", "match", "classes"]
"""What is kept: the vector of an item, a picture's features, all that one pass says about a text,
a picture's chance with a text, or the class embeddings of labels in templates."""

_PLACE = 400  # bytes that an entry takes beside its arrays: key, objects, its place in the order


class Sized(Protocol):
    """A value that says how large it is."""

    @property
    def nbytes(self) -> int:
        """Return its bytes."""
        ...


class Key(NamedTuple):
    """Where a value is kept.

    Attributes:
        owner: the weights that it was computed with.
        kind: what it is.
        digest: of the content that it was computed from.
    """

    owner: str
    kind: Kind
    digest: bytes


class Store:
    """Holds values up to a number of bytes and drops the least recently used ones.

    Safe to use from many threads. All callers share what is kept, so nobody may change it once it
    is whole; arrays become read-only.
    """

    def __init__(self, limit: int) -> None:
        """Make an empty one.

        Args:
            limit: most bytes, places included.
        """
        self._limit = limit
        self._bytes = 0
        self._entries: OrderedDict[Key, tuple[Any, int]] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def limit(self) -> int:
        """Return the most bytes that are kept."""
        return self._limit

    @limit.setter
    def limit(self, limit: int) -> None:
        with self._lock:
            self._limit = limit
            self._shrink()

    @property
    def nbytes(self) -> int:
        """Return the bytes that are kept."""
        return self._bytes

    def __len__(self) -> int:
        """Return the number of values."""
        return len(self._entries)

    def get(self, key: Key) -> Any:
        """Return a value and mark it as used; None where it is not kept."""
        with self._lock:
            found = self._entries.get(key)
            if found is None:
                return None
            self._entries.move_to_end(key)
            return found[0]

    def put(self, key: Key, value: Sized) -> None:
        """Keep a value; one that is larger than all there is room for is not kept."""
        if isinstance(value, np.ndarray):
            value.setflags(write=False)
        size = value.nbytes + _PLACE
        with self._lock:
            self._take(key)
            self._entries[key] = value, size
            self._bytes += size
            self._shrink()

    def forget(self, owner: str) -> None:
        """Drop all that was computed with some weights."""
        with self._lock:
            for key in [key for key in self._entries if key.owner == owner]:
                self._take(key)

    def _take(self, key: Key) -> None:
        found = self._entries.pop(key, None)
        self._bytes -= 0 if found is None else found[1]

    def _shrink(self) -> None:
        while self._bytes > self._limit:
            self._bytes -= self._entries.popitem(last=False)[1][1]


def text_digest(text: str) -> bytes:
    """Return a digest of a text, 20 bytes of BLAKE2b."""
    encoded = text.encode("utf-8", "surrogatepass")
    return hashlib.blake2b(encoded, digest_size=20, person=b"text").digest()


def pair_digest(picture: bytes, text: str) -> bytes:
    """Return a digest of a picture with a text.

    Args:
        picture: the picture's own digest.
        text: the text.
    """
    # With its length, so that no two pairs are the same bytes.
    both = len(picture).to_bytes(2, "big") + picture + text.encode("utf-8", "surrogatepass")
    return hashlib.blake2b(both, digest_size=20, person=b"pair").digest()
