"""Fixtures that several test modules share."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import hypothesis
import numpy as np
import pytest
from PIL import Image

from mmdemo import load_encoder
from mmdemo.cli import main
from mmdemo.examples import FOLDER, examples
from mmdemo.images import files
from mmdemo.models.encoder import Encoder
from mmdemo.work import Shared
from tests.apps import ROOT, App, environment, serving

if TYPE_CHECKING:  # it needs gradio, which takes seconds to import
    from tests.held import HeldModel

TINY = ROOT / "tests/data/visualized_bge/bert-bge-base-en-v1.5"
"""A small random Visualized-BGE in the layout of the official files."""


# What `tests/test_properties.py` tries: a few inputs, the same ones in every run, or very many.
hypothesis.settings.register_profile(
    "few",
    max_examples=25,
    deadline=None,  # machines are slow
    derandomize=True,
    database=None,
    suppress_health_check=[
        hypothesis.HealthCheck.too_slow,
        hypothesis.HealthCheck.function_scoped_fixture,
    ],
)
hypothesis.settings.register_profile(
    "many", hypothesis.settings.get_profile("few"), max_examples=1000, derandomize=False
)

SEPARATE = ("slow", "weights")
"""Markers of tests that run only where they are asked for by name, `-m slow`."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests that take minutes or gigabytes, unless they are asked for."""
    left_out = [
        item
        for item in items
        if any(
            item.get_closest_marker(name) and name not in config.option.markexpr
            for name in SEPARATE
        )
    ]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def pytest_configure(config: pytest.Config) -> None:
    """Keep the developer's own settings, models and credentials out of the tests.

    Once and for all: apps that several tests visit are built before any of them begins.
    """
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    # Threads that wait for each other spin: beside a browser, for six times what they compute.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    if "weights" in config.option.markexpr:  # those are the developer's own, and cost gigabytes
        return
    for name in list(os.environ):
        if name.startswith(("MMDEMO_", "GRADIO_", "HF_", "HUGGINGFACE_", "TRANSFORMERS_")):
            del os.environ[name]
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    # Where huggingface_hub, once it is imported, looks for its user's credentials.
    os.environ["HF_HOME"] = str(ROOT / "tests/no-such-folder")


@pytest.fixture(autouse=True)
def _as_in_a_new_process(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Give a test its own caches, and let it know nothing of what others have asked or measured."""
    monkeypatch.setenv("MMDEMO_CACHE", str(tmp_path / ".cache"))
    if request.node.get_closest_marker("weights"):
        for name in [name for name in os.environ if name.startswith("MMDEMO_")]:
            monkeypatch.delenv(name)
    else:
        monkeypatch.setenv("HF_HOME", str(tmp_path / ".huggingface"))
    forget(monkeypatch)


def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have nothing in memory of the hub's answers and of what was measured."""
    monkeypatch.setattr("mmdemo.images.files._known", files._Known())
    monkeypatch.setattr("mmdemo.models.find._of_hub", {})
    monkeypatch.setattr("mmdemo.ui.parts.models.downloads._downloads", Shared())
    monkeypatch.setattr("mmdemo.background.sets._known", {})
    monkeypatch.setattr("mmdemo.background.measure._works", Shared())


class Done(NamedTuple):
    """What a command left: its exit status and what it printed."""

    status: int
    out: str
    err: str


Command = Callable[..., Done]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    """Return a function that runs the command line in this process.

    It takes the arguments, and settings of the environment by name.
    """

    def run(*arguments: str, **settings: str) -> Done:
        capsys.readouterr()
        with environment(settings):
            status = main(arguments)
        printed = capsys.readouterr()
        return Done(status, printed.out, printed.err)

    return run


@pytest.fixture
def started_command() -> Command:
    """Return the same in a process of its own, as a user runs it: some seconds each time."""

    def run(*arguments: str, **settings: str) -> Done:
        done = subprocess.run(
            [sys.executable, "-m", "mmdemo", *arguments],
            cwd=ROOT,
            env=os.environ | settings,
            capture_output=True,
            text=True,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def held(mini: Encoder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[HeldModel]:
    """Put a model on offer that stands still until it is told to go on: see `tests/held.py`."""
    from tests.held import offer_held

    encoder = offer_held(monkeypatch, tmp_path)
    yield encoder
    encoder.gate.release(100_000)  # nothing may wait on


@pytest.fixture
def served(held: HeldModel, tmp_path: Path) -> Iterator[App]:
    """Serve a page with that model, and visit it."""
    with visited_with(held, tmp_path) as app:
        yield app


@contextmanager
def visited_with(held: HeldModel, folder: Path, **settings: str) -> Iterator[App]:
    """Serve a page with that model and some settings, and visit it."""
    with serving(folder, **settings) as app, app.visited():
        try:
            yield app
        finally:
            held.gate.release(100_000)


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
    return *row.paths, row.text("en")


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
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """Serve the page with no settings at all."""
    with serving(tmp_path_factory.mktemp("app")) as app:
        yield app


@pytest.fixture(scope="session")
def app_url(app: App) -> str:
    """Return the address of a page with no settings, for what is no browser."""
    return app.address
