"""The line: who may enter gradio's queue, and what is let go of when somebody leaves it.

Everything that runs for a visitor stands in that queue, a page's events and the calls of the
endpoints; `/run`, which would go around it, is closed. So this is the one place where what one
caller asks for at once is bounded, and where each request is written into the log.
"""

from __future__ import annotations

import time
from asyncio import Queue as AsyncQueue
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, cast
from weakref import WeakKeyDictionary

import fastapi
import gradio as gr
from gradio.block_function import BlockFunction
from gradio.data_classes import PredictBodyInternal
from gradio.queueing import Event, Queue
from gradio.server_messages import EventMessage, LogMessage, ProcessCompletedMessage
from gradio.utils import LRUCache, error_payload

from mmdemo.errors import BusyError
from mmdemo.images import Asking, asking
from mmdemo.settings import limits
from mmdemo.ui.parts.localise import preferred_language
from mmdemo.ui.parts.markup import error_message
from mmdemo.ui.serving import journal
from mmdemo.ui.serving.callers import Callers, address_of
from mmdemo.ui.serving.events import LONG_TASKS, OTHERS, THREADS, is_endpoint
from mmdemo.ui.strings import CODES, FIRST, Language, say

_running: ContextVar[Event | None] = ContextVar("event", default=None)

_MOST_SESSIONS = 2000  # whose answers are kept until they fetch them, as gradio does


class Line(Queue):
    """gradio's queue, with a door.

    Attributes:
        callers: who knows which pages are open.
    """

    def __init__(self, page: gr.Blocks, callers: Callers) -> None:
        """Stand in the place of a page's queue, after its `queue()`."""
        super().__init__(
            live_updates=True,
            concurrency_count=THREADS,
            update_intervals=1,
            max_size=None,  # the door has a limit of its own, and says so
            blocks=page,
            default_concurrency_limit=OTHERS,
        )
        self.ANALYTICS_MAX_EVENTS = 1  # see `compute_analytics_summary`
        self.callers = callers
        self.pending_messages_per_session = _Messages(callers.is_connected, self._drop)
        self._addresses: WeakKeyDictionary[Event, str] = WeakKeyDictionary()

    async def push(
        self, body: PredictBodyInternal, request: fastapi.Request, username: str | None
    ) -> Any:
        """Let an event in, or refuse it with a sentence.

        Whoever has a stream open reads the sentence there, which gradio's page and its client show.
        (Of a status of 503 the page shows its own words, and of any other the client shows none.)
        Whoever has none gets it as the answer, and leaves nothing.
        """
        fn = self.blocks.fns.get(-1 if body.fn_index is None else body.fn_index)
        if fn is None or fn.fn is None:
            return False, "There is no such function.", "error"
        address = address_of(request)
        try:
            self._check(fn, body.session_hash, address)
        except BusyError as error:
            return self._refuse(error, fn, body, request, username)
        entered = await super().push(body, request, username)
        if (event := self.event_ids_to_events.get(str(entered[1]))) is not None:
            self._addresses[event] = address
        return entered

    def _check(self, fn: BlockFunction, session: str | None, address: str) -> None:
        """Refuse what would be too much at once.

        Raises:
            BusyError: of all callers, or of this one.
        """
        most = limits()
        if len(self.event_ids_to_events) >= most.line:
            raise BusyError(
                f"There are {most.line:,} requests in the line already, and no place is left. Try "
                "again in a minute.",
                "line_full",
                limit=f"{most.line:,}",
            )
        caller = self.callers.caller(session or "", address)
        everybody = self.event_ids_to_events.values()
        own = [event for event in everybody if self._caller(event) == caller]
        if len(own) >= most.caller:
            raise BusyError(
                f"{most.caller:,} of your requests wait or run already, as many as one caller may "
                "have at once. Try again when one of them has been answered.",
                "caller_busy",
                limit=f"{most.caller:,}",
            )
        jobs = {_job(event.fn, event.session_hash, event._id) for event in own if is_job(event.fn)}
        if is_job(fn) and len(jobs | {_job(fn, session or "", "")}) > most.jobs:
            raise BusyError(
                "Classifications, rankings and embeddings of yours that wait or run already: "
                f"{len(jobs):,}, as many as one caller may have at once. Try again when one of "
                "them has ended, or stop one.",
                "jobs_many",
                count=f"{len(jobs):,}",
            )

    def _caller(self, event: Event) -> str:
        return self.callers.caller(event.session_hash, self._addresses.get(event, ""))

    def _refuse(
        self,
        error: BusyError,
        fn: BlockFunction,
        body: PredictBodyInternal,
        request: fastapi.Request,
        username: str | None,
    ) -> Any:
        journal.write(fn, journal.Record(outcome=error.code))
        language = _language(fn, body, request)
        told = error_message(error, language)
        session = body.session_hash or ""
        unread = self.pending_event_ids_session.get(session, set())
        # One who never reads must not pile them up.
        if not self.callers.is_connected(session) or len(unread) > limits().line:
            raise fastapi.HTTPException(fastapi.status.HTTP_429_TOO_MANY_REQUESTS, told)
        event = Event(session, fn, request, username)
        self.pending_event_ids_session.setdefault(session, set()).add(event._id)
        if session not in self.pending_messages_per_session:
            self.pending_messages_per_session[session] = AsyncQueue()
        if is_endpoint(fn):
            payload = error_payload(gr.Error(told, print_exception=False), show_error=False)
            self.send_message(event, ProcessCompletedMessage(output=payload, success=False))
        else:
            title = say(language, "busy_title")
            self.send_message(event, LogMessage(log=told, level="warning", title=title))
            self.send_message(event, _nothing(fn))
        return True, event._id, "success"

    async def process_events(
        self, events: list[Event], batch: bool, begin_time: float, fn: BlockFunction
    ) -> None:
        """Run an event, and write a line of it."""
        event = events[0]  # no handler here takes a batch of them
        _running.set(event)  # for its task, and the threads that work for it
        asking.set(Asking(self._caller(event), unheard()))
        with journal.recorded(fn, time.monotonic() - event.enqueue_time) as record:
            await super().process_events(events, batch, begin_time, fn)
            if not event.alive:
                # gradio would count it among those that the session waits for, for ever.
                self.pending_event_ids_session.get(event.session_hash, set()).discard(event._id)
                if record.outcome == journal.OK:
                    record.outcome = journal.STOPPED

    def send_message(self, event: Event, event_message: EventMessage) -> None:
        """Send a message to who waits for an event, and note what it says of a failure."""
        if isinstance(event_message, ProcessCompletedMessage) and not event_message.success:
            journal.note_outcome(journal.REFUSED)
        super().send_message(event, event_message)

    async def left(self, session: str) -> None:
        """End what a page has asked for, once it has closed: nobody reads it any more."""
        if not self.callers.is_connected(session):
            await self.clean_events(session_hash=session)

    def forget(self, event_id: str) -> None:
        """Let go of a call whose answer has been read; gradio would keep an empty place for it."""
        if not self.pending_event_ids_session.get(event_id):
            self.pending_event_ids_session.pop(event_id, None)
            self.pending_messages_per_session.pop(event_id, None)

    def counts(self) -> dict[str, int]:
        """Return what waits and runs, how much of it takes long, and for how many callers."""
        events = list(self.event_ids_to_events.values())
        return {
            "waiting": len(self),
            "running": self.get_active_worker_count(),
            "long": sum(is_job(event.fn) for event in events),
            "callers": len({self._caller(event) for event in events}),
            "pages": self.callers.pages,
        }

    def compute_analytics_summary(self, records: Any) -> dict[str, Any]:
        """Compute nothing: gradio goes through its last 10,000 events at the end of each one.

        Nobody sees the result, because the page has no monitoring.
        """
        return self.cached_event_analytics_summary

    def _drop(self, session: str) -> None:
        self.pending_event_ids_session.pop(session, None)


