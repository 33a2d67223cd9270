from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mmdemo import MODELS, load_encoder
from mmdemo.encoders.spec import HubFiles
from mmdemo.encoders.visualized_bge.model import VisualizedBGE
from mmdemo.errors import ModelError
from mmdemo.models.files import on_this_machine
from mmdemo.models.find import find_model, find_offered, model_row, offered
from mmdemo.progress import Progress
from mmdemo.types import Embeddings
from mmdemo.ui.parts.markup import error_message
from tests.apps import environment
from tests.conftest import ROOT, TINY
from tests.hub_server import COMMIT, serve

CHECKPOINT = TINY / "Visualized_tiny_bert.pth"
XLMR = TINY.parent / "xlmr-bge-m3"


def test_what_is_registered() -> None:
    assert list(MODELS)[:3] == ["mini", "visualized-bge-base-en", "visualized-bge-m3"]
    for name in list(MODELS)[1:3]:
        spec = MODELS[name]
        assert (spec.fusion, spec.licence) == ("native", "MIT")
        assert [file for group in spec.hub for file in group.names][-1].startswith("Visualized_")


@pytest.mark.parametrize(("folder", "languages"), [(TINY, ("en",)), (XLMR, ("multilingual",))])
def test_a_directory_is_recognised(folder: Path, languages: tuple[str, ...]) -> None:
    spec = find_model(folder)
    assert (spec.name, spec.dim, spec.languages) == (f"local:{folder.name}", 64, languages)
    encoder = load_encoder(folder)
    assert (encoder.name, encoder.dim) == (spec.name, 64)
    assert encoder.languages == spec.languages
    assert encoder.modalities == set(spec.modalities)
    assert on_this_machine(spec)


def test_one_object_however_it_is_reached(tmp_path: Path) -> None:
    linked = tmp_path / TINY.name
    linked.symlink_to(TINY)
    ways = [TINY, str(TINY), CHECKPOINT, str(CHECKPOINT), linked, find_model(TINY)]
    with ThreadPoolExecutor(len(ways)) as pool:
        encoders = list(pool.map(load_encoder, ways))
    assert len(set(map(id, encoders))) == 1
    copy = shutil.copytree(TINY, tmp_path / "elsewhere" / TINY.name)
    assert load_encoder(copy) is not encoders[0]


def test_of_two_formats_safetensors_is_taken(tmp_path: Path) -> None:
    shutil.copytree(TINY, tmp_path, dirs_exist_ok=True)
    (tmp_path / "Visualized_tiny_bert.safetensors").touch()
    assert find_model(tmp_path).local[1].suffix == ".safetensors"
    assert find_model(tmp_path / CHECKPOINT.name).local[1].suffix == ".pth"


def test_what_is_wrong_with_a_path_is_said(tmp_path: Path) -> None:
    def refused(path: Path | str) -> str:
        with pytest.raises(ModelError) as caught:
            load_encoder(path)
        assert str(tmp_path) not in str(caught.value)
        return str(caught.value)

    assert "There is no model at 'nowhere'" in refused(tmp_path / "nowhere")
    assert "no readable config.json" in refused(tmp_path)
    (tmp_path / "config.json").write_text("[]")
    assert "no readable config.json" in refused(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    assert "holds a model (llama) that cannot be shown here" in refused(tmp_path)
    shutil.copytree(TINY, tmp_path, dirs_exist_ok=True)
    shutil.copy(CHECKPOINT, tmp_path / "Visualized_other.pth")
    assert "several checkpoints: Visualized_other, Visualized_tiny_bert" in refused(tmp_path)
    assert load_encoder(tmp_path / "Visualized_other.pth").dim == 64
    assert "is one file of a model: name its folder" in refused(tmp_path / "vocab.txt")
    assert "Did you mean 'visualized-bge-m3'?" in refused("visualised-bge-m3")


@pytest.mark.parametrize("folder", [TINY, XLMR])
@pytest.mark.parametrize("size", ["wide", -4, 0, 1.5, [64], True, float("inf"), 10**9])
def test_sizes_that_are_none_are_refused(folder: Path, size: object, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"hidden_size": size}))
    with pytest.raises(ModelError, match="hidden_size") as caught:
        find_model(tmp_path)
    assert caught.value.code in ("broken_sizes", "sizes_too_large")


