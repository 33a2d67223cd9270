from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from mmdemo import classify, compare, load_encoder
from mmdemo.cli import main
from tests.conftest import TINY, Command


def test_compare_prints_the_numbers_of_the_library(
    two_pictures: tuple[Path, Path], started_command: Command
) -> None:
    first, second = map(str, two_pictures)
    done = started_command("compare", first, second, "a bird", "--json")
    assert done.status == 0, done.err
    printed = json.loads(done.out)
    expected = compare(load_encoder("mini"), first, second, "a bird").to_dict()
    assert printed["scores"] == pytest.approx(expected["scores"], abs=1e-5)
    assert printed["percentiles"] == pytest.approx(expected["percentiles"], abs=0.01)
    assert set(printed) == set(expected)


def test_compare_prints_a_table(
    two_pictures: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", *map(str, two_pictures), "синий кит"]) == 0
    printed = capsys.readouterr().out
    expected = compare(load_encoder("mini"), *two_pictures, "синий кит")
    for kind, score in expected.scores.items():
        assert f"{kind:6}" in printed
        assert f"{score:+.4f}" in printed
    lines = [line for line in printed.splitlines() if line.startswith("t2i ")]
    for line, (label, score) in zip(lines, expected.text_image.items(), strict=True):
        assert f"text · {label}" in line
        assert f"{score:+.4f}" in line
        assert "show" in line or "not sure" in line
    # Nothing else says whether a picture shows the text.
    assert printed.count("show") == sum("show" in line for line in lines)
    assert "fused 1 is mostly" in printed or "fused 1 is about half" in printed
    assert "Note: mini reads English and Chinese" in printed


def test_classify_prints_the_numbers_of_the_library(
    two_pictures: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["classify", *map(str, two_pictures), "--labels", "a bee, a bridge, a bee"]
    assert main([*command, "--templates", "{}", "--templates", "art of {}", "--reject"]) == 0
    printed = capsys.readouterr().out
    expected = classify(
        load_encoder("mini"), two_pictures, ["a bee", "a bridge"], ["{}", "art of {}"], reject=True
    )
    for row in expected.rows():
        assert f"{row['probability']:7.2%}  {row['cosine']:+.4f}  {row['label']}" in printed
    assert printed.count("none of these") == 2
    assert f"logit_scale {expected.logit_scale:.4g}" in printed
    assert main([*command, "--templates", "plain", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    plain = classify(load_encoder("mini"), two_pictures, ["a bee", "a bridge"], "plain").to_dict()
    assert told["templates"] == plain["templates"]
    np.testing.assert_allclose(told["cosines"], plain["cosines"], atol=1e-6)
    assert set(told) == set(plain)


@pytest.mark.parametrize(
    ("further", "says"),
    [
        (["--labels", ","], "There are no labels"),
        (["--labels", "a", "--templates", "openai-8"], "Did you mean 'openai-80'"),
        (["--labels", "a", "--model", "mimi"], "Did you mean 'mini'"),
    ],
)
def test_classify_explains_bad_input(
    two_pictures: tuple[Path, Path],
    capsys: pytest.CaptureFixture[str],
    further: list[str],
    says: str,
) -> None:
    assert main(["classify", str(two_pictures[0]), *further]) == 1
    assert says in capsys.readouterr().err


def test_a_wrong_setting_stops_the_app_with_one_line(command: Command) -> None:
    done = command("serve", MMDEMO_MODEL="mimi")
    assert done.status == 1
    assert done.err.startswith("mmdemo: There is no model 'mimi'. Did you mean 'mini'? Known: ")
    assert done.err.count("\n") == 1


def test_a_local_directory_can_be_named(
    two_pictures: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = map(str, two_pictures)
    for path in (TINY, TINY / "Visualized_tiny_bert.pth"):
        command = ["compare", first, second, "a bird " * 30, "--model", str(path)]
        assert main([*command, "--json"]) == 0
        printed = json.loads(capsys.readouterr().out)
        expected = compare(load_encoder(TINY), first, second, "a bird " * 30)
        assert printed["scores"] == pytest.approx(expected.scores, abs=1e-5)
        assert printed["percentiles"] == {}
        assert main(command) == 0
        table = capsys.readouterr().out
        assert "has no background set yet" in table
        assert "Note: Only the first 32 of the text's" in table


def test_a_background_set_is_measured_ahead_of_time(
    two_pictures: tuple[Path, Path],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = str(shutil.copytree(TINY, tmp_path / "measured"))
    command = ["compare", *map(str, two_pictures), "a bird", "--model", folder]
    (tmp_path / "file").touch()
    with monkeypatch.context() as unwritable:
        unwritable.setenv("MMDEMO_CACHE", str(tmp_path / "file"))
        assert main(["background", folder]) == 1
        assert "Set MMDEMO_CACHE to a folder" in capsys.readouterr().err
    monkeypatch.setattr("mmdemo.background.sets._known", {})
    assert main(["background", folder]) == 0
    printed = capsys.readouterr()
    assert "100 %" in printed.err
    assert "local:measured has its background set: 1,974 i2i, " in printed.out
    assert main(["background", folder]) == 0
    assert capsys.readouterr() == (printed.out, "")
    assert main(command) == 0
    # The four, and the text with each of the pictures.
    assert capsys.readouterr().out.count("of unrelated pairs") == 6


def test_models(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert listed[0]["name"] == "mini"
    assert listed[0]["on_this_machine"] is True
    assert main(["models"]) == 0
    assert "mini" in capsys.readouterr().out


def test_download_of_what_ships(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("mini", str(TINY)):
        assert main(["download", name]) == 0
        assert "nothing to download" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["compare", "gone.png", "b.png", "x"], "no readable picture file 'gone.png'"),
        (["compare", "a", "b", "x", "--model", "mimi"], "Did you mean 'mini'?"),
        (["download", "nonesuch"], "There is no model 'nonesuch'"),
    ],
)
def test_errors_are_one_line_on_stderr(
    capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    assert main(arguments) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert says in printed.err
    assert printed.err.count("\n") == 1


@pytest.mark.parametrize(("given", "kept"), [(None, "1"), ("0", "0")])
def test_the_hub_is_told_nothing_of_what_is_used_here(
    monkeypatch: pytest.MonkeyPatch, command: Command, given: str | None, kept: str
) -> None:
    monkeypatch.delenv("HF_HUB_DISABLE_TELEMETRY")
    if given is not None:
        monkeypatch.setenv("HF_HUB_DISABLE_TELEMETRY", given)
    assert command("download", "mini").status == 0
    assert os.environ["HF_HUB_DISABLE_TELEMETRY"] == kept
