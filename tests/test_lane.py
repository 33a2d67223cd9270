"""A model's queue: who goes first, what runs together, who leaves."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from mmdemo.errors import StoppedError
from mmdemo.models.lane import STEP, Breathe, Lane, Priority, Step
from tests.waiting import MOST, wait_until


@pytest.fixture(autouse=True)
def _nobody_is_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let order alone decide, however slow the machine is."""
    monkeypatch.setattr("mmdemo.models.lane._PATIENCE", MOST)


class Gate:
    """A step that says what it runs, and stands still at an item called `held`."""

    def __init__(self, *, joins: bool = False) -> None:
        self.step: Step[str] = Step(self._run, 1000, joins=joins)
        self.ran: list[list[str]] = []
        self.entered = threading.Semaphore(0)
        self.open = threading.Semaphore(0)
        self.fault: Callable[[Sequence[str]], None] = lambda items: None

    def _run(self, model: object, items: Sequence[str], breathe: Breathe) -> list[str]:
        self.ran.append(list(items))
        if items[0] == "held":
            self.entered.release()
            assert self.open.acquire(timeout=MOST)
        elif items[0] == "in layers":
            self.entered.release()
            assert self.open.acquire(timeout=MOST)
            breathe()
            self.ran.append(["after it"])
        self.fault(items)
        return [item.upper() for item in items]


class Line:
    """A lane on which something stands still, and requests that have come in order."""

    def __init__(self, gate: Gate, first: str = "held") -> None:
        self.lane, self.gate = Lane("test"), gate
        self._threads = ThreadPoolExecutor(32)
        self.held = self.ask(first, Priority.BACKGROUND, waits=False)
        assert gate.entered.acquire(timeout=MOST)

    def ask(
        self, item: str, priority: Priority, stop: Any = None, *, waits: bool = True
    ) -> Future[Any]:
        before = self.lane.waiting
        future = self._threads.submit(
            lambda: self.lane.do(
                self.gate.step, None, [item], priority=priority, stop=stop or (lambda: False)
            )
        )
        if waits:
            wait_until(lambda: self.lane.waiting == before + 1)
        return future

    def go(self) -> None:
        self.gate.open.release()


def test_the_urgent_goes_first_and_equals_in_order() -> None:
    line = Line(Gate())
    asked = [
        line.ask(item, priority)
        for item, priority in (
            ("page", Priority.PAGE),
            ("endpoint", Priority.ENDPOINT),
            ("typed", Priority.TYPING),
        )
    ]
    line.go()
    assert [one.result(MOST).results for one in asked] == [["PAGE"], ["ENDPOINT"], ["TYPED"]]
    assert line.gate.ran == [["held"], ["typed"], ["page"], ["endpoint"]]


