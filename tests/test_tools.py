"""The endpoints as tools of an MCP server."""

from __future__ import annotations

import os
import sys
import urllib.error
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmdemo import compare, load_encoder
from mmdemo.errors import SettingError
from mmdemo.ui.api import ENDPOINTS
from mmdemo.ui.serving import tools as serving_tools
from mmdemo.ui.serving.line import line_of
from tests.apps import App, serving
from tests.conftest import Command, visited_with
from tests.held import MARK, MOST, HeldModel, ask, opened, upload
from tests.tool_client import answer_of, data_uri, tools, use
from tests.waiting import wait_until

PASSAGES = [f"{MARK} {number}" for number in range(50)]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(tmp_path_factory.mktemp("tools"), MMDEMO_MCP="1") as app:
        yield app.address


def test_the_tools_are_the_endpoints_and_say_what_each_argument_is(url: str) -> None:
    listed = {tool.name: tool for tool in tools(url)}
    assert list(listed) == [function.__name__ for function, _ in ENDPOINTS]
    assert list(listed) == ["compare", "classify", "rank", "embed", "models"]
    for tool in listed.values():
        assert tool.description
        for told in tool.inputSchema["properties"].values():
            assert told["description"].endswith(".")
    assert "percentile" in str(listed["compare"].description)
    # From the second line of its docstring.
    assert "No address is fetched." in str(listed["compare"].inputSchema)
    assert listed["compare"].inputSchema["required"] == ["image1", "image2", "text"]
    assert listed["embed"].inputSchema.get("required", []) == []


def test_tools_give_the_numbers_of_the_library(url: str, two_pictures: tuple[Path, Path]) -> None:
    first, second = map(data_uri, two_pictures)
    answer = answer_of(url, "compare", {"image1": first, "image2": second, "text": "a bird"})
    expected = compare(load_encoder("mini"), *two_pictures, "a bird").to_dict()
    assert answer["scores"] == pytest.approx(expected["scores"], abs=1e-6)
    np.testing.assert_allclose(answer["matrix"], expected["matrix"], atol=1e-6)
    answer = answer_of(url, "embed", {"images": [first, second], "texts": ["鸟"]})
    expected = load_encoder("mini").encode([*two_pictures, "鸟"])
    np.testing.assert_allclose(answer["vectors"], expected, atol=1e-6)
    assert answer["modalities"] == ["image", "image", "text"]
    assert answer_of(url, "models", {})[0]["name"] == "mini"


def test_a_file_that_was_uploaded_can_be_named_by_its_address(
    url: str, two_pictures: tuple[Path, Path]
) -> None:
    """As `gradio upload-mcp` does for programs that have files."""
    address = f"{url}/gradio_api/file={upload(url, two_pictures[0])['path']}"
    [vector] = answer_of(url, "embed", {"images": [address]})["vectors"]
    np.testing.assert_allclose(vector, load_encoder("mini").encode(two_pictures[0])[0], atol=1e-6)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"image1": "https://example.org/a.png"}, "image1: an uploaded file or a data URI (addr"),
        ({"image1": "/etc/passwd"}, "a path of the server is not accepted"),
        ({"text": "x" * 10_001}, "at most 10,000 are accepted"),
        ({"text": 5}, "is not of type 'string'"),
        ({"model": "mimi"}, "Did you mean 'mini'?"),
    ],
)
def test_what_goes_wrong_is_told_in_a_sentence(
    url: str, two_pictures: tuple[Path, Path], changed: dict[str, Any], says: str
) -> None:
    first, second = map(data_uri, two_pictures)
    given = {"image1": first, "image2": second, "text": "a bird"} | changed
    worked, told = use(url, "compare", given)
    assert not worked
    assert says in told
    assert "Traceback" not in told


def test_all_who_come_by_mcp_share_the_places_of_one_caller(
    held: HeldModel, tmp_path: Path
) -> None:
    with visited_with(held, tmp_path, MMDEMO_MCP="1", MMDEMO_LIMITS_JOBS="1") as app:
        given = {"query": "a query", "passages": PASSAGES, "model": "held"}
        with ThreadPoolExecutor(1) as pool:
            first = pool.submit(answer_of, app.address, "rank", given)
            assert held.entered.acquire(timeout=MOST)
            for name, arguments in (("rank", given), ("embed", {"texts": ["a"]})):
                worked, told = use(app.address, name, arguments)
                assert not worked
                assert "of yours that wait or run already: 1" in told
            # They are nobody else's places.
            assert ask(app.address, "rank", ["a query", "one\ntwo", "mini"])[0] == "complete"
            held.gate.release(100_000)
            assert first.result(MOST)["model"] == "held"
        assert answer_of(app.address, "rank", given)["model"] == "held"


def test_work_of_a_tool_has_its_seconds(held: HeldModel, tmp_path: Path) -> None:
    with visited_with(held, tmp_path, MMDEMO_MCP="1", MMDEMO_LIMITS_SECONDS="1") as app:
        worked, told = use(app.address, "embed", {"texts": PASSAGES, "model": "held"})
        assert not worked
        assert "longer than the 1 seconds" in told
        held.gate.release(100_000)
        wait_until(lambda: not line_of(app.page).event_ids_to_events)


def test_without_the_setting_there_are_no_tools(app: App) -> None:
    with pytest.raises(urllib.error.HTTPError) as told:
        opened(f"{app.address}/gradio_api/mcp/schema")
    assert told.value.code == 404


def test_a_page_does_not_start_with_settings_that_make_no_sense(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = command("serve", MMDEMO_MCP="yes")
    assert (done.status, "MMDEMO_MCP is 'yes'; it takes 1" in done.err) == (1, True)
    done = command("serve", MMDEMO_MCP="1", MMDEMO_PASSWORD="ann:b")
    assert (done.status, "has no way to log in" in done.err) == (1, True)
    monkeypatch.setitem(sys.modules, "mcp", None)
    done = command("serve", MMDEMO_MCP="1")
    assert (done.status, "pip install 'gradio[mcp]'" in done.err) == (1, True)
    monkeypatch.setenv("MMDEMO_MCP", "0")
    assert not serving_tools.wanted()
    monkeypatch.setenv("MMDEMO_MCP", "1")
    with pytest.raises(SettingError, match="pip install"):
        serving_tools.wanted()


def test_the_command_line_has_a_switch(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    launched: list[str] = []
    monkeypatch.setattr("mmdemo.ui.app.launch", lambda: launched.append(os.environ["MMDEMO_MCP"]))
    monkeypatch.delenv("MMDEMO_MCP", raising=False)
    assert command("serve", "--mcp", MMDEMO_MCP="0").status == 0
    assert launched == ["1"]
