"""Models that are asked for at the same moment, and loads that fail in a way nobody foresaw."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from mmdemo.errors import ModelError
from mmdemo.models import pool
from mmdemo.models.pool import load_encoder
from tests import bge_m3
from tests.conftest import ROOT, TINY
from tests.tiny_models import tiny_blip, tiny_clip

_ALL_AT_ONCE = """
import sys, threading
from pathlib import Path
from mmdemo import load_encoder

models = ["mini", *map(Path, sys.argv[1:])]
start = threading.Barrier(len(models))
failed = []

def load(model):
    start.wait()
    try:
        load_encoder(model).encode("a text")
    except BaseException as error:
        failed.append(f"{model}: {error!r}")

threads = [threading.Thread(target=load, args=(model,)) for model in models]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
sys.exit("\\n".join(failed) or 0)
"""


def test_families_that_are_first_asked_for_at_the_same_moment_all_come(tmp_path: Path) -> None:
    """In a process of its own, because only the first import of a family can fail."""
    folders = [
        TINY,
        tiny_clip(tmp_path / "clip"),
        tiny_blip(tmp_path / "blip"),
        bge_m3.save(tmp_path / "m3"),
    ]
    done = subprocess.run(
        [sys.executable, "-c", _ALL_AT_ONCE, *map(str, folders)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_what_nobody_foresaw_is_told_without_a_path(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(name: str) -> None:
        raise ImportError(f"cannot import name 'BertConfig' from 'transformers' ({ROOT}/secret)")

    monkeypatch.setattr(pool, "POOL", pool.Pool())
    monkeypatch.setattr(importlib, "import_module", broken)
    with pytest.raises(ModelError, match="mini could not be loaded") as caught:
        load_encoder("mini")
    assert caught.value.code == "load_failed"
    assert str(ROOT) not in str(caught.value)
    assert "secret" in caplog.text  # whoever runs the app learns why
