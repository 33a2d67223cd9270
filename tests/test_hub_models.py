"""Models by their id, against a hub on this machine."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import CLIPModel

from mmdemo import compare, load_encoder
from mmdemo.errors import DownloadError, MMDemoError, ModelError
from mmdemo.models import pool
from mmdemo.models.files import on_this_machine
from mmdemo.models.find import find_model, find_offered, model_row
from mmdemo.models.hub.place import hub_place, is_hub_id, typed_id
from mmdemo.ui.parts.markup import error_message
from tests.apps import environment
from tests.conftest import TINY, Command, forget
from tests.hub_server import COMMIT, Hub, serve
from tests.tiny_models import tiny_clip

CLIP = "somebody/clip-tiny"
BGE = "somebody/visualized-tiny"
LLAMA = "somebody/llama"


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_clip(tmp_path_factory.mktemp("models") / "clip-tiny")


def files(repo: str, folder: Path) -> dict[str, bytes]:
    return {f"{repo}/{path.name}": path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def hub(clip: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    others = {
        f"{CLIP}/README.md": b"hello",
        f"{CLIP}/pytorch_model.bin": b"the same in another format",
        f"{CLIP}/flax_model.msgpack": b"and another",
        f"{CLIP}/modeling_own.py": b"raise SystemExit('code of the hub was run')",
        f"{CLIP}/onnx/model.safetensors": b"and another",
        f"{BGE}/model.safetensors": b"a text encoder, which the checkpoint holds too",
        f"{LLAMA}/config.json": b'{"model_type": "llama"}',
        f"{LLAMA}/model.safetensors": b"",
    }
    with serve(files(CLIP, clip) | files(BGE, TINY) | others) as hub:
        hub.tags = ["clip", "license:mit"]
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        yield hub


@pytest.fixture
def anew(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Return a function that calls another as a new process would, with settings of its own."""

    def call(function: Callable[..., Any], *given: Any, **settings: str) -> Any:
        forget(monkeypatch)
        monkeypatch.setattr(pool, "POOL", pool.Pool())
        with environment(settings):
            return function(*given)

    return call


Anew = Callable[..., Any]


def refusal(function: Callable[..., Any], *given: Any, **options: Any) -> str:
    try:
        return repr(function(*given, **options))
    except MMDemoError as error:
        return f"{type(error).__name__}: {error}"


@pytest.mark.parametrize("repo", [CLIP, BGE])
def test_a_model_is_used_by_its_id(
    repo: str,
    hub: Hub,
    clip: Path,
    command: Command,
    opening: tuple[Path, Path, str],
    anew: Anew,
) -> None:
    folder = clip if repo == CLIP else TINY
    done = anew(command, "download", repo)
    assert done.status == 0, done.err
    assert f"{repo} (mit) takes " in done.out
    fetched = sorted(name.removeprefix(f"{repo}/") for name, _ in hub.fetched)
    needed = [path.name for path in folder.iterdir() if path.name not in ("README.md", "LICENSE")]
    assert set(fetched) <= set(needed)
    assert len(fetched) == len(set(fetched))
    assert hub.asked == [repo]
    # From here on without a network, and the hub is not asked again.
    comparison = ["compare", *map(str, opening), "--model", repo, "--json"]
    for more in ({"HF_HUB_OFFLINE": "1"}, {}):
        done = anew(command, *comparison, **more)
        assert done.status == 0, done.err
        told = json.loads(done.out)
        assert told["model"] == repo
        assert told["scores"] == pytest.approx(
            compare(load_encoder(folder), *opening).scores, abs=1e-5
        )
    assert hub.asked == [repo]
    assert "nothing to download" in anew(command, "download", repo).out


def test_a_description_fetches_no_weights(hub: Hub) -> None:
    spec = find_model(CLIP)
    assert find_model(CLIP) is spec
    told = json.loads(json.dumps(model_row(spec) | {"files": spec.hub[0].names}))
    assert (told["name"], told["title"], told["source"]) == (CLIP, CLIP, f"hub:{CLIP}")
    assert (told["fusion"], told["dim"], told["licence"]) == ("averaged", 24, "mit")
    assert told["on_this_machine"] is False
    weights = len(hub.files[f"{CLIP}/model.safetensors"])
    assert told["size_mb"] == pytest.approx(weights / 1e6, abs=0.2)
    assert "model.safetensors" in told["files"]
    assert not {"pytorch_model.bin", "modeling_own.py"} & set(told["files"])
    assert hub.fetched == [(f"{CLIP}/config.json", 0)]
    assert hub.asked == [CLIP]


