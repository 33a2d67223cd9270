"""Whose picture is decoded next, where there are more than processes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple

from mmdemo.errors import StoppedError

_LOOK = 0.1  # seconds between two looks at whether a picture is still wanted
_MOST_KNOWN = 1000


class Asking(NamedTuple):
    """Who wants a picture.

    Attributes:
        caller: who asks, of several; None for somebody who is nobody else.
        unwanted: says whether they have stopped asking.
    """

    caller: Hashable = None
    unwanted: Callable[[], bool] = lambda: False


_NOBODY = Asking()

asking: ContextVar[Asking] = ContextVar("asking", default=_NOBODY)
"""Set by whoever knows; it holds for the threads that work for them."""


class _Ticket:
    """A place of a caller among those who wait."""

    def __init__(self, caller: Hashable) -> None:
        self.caller = caller


class Turns:
    """Lets so many in at a time, one of each caller: who was served longest ago goes first.

    So whoever sends pictures that take long waits for those, and nobody else does as long as there
    is a place that they cannot take.
    """

    def __init__(self, many: int) -> None:
        """Let nobody in yet.

        Args:
            many: who may be in at the same time.
        """
        self._many = many
        self._changed = threading.Condition()
        self._waiting: list[_Ticket] = []  # in the order in which they came
        self._inside: set[Hashable] = set()
        self._served: OrderedDict[Hashable, None] = OrderedDict()

    @contextmanager
    def one(self) -> Iterator[None]:
        """Wait for a turn, and have it.

        Raises:
            StoppedError: the picture is not wanted any more.
        """
        told = asking.get()
        caller = object() if told.caller is None else told.caller
        mine = _Ticket(caller)
        with self._changed:
            self._waiting.append(mine)
            try:
                while self._next() is not mine:
                    self._changed.wait(_LOOK if told.caller is not None else None)
                    if told.unwanted():
                        raise StoppedError
                self._enter(caller)
            finally:
                self._waiting.remove(mine)
                self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._inside.discard(caller)
                self._changed.notify_all()

    def _enter(self, caller: Hashable) -> None:
        self._inside.add(caller)
        self._served[caller] = None
        self._served.move_to_end(caller)
        if len(self._served) > _MOST_KNOWN:
            self._served.popitem(last=False)

    def _next(self) -> _Ticket | None:
        """Return who may come in; None for nobody."""
        if len(self._inside) >= self._many:
            return None
        order = {caller: number for number, caller in enumerate(self._served)}
        able = [one for one in self._waiting if one.caller not in self._inside]
        return min(able, key=lambda one: order.get(one.caller, -1), default=None)
