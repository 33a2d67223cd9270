"""What one caller's long work costs another's comparisons, and what becomes of the long work."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from bench.callers import Answer, Caller
from bench.checkout import ROOT
from bench.mixture import texts, upload_shipped
from bench.served import Served, serving
from bench.tables import Spread, line, spread, table

_COMPARISONS = 20
_PATIENCE = 30.0  # seconds for a comparison
_LONG_PATIENCE = 300.0
_BEGIN = 1.0  # seconds, in which the long ones come to their work
_LOOK = 5.0  # seconds, after which a further long one is given up

_LABELS = 200  # in the 80 templates of the largest set: 16,000 texts, of 20,000 that are accepted
_PASSAGES, _WORDS = 50, 330  # just below the limit of all passages together

# Run in a process of its own: base size, random weights, and a vocabulary of few words.
_WRITE = """
import sys
from pathlib import Path
from bench import bge_m3
bge_m3.CONFIG.update(hidden_size=768, num_hidden_layers=12, num_attention_heads=12)
bge_m3.CONFIG.update(intermediate_size=3072, vocab_size=1000)
bge_m3.write_checkpoint(Path(sys.argv[1]))
"""


class Long:
    """Asks for long work of one kind, new each time."""

    def __init__(self, caller: Caller, endpoint: str, model: str) -> None:
        """Upload a picture."""
        self._caller, self._endpoint, self._model = caller, endpoint, model
        self._picture = upload_shipped(caller)[0]
        self._seeds = count()

    def ask(self, patience: float = _LONG_PATIENCE) -> Answer:
        """Ask for as much as the limits allow."""
        return self._ask(_LABELS, _PASSAGES, "openai-80", patience)

    def warm_up(self) -> None:
        """Have the model loaded."""
        self._ask(2, 2, "plain", _LONG_PATIENCE)

    def _ask(self, labels: int, passages: int, templates: str, patience: float) -> Answer:
        random = np.random.default_rng(next(self._seeds))
        given: list[Any] = ["a red bridge", "\n\n".join(texts(random, passages, _WORDS))]
        given += [self._model, 1, 1, 1]
        if self._endpoint == "classify":
            given = [[self._picture], "\n".join(texts(random, labels, 3)), templates]
            given += [False, self._model]
        return self._caller.ask(self._endpoint, given, patience)


def measure(given: argparse.Namespace) -> None:
    """Measure comparisons beside two long classifications, and beside two long rankings."""
    if given.only != "rank":
        with serving(given.app) as served:
            _measure(served, "classify", "mini")
    if given.only != "classify":
        with _slow_model(given.slow) as folder:
            _measure_ranking(given.app, folder)


def _measure_ranking(app: Path, slow: Path) -> None:
    with serving(app, MMDEMO_MODELS=f"mini,{slow}") as served:
        rows = Caller(served.place).ask("models", []).told
        [name] = [row["name"] for row in rows if row["name"] != "mini"]
        _measure(served, "rank", name)


@contextmanager
def _slow_model(kept: Path | None) -> Iterator[Path]:
    """Give a folder with a BGE-M3 that takes half a minute for the longest ranking."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = (kept or Path(temporary) / "slow").resolve()
        if not (folder / "config.json").is_file():
            subprocess.run([sys.executable, "-c", _WRITE, str(folder)], cwd=ROOT, check=True)
        yield folder


def _measure(served: Served, endpoint: str, model: str) -> None:
    long = Long(Caller(served.place, "127.0.0.2"), endpoint, model)
    other = Caller(served.place, "127.0.0.3")
    pictures = upload_shipped(other)
    _compared(other, pictures, "warm-up", 3)
    long.warm_up()
    alone = _compared(other, pictures, "alone")
    with ThreadPoolExecutor(4) as pool:
        first = [pool.submit(long.ask) for _ in range(2)]
        time.sleep(_BEGIN)
        beside = _compared(other, pictures, "beside")
        running = sum(not one.done() for one in first)
        further = [pool.submit(long.ask, _LOOK) for _ in range(2)]
        _print(endpoint, spread(alone), spread(beside), len(beside))
        line(f"Of the two long /{endpoint}, {running} still ran after these comparisons.\n")
        _print_ends("long", [one.result() for one in first])
        _print_ends("further", [one.result() for one in further])


def _compared(
    caller: Caller, pictures: list[Any], what: str, most: int = _COMPARISONS
) -> list[float]:
    """Return the seconds of some comparisons; where two in a row get no answer, no more follow."""
    seconds: list[float] = []
    for number in range(most):
        asked = [*pictures, f"{what} {number}: a small boat", "mini"]
        seconds.append(caller.ask("compare", asked, _PATIENCE).waited)
        if np.isinf(seconds[-2:]).sum() == 2:
            break
    return seconds


def _print(endpoint: str, alone: Spread, beside: Spread, asked: int) -> None:
    rows = [
        (name, *(f"{seconds:.3f}" for seconds in one))
        for name, one in (("alone", alone), ("beside them", beside))
    ]
    ratios = (f"{b / a:.1f} x" for a, b in zip(alone, beside, strict=True))
    line(f"/compare with mini, {asked} times beside two long /{endpoint} of another caller\n")
    table(("", "p50 s", "p95 s", "max s"), [*rows, ("beside / alone", *ratios)])


def _print_ends(which: str, answers: Sequence[Answer]) -> None:
    for answer in answers:
        told = "" if answer.good or not answer.told else f": {str(answer.told)[:200]}"
        line(f"- {which}: {answer.kind} after {answer.seconds:.1f} s{told}")
    line("")
