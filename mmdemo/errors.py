"""Errors whose message is written for the person at the screen.

Each message says what was wrong, what is accepted and how to fix it. The page, the endpoints and
the command line all show it as it stands, so it must hold no path of this machine, no traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class MMDemoError(Exception):
    """Base of every error that mmdemo raises on purpose.

    Attributes:
        code: name of the sentence, for a translation; empty where there is none.
        values: what the sentence mentions.
    """

    def __init__(self, message: str, code: str = "", **values: object) -> None:
        """Make an error.

        Args:
            message: the sentence in English.
            code: name of the sentence; `ui/strings/errors.toml` translates it.
            **values: what the sentence mentions.
        """
        super().__init__(message)
        self.code = code
        self.values = values


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

    def __init__(self, message: str = "Stopped.", code: str = "stopped", **values: object) -> None:
        """Make an error."""
        super().__init__(message, code, **values)


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
