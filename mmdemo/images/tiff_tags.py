"""What the tags of a TIFF file say: how its numbers are stored, and what it is."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from typing import IO, Any

from PIL import TiffImagePlugin
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from mmdemo.errors import PictureError
from mmdemo.images.greys import Alpha
from mmdemo.images.sparing.tiff import is_tiff

ORIENTATION = 0x0112
_NO_DATA = 42113  # GDAL_NODATA: the number as text
_REDUCED = 0b101  # of NewSubfileType: a smaller version of another page, or a mask
_MOST_PAGES = 16  # that are looked at for a page that is more than a smaller version

# Baseline and Adobe deflate, LZW, PackBits, LZMA, Zstandard: what keeps all bits of any number.
_COMPRESSIONS = (1, 5, 8, 32773, 32946, 34925, 50000)
_PREDICTORS = (1, 2, 3)

_BROKEN = (OSError, SyntaxError, ValueError, TypeError, KeyError, OverflowError, struct.error)
"""What Pillow raises on tags that make no sense."""

KINDS = {1: "u", 2: "i", 3: "f", 4: "u"}
_WORDS = {
    1: ("integers", "uint"),
    2: ("signed integers", "int"),
    3: ("floats", "float"),
    4: ("integers", "uint"),
    5: ("complex integers", "complex-int"),
    6: ("complex numbers", "complex"),
}


@dataclass(frozen=True)
class Layout:
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
            and self.predictor in _PREDICTORS
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
        numbers, name = _WORDS.get(self.format, ("numbers", "mixed"))
        return f"{bits}-bit {numbers}", f"{name}{bits}"


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


def first_page(data: bytes) -> ImageFileDirectory_v2 | None:
    """Return the tags of a file's first page; None where they are no whole TIFF's."""
    if not is_tiff(data):
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


def whole_numbers(tags: ImageFileDirectory_v2, tag: int) -> tuple[int, ...]:
    """Return the whole numbers of a tag; none where it is missing or holds something else."""
    try:
        value = tags.get(tag, ())
        return tuple(int(one) for one in (value if isinstance(value, tuple) else (value,)))
    except _BROKEN:
        return ()


def layout_of(tags: ImageFileDirectory_v2) -> Layout | None:
    """Return how a page is stored; None where it does not say so."""

    def first(tag: int, default: int) -> int:
        return (whole_numbers(tags, tag) or (default,))[0]

    channels = first(277, 1)
    bits, formats = set(whole_numbers(tags, 258) or (1,)), set(whole_numbers(tags, 339) or (1,))
    size = first(256, 0), first(257, 0)
    if min(size) < 1 or channels < 1:
        return None
    return Layout(
        size=size,
        photo=first(262, 1),
        channels=channels,
        bits=bits.pop() if len(bits) == 1 else 0,
        format=formats.pop() if len(formats) == 1 else 0,
        compression=first(259, 1),
        predictor=first(317, 1),
        planar=first(284, 1) == 2 and channels > 1,
        extra=whole_numbers(tags, 338),
    )


# What a file is, by them.


def unread_kind(data: bytes) -> PictureError | None:
    """Return an error that says which kind of TIFF a file is; None where it is no odd one."""
    first = first_page(data)
    layout = None if first is None else layout_of(first)
    return None if layout is None or layout.plain else unread(layout)


def unread(layout: Layout) -> PictureError:
    """Return the error of a kind that is not read."""
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


def camera_of(first: ImageFileDirectory_v2, data: bytes) -> str | None:
    """Return which raw format of a camera a TIFF file is; None for a picture.

    Their first page is a small preview as a rule: that is not the photo.

    Args:
        first: the tags of its first page.
        data: the file.
    """
    maker = str(first.get(271, "")).upper()
    if 50706 in first:
        return "DNG"
    if data[8:10] == b"CR":
        return "Canon CR2"
    sensor = 32803 in whole_numbers(first, 262)
    preview = 330 in first and (whole_numbers(first, 254) or (0,))[0] & 1
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
    return further_pages(picture.fp, picture.tag_v2)


def further_pages(stream: IO[bytes], page: ImageFileDirectory_v2) -> bool:
    """Say whether a page is followed by more than smaller versions of it."""
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
            if not (whole_numbers(tags, 254) or (0,))[0] & _REDUCED:
                return True
            place = tags.next
    except _BROKEN:
        pass  # what cannot be read is no page
    finally:
        stream.seek(before)
    return False
