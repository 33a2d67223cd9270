"""Draw the training views and run each through the vision tower once; training reads the result.

    python -m training.features [--cache DIR] [--work DIR]

The tower is frozen, so a view's features never change: minutes of drawing here save hours later.
Writes `features-NNN.pt` below `--work`, a block of views a file; blocks that are there are kept.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from multiprocessing import get_context
from pathlib import Path

import torch
from PIL import Image

from mmdemo.encoders.mini.model import VisionOutput, whole_view
from training.captioned import Captioned, training_pictures
from training.packages import CACHE
from training.render import COLOURS, on_ground, raster, tinted
from training.splits import leaks, part_of
from training.train_text import WORK
from training.vision import vision_tower

COMPOSITES = 6000
BLOCK = 2048
BATCH = 4  # more no longer fit the processor's cache
SEED = 0


@dataclass(frozen=True)
class View:
    """What is drawn: one picture or two, their colours ("" for their own), and the ground.

    Attributes:
        rows: places in `training_rows`.
        colours: names in `COLOURS`, one for each row.
        plain: large, centred, on white.
    """

    rows: tuple[int, ...]
    colours: tuple[str, ...]
    plain: bool


@lru_cache(maxsize=1)
def training_rows(cache: Path) -> list[Captioned]:
    """Return the pictures that are trained on: held-out concepts and their names left out."""
    return [
        row
        for row in training_pictures(cache)
        if not leaks(row, cache) and (not row.code or part_of(row.code, cache) == "train")
    ]


def plan(rows: list[Captioned]) -> list[View]:
    """Return the views: two of each picture, one of each skin tone, and composites of two."""
    draw = random.Random(SEED)
    names = list(COLOURS)
    views = []
    for index, row in enumerate(rows):
        count = 1 if row.tone or row.kind == "logo" else 3 if row.kind == "emoji" else 2
        # Two views of a shape have two colours, so that one can be asked for from the other.
        colours = draw.sample(names, count) if row.single_colour else [""] * count
        for turn, colour in enumerate(colours):
            views.append(View((index,), (colour,), plain=turn == 0 and draw.random() < 0.8))
    things = [i for i, row in enumerate(rows) if row.kind in ("emoji", "clip art") and not row.tone]
    for _ in range(COMPOSITES):
        pair = tuple(draw.sample(things, 2))
        views.append(View(pair, ("", ""), plain=draw.random() < 0.5))
    return views


def drawn(view: View, rows: list[Captioned], seed: int) -> Image.Image | None:
    """Return the picture of a view, RGB [224, 224], or None where a drawing is broken."""
    draw = random.Random(seed)
    try:
        things = [raster(rows[index]) for index in view.rows]
    except ValueError:
        return None
    coloured = [
        tinted(thing, colour, draw) if colour else thing
        for thing, colour in zip(things, view.colours, strict=True)
    ]
    return on_ground(coloured, draw, plain=view.plain)


def main() -> None:
    """Compute what is missing, in two processes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=CACHE)
    parser.add_argument("--work", type=Path, default=WORK)
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    views = plan(training_rows(given.cache))
    todo = [
        start for start in range(0, len(views), BLOCK) if not block(given.work, start).is_file()
    ]
    sys.stdout.write(f"{len(views)} views, {len(todo)} blocks to do\n")
    with get_context("spawn").Pool(2) as pool:
        for start in pool.imap_unordered(partial(compute, given.cache, given.work), todo):
            sys.stdout.write(f"views from {start}\n")
            sys.stdout.flush()


def block(work: Path, start: int) -> Path:
    """Return the file of the block that starts with that view."""
    return work / f"features-{start // BLOCK:03d}.pt"


@torch.inference_mode()
def compute(cache: Path, work: Path, start: int) -> int:
    """Write one block of features."""
    torch.set_num_threads(1)
    rows = training_rows(cache)
    views = plan(rows)[start : start + BLOCK]
    tower = vision_tower(cache)
    kept, parts = [], []
    for indices, pixels in batches(views, rows, start):
        output = tower(pixels)
        kept += indices
        parts.append([part.half() for part in output])
    columns = [torch.cat(column) for column in zip(*parts, strict=True)]
    file = block(work, start)
    torch.save((torch.tensor(kept), *columns), file.with_suffix(".partial"))
    file.with_suffix(".partial").rename(file)
    return start


def batches(
    views: list[View], rows: list[Captioned], start: int
) -> Iterator[tuple[list[int], torch.Tensor]]:
    """Yield places in the plan and pixels, float32 [n, 3, 224, 224]."""
    for first in range(0, len(views), BATCH):
        places, pixels = [], []
        for offset, view in enumerate(views[first : first + BATCH]):
            place = start + first + offset
            image = drawn(view, rows, SEED + place)
            if image is not None:
                places.append(place)
                pixels.append(whole_view(image))
        if pixels:
            yield places, torch.stack(pixels)


def load(work: Path) -> tuple[torch.Tensor, VisionOutput]:
    """Return places in the plan [n], and the features of all blocks."""
    columns = [torch.load(file) for file in sorted(work.glob("features-*.pt"))]
    places, *parts = (torch.cat(column) for column in zip(*columns, strict=True))
    return places, VisionOutput(*parts)


if __name__ == "__main__":
    main()