def test_long_work_goes_on_beside_a_stream_of_short_requests(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("mmdemo.models.lane._PATIENCE", -1.0)  # whatever has come has waited
    line = Line(Gate())
    long = line.ask("long", Priority.ENDPOINT)
    short = [line.ask(f"short {n}", Priority.CALL) for n in range(12)]
    line.go()
    for one in (long, *short):
        one.result(MOST)
    place = line.gate.ran.index(["long"])
    assert place <= 2
    assert [ran for ran in line.gate.ran if ran[0].startswith("short")] == [
        [f"short {n}"] for n in range(12)
    ]


def test_what_came_together_runs_as_one_pass_and_each_gets_its_own() -> None:
    line = Line(Gate(joins=True))
    asked = [line.ask(item, Priority.CALL) for item in "abc"]
    other = line.ask("less urgent", Priority.PAGE)
    line.go()
    assert [one.result(MOST).results for one in (*asked, other)] == [
        ["A"],
        ["B"],
        ["C"],
        ["LESS URGENT"],
    ]
    assert line.gate.ran[1:] == [["a", "b", "c"], ["less urgent"]]


def test_what_would_be_mostly_padding_does_not_run_together() -> None:
    lane, gate = Lane("test"), Gate(joins=True)
    ran = gate.ran
    with ThreadPoolExecutor(3) as threads:
        held = threads.submit(lambda: lane.do(gate.step, None, ["held"]))
        assert gate.entered.acquire(timeout=MOST)
        for count, (item, longest) in enumerate((("short", 1.0), ("long", 50.0)), start=1):
            threads.submit(lane.do, gate.step, None, [item], longest=longest)
            wait_until(lambda count=count: lane.waiting == count)
        gate.open.release()
        held.result(MOST)
    assert ran == [["held"], ["short"], ["long"]]


def test_one_that_fails_harms_nobody_it_runs_with() -> None:
    def fault(items: Sequence[str]) -> None:
        if "bad" in items:
            raise ValueError("bad")

    line = Line(Gate(joins=True))
    line.gate.fault = fault
    asked = [line.ask(item, Priority.CALL) for item in ("good", "bad", "fine")]
    line.go()
    assert asked[0].result(MOST).results == ["GOOD"]
    assert asked[2].result(MOST).results == ["FINE"]
    with pytest.raises(ValueError, match="bad"):
        asked[1].result(MOST)
    assert line.ask("next", Priority.CALL, waits=False).result(MOST).results == ["NEXT"]


def test_who_has_gone_leaves_the_queue() -> None:
    line, gone = Line(Gate()), threading.Event()
    left = line.ask("nobody's", Priority.PAGE, gone.is_set)
    kept = line.ask("somebody's", Priority.PAGE)
    gone.set()
    with pytest.raises(StoppedError):
        left.result(MOST)
    assert line.lane.waiting == 1
    line.go()
    kept.result(MOST)
    assert line.gate.ran == [["held"], ["somebody's"]]


def test_who_wants_it_again_too_late_is_told() -> None:
    line = Line(Gate())

    def only_when_the_worker_looks() -> bool:
        return threading.current_thread().name == "test"

    left = line.ask("nobody's", Priority.PAGE, only_when_the_worker_looks)
    line.go()
    with pytest.raises(StoppedError):
        left.result(MOST)


def test_the_urgent_gets_into_a_pass_that_takes_long() -> None:
    line = Line(Gate(), "in layers")
    typed = line.ask("typed", Priority.TYPING)
    equal = line.ask("equal", Priority.BACKGROUND)
    line.go()
    assert typed.result(MOST).results == ["TYPED"]
    assert line.held.result(MOST).results == ["IN LAYERS"]
    equal.result(MOST)
    assert line.gate.ran == [["in layers"], ["typed"], ["after it"], ["equal"]]


def test_how_much_fits_follows_what_passes_took() -> None:
    step: Step[str] = Step(lambda model, items, breathe: list(items), 4096, joins=True)
    for _ in range(20):
        step.learn(step.fits, STEP / 2)
    assert step.fits == 4096
    step.learn(8, STEP / 100)  # a small one says nothing of large ones
    assert step.fits == 4096
    for _ in range(40):
        step.learn(step.fits, 100 * STEP * max(step.fits, 50) / 50)
    assert 1 <= step.fits < 5  # a hundred times too slow at 50, and in proportion
    slow = step.fits
    step.learn(1000, 1e-6)  # somebody else had computed all of it
    assert step.fits < 2 * slow


def test_waiting_times_are_told() -> None:
    line = Line(Gate())
    asked = line.ask("second", Priority.CALL)
    line.go()
    done = asked.result(MOST)
    assert done.waited > 0
    assert line.lane.waiting == line.lane.running == 0


def test_the_worker_never_waits_for_itself() -> None:
    lane = Lane("test")
    quick: Step[str] = Step(lambda model, items, breathe: list(items), 10, joins=True)

    def asks(model: object, items: Sequence[str], breathe: Breathe) -> list[str]:
        lane.do(quick, None, ["another"])
        return list(items)

    with pytest.raises(RuntimeError, match="must not ask"):
        lane.do(Step(asks, 10, joins=True), None, ["one"])
    assert lane.do(quick, None, ["next"]).results == ["next"]


def test_the_next_part_of_a_request_comes_before_what_is_less_urgent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("mmdemo.models.lane._NEXT", MOST)  # however slow the machine is
    lane, gate = Lane("test"), Gate()

    def in_two_parts() -> None:
        lane.do(gate.step, None, ["first part"], more=True)
        lane.do(gate.step, None, ["second part"])

    with ThreadPoolExecutor(3) as threads:
        held = threads.submit(lambda: lane.do(gate.step, None, ["held"]))
        assert gate.entered.acquire(timeout=MOST)
        long = threads.submit(
            lambda: lane.do(gate.step, None, ["long"], priority=Priority.ENDPOINT)
        )
        wait_until(lambda: lane.waiting == 1)
        both = threads.submit(in_two_parts)
        wait_until(lambda: lane.waiting == 2)
        gate.open.release()
        for one in (held, long, both):
            one.result(MOST)
    assert gate.ran == [["held"], ["first part"], ["second part"], ["long"]]
