"""Who asks: a page that is open, or else an address.

A page keeps a stream open for as long as it is open itself, gradio's heartbeat. So visitors who
share an address, as a class does, count each for themselves, and whoever has no such stream, as a
program that was written by hand, counts by where it is.
"""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, TypeAlias, cast
from urllib.parse import parse_qs

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from mmdemo.settings import Network, proxies

if TYPE_CHECKING:
    import gradio as gr

    from mmdemo.ui.serving.line import Line
    from mmdemo.ui.serving.sessions import Sessions

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

_HEARTBEAT = re.compile(r"/gradio_api/heartbeat/([^/]+)/?$")
_DATA = re.compile(r"/gradio_api/queue/data/?$")
_CALL = re.compile(r"/gradio_api/call/.+/([^/]+)$")

# Whoever has one address of IPv6 has the whole network of its 64 bits, and could pick another for
# each request.
_OF_ONE = 64


class Callers:
    """The streams that are open, by session."""

    def __init__(self) -> None:
        """Start with none."""
        self._pages: Counter[str] = Counter()
        self._streams: Counter[str] = Counter()

    def is_page(self, session: str) -> bool:
        """Say whether a session is one that keeps a page's stream open."""
        return session in self._pages

    def is_connected(self, session: str) -> bool:
        """Say whether a session has any stream open: a page's, or that of an answer."""
        return session in self._pages or session in self._streams

    @property
    def pages(self) -> int:
        """Return how many sessions keep a page's stream open."""
        return len(self._pages)

    def caller(self, session: str, address: str) -> str:
        """Return who a request is counted for.

        Args:
            session: that it was made in.
            address: from `address_of`.
        """
        return f"page {session}" if self.is_page(session) else f"address {address}"

    @contextmanager
    def page(self, session: str) -> Iterator[None]:
        """Hold a session for a page's while its stream is open."""
        with _counted(self._pages, session):
            yield

    @contextmanager
    def stream(self, session: str) -> Iterator[None]:
        """Hold a session for connected while an answer's stream is open."""
        with _counted(self._streams, session):
            yield


@contextmanager
def _counted(open_ones: Counter[str], session: str) -> Iterator[None]:
    open_ones[session] += 1
    try:
        yield
    finally:
        open_ones[session] -= 1
        if not open_ones[session]:
            del open_ones[session]


class Streams:
    """ASGI middleware that knows which streams of gradio's are open: for `launch(app_kwargs=…)`.

    It touches nothing of what passes. Who has left is told to the line and to the sessions.
    """

    def __init__(self, app: ASGIApp, page: gr.Blocks) -> None:
        """Stand before an application.

        Args:
            app: what comes behind.
            page: from `app.build`, served with a `Line` and `Sessions`.
        """
        self._app = app
        self._page = page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and take note of it while it is open, if it is one of these."""
        path = scope["path"] if scope["type"] == "http" and scope["method"] == "GET" else ""
        async with self._noted(path, scope):
            await self._app(scope, receive, send)

    @asynccontextmanager
    async def _noted(self, path: str, scope: Scope) -> AsyncIterator[None]:
        line = cast("Line", self._page._queue)
        sessions = cast("Sessions", self._page.state_holder)
        try:
            if found := _HEARTBEAT.search(path):
                with line.callers.page(found[1]):
                    yield
            elif _DATA.search(path):
                with line.callers.stream(_session(scope)):
                    yield
            else:
                yield
        finally:
            if found := _HEARTBEAT.search(path):
                sessions.left(found[1])
                await line.left(found[1])
            elif found := _CALL.search(path):
                line.forget(found[1])


def _session(scope: Scope) -> str:
    """Return the session that a request for answers names, or nothing."""
    return parse_qs(scope["query_string"].decode("latin-1")).get("session_hash", [""])[0]


def address_of(request: HTTPConnection, trusted: Sequence[Network] | None = None) -> str:
    """Return where a request comes from, as its caller cannot choose it.

    The peer's address; of a proxy that the owner trusts, the last one that it says it was handed
    the request by, and so on from proxy to proxy. Nothing else in a header is believed. An address
    of IPv6 stands for its network of 64 bits.

    Args:
        request: as it arrived.
        trusted: the proxies; by default the environment's.

    Raises:
        SettingError: the environment's make no sense.
    """
    trusted = proxies() if trusted is None else trusted
    peer = _address(request.client.host if request.client else "")
    if peer is None:
        return "unknown"
    handed = ",".join(request.headers.getlist("x-forwarded-for")).split(",")
    while handed and any(peer in network for network in trusted):
        before = _address(handed.pop())
        if before is None:  # the proxy does not know, and what stands before it anybody may say
            break
        peer = before
    if isinstance(peer, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((peer, _OF_ONE), strict=False))
    return str(peer)


def _address(written: str) -> Address | None:
    """Read an address as a socket or a proxy writes it, perhaps with a port."""
    bare = written.strip()
    if found := re.fullmatch(r"\[(.+)\](?::\d+)?|([\d.]+):\d+", bare):
        bare = found[1] or found[2]
    try:
        address = ipaddress.ip_address(bare.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
