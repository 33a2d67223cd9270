"""JPEG: segments, what they say, and scans (ITU-T T.81, annex B)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from mmdemo.errors import PictureError
from mmdemo.images.sparing import tiff
from mmdemo.images.sparing.bounds import LONGEST, Less, most_pieces, too_many_pieces

_EXIF = b"Exif\0\0"
_MPF = b"MPF\0"
_MOST_EXIF = 20
_MOST_SCANS = 100

# A scan's mark, and its length, which follows from the number of its components: a decoder takes no
# other. The mark alone is met by chance in what phones append to a photo.
_SCAN = re.compile(rb"\xff\xda\x00(?:\x08\x01|\x0a\x02|\x0c\x03|\x0e\x04)")
_MARK = re.compile(rb"\xff+([^\xff])", re.DOTALL)
# Among coded pixels a byte FF is followed by 00, and restarts are no end.
_MARK_IN_SCAN = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])", re.DOTALL)

_APP1, _APP2, _SOS, _EOI = 0xE1, 0xE2, 0xDA, 0xD9
_ALONE = {0x00, 0x01, *range(0xD0, 0xDA)}


class _Segment(NamedTuple):
    """A part of a JPEG: its mark, and where what it says begins and ends."""

    mark: int
    start: int
    end: int


def without_costs(data: bytes) -> Less:
    """Return a JPEG without EXIF data that would cost much.

    Such data is made unknown where it stands, so that what refers to places in the file still
    holds.

    Raises:
        PictureError: it has too many scans, headers of EXIF data, or segments.
    """
    if len(_SCAN.findall(data)) > _MOST_SCANS and _scans(data) > _MOST_SCANS:
        raise PictureError(
            f"This JPEG goes over its pixels more than {_MOST_SCANS} times, which would take very "
            "long to decode. Open it in a picture viewer and save it again, as a plain JPEG.",
            "scans",
            limit=_MOST_SCANS,
        )
    head = list(_head(data))
    exif = _starting(data, head, _APP1, _EXIF)
    said = b"".join(data[one.start + len(_EXIF) : one.end] for one in exif)
    if sum(data.count(_EXIF, one.start, one.end) for one in exif) > _MOST_EXIF:
        raise PictureError(
            f"The metadata of this JPEG begins more than {_MOST_EXIF} times, which would take very "
            "long to read. Open it in a picture viewer and save it again.",
            "exif_headers",
            limit=_MOST_EXIF,
        )
    costly = exif if len(said) + len(_EXIF) > LONGEST or tiff.exif_costs(said) else []
    several = _starting(data, head, _APP2, _MPF)
    costly = [*costly, *(one for one in several if tiff.exif_costs(data[one.start + 4 : one.end]))]
    if not costly:
        return Less(data, said=False)
    less = bytearray(data)
    for one in costly:
        less[one.start] |= 0x20  # a small letter, which begins nothing that is known
    return Less(bytes(less), said=True)


def _starting(data: bytes, head: list[_Segment], mark: int, start: bytes) -> list[_Segment]:
    return [one for one in head if one.mark == mark and data.startswith(start, one.start)]


def _head(data: bytes) -> Iterator[_Segment]:
    """Yield the segments before the first scan, as Pillow finds them.

    Raises:
        PictureError: they are too many, or there is too much between them: Pillow goes over that
            byte by byte.
    """
    most, place = most_pieces(0) // 10, 2
    for _ in range(most):
        found = _MARK.search(data, place)
        if not found or found[1][0] == _SOS:
            break
        if found.end() - place > LONGEST:
            raise too_many_pieces(LONGEST)
        place, mark = found.end(), found[1][0]
        if mark not in _ALONE:
            end = place + max(2, int.from_bytes(data[place : place + 2], "big"))
            yield _Segment(mark, place + 2, end)
            place = end
    else:
        raise too_many_pieces(most)


def _scans(data: bytes) -> int:
    """Return how many scans a decoder finds: not those of pictures that are appended to this one.

    Raises:
        PictureError: there are too many segments to count.
    """
    scans, place, most = 0, 2, most_pieces(0)
    for _ in range(most):
        found = _MARK_IN_SCAN.search(data, place)
        if not found or found[1][0] == _EOI:
            return scans
        place, mark = found.end(), found[1][0]
        scans += mark == _SOS
        if mark not in _ALONE:
            place += max(2, int.from_bytes(data[place : place + 2], "big"))
    raise too_many_pieces(most)
