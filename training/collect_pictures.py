"""Collect the photos and drawings that ship: examples, and the pictures of the background set.

    python -m training.draw_examples        (first: our own drawings)
    python -m training.collect_pictures [--cache DIR]

`training/pictures.json` lists every picture with its package, author, licence and captions.
Writes
`assets/examples/*.jpg` and `index.json`, and `assets/background/pictures/*.webp` and `index.json`.
"""

from __future__ import annotations

import argparse
import bz2
import json
import sys
from pathlib import Path
from typing import Any

from PIL import Image

from mmdemo.examples import FOLDER as EXAMPLES
from mmdemo.images import open_image
from mmdemo.settings import Limits
from mmdemo.weights import ASSETS
from training.packages import CACHE, unpacked

BACKGROUND = ASSETS / "background/pictures"
EXAMPLE_SIDE, BACKGROUND_SIDE = 640, 224
# Our own sources, not a visitor's: wallpapers may be large.
BOUNDS = Limits(upload_mb=100, pixels=200_000_000)

Row = dict[str, Any]


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
            examples.append(indexed(row, f"{row['name']}.png", "none"))
            continue
        picture = cropped(source_picture(row, cache), row.get("crop"))
        if row["example"]:
            examples.append(saved_example(row, picture))
        background.append(saved_background(row, picture))
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


def saved_example(row: Row, picture: Image.Image) -> Row:
    """Save an example, and return its line in the index."""
    small = picture.copy()
    small.thumbnail((EXAMPLE_SIDE, EXAMPLE_SIDE), Image.Resampling.LANCZOS)
    small.save(EXAMPLES / f"{row['name']}.jpg", quality=88, optimize=True)
    return indexed(row, f"{row['name']}.jpg", changes(row, EXAMPLE_SIDE))


def saved_background(row: Row, picture: Image.Image) -> Row:
    """Save a background picture, and return its line in the index."""
    small = picture.copy()
    small.thumbnail((BACKGROUND_SIDE, BACKGROUND_SIDE), Image.Resampling.LANCZOS)
    small.save(BACKGROUND / f"{row['name']}.webp", quality=82, method=6)
    return indexed(row, f"{row['name']}.webp", changes(row, BACKGROUND_SIDE))


def changes(row: Row, side: int) -> str:
    """Say what was done to the picture, as attribution licences ask."""
    done = f"scaled to {side} pixels and recompressed"
    return f"cropped, {done}" if "crop" in row else done


def indexed(row: Row, file: str, done: str) -> Row:
    """Return the public part of a row: what it shows, whose it is, what was changed."""
    source = f"{row['package']}: {row['path']}" if row["package"] else row["path"]
    kept = ("kind", "caption_en", "caption_zh", "author", "licence", "licence_url")
    return {"file": file} | {key: row[key] for key in kept} | {"source": source, "changes": done}


def write_index(folder: Path, rows: list[Row]) -> None:
    """Write one picture a line, so that a change can be reviewed."""
    lines = ",\n".join("  " + json.dumps(row, ensure_ascii=False) for row in rows)
    (folder / "index.json").write_text(f"[\n{lines}\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main()
