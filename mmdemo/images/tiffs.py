"""TIFF files of numbers that Pillow does not read, or not to the last bit.

Pillow unpacks what is compressed, as so many bytes a row; which numbers these bytes are is decided
here. So floats in colour, any number of channels, and 16 bits a channel are read by one rule.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import IO, Any, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, TiffImagePlugin
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from mmdemo.errors import PictureError
from mmdemo.images.greys import Alpha, Numbers, shades
from mmdemo.types import Note

TIFF_STARTS = (b"II*\0", b"MM\0*", b"II\0*", b"MM*\0", b"II+\0", b"MM\0+")
_ORIENTATION = 0x0112
_NO_DATA = 42113  # GDAL_NODATA: the number as text
_REDUCED = 0b101  # of NewSubfileType: a smaller version of another page, or a mask
_MOST_PAGES = 16  # that are looked at for a page that is more than a smaller version

# Baseline and Adobe deflate, LZW, PackBits, LZMA, Zstandard: what keeps all bits of any number.
_COMPRESSIONS = (1, 5, 8, 32773, 32946, 34925, 50000)
_MOST_BYTES = 600_000_000
"""Of the numbers of a picture: three floats a pixel for 50 million pixels."""

_MOST_BLOCKS = 1 << 20  # strips or tiles of a page: 50 million pixels have 195,313 of 16 x 16

_Blocks: TypeAlias = tuple[tuple[int, ...], tuple[int, ...]]
"""Where strips or tiles begin in the file, and how many bytes each has."""

_BROKEN = (OSError, SyntaxError, ValueError, TypeError, KeyError, OverflowError, struct.error)
"""What Pillow raises on tags that make no sense."""

_KINDS = {1: "u", 2: "i", 3: "f", 4: "u"}
_WORDS = {1: "integers", 2: "signed integers", 3: "floats", 5: "complex integers", 6: "complex"}


@dataclass(frozen=True)
class _Layout:
    """How the numbers of a page are stored, by its tags.

    Attributes:
        size: width and height.
        photo: the photometric interpretation: 0 and 1 grey, 2 RGB.
        channels: how many numbers a pixel has.
        bits: of each number; 0 where they differ.
        format: 1 unsigned, 2 signed, 3 float.
        compression: its number.
        predictor: 1 none, 2 differences, 3 differences of the bytes of floats.
        planar: whether each channel is stored apart.
        extra: what the channels beyond the colours are: 1 and 2 opacity, 0 untold.
    """

    size: tuple[int, int]
    photo: int
    channels: int
    bits: int
    format: int
    compression: int
    predictor: int
    planar: bool
    extra: tuple[int, ...]

    @property
    def bytes(self) -> int:
        """Return the bytes of a number."""
        return self.bits // 8

    @property
    def readable(self) -> bool:
        """Return whether these numbers are read here."""
        most = {1: (8, 16, 32, 64), 4: (8, 16, 32, 64), 2: (8, 16, 32, 64), 3: (16, 32, 64)}
        return (
            self.bits in most.get(self.format, ())
            and self.photo in (0, 1, 2)
            and self.compression in _COMPRESSIONS
            and self.predictor in _UNDO
        )

    @property
    def plain(self) -> bool:
        """Return whether Pillow reads all there is: 8 bits, and the channels of its modes."""
        usual = self.channels == 1 or (self.photo == 2 and self.channels <= 4)
        with_opacity = self.channels == 2 and self.extra == (2,)
        return self.bits == 8 and self.format in (1, 4) and (usual or with_opacity)

    @property
    def alpha(self) -> Alpha:
        """Return how opacity is stored, if in the last of the channels."""
        if self.channels in (2, 4) and self.extra and self.extra[-1] in (1, 2):
            return "premultiplied" if self.extra[-1] == 1 else "straight"
        return "none"

    @property
    def words(self) -> tuple[str, str]:
        """Return what the numbers are in English, and as programs name them."""
        bits = str(self.bits or "mixed")
        kind = _KINDS.get(self.format, "complex").replace("u", "uint").replace("i", "int")
        return f"{bits}-bit {_WORDS.get(self.format, 'numbers')}", f"{kind}{bits}".replace(
            "f", "float", 1
        )


def tiff_of(data: bytes) -> WideTiff | None:
    """Return a TIFF file of numbers that are read here; None for all that Pillow reads as well.

    Its pixels are not read yet.

    Raises:
        PictureError: nobody here unpacks it.
    """
    first = _first_page(data)
    layout = None if first is None else _layout(first)
    if layout is None:
        return None
    if layout.compression not in TiffImagePlugin.COMPRESSION_INFO:
        raise _unread(layout)
    ours = not layout.plain or data.startswith(b"MM\0+")  # which Pillow takes for another kind
    return WideTiff(io.BytesIO(data)) if layout.readable and ours else None


def unread_kind(data: bytes) -> PictureError | None:
    """Return an error that says which kind of TIFF a file is; None where it is no odd one."""
    first = _first_page(data)
    layout = None if first is None else _layout(first)
    return None if layout is None or layout.plain else _unread(layout)


def _unread(layout: _Layout) -> PictureError:
    words, code = layout.words
    names = TiffImagePlugin.COMPRESSION_INFO
    packed = str(names.get(layout.compression, layout.compression)).removeprefix("tiff_")
    channels = "1 channel" if layout.channels == 1 else f"{layout.channels} channels"
    return PictureError(
        f"This is a TIFF with {channels} of {words} (compression: {packed}), which is not read. "
        "Save it as a TIFF with 8 or 16 bits a channel, or as PNG.",
        "tiff_kind",
        channels=layout.channels,
        numbers=code,
        packed=packed,
    )


def camera_of(data: bytes) -> str | None:
    """Return which raw format of a camera a TIFF file is; None for a picture.

    Their first page is a small preview as a rule: that is not the photo.
    """
    first = _first_page(data)
    if first is None:
        return None
    maker = str(first.get(271, "")).upper()
    if 50706 in first:
        return "DNG"
    if data[8:10] == b"CR":
        return "Canon CR2"
    sensor = 32803 in _numbers(first, 262)
    preview = 330 in first and (_numbers(first, 254) or (0,))[0] & 1
    known = next((name for make, name in _CAMERAS if maker.startswith(make)), None)
    if sensor or (preview and known):
        return known or "raw"
    return None


_CAMERAS = (
    ("NIKON", "Nikon NEF"),
    ("SONY", "Sony ARW"),
    ("PENTAX", "Pentax PEF"),
    ("RICOH", "Pentax PEF"),
    ("SAMSUNG", "Samsung SRW"),
    ("EASTMAN KODAK", "Kodak DCR"),
    ("KODAK", "Kodak DCR"),
    ("HASSELBLAD", "Hasselblad 3FR"),
    ("EPSON", "Epson ERF"),
    ("LEAF", "Leaf MOS"),
    ("PHASE ONE", "Phase One IIQ"),
)


def no_data_of(tags: Any) -> float | None:
    """Return the number that stands where there is no data, by a page's tags; None without."""
    try:
        value = tags.get(_NO_DATA)
        return None if value is None else float(str(value).strip("\0 \n"))
    except (ValueError, TypeError):
        return None


