"""Pictures that are small files, and made to cost much."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

from PIL import Image, PngImagePlugin

HEADER = b"Exif\0\0"
EMPTY = b"MM\0*\0\0\0\x08\0\0"
"""A TIFF header and a directory of nothing."""

PROFILE = "Raw profile type exif"


def saved(format: str, picture: Image.Image | None = None, **options: Any) -> bytes:
    """Return a file of a picture; without one, of ten by ten pixels."""
    file = io.BytesIO()
    (picture or Image.new("RGB", (10, 10), "teal")).save(file, format, **options)
    return file.getvalue()


def headers(count: int) -> bytes:
    """Return EXIF data that begins so often."""
    return HEADER * count + EMPTY


def with_profile(kind: str, said: bytes) -> bytes:
    """Return a PNG with EXIF data in hexadecimal digits, in a chunk of a kind."""
    digits = f"\nexif\n{len(said):8d}\n{said.hex()}"
    texts = PngImagePlugin.PngInfo()
    if kind.startswith("iTXt"):
        texts.add_itxt(PROFILE, digits, zip=kind.endswith("packed"))
    else:
        texts.add_text(PROFILE, digits, zip=kind == "zTXt")
    return saved("PNG", pnginfo=texts)


def behind_the_pixels(png: bytes, kind: str) -> bytes:
    """Return a PNG whose chunk of a kind stands behind its pixels."""
    start, pixels, end = (png.index(name) - 4 for name in (kind.encode(), b"IDAT", b"IEND"))
    return png[:start] + png[pixels:end] + png[start:pixels] + png[end:]


def with_segments(*segments: tuple[int, bytes]) -> bytes:
    """Return a JPEG with segments, each a mark and what it says; it has no resolution."""
    jpeg = saved("JPEG")
    told = (struct.pack(">HH", 0xFF00 | mark, len(said) + 2) + said for mark, said in segments)
    return jpeg[:2] + b"".join(told) + jpeg[20:]


def with_scans(count: int) -> bytes:
    """Return a progressive JPEG whose last scan comes so often."""
    whole = saved("JPEG", Image.new("RGB", (64, 64), "red"), progressive=True)
    last = whole.rindex(b"\xff\xda")
    return whole[:last] + whole[last:-2] * count + whole[-2:]


def chunk(name: bytes, said: bytes = b"") -> bytes:
    """Return a chunk of a PNG."""
    return struct.pack(">I", len(said)) + name + said + struct.pack(">I", zlib.crc32(name + said))


def with_chunks(*chunks: bytes) -> bytes:
    """Return a PNG with chunks before its pixels."""
    png = saved("PNG")
    place = png.index(b"IDAT") - 4
    return png[:place] + b"".join(chunks) + png[place:]


def directory(entries: int, length: int) -> bytes:
    """Return EXIF data, so many entries of which share so many bytes of one place."""
    rows = [struct.pack("<HHLL", 40_000 + number, 7, length, 8) for number in range(entries)]
    return (
        b"II*\0"
        + struct.pack("<L", 8 + length)
        + bytes(length)
        + struct.pack("<H", entries)
        + b"".join(rows)
        + bytes(4)
    )


def with_comments(*comments: int) -> bytes:
    """Return a GIF with comments of so many full blocks."""
    gif = saved("GIF", Image.new("L", (10, 10), 90).convert("P"))
    told = (b"!\xfe" + (b"\xff" + bytes(255)) * blocks + b"\0" for blocks in comments)
    place = 13 + (3 << ((gif[10] & 7) + 1) if gif[10] & 0x80 else 0)
    return gif[:place] + b"".join(told) + gif[place:]
