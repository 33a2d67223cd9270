"""What gradio keeps of each visitor: of a page its state, of a call to an endpoint nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any
from weakref import WeakKeyDictionary

from gradio.queueing import Event
from gradio.routes import App
from gradio.state_holder import SessionState, StateHolder


class Sessions(StateHolder):
    """gradio's sessions, without those that nobody can come back to.

    A session holds the configuration of the whole page, a third of a megabyte. A call without a
    session, as `/call/NAME` makes it, is given one of its own, named after the call's event: it
    goes with the event here, where gradio would keep 10,000 of them. Those that have a name of
    their own are kept: pages, and each `gradio_client.Client`, which is one session for all its
    calls.
    """

    def __init__(self) -> None:
        """Start without any."""
        super().__init__()
        self._of_calls: WeakKeyDictionary[Event, SessionState] = WeakKeyDictionary()

    def __getitem__(self, session_id: str) -> SessionState:
        """Return a session, made at its first use."""
        event = self.blocks._queue.event_ids_to_events.get(session_id)
        if event is None:
            return super().__getitem__(session_id)
        if event not in self._of_calls:
            self._of_calls[event] = self._for_a_call()
        return self._of_calls[event]

    def _for_a_call(self) -> SessionState:
        """Return a session that does not begin with the values of all components.

        Those are for links to a page's state; to write them down takes longer than a comparison.
        """
        without: Any = SimpleNamespace(default_config=self.blocks.default_config, blocks={})
        return SessionState(without)


@asynccontextmanager
async def lifespan(app: App) -> AsyncIterator[None]:
    """Put them in gradio's place before the first request: for `launch(app_kwargs=…)`."""
    sessions = Sessions()
    sessions.set_blocks(app.get_blocks())
    app.state_holder = sessions
    yield