class _Messages(LRUCache[str, AsyncQueue[EventMessage]]):
    """What sessions are yet to read; whoever has a stream open is not the one to be forgotten.

    gradio lets go of the oldest: of a page that has been open for 2,000 calls of an endpoint.
    """

    def __init__(self, is_connected: Callable[[str], bool], drop: Callable[[str], Any]) -> None:
        super().__init__(_MOST_SESSIONS)
        self._is_connected = is_connected
        self._drop = drop

    def __setitem__(self, session: str, messages: AsyncQueue[EventMessage]) -> None:
        if session not in self and len(self) >= self.max_size:
            oldest = next((one for one in self if not self._is_connected(one)), None)
            if oldest is not None:
                del self[oldest]
                self._drop(oldest)
        super().__setitem__(session, messages)


def is_job(fn: BlockFunction) -> bool:
    """Say whether a function takes long: classifications, rankings and the like do."""
    return fn.concurrency_id in LONG_TASKS


def _job(fn: BlockFunction, session: str, event_id: str) -> str:
    """Return what a job counts as.

    One of a page, as often as it was begun: each takes the place of the one before, which may be
    just ending. Of an endpoint, each for itself.
    """
    return event_id if is_endpoint(fn) else f"{fn._id} {session}"


def _nothing(fn: BlockFunction) -> ProcessCompletedMessage:
    """Return the end of an event that changes nothing.

    Not an error: after one, gradio's page forgets what it has put off until then, and what was
    typed last would never be computed.
    """
    skipped = [None if block.stateful else gr.skip() for block in fn.outputs]
    return ProcessCompletedMessage(output={"data": skipped, "is_generating": False}, success=True)


def line_of(page: gr.Blocks) -> Line:
    """Return the line of a page that is served."""
    return cast("Line", page._queue)


def unheard() -> Callable[[], bool]:
    """Return what says whether nobody waits any more for the request that runs here.

    For work that waits for something else than the caller; any thread may ask.
    """
    event = _running.get()
    return lambda: event is not None and not event.alive


def _language(fn: BlockFunction, body: PredictBodyInternal, request: fastapi.Request) -> Language:
    """Return in which language a refusal is said: the page's, where it is told, or the first."""
    if is_endpoint(fn):
        return FIRST
    for component, value in zip(fn.inputs, body.data, strict=False):
        if component.elem_id == "language" and value in CODES:
            return value
    return preferred_language(request.headers)
