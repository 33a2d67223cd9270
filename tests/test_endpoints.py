"""The web endpoints, through gradio's own client against a running server."""

from __future__ import annotations

import base64
import inspect
import json
import re
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from mmdemo import MODELS, classify, compare, load_encoder, rank_passages
from mmdemo.ui.api import ENDPOINTS
from mmdemo.ui.serving.endpoints import answering
from tests.apps import App, serving
from tests.bge_m3 import save
from tests.conftest import ROOT, TINY
from tests.held import ask, upload


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


def test_the_rest_of_the_page_is_no_endpoint(app: App) -> None:
    named = {fn.api_name: fn.api_visibility for fn in app.page.fns.values() if fn.fn is not None}
    endpoints = {function.__name__ for function, _ in ENDPOINTS}
    assert {name for name, kind in named.items() if kind != "private"} == endpoints
    assert {kind for name, kind in named.items() if name in endpoints} == {"public"}
    assert len(named) > len(endpoints)


def test_every_endpoint_stands_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for function, _ in ENDPOINTS:
        [row] = re.findall(rf"^\| `/{function.__name__}` \|(.*)\|$", readme, re.MULTILINE)
        told = re.findall(r"`([^`]+)`", row)
        signature = inspect.signature(answering(function)).parameters.values()
        assert told == [
            one.name
            if one.default is inspect.Parameter.empty
            else f"{one.name}={json.dumps(one.default)}"
            for one in signature
        ]


def test_only_what_is_documented_is_offered(client: Client) -> None:
    described: Any = client.view_api(return_format="dict")
    endpoints = described["named_endpoints"]
    assert list(endpoints) == ["/compare", "/classify", "/rank", "/embed", "/models"]
    assert not described["unnamed_endpoints"]

    def parameters(name: str) -> list[str]:
        return [parameter["parameter_name"] for parameter in endpoints[name]["parameters"]]

    assert parameters("/compare") == ["image1", "image2", "text", "model"]
    assert parameters("/classify") == ["images", "labels", "templates", "reject", "model"]
    weights = ["dense", "sparse", "multi_vector"]
    assert parameters("/rank") == ["query", "passages", "model", *weights]
    assert parameters("/embed") == ["images", "texts", "fused", "model"]
    assert parameters("/models") == []
    told = {one["parameter_name"]: one for one in endpoints["/classify"]["parameters"]}
    types = [one["python_type"]["type"] for one in told.values()]
    text = "str | list[str]"
    assert types == ["list[filepath | str]", text, text, "bool", "None | str"]
    defaults = {name: one["parameter_default"] for name, one in told.items()}
    assert [one["parameter_has_default"] for one in told.values()] == [False, False, *[True] * 3]
    assert (defaults["templates"], defaults["reject"], defaults["model"]) == (
        *("openai-7", False),
        None,
    )
    for endpoint in endpoints.values():
        assert endpoint["description"].endswith(".")


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
    # A text says by itself where a passage ends; a list does not need that.
    whole = client.predict("x", ["one\n\ntwo", "three"], api_name="/rank")["passages"]
    assert {row["text"] for row in whole} == {"one\n\ntwo", "three"}
    with pytest.raises(AppError, match="The text is empty"):
        client.predict("", "x", "mini", 1, 1, 1, api_name="/rank")
    with pytest.raises(AppError, match="There are no passages"):
        client.predict("x", "", "mini", 1, 1, 1, api_name="/rank")


def test_embed_gives_the_numbers_of_the_library(
    client: Client, two_pictures: tuple[Path, Path]
) -> None:
    pictures = list(map(handle_file, two_pictures))
    answer = client.predict(pictures, ["a bird", "鸟"], api_name="/embed")
    expected = load_encoder("mini").encode([*two_pictures, "a bird", "鸟"])
    np.testing.assert_allclose(answer["vectors"], expected, atol=1e-6)
    assert answer["modalities"] == ["image", "image", "text", "text"]
    assert (answer["model"], answer["dim"]) == ("mini", 384)
    assert answer["fingerprint"] == load_encoder("mini").fingerprint
    fused = client.predict(images=pictures, texts=["red"], fused=True, api_name="/embed")
    expected = load_encoder("mini").encode(
        [{"image": path, "text": "red"} for path in two_pictures]
    )
    np.testing.assert_allclose(fused["vectors"], expected, atol=1e-6)
    assert fused["modalities"] == ["fused", "fused"]