def test_weights_in_parts(hub: Hub, clip: Path, tmp_path: Path, anew: Anew) -> None:
    split = tmp_path / "split"
    CLIPModel.from_pretrained(clip).save_pretrained(split, max_shard_size="60KB")
    assert len(list(split.glob("model-*"))) > 1
    del hub.files[f"{CLIP}/model.safetensors"]
    hub.files |= files(CLIP, split)
    expected = load_encoder(clip).encode("a red car")[0].tolist()

    def vector() -> list[float]:
        return load_encoder(CLIP).encode("a red car")[0].tolist()

    assert anew(vector) == pytest.approx(expected, abs=1e-5)
    # Without one of the parts it is not complete, and the rest is fetched.
    next(hub_place().cache.glob("models--*/snapshots/*/model-00001*")).unlink()
    with pytest.raises(DownloadError, match="HF_HUB_OFFLINE forbids to fetch it"):
        anew(vector, HF_HUB_OFFLINE="1")
    assert anew(vector) == pytest.approx(expected, abs=1e-5)


def test_weights_in_parts_of_before_safetensors(hub: Hub, clip: Path, anew: Anew) -> None:
    weights = load_file(clip / "model.safetensors")
    del hub.files[f"{CLIP}/model.safetensors"]
    del hub.files[f"{CLIP}/pytorch_model.bin"]
    index = {}
    for number in (1, 2):
        part = {key: weights[key] for key in list(weights)[number - 1 :: 2]}
        name = f"pytorch_model-0000{number}-of-00002.bin"
        torch.save(part, content := io.BytesIO())
        hub.files[f"{CLIP}/{name}"] = content.getvalue()
        index |= dict.fromkeys(part, name)
    assert "has no weights in a format" in anew(refusal, find_model, CLIP)  # parts alone
    named = json.dumps({"weight_map": index}).encode()
    hub.files[f"{CLIP}/pytorch_model.bin.index.json"] = named
    spec = anew(find_model, CLIP)
    parts = [name for name in spec.hub[0].names if name.startswith("pytorch_model")]
    assert len(parts) == 3
    sizes = sum(len(hub.files[f"{CLIP}/{name}"]) for name in spec.hub[0].names)
    assert spec.size_mb == pytest.approx(sizes / 1e6, abs=0.1)
    expected = load_encoder(clip).encode("a red car")
    np.testing.assert_allclose(load_encoder(spec).encode("a red car"), expected, atol=1e-6)


def test_what_is_no_model_by_itself_is_named(hub: Hub) -> None:
    for name, others in {
        "a/adapter": ["adapter_config.json", "adapter_model.safetensors"],
        "a/steps": ["modules.json", "0_CLIPModel/config.json"],
        "a/other": ["open_clip_config.json", "open_clip_pytorch_model.bin"],
        "a/flax": ["flax_model.msgpack"],
    }.items():
        hub.files |= {f"{name}/{file}": b"{}" for file in others}
    hub.files["a/flax/config.json"] = b'{"model_type": "clip"}'
    hub.files["a/both/config.json"] = b'{"model_type": "clip"}'
    hub.files["a/both/adapter_model.bin"] = hub.files["a/both/pytorch_model.bin"] = b"x"
    hub.files["a/int8/config.json"] = (
        b'{"model_type": "clip", "quantization_config": {"quant_method": "awq"}}'
    )
    says = {
        "a/adapter": "a/adapter is an adapter of PEFT",
        "a/both": "'both' holds a LoRA adapter",
        "a/steps": "hf download a/steps --local-dir",
        "a/other": "open_clip_config.json, which is open_clip",
        "a/flax": "flax_model.msgpack, which is Flax",
        "a/int8": "'int8' is quantised (awq)",
    }
    for name, sentence in says.items():
        assert sentence in refusal(find_model, name)


def test_what_cannot_be_shown_is_said(hub: Hub, anew: Anew) -> None:
    hub.files["somebody/nothing/README.md"] = b"hello"
    hub.files["somebody/bare/config.json"] = b'{"model_type": "clip"}'
    hub.files["somebody/huge/config.json"] = b"{}"
    hub.claims["somebody/huge/config.json"] = 10**12
    says = {
        LLAMA: "'llama' holds a model (llama) that cannot be shown here. Accepted: ",
        "somebody/nothing": "somebody/nothing has no usable config.json",
        "somebody/bare": "somebody/bare has no weights in a format that is read here",
        "somebody/huge": "somebody/huge has no usable config.json",
        "somebody/gone": "has no public model somebody/gone. Check its spelling",
    }
    for name, sentence in says.items():
        line = refusal(find_model, name)
        assert sentence in line
        assert line.startswith(("ModelError: ", "DownloadError: "))
    for setting in ({"HF_HUB_OFFLINE": "1"}, {"HF_ENDPOINT": "http://127.0.0.1:9"}):
        line = anew(refusal, find_model, CLIP, **setting)
        assert line.startswith(f"DownloadError: {CLIP} is not on this machine and ")


