"""The web endpoints, through gradio's own client against a running server."""

from __future__ import annotations

import json
import re
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from mmdemo import MODELS, classify, compare, load_encoder, rank_passages
from tests.apps import serving
from tests.conftest import TINY


@pytest.fixture(scope="module")
def client(app_url: str) -> Client:
    return Client(app_url, verbose=False)


def test_compare_gives_the_numbers_of_the_library(
    client: Client, two_pictures: tuple[Path, Path]
) -> None:
    first, second = two_pictures
    answer = client.predict(
        image1=handle_file(first),
        image2=handle_file(second),
        text="a bird",
        model="mini",
        api_name="/compare",
    )
    expected = compare(load_encoder("mini"), first, second, "a bird").to_dict()
    assert answer["scores"] == pytest.approx(expected["scores"], abs=1e-5)
    assert answer["percentiles"] == pytest.approx(expected["percentiles"], abs=0.01)
    for row, wanted in zip(answer["matrix"], expected["matrix"], strict=True):
        assert row == pytest.approx(wanted, abs=1e-5)
    assert (answer["labels"], answer["dim"]) == (expected["labels"], 384)


def test_models(client: Client) -> None:
    answer = client.predict(api_name="/models")
    assert [row["name"] for row in answer] == list(MODELS)
    assert answer[0]["on_this_machine"] is True


def test_only_what_is_documented_is_offered(client: Client) -> None:
    described: Any = client.view_api(return_format="dict")
    endpoints = described["named_endpoints"]
    assert set(endpoints) == {"/compare", "/classify", "/rank", "/models"}

    def parameters(name: str) -> list[str]:
        return [parameter["parameter_name"] for parameter in endpoints[name]["parameters"]]

    assert parameters("/compare") == ["image1", "image2", "text", "model"]
    assert parameters("/classify") == ["images", "labels", "templates", "reject", "model"]
    weights = ["dense", "sparse", "multi_vector"]
    assert parameters("/rank") == ["query", "passages", "model", *weights]


def test_classify_gives_the_numbers_of_the_library(
    client: Client, two_pictures: tuple[Path, Path]
) -> None:
    answer = client.predict(
        images=[handle_file(path) for path in two_pictures],
        labels="bee, bridge, <b>",
        templates="a photo of a {}.\n{}",
        reject=True,
        model="mini",
        api_name="/classify",
    )
    expected = classify(
        load_encoder("mini"),
        two_pictures,
        ["bee", "bridge", "<b>"],
        ["a photo of a {}.", "{}"],
        reject=True,
    ).to_dict()
    for key in ("cosines", "probabilities", "percentiles"):
        np.testing.assert_allclose(answer[key], expected[key], atol=1e-3 if key[1] == "e" else 1e-5)
    assert answer["rejection"] == pytest.approx(expected["rejection"], abs=1e-5)
    for key in ("labels", "templates", "logit_scale", "logit_bias", "activation", "model"):
        assert answer[key] == expected[key]


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"images": []}, "There is no picture"),
        ({"labels": " , "}, "There are no labels"),
        ({"labels": "x" * 10_000}, "Label 1 has 10,000 characters"),
        ({"templates": "a photo"}, "has no {}"),
        ({"model": "mimi"}, "Did you mean 'mini'"),
        ({"model": "nobody/nothing"}, "nobody/nothing is not on this machine"),
    ],
)
def test_bad_input_to_classify_gets_a_clear_message(
    client: Client, two_pictures: tuple[Path, Path], changed: dict[str, Any], says: str
) -> None:
    given = {
        "images": [handle_file(two_pictures[0])],
        "labels": "bee",
        "templates": "plain",
        "reject": False,
        "model": "mini",
    }
    with pytest.raises(AppError, match=re.escape(says)) as caught:
        client.predict(**(given | changed), api_name="/classify")
    assert "Traceback" not in str(caught.value)
    assert client.predict(**given, api_name="/classify")["labels"] == ["bee"]


def test_rank_gives_the_numbers_of_the_library(client: Client) -> None:
    passages = ["Krill.", "Blue whales eat krill.", "蓝鲸以磷虾为食。"]
    answer = client.predict(
        "what whales eat", "\n".join(passages), "mini", 1, 1, 0, api_name="/rank"
    )
    expected = rank_passages(load_encoder("mini"), "what whales eat", passages).to_dict(
        {"dense": 1, "sparse": 1, "multi_vector": 0}
    )
    for found, wanted in zip(answer["passages"], expected["passages"], strict=True):
        assert found["text"] == wanted["text"]
        assert found["hybrid"] == pytest.approx(wanted["hybrid"], abs=1e-5)
        assert found["scores"]["sparse"] is None
    with pytest.raises(AppError, match="The text is empty"):
        client.predict("", "x", "mini", 1, 1, 1, api_name="/rank")
    with pytest.raises(AppError, match="There are no passages"):
        client.predict("x", "", "mini", 1, 1, 1, api_name="/rank")


