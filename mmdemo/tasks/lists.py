"""A list as people type it, paste it or copy it out of a program.

Commas or lines part it as a rule. What a program prints as a list, a spreadsheet copies, or a text
numbers, is read as what it is: its brackets, quotes and bullets are no part of the labels.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from typing import Any

SEPARATORS = ",，、;；"

_CLOSING = {"[": "]", "(": ")", "{": "}"}
_QUOTED = re.compile(
    r"""\s*(?:np\.str_\()?(?:
        "(?P<double>(?:[^"\\]|\\.)*)(?P<end1>"|\Z)
      | '(?P<single>(?:[^'\\]|\\.)*)(?P<end2>'|\Z)
      | [“„](?P<curly>[^“”]*)(?P<end3>[“”]|\Z)
      | ‘(?P<thin>[^’]*)(?P<end4>’|\Z)
      | «(?P<guillemet>[^»]*)(?P<end5>»|\Z)
      | 「(?P<corner>[^」]*)(?P<end6>」|\Z)
    )\)?""",
    re.VERBOSE | re.DOTALL,
)
_BETWEEN = re.compile(rf"[ \t\r\f\v]*[{SEPARATORS}\n\t|][\s{SEPARATORS}|]*")
_SPACE = re.compile(rf"[\s{SEPARATORS}|]+")  # numpy prints a list without commas
_CELL = re.compile(rf'\s*"(?P<quoted>[^"]*)"\s*(?=[{SEPARATORS}]|\Z)|[^{SEPARATORS}]+')
_BULLET = re.compile(
    r"\s*(?:[-*+–—]\s+|[•‣▪◦·]\s*|\(?(?P<number>\d{1,4})(?:[.):](?=\D)|[、．])\s*)(?:\[[ xX]\]\s+)?"
)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_HEAD = re.compile(
    r"(?:labels?|names|class(?:es|_?names)?|categories|标签|类别)[ \t]*[:：=](?=\s*\S)",
    re.IGNORECASE,
)
_PRINTED = re.compile(  # as in "x = array(['bee', 'dog'], dtype='<U3')"
    r"(?:[A-Za-z_][\w.]*\s*[=:]\s*)?(?:[A-Za-z_][\w.]*\(\s*)?(?P<list>\[[^\[\]]*\]|\{[^{}]*\})"
    r"(?:,\s*\w+=[^,\[\](){}]*)*\)?;?"
)
_PAIR = re.compile(  # of a dict, as Python prints it
    r"""\s*(?P<key>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|\d+)\s*:
    \s*(?P<value>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[-+.\w]+)\s*(?:,\s*\}?\Z|,|\}\Z)""",
    re.VERBOSE | re.DOTALL,
)
_RULE = re.compile(r":?-+:?")  # between the head of a Markdown table and its rows


def split_list(text: str) -> list[Any]:
    r"""Split a list; what comes of it may hold blank items, and values of JSON that are no texts.

    Args:
        text: of a length that was checked.

    >>> split_list("cat, dog"), split_list("a cat, asleep\na dog")
    (['cat', ' dog'], ['a cat, asleep', 'a dog'])
    >>> split_list('["cat", "dog"]'), split_list("1. cat\n2. dog")
    (['cat', 'dog'], ['cat', 'dog'])
    """
    whole = text.strip().strip("\ufeff").strip()
    if head := _HEAD.match(whole):
        whole = whole[head.end() :].strip()
    for reading in (_of_json, _of_quoted, _of_dict, _of_printed):
        found = reading(whole)
        if found is not None:
            return found
    return _of_lines(_unbracketed(whole))


def _of_json(text: str) -> list[Any] | None:
    """Return the items of a JSON list, or the names in an object; None for anything else."""
    if not text.startswith(("[", "{")):
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):  # not JSON, or nested by somebody who means no list
        return None
    if isinstance(found, dict):
        lists = [value for value in found.values() if isinstance(value, list)]
        # `id2label` of a checkpoint has the names as values, a list of counts or scores as keys.
        named = all(isinstance(value, str) for value in found.values())
        found = lists[0] if len(lists) == 1 else list(found.values() if named else found)
    return [_written(one) for one in found]


def _written(value: Any) -> Any:
    """Return a number as a text; all else as it is."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return value
    return str(value)


