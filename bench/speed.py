"""What a comparison with `mini` costs: cold, with only the text changed, and all from the cache.

    python -m bench.speed

Every figure is a median of one run on this machine; ratios are what carries over to another.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from PIL import Image

from mmdemo import compare
from mmdemo.encoders.mini.model import Mini
from mmdemo.examples import examples
from mmdemo.images import open_image

ROUNDS = 30


def main() -> None:
    """Print a Markdown table."""
    first, second = (open_image(path) for path in examples()[1].paths)
    encoder = Mini()
    compare(encoder, first, second, "warm-up")
    fresh = [(_marked(first, n), _marked(second, n)) for n in range(ROUNDS)]
    cold = _median(lambda n: compare(encoder, *fresh[n], f"text {n}"))
    text = _median(lambda n: compare(encoder, first, second, f"another text {n}"))
    cached = _median(lambda _: compare(encoder, first, second, "warm-up"))
    load = _median(lambda _: Mini(), 5)
    out = sys.stdout.write
    out(f"{torch.get_num_threads()} threads, {ROUNDS} rounds\n\n| | ms | ratio |\n|---|---|---|\n")
    for name, value in (
        ("two new pictures, a new text", cold),
        ("only the text is new", text),
        ("nothing is new", cached),
    ):
        out(f"| {name} | {value:.1f} | {cold / value:.1f} x |\n")
    out(f"| loading the weights (libraries imported) | {load:.0f} | |\n")
    out(f"| a new process, `import mmdemo` | {_import_ms():.0f} | |\n")


def _marked(picture: Image.Image, number: int) -> Image.Image:
    """Return a copy with one pixel changed, which no cache has seen."""
    copy = picture.copy()
    copy.putpixel((0, 0), (number, 7, 7))
    return copy


def _median(step: Callable[[int], object], rounds: int = ROUNDS) -> float:
    times = []
    for number in range(rounds):
        start = time.perf_counter()
        step(number)
        times.append(time.perf_counter() - start)
    return float(np.median(times)) * 1000.0


def _import_ms() -> float:
    command = [sys.executable, "-c", "import mmdemo"]
    return _median(lambda _: subprocess.run(command, check=True), 5)


if __name__ == "__main__":
    main()
