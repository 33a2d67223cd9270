"""A server of its own for a measurement: started at a free port of the loopback, and ended."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

_START = 120.0  # seconds until it has to listen
_END = 30.0


class Served(NamedTuple):
    """A server that runs.

    Attributes:
        place: `host:port`.
        pid: of its process.
    """

    place: str
    pid: int

    def memory(self) -> float:
        """Return what its process holds, in megabytes of 10^6 bytes."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


@contextmanager
def serving(
    app: Path, *, command: Sequence[str] = ("app.py",), **settings: str
) -> Iterator[Served]:
    """Start a server and wait until it listens; settings, caches and uploads are its own.

    Args:
        app: the checkout in which it starts.
        command: arguments of Python.
        settings: environment variables.

    Raises:
        RuntimeError: it does not listen within two minutes.
    """
    port = _free_port()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary:
        log = Path(temporary) / "log.txt"
        with log.open("w") as output:
            server = subprocess.Popen(
                [sys.executable, *command],
                cwd=app,
                env=_environment(temporary, port) | settings,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            _wait(server, port, log)
            yield Served(f"127.0.0.1:{port}", server.pid)
        finally:
            _end(server)


def _environment(folder: str, port: int) -> dict[str, str]:
    ours = ("MMDEMO_", "GRADIO_", "HF_", "HUGGINGFACE_", "TRANSFORMERS_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return kept | {
        "GRADIO_SERVER_NAME": "127.0.0.1",
        "GRADIO_SERVER_PORT": str(port),
        "GRADIO_TEMP_DIR": f"{folder}/uploads",
        "GRADIO_ANALYTICS_ENABLED": "False",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HOME": f"{folder}/hub",
        "MMDEMO_CACHE": f"{folder}/cache",
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    end = time.monotonic() + _START
    while time.monotonic() < end and server.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.02)
    raise RuntimeError(f"The server does not listen:\n{log.read_text()[-2000:]}")


def _end(server: subprocess.Popen[bytes]) -> None:
    server.terminate()
    try:
        server.wait(_END)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
