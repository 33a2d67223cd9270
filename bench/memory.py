"""What an app holds in memory: after many requests, after many models, after calls for a list."""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np

from bench.callers import Answer, Caller, RefusedError
from bench.checkout import output
from bench.mixture import texts, upload_shipped
from bench.served import Served, serving
from bench.tables import line, table
from bench.visitors import Visitor, all_at_once

_CLIENTS = 8
_FIRST = 200  # requests after which the caches should have found their size
_ROUNDS = 3  # in which each model is used once
_LISTS = 400


def measure_mixture(given: argparse.Namespace) -> None:
    """Measure memory after 200 requests of eight clients, and after all of them."""
    with serving(given.app, MMDEMO_MEMORY=str(given.mb)) as served:
        visitors = [Visitor(served, number, given.seed) for number in range(_CLIENTS)]
        start = served.memory()
        _ask(visitors, _FIRST // _CLIENTS)
        first = served.memory()
        _ask(visitors, (given.requests - _FIRST) // _CLIENTS)
        last = served.memory()
    measured = [one for visitor in visitors for one in visitor.measured]
    errors = sum(not one.answer.good for one in measured)
    line(f"MMDEMO_MEMORY={given.mb}; {len(measured)} requests, {errors} errors\n")
    rows = [("0", start), (str(_FIRST), first), (str(len(measured)), last)]
    table(("requests", "MB"), [(name, f"{mb:.0f}") for name, mb in rows])
    line(f"{len(measured)} / {_FIRST} requests: {last / first:.2f} x")


def _ask(visitors: list[Visitor], each: int) -> None:
    def work(visitor: Visitor) -> None:
        for _ in range(each):
            visitor.ask()

    all_at_once(partial(work, visitor) for visitor in visitors)


def measure_models(given: argparse.Namespace) -> None:
    """Measure memory after nine models were used in turn, where there is room for two."""
    with tempfile.TemporaryDirectory() as temporary:
        made = output("bench.nine_models", given.app, temporary).split()
        size = sum(file.stat().st_size for name in made for file in Path(name).iterdir()) / 1e6
        settings = {"MMDEMO_MODELS": ",".join(made), "MMDEMO_MEMORY": str(given.mb)}
        with serving(given.app, **settings) as served:
            caller = Caller(served.place, "127.0.0.2")
            answers, held = _use_all(caller, served)
            health = _health(caller, given.health)
    line(f"{len(made)} models of {size:.0f} MB together, MMDEMO_MEMORY={given.mb}\n")
    ends = Counter(answer.kind if answer.good else str(answer.told)[:200] for answer in answers)
    table(("answers", "how they ended"), [(str(n), told) for told, n in ends.most_common()])
    marks = (1, len(made), len(answers))
    table(("models used so far", "MB"), [(str(n), f"{held[n - 1]:.0f}") for n in marks])
    line(f"{given.health}: {health}")


def _use_all(caller: Caller, served: Served) -> tuple[list[Answer], list[float]]:
    """Use each model in turn, some rounds; return the answers, and the memory after each."""
    pictures = upload_shipped(caller)
    random = np.random.default_rng(0)
    names = [row["name"] for row in caller.ask("models", []).told]
    answers, held = [], []
    for text in texts(random, _ROUNDS * len(names), 5):
        name = names[len(answers) % len(names)]
        answers.append(caller.ask("compare", [*pictures, text, name]))
        held.append(served.memory())
    return answers, held


def _health(caller: Caller, path: str) -> str:
    try:
        return caller.get(path)
    except (RefusedError, OSError) as error:
        return f"nothing ({str(error)[:60]})"


def measure_calls(given: argparse.Namespace) -> None:
    """Measure memory kept by 400 calls of /models."""
    with serving(given.app) as served:
        caller = Caller(served.place)
        # First what the model's first use and the first calls need once.
        caller.ask("compare", [*upload_shipped(caller), "a text", "mini"])
        _list(caller, 50)
        before = served.memory()
        _list(caller, _LISTS)
        grown = served.memory() - before
    line(f"Memory kept by {_LISTS} calls of /models: {grown:.1f} MB")


def _list(caller: Caller, times: int) -> None:
    for _ in range(times):
        caller.ask("models", [])
