"""TIFF files of numbers that Pillow does not read, or not to the last bit.

Pillow unpacks what is compressed, as so many bytes a row; which numbers these bytes are is decided
here. So floats in colour, any number of channels, and 16 bits a channel are read by one rule.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, TiffImagePlugin
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from mmdemo.errors import PictureError
from mmdemo.images.greys import Numbers, shades
from mmdemo.images.tiff_tags import (
    KINDS,
    ORIENTATION,
    Layout,
    first_page,
    further_pages,
    layout_of,
    no_data_of,
    unread,
    whole_numbers,
)
from mmdemo.types import Note

_MOST_BYTES = 600_000_000
"""Of the numbers of a picture: three floats a pixel for 50 million pixels."""

_MOST_BLOCKS = 1 << 20  # strips or tiles of a page: 50 million pixels have 195,313 of 16 x 16

_Blocks: TypeAlias = tuple[tuple[int, ...], tuple[int, ...]]
"""Where strips or tiles begin in the file, and how many bytes each has."""


def tiff_of(first: ImageFileDirectory_v2, data: bytes) -> WideTiff | None:
    """Return a TIFF file of numbers that are read here; None for all that Pillow reads as well.

    Its pixels are not read yet.

    Args:
        first: the tags of its first page.
        data: the file.

    Raises:
        PictureError: nobody here unpacks it.
    """
    layout = layout_of(first)
    if layout is None:
        return None
    if layout.compression not in TiffImagePlugin.COMPRESSION_INFO:
        raise unread(layout)
    ours = not layout.plain or data.startswith(b"MM\0+")  # which Pillow takes for another kind
    return WideTiff(io.BytesIO(data)) if layout.readable and ours else None


class WideTiff(ImageFile.ImageFile):
    """A TIFF file of numbers, opened as Pillow opens its own: pixels are read by `load`.

    Its mode is that of the shades: L, or RGB.

    Attributes:
        notes: how the numbers became shades; known once it is loaded.
        more_pages: whether others follow.
    """

    format = "TIFF"
    notes: tuple[Note, ...] = ()
    more_pages: bool = False
    _data: bytes | None = None

    def _open(self) -> None:
        stream = cast(io.BytesIO, self.fp)
        self._data = stream.getvalue()
        page = first_page(self._data)
        layout = None if page is None else layout_of(page)
        if page is None or layout is None:
            raise SyntaxError("no TIFF file")
        self.more_pages = further_pages(stream, page)
        self._page, self._layout = page, layout
        self._size = layout.size
        self._mode = "RGB" if _described(layout).shown == 3 else "L"
        self.tile = []
        if 34675 in page:
            self.info["icc_profile"] = page[34675]
        if turned := whole_numbers(page, 274):
            exif = Image.Exif()
            exif[ORIENTATION] = turned[0]
            self.info["exif"] = exif.tobytes()

    def load(self) -> Any:
        """Read the numbers, and make shades of them.

        Raises:
            PictureError: they have too many bytes.
        """
        if self._data is not None:
            self.im, self.notes = self._shades(self._data)
            self._data = None
            if any(note.code in ("grey_range", "colour_range") for note in self.notes):
                self.info.pop("icc_profile", None)  # it was of other shades
        return Image.Image.load(self)

    def _shades(self, data: bytes) -> tuple[Any, tuple[Note, ...]]:
        layout = self._layout
        numbers = _numbers_of(layout, self._page, data, no_data_of(self._page))
        picture, notes = shades(numbers, self.mode)
        colours = layout.channels - (layout.alpha != "none")
        if colours > numbers.shown:
            notes = (_partly(numbers.shown, colours), *notes)
        return picture.im, notes


def _partly(shown: int, channels: int) -> Note:
    if shown == 1:
        english = f"Of {channels} channels only the first is shown."
        return Note("channel", {"channels": channels}, english)
    english = f"Of {channels} channels only the first three are shown, as red, green and blue."
    return Note("channels", {"channels": channels}, english)


def _described(
    layout: Layout,
    rows: Callable[[int, int], NDArray[np.generic]] | None = None,
    no_data: float | None = None,
) -> Numbers:
    """Return what is known of the numbers; without `rows`, before they are read."""
    unsigned = layout.format in (1, 4)
    scales = (1.0, 255.0) if layout.format == 3 else ((2.0**layout.bits - 1,) if unsigned else ())
    return Numbers(
        size=layout.size,
        rows=rows or _no_rows,
        channels=layout.channels,
        scales=scales,
        fixed=unsigned and layout.bits == 8,
        no_data=no_data,
        inverted=layout.photo == 0,
        alpha=layout.alpha,
    )


def _no_rows(_top: int, _bottom: int) -> NDArray[np.generic]:
    raise NotImplementedError


# Bytes.


class _Bytes(TiffImagePlugin.TiffImageFile):
    """A page that is read as so many bytes a row; limits are on its pixels, not on these."""

    def load_prepare(self) -> None:
        if self._im is None:
            self.im = Image.core.new(self.mode, self.size)
        ImageFile.ImageFile.load_prepare(self)


def _numbers_of(
    layout: Layout, tags: ImageFileDirectory_v2, data: bytes, no_data: float | None
) -> Numbers:
    """Unpack a page, and say how its numbers are taken from the bytes."""
    planes = [0]
    if layout.planar:
        # Of channels that are stored apart only those that are shown are read, and opacity.
        last = [layout.channels - 1] if layout.alpha != "none" else []
        planes = [*range(_described(layout).shown), *last]
    together = 1 if layout.planar else layout.channels
    _check_bytes(layout, together * len(planes))
    blocks = _blocks(tags)
    pages = [_unpacked(layout, tags, data, _of_plane(layout, blocks, plane)) for plane in planes]
    order = ">" if data[:2] == b"MM" else "<"
    kind = np.dtype(f"{order}{KINDS[layout.format]}{layout.bytes}")
    rows = partial(_rows, pages, layout, kind, _tile_width(layout, tags))
    read = replace(layout, channels=together * len(planes))
    return _described(read, rows=rows, no_data=no_data)


def _check_bytes(layout: Layout, channels: int) -> None:
    width, height = layout.size
    size = width * height * layout.bytes * channels
    if size > _MOST_BYTES:
        raise PictureError(
            f"This TIFF holds {size / 1e6:,.0f} MB of numbers; at most {_MOST_BYTES / 1e6:,.0f} MB "
            "are accepted. Save it smaller, or with 8 bits a channel.",
            "tiff_bytes",
            size=f"{size / 1e6:,.0f}",
            limit=f"{_MOST_BYTES / 1e6:,.0f}",
        )


def _tile_width(layout: Layout, tags: ImageFileDirectory_v2) -> int:
    """Return after how many pixels a row begins anew: at the next tile, if there are tiles."""
    return (whole_numbers(tags, 322) or layout.size)[0] if 324 in tags else layout.size[0]


def _blocks(tags: ImageFileDirectory_v2) -> _Blocks:
    """Return where the strips or tiles of a page are, and how many bytes they have."""
    places, counts = (324, 325) if 324 in tags else (273, 279)
    if any(len(tags.get(tag, ())) > _MOST_BLOCKS for tag in (places, counts)):
        raise ValueError("more strips than any picture has rows")
    return whole_numbers(tags, places), whole_numbers(tags, counts)


def _of_plane(layout: Layout, blocks: _Blocks, plane: int) -> _Blocks:
    """Return those that hold a channel, where each is stored apart."""
    places, counts = blocks
    each = len(places) // (layout.channels if layout.planar else 1)
    own = slice(plane * each, (plane + 1) * each)
    return places[own], counts[own]


def _unpacked(
    layout: Layout, tags: ImageFileDirectory_v2, data: bytes, blocks: _Blocks
) -> Image.Image:
    """Return the bytes of some channels as a picture of one byte a pixel, whole tiles wide."""
    tiled, (places, counts) = 324 in tags, blocks
    together = 1 if layout.planar else layout.channels
    wide, pixel = _tile_width(layout, tags), layout.bytes * together
    height = layout.size[1]
    across = -(-layout.size[0] // wide) * wide * pixel
    if across * max((height, *whole_numbers(tags, 323)[:1])) > 2 * _MOST_BYTES:
        raise ValueError("tiles that are larger than any picture")
    page = {256: (across,), 257: (height,), 258: (8,)}
    page |= {259: (layout.compression,), 262: (1,), 277: (1,), 339: (1,)}
    if tiled:
        page |= {322: (wide * pixel,), 323: whole_numbers(tags, 323), 324: places, 325: counts}
    else:
        a_strip = min((whole_numbers(tags, 278) or (height,))[0], height)
        page |= {273: places, 278: (a_strip,), 279: counts}
    start = len(data) + len(data) % 2
    header = b"II*\0" + struct.pack("<I", start)
    file = b"".join([header, data[8:], bytes(len(data) % 2), _directory(page, start)])
    unpacked = _Bytes(io.BytesIO(file))
    unpacked.load()
    return unpacked


def _directory(page: dict[int, tuple[int, ...]], start: int) -> bytes:
    """Return tags of whole numbers as they stand in a file of little-endian numbers."""
    page = {tag: values for tag, values in page.items() if values}
    place = start + 2 + 12 * len(page) + 4
    entries, beyond = [struct.pack("<H", len(page))], b""
    for tag, values in sorted(page.items()):
        packed = struct.pack(f"<{len(values)}I", *values)
        if len(values) > 1:
            packed, beyond = struct.pack("<I", place + len(beyond)), beyond + packed
        entries.append(struct.pack("<HHI", tag, 4, len(values)) + packed)
    return b"".join([*entries, bytes(4), beyond])


def _rows(
    pages: list[Image.Image], layout: Layout, kind: np.dtype[Any], wide: int, top: int, bottom: int
) -> NDArray[np.generic]:
    """Return the numbers of some rows, [rows, width, channels]."""
    found = []
    for page in pages:
        row_bytes = np.asarray(page.crop((0, top, page.width, bottom)))
        together = page.width // (-(-layout.size[0] // wide) * wide * kind.itemsize)
        parts = row_bytes.reshape(-1, wide * together * kind.itemsize)  # a row of a tile each
        undone = _UNDO[layout.predictor](parts, kind, together)
        found.append(undone.reshape(bottom - top, -1, together)[:, : layout.size[0]])
    return found[0] if len(found) == 1 else np.concatenate(found, axis=-1)


def _as_they_are(
    parts: NDArray[np.uint8], kind: np.dtype[Any], _channels: int
) -> NDArray[np.generic]:
    return parts.view(kind)


def _summed(parts: NDArray[np.uint8], kind: np.dtype[Any], channels: int) -> NDArray[np.generic]:
    """Undo differences between neighbours of a channel (TIFF 6.0, section 14)."""
    whole = np.dtype(f"u{kind.itemsize}")
    steps = parts.view(whole.newbyteorder(kind.byteorder)).astype(whole)
    steps = steps.reshape(len(parts), -1, channels)
    return np.add.accumulate(steps, axis=1, dtype=whole).view(kind.newbyteorder("="))


def _gathered(parts: NDArray[np.uint8], kind: np.dtype[Any], channels: int) -> NDArray[np.generic]:
    """Undo differences between bytes, and gather those of a float (TIFF technical note 3)."""
    steps = parts.reshape(len(parts), -1, channels)
    summed = np.add.accumulate(steps, axis=1, dtype=np.uint8)
    planes = summed.reshape(len(parts), kind.itemsize, -1)  # the most significant bytes first
    return np.ascontiguousarray(planes.transpose(0, 2, 1)).view(kind.newbyteorder(">"))


_UNDO = {1: _as_they_are, 2: _summed, 3: _gathered}
