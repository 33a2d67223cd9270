"""What a file would cost beside its pixels, known from its bytes, before a decoder has them.

Limits on bytes and pixels bound memory, and not work: a few kilobytes of metadata, of scans without
content or of parts without length keep a decoder busy for minutes. Nobody's picture has so many;
what is only metadata is left out, and the picture read without it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from mmdemo.images.sparing import gif, jpeg, png, tiff
from mmdemo.images.sparing.bounds import LONGEST, unread
from mmdemo.types import Note

if TYPE_CHECKING:
    from PIL import Image

# The entry of an item in an AVIF file that says that it is EXIF data: its number, how it is
# protected, and its type. That a picture is turned stands elsewhere in such a file, and counts in
# any case: leaving this out loses nothing.
_EXIF_ITEM = re.compile(rb"(infe(?:\x02.{3}.{2}|\x03.{3}.{4}).{2})Exif", re.DOTALL)


class Spared(NamedTuple):
    """A file that costs no more than its pixels.

    Attributes:
        data: the bytes of the file, without what would cost too much.
        notes: that something was left out.
    """

    data: bytes
    notes: tuple[Note, ...] = ()


def spared(data: bytes) -> Spared:
    """Return a file without metadata that is made to cost.

    Args:
        data: any file; of formats that are not known here it is returned as it is.

    Raises:
        PictureError: what costs is not metadata: scans, or the parts that a file is cut into.
    """
    for start, without in (
        (b"\xff\xd8\xff", jpeg.without_costs),
        (b"\x89PNG\r\n\x1a\n", png.without_costs),
        (b"GIF8", gif.without_costs),
    ):
        if data.startswith(start):
            less = without(data)
            return Spared(less.data, (unread(),) if less.said else ())
    if data[4:8] == b"ftyp":
        return Spared(_EXIF_ITEM.sub(rb"\1none", data))
    if tiff.is_tiff(data):
        tiff.check(data)
    return Spared(data)


def drop_long_metadata(picture: Image.Image) -> tuple[Note, ...]:
    """Take from an opened picture what would take Pillow long to read, before anything reads it.

    To be called after opening and once more after loading: what stands behind the pixels of a file
    is found out by then.

    Args:
        picture: its `info` is changed.

    Returns:
        A note where something was taken.
    """
    long = [key for key, value in picture.info.items() if _costs(key, value)]
    for key in long:
        del picture.info[key]
    return (unread(),) if long else ()


def _costs(key: object, value: object) -> bool:
    if key == "exif" and value is not None:  # as pillow-heif has it where there is none
        return not isinstance(value, bytes) or len(value) > LONGEST or tiff.exif_costs(value)
    if key == "Raw profile type exif":
        return not isinstance(value, str) or len(value) > 2 * LONGEST
    return False
