"""The strings of the page as files: read from all of its folders, and looked through for slips.

A file named `strings.toml` has a table for each string, with all languages side by side. Which
languages there are says `common.toml`; what errors say in them, `errors.toml`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from string import Formatter
from typing import Any, NamedTuple

_COMMON = "strings/common.toml"
_ERRORS = "strings/errors.toml"
# Tables that are no strings: of the first file the languages, of the second what its strings share.
_LANGUAGES = "languages"
_PARTS = "parts"


class Strings(NamedTuple):
    """What the files hold.

    Attributes:
        languages: their own names by code; the page is built in the first.
        text: by key, then by language.
        errors: by an error's code, then by language; all but the first, which the error brings.
        faults: what is wrong or missing in the files, a line each.
    """

    languages: dict[str, str]
    text: dict[str, dict[str, str]]
    errors: dict[str, dict[str, str]]
    faults: tuple[str, ...]


def read(folder: Path) -> Strings:
    """Read every file of strings in a folder and those inside it.

    Args:
        folder: `mmdemo/ui`, or what stands for it.

    Raises:
        ValueError: a file is no TOML, or `common.toml` has no languages.
    """
    common, errors = _table(folder / _COMMON), _table(folder / _ERRORS)
    languages = common.pop(_LANGUAGES, {})
    if not languages:
        raise ValueError(f"{_COMMON} has no languages")
    parts = errors.pop(_PARTS, {})
    files = {_COMMON: common} | {
        path.relative_to(folder).as_posix(): _table(path)
        for path in sorted(folder.rglob("strings.toml"))
    }
    others = list(languages)[1:]
    errors_and_parts = {_ERRORS: errors | {f"{_PARTS}.{name}": one for name, one in parts.items()}}
    return Strings(
        languages=languages,
        text={key: text for table in files.values() for key, text in table.items()},
        errors={code: _whole(text, parts) for code, text in errors.items()},
        faults=(
            *_twice(files),
            *_slips(files, list(languages)),
            *_slips(errors_and_parts, others),
        ),
    )


def fields(text: str) -> set[str]:
    """Return the names of the values that a string mentions.

    Raises:
        ValueError: its braces do not match.
    """
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


def _table(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path}: {error}") from error


def _whole(text: Any, parts: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Return a string in each language, with the parts that it names put in."""
    whole = dict(text) if isinstance(text, dict) else {}
    for name, part in parts.items():
        for language, words in part.items():
            if language in whole:
                whole[language] = whole[language].replace(f"{{{name}}}", words)
    return whole


def _twice(files: Mapping[str, Mapping[str, object]]) -> Iterator[str]:
    first: dict[str, str] = {}
    for file, table in files.items():
        for key in table:
            if first.setdefault(key, file) != file:
                yield f"{file}: '{key}' is in {first[key]} already"


def _slips(files: Mapping[str, Mapping[str, Any]], languages: Collection[str]) -> Iterator[str]:
    for file, table in files.items():
        for key, text in table.items():
            for slip in _slips_of(text, languages):
                yield f"{file}: '{key}' {slip}"


def _slips_of(text: Any, languages: Collection[str]) -> Iterator[str]:
    """Yield what is wrong with a string: a language, or a value that only some languages have."""
    if not isinstance(text, dict) or not all(isinstance(one, str) for one in text.values()):
        yield "is no table of strings"
        return
    if missing := [language for language in languages if language not in text]:
        yield f"is missing in: {', '.join(missing)}"
    if unknown := [language for language in text if language not in languages]:
        yield f"has languages that are not expected here: {', '.join(unknown)}"
    try:
        named = [fields(words) for words in text.values()]
    except ValueError as error:
        yield f"has braces that do not match: {error}"
        return
    every = set[str]().union(*named)
    if some := {name for name in every if any(name not in one for one in named)}:
        yield f"has values that only some languages mention: {', '.join(sorted(some))}"
    if odd := [name for name in every if not name.isidentifier()]:
        yield f"has values without a name: {', '.join(f'{{{name}}}' for name in sorted(odd))}"
