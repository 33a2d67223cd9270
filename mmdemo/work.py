"""Long work, one way: in a thread of its own, with progress, and an end on request.

Whatever takes long is a `Work`: a classification, a ranking, a download, the measuring of a
background set. It says how far it is and how much is left; it is stopped by whoever it belongs to,
by newer work that takes its place (`Current`), or by itself once nobody listens. What is the same
for all who want it is kept by its key (`Shared`).
"""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Callable, Hashable, Iterator
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

from mmdemo.errors import StoppedError
from mmdemo.progress import Pace, Progress

Result = TypeVar("Result")

PATIENCE = 60.0
"""Seconds after which work ends that nobody has asked about."""


class Follow(Protocol):
    """What work tells how far it is, and asks whether it is still wanted."""

    def __call__(self, done: float, total: float, stage: str = "") -> None:
        """Take note of how far the work is.

        Args:
            done: how much is done, of whatever is counted.
            total: how much there is to do.
            stage: what is being done; a new stage counts from its own beginning.

        Raises:
            StoppedError: it is wanted no more, so it ends here.
        """
        ...

    def unwanted(self) -> bool:
        """Say the same without ending: for what waits for a model, or for its turn at one."""
        ...


class Follower:
    """Tells a function how far work is; nothing ends it but what that raises."""

    def __init__(self, report: Callable[[float, float, str], None] | None = None) -> None:
        """Follow.

        Args:
            report: called with what is done, of how much, and the stage; None to tell nobody.
        """
        self._report = report

    def __call__(self, done: float, total: float, stage: str = "") -> None:
        """Take note of how far the work is; see `Follow`."""
        if self._report:
            self._report(done, total, stage)

    def unwanted(self) -> bool:
        """Say that it is wanted; see `Follow`."""
        return False


UNFOLLOWED = Follower()
"""For work of which nobody is told how far it is."""

Function: TypeAlias = Callable[["Work[Result]"], Result]


