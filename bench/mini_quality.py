"""How good `mini` is on held-out pictures: zero-shot, retrieval, confidence, geometry, speed.

    python -m bench.mini_quality [--cache DIR] [--json FILE]

Debian packages are downloaded and unpacked, never installed or committed. Photos are labelled by
hand in `mini_quality_photos.json`; cut-outs carry the English line of their package. The Markdown
goes into the model card; `--json` keeps the same values unrounded, and the answer for each picture.

A later version of the model adds a function that returns a `Section`, and its name to `SECTIONS`.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from PIL import Image

from bench.measures import (
    Estimate,
    Flags,
    Floats,
    Indices,
    bootstrap_interval,
    expected_calibration_error,
    modality_gap,
    recall_at_k,
    softmax,
    subset_accuracy,
    top_k_accuracy,
)
from mmdemo import load_encoder
from mmdemo.encoders.base import Encoder
from mmdemo.images import open_image
from mmdemo.settings import Limits
from training.packages import CACHE, unpacked

PHOTO_LABELS = Path(__file__).with_name("mini_quality_photos.json")
TEMPLATE = "a photo of {}."  # labels bring their own article: "an apple", but "grass"
SUBSET, DRAWS = 20, 20
TIMED = 40
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

Value: TypeAlias = str | int | float | Estimate


# Data.


@dataclass(frozen=True)
class Labelled:
    """Pictures, the label of each (with its article), and the folder or package it is from."""

    name: str
    pictures: list[Image.Image]
    labels: list[str]
    groups: list[str]


@dataclass(frozen=True)
class Embedded:
    """One set of pictures after the model: what every section starts from.

    Attributes:
        data: the pictures and their labels.
        candidates: the distinct labels, m of them.
        truth: index of each picture's label among the candidates, [n].
        images: unit rows, [n, dim].
        prompts: the candidates in the template, unit rows, [m, dim].
        captions: the candidates as they are, unit rows, [m, dim].
        logit_scale: factor between a cosine and a logit.
    """

    data: Labelled
    candidates: list[str]
    truth: Indices
    images: Floats
    prompts: Floats
    captions: Floats
    logit_scale: float

    @cached_property
    def cosines(self) -> Floats:
        """Return picture x prompt, [n, m]."""
        return self.images @ self.prompts.T

    @cached_property
    def relevant(self) -> Flags:
        """Return which candidate is the label of which picture, bool [n, m]."""
        return self.truth[:, None] == np.arange(len(self.candidates))


def photos(cache: Path) -> Labelled:
    """Return the photos that were labelled by hand."""
    rows = json.loads(PHOTO_LABELS.read_text(encoding="utf-8"))
    pictures = [open_image(unpacked(row["package"], cache) / row["path"], BOUNDS) for row in rows]
    labels = [row["label"] for row in rows]
    return Labelled("photos", pictures, labels, [row["package"] for row in rows])


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
    return Labelled("cut-outs", pictures, labels, groups)


def stamp_label(description: str) -> str | None:
    """Return a short noun phrase in lower case with its article, or None for anything else.

    >>> stamp_label("A “Fuji” apple."), stamp_label("Eat your broccoli!")
    ('a fuji apple', None)
    """
    plain = re.sub('[“”"]', "", description).replace("’", "'").strip()
    match = STAMP_LABEL.fullmatch(plain)
    return match[1].lower() if match else None


def embed(encoder: Encoder, data: Labelled) -> Embedded:
    """Run the model over one set, its labels included."""
    candidates = sorted(set(data.labels))
    return Embedded(
        data=data,
        candidates=candidates,
        truth=np.array([candidates.index(label) for label in data.labels]),
        images=encoder.encode(data.pictures),
        prompts=encoder.encode([TEMPLATE.format(label) for label in candidates]),
        captions=encoder.encode(candidates),
        logit_scale=encoder.logit_scale,
    )


# Sections: one function, one Markdown table.


@dataclass(frozen=True)
class Section:
    """A table: a title, the names of the value columns, and rows of a name and its values."""

    title: str
    columns: list[str]
    rows: list[tuple[str, list[Value]]]
    note: str = ""

    def markdown(self) -> str:
        """Return the block that goes into the model card."""
        lines = [f"### {self.title}", ""]
        if self.rows:
            lines += ["| | " + " | ".join(self.columns) + " |", "|---" * (len(self.columns) + 1)]
            lines[-1] += "|"
            lines += [f"| {name} | {' | '.join(map(shown, row))} |" for name, row in self.rows]
            lines.append("")
        return "\n".join(lines + ([self.note, ""] if self.note else []))

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON, values unrounded."""
        return {
            name: dict(zip(self.columns, map(plain, row), strict=True)) for name, row in self.rows
        }


