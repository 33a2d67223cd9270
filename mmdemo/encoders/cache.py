"""Least-recently-used caches of arrays, addressed by what they were computed from."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image


class _Sized(Protocol):
    @property
    def nbytes(self) -> int: ...


Kept = TypeVar("Kept", bound=_Sized)


class ByteCache(Generic[Kept]):
    """Holds values up to a number of bytes and drops the least recently used ones.

    Not locked: whoever has one holds a lock around every use. Every caller shares what is kept, so
    nobody may change it once it is whole.
    """

    def __init__(self, max_bytes: int) -> None:
        """Make an empty cache.

        Args:
            max_bytes: total size of the values that are kept.
        """
        self._max_bytes = max_bytes
        self._bytes = 0
        self._entries: OrderedDict[bytes, Kept] = OrderedDict()

    def get(self, key: bytes) -> Kept | None:
        """Return the value and mark it as used, or None."""
        found = self._entries.get(key)
        if found is not None:
            self._entries.move_to_end(key)
        return found

    def put(self, key: bytes, value: Kept) -> None:
        """Keep a value."""
        replaced = self._entries.pop(key, None)
        self._bytes += value.nbytes - (replaced.nbytes if replaced is not None else 0)
        self._entries[key] = value
        while self._bytes > self._max_bytes and len(self._entries) > 1:
            self._bytes -= self._entries.popitem(last=False)[1].nbytes

    def __len__(self) -> int:
        """Return the number of values held."""
        return len(self._entries)


class ArrayCache(ByteCache[NDArray[np.float32]]):
    """A `ByteCache` of single arrays."""

    def put(self, key: bytes, value: NDArray[np.float32]) -> None:
        """Keep an array; it becomes read-only."""
        value.setflags(write=False)
        super().put(key, value)


def content_key(text: str | None, image: Image.Image | None) -> bytes:
    """Return a digest of an item's content: equal content gives an equal key.

    A digest, not the content: the cache lives as long as the process, a visitor's text must not.
    The picture enters by mode, size, palette and pixels, so the same file opened twice is one key.
    """
    digest = hashlib.blake2b(digest_size=20)
    if text is not None:
        encoded = text.encode("utf-8", "surrogatepass")
        # With its length, so that no text can pass for a text and a picture.
        digest.update(f"text\0{len(encoded)}\0".encode() + encoded)
    if image is not None:
        digest.update(f"\0image\0{image.mode}\0{image.size}\0".encode())
        if image.mode in ("P", "PA"):
            digest.update(bytes(image.getpalette("RGBA") or ()))
        digest.update(repr(image.info.get("transparency")).encode())
        digest.update(image.tobytes())
    return digest.digest()
