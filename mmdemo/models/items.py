"""What goes into `encode`: read, checked, and named by a digest of its content."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from PIL import Image

from mmdemo.errors import PictureError, TextError, checked_signs
from mmdemo.images import ImageSource, Picture, as_image, as_source, digest_of
from mmdemo.models.store import pair_digest, text_digest
from mmdemo.settings import limits
from mmdemo.signs import has_visible
from mmdemo.types import Item, Modality

Input: TypeAlias = str | Image.Image | Path | Picture | Mapping[str, object] | Item
"""A text, a picture, a `Path` to one, `{"image": …, "text": …}`, or an `Item`.

A plain `str` is always a text; inside a mapping, `"image"` may also be a path as `str`.
"""

SINGLE = (str, Image.Image, Path, Picture, Mapping, Item)
"""The types of one input; anything else is a sequence of them."""


class Pictured:
    """The picture of an item: a file, or what a program has in memory.

    Attributes:
        digest: of its content.
    """

    def __init__(self, source: object) -> None:
        """Look at it; a file whose digest is known is not opened.

        Raises:
            PictureError: it cannot be read, or is none.
        """
        # What is no picture of any kind is refused there.
        self._source = as_source(source)  # pyright: ignore[reportArgumentType]
        if isinstance(self._source, Picture):
            self.digest = self._source.digest
        else:
            self.digest = digest_of(self._source)

    def open(self) -> Image.Image:
        """Return the pixels: of a file as a person sees it, else as they are in memory."""
        return as_image(self._source)

    def close(self) -> None:
        """Let go of a file's pixels."""
        if isinstance(self._source, Picture):
            self._source.close()


@dataclass(frozen=True, eq=False)
class Wanted:
    """An item that was read.

    Attributes:
        digest: of all its content.
        text: or None.
        picture: or None.
    """

    digest: bytes
    text: str | None
    picture: Pictured | None

    @property
    def modality(self) -> Modality:
        """Return `fused` where both are there, else the one that is."""
        if self.picture is None:
            return "text"
        return "image" if self.text is None else "fused"


def read_item(item: object, longest: int, pictures: dict[int, Pictured]) -> Wanted:
    """Read an input.

    Args:
        item: any `Input`.
        longest: most characters of a text.
        pictures: those of the same call that were looked at before, by identity: one that comes
            alone and with a text is looked at once. Whoever calls keeps the items meanwhile.

    Raises:
        PictureError: a picture cannot be read.
        TextError: a text is empty, too long or not a text, or it is none of the accepted types.
    """
    text, image = _parts(item)
    if image is None:
        text = checked_text(text, longest)
        return Wanted(text_digest(text), text, None)
    if isinstance(text, str) and not has_visible(text):
        text = None  # a picture with an empty text is the picture alone
    if text is not None:
        text = checked_text(text, longest)
    if id(image) not in pictures:
        pictures[id(image)] = Pictured(image)
    picture = pictures[id(image)]
    digest = picture.digest if text is None else pair_digest(picture.digest, text)
    return Wanted(digest, text, picture)


def _parts(item: object) -> tuple[object, object]:
    """Return an input's text and its picture, either of them perhaps None."""
    if isinstance(item, Item):
        return item.text, item.image
    if isinstance(item, str):
        return item, None
    if isinstance(item, Image.Image | Path | Picture):
        return None, item
    if isinstance(item, Mapping) and item and set(item) <= {"image", "text"}:
        return item.get("text"), item.get("image")
    given = _described(item)
    raise TextError(
        "An item is a text, a picture, a pathlib.Path to one, or "
        f"{{'image': …, 'text': …}}; given was {given}.",
        "no_item",
        given=given,
    )


def listed(given: Any) -> list[Any]:
    """Return a list of what somebody gave as one: a list, a tuple, an array, a column, a generator.

    Args:
        given: texts as a rule; whether each is one is for others to check.

    Raises:
        TextError: it is no list, or one without an order of its own, or of tables.
    """
    unordered = isinstance(given, set | frozenset)
    single = isinstance(given, str | bytes | bytearray | Mapping) or not isinstance(given, Iterable)
    # Of a table, Python's loop gives the names of its columns.
    if single or unordered or getattr(given, "ndim", 1) != 1:
        found = _described(given)
        raise TextError(
            f"A list of texts was expected, not {found}. Give a list, a text an entry"
            f"{', in the order that is meant: a set has none' if unordered else ''}.",
            "no_text_list",
            given=found,
        )
    # Of an array of numpy, a text is of a class of its own.
    return [str(one) if isinstance(one, str) else one for one in given]


def listed_pictures(given: Iterable[ImageSource] | ImageSource) -> list[ImageSource]:
    """Return a list of the pictures that somebody gave, one or several.

    Args:
        given: a picture, or a list of them; whether each is one is for others to check.

    Raises:
        PictureError: it is neither. What is left of a file or of its bytes would be taken apart.
    """
    if isinstance(given, str | bytes | Path | Image.Image | Picture):
        return [given]
    apart = isinstance(given, bytearray | memoryview | Mapping | np.ndarray | io.IOBase)
    if apart or not isinstance(given, Iterable):
        raise PictureError(
            f"Pictures are PIL pictures, paths, or the bytes of files, not {type(given).__name__}."
            " Image.fromarray makes a picture of an array.",
            "no_pictures",
            given=type(given).__name__,
        )
    return list(given)


def checked_text(text: object, longest: int | None = None) -> str:
    """Return the text if a model can embed it.

    Args:
        text: what was given.
        longest: most characters; by default `MMDEMO_LIMITS_TEXT`.

    Raises:
        TextError: not a text, empty, or longer than the limit.
    """
    checked = checked_length(text, longest or limits().text)
    if not has_visible(checked):
        if checked.strip():
            raise TextError(
                "The text is empty: nothing in it can be seen. Type at least one word.",
                "text_invisible",
            )
        raise TextError("The text is empty. Type at least one word.", "text_empty")
    return checked


def checked_length(text: object, longest: int) -> str:
    """Return the text if it is not too long; an empty one too.

    Args:
        text: what was given.
        longest: most characters.

    Raises:
        TextError: not a text, or longer than the limit.
    """
    if not isinstance(text, str):
        given = _described(text)
        raise TextError(f"A text was expected, not {given}.", "no_text", given=given)
    if len(text) > longest:
        raise TextError(
            f"The text has {len(text):,} characters; at most {longest:,} are accepted. Shorten it.",
            "text_length",
            length=f"{len(text):,}",
            limit=f"{longest:,}",
        )
    return checked_signs(text)


def _described(item: object) -> str:
    """Return what somebody gave, as Python would write its type."""
    if isinstance(item, Mapping):
        return f"{type(item).__name__} {sorted(map(str, item))}"
    return "None" if item is None else type(item).__name__
