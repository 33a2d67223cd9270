"""Which emoji concepts are held out, and what else must then not be trained on.

A concept is what an emoji is about: its last word for things ("red apple" and "green apple" are
both *apple*), its whole name for people and faces, the country for a flag. A tenth of the concepts
tunes (*calibration*), another seventh measures (*test*), the rest trains. A picture of any package
whose name has a held-out word in it, or a synonym of one, is not trained on either.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, TypeAlias

from training.captioned import Captioned
from training.words import emojibase, first_senses, wordnet

Part: TypeAlias = Literal["train", "calibration", "test"]

THINGS = 3  # emojibase's groups from here on are things; below are faces, people and tones
_HEARTS = 14  # subgroups of group 0 from here on: hearts and signs of feeling, things among faces
_TEST, _CALIBRATION = 15, 25  # per cent, cumulative
_GENERIC = 6  # a last word of so many emoji ("button", "face") is a form, not a concept
_PLAIN = re.compile(r"^(man|woman|person|men|women|people|the flag of) |^flag: |,.*|:.*")


def part_of(code: str, cache: Path) -> Part:
    """Return the part that an emoji belongs to, by its code points without skin tone."""
    return _concepts(cache)[code][1]


def leaks(row: Captioned, cache: Path) -> bool:
    """Say whether a picture shows, by its name, what is held out."""
    name = f" {_singular(_PLAIN.sub('', row.english))} "
    whole, words = _held_out_names(cache)
    return name.strip() in whole or any(f" {word} " in name for word in words)


def is_thing(code: str, cache: Path) -> bool:
    """Say whether an emoji is of a thing, not of a face, a person or a flag."""
    return _is_thing(emojibase(cache, "en")[code])


@lru_cache(maxsize=2)
def _concepts(cache: Path) -> dict[str, tuple[str, Part]]:
    """Return concept and part of every emoji by its code points."""
    rows = emojibase(cache, "en")
    heads = Counter(_singular(row["label"]).split()[-1] for row in rows.values())
    found: dict[str, tuple[str, Part]] = {}
    for code, row in rows.items():
        name = _singular(_PLAIN.sub("", row["label"].lower()))
        head = name.split()[-1] if name else row["label"].lower()
        is_thing = _is_thing(row)
        concept = head if is_thing else name or row["label"].lower()
        draw = int(hashlib.sha256(concept.encode()).hexdigest(), 16) % 100
        part: Part = "test" if draw < _TEST else "calibration" if draw < _CALIBRATION else "train"
        if is_thing and heads[head] > _GENERIC:
            part = "train"
        found[code] = (concept, part)
    return found


@lru_cache(maxsize=2)
def _held_out_names(cache: Path) -> tuple[frozenset[str], tuple[str, ...]]:
    """Return held-out whole names, and words that no trained name may contain."""
    whole, words = set(), set()
    rows = emojibase(cache, "en")
    for code, (concept, part) in _concepts(cache).items():
        if part != "train":
            whole.add(concept)
            if _is_thing(rows[code]):
                words.add(concept)
    senses, synsets = first_senses(cache), wordnet(cache)
    synonyms = {lemma for word in words if word in senses for lemma in synsets[senses[word]].lemmas}
    # Lemmas of two letters are abbreviations and chemical elements.
    words |= {_singular(lemma) for lemma in synonyms if len(lemma) > 2}
    return frozenset(whole | synonyms), tuple(sorted(words))


def _is_thing(row: dict[str, Any]) -> bool:
    if row["label"].startswith("flag: "):
        return False
    return row["group"] >= THINGS or (row["group"] == 0 and row["subgroup"] >= _HEARTS)


def _singular(text: str) -> str:
    """Return words without punctuation, each without its plural -s."""
    plain = re.sub(r"[^a-z0-9 ]+", " ", text.lower())
    return " ".join(re.sub(r"(?<=[^s]{2})s$", "", word) for word in plain.split())