def test_a_server_that_is_no_hub_is_explained(anew: Anew, app_url: str) -> None:
    told = anew(refusal, find_model, CLIP, HF_ENDPOINT=app_url)
    assert told.startswith("DownloadError: ")
    assert "HF_ENDPOINT" in told or "Check its spelling" in told


def test_names_from_the_hub_stay_names(hub: Hub, tmp_path: Path) -> None:
    hub.listed = ["../../../model.safetensors", "/tmp/x.bin", "..", "Visualized_../x.pth", "a\x00b"]
    hub.tags = ["license:<img src=x>"]
    spec = find_model(CLIP)
    assert spec.licence == ""
    assert all("/" not in name and ".." not in name for name in spec.hub[0].names)
    # A version is a part of a path too.
    hub.commit = "../../../../escaped"
    assert refusal(find_model, BGE).startswith("DownloadError: ")
    assert not list(tmp_path.rglob("escaped*"))
    assert COMMIT in {path.name for path in hub_place().cache.glob("*/snapshots/*")}


def test_visitors_may_name_ids_where_models_are_not_pinned(hub: Hub, anew: Anew) -> None:
    def use() -> None:
        told = refusal(find_offered, CLIP)
        assert told.startswith(f"ModelError: {CLIP} is not on this machine. Choose it on the")
        assert find_offered(CLIP, ask=True).name == CLIP
        assert on_this_machine(find_offered(CLIP)) is False

    for settings in (PUBLIC_PAGE, OWN_PAGE):
        anew(use, **settings)
    assert hub.asked == [CLIP, CLIP]  # once in each process, where it was allowed

    def ask() -> str:
        return refusal(find_offered, CLIP, ask=True)

    pinned = anew(ask, MMDEMO_MODELS="mini")
    assert pinned == f"ModelError: There is no model '{CLIP}'. Known: mini."
    assert hub.asked == [CLIP, CLIP]
    assert anew(find_offered, CLIP, MMDEMO_MODELS=f"mini,{CLIP}").name == CLIP


@pytest.mark.parametrize(
    "settings", [{"GRADIO_SERVER_NAME": "0.0.0.0"}, {"MMDEMO_PATHS": "0"}, {"MMDEMO_HUB_IDS": "0"}]
)
def test_ids_are_for_visitors_where_the_owner_allows_them(
    settings: dict[str, str], hub: Hub, clip: Path, command: Command, anew: Anew
) -> None:
    def ask() -> list[str]:
        assert find_offered("clip-vit-b32").name == "clip-vit-b32"
        told = [refusal(find_offered, CLIP, ask=ask) for ask in (False, True)]
        with pytest.raises(ModelError) as caught:
            find_offered(CLIP)
        return [*told, error_message(caught.value, "zh")]

    *told, chinese = anew(ask, **settings)
    assert told[0] == told[1]
    assert told[0].startswith("ModelError: Visitors of this page cannot name models of the hub, ")
    assert f"such as {CLIP}. Accepted: mini, visualized-bge-base-en, " in told[0]
    assert "MMDEMO_HUB_IDS=1" in told[0]
    assert CLIP in chinese
    assert "MMDEMO_HUB_IDS=1" in chinese
    assert "可选：mini" in chinese
    assert hub.asked == []
    # What the owner has fetched makes no difference to visitors, nor the rule one to the owner.
    assert anew(command, "download", CLIP, **settings).status == 0
    assert anew(ask, **settings) == [*told, chinese]
    # A path that could be an id is a path.
    local = {"MMDEMO_HUB_IDS": "0"}
    assert anew(find_offered, str(clip), **local).name == "local:clip-tiny"


TOKEN = {"HF_TOKEN": "hf_of_the_owner"}
SENT = "Bearer hf_of_the_owner"
PUBLIC_PAGE = {"GRADIO_SERVER_NAME": "0.0.0.0", "MMDEMO_HUB_IDS": "1"}
OWN_PAGE = {"GRADIO_SERVER_NAME": "127.0.0.1"}


def use() -> tuple[str, int]:
    """Choose the model as a visitor does, and load it."""
    spec = find_offered(CLIP, ask=True)
    return spec.name, load_encoder(spec).dim


