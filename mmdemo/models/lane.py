"""One worker and one queue a model: the urgent first, what fits together at once, nobody starves.

A forward pass uses all cores, so a model does one thing at a time, and what waits for it waits
here. Long work comes in steps of some hundredths of a second; between two of them whatever is more
urgent gets in.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import Any, Generic, TypeVar

from mmdemo.errors import StoppedError

T = TypeVar("T")

Stop = Callable[[], bool]
"""Says whether nobody wants the result any more."""

Breathe = Callable[[], None]
"""To be called within a pass that takes long: whatever is more urgent runs meanwhile."""

STEP = 0.05
"""Seconds that a step of long work is to take. A person sees a delay of a tenth of a second as none
(Miller 1968, "Response time in man-computer conversational transactions")."""

_TURN = 2  # of so many steps, one goes to whoever has waited longest
_PATIENCE = 0.5  # seconds that anybody waits before that counts
_NEXT = 0.005  # seconds that the next part of a request may take to come
_LINGER = 5.0  # seconds without work after which the worker ends
_LOOK = 0.1  # seconds between two looks at whether a result is still wanted


class Priority(IntEnum):
    """What goes first."""

    TYPING = 0
    """Somebody looks at the page and waits for what they typed."""
    CALL = 1
    """A program waits for a short answer."""
    PAGE = 2
    """Long work of the page: classifications, rankings."""
    ENDPOINT = 3
    """Long work of a program."""
    BACKGROUND = 4
    """Nobody waits: background sets."""


class Step(Generic[T]):
    """A kind of forward pass of a model, with how much of it fits into a step.

    Two requests for the same one may run together.
    """

    def __init__(
        self,
        run: Callable[[Any, Sequence[Any], Breathe], Sequence[T]],
        most: float,
        *,
        joins: bool,
    ) -> None:
        """Describe it.

        Args:
            run: a model, and items, to results, one an item, in order.
            most: size of the largest pass, as memory allows.
            joins: whether items of several requests run together.
        """
        self.run = run
        self.joins = joins
        self._most = most
        self._fits = max(most / 16, 1.0)  # the first pass may be a slow model's

    @property
    def fits(self) -> float:
        """Return the size of what takes about `STEP`, by the passes so far."""
        return self._fits

    def learn(self, size: float, seconds: float) -> None:
        """Take note of what a pass took. A small one that was quick says nothing."""
        pace = size * STEP / max(seconds, 1e-6)
        if seconds > STEP or size >= self._fits / 2:
            # In between: a busy moment must not make all steps small, nor a lucky one large. What
            # was all in the store took no time at all, and says as little.
            pace = min(pace, 2 * self._fits)
            self._fits = min(max((self._fits + pace) / 2, 1.0), self._most)


class Request(Generic[T]):
    """What somebody waits for.

    Attributes:
        results: one an item.
        waited: seconds until it ran.
        took: seconds of the pass, by its share of the items.
    """

    def __init__(
        self,
        step: Step[T],
        model: Any,
        items: Sequence[Any],
        longest: float,
        priority: Priority,
        stop: Stop,
        more: bool,
    ) -> None:
        """Make one; `Lane.do` says what of."""
        self.step = step
        self.model = model
        self.items = items
        self.longest = longest
        self.priority = priority
        self.stop = stop
        self.more = more
        self.done = threading.Event()
        self.results: Sequence[T] = ()
        self.error: BaseException | None = None
        self.came = time.perf_counter()
        self.waited = 0.0
        self.took = 0.0

    @property
    def size(self) -> float:
        """Return its part of a pass, padded."""
        return len(self.items) * self.longest


class Lane:
    """The queue of a model, and its worker: a thread that is there while there is work."""

    def __init__(self, name: str) -> None:
        """Start with nothing to do.

        Args:
            name: of the thread.
        """
        self._name = name
        self._queue: list[Request[Any]] = []
        self._changed = threading.Condition()
        self._worker: threading.Thread | None = None
        self._running = 0
        self._turn = 0
        self._expected: Priority | None = None  # of what follows the request that ran

    @property
    def waiting(self) -> int:
        """Return how many requests wait."""
        return len(self._queue)

    @property
    def running(self) -> int:
        """Return how many requests are being worked on."""
        return self._running

    def do(
        self,
        step: Step[T],
        model: Any,
        items: Sequence[Any],
        *,
        longest: float = 1.0,
        priority: Priority = Priority.CALL,
        stop: Stop = lambda: False,
        more: bool = False,
    ) -> Request[T]:
        """Have items go through a step, and wait for it.

        Args:
            step: which.
            model: what it runs on.
            items: at least one; they run together.
            longest: size of the largest; padded to it, they have `len(items)` times that.
            priority: what goes first.
            stop: says whether nobody wants the result any more; a request that still waits leaves
                the queue then.
            more: the next part of the same follows at once: nothing less urgent gets in between.

        Returns:
            The request with its results.

        Raises:
            StoppedError: nobody wanted it any more.
            RuntimeError: asked for by the worker itself, which would wait for its own end.
            Exception: whatever the step raises.
        """
        request = Request(step, model, items, longest, priority, stop, more)
        with self._changed:
            if self._worker is threading.current_thread():
                raise RuntimeError("What is told how far a pass is must not ask for another.")
            self._queue.append(request)
            if self._worker is None:
                self._worker = threading.Thread(target=self._work, name=self._name, daemon=True)
                self._worker.start()
            self._changed.notify()
        try:
            while not request.done.wait(_LOOK):
                if stop():
                    raise StoppedError
        except BaseException:  # Ctrl+C too
            with self._changed:
                if request in self._queue:
                    self._queue.remove(request)
            raise
        if request.error is not None:
            raise request.error
        return request

    def _work(self) -> None:
        # Nothing is kept of what has run: a request holds the weights, which may have to go.
        while self._next():
            pass

    def _next(self) -> bool:
        """Run what is next; False where nothing comes any more."""
        with self._changed:
            if self._expected is not None and not self._came(self._expected):
                self._changed.wait_for(lambda: self._came(self._expected), _NEXT)
            self._expected = None
            while not self._queue:
                if not self._changed.wait(_LINGER) and not self._queue:
                    self._worker = None
                    return False
            chosen = self._take()
            self._expected = chosen[0].priority if chosen and chosen[0].more else None
        if chosen:  # nobody may want any of it
            self._run(chosen)
        return True

    def _came(self, priority: Priority | None) -> bool:
        return any(priority is not None and one.priority <= priority for one in self._queue)

    def _take(self, than: Priority | None = None) -> list[Request[Any]]:
        """Take the next request out of the queue, with those that may run beside it.

        Args:
            than: take only what is more urgent than that.
        """
        for request in [one for one in self._queue if one.stop()]:
            self._queue.remove(request)
            # Told, not left to look: it may be wanted again by then, and be waited for in vain.
            request.error = StoppedError()
            request.done.set()
        waiting = [one for one in self._queue if than is None or one.priority < than]
        if not waiting:
            return []
        first = min(waiting, key=lambda one: one.priority)  # the first of equals came first
        self._turn += 1
        oldest = min(waiting, key=lambda one: one.came)
        late = time.perf_counter() - oldest.came > _PATIENCE
        if late and than is None and self._turn % _TURN == 0:
            first = oldest
        chosen = [first]
        if first.step.joins:
            for one in waiting:
                if one is not first and _joins(one, chosen):
                    chosen.append(one)
        for one in chosen:
            self._queue.remove(one)
        return chosen

    def _run(self, chosen: list[Request[Any]]) -> None:
        """Run requests together; where that fails, each alone, so that one cannot harm another."""
        self._running += len(chosen)
        try:
            self._pass(chosen)
        except BaseException as error:
            if len(chosen) == 1:
                chosen[0].error = error
                chosen[0].done.set()
            else:
                for one in chosen:
                    self._run([one])
        finally:
            self._running -= len(chosen)

    def _pass(self, chosen: list[Request[Any]]) -> None:
        step, urgency = chosen[0].step, chosen[0].priority
        start, meanwhile = time.perf_counter(), 0.0

        def breathe() -> None:
            nonlocal meanwhile
            since = time.perf_counter()
            while True:
                with self._changed:
                    urgent = self._take(urgency)
                if not urgent:
                    break
                self._run(urgent)
            meanwhile += time.perf_counter() - since

        items = [item for one in chosen for item in one.items]
        results = step.run(chosen[0].model, items, breathe)
        took = time.perf_counter() - start - meanwhile
        size = sum(len(one.items) for one in chosen)
        step.learn(size * max(one.longest for one in chosen), took)
        end = 0
        for one in chosen:
            begin, end = end, end + len(one.items)
            one.results = results[begin:end]
            one.waited = start - one.came
            one.took = took * len(one.items) / size
            one.done.set()


def _joins(one: Request[Any], chosen: list[Request[Any]]) -> bool:
    """Say whether a request may run beside others: the same pass, as urgent, and little padding."""
    first = chosen[0]
    same = one.step is first.step and one.model is first.model
    if not same or one.priority != first.priority:
        return False
    together = [*chosen, one]
    padded = sum(len(each.items) for each in together) * max(each.longest for each in together)
    return padded <= first.step.fits and padded <= 1.5 * sum(each.size for each in together)
