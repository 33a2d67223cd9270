"""Which formats are read, and by whom; what other files are, so that a sentence can name them."""

from __future__ import annotations

import io
import re
import struct
import zlib
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from PIL import Image

from mmdemo.errors import PictureError
from mmdemo.images.mistaken import mistaken, text_file
from mmdemo.images.pngs import deep_png
from mmdemo.images.sparing.tiff import STARTS
from mmdemo.images.tiff_tags import camera_of, first_page, unread_kind
from mmdemo.images.tiffs import tiff_of

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "PPM", "ICO")
ACCEPTED = "JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF, ICO"

# What the boxes of a file after ISO/IEC 14496-12 say that it is.
_AVIF = {b"avif", b"avis"}
_HEIF = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"} | {
    *(b"mif1", b"mif2", b"msf1", b"miaf", b"heif")
}
_AUDIO = {b"m4a ", b"m4b ", b"m4p ", b"f4a "}
_MOST_BRANDS = 64

_LARGEST_ICON = 1024
"""Edge of a bitmap inside of an icon, in pixels: they have 256 at most; what is larger is a PNG."""


def file_of(data: bytes) -> Image.Image:
    """Open the bytes of a file, without its pixels, at its first page or frame.

    Raises:
        PictureError: it is known what it is, and that it is not read.
        Exception: whatever a decoder raises on a file that is no picture.
    """
    if is_heif(data):
        return _heif(data)
    if data[:4] == b"\0\0\1\0":
        data, formats = _largest_icon(data)
        return Image.open(io.BytesIO(data), formats=formats)
    if (page := first_page(data)) is not None:
        if camera := camera_of(page, data):
            raise _named(_RAW, camera)
        wide = tiff_of(page, data)
        if wide is not None:
            return wide
    deep = deep_png(data)
    if deep is not None:
        return deep
    picture = Image.open(io.BytesIO(data), formats=FORMATS)
    picture.seek(0)
    return picture


def _brands(data: bytes) -> list[bytes]:
    """Return what a file says that it is, its main brand first; in small letters."""
    if data[4:8] != b"ftyp":
        return []
    end = min(int.from_bytes(data[:4], "big"), len(data), 16 + 4 * _MOST_BRANDS)
    found = [data[8:12], *(data[at : at + 4] for at in range(16, end - 3, 4))]
    return [brand.lower() for brand in found]


def is_heif(data: bytes) -> bool:
    """Say whether a file is a HEIC photo, by its beginning."""
    # An AVIF file may have the general brand first.
    brands = _brands(data)
    return bool(brands) and not _AVIF.intersection(brands) and brands[0] in _HEIF


def _heif(data: bytes) -> Image.Image:
    """Open a HEIC photo by a package that need not be there; Pillow is told nothing of it."""
    try:
        from pillow_heif import HeifImageFile
    except ImportError as error:
        raise PictureError(
            "This is a HEIC photo, which is read only where the package pillow-heif is installed "
            f"(pip install pillow-heif). Or export or share it as JPEG. Accepted are {ACCEPTED}.",
            "heic",
            accepted=ACCEPTED,
        ) from error
    try:
        return HeifImageFile(io.BytesIO(data))
    except Exception as error:
        raise PictureError(
            "This HEIC photo is damaged, or of a kind that pillow-heif does not read. Export or "
            f"share it as JPEG. Accepted are {ACCEPTED}.",
            "heic_unread",
            accepted=ACCEPTED,
        ) from error


def _largest_icon(data: bytes) -> tuple[bytes, tuple[str, ...]]:
    """Return what is opened of an icon: its largest picture, where that is a file of its own.

    Pillow would look at the size that the icon claims, not at that of the PNG in it.

    Raises:
        PictureError: a bitmap in it is larger than any icon's.
    """
    count = int.from_bytes(data[4:6], "little")
    entries = [data[at : at + 16] for at in range(6, 6 + 16 * count, 16)]
    for entry in entries:
        size, start = struct.unpack("<II", entry[8:16])
        if data[start : start + 4] != b"\x89PNG":
            width, height = struct.unpack("<ii", data[start + 4 : start + 12])
            if not (0 < width <= _LARGEST_ICON and 0 < abs(height) <= 2 * _LARGEST_ICON):
                raise damaged()
    best = max(entries, key=lambda entry: ((entry[0] or 256) * (entry[1] or 256), entry[6]))
    size, start = struct.unpack("<II", best[8:16])
    if data[start : start + 4] == b"\x89PNG":
        return data[start : start + size], ("PNG",)
    return data, ("ICO",)


def damaged() -> PictureError:
    """Return the error of a picture that cannot be decoded."""
    return PictureError(
        "This picture is damaged or cut off and cannot be read to its end. "
        f"Open it in a picture viewer and save it again, as {ACCEPTED}.",
        "damaged",
        accepted=ACCEPTED,
    )


class Other(NamedTuple):
    """A kind of file that is not read.

    Attributes:
        code: of the sentence.
        sentence: in English; `{kind}` is what it is.
    """

    code: str
    sentence: str