def test_a_model_is_chosen_that_can_do_what_is_asked(
    tmp_path_factory: pytest.TempPathFactory, two_pictures: tuple[Path, Path]
) -> None:
    """The owner's own choice embeds no pictures, and where it is not named another stands in."""
    folder = tmp_path_factory.mktemp("models")
    own = str(save(folder / "tiny-m3"))
    settings = {"MMDEMO_MODELS": f"mini,{own}", "MMDEMO_MODEL": own}
    with serving(folder, **settings) as app, app.visited():
        client = Client(app.address, verbose=False)
        pictures = list(map(handle_file, two_pictures))
        assert client.predict(*pictures, "a bird", api_name="/compare")["model"] == "mini"
        assert client.predict("a", "b", api_name="/rank")["model"].startswith("local:")
        assert client.predict([], ["b"], api_name="/embed")["model"].startswith("local:")
        with pytest.raises(AppError, match="cannot embed the modality 'image'"):
            client.predict(pictures, [], api_name="/embed")


def test_a_picture_may_be_sent_as_it_is(app_url: str, two_pictures: tuple[Path, Path]) -> None:
    """As a data URI, broken into lines too, or by the address of an upload."""
    first, second = two_pictures
    written = base64.encodebytes(first.read_bytes()).decode()
    uploaded = upload(app_url, second)["path"]
    expected = compare(load_encoder("mini"), first, second, "a bird").scores
    for one in (
        f"data:image/jpeg;base64,{written}",
        f"data:;base64,{written}",
        {"path": "photo.jpg", "url": f"data:image/jpeg;base64,{written}"},
    ):
        for other in (
            uploaded,
            {"path": uploaded},
            f"{app_url}/gradio_api/file={quote(uploaded)}",
        ):
            kind, told = ask(app_url, "compare", [one, other, "a bird"])
            assert kind == "complete"
            assert told["scores"] == pytest.approx(expected, abs=1e-6)


def test_a_picture_that_is_sent_as_it_is_has_the_limits_of_an_upload(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    large = f"data:image/png;base64,{base64.b64encode(bytes(1_000_001)).decode()}"
    folder = tmp_path_factory.mktemp("small")
    with serving(folder, MMDEMO_LIMITS_UPLOAD_MB="1") as app, app.visited():
        kind, told = ask(app.address, "compare", [large, large, "a bird"])
        assert (kind, "at most 1 MB are accepted" in told["error"]) == ("error", True)
        kind, told = ask(app.address, "embed", [[large]])
        assert (kind, "at most 1 MB are accepted" in told["error"]) == ("error", True)


def test_nothing_of_a_call_is_kept(app: App, two_pictures: tuple[Path, Path]) -> None:
    """gradio would keep what a client sent last, and what it was answered, with its session."""
    client = Client(app.address, verbose=False)
    picture = f"data:image/jpeg;base64,{base64.b64encode(two_pictures[0].read_bytes()).decode()}"
    answer = client.predict(picture, picture, "a bird", api_name="/compare")
    kept = repr(app.page.state_holder.session_data[client.session_hash].config_values)
    assert picture not in kept
    assert answer["fingerprint"] not in kept


def test_bad_input_gets_a_clear_message(
    client: Client, two_pictures: tuple[Path, Path], tmp_path: Path
) -> None:
    good = handle_file(two_pictures[0])
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"not a picture at all")
    cases = [
        ((good, handle_file(broken), "x", "mini"), "image2: This file is not a picture"),
        ((good, None, "x", "mini"), "image2: a picture, as an uploaded file"),
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
    answer = post(app_url, [[picture], [], False, "mini"], "embed")
    assert "event: error" in answer
    assert "vectors" not in answer


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
