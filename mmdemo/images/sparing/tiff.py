"""TIFF, and what is built like it: the EXIF data of other formats (TIFF 6.0, section 2)."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

from mmdemo.errors import PictureError
from mmdemo.images.sparing.bounds import LONGEST, most_pieces, too_many_pieces

STARTS = (b"II*\0", b"MM\0*", b"II\0*", b"MM*\0", b"II+\0", b"MM\0+")
"""How files begin that Pillow takes for TIFF: two of them in an order of bytes that is wrong."""

# Bytes of a value by its type, 0 for none that is known: byte, ASCII, short, long, rational, ...
_UNITS = np.array([0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8, 8, 8], dtype=np.uint64)
_POINTERS = (34665, 34853, 40965)  # to the directories that Pillow reads as well
_OFFSETS = (273, 324)  # where strips or tiles are
_MOST_TAGS = 65_535


class _Directory(NamedTuple):
    """What a directory holds.

    Attributes:
        bytes: of all its values together: each is read, also where several share a place.
        pieces: strips or tiles.
        places: of further directories.
    """

    bytes: int
    pieces: int
    places: tuple[int, ...]


def is_tiff(data: bytes) -> bool:
    """Say whether a file begins as a TIFF."""
    return data.startswith(STARTS)


def check(data: bytes) -> None:
    """Look at what a TIFF says of its first page.

    Raises:
        PictureError: reading it would take much more than its bytes: values that are all of the
            file each, or more strips than any picture has lines.
    """
    first = _read(data, _first(data))
    if first is None:
        return  # damaged, which a decoder says better
    inner = [_read(data, place) for place in first.places]
    found = [first, *(one for one in inner if one is not None)]
    if sum(one.bytes for one in found) > 2 * len(data) + LONGEST:
        raise PictureError(
            "The entries of this TIFF are together far larger than the file itself, which would "
            "take very long to read. Open it in a picture viewer and save it again.",
            "tiff_entries",
        )
    if first.pieces > (most := most_pieces(0)):
        raise too_many_pieces(most)


def exif_costs(said: bytes) -> bool:
    """Say whether the first directory of EXIF data would make much more of it than it is.

    Args:
        said: the data, from its TIFF header on; the headers before that may be there too.
    """
    said = said[6:] if said.startswith(b"Exif\0\0") else said
    first = _read(said, _first(said)) if is_tiff(said) else None
    return first is not None and first.bytes > 2 * len(said) + LONGEST


def _first(data: bytes) -> int:
    """Return where the first directory is."""
    start, end = (8, 16) if _is_big(data) else (4, 8)
    return int.from_bytes(data[start:end], _order(data))


def _is_big(data: bytes) -> bool:
    return b"+" in data[2:4]


def _order(data: bytes) -> Literal["little", "big"]:
    return "little" if data.startswith(b"II") else "big"


def _read(data: bytes, place: int) -> _Directory | None:
    """Return what a directory holds; None where there is none."""
    sign = "<" if _order(data) == "little" else ">"
    width = 8 if _is_big(data) else 2
    value = f"{sign}u{8 if _is_big(data) else 4}"
    row = np.dtype([("tag", f"{sign}u2"), ("type", f"{sign}u2"), ("n", value), ("at", value)])
    count = int.from_bytes(data[place : place + width], _order(data))
    count = min(count, max(0, len(data) - place - width) // row.itemsize)
    if count > _MOST_TAGS:
        raise too_many_pieces(_MOST_TAGS)
    if count == 0:
        return None
    rows = np.frombuffer(data, row, count, place + width)
    units = _UNITS[np.where(rows["type"] < len(_UNITS), rows["type"], 0)]
    sizes = units * np.minimum(rows["n"], len(data))
    pieces = rows["n"][np.isin(rows["tag"], _OFFSETS)]
    places = rows["at"][np.isin(rows["tag"], _POINTERS)]
    return _Directory(
        int(sizes.sum()),
        int(min(pieces.max(initial=0), len(data))),
        tuple(int(one) for one in places[: len(_POINTERS)]),
    )