_SVG = Other("svg", "This is an SVG drawing or another XML file; export it as PNG.")
_PDF = Other("pdf", "This is a PDF; take a screenshot of the page, or export it as PNG.")
_HTML = Other("html", "This is a web page; save the picture itself.")
_ZIP = Other("zip", "This is a ZIP or Office file; take the picture out of it.")
_ARCHIVE = Other("archive", "This is a packed file ({kind}); unpack it, and give the picture.")
_OFFICE = Other("office", "This is a document ({kind}); take the picture out of it.")
_VIDEO = Other("video", "This is a video ({kind}); save one of its frames as PNG or JPEG.")
_AUDIO_FILE = Other("audio", "This is a sound file ({kind}), not a picture.")
_RAW = Other("raw", "This is a camera's raw file ({kind}); develop it, and export it as JPEG.")
_KIND = Other("other_picture", "This picture is in {kind}, which is not read; export it as PNG.")
_HDR = Other(
    "hdr", "This is an HDR picture ({kind}); map its tones to a screen's, and save it as PNG."
)
_DATA = Other("data_file", "This is a data file ({kind}); save what it shows as PNG.")
NOT_PICTURES: tuple[Other, ...] = (
    *(_SVG, _PDF, _HTML, _ZIP, _ARCHIVE, _OFFICE, _VIDEO, _AUDIO_FILE, _RAW, _KIND, _HDR, _DATA),
)

# What a file begins with: where, the bytes, and what it is.
_STARTS: tuple[tuple[int, bytes, Other, str], ...] = (
    (0, b"%PDF", _PDF, "PDF"),
    (0, b"PK\3\4", _ZIP, "ZIP"),
    (0, b"PK\5\6", _ZIP, "ZIP"),
    (0, b"\x1f\x8b", _ARCHIVE, "gzip"),
    (0, b"7z\xbc\xaf\x27\x1c", _ARCHIVE, "7z"),
    (0, b"Rar!", _ARCHIVE, "RAR"),
    (0, b"BZh", _ARCHIVE, "bzip2"),
    (0, b"\xfd7zXZ\0", _ARCHIVE, "xz"),
    (0, b"\x28\xb5\x2f\xfd", _ARCHIVE, "Zstandard"),
    (257, b"ustar", _ARCHIVE, "tar"),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", _OFFICE, "Microsoft Office"),
    (0, b"{\\rtf", _OFFICE, "RTF"),
    (0, b"\xff\x0a", _KIND, "JPEG XL"),
    (0, b"\0\0\0\x0cJXL \r\n\x87\n", _KIND, "JPEG XL"),
    (0, b"\0\0\0\x0cjP  \r\n\x87\n", _KIND, "JPEG 2000"),
    (0, b"\xff\x4f\xff\x51", _KIND, "JPEG 2000"),
    (0, b"\xff\xd8\xff\xf7", _KIND, "JPEG-LS"),
    (0, b"II\xbc\x01", _KIND, "JPEG XR"),
    (0, b"8BPS", _KIND, "Photoshop (PSD)"),
    (0, b"gimp xcf", _KIND, "GIMP (XCF)"),
    (0, b"%!PS", _KIND, "PostScript (EPS)"),
    (0, b"\xc5\xd0\xd3\xc6", _KIND, "PostScript (EPS)"),
    (0, b"\xd7\xcd\xc6\x9a", _KIND, "Windows Metafile (WMF)"),
    (40, b" EMF", _KIND, "Windows Metafile (EMF)"),
    (-18, b"TRUEVISION-XFILE", _KIND, "TGA"),
    (0, b"\0\0\2\0\0\0\0\0", _KIND, "TGA"),
    (0, b"\0\0\x0a\0\0\0\0\0", _KIND, "TGA"),
    (0, b"\0\0\2\0", _KIND, "cursor (CUR)"),
    (8, b"ACON", _KIND, "cursor (ANI)"),
    (0, b"icns", _KIND, "Apple icon (ICNS)"),
    (0, b"DDS ", _KIND, "DDS"),
    (0, b"qoif", _KIND, "QOI"),
    (0, b"BPG\xfb", _KIND, "BPG"),
    (0, b"FLIF", _KIND, "FLIF"),
    (0, b"\x8aMNG", _KIND, "MNG"),
    (0, b"\x8bJNG", _KIND, "JNG"),
    (0, b"AT&TFORM", _KIND, "DjVu"),
    (0, b"\xabKTX ", _KIND, "KTX"),
    (0, b"\x01\xda", _KIND, "SGI"),
    (0, b"\x0a\x05\x01\x08", _KIND, "PCX"),
    (0, b"\x76\x2f\x31\x01", _HDR, "OpenEXR"),
    (0, b"#?RADIANCE", _HDR, "Radiance"),
    (0, b"#?RGBE", _HDR, "Radiance"),
    (0, b"PF\n", _HDR, "PFM"),
    (128, b"DICM", _DATA, "DICOM"),
    (0, b"SIMPLE  =", _DATA, "FITS"),
    (0, b"\x89HDF\r\n", _DATA, "HDF5"),
    (0, b"\x93NUMPY", _DATA, "NumPy"),
    (344, b"n+1\0", _DATA, "NIfTI"),
    (0, b"IIRO", _RAW, "Olympus ORF"),
    (0, b"IIRS", _RAW, "Olympus ORF"),
    (0, b"IIU\0", _RAW, "Panasonic RW2"),
    (0, b"FUJIFILMCCD-RAW", _RAW, "Fujifilm RAF"),
    (0, b"FOVb", _RAW, "Sigma X3F"),
    (0, b"\x1a\x45\xdf\xa3", _VIDEO, "WebM, Matroska"),
    (8, b"AVI ", _VIDEO, "AVI"),
    (4, b"moov", _VIDEO, "QuickTime"),
    (4, b"mdat", _VIDEO, "QuickTime"),
    (0, b"\0\0\1\xba", _VIDEO, "MPEG"),
    (0, b"\0\0\1\xb3", _VIDEO, "MPEG"),
    (0, b"FLV\1", _VIDEO, "FLV"),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", _VIDEO, "Windows Media"),
    (8, b"WAVE", _AUDIO_FILE, "WAV"),
    (0, b"ID3", _AUDIO_FILE, "MP3"),
    (0, b"\xff\xfb", _AUDIO_FILE, "MP3"),
    (0, b"\xff\xf3", _AUDIO_FILE, "MP3"),
    (0, b"\xff\xf1", _AUDIO_FILE, "AAC"),
    (0, b"fLaC", _AUDIO_FILE, "FLAC"),
    (0, b"OggS", _AUDIO_FILE, "Ogg"),
)

