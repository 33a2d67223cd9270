"""GIF: blocks (GIF89a, sections 15 to 26)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mmdemo.images.sparing.bounds import LONGEST, Less, most_pieces, too_many_pieces

# An extension, a picture, the end: Pillow passes over everything else.
_BLOCK = re.compile(rb"[!,;]")
_COMMENT = b"!\xfe"


def without_costs(data: bytes) -> Less:
    """Return a GIF without its comments where they are long: Pillow copies all for each new part.

    Raises:
        PictureError: it is cut into too many blocks.
    """
    comments = list(_comments(data))
    if sum(end - start for start, end in comments) <= LONGEST:
        return Less(data, said=False)
    kept, place = [], 0
    for start, end in comments:
        kept.append(data[place:start])
        place = end
    return Less(b"".join([*kept, data[place:]]), said=False)


def _comments(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield where comments begin and end.

    Raises:
        PictureError: there are too many blocks.
    """
    left, place = most_pieces(len(data)), 13 + _colours(data, 10)
    while found := _BLOCK.search(data, place):
        start, place = found.start(), found.end()
        if found[0] == b";":
            return
        place += 10 + _colours(data, start + 9) if found[0] == b"," else 1
        while place < len(data) and data[place] and left > 0:
            place, left = place + 1 + data[place], left - 1
        place, left = place + 1, left - 1
        if left <= 0:
            raise too_many_pieces(most_pieces(len(data)))
        if data.startswith(_COMMENT, start):
            yield start, place


def _colours(data: bytes, flags: int) -> int:
    """Return the length of a table of colours, by the byte that says whether there is one."""
    told = data[flags] if flags < len(data) else 0
    return 3 << ((told & 7) + 1) if told & 0x80 else 0
