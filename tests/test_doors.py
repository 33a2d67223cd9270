"""Requests that were written by hand: what the endpoints refuse, and in which words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from mmdemo.models.encoder import Encoder
from tests.conftest import ROOT
from tests.held import ask, upload

HALF = "\ud800"
"""Half of a sign, which JSON can hold."""

OF_TEXT = "text: a text was expected."
OF_MODEL = "model: a name from /models, or null, was expected."
OF_SIGNS = "The text holds half of a sign"


@pytest.fixture(scope="session")
def url(app_url: str, mini: Encoder) -> str:
    return app_url


@pytest.fixture(scope="session")
def picture(url: str, two_pictures: tuple[Path, Path]) -> dict[str, Any]:
    return upload(url, two_pictures[0])


def refused(url: str, endpoint: str, data: list[Any]) -> str:
    """Return what a caller reads; nothing of it may be of this machine or from a traceback."""
    kind, told = ask(url, endpoint, data)
    assert kind == "error"
    written = json.dumps(told)
    for inside in (str(ROOT), "site-packages", "Traceback", "object", "pydantic", "component"):
        assert inside not in written
    return told["error"] or ""


@pytest.mark.parametrize(
    ("position", "value", "says"),
    [
        (2, None, OF_TEXT),
        (2, 5, OF_TEXT),
        (2, ["a"], OF_TEXT),
        (2, {"a": 1}, OF_TEXT),
        (2, True, OF_TEXT),
        (2, HALF, OF_SIGNS),
        (3, 5, OF_MODEL),
        (3, ["mini"], OF_MODEL),
        (3, {}, OF_MODEL),
        (3, HALF, OF_SIGNS),
        (3, "mimi", "Did you mean 'mini'?"),
        (0, None, "Two pictures are needed"),
    ],
)
def test_a_comparison(
    url: str, picture: dict[str, Any], position: int, value: Any, says: str
) -> None:
    given = [picture, picture, "a bird", "mini"]
    given[position] = value
    assert says in refused(url, "compare", given)


@pytest.mark.parametrize(
    ("position", "value", "says"),
    [
        (1, None, "labels: a text was expected."),
        (1, ["bee"], "labels: a text was expected."),
        (1, f"bee, {HALF}", OF_SIGNS),
        (1, "," * 10_000_000, "The labels have 10,000,000 characters together"),
        (1, "\n".join(map(str, range(1001))), "There are 1,001 labels"),
        (2, 7, "templates: a text was expected."),
        (2, f"{{}} {HALF}", OF_SIGNS),
        (2, "\n" * 10_000_000, "The templates have 10,000,000 characters together"),
        (3, "yes", "reject: true or false was expected."),
        (3, None, "reject: true or false was expected."),
        (3, 1, "reject: true or false was expected."),
        (4, 1.5, OF_MODEL),
    ],
)
def test_a_classification(
    url: str, picture: dict[str, Any], position: int, value: Any, says: str
) -> None:
    given = [[picture], "bee", "plain", False, "mini"]
    given[position] = value
    assert says in refused(url, "classify", given)


@pytest.mark.parametrize(
    ("position", "value", "says"),
    [
        (0, None, "query: a text was expected."),
        (0, f"a{HALF}", OF_SIGNS),
        (1, None, "passages: a text was expected."),
        (1, ["one", "two"], "passages: a text was expected."),
        (1, f"one\n{HALF}", OF_SIGNS),
        (2, False, OF_MODEL),
        (3, "a", "dense: a number was expected."),
        (3, None, "dense: a number was expected."),
        (3, True, "dense: a number was expected."),
        (4, float("nan"), "sparse: a number of at most 1,000,000 was expected."),
        (4, float("inf"), "sparse: a number of at most 1,000,000 was expected."),
        (5, -1e300, "multi_vector: a number of at most 1,000,000 was expected."),
        (5, 10**400, "multi_vector: a number of at most 1,000,000 was expected."),
    ],
)
def test_a_ranking(url: str, position: int, value: Any, says: str) -> None:
    given: list[Any] = ["a query", "one\ntwo", "mini", 1, 1, 1]
    given[position] = value
    assert says in refused(url, "rank", given)


def test_files_and_odd_requests_say_nothing_of_the_server(url: str, tmp_path: Path) -> None:
    private = tmp_path / "private.png"
    Image.new("RGB", (8, 8)).save(private)
    meta = {"meta": {"_type": "gradio.FileData"}}
    for odd in (
        {"path": "file:///x"} | meta,
        {"path": str(private)} | meta,
        {"path": str(private)},
        {"path": "a\0b"} | meta,
        {"path": "a\0b"},
        {"path": 5},
        {"url": "file:///etc/passwd"} | meta,
        "a.png",
        [],
        5,
    ):
        told = refused(url, "compare", [odd, odd, "a bird", "mini"])
        assert str(tmp_path) not in told
        refused(url, "classify", [[odd], "bee", "plain", False, "mini"])
    refused(url, "compare", [])
    refused(url, "rank", ["a query"])


def test_what_nobody_foresaw_is_told_as_that(
    url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*given: object, **named: object) -> None:
        raise OSError(f"{ROOT}/secret is gone")

    monkeypatch.setattr("mmdemo.ui.api.rank_passages", broken)
    monkeypatch.setattr("mmdemo.ui.api.model_rows", broken)
    for endpoint, data in (("rank", ["a", "b", "mini", 1, 1, 1]), ("models", [])):
        assert "Something went wrong here" in refused(url, endpoint, data)
    assert "secret is gone" in caplog.text