def test_bad_input_gets_a_clear_message(
    client: Client, two_pictures: tuple[Path, Path], tmp_path: Path
) -> None:
    good = handle_file(two_pictures[0])
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"not a picture at all")
    cases = [
        ((good, handle_file(broken), "x", "mini"), "Image 2: This file is not a picture"),
        ((good, None, "x", "mini"), "Two pictures are needed"),
        ((good, good, "", "mini"), "The text is empty"),
        ((good, good, "x" * 10_001, "mini"), "at most 10,000"),
        ((good, good, "x", "mimi"), "mimi"),
    ]
    for given, says in cases:
        with pytest.raises(AppError, match=says) as caught:
            client.predict(*given, api_name="/compare")
        assert "Traceback" not in str(caught.value)
        assert str(tmp_path) not in str(caught.value)
    # The app stays up.
    assert client.predict(good, good, "x", "mini", api_name="/compare")["dim"] == 384


def test_only_models_on_offer_and_here_are_used(
    tmp_path_factory: pytest.TempPathFactory, two_pictures: tuple[Path, Path]
) -> None:
    first, second = map(handle_file, two_pictures)
    models = f"mini,{TINY},visualized-bge-m3"
    with serving(tmp_path_factory.mktemp("models"), MMDEMO_MODELS=models) as app, app.visited():
        client = Client(app.address, verbose=False)
        told = client.predict(api_name="/models")
        assert [row["name"] for row in told] == ["mini", f"local:{TINY.name}", "visualized-bge-m3"]
        assert [row["on_this_machine"] for row in told] == [True, True, False]
        assert str(TINY.parent) not in json.dumps(told)
        answer = client.predict(first, second, "x", f"local:{TINY.name}", api_name="/compare")
        expected = compare(load_encoder(TINY), *two_pictures, "x")
        assert answer["scores"] == pytest.approx(expected.scores, abs=1e-5)
        assert answer["percentiles"] == {}
        with pytest.raises(AppError, match="Visualized-BGE m3 is not on this machine yet"):
            client.predict(first, second, "x", "visualized-bge-m3", api_name="/compare")
        for path in (str(TINY), str(TINY / "Visualized_tiny_bert.pth"), "visualized-bge-base-en"):
            with pytest.raises(AppError, match=r"There is no model .* Known: mini, "):
                client.predict(first, second, "x", path, api_name="/compare")


@pytest.mark.parametrize(
    "picture",
    [
        {"path": "{file}"},
        {"path": "{file}", "meta": {"_type": "gradio.FileData"}},
        {"path": "../../../../../../..{file}"},
        {"path": "http://127.0.0.1:9/x.png", "meta": {"_type": "gradio.FileData"}},
    ],
)
def test_no_file_of_the_server_can_be_read(
    app_url: str, tmp_path: Path, picture: dict[str, Any]
) -> None:
    """A request written by hand names a picture that nobody uploaded."""
    file = tmp_path / "private.png"
    Image.new("RGB", (8, 8)).save(file)
    picture = picture | {"path": picture["path"].format(file=file)}
    answer = post(app_url, [picture, picture, "x", "mini"])
    assert "event: error" in answer
    assert "scores" not in answer
    answer = post(app_url, [[picture], "bee", "plain", False, "mini"], "classify")
    assert "event: error" in answer
    assert "cosines" not in answer


def post(app_url: str, data: list[Any], endpoint: str = "compare") -> str:
    """Call an endpoint without gradio's client, and return the raw events."""
    body = json.dumps({"data": data}).encode()
    headers = {"content-type": "application/json"}
    request = urllib.request.Request(f"{app_url}/gradio_api/call/{endpoint}", body, headers)
    with urllib.request.urlopen(request, timeout=600) as started:
        event = json.load(started)["event_id"]
    address = f"{app_url}/gradio_api/call/{endpoint}/{event}"
    with urllib.request.urlopen(address, timeout=600) as done:
        return done.read().decode()


def test_many_at_once_each_get_their_own_answer(
    app_url: str, two_pictures: tuple[Path, Path]
) -> None:
    first, second = two_pictures

    def ask(number: int) -> tuple[dict, dict]:
        text = f"thing number {number}"
        pictures = (first, second) if number % 2 else (second, first)
        answer = Client(app_url, verbose=False).predict(
            *map(handle_file, pictures), text, "mini", api_name="/compare"
        )
        return answer, compare(load_encoder("mini"), *pictures, text).to_dict()

    with ThreadPoolExecutor(8) as pool:
        for answer, expected in pool.map(ask, range(8)):
            assert answer["text"] == expected["text"]
            assert answer["scores"] == pytest.approx(expected["scores"], abs=1e-5)
