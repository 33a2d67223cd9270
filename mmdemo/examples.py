"""The example pictures that ship, and what the page offers ready-made: comparisons, rankings.

Beside each comparison, sample text, and label set of the zero-shot tab stands as data what is right
and what the embedded model says, by how much at least. A test holds the model to it; where the two
differ, the page says beforehand that the model gets this wrong.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from mmdemo.assets import ASSETS
from mmdemo.tasks.prompts import LABEL_SETS, in_language
from mmdemo.types import Verdict

FOLDER = ASSETS / "examples"


@dataclass(frozen=True)
class Expected:
    """What the embedded model says of two pictures and a text.

    Attributes:
        shows: its verdict on each picture.
        more: the picture, 1 or 2, that shows the text more; 0 where that is not the point.
        margin: by how much more at least, as a chance in 0..1.
    """

    shows: tuple[Verdict, Verdict]
    more: int = 0
    margin: float = 0.0


@dataclass(frozen=True)
class Example:
    """A ready-made comparison.

    Attributes:
        image1: file below `assets/examples`.
        image2: likewise.
        texts: the text by language; for a page in another, the first has to do.
        right: whether each picture shows the text, as a person sees it.
        expected: what the embedded model says, by language of the text.
        lessons: what it teaches, by language.
        other: of a sample text, whether it is offered as the second text too.
    """

    image1: str
    image2: str
    texts: Mapping[str, str]
    right: tuple[bool, bool]
    expected: Mapping[str, Expected]
    lessons: Mapping[str, str] = field(default_factory=dict)
    other: bool = False

    @property
    def paths(self) -> tuple[Path, Path]:
        """Return the two picture files."""
        return FOLDER / self.image1, FOLDER / self.image2

    def text(self, language: str) -> str:
        """Return the text in a language, where it is there."""
        return in_language(self.texts, language)

    def lesson(self, language: str) -> str:
        """Return the lesson in a language, where it is there."""
        return in_language(self.lessons, language)

    @property
    def wrong(self) -> bool:
        """True where the embedded model says yes or no, and the opposite is right."""
        opposite = tuple("no" if right else "yes" for right in self.right)
        verdicts = [expected.shows for expected in self.expected.values()]
        return any(pair[i] == opposite[i] for pair in verdicts for i in range(2))


@lru_cache(maxsize=1)
def examples() -> tuple[Example, ...]:
    """Return the ready-made comparisons; the first is what the page opens with."""
    return tuple(Example(**row | _told(row)) for row in _rows("comparisons.json"))


@lru_cache(maxsize=1)
def samples() -> tuple[Example, ...]:
    """Return the first comparison's pictures with each sample text, which has one language.

    They show what the first pictures are, and the course's exercise. The last is the course's own
    text, of another logo than theirs.
    """
    first = examples()[0]
    pictures: dict[str, Any] = {"image1": first.image1, "image2": first.image2}
    return tuple(Example(**pictures | row | _told(row)) for row in _rows("samples.json"))


def _told(row: dict[str, Any]) -> dict[str, Any]:
    """Return what is right and what is expected, of a row as JSON holds it."""
    expected = {
        language: Expected(**told | {"shows": tuple(told["shows"])})
        for language, told in row["expected"].items()
    }
    return {"right": tuple(row["right"]), "expected": expected}


def _rows(file: str) -> list[dict[str, Any]]:
    return json.loads((FOLDER / file).read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Winner:
    """What the embedded model says of a picture with a ready label set, "none of these" allowed.

    Attributes:
        winner: the label; None for "none of these".
        margin: by how much it is likelier than the next at least, as a chance in 0..1.
    """

    winner: str | None
    margin: float


@dataclass(frozen=True)
class LabelExample:
    """A picture that the zero-shot tab opens with, and one of its ready label sets.

    Attributes:
        labels: a key of `prompts.LABEL_SETS`.
        picture: file below `assets/examples`.
        right: the labels that a person would accept, in the first language; none where none of them
            fits.
        expected: what the embedded model says, by language of the labels.
    """

    labels: str
    picture: str
    right: tuple[str, ...]
    expected: Mapping[str, Winner]

    @property
    def wrong(self) -> bool:
        """True where the embedded model says what is not right, in any language."""
        ready = LABEL_SETS[self.labels]
        for language, told in self.expected.items():
            named = dict(zip(ready.first, ready.labels(language), strict=True))
            accepted = {named[label] for label in self.right} or {None}
            if told.winner not in accepted:
                return True
        return False


@lru_cache(maxsize=1)
def label_examples() -> tuple[LabelExample, ...]:
    """Return what the embedded model says of each opening picture with each ready label set."""
    return tuple(
        LabelExample(
            row["labels"],
            row["picture"],
            tuple(row["right"]),
            {language: Winner(**told) for language, told in row["expected"].items()},
        )
        for row in _rows("labels.json")
    )


def wrong_sets() -> frozenset[str]:
    """Return the ready label sets with which the embedded model gets an opening picture wrong."""
    return frozenset(example.labels for example in label_examples() if example.wrong)


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
    return tuple(
        RankingExample(row["name"], row["query"], tuple(row["passages"]))
        for row in _rows("passages.json")
    )
