"""Visitors who ask again as soon as they are answered, or after a pause, each from an address."""

from __future__ import annotations

import argparse
import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from bench.callers import Answer, Caller, RefusedError
from bench.checkout import output
from bench.mixture import KINDS, SHIPPED, Request, call, requests, upload_shipped
from bench.served import Served, serving
from bench.tables import line, spread, table

_NAMES = {
    "text": "compare, a new text",
    "pictures": "compare, two new pictures (with their upload)",
    "classify": "classify, 20 labels x 7 templates",
    "rank": "rank, 9 passages",
}


class Measured(NamedTuple):
    """A request that has ended.

    Attributes:
        kind: of the request.
        answer: its end; the seconds count the upload.
        upload: seconds of them that the upload took.
        end: the moment, of `perf_counter`.
    """

    kind: str
    answer: Answer
    upload: float
    end: float


class Visitor:
    """Asks one thing after the other."""

    def __init__(self, served: Served, number: int, seed: int) -> None:
        """Upload the pictures that it compares again and again."""
        self.caller = Caller(served.place, address(number))
        self.random = np.random.default_rng([seed, number, 1])
        self.measured: list[Measured] = []
        self._requests = requests(seed, number)
        self._shipped = upload_shipped(self.caller)

    def ask(self) -> None:
        """Make the next request and wait for its answer."""
        request = next(self._requests)
        start = time.perf_counter()
        upload = 0.0
        try:
            pictures = self._pictures(request)
            upload = time.perf_counter() - start if request.pictures else 0.0
            answer = self.caller.ask(*call(request, pictures))
        except (RefusedError, OSError) as error:  # of the upload
            answer = Answer(0.0, "error", f"{type(error).__name__}: {error}")
        end = time.perf_counter()
        answer = answer._replace(seconds=end - start)
        self.measured.append(Measured(request.kind, answer, upload, end))

    def _pictures(self, request: Request) -> list[Any]:
        if not request.pictures:
            return self._shipped
        pairs = zip(SHIPPED, request.pictures, strict=True)
        return [self.caller.upload(name, picture) for name, picture in pairs]


def address(number: int) -> str:
    """Return the address of a visitor: 127.0.0.2 for the first, number 0."""
    return f"127.0.0.{2 + number % 250}"


def all_at_once(works: Iterable[Callable[[], None]]) -> None:
    """Run each in a thread of its own, and wait for all: each has an end of its own."""
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def measure(given: argparse.Namespace) -> None:
    """Measure requests a second, and how long they take; and what the bare model does."""
    with serving(given.app) as served:
        visitors = [Visitor(served, number, given.seed) for number in range(given.visitors)]
        Visitor(served, given.visitors, given.seed).ask()  # the model's first use
        before = served.memory()
        start = time.perf_counter()
        end = start + given.seconds
        all_at_once(partial(_visit, visitor, end, given.pause) for visitor in visitors)
        after = served.memory()
    measured = [one for visitor in visitors for one in visitor.measured]
    rate = _count(measured, end) / given.seconds
    line(f"{given.visitors} visitors, {given.pause:g} s between their requests\n")
    table(
        ("", "requests", "errors", "requests/s", "p50 s", "p95 s", "max s"),
        _rows(measured, end, given.seconds),
    )
    _print_errors(measured)
    bare = float(output("bench.bare", given.app, "--seed", given.seed))
    line(f"The bare model: {bare:.2f} requests/s; app / bare: {rate / bare:.2f}.")
    line(f"Memory: {before:.0f} MB before, {after:.0f} MB after.")


def _visit(visitor: Visitor, end: float, pause: float) -> None:
    """Ask until the end; those who pause do not all begin at once."""
    time.sleep(pause * visitor.random.random())
    while time.perf_counter() < end:
        visitor.ask()
        time.sleep(pause)


def _count(measured: Sequence[Measured], end: float) -> int:
    return sum(one.answer.good and one.end <= end for one in measured)


def _rows(measured: Sequence[Measured], end: float, seconds: float) -> Iterable[Sequence[str]]:
    for kind in KINDS:
        yield _row(_NAMES[kind], [one for one in measured if one.kind == kind], end, seconds)
    yield _row("all", measured, end, seconds)
    uploads = [one.upload for one in measured if one.upload]
    yield "of it the upload of two pictures", str(len(uploads)), "", "", *_times(uploads)


def _row(name: str, measured: Sequence[Measured], end: float, seconds: float) -> Sequence[str]:
    good = [one.answer.seconds for one in measured if one.answer.good]
    rate = _count(measured, end) / seconds
    errors = len(measured) - len(good)
    return name, str(len(measured)), str(errors), f"{rate:.2f}", *_times(good)


def _times(seconds: Sequence[float]) -> Iterable[str]:
    return (f"{value:.3f}" for value in spread(seconds))


def _print_errors(measured: Sequence[Measured]) -> None:
    """Print what was said to those who got no answer, the most frequent first."""
    told = Counter(str(one.answer.told)[:200] for one in measured if not one.answer.good)
    for text, count in itertools.islice(told.most_common(), 5):
        line(f"{count} x {text}\n")
