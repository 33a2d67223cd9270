"""Numbers as Markdown."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np


class Spread(NamedTuple):
    """How long requests took, in seconds; not a number without any."""

    p50: float
    p95: float
    most: float


def spread(seconds: Sequence[float]) -> Spread:
    """Return median, 95th percentile and maximum.

    A percentile is a value that was measured (nearest rank: of twenty, the 19th), so that infinity,
    for an answer that never came, is no part of a mean.
    """
    if not seconds:
        return Spread(float("nan"), float("nan"), float("nan"))
    p50, p95 = np.percentile(seconds, [50, 95], method="inverted_cdf")
    return Spread(float(p50), float(p95), float(max(seconds)))


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table, and an empty line."""
    lines = [head, ["---"] * len(head), *rows]
    sys.stdout.write("".join(f"| {' | '.join(line)} |\n" for line in lines) + "\n")
    sys.stdout.flush()


def line(text: str) -> None:
    """Print a line."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def load() -> None:
    """Print how much others compute on this machine meanwhile."""
    line(f"Load of the machine before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores\n")
