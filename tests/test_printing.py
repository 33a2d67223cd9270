"""What commands write: to streams of any encoding, to pipes that close and disks that are full."""

from __future__ import annotations

import io
import json
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mmdemo.cli import commands, main, printing
from mmdemo.errors import ModelError
from mmdemo.progress import print_share
from tests.conftest import ROOT, Command

LABELS = "蜜蜂,é,🐝"


class Streams:
    """Standard output and standard error of one encoding, which take nothing that it cannot hold.

    Attributes:
        out: what was written to the first.
        err: and to the second.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
        self._encoding = encoding
        self._bytes = io.BytesIO(), io.BytesIO()
        for name, kept in zip(("stdout", "stderr"), self._bytes, strict=True):
            stream = io.TextIOWrapper(kept, encoding=encoding, errors="strict", newline="\n")
            monkeypatch.setattr(sys, name, stream)

    @property
    def out(self) -> str:
        sys.stdout.flush()
        return self._bytes[0].getvalue().decode(self._encoding)

    @property
    def err(self) -> str:
        sys.stderr.flush()
        return self._bytes[1].getvalue().decode(self._encoding)


@pytest.fixture
def latin_name(two_pictures: tuple[Path, Path], tmp_path: Path) -> str:
    """Return a picture whose name is text in Latin-1, and in UTF-8 none."""
    path = os.fsdecode(os.fsencode(tmp_path / "caf") + b"\xe9.jpg")
    shutil.copy(two_pictures[0], path)
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "latin-1", "ascii", "gb18030"])
def test_a_result_is_printed_in_any_encoding(
    encoding: str, latin_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    streams = Streams(monkeypatch, encoding)
    assert main(["classify", latin_name, "--labels", LABELS]) == 0
    assert r"caf\udce9.jpg" in streams.out
    shown = "蜜蜂" if encoding in ("utf-8", "gb18030") else r"\u871c\u8702"
    assert shown in streams.out
    assert streams.out.count("%  ") == 3


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "latin-1", "ascii"])
def test_json_is_json_in_any_encoding(
    encoding: str, two_pictures: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    streams = Streams(monkeypatch, encoding)
    picture = str(two_pictures[0])
    assert main(["classify", picture, "--labels", LABELS, "--templates", "{}", "--json"]) == 0
    assert json.loads(streams.out)["labels"] == LABELS.split(",")
    assert ("蜜蜂" in streams.out) is (encoding == "utf-8")


def test_json_of_a_name_that_is_no_text(latin_name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    streams = Streams(monkeypatch, "utf-8")
    printing.prepare()
    printing.write_json({"name": latin_name})
    assert json.loads(streams.out) == {"name": latin_name}


def test_an_error_is_printed_in_any_encoding(monkeypatch: pytest.MonkeyPatch) -> None:
    streams = Streams(monkeypatch, "ascii")
    assert main(["classify", "蜂.jpg", "--labels", "a"]) == 1
    assert r"\u8702.jpg" in streams.err
    with pytest.raises(SystemExit) as ended:
        main(["蜂"])
    assert ended.value.code == 2
    assert r"\u8702" in streams.err


def test_a_choice_of_how_to_write_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="replace")
    monkeypatch.setattr(sys, "stdout", stream)
    printing.prepare()
    assert stream.errors == "replace"


def test_no_json_holds_what_is_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    for value in (float("nan"), float("inf")):
        with pytest.raises(ModelError, match="not finite"):
            printing.write_json({"a": [value]})


class Full(io.StringIO):
    """A stream that takes nothing any more."""

    def __init__(self, error: OSError) -> None:
        super().__init__()
        self._error = error

    def write(self, text: str) -> int:
        raise self._error

    def flush(self) -> None:
        raise self._error


@pytest.mark.parametrize(
    ("stream", "status", "says"),
    [
        (Full(OSError(28, "No space left on device")), 1, "No space left on device"),
        (Full(OSError("5 requested and 0 written")), 1, "there is no room"),
        (Full(BrokenPipeError(32, "Broken pipe")), 141, ""),
        (None, 1, "it is closed"),
    ],
)
@pytest.mark.parametrize("arguments", [["models"], ["models", "--json"]])
def test_what_cannot_be_written_is_said(
    stream: Full | None,
    status: int,
    says: str,
    arguments: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(printing, "discard", lambda: None)  # that of the tests goes on
    assert main(arguments) == status
    told = capsys.readouterr().err
    assert says in told
    assert told.count("\n") == bool(says)


@pytest.mark.parametrize("stream", [Full(OSError(28, "full")), None])
def test_nothing_is_lost_where_nobody_can_be_told(
    stream: Full | None,
    command: Command,
    two_pictures: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stderr", stream)
    printing.prepare()
    print_share(1.0)
    out = tmp_path / "vectors.npy"
    assert command("embed", str(two_pictures[0]), "--out", str(out)).status == 0
    assert np.load(out).shape == (1, 384)


def test_a_stop_is_one_line(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(commands, "offered", stopped)
    done = command("models")
    assert (done.status, done.out, done.err) == (130, "", "\nmmdemo: stopped\n")


def test_a_disk_that_is_full_leaves_no_half_file(
    command: Command, two_pictures: tuple[Path, Path], tmp_path: Path, fewer_bytes: None
) -> None:
    done = command("embed", str(two_pictures[0]), "--out", str(tmp_path / "vectors.npy"))
    assert done.status == 1
    assert "vectors.npy' cannot be written: " in done.err
    assert "None" not in done.err
    assert not list(tmp_path.glob("vectors*"))


@pytest.fixture
def fewer_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every file end after a hundred bytes, while vectors are written."""
    save = np.save

    def limited(file: object, rows: object) -> None:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
        try:
            save(file, rows)  # pyright: ignore[reportArgumentType, reportCallIssue]
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    monkeypatch.setattr(np, "save", limited)


@pytest.mark.parametrize(
    ("shell", "status"),
    [
        ("{} models --json | head -c 1", (141, "{")),
        ("{} --help | true", (141, "")),
        ("{} models > /dev/full", (1, "")),
        ("{} models >&-", (1, "")),
    ],
)
def test_a_shell_sees_the_status_and_no_traceback(
    shell: str, status: tuple[int, str], tmp_path: Path
) -> None:
    started = shell.format(f"'{sys.executable}' -m mmdemo")
    done = subprocess.run(
        ["bash", "-c", f"{started}; exit ${{PIPESTATUS[0]}}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode in (status[0], 0 if "|" in shell else status[0])  # it may be first
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    assert done.stderr.count("\n") <= 1


def test_the_help_says_what_a_status_means(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    assert "130 stopped by Ctrl+C" in " ".join(capsys.readouterr().out.split())
