"""Held-out pictures for `mini`: photos, cut-outs, unseen concepts and styles, compositions.

Nothing here is trained or tuned on. Packages are downloaded and unpacked, never installed or
committed.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Literal, TypeAlias

from PIL import Image

from mmdemo.images import open_image, to_rgb
from mmdemo.settings import Limits
from training.captioned import TONES, TONES_ZH, Captioned, emoji, remix_icons
from training.packages import unpacked
from training.render import COLOURS, exactly_tinted, on_ground, raster
from training.splits import Part, is_thing, part_of

PHOTO_LABELS = Path(__file__).with_name("mini_quality_photos.json")
CHINESE_LABELS = Path(__file__).with_name("mini_quality_zh.json")
# Our own sources, not a visitor's: wallpapers may be large.
BOUNDS = Limits(upload_mb=100, pixels=200_000_000)

STAMPS = "tuxpaint-stamps-default"
STAMP_FOLDERS = [
    "animals",
    "food",
    "hobbies",
    "household",
    "medical",
    "plants",
    "sports",
    "town",
    "vehicles",
]
# A short noun phrase with its article; whatever is longer, or has an exclamation, tells a story.
STAMP_LABEL = re.compile(r"(an?(?: [\w'-]+){1,4})\.?", re.IGNORECASE)
# Drawings among the photos, found by looking at every cut-out before anything was measured.
DRAWN = {"hedgehog", "bee", "echidna", "shrimp", "pizza", "tooth", "chineseJunk"}
DRAWN_FOLDERS = {"cartoon", "flags", "hats"}

EMOJI = 300  # of a style; about as many as there are unseen concepts
SHAPES, COLOUR_QUERIES = 40, 160
PAIRS_A, PAIRS_B = 20, 6

Task: TypeAlias = Literal["colour", "skin tone", "A with B"]


@dataclass(frozen=True)
class Labelled:
    """Pictures, the label of each (English with its article), and the folder it is from.

    Attributes:
        name: of the set.
        pictures: n of them.
        labels: of each picture.
        groups: where each picture is from.
        chinese: Chinese by English label; empty where there is none.
    """

    name: str
    pictures: list[Image.Image]
    labels: list[str]
    groups: list[str]
    chinese: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Composed:
    """Composed queries over one gallery.

    Attributes:
        task: what is asked for.
        gallery: pictures.
        starts: the picture that each query starts from, by its place in the gallery.
        targets: the picture that it should find.
        asked: what is asked, in English.
        chinese: the same in Chinese; empty where a name has none.
    """

    task: Task
    gallery: list[Image.Image]
    starts: list[int]
    targets: list[int]
    asked: list[str]
    chinese: list[str]


def photos(cache: Path) -> Labelled:
    """Return the photos that were labelled by hand."""
    rows = json.loads(PHOTO_LABELS.read_text(encoding="utf-8"))
    pictures = [open_image(unpacked(row["package"], cache) / row["path"], BOUNDS) for row in rows]
    labels = [row["label"] for row in rows]
    return Labelled("photos", pictures, labels, [row["package"] for row in rows], _chinese())


def cut_outs(cache: Path) -> Labelled:
    """Return photographed cut-outs whose description is a short noun phrase, on white."""
    root = unpacked(STAMPS, cache) / "usr/share/tuxpaint/stamps"
    found = []
    for folder in STAMP_FOLDERS:
        for note in sorted((root / folder).rglob("*.txt")):
            file = note.with_suffix(".png")
            label = stamp_label(note.read_text(encoding="utf-8").splitlines()[0])
            drawn = note.stem in DRAWN or DRAWN_FOLDERS & set(note.parts)
            if label and file.is_file() and not drawn:
                found.append((open_image(file, BOUNDS), label, folder))
    pictures, labels, groups = (list(column) for column in zip(*found, strict=True))
    return Labelled("cut-outs", pictures, labels, groups, _chinese())


def stamp_label(description: str) -> str | None:
    """Return a short noun phrase in lower case with its article, or None for anything else.

    >>> stamp_label("A “Fuji” apple."), stamp_label("Eat your broccoli!")
    ('a fuji apple', None)
    """
    plain = re.sub('[“”"]', "", description).replace("’", "'").strip()
    match = STAMP_LABEL.fullmatch(plain)
    return match[1].lower() if match else None


def _chinese() -> dict[str, str]:
    return json.loads(CHINESE_LABELS.read_text(encoding="utf-8"))


def unseen_concepts(cache: Path) -> Labelled:
    """Return emoji of a vendor that was trained on, of concepts that no package showed."""
    return _emoji_set("unseen concepts", _emoji(cache, "google", "test"))


def unseen_styles(cache: Path) -> list[Labelled]:
    """Return emoji of vendors that were never trained on, of concepts that were."""
    return [
        _emoji_set(f"unseen style: {vendor}", _drawn(_emoji(cache, vendor, "train")))
        for vendor in ("apple", "facebook", "openmoji")
    ]


def unseen_both(cache: Path) -> Labelled:
    """Return emoji of a vendor that was never trained on, of concepts that no package showed."""
    return _emoji_set("unseen both", _emoji(cache, "apple", "test"))


def _emoji(cache: Path, vendor: str, part: Part) -> list[Captioned]:
    """Return emoji without flags, which nobody can guess, and without skin tones."""
    rows = [row for row in emoji(vendor, cache) if row.kind == "emoji" and not row.tone]
    return [row for row in rows if part_of(row.code, cache) == part]


def _drawn(rows: list[Captioned], count: int = EMOJI) -> list[Captioned]:
    """Return some rows, drawn by their digest: always the same, of every vendor the same."""
    return sorted(rows, key=lambda row: hashlib.sha256(row.english.encode()).digest())[:count]


def _emoji_set(name: str, rows: Sequence[Captioned]) -> Labelled:
    return Labelled(
        name,
        [to_rgb(raster(row)) for row in rows],
        [row.english for row in rows],
        [row.source for row in rows],
        {row.english: row.chinese for row in rows},
    )


def composed_colour(cache: Path) -> Composed:
    """Return shapes of an icon set that was never trained on, each in twelve colours."""
    rows = _drawn(list(remix_icons(cache)), SHAPES)
    places = list(product(range(SHAPES), COLOURS))
    gallery = [
        on_ground([exactly_tinted(raster(rows[i]), c)], random.Random(0), plain=True)
        for i, c in places
    ]
    draw = random.Random(0)
    chosen = [draw.sample(list(COLOURS), 2) for _ in range(COLOUR_QUERIES)]
    shapes = [turn % SHAPES for turn in range(COLOUR_QUERIES)]
    return Composed(
        "colour",
        gallery,
        [places.index((i, old)) for i, (old, _) in zip(shapes, chosen, strict=True)],
        [places.index((i, new)) for i, (_, new) in zip(shapes, chosen, strict=True)],
        [f"the same but in {new}" for _, new in chosen],
        [f"一样的，但是{COLOURS[new][0]}的" for _, new in chosen],
    )


def composed_tone(cache: Path) -> Composed:
    """Return people and hands of unseen concepts by an unseen vendor, in five skin tones."""
    rows = [r for r in emoji("apple", cache) if r.tone and part_of(r.code, cache) == "test"]
    place = {(row.code, row.tone): index for index, row in enumerate(rows)}
    draw = random.Random(0)
    queries = []
    for code in sorted({row.code for row in rows}):
        old, new = draw.sample(range(1, 6), 2)
        if (code, old) in place and (code, new) in place:
            queries.append((place[code, old], place[code, new], new))
    return Composed(
        "skin tone",
        [to_rgb(raster(row)) for row in rows],
        [start for start, _, _ in queries],
        [target for _, target, _ in queries],
        [f"the same with {TONES[new - 1]} skin tone" for _, _, new in queries],
        [f"一样的，但是{TONES_ZH[new - 1]}" for _, _, new in queries],
    )


def composed_pair(cache: Path) -> Composed:
    """Return things of unseen concepts by an unseen vendor, alone and two beside each other."""
    rows = [row for row in _drawn(_emoji(cache, "apple", "test")) if is_thing(row.code, cache)]
    draw = random.Random(0)
    firsts = draw.sample(rows, PAIRS_A)
    pairs = [(a, b) for a in firsts for b in draw.sample([r for r in rows if r != a], PAIRS_B)]
    gallery = [to_rgb(raster(row)) for row in rows]
    gallery += [
        on_ground([raster(a), raster(b)], random.Random(i), plain=True)
        for i, (a, b) in enumerate(pairs)
    ]
    return Composed(
        "A with B",
        gallery,
        [rows.index(a) for a, _ in pairs],
        [len(rows) + i for i in range(len(pairs))],
        [f"with a {b.english}" for _, b in pairs],
        [f"带有{b.chinese}" for _, b in pairs],
    )


COMPOSED: tuple[Callable[[Path], Composed], ...] = (composed_colour, composed_tone, composed_pair)