@pytest.mark.parametrize(
    ("settings", "sent"),
    [
        (PUBLIC_PAGE, ""),
        (PUBLIC_PAGE | {"MMDEMO_PATHS": "1"}, SENT),
        (PUBLIC_PAGE | {"MMDEMO_MODELS": CLIP}, SENT),
        (PUBLIC_PAGE | {"MMDEMO_MODEL": CLIP}, SENT),
        (OWN_PAGE, SENT),
    ],
)
def test_whose_credentials_are_used(
    settings: dict[str, str], sent: str, hub: Hub, anew: Anew
) -> None:
    assert anew(use, **TOKEN, **settings) == (CLIP, 24)
    assert f"{CLIP}/model.safetensors" in {name for name, _ in hub.fetched}
    # None where the weights come from another host.
    assert set(hub.credentials) - {""} == set(filter(None, [sent]))


def test_the_command_line_and_the_library_use_credentials(
    hub: Hub, command: Command, anew: Anew
) -> None:
    hub.private = [CLIP]
    assert anew(command, "download", CLIP, **PUBLIC_PAGE, **TOKEN).status == 0
    assert SENT in hub.credentials
    assert anew(load_encoder, CLIP, **PUBLIC_PAGE).dim == 24


@pytest.mark.parametrize("kind", ["private", "gated"])
def test_the_owners_copies_are_not_for_visitors(
    kind: str, hub: Hub, command: Command, anew: Anew
) -> None:
    setattr(hub, kind, [CLIP])
    assert anew(command, "download", CLIP, **TOKEN).status == 0

    def told(repo: str, *, owner: bool = False) -> list[str]:
        if owner:
            find_model(repo)  # the owner has used it in this process
        return [refusal(find_offered, repo, ask=ask) for ask in (False, True)]

    def told_after_the_owner(repo: str) -> list[str]:
        return told(repo, owner=True)

    for tell in (told, told_after_the_owner):
        nothing, public = anew(tell, CLIP, **TOKEN, **PUBLIC_PAGE)
        assert nothing.startswith(f"ModelError: {CLIP} is not on this machine. ")
        assert public.startswith("DownloadError: ")
        assert f"has no public model {CLIP}" in public
    # As if it were nowhere.
    assert anew(told, "a/b", **PUBLIC_PAGE) == [
        line.replace(CLIP, "a/b") for line in (nothing, public)
    ]
    offline = {"HF_HUB_OFFLINE": "1"}
    for settings in (OWN_PAGE, PUBLIC_PAGE | {"MMDEMO_MODELS": CLIP}):
        assert anew(use, **settings, **offline) == (CLIP, 24)
    with pytest.raises(DownloadError, match="HF_HUB_OFFLINE"):
        anew(use, **PUBLIC_PAGE, **offline)


def test_a_public_model_in_the_cache_is_not_fetched_again(
    hub: Hub, command: Command, anew: Anew
) -> None:
    assert anew(command, "download", CLIP).status == 0
    fetched = list(hub.fetched)
    assert anew(use, **PUBLIC_PAGE) == (CLIP, 24)
    assert hub.fetched == fetched


def test_an_address_is_accepted_for_an_id(hub: Hub) -> None:
    ends = ("", "/", "/tree/main", "?library=x", "#usage", "/resolve/main/model.safetensors")
    hosts = ("https://huggingface.co", "http://hf.co", "huggingface.co", hub.address)
    names = [f" {CLIP} ", *(f" {host}/{CLIP}{end}\n" for host in hosts for end in ends)]
    assert {find_model(name).name for name in names} == {CLIP}
    assert {find_offered(name, ask=True).name for name in names} == {CLIP}
    assert hub.asked == [CLIP]


def test_what_is_no_address_of_a_model_stays_as_it_is() -> None:
    for text in (
        "https://elsewhere.example/a/b",
        "https://huggingface.co/datasets/a/b",
        "https://huggingface.co/spaces/a/b",
        "https://huggingface.co/a",
        "https://huggingface.co.elsewhere.example/a/b",
        "https://huggingfacexco/a/b",
        "https://huggingface.co/../b",
        "mini",
        "/a/b/c",
        "",
    ):
        assert typed_id(f" {text}\n") == text


def test_what_an_id_is() -> None:
    for name in (CLIP, "BAAI/bge-m3", "a/b_c.d"):
        assert is_hub_id(name)
    for name in (
        "mini",
        "a/b/c",
        "../x",
        "./x",
        "~/x",
        "/x",
        "a/..",
        "a//b",
        "a/b.git",
        "a/b c",
        "",
    ):
        assert not is_hub_id(name)
