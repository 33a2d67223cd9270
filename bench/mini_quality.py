"""How good `mini` is, on pictures that nothing was trained or tuned on.

    python -m bench.mini_quality [--cache DIR]

Downloads Debian packages (never installed, never committed) and prints Markdown tables for the
model card. Photos are labelled by hand in `mini_quality_photos.json`; cut-outs carry the one-line
English description of their package. Intervals are 95 % bootstrap intervals over pictures.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from mmdemo import load_encoder
from mmdemo.encoders.base import Encoder
from mmdemo.images import open_image
from mmdemo.settings import Limits
from training.packages import CACHE, unpacked

PHOTO_LABELS = Path(__file__).with_name("mini_quality_photos.json")
STAMPS = "tuxpaint-stamps-default"
STAMP_FOLDERS = [
    "animals",
    "clothes",
    "food",
    "hobbies",
    "household",
    "plants",
    "sports",
    "town",
    "vehicles",
]
# A label is a short noun phrase; longer descriptions are sentences about something.
STAMP_LABEL = re.compile(r"^(?:An?|Some) [a-z -]+\.?$")
BOUNDS = Limits(upload_mb=100, pixels=200_000_000)
TEMPLATE = "a photo of {}."

Scores = NDArray[np.float32]


@dataclass(frozen=True)
class Labelled:
    """Pictures with the label of each, and the distinct labels."""

    pictures: list[Image.Image]
    labels: list[str]

    @property
    def candidates(self) -> list[str]:
        """Return the distinct labels, sorted."""
        return sorted(set(self.labels))

    @property
    def truth(self) -> NDArray[np.int64]:
        """Return the index of each picture's label among `candidates`: int64 [n]."""
        candidates = self.candidates
        return np.array([candidates.index(label) for label in self.labels])


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=CACHE)
    cache = parser.parse_args().cache
    encoder = load_encoder("mini")
    sets = {"photos": photos(cache), "cut-outs": stamps(cache)}
    say("| | " + " | ".join(sets) + " |\n|---|" + "---|" * len(sets))
    columns = [rows(encoder, labelled) for labelled in sets.values()]
    for line in zip(*columns, strict=True):
        say(f"| {line[0][0]} | " + " | ".join(value for _, value in line) + " |")
    say("")
    for name, labelled in sets.items():
        say(f"{name.capitalize()} not found: {failures(encoder, labelled)}.\n")
    say(speed(encoder, sets["photos"]))


def rows(encoder: Encoder, data: Labelled) -> list[tuple[str, str]]:
    """Return name and value of each measurement on one set."""
    candidates = data.candidates
    truth = data.truth
    images = encoder.encode(data.pictures)  # [n, dim]
    texts = encoder.encode([TEMPLATE.format(label) for label in candidates])  # [m, dim]
    cosines = images @ texts.T  # [n, m]
    mean_of_others = (cosines.sum(1) - matched(cosines, truth)) / (len(candidates) - 1)
    ranks = rank_of(cosines, truth)
    confidence, calibration = confidences(cosines * encoder.logit_scale, truth)
    gap = np.linalg.norm(images.mean(0) - texts.mean(0))
    return [
        ("pictures, distinct labels", f"{len(truth)}, {len(candidates)}"),
        ("zero-shot top-1 (chance)", f"{interval(ranks < 1)} ({1 / len(candidates):.3f})"),
        ("zero-shot top-5", interval(ranks < 5)),
        ("top-1 among 20 labels", f"{among(20, cosines, truth):.3f}"),
        ("label finds a picture, R@1", interval(hits(cosines, truth, 1))),
        ("label finds a picture, R@5", interval(hits(cosines, truth, 5))),
        ("mean confidence", f"{confidence:.3f}"),
        ("expected calibration error", f"{calibration:.3f}"),
        ("cosine, matched pairs", f"{matched(cosines, truth).mean():.3f}"),
        ("cosine, mismatched pairs", f"{mean_of_others.mean():.3f}"),
        ("modality gap", f"{gap:.3f}"),
    ]


