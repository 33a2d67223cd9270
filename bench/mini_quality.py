"""How good `mini` is on held-out pictures.

    python -m bench.mini_quality [--cache DIR] [--work DIR] [--json FILE]

What it is measured on is in `mini_sets.py`, against what in `mini_variants.py`, how in
`mini_sections.py`. The Markdown goes into the model card; `--json` keeps the same values unrounded,
and the answer for each picture. Where `--work` still has the heads that `training` made, the
ablations and seeds are in the table too.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench import mini_sections as tables
from bench import mini_sets
from bench.mini_sections import Scores, Section, Sets, Value, scored
from bench.mini_sets import Labelled
from bench.mini_variants import look, variants
from mmdemo.encoders.mini.model import Mini
from mmdemo.models.encoder import encoder_of
from training.packages import CACHE
from training.train_text import WORK, taught_names

TIMED = 40


def main() -> None:
    """Print the sections, and write them as JSON where asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=CACHE, help="where packages are kept")
    parser.add_argument("--work", type=Path, default=WORK, help="where training left its heads")
    parser.add_argument("--json", type=Path, help="also write unrounded values here")
    given = parser.parse_args()
    encoder = Mini()
    timing = speed(encoder, mini_sets.photos(given.cache))
    sets = load_sets(encoder, given.cache)
    models = variants(encoder, given.work)
    mini = next(model for model in models if model.name == "mini")
    photos = [scored(mini, sets, one, tables.TEMPLATE) for one in sets.photos]
    sections = [
        tables.comparison(models, sets),
        tables.zero_shot(photos),
        tables.retrieval([scored(mini, sets, one) for one in sets.emoji]),
        tables.composed(mini, sets),
        tables.languages(mini, sets, taught_names(given.cache)),
        tables.confidence(photos, encoder.logit_scale),
        *([tables.not_sure(photos, encoder.match)] if encoder.match else []),
        tables.geometry(photos),
        tables.groups(photos),
        tables.failures(photos),
        timing,
    ]
    for section in sections:
        say(section.markdown())
    if given.json:
        write(given.json, sections, photos)


def load_sets(encoder: Mini, cache: Path) -> Sets:
    """Read the pictures, and run each through the vision tower once."""
    photos = [mini_sets.photos(cache), mini_sets.cut_outs(cache)]
    emoji = [mini_sets.unseen_concepts(cache), *mini_sets.unseen_styles(cache)]
    emoji.append(mini_sets.unseen_both(cache))
    composed = [make(cache) for make in mini_sets.COMPOSED]
    seen = {one.name: look(encoder, one.pictures) for one in [*photos, *emoji]}
    seen |= {one.task: look(encoder, one.gallery) for one in composed}
    return Sets(photos, emoji, composed, seen)


def speed(model: Mini, data: Labelled) -> Section:
    """Time single items, none of which the encoder has seen. Run it before anything else."""
    encoder = encoder_of(model)
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


def write(file: Path, sections: list[Section], photos: list[Scores]) -> None:
    """Write unrounded values, and the label and the five best candidates of each picture."""
    report: dict[str, Any] = {section.title: section.to_dict() for section in sections}
    for one in photos:
        best = np.argsort(-one.cosines, axis=1)[:, :5]
        report[f"answers, {one.name}"] = [
            {"label": label, "best": [one.candidates[i] for i in row]}
            for label, row in zip(one.data.labels, best, strict=True)
        ]
    text = json.dumps(report, indent=1, ensure_ascii=False)
    file.write_text(text + "\n", encoding="utf-8")


def say(text: str) -> None:
    """Write a block at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