def further_pages_of(picture: TiffImagePlugin.TiffImageFile) -> bool:
    """Say whether more than smaller versions of the first page follows in an opened file."""
    if not picture.is_animated or picture.fp is None:
        return False
    return _further_pages(picture.fp, picture.tag_v2)


def _further_pages(stream: IO[bytes], page: ImageFileDirectory_v2) -> bool:
    before = stream.tell()
    try:
        stream.seek(0)
        tags, _ = _opened_tags(stream.read(16))
        place = page.next
        for _ in range(_MOST_PAGES):
            if not place:
                return False
            stream.seek(place)
            tags.load(stream)
            if not (_numbers(tags, 254) or (0,))[0] & _REDUCED:
                return True
            place = tags.next
    except _BROKEN:
        pass  # what cannot be read is no page
    finally:
        stream.seek(before)
    return False


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
        page = _first_page(self._data)
        layout = None if page is None else _layout(page)
        if page is None or layout is None:
            raise SyntaxError("no TIFF file")
        self.more_pages = _further_pages(stream, page)
        self._page, self._layout = page, layout
        self._size = layout.size
        self._mode = "RGB" if _described(layout).shown == 3 else "L"
        self.tile = []
        if 34675 in page:
            self.info["icc_profile"] = page[34675]
        if turned := _numbers(page, 274):
            exif = Image.Exif()
            exif[_ORIENTATION] = turned[0]
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


# Tags.


def _opened_tags(head: bytes) -> tuple[ImageFileDirectory_v2, int]:
    """Return tags that are not read yet, by the first 16 bytes of a file, and where they are."""
    order = ">" if head[:2] == b"MM" else "<"
    big = b"+" in head[2:4]
    tags = ImageFileDirectory_v2((b"MM\0*" if order == ">" else b"II*\0") + bytes(4))
    tags._bigtiff = big  # Pillow looks for it where files of the other byte order have it
    return tags, struct.unpack(
        f"{order}Q" if big else f"{order}I", head[8:16] if big else head[4:8]
    )[0]


def _first_page(data: bytes) -> ImageFileDirectory_v2 | None:
    """Return the tags of a file's first page; None where they are no whole TIFF's."""
    if data[:4] not in TIFF_STARTS:
        return None
    try:
        tags, place = _opened_tags(data[:16])
        stream = io.BytesIO(data)
        stream.seek(place)
        tags.load(stream)
        return tags if _told(data, place) <= set(tags) else None
    except _BROKEN:
        return None


