"""Every visible string, in every language of the page: data, in files beside what shows it.

They are plain text, and so is what `say(language, key, **values)` returns: what goes into markup is
escaped there. Technical terms (embedding, cosine, `i2it`) stay as the field writes them.
"""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias, TypeVar

from markupsafe import Markup, escape

from mmdemo.ui.strings.files import Strings, read

Language: TypeAlias = str
"""A code of `LANGUAGES`."""

_Said = TypeVar("_Said", str, Markup)

_STRINGS = read(Path(__file__).parent.parent)

LANGUAGES: tuple[tuple[str, Language], ...] = tuple(
    (name, code) for code, name in _STRINGS.languages.items()
)
"""Own name and code of each."""

CODES: tuple[Language, ...] = tuple(_STRINGS.languages)

FIRST: Language = CODES[0]
"""What the page is built in."""

TEXT: dict[str, dict[Language, str]] = _STRINGS.text
"""By key, then by language."""

ERRORS: dict[str, dict[Language, str]] = _STRINGS.errors
"""What errors say in the other languages, by the code that `errors.MMDemoError` carries. In the
first, it is the message itself, written where the error is raised.
"""


def check(strings: Strings = _STRINGS) -> None:
    """Refuse strings that somebody would miss, all of them in one message.

    Raises:
        ValueError: a key is in two files, a language is missing, or a value in one of them.
    """
    if strings.faults:
        raise ValueError("\n".join(("The strings of the page have faults:", *strings.faults)))


def say(language: Language, key: str, **values: object) -> str:
    """Return a string of the page.

    Args:
        language: a code of `LANGUAGES`.
        key: a key of `TEXT`.
        **values: what the string mentions.
    """
    return _together(TEXT[key][language].format(**values))


def say_markup(language: Language, key: str, **values: object) -> Markup:
    """Return a string of the page as markup, for a value that is markup itself.

    Args:
        language: a code of `LANGUAGES`.
        key: a key of `TEXT`.
        **values: what the string mentions; escaped, but for markup.
    """
    return _together(escape(TEXT[key][language]).format(**values))


def _together(said: _Said) -> _Said:
    """Keep a number and its per-cent sign on one line."""
    return said.replace(" %", "\u00a0%")
