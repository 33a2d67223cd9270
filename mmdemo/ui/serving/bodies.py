"""How much a request may carry: told before it is parsed, because to parse it takes the time.

Uploads are files, which gradio bounds one by one. All else is JSON: texts, labels, pictures as data
URIs. Its parser runs where every other visitor's requests are taken in, and makes an object of each
value; so both bytes and values are bounded.
"""

from __future__ import annotations

import json
import re

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mmdemo.settings import limits

_UPLOAD = re.compile(r"/upload/?$")
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_CARRYING = ("POST", "PUT", "PATCH")

_PICTURES = 4
"""Pictures of the largest size that a body holds at least the bytes of. A data URI has four for
three bytes of its picture."""

_DRAINED = 4
"""How many times as much is listened to before it is refused."""

_MOST_VALUES = 500_000
"""Commas and opening brackets. No request within the limits has a tenth of that; half a million
values are parsed in some tenths of a second."""


class Bodies:
    """ASGI middleware that refuses a body which is too large, with 413 and a sentence."""

    def __init__(self, app: ASGIApp) -> None:
        """Stand before an application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take a body in, and pass the request on with it."""
        carries = scope["type"] == "http" and scope["method"] in _CARRYING
        if not carries or _UPLOAD.search(scope["path"]):
            await self._app(scope, receive, send)
            return
        most = _PICTURES * limits().upload_mb * 1_000_000
        hopeless = _told_length(scope) > _DRAINED * most
        body = None if hopeless else await _taken(receive, most)
        if body is None:
            await _refuse(send, f"more than {most // 1_000_000:,} MB")
        elif _has_many_values(body):
            await _refuse(send, f"more than {_MOST_VALUES:,} values")
        else:
            await self._app(scope, _again(body, receive), send)


def _told_length(scope: Scope) -> int:
    """Return how long a body is by its header; 0 where that does not say."""
    told = dict(scope["headers"]).get(b"content-length", b"")
    return int(told) if told.isdigit() and len(told) < 20 else 0


def _has_many_values(body: bytes) -> bool:
    """Return whether more values are in a body than are parsed; what is in a text is none."""
    strings = body.count(b'"') // 2
    if strings > _MOST_VALUES or _marks(body) <= _MOST_VALUES:
        return strings > _MOST_VALUES
    return _marks(_STRING.sub(b"", body)) > _MOST_VALUES


def _marks(body: bytes) -> int:
    return sum(map(body.count, (b",", b"[", b"{")))


async def _taken(receive: Receive, most: int) -> bytes | None:
    """Return a body, or None where it is too long; of who leaves meanwhile, what came.

    What is too long is heard to its end, within bounds, and let go of: most callers read no answer
    before they have sent all.
    """
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return b"".join(parts)
        size += len(message.get("body", b""))
        if size <= most:
            parts.append(message.get("body", b""))
        else:
            parts.clear()
        if size > _DRAINED * most or not message.get("more_body"):
            return b"".join(parts) if size <= most else None


def _again(body: bytes, receive: Receive) -> Receive:
    """Return what gives a body that was taken in already, and then what else comes."""
    waiting = [body]

    async def given() -> Message:
        if waiting:
            return {"type": "http.request", "body": waiting.pop(), "more_body": False}
        return await receive()

    return given


async def _refuse(send: Send, much: str) -> None:
    told = f"The request has {much}, which is more than is taken at once. Send less, in parts."
    headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps({"detail": told}).encode()})
