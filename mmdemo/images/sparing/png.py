"""PNG: chunks (PNG specification, third edition, section 5)."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import NamedTuple

from mmdemo.images.sparing.bounds import LONGEST, Less, most_pieces, too_many_pieces

_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
# Texts that Pillow looks into for how the picture is turned; it reads no more than a megabyte of
# any, and refuses the picture otherwise. None of the others says anything about pixels.
_TURNED = (b"Raw profile type exif", b"exif", b"XML:com.adobe.xmp")
_LONGEST_TEXT = 2 * LONGEST + 4096  # the same in hexadecimal digits, with line ends
_LONGEST_PROFILE = 1_000_000  # Pillow refuses to unpack more
_WIDTH = 12  # of a chunk without content


class _Chunk(NamedTuple):
    """A chunk: what it is called, and where it begins and ends; its content is within."""

    name: bytes
    start: int
    end: int


def without_costs(data: bytes) -> Less:
    """Return a PNG without texts that say nothing of pixels, and without metadata that is too long.

    Raises:
        PictureError: it has too many chunks.
    """
    kept, place, said = [], 0, False
    for chunk in _chunks(data):
        if chunk.name in _TEXTS and _keyword(data, chunk) not in _TURNED:
            leave, told = True, False
        else:
            leave = told = _too_long(data, chunk)
        if leave:
            kept.append(data[place : chunk.start])
            place = chunk.end
            said |= told
    return Less(b"".join([*kept, data[place:]]) if kept else data, said)


def _chunks(data: bytes) -> Iterator[_Chunk]:
    """Yield chunks, up to what is none.

    Raises:
        PictureError: there are too many: Pillow calls a function for each.
    """
    most, place = most_pieces(len(data)), 8
    for _ in range(most):
        length, name = int.from_bytes(data[place : place + 4], "big"), data[place + 4 : place + 8]
        end = place + length + _WIDTH
        if end > len(data):
            return
        yield _Chunk(name, place, end)
        place = end
    raise too_many_pieces(most)


def _keyword(data: bytes, chunk: _Chunk) -> bytes:
    return data[chunk.start + 8 : min(chunk.end - 4, chunk.start + 88)].partition(b"\0")[0]


def _too_long(data: bytes, chunk: _Chunk) -> bool:
    """Say whether a chunk that says how pixels are meant is longer than is read."""
    if chunk.name == b"eXIf":
        return chunk.end - chunk.start - _WIDTH > LONGEST - len(b"Exif\0\0")
    if chunk.name not in (*_TEXTS, b"iCCP"):
        return False
    most = _LONGEST_PROFILE if chunk.name == b"iCCP" else _LONGEST_TEXT
    said = data[chunk.start + 8 : chunk.end - 4]
    return len(said) > most or _unpacked(chunk.name, said, most) > most


def _unpacked(name: bytes, said: bytes, most: int) -> int:
    """Return how long the content of a chunk is when unpacked, where that is at most so much."""
    _, _, rest = said.partition(b"\0")
    packed = rest[1:]  # behind the method of compression
    if name == b"tEXt" or (name == b"iTXt" and rest[:1] == b"\0"):
        return len(said)
    if name == b"iTXt":
        packed = b"".join(rest[2:].split(b"\0", 2)[2:])  # behind the language, and a keyword in it
    try:
        return len(zlib.decompressobj().decompress(packed, most + 1))
    except zlib.error:
        return 0  # Pillow leaves it out as well
