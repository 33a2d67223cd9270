"""Long work: told, stopped, replaced, shared; ended when nobody listens."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from mmdemo.errors import ModelError, StoppedError
from mmdemo.work import Current, Follow, Shared, Work
from tests.waiting import MOST, wait_until


class Held:
    """Work that tells half, waits to be let go on, and tells the rest."""

    def __init__(self) -> None:
        self.seen, self.going = threading.Event(), threading.Event()

    def __call__(self, follow: Follow) -> str:
        follow(1, 2, "halves")
        self.seen.set()
        assert self.going.wait(MOST)
        follow(2, 2, "halves")
        return "done"


def test_it_tells_its_progress_and_ends_with_a_result() -> None:
    held = Held()
    work = Work(held)
    assert held.seen.wait(MOST)
    assert not work.wait(0.01)
    told = work.progress
    assert told is not None
    assert (told.done, told.total, told.stage, told.share) == (1, 2, "halves", 0.5)
    held.going.set()
    assert work.wait(MOST)
    assert work.result() == "done"
    assert work.ended_at is not None


def test_how_much_is_left_is_known_once_there_is_a_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("mmdemo.progress.time.monotonic", lambda: now)
    left: list[float | None] = []

    def work(follow: Follow) -> bool:
        nonlocal now
        for done in (0, 10, 20):
            follow(done, 40, "pairs")
            told = running[0].progress
            left.append(told.remaining if told else None)
            now += 2.0
        return True

    running: list[Work[bool]] = []
    ready = threading.Event()

    def begun(follow: Follow) -> bool:
        assert ready.wait(MOST)
        return work(follow)

    running.append(Work(begun, patience=None))
    ready.set()
    assert running[0].wait(MOST)
    running[0].result()
    assert left == [None, pytest.approx(6.0), pytest.approx(4.0)]


def test_it_is_stopped_at_its_next_step() -> None:
    held = Held()
    work = Work(held)
    assert held.seen.wait(MOST)
    work.stop()
    assert work.stopping
    assert not work.replaced
    held.going.set()
    assert work.wait(MOST)
    with pytest.raises(StoppedError):
        work.result()


def test_it_ends_once_nobody_asks_about_it() -> None:
    def endless(follow: Follow) -> bool:
        while True:
            follow(0, 1)

    work = Work(endless, patience=0.0)
    wait_until(lambda: work.ended)
    with pytest.raises(StoppedError):
        work.result()


def test_it_does_not_end_while_somebody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    held = Held()
    work = Work(held, patience=0.0)
    waiting = threading.Thread(target=work.wait)  # for as long as it takes
    waiting.start()
    # Whether it began before that is the scheduler's business; what counts is that it ended well.
    wait_until(lambda: held.seen.is_set() or work.ended)
    held.going.set()
    waiting.join(MOST)
    assert work.ended


def test_what_goes_wrong_in_it_comes_out() -> None:
    def broken(follow: Follow) -> str:
        raise ModelError("broken", "broken")

    work = Work(broken)
    assert work.wait(MOST)
    assert isinstance(work.error, ModelError)
    with pytest.raises(ModelError, match="broken"):
        work.result()


def test_a_newer_one_takes_its_place() -> None:
    first, second = Held(), Held()
    current: Current[str] = Current()
    older = current.start(first, ("a", 1))
    assert first.seen.wait(MOST)
    assert current.runs(("a", 1))
    assert not current.runs(("b", 1))
    newer = current.start(second, ("b", 1))
    assert older.replaced
    assert not newer.replaced
    for held in (first, second):
        held.going.set()
    assert older.wait(MOST)
    assert newer.wait(MOST)
    assert current.work is newer
    assert not current.runs(("b", 1))  # it has ended
    with pytest.raises(StoppedError):
        older.result()
    assert newer.result() == "done"


def test_what_is_shared_runs_once_for_all_and_goes_on_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shared: Shared[str] = Shared()
    held = Held()
    works: list[Work[str]] = []
    starts = [
        threading.Thread(target=lambda: works.append(shared.start("key", held))) for _ in range(8)
    ]
    for thread in starts:
        thread.start()
    for thread in starts:
        thread.join(MOST)
    assert len(set(map(id, works))) == 1
    assert held.seen.wait(MOST)
    assert list(shared.running()) == works[:1]
    assert shared.latest("key") is works[0]
    assert shared.latest("other") is None
    assert not works[0].unwanted()  # though nobody waits
    held.going.set()
    assert works[0].wait(MOST)
    assert list(shared.running()) == []


def test_what_is_not_allowed_is_not_started() -> None:
    shared: Shared[str] = Shared()

    def refused() -> None:
        raise ModelError("too many", "too_many")

    def never(follow: Follow) -> str:
        raise AssertionError

    with pytest.raises(ModelError, match="too many"):
        shared.start("key", never, allowed=refused)
    assert shared.latest("key") is None


def test_nothing_of_a_visit_hangs_on_to_what_is_shared() -> None:
    from contextvars import ContextVar

    visitor: ContextVar[str] = ContextVar("visitor", default="nobody")
    shared: Shared[str] = Shared()
    seen: list[Callable[[], str]] = []
    visitor.set("somebody")
    own = Work(lambda follow: visitor.get())
    common = shared.start("key", lambda follow: visitor.get())
    assert own.wait(MOST)
    assert common.wait(MOST)
    assert (own.result(), common.result(), seen) == ("somebody", "nobody", [])
