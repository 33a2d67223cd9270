"""Many threads at once: what it takes to load models together, and whether numbers stay the same.

    python -m bench.threads load MODEL… | jobs FILE [--at-once 16] [--app FOLDER]

Run by `bench.speed` in processes of their own. `load` fails where a model cannot be loaded; `jobs`
writes the numbers of sixteen different jobs.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from bench.checkout import EXAMPLES, library, parser
from bench.mixture import SHIPPED, TEMPLATES, texts

_JOBS = 16
_MOST = 120.0  # seconds that one thread waits for the others


def main() -> None:
    """Do one of both."""
    given = parser(__doc__)
    given.add_argument("what", choices=("load", "jobs"))
    given.add_argument("names", nargs="+")
    given.add_argument("--at-once", type=int, default=_JOBS)
    arguments = given.parse_args()
    mmdemo = library(arguments.app)
    if arguments.what == "load":
        _load(mmdemo, arguments.names)
    else:
        np.savez(arguments.names[0], *_answers(mmdemo, arguments.at_once))


def _load(mmdemo: ModuleType, names: list[str]) -> None:
    together = threading.Barrier(len(names), timeout=_MOST)

    def load(name: str) -> None:
        together.wait()
        mmdemo.load_encoder(Path(name) if "/" in name else name).encode("a text")

    with ThreadPoolExecutor(len(names)) as pool:
        list(pool.map(load, names))


def _answers(mmdemo: ModuleType, at_once: int) -> list[np.ndarray]:
    """Return the numbers of all jobs; those that run at once begin together."""
    together = threading.Barrier(at_once, timeout=_MOST)

    def work(job: Callable[[], Any]) -> np.ndarray:
        together.wait()
        return np.asarray(job(), dtype=np.float32)

    with ThreadPoolExecutor(at_once) as pool:
        return list(pool.map(work, _jobs(mmdemo, mmdemo.load_encoder("mini"))))


def _jobs(mmdemo: ModuleType, encoder: Any) -> Iterator[Callable[[], Any]]:
    """Yield four different jobs of each kind; some share a picture."""
    pictures = sorted(EXAMPLES.glob("*.jpg"))
    shared = [EXAMPLES / name for name in SHIPPED]
    for number in range(_JOBS // 4):
        random = np.random.default_rng(number)
        [text], own = texts(random, 1, 6), pictures[number]
        labels, passages = texts(random, 10, 3), texts(random, 9, 40)
        yield lambda own=own, text=text: mmdemo.tasks.compare(encoder, own, shared[0], text).matrix
        yield lambda own=own, text=text: encoder.encode([text, own, {"image": own, "text": text}])
        yield (
            lambda own=own, labels=labels: (
                mmdemo.classify(encoder, [own, shared[1]], labels, TEMPLATES).probabilities
            )
        )
        yield lambda text=text, passages=passages: mmdemo.rank_passages(
            encoder, text, passages
        ).scores["dense"]


if __name__ == "__main__":
    main()