class Work(Generic[Result]):
    """Runs a function in the background; whoever started it asks how far it is.

    For work whose single steps take long. A generator of the page yields nothing meanwhile, and
    nobody could stop it.
    """

    def __init__(
        self, function: Function[Result], *, name: str = "work", patience: float | None = PATIENCE
    ) -> None:
        """Start it.

        Args:
            function: called with this work, which it tells how far it is (see `Follow`).
            name: of the thread.
            patience: seconds after which it ends if nobody waits for it; None to go on without
                anybody, as a download does when the visitor who started it leaves.
        """
        self._function = function
        self._patience = patience
        self._progress: Progress | None = None
        self._pace = Pace()
        self._result: Result | None = None
        self._error: Exception | None = None
        self._stop = threading.Event()
        self._replaced = False
        self._asked = time.monotonic()
        self.ended_at: float | None = None
        # What a call carries along (who asks, who listens) holds for the thread as well.
        around = contextvars.copy_context()
        self._thread = threading.Thread(
            target=around.run, args=(self._run,), name=name, daemon=True
        )
        self._thread.start()

    @property
    def progress(self) -> Progress | None:
        """Return how far it is; None as long as it says nothing."""
        return self._progress

    @property
    def share(self) -> float:
        """Return what is done of it, 0 to 1; 0 as long as it says nothing."""
        return self._progress.share if self._progress else 0.0

    @property
    def ended(self) -> bool:
        """Return whether there is nothing left to wait for."""
        return not self._thread.is_alive()

    @property
    def error(self) -> Exception | None:
        """Return why it ended without a result; None where it did not, or has not."""
        return self._error

    @property
    def replaced(self) -> bool:
        """Return whether it was stopped because another takes its place."""
        return self._replaced

    @property
    def stopping(self) -> bool:
        """Return whether it was asked to end."""
        return self._stop.is_set()

    @property
    def stop_event(self) -> threading.Event:
        """Return what is set once it was asked to end, for what waits on a line of its own."""
        return self._stop

    def stop(self, *, replaced: bool = False) -> None:
        """Ask it to end at its next step.

        Args:
            replaced: another takes its place, so nobody need be told of its end.
        """
        self._replaced = self._replaced or replaced
        self._stop.set()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait for its end, but not longer than that; return whether it has ended."""
        self._asked = float("inf") if seconds is None else time.monotonic() + seconds
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
            raise StoppedError("The work has not ended.", "not_ended")
        return self._result

    def __call__(self, done: float, total: float, stage: str = "") -> None:
        """Take note of how far the work is; see `Follow`."""
        before = self._progress
        if before is None or before.stage != stage:
            self._pace = Pace()
        self._progress = Progress(done, total, self._pace.at(done), stage)
        if self.unwanted():
            raise StoppedError

    def note(self, progress: Progress) -> None:
        """Take note of how far it is, as something that measures by itself puts it."""
        self._progress = progress

    def unwanted(self) -> bool:
        """Say whether the work should end; see `Follow`."""
        if self._stop.is_set():
            return True
        return self._patience is not None and time.monotonic() - self._asked > self._patience

    def _run(self) -> None:
        try:
            self._result = self._function(self)
        except Exception as error:  # raised again in `result`
            self._error = error
        self.ended_at = time.monotonic()


class Current(Generic[Result]):
    """A visitor's one piece of work in a place: another takes its place.

    A single object for the whole visit, changed in place. What the page's events hand on to each
    other would not do: work that ends late would overwrite that which has taken its place, and
    the button would stop the wrong one.
    """

    def __init__(self) -> None:
        """Start with none."""
        self._work: Work[Result] | None = None
        self._about: Hashable = None

    @property
    def work(self) -> Work[Result] | None:
        """Return what runs, or ran last."""
        return self._work

    def runs(self, about: Hashable) -> bool:
        """Return whether work about just that still runs and is wanted."""
        work = self._work
        wanted = work is not None and not work.stopping and not work.ended
        return wanted and self._about == about

    def start(self, function: Function[Result], about: Hashable = None) -> Work[Result]:
        """Start some; what ran before, if it still does, ends at its next step.

        Args:
            function: see `Work`.
            about: what it is about, such as a request, for `runs`.
        """
        self.stop(replaced=True)
        self._about = about
        self._work = Work(function)
        return self._work

    def stop(self, *, replaced: bool = False) -> None:
        """Stop what runs, if anything does (see `Work.stop`)."""
        if self._work is not None:
            self._work.stop(replaced=replaced)


class Shared(Generic[Result]):
    """Work that is the same for everybody who wants it: one piece a key, and the last is kept."""

    def __init__(self) -> None:
        """Start with none."""
        self._works: dict[Hashable, Work[Result]] = {}
        self._lock = threading.Lock()

    def latest(self, key: Hashable) -> Work[Result] | None:
        """Return what was started last for a key, whether it still runs or not."""
        return self._works.get(key)

    def running(self) -> Iterator[Work[Any]]:
        """Yield what runs now."""
        return (work for work in list(self._works.values()) if not work.ended)

    def start(
        self,
        key: Hashable,
        function: Function[Result],
        *,
        name: str = "shared work",
        allowed: Callable[[], None] = lambda: None,
    ) -> Work[Result]:
        """Return the work of a key that runs; where none does, start it.

        It goes on when whoever started it leaves.

        Args:
            key: what it is about.
            function: see `Work`.
            name: of the thread.
            allowed: asked before anything is started; what it raises is raised here.
        """
        with self._lock:
            known = self._works.get(key)
            if known is not None and not known.ended:
                return known
            allowed()
            # Nothing of this visitor's call may hang on to work that belongs to everybody.
            started = contextvars.Context().run(lambda: Work(function, name=name, patience=None))
            self._works[key] = started
            return started
