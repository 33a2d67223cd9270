"""What the bare model does with a mixture of requests: in one process, one after the other.

    python -m bench.bare [--requests 100] [--seed 0] [--app FOLDER]

Prints requests a second. Pictures are files, opened within a request as the app opens them; texts,
labels and pictures are new each time.
"""

from __future__ import annotations

import sys
import tempfile
import time
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any

from bench.checkout import EXAMPLES, library, parser
from bench.mixture import SHIPPED, TEMPLATES, Request, requests

_WARM_UP = 10
_VISITOR = 10_000  # whose requests no visitor of the app makes


def main() -> None:
    """Print one number."""
    given = parser(__doc__)
    given.add_argument("--requests", type=int, default=100)
    given.add_argument("--seed", type=int, default=0)
    arguments = given.parse_args()
    mmdemo = library(arguments.app)
    sys.stdout.write(f"{_rate(mmdemo, arguments.seed, arguments.requests):.3f}\n")


def _rate(mmdemo: ModuleType, seed: int, count: int) -> float:
    encoder = mmdemo.load_encoder("mini")
    total = 0.0
    with tempfile.TemporaryDirectory() as folder:
        asked = islice(requests(seed, _VISITOR), _WARM_UP + count)
        for number, request in enumerate(asked):
            paths = _files(request, Path(folder), number)
            start = time.perf_counter()
            answer(mmdemo, encoder, request, paths)
            if number >= _WARM_UP:
                total += time.perf_counter() - start
    return count / total


def _files(request: Request, folder: Path, number: int) -> list[Path]:
    if not request.pictures:
        return [EXAMPLES / name for name in SHIPPED]
    paths = [folder / f"{number}-{name}" for name in SHIPPED]
    for path, picture in zip(paths, request.pictures, strict=True):
        path.write_bytes(picture)
    return paths


def answer(mmdemo: ModuleType, encoder: Any, request: Request, paths: list[Path]) -> Any:
    """Answer a request with the public functions."""
    if request.kind == "classify":
        return mmdemo.classify(encoder, paths, request.texts, TEMPLATES)
    if request.kind == "rank":
        return mmdemo.rank_passages(encoder, request.text, request.texts)
    return mmdemo.tasks.compare(encoder, *paths, request.text)


if __name__ == "__main__":
    main()
