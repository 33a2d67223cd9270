"""What one visitor's work costs another, and what calls leave behind, on an app of its own.

    python -m bench.load

Starts the app at a port of the loopback and ends it. `/compare` alone, then beside four long
`/classify` of another caller; then what the server's memory grows by at 400 calls of `/models`.
Medians of one run on this machine; ratios are what carries over to another.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from mmdemo.examples import FOLDER

_COMPARISONS = 10
_LONG = 4
_CALLS = 400
_PATIENCE = 30.0  # seconds for an answer
_MARK = "bench-load"
_PICTURE = FOLDER / "bee.jpg"


class Caller:
    """Calls endpoints by hand, a connection at a time."""

    def __init__(self, place: str) -> None:
        """Remember where the app is, `host:port`."""
        self._place = place
        self._open: list[http.client.HTTPConnection] = []

    def post(self, path: str, body: bytes, kind: str = "application/json") -> Any:
        """Send a body; return the JSON of the answer."""
        connection = http.client.HTTPConnection(self._place, timeout=_PATIENCE)
        connection.request("POST", f"/gradio_api/{path}", body, {"content-type": kind})
        told = json.load(connection.getresponse())
        connection.close()
        return told

    def upload(self, path: Path) -> dict[str, Any]:
        """Upload a picture; return what a call says of it."""
        told = f'Content-Disposition: form-data; name="files"; filename="{path.name}"'
        body = f"--{_MARK}\r\n{told}\r\n\r\n".encode() + path.read_bytes()
        body += f"\r\n--{_MARK}--\r\n".encode()
        [place] = self.post("upload", body, f"multipart/form-data; boundary={_MARK}")
        return {"path": place, "meta": {"_type": "gradio.FileData"}}

    def begin(self, endpoint: str, data: list[Any]) -> http.client.HTTPResponse:
        """Begin a call; return the stream of its events, which stays open."""
        body = json.dumps({"data": data}).encode()
        event = self.post(f"call/{endpoint}", body)["event_id"]
        connection = http.client.HTTPConnection(self._place, timeout=_PATIENCE)
        connection.request("GET", f"/gradio_api/call/{endpoint}/{event}")
        self._open.append(connection)
        return connection.getresponse()

    def ask(self, endpoint: str, data: list[Any]) -> float:
        """Call an endpoint; return the seconds until its answer, infinite without one."""
        start = time.perf_counter()
        answered, ended = False, False
        stream = self.begin(endpoint, data)
        # Heartbeats come while it waits, so that a limit on one reading would never be reached.
        while not ended and time.perf_counter() - start < _PATIENCE:
            line = stream.readline()
            answered = line == b"event: complete\n"
            ended = answered or not line
        self._open.pop().close()
        return time.perf_counter() - start if answered else float("inf")

    def leave(self) -> None:
        """Close what is open."""
        while self._open:
            self._open.pop().close()


def main() -> None:
    """Print a Markdown table."""
    with _app() as (server, place):
        caller, other = Caller(place), Caller(place)
        picture = caller.upload(_PICTURE)
        caller.ask("compare", _comparison(picture))  # loads the model
        alone = _compared(caller, picture)
        for _ in range(_LONG):
            labels = "\n".join(f"thing {uuid.uuid4()}" for _ in range(1000))
            other.begin("classify", [[picture], labels, "openai-7", False, "mini"])
        beside = _compared(caller, picture)
        other.leave()
        for _ in range(50):  # what the first ones need once
            caller.ask("models", [])
        before = _memory(server)
        for _ in range(_CALLS):
            caller.ask("models", [])
        grown = _memory(server) - before
    answered = np.isfinite(beside)
    sys.stdout.write(
        "| | |\n|---|---|\n"
        f"| /compare alone, median | {np.median(alone):.2f} s |\n"
        f"| beside {_LONG} long /classify, answered within {_PATIENCE:.0f} s | "
        f"{answered.sum()} of {len(beside)} |\n"
        f"| beside them, median | {np.median(beside):.2f} s |\n"
        f"| beside them, longest | {np.max(beside):.2f} s |\n"
        f"| memory kept by {_CALLS} calls of /models | {grown:.1f} MB |\n"
    )


def _comparison(picture: dict[str, Any]) -> list[Any]:
    return [picture, picture, f"a text {uuid.uuid4()}", "mini"]


def _compared(caller: Caller, picture: dict[str, Any]) -> np.ndarray:
    """Return the seconds of some comparisons; where two in a row get no answer, no more follow."""
    seconds: list[float] = []
    while len(seconds) < _COMPARISONS and np.isinf(seconds[-2:]).sum() != 2:
        seconds.append(caller.ask("compare", _comparison(picture)))
    return np.array(seconds)


def _memory(server: subprocess.Popen[str]) -> float:
    """Return what a process holds, in megabytes."""
    pages = int(Path(f"/proc/{server.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


@contextmanager
def _app() -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Start the app; give its process, and `host:port`."""
    own = {"PYTHONUNBUFFERED": "1", "GRADIO_SERVER_NAME": "127.0.0.1"}
    server = subprocess.Popen(
        [sys.executable, "app.py"], env=os.environ | own, stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout is not None
        for line in server.stdout:
            if found := re.search(r"https?://(\S+:\d+)", line):
                yield server, found[1]
                break
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(timeout=30)


if __name__ == "__main__":
    main()
