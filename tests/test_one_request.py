"""One request through every door: Python, a request, the shell, HTTP, gradio's client, MCP.

A door is a function in `DOORS`: it is given a case, and returns what is answered there, as the
result's `to_dict` has it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from gradio_client import Client, handle_file

from mmdemo import (
    ClassifyRequest,
    CompareRequest,
    EmbedRequest,
    RankRequest,
    classify,
    compare,
    load_encoder,
    rank_passages,
)
from mmdemo.examples import FOLDER
from mmdemo.models.encoder import Encoder
from tests.apps import App, serving
from tests.conftest import Command
from tests.held import ask, upload
from tests.tool_client import answer_of, data_uri

PICTURES = (FOLDER / "bee.jpg", FOLDER / "logo-tidemark.png")
TEXT = "a bee, 一只蜜蜂"
LABELS = ["a bee, close up", "蜜蜂", "a logo"]
TEMPLATES = ["a photo of {}.", "{}"]
# Each longer than a title, and in one line, so that a document is cut into just these.
PASSAGES = [
    "Bees visit flowers for nectar and pollen, and carry the latter from one to the next.",
    "A logo is a mark that stands for a company, drawn to be recognised at any size.",
    "鲸鱼以磷虾为食。" * 8,
]
PLACE = "<file>"
FUSED = ["in the rain", "on a wall"]


@dataclass(frozen=True)
class Case:
    """One request, as each kind of door has it.

    Attributes:
        request: of one of the types that `mmdemo` exports.
        python: the same by the public functions.
        shell: the arguments of the command; `PLACE` is that of a file of the passages.
        endpoint: its name.
        given: what the endpoint is given by name, in the order of its parameters; paths are
            pictures, for each door to hand over in its own way.
    """

    request: CompareRequest | ClassifyRequest | RankRequest | EmbedRequest
    python: Callable[[Encoder], dict[str, Any]]
    shell: tuple[str, ...]
    endpoint: str
    given: Mapping[str, Any]


CASES = {
    "compare": Case(
        CompareRequest(*PICTURES, (TEXT,), "mini"),
        lambda encoder: compare(encoder, *PICTURES, TEXT).to_dict(),
        ("compare", *map(str, PICTURES), TEXT),
        "compare",
        {"image1": PICTURES[0], "image2": PICTURES[1], "text": TEXT, "model": "mini"},
    ),
    "classify": Case(
        ClassifyRequest.of(PICTURES, LABELS, TEMPLATES, reject=True, model="mini"),
        lambda encoder: classify(encoder, PICTURES, LABELS, TEMPLATES, reject=True).to_dict(),
        (
            *("classify", *map(str, PICTURES), "--labels", "\n".join(LABELS), "--reject"),
            *("--templates", TEMPLATES[0], "--templates", TEMPLATES[1]),
        ),
        "classify",
        {
            "images": list(PICTURES),
            "labels": LABELS,
            "templates": TEMPLATES,
            "reject": True,
            "model": "mini",
        },
    ),
    "rank": Case(
        RankRequest.of(TEXT, PASSAGES, model="mini"),
        lambda encoder: rank_passages(encoder, TEXT, PASSAGES).to_dict(),
        ("rank", TEXT, PLACE),
        "rank",
        {"query": TEXT, "passages": PASSAGES, "model": "mini"},
    ),
    "embed": Case(
        EmbedRequest.of(PICTURES, FUSED, fused=True, model="mini"),
        lambda encoder: {
            "vectors": encoder.encode(
                [
                    {"image": picture, "text": text}
                    for picture, text in zip(PICTURES, FUSED, strict=True)
                ]
            ).tolist(),
            "model": encoder.name,
        },
        ("embed", *map(str, PICTURES), "--text", FUSED[0], "--text", FUSED[1], "--fused"),
        "embed",
        {"images": list(PICTURES), "texts": FUSED, "fused": True, "model": "mini"},
    ),
}


@dataclass(frozen=True)
class House:
    """What doors lead into.

    Attributes:
        app: a page, with tools.
        command: runs the command line.
        folder: for files.
    """

    app: App
    command: Command
    folder: Path


def by_python(case: Case, _house: House) -> Any:
    return case.python(load_encoder("mini"))


def by_request(case: Case, _house: House) -> Any:
    result = case.request.run(load_encoder(case.request.model))
    return (result[0] if isinstance(result, tuple) else result).to_dict()


def by_shell(case: Case, house: House) -> Any:
    file = house.folder / "passages.txt"
    file.write_text("\n\n".join(PASSAGES), encoding="utf-8")
    done = house.command(*(one.replace(PLACE, str(file)) for one in case.shell), "--json")
    assert done.status == 0, done.err
    return json.loads(done.out)


def by_http(case: Case, house: House) -> Any:
    url = house.app.address
    given = handed(case.given, lambda picture: upload(url, picture))
    kind, told = ask(url, case.endpoint, list(given.values()))
    assert kind == "complete", told
    return told


def by_client(case: Case, house: House) -> Any:
    client = Client(house.app.address, verbose=False)
    return client.predict(**handed(case.given, handle_file), api_name=f"/{case.endpoint}")


def by_tool(case: Case, house: House) -> Any:
    return answer_of(house.app.address, case.endpoint, handed(case.given, data_uri))


DOORS = (by_python, by_request, by_shell, by_http, by_client, by_tool)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    with serving(tmp_path_factory.mktemp("page"), MMDEMO_MCP="1") as app, app.visited():
        yield app


@pytest.fixture
def house(app: App, command: Command, tmp_path: Path) -> House:
    return House(app, command, tmp_path)


@pytest.fixture(scope="module")
def wanted() -> dict[str, Any]:
    """Return what each request comes to, computed once and written down."""
    encoder = load_encoder("mini")
    return {name: json.loads(json.dumps(case.python(encoder))) for name, case in CASES.items()}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("door", DOORS)
def test_every_door_gives_the_same(
    name: str, door: Callable[[Case, House], Any], wanted: dict[str, Any], house: House
) -> None:
    found = dict(door(CASES[name], house))
    found.pop("timings", None)
    expected = {key: value for key, value in wanted[name].items() if key != "timings"}
    assert found.keys() >= expected.keys()
    assert len(numbers(expected)) > 5
    for key, value in expected.items():
        assert plain(found[key]) == plain(value)
        assert numbers(found[key]) == pytest.approx(numbers(value), rel=1e-6, abs=1e-6)


def test_of_each_kind_there_is_a_case() -> None:
    requests = {type(case.request) for case in CASES.values()}
    assert requests == {CompareRequest, ClassifyRequest, RankRequest, EmbedRequest}


def handed(given: Mapping[str, Any], hand: Callable[[Path], Any]) -> dict[str, Any]:
    """Return arguments with each picture handed over in a door's own way."""
    return {
        name: [hand(one) if isinstance(one, Path) else one for one in value]
        if isinstance(value, list)
        else hand(value)
        if isinstance(value, Path)
        else value
        for name, value in given.items()
    }


def numbers(value: Any) -> list[float]:
    """Return all numbers of some JSON, in order."""
    if isinstance(value, dict):
        return [number for key in sorted(value) for number in numbers(value[key])]
    if isinstance(value, list | tuple):
        return [number for one in value for number in numbers(one)]
    return [float(value)] if isinstance(value, int | float) else []


def plain(value: Any) -> Any:
    """Return some JSON with all its numbers alike."""
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return 0.0 if isinstance(value, int | float) else value
