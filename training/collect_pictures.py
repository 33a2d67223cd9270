"""Collect the photos and drawings that ship: examples, and the pictures of the background set.

    python -m training.draw_examples        (first: our own drawings)
    python -m training.collect_pictures [--cache DIR]

`training/pictures.json` lists every picture with its package, author, licence and captions.
Writes `assets/examples/*.jpg` and `assets/background/pictures/*.webp`, each with its `index.json`.
"""

from __future__ import annotations

import argparse
import bz2
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from PIL import Image

from mmdemo.assets import ASSETS
from mmdemo.examples import FOLDER as EXAMPLES
from mmdemo.images import open_image
from mmdemo.settings import Limits
from training.packages import CACHE, unpacked

BACKGROUND = ASSETS / "background/pictures"
# Our own sources, not a visitor's: wallpapers may be large.
BOUNDS = Limits(upload_mb=100, pixels=200_000_000)

Row = dict[str, Any]

TOLD = ("kind", "caption_en", "caption_zh", "author", "licence", "licence_url")
# What the background set says of a picture besides: its short name, and what else it resembles.
LABELLED = (*TOLD[:3], "label_en", "label_zh", "topics", *TOLD[3:])


@dataclass(frozen=True)
class Form:
    """How pictures of one folder are written.

    Attributes:
        folder: where they go.
        side: the longest side, in pixels.
        suffix: of the file name, which sets the format.
        options: passed to Pillow.
        told: what of a row goes into the index.
    """

    folder: Path
    side: int
    suffix: str
    options: dict[str, Any]
    told: tuple[str, ...]


EXAMPLE = Form(EXAMPLES, 640, ".jpg", {"quality": 88, "optimize": True}, TOLD)
SMALL = Form(BACKGROUND, 224, ".webp", {"quality": 82, "method": 6}, LABELLED)


def main() -> None:
    """Write both folders and their indexes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=CACHE)
    cache = parser.parse_args().cache
    BACKGROUND.mkdir(parents=True, exist_ok=True)
    rows = json.loads(Path(__file__).with_name("pictures.json").read_text(encoding="utf-8"))
    examples: list[Row] = []
    background: list[Row] = []
    for row in rows:
        if not row["package"]:
            examples.append(indexed(row, TOLD, f"{row['name']}.png", row["path"], "none"))
            continue
        picture = cropped(source_picture(row, cache), row.get("crop"))
        if row["example"]:
            examples.append(saved(row, picture, EXAMPLE, cache))
        background.append(saved(row, picture, SMALL, cache))
    write_index(EXAMPLES, examples)
    write_index(BACKGROUND, background)
    sys.stdout.write(f"{len(examples)} examples, {len(background)} background pictures\n")


def source_picture(row: Row, cache: Path) -> Image.Image:
    """Return the picture as the package holds it, in RGB."""
    file = unpacked(row["package"], cache) / row["path"]
    if file.name == "face.dat":
        # scipy kept its photo as bz2-compressed rows of 768 x 1024 RGB values.
        return Image.frombytes("RGB", (1024, 768), bz2.decompress(file.read_bytes()))
    return open_image(file, BOUNDS)


def cropped(picture: Image.Image, box: list[float] | None) -> Image.Image:
    """Return a part of the picture; the box is left, top, right, bottom in fractions."""
    if box is None:
        return picture
    left, top, right, bottom = box
    width, height = picture.size
    edges = (left * width, top * height, right * width, bottom * height)
    return picture.crop((round(edges[0]), round(edges[1]), round(edges[2]), round(edges[3])))


def saved(row: Row, picture: Image.Image, form: Form, cache: Path) -> Row:
    """Save a picture in one of the two forms, and return its line in the index."""
    small = picture.copy()
    small.thumbnail((form.side, form.side), Image.Resampling.LANCZOS)
    file = f"{row['name']}{form.suffix}"
    small.save(form.folder / file, **form.options)
    return indexed(row, form.told, file, source(row, cache), changes(row, picture, form.side))


def changes(row: Row, picture: Image.Image, side: int) -> str:
    """Say what was done to the picture, as attribution licences ask."""
    steps = ["cropped"] if "crop" in row else []
    if max(picture.size) > side:
        # Small drawings keep their size: enlarging adds nothing.
        steps.append(f"scaled to {side} pixels")
    if row["kind"] == "drawing":
        steps.append("put on white")
    return ", ".join([*steps, "recompressed"])


def source(row: Row, cache: Path) -> str:
    """Name the package with its version, and the file in it."""
    package = row["package"]
    if "==" not in package:
        # apt writes the colon of an epoch as %3a.
        archive = next(cache.glob(f"{package}_*.deb"))
        package = f"{package}={unquote(archive.name.split('_')[1])}"
    return f"{package}: {row['path']}"


def indexed(row: Row, told: tuple[str, ...], file: str, origin: str, done: str) -> Row:
    """Return the public part of a row: what it shows, whose it is, what was changed."""
    return {"file": file} | {key: row[key] for key in told} | {"source": origin, "changes": done}


def write_index(folder: Path, rows: list[Row]) -> None:
    """Write one picture a line, so that a change can be reviewed."""
    lines = ",\n".join("  " + json.dumps(row, ensure_ascii=False) for row in rows)
    (folder / "index.json").write_text(f"[\n{lines}\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main()
