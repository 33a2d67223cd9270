"""The example pictures that ship, and what the page offers ready-made: comparisons, rankings."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from mmdemo.weights import ASSETS

FOLDER = ASSETS / "examples"


@dataclass(frozen=True)
class Example:
    """A ready-made comparison.

    Attributes:
        image1: file below `assets/examples`.
        image2: likewise.
        text_en: the text in English.
        text_zh: the same in Chinese.
    """

    image1: str
    image2: str
    text_en: str
    text_zh: str

    @property
    def paths(self) -> tuple[Path, Path]:
        """Return the two picture files."""
        return FOLDER / self.image1, FOLDER / self.image2

    def text(self, language: str) -> str:
        """Return the text in `en` or `zh`."""
        return self.text_zh if language == "zh" else self.text_en


@lru_cache(maxsize=1)
def examples() -> tuple[Example, ...]:
    """Return the ready-made comparisons; the first is what the page opens with."""
    rows = json.loads((FOLDER / "comparisons.json").read_text(encoding="utf-8"))
    return tuple(Example(**row) for row in rows)


@dataclass(frozen=True)
class RankingExample:
    """A ready-made query with its passages.

    Attributes:
        name: for the label of its button.
        query: the query.
        passages: some answer it, some only share its words.
    """

    name: str
    query: str
    passages: tuple[str, ...]


@lru_cache(maxsize=1)
def ranking_examples() -> tuple[RankingExample, ...]:
    """Return the ready-made rankings; the first is what the tab opens with."""
    rows = json.loads((FOLDER / "passages.json").read_text(encoding="utf-8"))
    return tuple(RankingExample(row["name"], row["query"], tuple(row["passages"])) for row in rows)