def _of_quoted(text: str) -> list[str] | None:
    """Return the items of a list in which each is in quotes, perhaps cut off; None for others."""
    bracketed = text[:1] in _CLOSING
    place, items = int(bracketed), []
    while True:
        item = _QUOTED.match(text, place)
        if item is None:
            return None
        items.append(_unquoted(item))
        cut = not any(item[f"end{number}"] for number in range(1, 7))
        if cut and not bracketed:
            return None
        rest = text[item.end() :].strip() if len(text) - item.end() < 9 else "more"
        if rest.strip(SEPARATORS + ";])}") == "":
            return items
        gap = (_SPACE if bracketed else _BETWEEN).match(text, item.end())
        if gap is None:
            return None
        if gap.end() == len(text) or (bracketed and text[gap.end() :] in _CLOSING.values()):
            return items
        place = gap.end()


def _of_dict(text: str) -> list[str] | None:
    """Return the names in a dict as Python prints it; None for anything else."""
    place, keys, values = 1, [], []
    while text.startswith("{") and place < len(text):
        pair = _PAIR.match(text, place)
        if pair is None:
            return None
        keys.append(pair["key"])
        values.append(pair["value"])
        place = pair.end()
    chosen = values if all(value[0] in "\"'" for value in values) else keys
    quoted = [(_QUOTED.match(one), one) for one in chosen]
    return [one if found is None else _unquoted(found) for found, one in quoted] or None


def _of_printed(text: str) -> list[str] | None:
    """Return the items of a list of texts in what a program prints around it; None for others."""
    found = _PRINTED.fullmatch(text)
    return None if found is None else _of_quoted(found["list"])


def _unquoted(item: re.Match[str]) -> str:
    told = next(one for one in item.groups()[::2] if one is not None)
    if item["double"] is not None:
        try:
            return str(json.loads(f'"{told}"', strict=False))
        except ValueError:
            pass
    if item["double"] is not None or item["single"] is not None:
        return _ESCAPED.sub(r"\1", told)
    return told


def _unbracketed(text: str) -> str:
    """Return a list without the brackets around it; brackets of its items stay."""
    closing = _CLOSING.get(text[:1])
    if closing is None or not any(sign in text for sign in SEPARATORS):
        return text
    inside = text[1:-1] if text.endswith(closing) else text[1:]
    whole = text.endswith(closing) or (text[0] == "[" and closing not in text)
    return inside if whole and not any(sign in inside for sign in "[](){}") else text


def _of_lines(text: str) -> list[str]:
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) > 1 and all(line.strip().startswith("|") for line in lines):
        cells = [cell for line in lines for cell in line.strip().strip("|").split("|")]
        return [cell for cell in cells if not _RULE.fullmatch(cell.strip())]
    if len(lines) > 1:
        cells = [cell for line in _unbulleted(lines) for cell in line.split("\t")]
        found = [cell.strip(SEPARATORS + " ") for cell in cells]  # "cat,⏎dog," is common
        quoted = _of_quoted("\n".join(found)) if found and found[0][:1] in "\"'“「«‘" else None
        return found if quoted is None or len(quoted) != len(found) else quoted
    return _unbulleted(_of_line(text))


def _of_line(line: str) -> list[str]:
    """Return what a single line holds: cells of a spreadsheet, else what commas or bars part."""
    cells = line.split("\t")
    listed = any(cell.strip()[-1:] in SEPARATORS for cell in cells[:-1] if cell.strip())
    if len(cells) > 1 and not listed:
        return cells
    if any(sign in line for sign in SEPARATORS):
        return [_cell(found) for found in _CELL.finditer(line)]
    return line.split("|")


def _cell(found: re.Match[str]) -> str:
    """Return an item; one in quotes may hold commas, and keeps its quotes where it has none."""
    inside = found["quoted"]
    held = inside is not None and any(sign in inside for sign in SEPARATORS)
    return inside if inside is not None and held else found.group()


def _unbulleted(lines: Sequence[str]) -> list[str]:
    """Return lines without their bullets or numbers, where each has one."""
    found = [_BULLET.match(line) for line in lines]
    if len(lines) < 2 or not all(found):
        return list(lines)
    numbers = [int(one["number"]) for one in found if one and one["number"]]
    # Markdown counts for itself, and lets all be 1.
    ways = [list(range(first, first + len(lines))) for first in numbers[:1]]
    if numbers and numbers not in [*ways, [1] * len(lines)]:
        return list(lines)
    return [line[one.end() :] for line, one in zip(lines, found, strict=True) if one]
