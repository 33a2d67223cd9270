"""A large picture a few lines at a time, so that what is made of it on the way stays small."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from PIL import Image

_PIXELS = 1_000_000  # of a strip


class Strip(NamedTuple):
    """Some lines of a picture.

    Attributes:
        top: the number of its first line.
        image: of the picture's mode and width.
    """

    top: int
    image: Image.Image


def strips(picture: Image.Image) -> Iterator[Strip]:
    """Yield a picture in strips, from its top to its end; a small one as it is."""
    lines = lines_of_strips(picture.width)
    if lines >= picture.height:
        yield Strip(0, picture)
        return
    for top in range(0, picture.height, lines):
        end = min(top + lines, picture.height)
        yield Strip(top, picture.crop((0, top, picture.width, end)))


def lines_of_strips(width: int) -> int:
    """Return how many lines a strip has, at least 1."""
    return max(1, _PIXELS // width)


def in_strips(
    picture: Image.Image, convert: Callable[[Image.Image], Image.Image], mode: str
) -> Image.Image:
    """Return what becomes of a picture whose lines do not depend on each other.

    Args:
        picture: any mode.
        convert: makes pixels of the mode from those of a strip.
        mode: of the result.
    """
    converted = Image.new(mode, picture.size)
    for strip in strips(picture):
        converted.paste(convert(strip.image), (0, strip.top))
    return converted
