"""The tables of `mini_quality`: one function, one `Section`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from bench.measures import (
    Estimate,
    Flags,
    bootstrap_interval,
    expected_calibration_error,
    modality_gap,
    recall_at_k,
    softmax,
    subset_accuracy,
    top_k_accuracy,
)
from bench.mini_sets import Composed, Labelled
from bench.mini_variants import Seen, Variant
from mmdemo.types import Match

TEMPLATE = "a photo of {}."  # labels bring their own article: "an apple", but "grass"
TEMPLATE_ZH = "一张{}的照片。"
SUBSET, DRAWS = 20, 20

Value: TypeAlias = str | int | float | Estimate


# Data after the model.


@dataclass(frozen=True, eq=False)
class Sets:
    """Everything that is measured on, after the vision tower.

    Attributes:
        photos: photos and cut-outs, for zero-shot classification.
        emoji: unseen concepts, unseen styles (one set a vendor), and both, for retrieval.
        composed: composed queries.
        seen: what the vision tower said, by the name of a set or the task of a composition.
    """

    photos: list[Labelled]
    emoji: list[Labelled]
    composed: list[Composed]
    seen: dict[str, Seen]


@dataclass(frozen=True, eq=False)
class Scores:
    """Cosines of a set's pictures with its distinct labels.

    Attributes:
        name: of the set.
        data: the set.
        candidates: the distinct labels, m of them.
        truth: index of each picture's label, [n].
        images: unit rows, [n, dim].
        texts: unit rows, [m, dim].
        cosines: [n, m].
        relevant: which candidate is the label of which picture, bool [n, m].
    """

    name: str
    data: Labelled
    candidates: list[str]
    truth: NDArray[np.int64]
    images: NDArray[np.float32]
    texts: NDArray[np.float32]

    @property
    def cosines(self) -> NDArray[np.float32]:
        """Return picture x label, [n, m]."""
        return self.images @ self.texts.T

    @property
    def relevant(self) -> Flags:
        """Return which label is whose, bool [n, m]."""
        return self.truth[:, None] == np.arange(len(self.candidates))


def scored(
    variant: Variant, sets: Sets, data: Labelled, template: str = "{}", *, chinese: bool = False
) -> Scores:
    """Embed a set and its labels."""
    candidates = sorted(set(data.labels))
    said = [data.chinese[label] for label in candidates] if chinese else candidates
    truth = np.array([candidates.index(label) for label in data.labels])
    images = variant.images(sets.seen[data.name]).numpy()
    texts = variant.texts([template.format(label) for label in said]).numpy()
    return Scores(data.name, data, candidates, truth, images, texts)


# Tables.


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
    title: str, sets: Sequence[Scores], measure: Callable[[Scores], dict[str, Value]], note: str
) -> Section:
    """Return a table of one measurement, one column a set."""
    columns = [measure(one) for one in sets]
    rows = [(name, [column[name] for column in columns]) for name in columns[0]]
    return Section(title, [one.name for one in sets], rows, note)


def zero_shot(sets: Sequence[Scores]) -> Section:
    """Measure classification among all labels, and among small random subsets."""

    def measure(one: Scores) -> dict[str, Value]:
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


def retrieval(sets: Sequence[Scores]) -> Section:
    """Measure finding a picture by its name, and a name by its picture."""

    def measure(one: Scores) -> dict[str, Value]:
        row: dict[str, Value] = {"pictures": len(one.truth)}
        for k in (1, 5):
            found = recall_at_k(one.cosines.T, one.relevant.T, k)
            row[f"text to image, R@{k}"] = bootstrap_interval(found)
        for k in (1, 5):
            found = recall_at_k(one.cosines, one.relevant, k)
            row[f"image to text, R@{k}"] = bootstrap_interval(found)
        return row

    note = (
        "Bare names, without a template; no flags. Unseen concepts: Noto emoji whose concept no "
        "training picture has in its name. Unseen style: a vendor that was never trained on, "
        "concepts that were. Unseen both: Apple's emoji of unseen concepts."
    )
    return side_by_side("Retrieval", sets, measure, note)


def composed(variant: Variant, sets: Sets) -> Section:
    """Measure composed queries against what the picture or the text finds alone."""
    rows: list[tuple[str, list[Value]]] = []
    for one in sets.composed:
        for language, asked in (("English", one.asked), ("Chinese", one.chinese)):
            ways = composed_ranks(variant, sets.seen[one.task], one, asked)
            kept = ways.pop("fused, start kept")
            values: list[Value] = [len(asked), len(one.gallery)]
            values += [bootstrap_interval(ranks == 1) for ranks in (*ways.values(), kept)]
            values += [bootstrap_interval(ranks <= 5) for ranks in ways.values()]
            rows.append((f"{one.task}, {language}", values))
    ways = ("fused", "image", "text", "sum")
    columns = ["queries", "gallery", *(f"{way} R@1" for way in ways), "fused R@1, start kept"]
    columns += [f"{way} R@5" for way in ways]
    note = (
        'A query is a picture with a request ("the same but in green"). The picture that it '
        "starts from is no candidate, except where it says so. Image, text: of the query, alone. "
        "Sum: late fusion, even."
    )
    return Section("Composed queries", columns, rows, note)


def composed_ranks(
    variant: Variant, seen: Seen, one: Composed, asked: Sequence[str]
) -> dict[str, NDArray[np.int64]]:
    """Return the rank of each query's target, 1 for the best, by what the query is made of: [n].

    The picture that a query starts from is no candidate, except for "fused, start kept".
    """
    gallery = variant.images(seen).numpy()
    starts, targets = np.array(one.starts), np.array(one.targets)
    texts = variant.texts(asked).numpy()
    fused = variant.fused(seen, one.starts, asked).numpy()
    queries = {
        "fused": fused,
        "image": gallery[starts],
        "text": texts,
        "sum": gallery[starts] + texts,
        "fused, start kept": fused,
    }
    rows = np.arange(len(starts))
    ranks = {}
    for way, vectors in queries.items():
        scores = vectors @ gallery.T  # [n, gallery]
        if way != "fused, start kept":
            scores[rows, starts] = -np.inf
        ranks[way] = (scores >= scores[rows, targets][:, None]).sum(1)
    return ranks


def languages(variant: Variant, sets: Sets, known: frozenset[str]) -> Section:
    """Measure the same in English and in Chinese.

    Args:
        variant: the model.
        sets: what to measure on.
        known: Chinese names that were trained on with their translation.
    """
    rows: list[tuple[str, list[Value]]] = []
    for one in [*sets.photos, *sets.emoji]:
        photo = one in sets.photos
        english = scored(variant, sets, one, TEMPLATE if photo else "{}")
        chinese = scored(variant, sets, one, TEMPLATE_ZH if photo else "{}", chinese=True)
        share = np.mean([bare(one.chinese[label]) in known for label in english.candidates])
        values: list[Value] = [len(english.candidates), f"{share:.0%}"]
        for k in (1, 5):
            for side in (english, chinese):
                found = (
                    top_k_accuracy(side.cosines, side.truth, k)
                    if photo
                    else recall_at_k(side.cosines.T, side.relevant.T, k)
                )
                values.append(bootstrap_interval(found))
        rows.append((one.name, values))
    columns = ["labels", "known", "English @1", "Chinese @1", "English @5", "Chinese @5"]
    note = (
        "Photos and cut-outs: zero-shot top-k; emoji: text to image, R@k. Known: labels whose "
        "translation the text tower was taught; the others it knows from multilingual-e5-small."
    )
    return Section("Chinese against English", columns, rows, note)


def bare(chinese: str) -> str:
    """Return a Chinese name without its measure word."""
    return re.sub("^一[个只条张把]", "", chinese)


def confidence(sets: Sequence[Scores], logit_scale: float) -> Section:
    """Measure whether a softmax over the labels means what it says."""

    def measure(one: Scores) -> dict[str, Value]:
        sure = softmax(one.cosines * logit_scale).max(1)
        right = top_k_accuracy(one.cosines, one.truth, 1)
        return {
            "softmax scale": logit_scale,
            "accuracy": float(right.mean()),
            "mean confidence": float(sure.mean()),
            "expected calibration error": expected_calibration_error(sure, right),
        }

    note = "Softmax over all labels of the set; ten bins of equal width (Guo et al. 2017)."
    return side_by_side("Confidence", sets, measure, note)


def not_sure(sets: Sequence[Scores], match: Match) -> Section:
    """Measure what the page says about a picture and a text: shows it, does not, or not sure."""

    def measure(one: Scores) -> dict[str, Value]:
        chance = np.vectorize(match.probability)(one.cosines)
        decided = np.maximum(chance, 1 - chance) >= match.sure
        yes, no = one.relevant, ~one.relevant
        return {
            "matched pairs: decided": float(decided[yes].mean()),
            "matched pairs: right where decided": share(decided & (chance > 0.5), decided, yes),
            "mismatched pairs: decided": float(decided[no].mean()),
            "mismatched pairs: right where decided": share(decided & (chance < 0.5), decided, no),
        }

    note = "Every picture of a set with every label of it; thresholds from the calibration split."
    return side_by_side("Not sure", sets, measure, note)


def share(right: Flags, decided: Flags, among: Flags) -> float:
    """Return the share of the decided pairs that are right."""
    count = (decided & among).sum()
    return float((right & among).sum() / count) if count else float("nan")


def geometry(sets: Sequence[Scores]) -> Section:
    """Measure where pictures and texts lie."""

    def measure(one: Scores) -> dict[str, Value]:
        matched = one.cosines[one.relevant]  # [n]
        mismatched = one.cosines[~one.relevant]
        return {
            "modality gap": modality_gap(one.images, one.texts[one.truth]),
            "cosine of matched pairs": float(matched.mean()),
            "standard deviation, matched": float(matched.std()),
            "cosine of mismatched pairs": float(mismatched.mean()),
            "standard deviation, mismatched": float(mismatched.std()),
        }

    note = "Modality gap: distance of the centroids of pictures and texts (Liang et al. 2022)."
    return side_by_side("Geometry", sets, measure, note)


def groups(sets: Sequence[Scores]) -> Section:
    """Measure zero-shot accuracy for each folder of the sets."""
    rows: list[tuple[str, list[Value]]] = []
    for one in sets:
        firsts, fives = (top_k_accuracy(one.cosines, one.truth, k) for k in (1, 5))
        for group in sorted(set(one.data.groups)):
            here = np.array([name == group for name in one.data.groups])
            values: list[Value] = [int(here.sum())]
            values += [float(right[here].mean()) for right in (firsts, fives)]
            rows.append((f"{one.name}: {group}", values))
    note = "Among all labels of the set. Without intervals: most folders are too small for one."
    return Section("By kind of picture", ["pictures", "top-1", "top-5"], rows, note)


def failures(sets: Sequence[Scores]) -> Section:
    """Name every label that no picture of it brings among the first five."""
    notes = []
    for one in sets:
        found = set(one.truth[top_k_accuracy(one.cosines, one.truth, 5)].tolist())
        lost = [label for i, label in enumerate(one.candidates) if i not in found]
        names = ", ".join(re.sub("^an? ", "", label) for label in lost)
        notes.append(f"{one.name}, {len(lost)} of {len(one.candidates)}: {names}.")
    return Section("Labels never among the first five", [], [], "\n\n".join(notes))


def comparison(models: Iterable[Variant], sets: Sets) -> Section:
    """Put the model beside its first version, ConSE alone, the ablations and the other seeds."""
    rows: list[tuple[str, list[Value]]] = []
    for model in models:
        values: list[Value] = []
        for one in sets.photos:
            found = scored(model, sets, one, TEMPLATE)
            values.append(bootstrap_interval(top_k_accuracy(found.cosines, found.truth, 1)))
        found = [scored(model, sets, one) for one in sets.emoji]
        recalls = [recall_at_k(one.cosines.T, one.relevant.T, 5) for one in found]
        values += [
            bootstrap_interval(recalls[0]),
            bootstrap_interval(np.concatenate(recalls[1:-1])),
        ]
        for one in sets.composed:
            ranks = composed_ranks(model, sets.seen[one.task], one, one.asked)["fused"]
            values.append(bootstrap_interval(ranks == 1))
        photos = scored(model, sets, sets.photos[0], TEMPLATE)
        values.append(modality_gap(photos.images, photos.texts[photos.truth]))
        rows.append((model.name, values))
    columns = [
        "photos, top-1",
        "cut-outs, top-1",
        "unseen concepts, R@5",
        "unseen styles, R@5",
        *(f"{one.task}, R@1" for one in sets.composed),
        "gap, photos",
    ]
    note = "English; all labels of a set; styles: the three vendors together."
    return Section("Against the first version, and with one part left out", columns, rows, note)


def shown(value: Value) -> str:
    """Return a table cell."""
    if isinstance(value, Estimate):
        return f"{value.mean:.3f} [{value.low:.2f}, {value.high:.2f}]"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def plain(value: Value) -> object:
    """Return a value as JSON has it."""
    return value._asdict() if isinstance(value, Estimate) else value
