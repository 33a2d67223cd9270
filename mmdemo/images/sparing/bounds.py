"""How much of everything but pixels a picture may have, and what is said where it has more."""

from __future__ import annotations

from typing import NamedTuple

from mmdemo.errors import PictureError
from mmdemo.types import Note

LONGEST = 65_536
"""Most bytes of metadata that are read: the length that a JPEG gives them in one piece."""

_PIECES = 100_000
_BYTES_A_PIECE = 100


class Less(NamedTuple):
    """A file without what costs.

    Attributes:
        data: the bytes; the same where nothing was left out.
        said: whether what was left out may have said how the pixels are meant.
    """

    data: bytes
    said: bool


def most_pieces(size: int) -> int:
    """Return of how many parts a file may be made.

    Encoders write parts of 8 kB in a PNG, of 64 kB in a JPEG, of 256 bytes in a GIF. Pillow takes a
    few microseconds a part.

    Args:
        size: of the file, in bytes.
    """
    return _PIECES + size // _BYTES_A_PIECE


def too_many_pieces(limit: int) -> PictureError:
    """Return the error for a file that is cut into parts so small that they take long to read."""
    return PictureError(
        f"This picture file is cut into more than {limit:,} small parts, which would take very "
        "long to read. Open it in a picture viewer and save it again.",
        "pieces",
        limit=f"{limit:,}",
    )


def unread() -> Note:
    """Return what is said of a picture whose metadata was left out."""
    return Note(
        "metadata_unread",
        {},
        "The picture's metadata is far larger than any camera's and was not read: if it says that "
        "the picture is turned, or how its colours are meant, neither was heeded.",
    )