def side_by_side(
    title: str, sets: Sequence[Embedded], measure: Callable[[Embedded], dict[str, Value]], note: str
) -> Section:
    """Return a table of one measurement, one column a set."""
    columns = [measure(one) for one in sets]
    rows = [(name, [column[name] for column in columns]) for name in columns[0]]
    return Section(title, [one.data.name for one in sets], rows, note)


def zero_shot(sets: Sequence[Embedded]) -> Section:
    """Measure classification among all labels, and among small random subsets."""

    def measure(one: Embedded) -> dict[str, Value]:
        scores, truth, m = one.cosines, one.truth, len(one.candidates)
        row: dict[str, Value] = {"pictures": len(truth), "distinct labels": m}
        for k in (1, 5):
            row[f"top-{k} among all labels"] = bootstrap_interval(top_k_accuracy(scores, truth, k))
        row["chance of top-1, of top-5"] = f"{1 / m:.3f}, {5 / m:.3f}"
        for k in (1, 5):
            inside = subset_accuracy(scores, truth, k, SUBSET, DRAWS)
            row[f"top-{k} among {SUBSET} labels"] = bootstrap_interval(inside)
        row["chance of top-1, of top-5 there"] = f"{1 / SUBSET:.3f}, {5 / SUBSET:.3f}"
        return row

    note = (
        f'Template "{TEMPLATE}". Subsets: the right label and {SUBSET - 1} random ones, mean over '
        f"{DRAWS} draws a picture. Brackets: 95 % bootstrap interval over pictures."
    )
    return side_by_side("Zero-shot classification", sets, measure, note)


def retrieval(sets: Sequence[Embedded]) -> Section:
    """Measure finding a picture by its caption, and a caption by its picture."""

    def measure(one: Embedded) -> dict[str, Value]:
        scores = one.images @ one.captions.T  # [n, m]
        row: dict[str, Value] = {}
        for k in (1, 5):
            found = recall_at_k(scores.T, one.relevant.T, k)
            row[f"text to image, R@{k}"] = bootstrap_interval(found)
        for k in (1, 5):
            row[f"image to text, R@{k}"] = bootstrap_interval(recall_at_k(scores, one.relevant, k))
        return row

    note = (
        "Captions are the bare labels, without the template. Text to image: one query a distinct "
        "label, any picture of it counts, intervals over queries; image to text: over pictures."
    )
    return side_by_side("Retrieval", sets, measure, note)


def confidence(sets: Sequence[Embedded]) -> Section:
    """Measure whether a softmax over the labels means what it says."""

    def measure(one: Embedded) -> dict[str, Value]:
        probabilities = softmax(one.cosines * one.logit_scale)
        sure = probabilities.max(1)
        right = top_k_accuracy(one.cosines, one.truth, 1)
        return {
            "softmax scale": one.logit_scale,
            "accuracy": float(right.mean()),
            "mean confidence": float(sure.mean()),
            "expected calibration error": expected_calibration_error(sure, right),
        }

    note = "Softmax over all labels of the set; ten bins of equal width (Guo et al. 2017)."
    return side_by_side("Confidence", sets, measure, note)


def geometry(sets: Sequence[Embedded]) -> Section:
    """Measure where pictures and texts lie."""

    def measure(one: Embedded) -> dict[str, Value]:
        matched = one.cosines[one.relevant]  # [n]
        mismatched = one.cosines[~one.relevant]
        return {
            "modality gap": modality_gap(one.images, one.prompts[one.truth]),
            "cosine of matched pairs": float(matched.mean()),
            "standard deviation, matched": float(matched.std()),
            "cosine of mismatched pairs": float(mismatched.mean()),
            "standard deviation, mismatched": float(mismatched.std()),
        }

    note = (
        "Modality gap: distance of the centroids of the pictures and of their texts (Liang et al. "
        "2022). Texts are the labels in the template."
    )
    return side_by_side("Geometry", sets, measure, note)