@pytest.mark.parametrize("size", ["wide", 10**9])
def test_sizes_of_bge_m3_are_checked_too(size: object, tmp_path: Path) -> None:
    config = {"model_type": "xlm-roberta", "hidden_size": size}
    (tmp_path / "config.json").write_text(json.dumps(config))
    for name in ("sparse_linear.pt", "colbert_linear.pt", "pytorch_model.bin"):
        (tmp_path / name).touch()
    with pytest.raises(ModelError, match="hidden_size"):
        find_model(tmp_path)


@pytest.mark.parametrize(
    ("file", "entry"),
    [
        ("config.json", "num_hidden_layers"),
        ("config.json", "max_position_embeddings"),
        ("vision_config.json", "depth"),
        ("vision_config.json", "img_size"),
    ],
)
def test_visualized_bge_builds_nothing_huge(file: str, entry: str, tmp_path: Path) -> None:
    shutil.copytree(TINY, tmp_path, dirs_exist_ok=True)
    config = json.loads((tmp_path / file).read_text())
    (tmp_path / file).write_text(json.dumps(config | {entry: 20_000}))
    with pytest.raises(ModelError, match=f"asks for more .* {entry} is 20000"):
        VisualizedBGE("huge", tmp_path)


def test_the_page_offers_what_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [spec.name for spec in offered()] == list(MODELS)
    monkeypatch.setenv("MMDEMO_MODELS", f"mini, {TINY}, {CHECKPOINT}")
    assert [spec.name for spec in offered()] == ["mini", f"local:{TINY.name}"]
    assert find_offered().name == "mini"
    monkeypatch.setenv("MMDEMO_MODEL", str(XLMR))
    assert [spec.name for spec in offered()][-1] == f"local:{XLMR.name}"
    assert find_offered().name == f"local:{XLMR.name}"
    for name in (str(TINY), "visualized-bge-m3", "../bert-bge-base-en-v1.5"):
        with pytest.raises(ModelError, match="There is no model"):
            find_offered(name)


def test_a_path_that_a_visitor_typed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GRADIO_SERVER_NAME", "127.0.0.1")
    assert find_offered(str(TINY)) == find_model(TINY)
    assert find_offered(str(CHECKPOINT)) == find_model(CHECKPOINT)
    for name in (str(tmp_path / "nowhere"), "~nobody-of-this-name/x/y", "/" + "x" * 9999):
        with pytest.raises(ModelError, match=r"There is no model at|cannot be read"):
            find_offered(name)
    with pytest.raises(ModelError, match="There is no model 'xxx"):
        find_offered("x" * 9999)


def test_what_was_typed_is_trimmed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADIO_SERVER_NAME", "127.0.0.1")
    for find in (find_model, find_offered):
        assert find(" clip-vit-b32\n") is MODELS["clip-vit-b32"]
        assert find(f"{TINY} ").local[0] == TINY
        assert find("  ").name == "mini"


def test_a_page_that_others_see_tells_nothing_of_this_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def answer(name: str) -> str:
        with pytest.raises(ModelError) as caught:
            find_offered(name)
        return str(caught.value).replace(name, "NAME")

    monkeypatch.setenv("GRADIO_SERVER_NAME", "0.0.0.0")
    monkeypatch.chdir(ROOT)
    # What is there and what is not are answered alike, also where it may be an id of the hub.
    assert answer(str(TINY)) == answer("/no/such/directory") == answer("../hub")
    assert answer("tests/data") == answer("tests/nothing")
    assert answer("tests/data").startswith("Visitors of this page cannot name models of the hub")
    monkeypatch.setenv("MMDEMO_HUB_IDS", "1")
    assert answer(str(TINY)) == answer("/no/such/directory")
    assert answer("tests/data") == answer("tests/nothing")
    assert "NAME is not on this machine. Choose it on the page" in answer("tests/data")
    monkeypatch.setenv("MMDEMO_PATHS", "1")
    assert find_offered(str(TINY)).name == f"local:{TINY.name}"
    monkeypatch.setenv("MMDEMO_MODELS", "mini")  # pinned: neither paths nor the hub
    assert answer(str(TINY)) == answer("tests/data") == answer("/no/such/directory")


