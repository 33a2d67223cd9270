"""Errors whose message is written for the person at the screen.

Each message says what was wrong, what is accepted and how to fix it. The page, the endpoints and
the command line all show it as it stands, so it must hold no path of this machine, no traceback.
"""

from __future__ import annotations

import copy
import difflib
from collections.abc import Iterable, Mapping
from typing import NamedTuple


class Place(NamedTuple):
    """Where something is wrong: the second of three pictures, a field of the page.

    Attributes:
        message: its name in English.
        code: of the name in other languages.
        values: what the name mentions.
    """

    message: str
    code: str
    values: Mapping[str, object]


class MMDemoError(Exception):
    """Base of every error that mmdemo raises on purpose.

    Attributes:
        message: the sentence in English, without the places.
        code: of the sentence in other languages, and for who counts what went wrong.
        values: what the sentence mentions.
        places: where it went wrong, the widest first; they stand before the sentence.
    """

    def __init__(self, message: str, code: str = "", **values: object) -> None:
        """Make an error.

        Args:
            message: the sentence in English.
            code: of the sentence; `ui/strings` has it in other languages.
            **values: what the sentence mentions.
        """
        super().__init__(message, code)
        self.message = message
        self.code = code
        self.values = values
        self.places: tuple[Place, ...] = ()

    @classmethod
    def told(
        cls, message: str, code: str, values: Mapping[str, object], places: Iterable[Place]
    ) -> MMDemoError:
        """Return an error that was raised elsewhere, in another process.

        Args:
            message: of that error.
            code: of that error.
            values: of that error.
            places: of that error.
        """
        error = cls(message)
        error.args, error.code = (message, code), code
        error.values, error.places = dict(values), tuple(places)
        return error

    def __str__(self) -> str:
        """Return places and sentence in English."""
        return ": ".join([*(place.message for place in self.places), self.message])

    def within(self, message: str, code: str, **values: object) -> MMDemoError:
        """Return this error as one of the same class that also says where it went wrong.

        Args:
            message: the place in English.
            code: of its name.
            **values: what the name mentions.

        >>> error = TextError("The text is empty.", "text_empty")
        >>> str(error.within("Item 2", "item_at", number=2))
        'Item 2: The text is empty.'
        """
        found = self.again()
        found.places = (Place(message, code, values), *self.places)
        return found

    def again(self) -> MMDemoError:
        """Return a copy: one that is raised over and over gathers the traces of all of them."""
        return copy.copy(self)


class PictureError(MMDemoError):
    """A picture that cannot be read, or that is over a limit."""


class TextError(MMDemoError):
    """A text that is missing, of the wrong type, or over a limit."""


class ModelError(MMDemoError):
    """A model that is unknown, incomplete, or cannot do what was asked of it."""


class DownloadError(MMDemoError):
    """Weights that could not be fetched."""


class BusyError(MMDemoError):
    """More at once than one caller may have, or than there is room for."""


class SettingError(MMDemoError):
    """An environment variable with a value that makes no sense."""


class StoppedError(MMDemoError):
    """Work that ended because nobody wants its result any more."""

    def __init__(self, message: str = "Stopped.", code: str = "stopped") -> None:
        """Make an error."""
        super().__init__(message, code)


def checked_signs(text: str) -> str:
    """Return a text if it is made of signs alone: half of one can be neither read nor sent on.

    JSON can hold such a half, a lone surrogate, as no keyboard can.

    Raises:
        TextError: it holds one.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise TextError(
            "The text holds half of a sign (a lone surrogate). Type the sign again.",
            "text_surrogate",
        ) from error
    return text


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `` Did you mean 'x'?`` for the closest known word, or an empty string.

    >>> did_you_mean("mimi", ["mini", "bge-m3"])
    " Did you mean 'mini'?"
    """
    close = difflib.get_close_matches(word, list(known), n=1)
    return f" Did you mean '{close[0]}'?" if close else ""
