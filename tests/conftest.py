"""Fixtures that several test modules share."""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmdemo import load_encoder
from mmdemo.encoders.base import Encoder
from mmdemo.examples import FOLDER, examples

ROOT = Path(__file__).resolve().parent.parent
TINY = ROOT / "tests/data/visualized_bge/bert-bge-base-en-v1.5"
"""A small random Visualized-BGE in the layout of the official files."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests that fetch gigabytes, unless they are asked for."""
    if "weights" not in config.option.markexpr:
        config.hook.pytest_deselected(items=[i for i in items if i.get_closest_marker("weights")])
        items[:] = [item for item in items if not item.get_closest_marker("weights")]


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep the developer's own settings and cache out of the tests."""
    for name in [name for name in os.environ if name.startswith("MMDEMO_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("MMDEMO_CACHE", str(tmp_path / ".cache"))


@pytest.fixture(scope="session")
def mini() -> Encoder:
    return load_encoder("mini")


@pytest.fixture(scope="session")
def two_pictures() -> tuple[Path, Path]:
    """Return two different photos that ship with the app."""
    first, second = sorted(FOLDER.glob("*.jpg"))[:2]
    return first, second


@pytest.fixture(scope="session")
def opening() -> tuple[Path, Path, str]:
    """Return the comparison that the page opens with."""
    row = examples()[0]
    return *row.paths, row.text_en


@pytest.fixture
def gradient() -> Image.Image:
    """Return a 60 x 40 picture whose four corners can be told apart."""
    y, x = np.mgrid[0:40, 0:60]
    pixels = np.stack([x * 4, y * 6, 255 - x * 4], axis=-1).astype(np.uint8)
    return Image.fromarray(pixels, "RGB")


@pytest.fixture
def file_bytes() -> Callable[..., bytes]:
    """Return a function that encodes a picture as a file."""

    def encode(picture: Image.Image, format: str, **options: object) -> bytes:
        buffer = io.BytesIO()
        picture.save(buffer, format, **options)
        return buffer.getvalue()

    return encode


@pytest.fixture(scope="session")
def app_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start the app as a user does, in its own process, and return its address."""
    with running_app(tmp_path_factory.mktemp("app")) as address:
        yield address


@contextmanager
def running_app(folder: Path, *command: str, **settings: str) -> Iterator[str]:
    """Start the app in its own process and give its address.

    Args:
        folder: for its log, its own cache of the model hub, and what it measures.
        command: what Python runs; by default `app.py`.
        settings: environment variables.
    """
    log = folder / "log.txt"
    plain = {name: value for name, value in os.environ.items() if not name.startswith("MMDEMO_")}
    own = {
        "PYTHONUNBUFFERED": "1",
        "GRADIO_SERVER_NAME": "127.0.0.1",
        "HF_HOME": str(folder),
        "MMDEMO_CACHE": str(folder / "cache"),
    }
    with log.open("w") as output:
        server = subprocess.Popen(
            [sys.executable, *(command or ["app.py"])],
            cwd=ROOT,
            env=plain | own | settings,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield _address(server, log)
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(timeout=30)


def _address(server: subprocess.Popen[bytes], log: Path) -> str:
    """Wait until the app has printed its address and answers there."""
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline and server.poll() is None:
        if found := re.search(r"https?://\S+:\d+", log.read_text()):
            with urllib.request.urlopen(found[0], timeout=60) as answer:
                if answer.status == 200:
                    return found[0]
        time.sleep(0.2)
    raise RuntimeError(f"The app did not start:\n{log.read_text()}")
