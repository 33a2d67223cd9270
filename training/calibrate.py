"""Measure on the calibration split how far a head's numbers may be trusted.

    python -m training.calibrate [--cache DIR] [--work DIR] [--seed N]

The split: photos and cartoons of `gcompris-qt-data` and emoji of the calibration part. Prints what
choices are made by, and writes `calibration-<seed>.json`:

* `logit_scale`: the softmax scale with the best likelihood over the labels of each kind
  (temperature scaling: Guo et al. 2017, arXiv 1706.04599);
* `match`: the chance that a picture shows what a text says, by their cosine: a logistic (Platt
  1999) over as many matched as mismatched pairs, and how far from even it must be for nine of ten
  decisions to be right.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import load_file

from mmdemo.encoders.mini.model import Head, views_of
from mmdemo.images import to_rgb
from training.calibration_photos import calibration_pictures
from training.captioned import emoji
from training.packages import CACHE
from training.render import raster
from training.splits import part_of
from training.train_head import HIDDEN, SHIPPED_SEED, TOP_T
from training.train_text import WORK, Tower, say, trained_tower
from training.vision import vision_tower

TEMPLATES = {"photo": "a photo of a {}.", "cartoon": "a drawing of a {}.", "emoji": "{}"}
RIGHT = 0.9  # what share of the decisions must be right for "not sure" to stop


@dataclass(frozen=True, eq=False)
class Scored:
    """Cosines of the pictures of one kind with the distinct labels of that kind.

    Attributes:
        cosines: [n, m].
        truth: the right column of each row, [n].
    """

    cosines: NDArray[np.float64]
    truth: NDArray[np.int64]


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=CACHE)
    parser.add_argument("--work", type=Path, default=WORK)
    parser.add_argument("--seed", type=int, default=SHIPPED_SEED)
    given = parser.parse_args()
    tower = trained_tower(given.work)
    head = Head(tower.model.config.hidden_size, HIDDEN, TOP_T)
    head.load_state_dict(load_file(given.work / f"head-{given.seed}.safetensors"))
    scored = dict(scores(head, tower, given.cache))
    for kind, one in scored.items():
        ranks = (one.cosines >= one.cosines[np.arange(len(one.truth)), one.truth][:, None]).sum(1)
        say(
            f"{kind}: {len(ranks)} pictures, top-1 {(ranks == 1).mean():.3f}, "
            f"top-5 {(ranks <= 5).mean():.3f}"
        )
    found = {"logit_scale": softmax_scale(list(scored.values())), "match": match(scored.values())}
    say(json.dumps(found))
    file = given.work / f"calibration-{given.seed}.json"
    file.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


@torch.inference_mode()
def scores(head: Head, tower: Tower, cache: Path) -> Iterator[tuple[str, Scored]]:
    """Yield each kind of picture with its cosines."""
    rows: dict[str, list[tuple[Image.Image, str]]] = {kind: [] for kind in TEMPLATES}
    for picture in calibration_pictures(cache):
        rows[picture.kind].append((picture.image, picture.label))
    for row in emoji("google", cache):
        if row.kind == "emoji" and not row.tone and part_of(row.code, cache) == "calibration":
            rows["emoji"].append((to_rgb(raster(row)), row.english))
    vision = vision_tower(cache)
    for kind, found in rows.items():
        features = []
        for image, _ in found:
            views = views_of(image, 224)
            features.append(head.features(vision(torch.stack(views)), [len(views)]))
        labels = sorted({label for _, label in found})
        texts = head.centred(tower.all([TEMPLATES[kind].format(label) for label in labels]))
        cosines = head.image_vectors(torch.cat(features)) @ texts.T
        truth = np.array([labels.index(label) for _, label in found])
        yield kind, Scored(cosines.double().numpy(), truth)


def softmax_scale(kinds: Sequence[Scored]) -> float:
    """Return the scale under which the right labels are likeliest, each kind counting the same."""

    def surprise(scale: float) -> float:
        means = []
        for one in kinds:
            logits = one.cosines * scale
            logits -= logits.max(1, keepdims=True)
            own = logits[np.arange(len(one.truth)), one.truth]
            means.append((np.log(np.exp(logits).sum(1)) - own).mean())
        return float(np.mean(means))

    return float(min(np.arange(4.0, 40.0, 0.5), key=surprise))


def match(kinds: Sequence[Scored] | Any) -> dict[str, float]:
    """Return slope and offset of the logistic, and the chance from which on a decision is made."""
    cosine, matched, weight = [], [], []
    for one in kinds:
        right = np.zeros(one.cosines.shape, dtype=bool)
        right[np.arange(len(one.truth)), one.truth] = True
        cosine.append(one.cosines.ravel())
        matched.append(right.ravel())
        # Both answers, and each kind of picture, count the same.
        weight.append(np.where(right, 1 / right.sum(), 1 / (~right).sum()).ravel())
    x, y, w = (np.concatenate(parts) for parts in (cosine, matched, weight))
    slope, offset = logistic(x, y, w / w.sum())
    chance = 1 / (1 + np.exp(-(slope * x + offset)))
    sure, decided = 1.0, np.zeros_like(y)
    for sure in np.arange(0.5, 0.995, 0.005):
        decided = np.maximum(chance, 1 - chance) >= sure
        right = (chance > 0.5) == y
        if (w * (decided & right)).sum() >= RIGHT * (w * decided).sum():
            break
    share = float((w * decided).sum() / w.sum())
    return {
        "slope": round(slope, 4),
        "offset": round(offset, 4),
        "sure": round(float(sure), 3),
        "decided": round(share, 3),
    }


def logistic(
    x: NDArray[np.float64], y: NDArray[np.bool_], w: NDArray[np.float64]
) -> tuple[float, float]:
    """Return slope and offset of the weighted logistic regression of y on x, by Newton's method."""
    table = np.stack([x, np.ones_like(x)], axis=1)
    found = np.zeros(2)
    for _ in range(30):
        chance = 1 / (1 + np.exp(-(table @ found)))
        gradient = table.T @ (w * (y - chance))
        curvature = table.T @ (table * (w * chance * (1 - chance))[:, None])
        found += np.linalg.solve(curvature + 1e-9 * np.eye(2), gradient)
    return float(found[0]), float(found[1])


if __name__ == "__main__":
    main()
