"""What zero-shot classification costs, and how often "none of these" is right.

    python -m bench.zero_shot [--model mini] [--labels 1000] [--templates openai-80]

Times are of one run on this machine; ratios are what carries over to another. The rejection is
measured on the pictures of the background set with labels of its other entries: their cosines
belong to the set that the threshold comes from, so this shows whether Bonferroni's bound fits the
best of n labels, not how a model does on pictures from elsewhere.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator

import numpy as np
from PIL import Image

from mmdemo import classify, load_encoder
from mmdemo.background.pairs import PICTURES, entries
from mmdemo.images import open_image
from mmdemo.models.encoder import Encoder

_PICTURES = 20
_DRAWS = 20
_COUNTS = (5, 10, 20, 40)


def main() -> None:
    """Print two Markdown tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="mini")
    parser.add_argument("--labels", type=int, default=1000)
    parser.add_argument("--templates", default="openai-80")
    given = parser.parse_args()
    # More than the page takes.
    os.environ.setdefault("MMDEMO_LIMITS_PROMPTS", str(100 * given.labels))
    encoder = load_encoder(given.model)
    _time(encoder, [f"thing number {n}" for n in range(given.labels)], given.templates)
    for templates in ("plain", "openai-7"):
        _reject(encoder, templates)


def _time(encoder: Encoder, labels: list[str], templates: str) -> None:
    """Print what the first picture costs, and what each further one does."""
    first, *rest = _noise(1 + 2 * _PICTURES)
    encoder.encode(first)
    start = time.perf_counter()
    result = classify(encoder, first, labels, templates)
    cold = time.perf_counter() - start
    plain = [_seconds(lambda image=image: encoder.encode(image)) for image in rest[::2]]
    warm = [
        _seconds(lambda image=image: classify(encoder, image, labels, templates))
        for image in rest[1::2]
    ]
    encode, again = float(np.median(plain)), float(np.median(warm))
    sys.stdout.write(
        f"{encoder.name}, {len(labels)} labels x {len(result.templates)} templates\n\n"
        "| | ms | ratio |\n|---|---|---|\n"
        f"| one picture embedded | {1000 * encode:.1f} | 1.0 x |\n"
        f"| another picture classified | {1000 * again:.1f} | {again / encode:.2f} x |\n"
        f"| the first picture classified | {1000 * cold:.0f} | {cold / encode:.0f} x |\n\n"
    )


def _reject(encoder: Encoder, templates: str) -> None:
    """Print how often a picture gets an unrelated label, and how often its own."""
    rows = entries()
    pictures = [open_image(PICTURES / row.file) for row in rows]
    labels = list(dict.fromkeys(row.label for row in rows))
    own = [labels.index(row.label) for row in rows]
    cosines = np.concatenate(
        [
            classify(encoder, pictures[i : i + 32], labels, templates).cosines
            for i in range(0, len(pictures), 32)
        ]
    )
    by_label = {row.label: row for row in rows}
    related = np.array([[row.related(by_label[label]) for label in labels] for row in rows])
    sys.stdout.write(
        f"{templates}\n\n| labels | an unrelated one beats the rejection | its own does |\n"
        "|---|---|---|\n"
    )
    random = np.random.default_rng(0)
    for count in _COUNTS:
        stand = _stand(encoder, labels[:count], pictures[0])
        wrong = [
            cosines[image, random.permutation(np.nonzero(~related[image])[0])[:count]].max()
            for image in range(len(rows))
            for _ in range(_DRAWS)
        ]
        right = cosines[np.arange(len(rows)), own]
        sys.stdout.write(
            f"| {count} | {np.mean(np.array(wrong) > stand):.2f} | {np.mean(right > stand):.2f} |\n"
        )
    sys.stdout.write("\n")


def _stand(encoder: Encoder, labels: list[str], picture: Image.Image) -> float:
    """Return the cosine at which "none of these" stands among that many labels."""
    result = classify(encoder, picture, labels, "plain", reject=True)
    return float("nan") if result.rejection_cosine is None else result.rejection_cosine


def _noise(count: int) -> Iterator[Image.Image]:
    random = np.random.default_rng(0)
    for _ in range(count):
        yield Image.fromarray(random.integers(0, 256, (224, 224, 3), dtype=np.uint8))


def _seconds(step: Callable[[], object]) -> float:
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