_ACCEPTED_STARTS = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"\0\0\1\0", *STARTS)

# What may stand before the first element of an XML or HTML file.
_BEFORE = re.compile(r"(?:\s|<!--.*?-->|<\?.*?\?>|<!doctype\s[^>\[]*(?:\[[^\]]*\]\s*)?>)*", re.S)
_LOOKED_AT = 16_384

_Found: TypeAlias = tuple[Other, str]


def unknown_format(data: bytes) -> PictureError:
    """Return the error of a file that no decoder takes: it names what the file is, if known."""
    return (
        mistaken(data, ACCEPTED)
        or _by_looks(data)
        or unread_kind(data)
        or _cut_off(data)
        or text_file(data, ACCEPTED)
        or PictureError(
            f"This file is not a picture that can be read. Accepted are {ACCEPTED}.",
            "not_picture",
            accepted=ACCEPTED,
        )
    )


def _cut_off(data: bytes) -> PictureError | None:
    boxed = data[8:12] == b"WEBP" or _AVIF.intersection(_brands(data))
    accepted = data.startswith(_ACCEPTED_STARTS) or boxed
    return damaged() if accepted else None


def _by_looks(data: bytes) -> PictureError | None:
    found = next(filter(None, (look(data) for look in _LOOKS)), None)
    return None if found is None else _named(*found)


def _named(other: Other, kind: str) -> PictureError:
    code, sentence = other
    return PictureError(
        f"{sentence.format(kind=kind)} Accepted are {ACCEPTED}.",
        code,
        kind=kind,
        accepted=ACCEPTED,
    )


def _by_brand(data: bytes) -> _Found | None:
    """Name what comes in boxes, as video does."""
    brands = _brands(data)
    if not brands or _AVIF.intersection(brands):
        return None
    if brands[0] == b"crx ":
        return _RAW, "Canon CR3"
    if brands[0] in _AUDIO:
        return _AUDIO_FILE, "M4A"
    return _VIDEO, "QuickTime" if brands[0] == b"qt  " else "MP4"


def _by_start(data: bytes) -> _Found | None:
    for at, start, other, kind in _STARTS:
        found = data[at:] if at < 0 else data[at : at + len(start)]
        if found.startswith(start):
            return other, kind
    return None


def _by_markup(data: bytes) -> _Found | None:
    """Name a drawing or a page: what else looks like text is no picture of any kind."""
    if data.startswith(b"\x1f\x8b"):
        data = _unpacked(data)
    head = data[:_LOOKED_AT]
    code = "utf-16" if head.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    text = head.decode(code, "replace").lower()
    before = _BEFORE.match(text)
    rest = text[before.end() :] if before else text
    if re.match(r"<(?:\w+:)?svg\b", rest):
        return _SVG, "SVG"
    if re.match(r"<(?:html|head|body|title|meta)\b", rest) or "<!doctype html" in text[:1000]:
        return _HTML, "HTML"
    return (_SVG, "XML") if text.lstrip().startswith("<?xml") else None


def _unpacked(data: bytes) -> bytes:
    """Return the beginning of what was packed: svgz is SVG in gzip."""
    try:
        return zlib.decompressobj(31).decompress(data, _LOOKED_AT)
    except zlib.error:
        return b""


_LOOKS: tuple[Callable[[bytes], _Found | None], ...] = (_by_brand, _by_markup, _by_start)
