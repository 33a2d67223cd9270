"""TIFF files of any numbers, written by hand: for kinds that Pillow does not write."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

_FORMATS = {"u": 1, "i": 2, "f": 3, "c": 6}
_CODES = {3: "H", 4: "I", 16: "Q"}


class Stored(NamedTuple):
    """How numbers are stored in a file.

    Attributes:
        big_endian: the byte order.
        big: BigTIFF, whose places have 64 bits.
        planar: each channel apart.
        tile: edge of tiles; 0 for strips.
        packed: by deflate.
        predictor: 1 none, 2 differences, 3 those of the bytes of floats.
        photo: photometric interpretation: 0, 1 grey; 2 RGB.
        extra: what the channels beyond the colours are.
        subfile: NewSubfileType.
        pages: how many pages there are, each the same.
    """

    big_endian: bool = False
    big: bool = False
    planar: bool = False
    tile: int = 0
    packed: bool = False
    predictor: int = 1
    photo: int = 1
    extra: Sequence[int] = ()
    subfile: Sequence[int] = (0,)


STRIPS = Stored()


def tiff(numbers: np.ndarray, stored: Stored = STRIPS, **tags: bytes) -> bytes:
    """Return a file of numbers, [height, width, channels].

    Args:
        numbers: of any type.
        stored: how; a page for each of its `subfile`.
        **tags: texts by the number of their tag, as in `t42113=b"-9999"`.
    """
    order = ">" if stored.big_endian else "<"
    blocks = [_packed(block, stored, order) for block in _blocks(numbers, stored)]
    head, size = (16, "Q") if stored.big else (8, "I")
    places = np.cumsum([head, *map(len, blocks)]).tolist()
    body, start = b"".join(blocks), places[-1]
    pages = b""
    for left, subfile in zip(range(len(stored.subfile), 0, -1), stored.subfile, strict=True):
        entries = _entries(numbers, stored, places[:-1], [len(block) for block in blocks])
        entries[254] = (4, [subfile])
        texts = {int(name[1:]): text + b"\0" for name, text in tags.items()}
        pages += _directory(entries, texts, start + len(pages), stored, last=left == 1)
    mark = b"MM" if stored.big_endian else b"II"
    if stored.big:
        return mark + struct.pack(f"{order}HHHQ", 43, 8, 0, start) + body + pages
    return mark + struct.pack(f"{order}H{size}", 42, start) + body + pages


def _blocks(numbers: np.ndarray, stored: Stored) -> Iterator[np.ndarray]:
    planes = np.split(numbers, numbers.shape[2], axis=2) if stored.planar else [numbers]
    edge, height, width = stored.tile, *numbers.shape[:2]
    for plane in planes:
        if not edge:
            yield from np.array_split(plane, range(7, height, 7))
            continue
        padded = np.pad(plane, ((0, -height % edge), (0, -width % edge), (0, 0)))
        for top in range(0, height, edge):
            for left in range(0, width, edge):
                yield padded[top : top + edge, left : left + edge]


def _packed(block: np.ndarray, stored: Stored, order: str) -> bytes:
    if stored.predictor == 2:
        whole = block.view(f"u{block.dtype.itemsize}")
        block = np.concatenate([whole[:, :1], whole[:, 1:] - whole[:, :-1]], axis=1)
    if stored.predictor == 3:
        rows, _, channels = block.shape
        as_bytes = block.astype(block.dtype.newbyteorder(">")).reshape(rows, -1)
        planes = as_bytes.view(np.uint8).reshape(rows, -1, block.dtype.itemsize).transpose(0, 2, 1)
        flat = planes.reshape(rows, -1, channels)
        data = np.concatenate([flat[:, :1], flat[:, 1:] - flat[:, :-1]], axis=1).tobytes()
    else:
        kind = block.dtype
        data = block.astype(f"{order}{kind.kind}{kind.itemsize}").tobytes()
    return zlib.compress(data) if stored.packed else data


def _entries(
    numbers: np.ndarray, stored: Stored, places: list[int], sizes: list[int]
) -> dict[int, tuple[int, list[int]]]:
    height, width, channels = numbers.shape
    entries = {
        256: (4, [width]),
        257: (4, [height]),
        258: (3, [8 * numbers.dtype.itemsize] * channels),
        259: (3, [8 if stored.packed else 1]),
        262: (3, [stored.photo]),
        277: (3, [channels]),
        284: (3, [2 if stored.planar else 1]),
        317: (3, [stored.predictor]),
        339: (3, [_FORMATS[numbers.dtype.kind]] * channels),
    }
    if stored.extra:
        entries[338] = (3, list(stored.extra))
    kind = 16 if stored.big else 4
    if stored.tile:
        edge = (4, [stored.tile])
        return entries | {322: edge, 323: edge, 324: (kind, places), 325: (kind, sizes)}
    return entries | {273: (kind, places), 278: (4, [7]), 279: (kind, sizes)}


def _directory(
    entries: dict[int, tuple[int, list[int]]],
    texts: dict[int, bytes],
    start: int,
    stored: Stored,
    *,
    last: bool,
) -> bytes:
    order, size = ">" if stored.big_endian else "<", "Q" if stored.big else "I"
    room, a_count = (8, "Q") if stored.big else (4, "H")
    values = {
        tag: (kind, len(some), struct.pack(f"{order}{len(some)}{_CODES[kind]}", *some))
        for tag, (kind, some) in entries.items()
    } | {tag: (2, len(text), text) for tag, text in texts.items()}
    each = 4 + 2 * room
    after = start + struct.calcsize(f"{order}{a_count}") + each * len(values) + room
    table, beyond = struct.pack(f"{order}{a_count}", len(values)), b""
    for tag, (kind, count, value) in sorted(values.items()):
        inside = value.ljust(room, b"\0")
        if len(value) > room:
            inside = struct.pack(f"{order}{size}", after + len(beyond))
            beyond += value + b"\0" * (len(value) % 2)
        table += struct.pack(f"{order}HH{size}", tag, kind, count) + inside
    following = 0 if last else after + len(beyond)
    return table + struct.pack(f"{order}{size}", following) + beyond