def _told(data: bytes, place: int) -> set[int]:
    """Return which tags of the layout a page has: Pillow leaves out those that are cut off."""
    order, big = ">" if data[:2] == b"MM" else "<", b"+" in data[2:4]
    size, room = (20, 8) if big else (12, 2)
    (count,) = struct.unpack(f"{order}{'Q' if big else 'H'}", data[place : place + room])
    table = data[place + room : place + room + min(count, 1 << 16) * size]
    found = {struct.unpack(f"{order}H", table[at : at + 2])[0] for at in range(0, len(table), size)}
    return found & _OF_LAYOUT


_OF_LAYOUT = {256, 257, 258, 259, 262, 273, 277, 278, 279, 284, 317, 322, 323, 324, 325, 338, 339}


def _numbers(tags: ImageFileDirectory_v2, tag: int) -> tuple[int, ...]:
    """Return the whole numbers of a tag; none where it is missing or holds something else."""
    try:
        value = tags.get(tag, ())
        return tuple(int(one) for one in (value if isinstance(value, tuple) else (value,)))
    except _BROKEN:
        return ()


def _layout(tags: ImageFileDirectory_v2) -> _Layout | None:
    """Return how a page is stored; None where it does not say so."""

    def first(tag: int, default: int) -> int:
        return (_numbers(tags, tag) or (default,))[0]

    channels = first(277, 1)
    bits, formats = set(_numbers(tags, 258) or (1,)), set(_numbers(tags, 339) or (1,))
    size = first(256, 0), first(257, 0)
    if min(size) < 1 or channels < 1:
        return None
    return _Layout(
        size=size,
        photo=first(262, 1),
        channels=channels,
        bits=bits.pop() if len(bits) == 1 else 0,
        format=formats.pop() if len(formats) == 1 else 0,
        compression=first(259, 1),
        predictor=first(317, 1),
        planar=first(284, 1) == 2 and channels > 1,
        extra=_numbers(tags, 338),
    )


def _described(
    layout: _Layout,
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
    layout: _Layout, tags: ImageFileDirectory_v2, data: bytes, no_data: float | None
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
    kind = np.dtype(f"{order}{_KINDS[layout.format]}{layout.bytes}")
    rows = partial(_rows, pages, layout, kind, _tile_width(layout, tags))
    read = replace(layout, channels=together * len(planes))
    return _described(read, rows=rows, no_data=no_data)


def _check_bytes(layout: _Layout, channels: int) -> None:
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


def _tile_width(layout: _Layout, tags: ImageFileDirectory_v2) -> int:
    """Return after how many pixels a row begins anew: at the next tile, if there are tiles."""
    return (_numbers(tags, 322) or layout.size)[0] if 324 in tags else layout.size[0]


def _blocks(tags: ImageFileDirectory_v2) -> _Blocks:
    """Return where the strips or tiles of a page are, and how many bytes they have."""
    places, counts = (324, 325) if 324 in tags else (273, 279)
    if any(len(tags.get(tag, ())) > _MOST_BLOCKS for tag in (places, counts)):
        raise ValueError("more strips than any picture has rows")
    return _numbers(tags, places), _numbers(tags, counts)


def _of_plane(layout: _Layout, blocks: _Blocks, plane: int) -> _Blocks:
    """Return those that hold a channel, where each is stored apart."""
    places, counts = blocks
    each = len(places) // (layout.channels if layout.planar else 1)
    own = slice(plane * each, (plane + 1) * each)
    return places[own], counts[own]


def _unpacked(
    layout: _Layout, tags: ImageFileDirectory_v2, data: bytes, blocks: _Blocks
) -> Image.Image:
    """Return the bytes of some channels as a picture of one byte a pixel, whole tiles wide."""
    tiled, (places, counts) = 324 in tags, blocks
    together = 1 if layout.planar else layout.channels
    wide, pixel = _tile_width(layout, tags), layout.bytes * together
    height = layout.size[1]
    across = -(-layout.size[0] // wide) * wide * pixel
    if across * max((height, *_numbers(tags, 323)[:1])) > 2 * _MOST_BYTES:
        raise ValueError("tiles that are larger than any picture")
    page = {256: (across,), 257: (height,), 258: (8,)}
    page |= {259: (layout.compression,), 262: (1,), 277: (1,), 339: (1,)}
    if tiled:
        page |= {322: (wide * pixel,), 323: _numbers(tags, 323), 324: places, 325: counts}
    else:
        a_strip = min((_numbers(tags, 278) or (height,))[0], height)
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
    pages: list[Image.Image], layout: _Layout, kind: np.dtype[Any], wide: int, top: int, bottom: int
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
