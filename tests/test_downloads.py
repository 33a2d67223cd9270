"""What visitors may have downloaded: how many at once, how large, and how much of the disk."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from mmdemo import MODELS, MMDemoError
from mmdemo.models.files import on_this_machine
from mmdemo.models.hub.cache import Plan
from mmdemo.progress import Progress
from mmdemo.ui.parts.markup import error_message
from mmdemo.ui.parts.models import downloads
from mmdemo.ui.parts.models import handlers as model_handlers
from mmdemo.ui.parts.models.downloads import Download
from mmdemo.ui.parts.models.handlers import Needs
from mmdemo.ui.parts.models.views import refusal
from mmdemo.ui.strings import ERRORS, Language
from tests.hub_server import Hub, serve
from tests.waiting import MOST, wait_until

NAME, OTHER = "visualized-bge-base-en", "clip-vit-b32"
WEIGHTS = "BAAI/bge-visualized/Visualized_base_en_v1.5.pth"
SIZE = 3_000_000
SPEC = MODELS[NAME]
MISSING = 1_000_000


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    text_encoder = "BAAI/bge-base-en-v1.5"
    files = {
        f"{text_encoder}/{name}": b"{}"
        for name in ("config.json", "tokenizer.json", "tokenizer_config.json")
    }
    with serve(files | {WEIGHTS: b"x" * SIZE}) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        yield hub


NEEDS: Needs = frozenset(("text", "image"))


def done() -> Download:
    """Download the model and wait for the end of it."""
    download = downloads.start(SPEC)
    download.wait()
    return download


def code(download: Download) -> str:
    return download.error.code if isinstance(download.error, MMDemoError) else "none"


def test_few_run_at_once_and_the_button_says_so(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MMDEMO_LIMITS_DOWNLOADS", "1")
    hub.piece, hub.pause = 512, 0.05  # minutes: it is stopped before
    first = downloads.start(SPEC)
    try:
        assert downloads.start(SPEC) is first
        languages: tuple[tuple[Language, str], ...] = (
            ("en", "Downloads that run already: 1, as many as"),
            ("zh", "已有 1 个下载"),
        )
        for language, says in languages:
            shown = model_handlers.press(OTHER, language, needs=NEEDS)
            assert says in shown.download["value"]
            assert shown.button["visible"]  # to be pressed again
        assert downloads.latest(MODELS[OTHER]) is None
        # What it has not taken yet of the disk is not for another.
        wait_until(lambda: first.progress is not None)
        another: Any = SimpleNamespace(progress=None, note=lambda _: None)
        reserve = downloads._claim(another, Plan(OTHER, ()))
        assert 2_000_000_000 < reserve <= 2_000_000_000 + sum(map(len, hub.files.values()))
    finally:
        first.stop()
        first.wait()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    model_handlers.press(OTHER, "en", needs=NEEDS)  # there is room again
    other = downloads.latest(MODELS[OTHER])
    assert other is not None
    other.wait()


@pytest.mark.parametrize(
    ("settings", "came_of_it"),
    [
        ({"MMDEMO_PATHS": "0"}, "download_large"),
        ({"MMDEMO_PATHS": "0", "MMDEMO_LIMITS_DOWNLOAD_MB": "4"}, "none"),
        ({"MMDEMO_PATHS": "0", "MMDEMO_MODELS": f"mini,{NAME}"}, "none"),
        ({"MMDEMO_PATHS": "0", "MMDEMO_MODEL": NAME}, "none"),
        ({"MMDEMO_PATHS": "1"}, "none"),
    ],
)
def test_strangers_get_no_model_larger_than_the_owner_wants(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], came_of_it: str
) -> None:
    for name, value in ({"MMDEMO_LIMITS_DOWNLOAD_MB": "1"} | settings).items():
        monkeypatch.setenv(name, value)
    download = done()
    assert code(download) == came_of_it
    assert on_this_machine(SPEC) is (came_of_it == "none")
    if isinstance(download.error, MMDemoError):
        assert hub.fetched == []
        assert "3.0 MB on disk; visitors may have models of up to 1.0 MB" in str(download.error)
        told = ERRORS["download_large"]["zh"].format(**download.error.values)
        assert told in refusal(error_message(download.error, "zh"))


@pytest.mark.parametrize(("left", "came_of_it"), [(0, "none"), (-1, "disk_full")])
def test_the_last_of_the_disk_is_nobodys(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, left: int, came_of_it: str
) -> None:
    monkeypatch.setenv("MMDEMO_LIMITS_DISK_MB", "7")
    # Another download has claimed its part, and has not taken it yet.
    claimed = threading.Event()

    def claiming(work: Download) -> bool:
        work.note(Progress(0, MISSING))
        claimed.set()
        return work.stop_event.wait(MOST)

    other = downloads._downloads.start(OTHER, claiming)
    assert claimed.wait(MOST)
    needed = sum(map(len, hub.files.values()))
    free = 7_000_000 + MISSING + needed + left
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    download = done()
    other.stop()
    assert other.wait(MOST)
    assert code(download) == came_of_it
    if download.error:
        assert "where 3.0 MB can be taken" in str(download.error)
        assert hub.fetched == []