def groups(sets: Sequence[Embedded]) -> Section:
    """Measure zero-shot accuracy for each folder of the sets."""
    rows: list[tuple[str, list[Value]]] = []
    for one in sets:
        firsts, fives = (top_k_accuracy(one.cosines, one.truth, k) for k in (1, 5))
        for group in sorted(set(one.data.groups)):
            here = np.array([name == group for name in one.data.groups])
            values: list[Value] = [int(here.sum())]
            values += [float(right[here].mean()) for right in (firsts, fives)]
            rows.append((f"{one.data.name}: {group}", values))
    note = "Among all labels of the set. Without intervals: most folders are too small for one."
    return Section("By kind of picture", ["pictures", "top-1", "top-5"], rows, note)


def failures(sets: Sequence[Embedded]) -> Section:
    """Name every label that no picture of it brings among the first five."""
    notes = []
    for one in sets:
        found = set(one.truth[top_k_accuracy(one.cosines, one.truth, 5)].tolist())
        lost = [label for i, label in enumerate(one.candidates) if i not in found]
        names = ", ".join(without_article(label) for label in lost)
        notes.append(f"{one.data.name}, {len(lost)} of {len(one.candidates)}: {names}.")
    return Section("Labels never among the first five", [], [], "\n\n".join(notes))


SECTIONS = (zero_shot, retrieval, confidence, geometry, groups, failures)


def speed(encoder: Encoder, data: Labelled) -> Section:
    """Time single items, none of which the encoder has seen. Run it before anything else."""
    pictures = data.pictures[: TIMED + 1]
    image = median_ms(lambda i: encoder.encode([pictures[i]]), len(pictures))
    text = median_ms(lambda i: encoder.encode([f"picture number {i} of a thing"]), TIMED + 1)
    megapixels = float(np.median([im.width * im.height for im in pictures[1:]])) / 1e6
    rows: list[tuple[str, list[Value]]] = [
        ("an image", [f"{image:.1f}"]),
        ("a text", [f"{text:.1f}"]),
    ]
    note = (
        f"Median over {len(pictures) - 1} {data.name} (median {megapixels:.2f} megapixels, already "
        f"decoded) and {TIMED} texts, one at a time, after a warm-up; CPU, "
        f"{torch.get_num_threads()} torch threads."
    )
    return Section("Speed", ["ms"], rows, note)


def median_ms(step: Callable[[int], object], count: int) -> float:
    """Return the median time of steps 1 to `count` - 1 in milliseconds; step 0 warms up."""
    step(0)
    times = []
    for index in range(1, count):
        start = time.perf_counter()
        step(index)
        times.append(time.perf_counter() - start)
    return float(np.median(times)) * 1000.0


# Output.


def main() -> None:
    """Print the sections, and write them as JSON where asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=CACHE, help="where packages are kept")
    parser.add_argument("--json", type=Path, help="also write unrounded values here")
    given = parser.parse_args()
    encoder = load_encoder("mini")
    data = [photos(given.cache), cut_outs(given.cache)]
    timing = speed(encoder, data[0])
    sets = [embed(encoder, one) for one in data]
    sections = [*(section(sets) for section in SECTIONS), timing]
    for section in sections:
        say(section.markdown())
    if given.json:
        report: dict[str, Any] = {section.title: section.to_dict() for section in sections}
        report["answers"] = {one.data.name: answers(one) for one in sets}
        text = json.dumps(report, indent=1, ensure_ascii=False)
        given.json.write_text(text + "\n", encoding="utf-8")


def answers(one: Embedded) -> list[dict[str, Any]]:
    """Return the label and the five best candidates of each picture."""
    best = np.argsort(-one.cosines, axis=1)[:, :5]
    return [
        {"label": label, "best": [one.candidates[i] for i in row]}
        for label, row in zip(one.data.labels, best, strict=True)
    ]


def without_article(label: str) -> str:
    """Return a label for a list: "an apple" -> "apple"."""
    return re.sub("^an? ", "", label)


def shown(value: Value) -> str:
    """Return a table cell."""
    if isinstance(value, Estimate):
        return f"{value.mean:.3f} [{value.low:.2f}, {value.high:.2f}]"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def plain(value: Value) -> object:
    """Return a value as JSON has it."""
    return value._asdict() if isinstance(value, Estimate) else value


def say(text: str) -> None:
    """Write a block at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
