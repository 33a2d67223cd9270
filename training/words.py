"""Words to train the text tower with: English phrases, Chinese words, and pairs of both."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from training.packages import unpacked

LEXICON = Path(__file__).with_name("lexicon.tsv")
EMOJIBASE = "npm:emojibase-data@17.0.0"
ICON_PARK = "npm:@icon-park/svg@1.4.2"
CLDR = "npm:cldr-localenames-full@48.2.0"
WORDNET = "wordnet-base"
JIEBA = "jieba==0.42.1"
# Parts of speech that pictures can show, in jieba's notation; `nr` (people) and `nt` (firms) not.
SHOWN = {"n", "v", "vn", "a", "an", "s", "ns", "nz", "t", "f", "m", "q", "r", "b", "i", "l", "z"}
CHINESE = re.compile("[\u4e00-\u9fff]+")


class Pair(NamedTuple):
    """The same in both languages, and where that stands."""

    english: str
    chinese: str
    source: str


@dataclass(frozen=True)
class Synset:
    """A WordNet noun: its lemmas, the offsets of its hypernyms, its definition."""

    lemmas: list[str]
    hypernyms: list[str]
    definition: str


def pairs(cache: Path) -> list[Pair]:
    """Return everything we have in both languages, each pair once."""
    found: dict[tuple[str, str], Pair] = {}
    for pair in [*_lexicon(), *_emoji(cache), *_icons(cache), *_places(cache)]:
        if CHINESE.search(pair.chinese):
            found.setdefault((pair.english, pair.chinese), pair)
    return list(found.values())


def _lexicon() -> list[Pair]:
    lines = LEXICON.read_text(encoding="utf-8").splitlines()
    rows = [line.split("\t") for line in lines if line and not line.startswith("#")]
    return [Pair(english, chinese, "lexicon") for english, chinese in rows]


def _emoji(cache: Path) -> list[Pair]:
    english, chinese = (emojibase(cache, language) for language in ("en", "zh"))
    return [
        Pair(row["label"].lower(), chinese[code]["label"], "emoji")
        for code, row in english.items()
        if code in chinese
    ]


def _icons(cache: Path) -> list[Pair]:
    rows = json.loads((unpacked(ICON_PARK, cache) / "package/icons.json").read_text("utf-8"))
    return [Pair(row["name"].replace("-", " "), row["title"], "icon") for row in rows]


def _places(cache: Path) -> list[Pair]:
    names = []
    for language in ("en", "zh"):
        main = unpacked(CLDR, cache) / "package/main" / language
        for kind in ("territories", "languages"):
            data = json.loads((main / f"{kind}.json").read_text(encoding="utf-8"))
            names.append(data["main"][language]["localeDisplayNames"][kind])
    english, chinese = names[0] | names[1], names[2] | names[3]
    return [
        Pair(name.lower(), chinese[code], "place")
        for code, name in english.items()
        if code in chinese and "-alt-" not in code
    ]


@lru_cache(maxsize=4)
def emojibase(cache: Path, language: str) -> dict[str, dict[str, Any]]:
    """Return emojibase's rows by code point, in `en` or `zh`; regional letters left out."""
    file = unpacked(EMOJIBASE, cache) / "package" / language / "data.json"
    rows = json.loads(file.read_text(encoding="utf-8"))
    return {row["hexcode"]: row for row in rows if "group" in row}


@lru_cache(maxsize=2)
def wordnet(cache: Path) -> dict[str, Synset]:
    """Return WordNet's nouns by their offset in the database."""
    found = {}
    file = unpacked(WORDNET, cache) / "usr/share/wordnet/data.noun"
    for line in file.read_text(encoding="utf-8").splitlines():
        if line.startswith("  "):
            continue  # the licence
        head, _, definition = line.partition("|")
        fields = head.split()
        count = int(fields[3], 16)
        lemmas = [fields[4 + 2 * index].replace("_", " ").lower() for index in range(count)]
        rest = fields[5 + 2 * count :]
        links = [rest[start : start + 4] for start in range(0, 4 * int(fields[4 + 2 * count]), 4)]
        above = [link[1] for link in links if link[0] in ("@", "@i")]
        found[fields[0]] = Synset(lemmas, above, definition.split(";")[0].strip())
    return found


@lru_cache(maxsize=2)
def chinese_words(cache: Path) -> dict[str, int]:
    """Return jieba's words that pictures may show, by frequency, the most frequent first."""
    file = next(unpacked(JIEBA, cache).rglob("jieba/dict.txt"))
    rows = [line.split(" ") for line in file.read_text(encoding="utf-8").splitlines()]
    kept = [
        (word, int(frequency))
        for word, frequency, part in rows
        if part in SHOWN and CHINESE.fullmatch(word) and len(word) <= 4
    ]
    return dict(sorted(kept, key=lambda row: -row[1]))


@lru_cache(maxsize=2)
def first_senses(cache: Path) -> dict[str, str]:
    """Return the offset of each noun's most frequent sense, by lemma."""
    file = unpacked(WORDNET, cache) / "usr/share/wordnet/index.noun"
    found = {}
    for line in file.read_text(encoding="utf-8").splitlines():
        if not line.startswith("  "):
            fields = line.split()
            found[fields[0].replace("_", " ")] = fields[-int(fields[2])]
    return found
