"""Work that takes long: in a thread of its own, with progress, and an end on request."""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

from mmdemo.errors import StoppedError

Result = TypeVar("Result")

_PATIENCE = 60.0  # seconds without anybody asking


class Progress(Protocol):
    """What work tells how far it is, and asks whether it is still wanted."""

    def __call__(self, share: float, about: Any = None) -> None:
        """Take note of how far the work is.

        Args:
            share: 0 to 1.
            about: what is being done, for whoever shows it.

        Raises:
            StoppedError: it is wanted no more, so it ends here.
        """
        ...

    def unwanted(self) -> bool:
        """Say the same without ending: for what waits for a model, or for its turn at one."""
        ...


Work: TypeAlias = Callable[[Progress], Result]


class Job(Generic[Result]):
    """Runs a function in the background; whoever started it asks how far it is.

    For work whose single steps take long. A generator of the page yields nothing meanwhile, and
    nobody could stop it.
    """

    def __init__(self, work: Work[Result]) -> None:
        """Start it.

        Args:
            work: called with what it has to tell its progress to.
        """
        self._work = work
        self._share = 0.0
        self._about: Any = None
        self._result: Result | None = None
        self._error: Exception | None = None
        self._stop = threading.Event()
        self._replaced = False
        self._asked = time.monotonic()
        # With the variables around it, so that what it uses is noted of the request it is for.
        target, around = self._run, contextvars.copy_context()
        self._thread = threading.Thread(target=around.run, args=(target,), name="job", daemon=True)
        self._thread.start()

    @property
    def share(self) -> float:
        """Return how far it is, 0 to 1."""
        return self._share

    @property
    def about(self) -> Any:
        """Return what is being done, as the work says it; None as long as it says nothing."""
        return self._about

    @property
    def ended(self) -> bool:
        """Return whether there is nothing left to wait for."""
        return not self._thread.is_alive()

    @property
    def replaced(self) -> bool:
        """Return whether it was stopped because another takes its place."""
        return self._replaced

    @property
    def stopping(self) -> bool:
        """Return whether it was asked to end."""
        return self._stop.is_set()

    def stop(self, *, replaced: bool = False) -> None:
        """Ask it to end at its next step.

        Args:
            replaced: another takes its place, so nobody need be told of its end.
        """
        self._replaced = self._replaced or replaced
        self._stop.set()

    def wait(self, seconds: float) -> bool:
        """Wait for its end, but not longer than that; return whether it has ended.

        Where nobody waits for a minute, as when a visitor has left, it ends by itself.
        """
        self._asked = time.monotonic()
        self._thread.join(seconds)
        self._asked = time.monotonic()
        return self.ended

    def result(self) -> Result:
        """Return what it has computed; to be called after its end.

        Raises:
            StoppedError: it was stopped.
            Exception: whatever went wrong in it.
        """
        if self._error is not None:
            raise self._error
        if self._result is None:
            raise StoppedError("The work has not ended.")
        return self._result

    def _run(self) -> None:
        try:
            self._result = self._work(self)
        except Exception as error:  # raised again in `result`
            self._error = error

    def __call__(self, share: float, about: Any = None) -> None:
        """Take note of how far the work is; see `Progress`."""
        self._share = share
        self._about = about
        if self.unwanted():
            raise StoppedError

    def unwanted(self) -> bool:
        """Say whether the work should end; see `Progress`."""
        return self._stop.is_set() or time.monotonic() - self._asked > _PATIENCE


class CurrentJob(Generic[Result]):
    """A visitor's one job: another takes its place.

    A single object for the whole visit, changed in place. What the page's events hand on to each
    other would not do: a job that ends late would overwrite the one that has taken its place, and
    the button would stop the wrong one.
    """

    def __init__(self) -> None:
        """Start with none."""
        self._job: Job[Result] | None = None
        self._given: tuple[Any, ...] = ()

    @property
    def job(self) -> Job[Result] | None:
        """Return the one that runs, or ran last."""
        return self._job

    def runs(self, *given: Any) -> bool:
        """Return whether a job that was started with just that still runs and is wanted."""
        job = self._job
        return job is not None and not job.stopping and not job.ended and self._given == given

    def start(self, work: Work[Result], *given: Any) -> Job[Result]:
        """Start a job; the one before, if it still runs, ends at its next step.

        Args:
            work: see `Job`.
            given: what it is about, for `runs`.
        """
        self.stop(replaced=True)
        self._given = given
        self._job = Job(work)
        return self._job

    def stop(self, *, replaced: bool = False) -> None:
        """Stop the one that runs, if one does (see `Job.stop`)."""
        if self._job is not None:
            self._job.stop(replaced=replaced)