def test_what_is_wrong_is_said_in_chinese(tmp_path: Path) -> None:
    def refused(name: str, config: str = "") -> str:
        if config:
            (tmp_path / "config.json").write_text(config)
        with pytest.raises(ModelError) as caught:
            find_model(name)
        said = error_message(caught.value, "zh")
        assert said != str(caught.value)
        assert str(tmp_path) not in said
        return said

    here = str(tmp_path)
    assert "没有名为“mimi”的模型" in refused("mimi")
    assert "“nowhere”处没有模型" in refused(f"{here}/nowhere")
    assert "无法读取“y”" in refused("~nobody-of-this-name/x/y")
    assert "没有可读取的 config.json" in refused(here)
    assert "模型（llama）无法在此展示。可接受：Visualized-BGE" in refused(
        here, '{"model_type": "llama"}'
    )
    assert "NaFlex" in refused(here, '{"model_type": "siglip2"}')
    captions = '{"model_type": "blip", "architectures": ["BlipForConditionalGeneration"]}'
    assert "这个 BLIP 是 BlipForConditionalGeneration" in refused(here, captions)
    assert "这个 BLIP 是 5" in refused(here, '{"model_type": "blip", "architectures": 5}')
    wide = '{"model_type": "clip", "projection_dim": "wide"}'
    assert "projection_dim 不是大小" in refused(here, wide)
    deep = '{"model_type": "clip", "num_hidden_layers": 10000000}'
    assert "num_hidden_layers 为 1e+07，最大为 128" in refused(here, deep)


def test_two_directories_of_one_name_are_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    copy = shutil.copytree(TINY, tmp_path / TINY.name)
    monkeypatch.setenv("MMDEMO_MODELS", f"{TINY},{copy}")
    with pytest.raises(ModelError, match=f"called '{TINY.name}'. Rename"):
        offered()


def test_a_description_tells_no_paths() -> None:
    told = json.dumps(model_row(find_model(TINY)))
    assert str(TINY) not in told
    assert "pth" not in told
    assert '"source": "local"' in told


def test_load_encoder_fetches_what_is_not_here(tmp_path: Path) -> None:
    files = {f"t/text/{path.name}": path.read_bytes() for path in TINY.iterdir()}
    expected = load_encoder(TINY).encode("a red car")[0]
    home = tmp_path / "home"
    with serve(files | {"t/all/Visualized_tiny.pth": CHECKPOINT.read_bytes()}) as hub:
        fetched, vector = from_the_hub({"HF_ENDPOINT": hub.address, "HF_HOME": str(home)})
    assert fetched
    np.testing.assert_allclose(vector, expected, atol=1e-5)
    # A cache that was copied from another machine does as well, without a network.
    snapshot = home / "hub/models--t--text/snapshots" / COMMIT
    assert (snapshot / "config.json").exists()
    shutil.move(home, tmp_path / "copied")
    copied = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "copied")}
    fetched, vector = from_the_hub(copied)
    assert not fetched
    np.testing.assert_allclose(vector, expected, atol=1e-5)


def from_the_hub(settings: dict[str, str]) -> tuple[bool, Embeddings]:
    """Load the model as if it lay on the hub: whether something was fetched, and a vector."""
    names = ("config.json", "tokenizer_config.json", "vocab.txt", "vision_config.json")
    groups = HubFiles("t/text", names), HubFiles("t/all", ("Visualized_tiny.pth",))
    spec = replace(MODELS["visualized-bge-base-en"], name="tiny", hub=groups)
    seen: list[Progress] = []
    with environment(settings):
        encoder = load_encoder(spec, progress=seen.append)
        assert load_encoder(spec) is encoder
        assert on_this_machine(spec)
    return len(seen) > 1, encoder.encode("a red car")[0]
