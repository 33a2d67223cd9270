"""What a comparison with `mini` costs in one process, by what is new in it, at two sizes.

    python -m bench.costs [--rounds 15] [--app FOLDER]

Pictures of 640 pixels and of twelve megapixels (some 3 MB each), as paths, which is what the page
hands over, and as PIL pictures. All cases take their turn in every round. `encode` is asked for the
three vectors that a new text needs, beside the same pictures.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from PIL import Image

from bench.checkout import library, parser
from bench.mixture import SHIPPED, decoded
from bench.tables import line, table

_LARGE = (4000, 3000)
_NOISE = 5.0  # standard deviation in 256 levels: makes a file as large as a camera's
_CASES = ("cold", "new text", "encode", "nothing new")
_SIZES = ("640", "12 MP")

Pair = tuple[Any, Any]


@dataclass(frozen=True)
class Inputs:
    """Pairs of pictures of one size, handed over in one way.

    Attributes:
        size: one of `_SIZES`.
        way: "path" or "PIL".
        same: a pair that is used again and again.
        new: makes the pair of a round, which no cache has seen.
    """

    size: str
    way: str
    same: Pair
    new: Callable[[int], Pair]


def main() -> None:
    """Print a Markdown table, and the ratios that matter."""
    given = parser(__doc__)
    given.add_argument("--rounds", type=int, default=15)
    arguments = given.parse_args()
    mmdemo = library(arguments.app)
    with tempfile.TemporaryDirectory() as folder:
        inputs = [
            one for size in _SIZES for one in _inputs(size, Path(folder), arguments.rounds + 1)
        ]
        _print(_measured(mmdemo, inputs, arguments.rounds))


def _inputs(size: str, folder: Path, rounds: int) -> Iterator[Inputs]:
    pair = tuple(_picture(name, size) for name in SHIPPED)
    for number in range(rounds + 1):
        for position, picture in enumerate(pair):
            path = _path(folder, size, number, position)
            _marked(picture, number).save(path, "JPEG", quality=90)

    def paths(number: int) -> Pair:
        return _path(folder, size, number, 0), _path(folder, size, number, 1)

    def pictures(number: int) -> Pair:
        return _marked(pair[0], number), _marked(pair[1], number)

    yield Inputs(size, "path", paths(rounds), paths)
    yield Inputs(size, "PIL", pictures(rounds), pictures)


def _path(folder: Path, size: str, number: int, position: int) -> Path:
    return folder / f"{size.replace(' ', '')}-{number}-{position}.jpg"


def _picture(name: str, size: str) -> Image.Image:
    """Return a shipped photo, as it is or enlarged with a little noise."""
    picture = decoded(name)
    if size == "640":
        return picture
    large = np.asarray(picture.resize(_LARGE, Image.Resampling.BICUBIC), dtype=np.float32)
    noise = np.random.default_rng(0).normal(0, _NOISE, (*large.shape[:2], 1)).astype(np.float32)
    return Image.fromarray((large + noise).clip(0, 255).astype(np.uint8))


def _marked(picture: Image.Image, number: int) -> Image.Image:
    """Return a copy with one pixel changed."""
    copy = picture.copy()
    copy.putpixel((0, 0), (number * 8 % 256, 255 - number, 7))
    return copy


Times = dict[tuple[str, str, str], float]


def _measured(mmdemo: ModuleType, inputs: list[Inputs], rounds: int) -> Times:
    """Return medians in milliseconds by size, way and case."""
    encoder = mmdemo.load_encoder("mini")
    times: dict[tuple[str, str, str], list[float]] = {}
    for number in range(rounds + 1):
        for one in inputs:
            for case, step in zip(_CASES, _steps(mmdemo, encoder, one, number), strict=True):
                start = time.perf_counter()
                step()
                taken = time.perf_counter() - start
                times.setdefault((one.size, one.way, case), []).append(taken * 1e3)
    # Without the first round, which warms up.
    return {key: float(np.median(values[1:])) for key, values in times.items()}


def _steps(
    mmdemo: ModuleType, encoder: Any, inputs: Inputs, number: int
) -> list[Callable[[], object]]:
    new, (first, second) = inputs.new(number), inputs.same
    named = f"{inputs.size} {inputs.way} {number}"
    text = f"a text of {named}"
    three = [text, {"image": first, "text": text}, {"image": second, "text": text}]
    return [
        lambda: mmdemo.tasks.compare(encoder, *new, f"a cold text of {named}"),
        lambda: mmdemo.tasks.compare(encoder, first, second, f"a new text of {named}"),
        lambda: encoder.encode(three),
        lambda: mmdemo.tasks.compare(encoder, first, second, f"a new text of {named}"),
    ]


def _print(times: Times) -> None:
    rows = []
    for size, way in dict.fromkeys(key[:2] for key in times):
        found = [times[size, way, case] for case in _CASES]
        ratio = times[size, way, "new text"] / times[size, way, "encode"]
        rows.append((f"{size}, {way}", *(f"{ms:.1f}" for ms in found), f"{ratio:.2f}"))
    table(("ms", *_CASES, "new text / encode"), rows)
    for way in ("path", "PIL"):
        ratio = times["12 MP", way, "cold"] / times["640", way, "cold"]
        line(f"Cold, 12 MP / 640, {way}: {ratio:.2f}")
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
