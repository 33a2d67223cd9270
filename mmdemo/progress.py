"""How far something is: counted, reported, and put into words."""

from __future__ import annotations

import math
import sys
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeAlias

_REPORT_EVERY = 0.2  # seconds
_SPEED_OVER = 10.0  # seconds


@dataclass(frozen=True)
class Progress:
    """How far something is.

    Attributes:
        done: how much of it is done; of a download bytes, those of earlier attempts included.
        total: how much there is.
        speed: how much a second over the last ten seconds; 0 before there is a measure.
        stage: what is being done, where there are several things.
    """

    done: float
    total: float
    speed: float = 0.0
    stage: str = ""

    @property
    def share(self) -> float:
        """Return what is done of it, 0 to 1."""
        return min(max(self.done / self.total, 0.0), 1.0) if self.total else 0.0

    @property
    def remaining(self) -> float | None:
        """Return the seconds that are left at this speed, or None while it is unknown."""
        return (self.total - self.done) / self.speed if self.speed > 0 else None

    def __str__(self) -> str:
        """Return one line of a download: `45 %   354 MB of 788 MB   12.3 MB/s   0:35 left`."""
        left = "" if self.remaining is None else f"   {clock(self.remaining)} left"
        here = f"{size_text(self.done)} of {size_text(self.total)}"
        return f"{math.floor(100 * self.share):3d} %   {here}   {size_text(self.speed)}/s{left}"


Report: TypeAlias = Callable[[Progress], None]
ShareReport: TypeAlias = Callable[[float], None]
"""Called with the share that is done, 0 to 1."""


class Pace:
    """How fast something goes on: over the last ten seconds, or since it began."""

    def __init__(self) -> None:
        """Start without a measure."""
        self._samples: deque[tuple[float, float]] = deque()

    def at(self, done: float) -> float:
        """Take note of how much is done by now, and return how much that is a second."""
        now = time.monotonic()
        self._samples.append((now, done))
        while len(self._samples) > 2 and now - self._samples[0][0] > _SPEED_OVER:
            self._samples.popleft()
        then, before = self._samples[0]
        return max((done - before) / max(now - then, 1e-3), 0.0)


class Meter:
    """Counts bytes and reports them, with their speed, a few times a second."""

    def __init__(self, done: int, total: int, report: Report) -> None:
        """Start with what an earlier attempt left.

        Args:
            done: bytes that are here already.
            total: bytes in all.
            report: called at once, and then a few times a second.
        """
        self._done, self._total, self._report = done, total, report
        self._pace = Pace()
        self._pace.at(done)
        self._reported = 0.0
        report(Progress(done, total))

    def add(self, count: int) -> None:
        """Count bytes that arrived; less than 0 for some that were lost again."""
        self._done += count
        now = time.monotonic()
        if now - self._reported < _REPORT_EVERY and self._done < self._total:
            return
        self._reported = now
        self._report(Progress(self._done, self._total, self._pace.at(self._done)))


def print_progress(progress: Progress) -> None:
    """Keep one line on stderr up to date, where it is a terminal; else write the last one."""
    _print_line(str(progress), last=progress.done >= progress.total)


def print_share(share: float) -> None:
    """The same for a share of 0 to 1 that is done."""
    _print_line(f"{100 * share:3.0f} %", last=share >= 1.0)


def _print_line(line: str, *, last: bool) -> None:
    # What is waited for is not to fail because nobody can be told of it.
    with suppress(OSError, ValueError):
        terminal = sys.stderr.isatty()
        if terminal:
            # Clear the rest, then go back: what is written next takes the line's place.
            sys.stderr.write(f"{line}\x1b[K\r")
        if last:
            sys.stderr.write("\n" if terminal else f"{line}\n")
        sys.stderr.flush()


def size_text(size: float) -> str:
    """Return bytes in a unit that reads well, of powers of ten as disks have it.

    >>> size_text(787_500_000), size_text(3.49e9)
    ('788 MB', '3.5 GB')
    """
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= factor:
            value = size / factor
            return f"{value:.0f} {unit}" if value >= 100 else f"{value:.1f} {unit}"
    return f"{size:.0f} B"


def clock(seconds: float) -> str:
    """Return a duration as hours, minutes and seconds.

    >>> clock(35), clock(3725)
    ('0:35', '1:02:05')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
