"""What parts of some work take."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeAlias

Timings: TypeAlias = dict[str, float]
"""Milliseconds by the part's name."""


@contextmanager
def timed(timings: Timings, name: str) -> Iterator[None]:
    """Add the milliseconds that what is inside takes to a part."""
    start = time.perf_counter()
    try:
        yield
    finally:
        add(timings, name, time.perf_counter() - start)


def add(timings: Timings, name: str, seconds: float) -> None:
    """Add seconds to a part, as milliseconds."""
    timings[name] = timings.get(name, 0.0) + seconds * 1000.0
