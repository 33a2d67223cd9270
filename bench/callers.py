"""Calls of the web endpoints, made by hand: a connection for each request, an end for each wait."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

PATIENCE = 60.0
"""Seconds for an answer."""

_MARK = "bench-x3fb2c"


class Answer(NamedTuple):
    """How a call ended.

    Attributes:
        seconds: until then.
        kind: `complete`, `error`, or `nothing` where no answer came in time.
        told: the JSON of the answer; of an error the message; else the last that was told.
    """

    seconds: float
    kind: str
    told: Any

    @property
    def good(self) -> bool:
        """Return whether it was answered."""
        return self.kind == "complete"

    @property
    def waited(self) -> float:
        """Return the seconds, infinite without an answer."""
        return self.seconds if self.good else float("inf")


class RefusedError(Exception):
    """The server answered with an HTTP status other than 200."""


class Caller:
    """Calls endpoints from one address."""

    def __init__(self, place: str, source: str = "127.0.0.1") -> None:
        """Remember who calls whom.

        Args:
            place: where the app is, `host:port`.
            source: the address that it sees; on Linux any of 127.0.0.0/8.
        """
        self._place = place
        self._source = source

    def post(self, path: str, body: bytes, kind: str = "application/json") -> Any:
        """Send a body; return the JSON of the answer.

        Raises:
            RefusedError: the status is not 200.
            OSError: no answer.
        """
        with self._asked("POST", f"/gradio_api/{path}", PATIENCE, body, kind) as response:
            return json.load(response)

    def get(self, path: str) -> str:
        """Return what is at an address of the server.

        Raises:
            RefusedError: the status is not 200.
            OSError: no answer.
        """
        with self._asked("GET", path, PATIENCE) as response:
            return response.read().decode()

    def upload(self, name: str, picture: bytes) -> dict[str, Any]:
        """Upload a picture; return what a call says of it.

        Raises:
            RefusedError: the status is not 200.
            OSError: no answer.
        """
        told = f'Content-Disposition: form-data; name="files"; filename="{name}"'
        body = f"--{_MARK}\r\n{told}\r\n\r\n".encode() + picture + f"\r\n--{_MARK}--\r\n".encode()
        [place] = self.post("upload", body, f"multipart/form-data; boundary={_MARK}")
        return {"path": place, "meta": {"_type": "gradio.FileData"}}

    def ask(self, endpoint: str, data: list[Any], patience: float = PATIENCE) -> Answer:
        """Call an endpoint and wait for its answer, at most so many seconds."""
        start = time.perf_counter()
        told: Any = ""
        try:
            event = self.post(f"call/{endpoint}", json.dumps({"data": data}).encode())["event_id"]
            path = f"/gradio_api/call/{endpoint}/{event}"
            left = patience - (time.perf_counter() - start)
            with self._asked("GET", path, max(left, 0.01)) as stream:
                for kind, told in events(_lines(stream, start + patience)):
                    if kind in ("complete", "error"):
                        return Answer(time.perf_counter() - start, kind, told)
        except RefusedError as error:
            return Answer(time.perf_counter() - start, "error", str(error))
        except (OSError, http.client.HTTPException) as error:
            told = told or type(error).__name__
        return Answer(time.perf_counter() - start, "nothing", told)

    @contextmanager
    def _asked(
        self, method: str, path: str, patience: float, body: bytes | None = None, kind: str = ""
    ) -> Iterator[http.client.HTTPResponse]:
        host, port = self._place.split(":")
        connection = http.client.HTTPConnection(
            host, int(port), timeout=patience, source_address=(self._source, 0)
        )
        try:
            connection.request(method, path, body, {"content-type": kind} if kind else {})
            response = connection.getresponse()
            if response.status != 200:
                raise RefusedError(f"{response.status}: {response.read(300).decode()}")
            yield response
        finally:
            connection.close()


def _lines(stream: http.client.HTTPResponse, end: float) -> Iterator[bytes]:
    """Yield lines until the end of a stream, or a moment of `perf_counter`.

    Heartbeats come while it waits, so that a limit on one reading would never be reached.
    """
    while time.perf_counter() < end and (line := stream.readline()):
        yield line


def events(lines: Iterable[bytes]) -> Iterator[tuple[str, Any]]:
    """Yield what a stream of server-sent events tells: the kind of each, and its data."""
    kind = ""
    for line in lines:
        name, _, value = line.decode().rstrip("\n").partition(": ")
        if name == "event":
            kind = value
        elif name == "data":
            told = json.loads(value)
            yield kind, told[0] if isinstance(told, list) and told else told
