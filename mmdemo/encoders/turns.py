"""A lock that nobody can take out of turn."""

from __future__ import annotations

import threading
from collections import deque
from types import TracebackType


class Turns:
    """A lock for use with `with`: whoever waits gets it in the order of coming.

    Python's own locks are given to whoever asks at the right moment, and that is the thread that
    has just let go: work of many steps would keep a single one waiting until its end. Like
    `threading.RLock`, a thread may take it again while it has it.
    """

    def __init__(self) -> None:
        """Start with nobody in it."""
        self._guard = threading.Lock()
        self._owner: int | None = None
        self._depth = 0
        # For each who waits, a lock that opens when it is their turn.
        self._waiting: deque[tuple[int, threading.Lock]] = deque()

    @property
    def waiting(self) -> int:
        """Return how many wait for their turn."""
        return len(self._waiting)

    def __enter__(self) -> None:
        """Wait for one's turn."""
        me = threading.get_ident()
        with self._guard:
            if self._owner in (None, me):
                self._owner = me
                self._depth += 1
                return
            turn = me, threading.Lock()
            turn[1].acquire()
            self._waiting.append(turn)
        try:
            turn[1].acquire()
        except BaseException:  # Ctrl+C
            self._give_up(turn)
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Hand over to who has waited longest."""
        with self._guard:
            self._depth -= 1
            if self._depth == 0:
                self._hand_over()

    def _give_up(self, turn: tuple[int, threading.Lock]) -> None:
        with self._guard:
            if turn in self._waiting:
                self._waiting.remove(turn)
            else:  # it was just handed over
                self._hand_over()

    def _hand_over(self) -> None:
        """Give it to the first who waits, or to nobody; called with the guard held."""
        self._owner, self._depth = None, 0
        if self._waiting:
            self._owner, gate = self._waiting.popleft()
            self._depth = 1
            gate.release()
