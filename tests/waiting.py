"""Waiting for something that another thread does."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import TypeVar

T = TypeVar("T")

MOST = 60.0
"""Seconds that anything may take: a test that fails ends."""


def wait_until(true: Callable[[], bool]) -> None:
    """Look again and again, until it is so."""
    end, pause = time.monotonic() + MOST, threading.Event()
    while not true():
        assert time.monotonic() < end
        pause.wait(0.002)


def last_of(steps: Iterable[T]) -> T:
    """Return what a generator of the page ends with."""
    *_, last = steps
    return last
