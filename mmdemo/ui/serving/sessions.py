"""What gradio keeps of each visitor: of a page its state, of a call to an endpoint nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from weakref import WeakKeyDictionary

from gradio.queueing import Event
from gradio.state_holder import SessionState, StateHolder

from mmdemo.ui.serving import uploads
from mmdemo.ui.serving.callers import Callers

KEPT = 3600.0
"""Seconds that a session is kept without a stream: a laptop that was closed over lunch comes back
to its results. gradio keeps a closed page's state as long."""

MOST_KEPT = 200
"""Sessions without a stream: 60 MB of configurations, and a class whose phones are locked."""


class Sessions(StateHolder):
    """gradio's sessions, without those that nobody can come back to.

    A session holds the configuration of the whole page, a third of a megabyte. A call without a
    session, as `/call/NAME` makes it, is given one of its own, named after the call's event: it
    goes with the event here, where gradio would keep 10,000 of them. Those that have a name of
    their own are kept: pages, and each `gradio_client.Client`, which is one session for all its
    calls. A page that is open keeps its session; of the others, the last ones, for an hour.
    """

    def __init__(self, callers: Callers, clock: Callable[[], float] = time.monotonic) -> None:
        """Start without any.

        Args:
            callers: who knows which pages are open.
            clock: seconds.
        """
        super().__init__()
        self._callers = callers
        self._clock = clock
        self._of_calls: WeakKeyDictionary[Event, SessionState] = WeakKeyDictionary()
        self._last_used: dict[str, float] = {}

    def __getitem__(self, session_id: str) -> SessionState:
        """Return a session, made at its first use."""
        event = self.blocks._queue.event_ids_to_events.get(session_id)
        if event is None:
            known = session_id in self.session_data
            session = super().__getitem__(session_id)
            if not known:  # anybody can make up names, faster than they are looked through
                self.delete_all_expired_state()
            return session
        if event not in self._of_calls:
            self._of_calls[event] = self._for_a_call()
        return self._of_calls[event]

    def update(self, session_id: str) -> None:
        """Note that a session is used."""
        with self.lock:
            if session_id in self.session_data:
                self.session_data.move_to_end(session_id)
                self._last_used[session_id] = self._clock()

    def left(self, session_id: str) -> None:
        """Take note that a page's stream has closed: its hour begins."""
        self.update(session_id)

    def delete_all_expired_state(self) -> None:
        """Let go of sessions without a stream: the older ones, and those beyond the most.

        gradio calls it every second. Its own would go by when a value was set: of a page that was
        computed an hour ago and is closed for a minute, nothing would be left.
        """
        with self.lock:
            alone = [one for one in self.session_data if not self._callers.is_connected(one)]
            beyond, now = len(alone) - MOST_KEPT, self._clock()
            for place, session_id in enumerate(alone):  # the least recently used first
                if place < beyond or now - self._last_used.get(session_id, now) > KEPT:
                    self.delete_state(session_id)
                    del self.session_data[session_id]
                    uploads.forget(session_id)
                    self._last_used.pop(session_id, None)
                    self.time_last_used.pop(session_id, None)

    def _for_a_call(self) -> SessionState:
        """Return a session that does not begin with the values of all components.

        Those are for links to a page's state; to write them down takes longer than a comparison.
        """
        without: Any = SimpleNamespace(default_config=self.blocks.default_config, blocks={})
        return SessionState(without)
