"""Every visible string, in every language of the page: data, in files beside what shows it.

`say(language, key, **values)` fills in values that the caller has already escaped where they are a
visitor's own words. Technical terms (embedding, cosine, `i2it`) stay as the field writes them.
"""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

from mmdemo.ui.strings.files import Strings, read

Language: TypeAlias = str
"""A code of `LANGUAGES`."""

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
        **values: what the string mentions, escaped already where it goes into markup.
    """
    # A number and its per-cent sign stay on one line.
    return TEXT[key][language].format(**values).replace(" %", "\u00a0%")
