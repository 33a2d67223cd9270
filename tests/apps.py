"""Pages to visit: served by the tests' own process, or started as a user does.

An app reads its settings from the environment at every event. In the tests' own process they
therefore hold for exactly as long as somebody visits it.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

if TYPE_CHECKING:
    import gradio as gr

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class App:
    """A page that this process serves.

    Attributes:
        address: where.
        settings: environment variables that are its own.
        page: what gradio knows of it.
    """

    address: str
    settings: Mapping[str, str]
    page: gr.Blocks

    @contextmanager
    def visited(self) -> Iterator[None]:
        """Have its settings hold, until what its visitors have started has ended."""
        others = [app for app in _visited if app.settings != self.settings]
        if others:
            raise RuntimeError(
                "Two apps with different settings cannot be visited at once in one process: start "
                "one of them with `running_app`."
            )
        _visited.append(self)
        try:
            with environment(self.settings):
                yield
                _wait_until_idle(self.page)
        finally:
            _visited.remove(self)


_visited: list[App] = []


@contextmanager
def environment(settings: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for a while."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            patch.setenv(name, value)
        yield


@contextmanager
def serving(folder: Path, **settings: str) -> Iterator[App]:
    """Serve the page from this process, as `python app.py` serves it.

    Args:
        folder: for its own cache of the model hub, and what it measures.
        settings: environment variables.
    """
    # Here and not at the top: many tests need no page, and importing gradio takes seconds.
    from mmdemo.ui.app import build, serve

    settings = _own_folders(folder) | settings
    with environment(settings):
        page = build()
        address = serve(page, wait=False)
    try:
        yield App(address, settings, page)
    finally:
        page.close(verbose=False)


def _own_folders(folder: Path) -> dict[str, str]:
    return {"HF_HOME": str(folder), "MMDEMO_CACHE": str(folder / "cache")}


def _wait_until_idle(page: gr.Blocks) -> None:
    """Wait until no event of a page runs, and nothing that one of them has started.

    What they measure would else be written into the next test's folder.
    """
    queue = page._queue
    while any(queue.active_jobs) or len(queue):
        time.sleep(0.01)
    for thread in threading.enumerate():
        if thread.name in ("background set", "work"):
            thread.join()


class Started(NamedTuple):
    """An app in a process of its own."""

    address: str
    server: subprocess.Popen[bytes]


# `python app.py`, which hears Ctrl+C also where this process was started in the background: such a
# process ignores it, and so would its children.
_APP = """
import runpy, signal
signal.signal(signal.SIGINT, signal.default_int_handler)
runpy.run_path("app.py", run_name="__main__")
"""


@contextmanager
def running_app(folder: Path, **settings: str) -> Iterator[Started]:
    """Start the app in a process of its own, as a user does.

    Takes ten seconds: for what is about the process, or needs settings beside another app's.

    Args:
        folder: for its log, its own cache of the model hub, and what it measures.
        settings: environment variables.
    """
    log = folder / "log.txt"
    own = {"PYTHONUNBUFFERED": "1", "GRADIO_SERVER_NAME": "127.0.0.1"} | _own_folders(folder)
    with log.open("w") as output:
        server = subprocess.Popen(
            [sys.executable, "-c", _APP],
            cwd=ROOT,
            env={**os.environ, **own, **settings},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield Started(_address(server, log), server)
    finally:
        server.terminate()
        server.wait()


def _address(server: subprocess.Popen[bytes], log: Path) -> str:
    """Wait until the app has printed its address and answers there."""
    while server.poll() is None:
        if found := re.search(r"https?://\S+:\d+", log.read_text()):
            with urllib.request.urlopen(found[0], timeout=60) as answer:
                if answer.status == 200:
                    return found[0]
        time.sleep(0.2)
    raise RuntimeError(f"The app did not start:\n{log.read_text()}")