def rank_of(cosines: Scores, truth: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how many labels score above the right one: [n, m], [n] -> [n]."""
    return (cosines > matched(cosines, truth)[:, None]).sum(1)


def matched(cosines: Scores, truth: NDArray[np.int64]) -> Scores:
    """Return the cosine of each picture with its own label: [n, m], [n] -> [n]."""
    return cosines[np.arange(len(truth)), truth]


def hits(cosines: Scores, truth: NDArray[np.int64], k: int) -> NDArray[np.bool_]:
    """Say for each label whether one of its pictures is among its k best: -> bool [m]."""
    best = np.argsort(-cosines, axis=0)[:k]  # [k, m]
    return (truth[best] == np.arange(cosines.shape[1])).any(0)


def among(count: int, cosines: Scores, truth: NDArray[np.int64], draws: int = 20) -> float:
    """Return top-1 when each picture meets its label and `count` - 1 others, drawn at random."""
    random = np.random.default_rng(0)
    right = []
    for _ in range(draws):
        for row, label in zip(cosines, truth, strict=True):
            others = np.delete(np.arange(len(row)), label)
            drawn = random.choice(others, size=count - 1, replace=False)
            right.append(row[label] > row[drawn].max())
    return float(np.mean(right))


def confidences(logits: Scores, truth: NDArray[np.int64]) -> tuple[float, float]:
    """Return mean confidence and expected calibration error of a softmax over labels.

    Ten equal-width bins, after Guo et al. 2017 (arXiv 1706.04599).
    """
    exponents = np.exp(logits - logits.max(1, keepdims=True))
    probabilities = exponents / exponents.sum(1, keepdims=True)
    confidence = probabilities.max(1)
    right = probabilities.argmax(1) == truth
    bins = np.minimum((confidence * 10).astype(int), 9)
    error = sum(
        (bins == b).mean() * abs(confidence[bins == b].mean() - right[bins == b].mean())
        for b in np.unique(bins)
    )
    return float(confidence.mean()), float(error)


def interval(right: NDArray[np.bool_], resamples: int = 1000) -> str:
    """Return a mean with its 95 % bootstrap interval."""
    random = np.random.default_rng(0)
    means = right[random.integers(0, len(right), (resamples, len(right)))].mean(1)
    low, high = np.quantile(means, [0.025, 0.975])
    return f"{right.mean():.3f} [{low:.2f}, {high:.2f}]"


def failures(encoder: Encoder, data: Labelled) -> str:
    """Name labels none of whose pictures rank them among the first five: twelve, evenly spread."""
    cosines = (
        encoder.encode(data.pictures)
        @ encoder.encode([TEMPLATE.format(label) for label in data.candidates]).T
    )
    found = {data.labels[i] for i, rank in enumerate(rank_of(cosines, data.truth)) if rank < 5}
    lost = [label for label in data.candidates if label not in found]
    some = lost[:: max(1, len(lost) // 12)]
    return f"{len(lost)} of {len(data.candidates)} labels, such as {', '.join(some)}"


def speed(encoder: Encoder, data: Labelled) -> str:
    """Return milliseconds an image and a text, one item at a time, each seen for the first time."""
    # A border of its own makes each picture new to the cache.
    fresh = [picture.copy() for picture in data.pictures]
    for index, picture in enumerate(fresh):
        picture.putpixel((0, 0), (index, 1, 2))
    image = median_ms(lambda i: encoder.encode([fresh[i]]), len(fresh))
    text = median_ms(lambda i: encoder.encode([f"picture number {i} of a thing"]), 50)
    threads = torch.get_num_threads()
    return f"Median on {threads} threads: {image:.0f} ms an image, {text:.0f} ms a text."


def median_ms(step: Callable[[int], object], count: int) -> float:
    """Return the median time of a step in milliseconds, after one call to warm up."""
    step(0)
    times = []
    for index in range(1, count):
        start = time.perf_counter()
        step(index)
        times.append(time.perf_counter() - start)
    return float(np.median(times)) * 1000.0


def photos(cache: Path) -> Labelled:
    """Return the hand-labelled photos."""
    listed = json.loads(PHOTO_LABELS.read_text(encoding="utf-8"))
    pictures = [open_image(unpacked(row["package"], cache) / row["path"], BOUNDS) for row in listed]
    return Labelled(pictures, [row["label"] for row in listed])


def stamps(cache: Path) -> Labelled:
    """Return the cut-outs whose description is a short noun phrase."""
    root = unpacked(STAMPS, cache) / "usr/share/tuxpaint/stamps"
    pictures, labels = [], []
    for folder in STAMP_FOLDERS:
        for note in sorted((root / folder).rglob("*.txt")):
            label = note.read_text(encoding="utf-8").splitlines()[0].strip()
            file = note.with_suffix(".png")
            drawn = "cartoon" in note.parts or "flags" in note.parts
            if not drawn and file.is_file() and STAMP_LABEL.match(label) and len(label.split()) < 5:
                pictures.append(open_image(file, BOUNDS))
                labels.append(label.rstrip(".").lower())
    return Labelled(pictures, labels)


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
