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
OR_LIST = "a text, or a list of texts, was expected."
OF_PICTURE = (
    "a picture, as an uploaded file (with gradio_client, handle_file(path)), or a data URI,"
)
OF_PICTURES = "images: a list of pictures, each an uploaded file"
OF_MODEL = "model: a name from /models, or null, was expected."
OF_SIGNS = "The text holds half of a sign"


@pytest.fixture(scope="session")
def url(app_url: str, mini: Encoder) -> str:
    return app_url


@pytest.fixture(scope="session")
def picture(url: str, two_pictures: tuple[Path, Path]) -> dict[str, Any]:
    return upload(url, two_pictures[0])


def refused(url: str, endpoint: str, data: list[Any]) -> str:
    """Return the sentence that a caller reads, which holds nothing of this machine."""
    kind, told = ask(url, endpoint, data)
    assert kind == "error"
    assert told["error"]
    written = json.dumps(told)
    for inside in (str(ROOT), "site-packages", "Traceback", "object", "pydantic", "component"):
        assert inside not in written
    return told["error"]


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
        (0, None, f"image1: {OF_PICTURE}"),
        (1, 5, f"image2: {OF_PICTURE}"),
        (1, True, f"image2: {OF_PICTURE}"),
        (0, {}, f"image1: {OF_PICTURE}"),
        (0, {"path": 5}, f"image1: {OF_PICTURE}"),
        (0, "a.png", "image1: an uploaded file (with gradio_client, handle_file(path); a path"),
        (0, "/etc/passwd", "a path of the server is not accepted"),
        (0, "https://example.org/a.png", "image1: an uploaded file or a data URI (addresses are"),
        (0, {"path": "http://127.0.0.1:9/a.png"}, "addresses are not fetched"),
        (0, "data:image/png;base64,@@@", "image1: This data URI is not base64"),
        (0, "data:image/png;base64", "image1: This data URI has no comma"),
        (0, "data:image/png;base64,aGVsbG8=", "image1: This file is not a picture"),
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
        (0, None, OF_PICTURES),
        (0, {}, OF_PICTURES),
        (0, "data:image/png;base64,aGVsbG8=", OF_PICTURES),
        (0, [5], OF_PICTURES),
        (0, [None], OF_PICTURES),
        (0, ["https://example.org/a.png"], "images: an uploaded file or a data URI (addresses"),
        (0, ["data:image/png;base64,aGVsbG8="], "Picture 1: This file is not a picture"),
        (0, ["data:image/png;base64,aGVsbG8="] * 51, "There are 51 pictures"),
        (1, None, f"labels: {OR_LIST}"),
        (1, {}, f"labels: {OR_LIST}"),
        (1, ["bee", 5], f"labels: {OR_LIST}"),
        (1, ["bee", ["bird"]], f"labels: {OR_LIST}"),
        (1, ["bee", HALF], OF_SIGNS),
        (1, [], "There are no labels"),
        (1, f"bee, {HALF}", OF_SIGNS),
        (1, "," * 10_000_000, "The labels have 10,000,000 characters together"),
        (1, "\n".join(map(str, range(1001))), "There are 1,001 labels"),
        (2, 7, f"templates: {OR_LIST}"),
        (2, ["a {}", None], f"templates: {OR_LIST}"),
        (2, ["a {}", "a photo"], "has no {}"),
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
        (1, None, f"passages: {OR_LIST}"),
        (1, ["one", 2], f"passages: {OR_LIST}"),
        (1, {"one": 1}, f"passages: {OR_LIST}"),
        (1, [], "There are no passages"),
        (1, ["one", HALF], OF_SIGNS),
        (1, ["one"] * 51, "There are 51 passages"),
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


@pytest.mark.parametrize(
    ("position", "value", "says"),
    [
        (0, {}, OF_PICTURES),
        (0, ["/etc/passwd"], "a path of the server is not accepted"),
        (0, ["data:image/png;base64,aGVsbG8="], "Item 1: This file is not a picture"),
        (1, "a text", "texts: a list of texts was expected."),
        (1, None, "texts: a list of texts was expected."),
        (1, [5], "texts: a list of texts was expected."),
        (1, ["fine"] * 70 + [""], "Item 72: The text is empty"),  # after the picture
        (1, ["x" * 10_001], "at most 10,000"),
        (1, ["x"] * 500, "There are 501 things to embed; at most 500"),
        (2, 1, "fused: true or false was expected."),
        (2, True, "There are 1 pictures and 2 texts to fuse"),
        (3, {}, OF_MODEL),
        (3, "mimi", "Did you mean 'mini'?"),
    ],
)
def test_an_embedding(
    url: str, picture: dict[str, Any], position: int, value: Any, says: str
) -> None:
    given: list[Any] = [[picture], ["one", "two"], False, "mini"]
    given[position] = value
    assert says in refused(url, "embed", given)


def test_what_has_a_default_may_be_left_out_and_nothing_else(
    url: str, picture: dict[str, Any]
) -> None:
    for endpoint, given in (
        ("compare", [picture, picture, "a bird"]),
        ("classify", [[picture], "a bird"]),
        ("rank", ["a query", "one\ntwo"]),
        ("embed", [[], ["a bird"]]),
    ):
        kind, told = ask(url, endpoint, given)
        assert (kind, told["model"]) == ("complete", "mini")
    assert f"image2: {OF_PICTURE}" in refused(url, "compare", [picture])
    assert "labels: " in refused(url, "classify", [[picture]])
    assert "passages: " in refused(url, "rank", ["a query"])
    assert "There is nothing to embed" in refused(url, "embed", [])
    told = refused(url, "rank", ["a query", "one", "mini", 1, 1, 1, 1])
    assert told == (
        "There are 7 values; this takes query, passages, model, dense, sparse, multi_vector."
    )
    assert refused(url, "models", [1]) == "There are 1 values; this takes nothing."


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
        "a\0b",
        {"path": "x", "meta": 5},
        {"path": ["x"]} | meta,
        [{"path": "x"} | meta],
        {"path": "http://[x"} | meta,
        f"{url}/gradio_api/file={private}",
        {"path": str(private), "url": f"{url}/gradio_api/file={private}"} | meta,
        {"path": 5},
        {"url": "file:///etc/passwd"} | meta,
        "a.png",
        [],
        5,
    ):
        told = refused(url, "compare", [odd, odd, "a bird", "mini"])
        assert str(tmp_path) not in told
        refused(url, "classify", [[odd], "bee", "plain", False, "mini"])
        refused(url, "embed", [[odd], [], False, "mini"])


def test_what_nobody_foresaw_is_told_as_that(
    url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*given: object, **named: object) -> None:
        raise OSError(f"{ROOT}/secret is gone")

    monkeypatch.setattr("mmdemo.tasks.rank.RankRequest.run", broken)
    monkeypatch.setattr("mmdemo.ui.api.model_rows", broken)
    monkeypatch.setattr("mmdemo.ui.serving.payloads.is_data_uri", broken)
    for endpoint, data in (
        ("rank", ["a", "b", "mini", 1, 1, 1]),
        ("models", []),
        ("embed", [["data:"]]),
    ):
        assert "Something went wrong here" in refused(url, endpoint, data)
    assert "secret is gone" in caplog.text
