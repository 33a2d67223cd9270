"""A line a request in the log: what was asked of which model, how long it took, what came of it.

Nothing of the request itself: no text, no picture, no address, no file name.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial

from gradio.block_function import BlockFunction

from mmdemo.errors import MMDemoError
from mmdemo.models.encoder import Encoder
from mmdemo.ui.serving.events import TASKS, is_endpoint

log = logging.getLogger("mmdemo.requests")

OK = "ok"
STOPPED = "stopped"
FAILED = "failed"
REFUSED = "refused"
"""What came of a request that no error with a code tells of."""


@dataclass
class Record:
    """What is noted of a request while it runs.

    One object, changed in place: the steps of a request run in threads, each with a copy of the
    variables around it.

    Attributes:
        models: the names of those that it used.
        encoders: its views of them, which know how long it waited for its turns.
        outcome: `ok`, `stopped`, `failed`, or the code of the first error that its caller read.
    """

    models: list[str] = field(default_factory=list)
    encoders: list[Encoder] = field(default_factory=list)
    outcome: str = OK


_current: ContextVar[Record | None] = ContextVar("request", default=None)


@contextmanager
def recorded(fn: BlockFunction, waited: float) -> Iterator[Record]:
    """Write a line at the end of a request, of what is noted meanwhile.

    Args:
        fn: what was asked for.
        waited: seconds that it stood in the line; those at the models are added.
    """
    record, start = Record(), time.monotonic()
    before = _current.set(record)
    try:
        yield record
    finally:
        _current.reset(before)
        waited += sum(encoder.waited for encoder in record.encoders)
        write(fn, record, waited, time.monotonic() - start)


def write(fn: BlockFunction, record: Record, waited: float = 0.0, took: float = 0.0) -> None:
    """Write the line of a request, if it is one that somebody made; durations in seconds."""
    if fn.concurrency_id not in TASKS:
        return
    log.info(
        "task=%s model=%s ms=%.0f wait=%.0f outcome=%s",
        task(fn),
        "+".join(dict.fromkeys(record.models)) or "-",
        1000.0 * took,
        1000.0 * waited,
        record.outcome,
    )


def task(fn: BlockFunction) -> str:
    """Return what a request asks for: an endpoint, or a handler of a tab, as `zero_shot.run`."""
    if is_endpoint(fn):
        return f"/{fn.api_name}"
    function = fn.fn.func if isinstance(fn.fn, partial) else fn.fn
    function = getattr(function, "handler", function)  # see `parts/wiring.py`
    room = getattr(function, "__module__", "").removesuffix(".handlers").rpartition(".")[2]
    return f"{room}.{getattr(function, '__name__', '')}"


def note_model(name: str) -> None:
    """Note a model that the request uses."""
    if (record := _current.get()) is not None:
        record.models.append(name)


def note_encoder(encoder: Encoder) -> None:
    """Note a view of a model that the request works with."""
    if (record := _current.get()) is not None:
        record.encoders.append(encoder)


def note_error(error: Exception) -> None:
    """Note an error that the caller is told of; the first one is what counts."""
    note_outcome(error.code if isinstance(error, MMDemoError) else FAILED)


def note_outcome(outcome: str) -> None:
    """Note what came of the request, in place of a code; the first one is what counts."""
    record = _current.get()
    if record is not None and record.outcome == OK:
        record.outcome = outcome
