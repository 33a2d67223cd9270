"""A model on offer that cannot be had, one that is mistyped, one that is a directory."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from mmdemo.cli import main
from mmdemo.errors import DownloadError, ModelError, SettingError
from mmdemo.models import find
from mmdemo.models.encoder import Encoder
from mmdemo.models.find import find_offered, model_rows, offered, unavailable
from mmdemo.ui.app import launch
from mmdemo.ui.page import build
from mmdemo.ui.parts.models import handlers as model_handlers
from mmdemo.ui.strings import Language
from mmdemo.ui.tabs.similarity import course, ready_made
from mmdemo.ui.tabs.text import handlers as text_handlers
from mmdemo.ui.tabs.text.handlers import Dropped, Given, Results, Shown
from mmdemo.work import Current
from tests import bge_m3

NEEDS: model_handlers.Needs = frozenset({"text"})
GONE = "owner/x"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Have a hub that does not answer; return what it was asked for."""
    asked: list[str] = []

    def no_answer(repo: str, **_: Any) -> None:
        asked.append(repo)
        raise DownloadError(
            f"The hub does not answer; {repo} was not asked for.",
            "hub_refused",
            name=repo,
            host="the hub",
            status=0,
        )

    monkeypatch.setattr(find, "_unreachable", {})
    monkeypatch.setattr(find, "from_hub", no_answer)
    monkeypatch.setattr(find, "from_cache", lambda repo: None)
    return asked


def test_one_that_cannot_be_had_stops_no_other(
    asked: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MMDEMO_MODELS", f"mini,{GONE}")
    build()
    assert [spec.name for spec in offered()] == ["mini"]
    assert find_offered().name == "mini"
    assert list(unavailable()) == [GONE]
    for language in ("en", "zh"):
        labels = dict(model_handlers.choices(language, NEEDS))
        assert GONE in labels.values()
    shown = model_handlers.show(GONE, "en", needs=NEEDS)
    assert "The hub does not answer" in shown.download["value"]
    row = model_rows()[-1]
    assert (row["name"], row["on_this_machine"]) == (GONE, False)
    assert "The hub does not answer" in row["error"]
    assert main(["models"]) == 0
    assert f"{GONE}  " in (told := capsys.readouterr().out)
    assert "The hub does not answer" in told
    assert main(["models", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[-1] == row
    assert asked == [GONE]  # once: every event of the page looks at the list


def test_choosing_it_asks_again(asked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MMDEMO_MODELS", f"mini,{GONE}")
    assert [spec.name for spec in offered()] == ["mini"]
    shown = model_handlers.choose(GONE, "en", needs=NEEDS)
    assert "The hub does not answer" in shown.download["value"]
    assert asked == [GONE, GONE]
    there = replace(find.MODELS["mini"], name=GONE)
    monkeypatch.setattr(find, "describe_hub", lambda repo, **_: there)
    assert find_offered(GONE, ask=True).name == GONE
    assert [spec.name for spec in offered()] == ["mini", GONE]
    assert unavailable() == {}


def test_where_there_is_no_other_the_app_says_so_and_ends(
    asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MMDEMO_MODELS", GONE)
    with pytest.raises(DownloadError, match="The hub does not answer"):
        build()
    monkeypatch.setenv("MMDEMO_MODELS", "mini,mimi")  # a slip of the pen
    with pytest.raises(ModelError, match="Did you mean 'mini'"):
        build()


def test_a_default_that_cannot_be_had(asked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MMDEMO_MODEL", GONE)
    assert find_offered().name == "mini"


@pytest.mark.parametrize("switch", ["MMDEMO_PATHS", "MMDEMO_HUB_IDS"])
def test_a_switch_that_makes_no_sense_is_told_at_the_start(
    switch: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(switch, "yes")
    monkeypatch.setenv("MMDEMO_MODELS", "mini")
    with pytest.raises(SettingError, match=f"{switch} is 'yes'"):
        launch()


@pytest.mark.parametrize(
    ("settings", "typed"),
    [
        ({}, True),
        ({"GRADIO_SERVER_NAME": "0.0.0.0"}, False),
        ({"GRADIO_SERVER_NAME": "0.0.0.0", "MMDEMO_HUB_IDS": "1"}, True),
        ({"MMDEMO_HUB_IDS": "0"}, True),  # directories
        ({"MMDEMO_HUB_IDS": "1", "MMDEMO_MODELS": "mini"}, False),
    ],
)
def test_the_list_can_be_typed_in_where_something_else_is_accepted(
    settings: dict[str, str], typed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    lists = [
        block
        for block in build().blocks.values()
        if isinstance(block, gr.Dropdown) and "mini" in dict(block.choices).values()
    ]
    assert len(lists) > 3
    assert {one.allow_custom_value for one in lists} == {typed}


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_mistyped_model_is_told_in_its_place_and_nowhere_else(
    language: Language, mini: Encoder, caplog: pytest.LogCaptureFixture
) -> None:
    shown = model_handlers.choose("mimi", language, needs=NEEDS)
    assert "mimi" in shown.download["value"]
    # What else a change of the model runs.
    rows = ready_made.example_samples("mimi", language)
    assert rows == ready_made.example_samples("mini", language)
    assert ready_made.list_examples("mimi", language)
    assert course.show("mimi") == {"visible": False, "__type__": "update"}
    assert not [one for one in caplog.records if one.levelno >= logging.WARNING]


def test_a_directory_that_was_typed_is_ranked_and_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = bge_m3.save(tmp_path / "own-m3")
    monkeypatch.setattr(text_handlers, "start", lambda encoder: None)
    typed = str(folder)
    assert model_handlers.choose(typed, "en", needs=NEEDS).settled == model_handlers.settled(
        typed, here=True
    )
    texts = "a red dog", "a red car\nthe dog"
    given = Given(*texts, False, typed, (1.0, 1.0, 1.0), None, "en", Dropped(), Shown(), Current())
    ranked = text_handlers.run(given)
    last = [*ranked][-1]
    assert isinstance(last, Results)
    assert last.message == ""
    assert 'data-function="hybrid"' in last.columns
    given = replace(given, shown=last.shown, picked=1 - last.shown.picked)
    other = text_handlers.pick(given)
    assert other.shown.picked == 1 - last.shown.picked
    assert (
        "the dog"
        in text_handlers.show_again(replace(given, shown=other.shown, language="zh")).columns
    )
