"""Draw the example pictures that are ours: `training/drawings/*.svg` to `assets/examples/*.png`.

    python -m training.draw_examples

Uses `resvg-py`, which draws the same pixels on every machine; the drawings hold no fonts.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

import resvg_py
from PIL import Image

from mmdemo.examples import FOLDER

DRAWINGS = Path(__file__).with_name("drawings")
WIDTH = 640


def main() -> None:
    """Draw every SVG file."""
    for source in sorted(DRAWINGS.glob("*.svg")):
        target = FOLDER / f"{source.stem}.png"
        draw(source).save(target, optimize=True)
        sys.stdout.write(f"{target.name}: {target.stat().st_size / 1000:.0f} kB\n")


def draw(source: Path) -> Image.Image:
    """Return a drawing as an RGB picture, `WIDTH` pixels wide."""
    data = resvg_py.svg_to_bytes(svg_path=str(source), width=WIDTH, skip_system_fonts=True)
    return Image.open(io.BytesIO(bytes(data))).convert("RGB")


if __name__ == "__main__":
    main()
