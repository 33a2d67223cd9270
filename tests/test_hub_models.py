"""Models by their id, against a hub on this machine; each in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from transformers import CLIPModel

from mmdemo import compare, load_encoder
from mmdemo.hub import is_hub_id, typed_id
from tests.conftest import ROOT, TINY
from tests.hub_server import COMMIT, Hub, serve
from tests.tiny_models import tiny_clip

CLIP = "somebody/clip-tiny"
BGE = "somebody/visualized-tiny"
LLAMA = "somebody/llama"

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_clip(tmp_path_factory.mktemp("models") / "clip-tiny")


def files(repo: str, folder: Path) -> dict[str, bytes]:
    return {f"{repo}/{path.name}": path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def hub(clip: Path) -> Iterator[Hub]:
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
        yield hub


@pytest.fixture
def environment(hub: Hub, tmp_path: Path) -> dict[str, str]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    return plain | {"HF_ENDPOINT": hub.address, "HF_HOME": str(tmp_path / "home")}


@pytest.fixture
def python(environment: dict[str, str]) -> Run:
    """Return a function that runs Python, with `find` and `refusal` at hand."""

    def run(code: str, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", HELPERS + code, *arguments]
        return subprocess.run(
            command, cwd=ROOT, env=environment | more, capture_output=True, text=True
        )

    return run


HELPERS = """
import json, sys
from mmdemo.__main__ import main
from mmdemo.errors import MMDemoError
from mmdemo.registry import find_model, find_offered, load_encoder

def refusal(function, *given, **options):
    try:
        return repr(function(*given, **options))
    except MMDemoError as error:
        return f"{type(error).__name__}: {error}"

"""
MAIN = "sys.exit(main())"


@pytest.mark.parametrize("repo", [CLIP, BGE])
def test_a_model_is_used_by_its_id(
    repo: str, hub: Hub, clip: Path, python: Run, opening: tuple[Path, Path, str]
) -> None:
    folder = clip if repo == CLIP else TINY
    done = python(MAIN, "download", repo)
    assert done.returncode == 0, done.stderr
    assert f"{repo} (mit) takes " in done.stdout
    fetched = sorted(name.removeprefix(f"{repo}/") for name, _ in hub.fetched)
    needed = [path.name for path in folder.iterdir() if path.name not in ("README.md", "LICENSE")]
    assert set(fetched) <= set(needed)
    assert len(fetched) == len(set(fetched))
    assert hub.asked == [repo]
    # From here on without a network, and the hub is not asked again.
    command = ["compare", *map(str, opening), "--model", repo, "--json"]
    for more in ({"HF_HUB_OFFLINE": "1"}, {}):
        done = python(MAIN, *command, **more)
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        assert told["model"] == repo
        assert told["scores"] == pytest.approx(
            compare(load_encoder(folder), *opening).scores, abs=1e-5
        )
    assert hub.asked == [repo]
    assert "nothing to download" in python(MAIN, "download", repo).stdout


def test_a_description_fetches_no_weights(hub: Hub, python: Run) -> None:
    code = f"""
spec = find_model("{CLIP}")
assert find_model("{CLIP}") is spec
print(json.dumps(spec.to_dict() | {{"files": spec.hub[0].names}}))
"""
    told = json.loads(python(code).stdout)
    assert (told["name"], told["title"], told["source"]) == (CLIP, CLIP, f"hub:{CLIP}")
    assert (told["fusion"], told["dim"], told["licence"]) == ("averaged", 24, "mit")
    assert told["on_this_machine"] is False
    weights = len(hub.files[f"{CLIP}/model.safetensors"])
    assert told["size_mb"] == pytest.approx(weights / 1e6, abs=0.2)
    assert "model.safetensors" in told["files"]
    assert not {"pytorch_model.bin", "modeling_own.py"} & set(told["files"])
    assert hub.fetched == [(f"{CLIP}/config.json", 0)]
    assert hub.asked == [CLIP]


def test_weights_in_parts(
    hub: Hub, clip: Path, python: Run, environment: dict[str, str], tmp_path: Path
) -> None:
    split = tmp_path / "split"
    CLIPModel.from_pretrained(clip).save_pretrained(split, max_shard_size="60KB")
    assert len(list(split.glob("model-*"))) > 1
    del hub.files[f"{CLIP}/model.safetensors"]
    hub.files |= files(CLIP, split)
    code = f'print(load_encoder("{CLIP}").encode("a red car")[0].tolist())'
    expected = load_encoder(clip).encode("a red car")[0].tolist()
    done = python(code)
    assert json.loads(done.stdout) == pytest.approx(expected, abs=1e-5)
    # Without one of the parts it is not complete, and the rest is fetched.
    next(Path(environment["HF_HOME"]).glob("hub/models--*/snapshots/*/model-00001*")).unlink()
    offline = python(code, HF_HUB_OFFLINE="1")
    assert "HF_HUB_OFFLINE forbids to fetch it" in offline.stderr
    assert json.loads(python(code).stdout) == pytest.approx(expected, abs=1e-5)


def test_what_cannot_be_shown_is_said(hub: Hub, python: Run) -> None:
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
    code = "print(*(refusal(find_model, name) for name in sys.argv[1:]), sep='\\n')"
    told = python(code, *says).stdout.splitlines()
    assert len(told) == len(says)
    for line, sentence in zip(told, says.values(), strict=True):
        assert sentence in line
        assert line.startswith(("ModelError: ", "DownloadError: "))
    for setting in ({"HF_HUB_OFFLINE": "1"}, {"HF_ENDPOINT": "http://127.0.0.1:9"}):
        line = python(code, CLIP, **setting).stdout
        assert line.startswith(f"DownloadError: {CLIP} is not on this machine and ")


def test_a_server_that_is_no_hub_is_explained(python: Run, app_url: str) -> None:
    told = python(f'print(refusal(find_model, "{CLIP}"))', HF_ENDPOINT=app_url).stdout
    assert told.startswith("DownloadError: ")
    assert "HF_ENDPOINT" in told or "Check its spelling" in told


def test_names_from_the_hub_stay_names(
    hub: Hub, python: Run, environment: dict[str, str], tmp_path: Path
) -> None:
    hub.listed = ["../../../model.safetensors", "/tmp/x.bin", "..", "Visualized_../x.pth", "a\x00b"]
    hub.tags = ["license:<img src=x>"]
    code = f'spec = find_model("{CLIP}"); print(json.dumps([spec.hub[0].names, spec.licence]))'
    names, licence = json.loads(python(code).stdout)
    assert licence == ""
    assert all("/" not in name and ".." not in name for name in names)
    # A version is a part of a path too.
    hub.commit = "../../../../escaped"
    told = python(f'print(refusal(find_model, "{BGE}"))').stdout
    assert told.startswith("DownloadError: ")
    assert not list(tmp_path.rglob("escaped*"))
    assert COMMIT in {path.name for path in Path(environment["HF_HOME"]).glob("hub/*/snapshots/*")}


def test_visitors_may_name_ids_where_models_are_not_pinned(hub: Hub, python: Run) -> None:
    code = f"""
print(refusal(find_offered, "{CLIP}"))
print(find_offered("{CLIP}", ask=True).name)
print(find_offered("{CLIP}").on_this_machine)
"""
    for address in ("0.0.0.0", "127.0.0.1"):
        told = python(code, GRADIO_SERVER_NAME=address).stdout.splitlines()
        assert told[0].startswith(f"ModelError: {CLIP} is not on this machine. Choose it on the")
        assert told[1:] == [CLIP, "False"]
    assert hub.asked == [CLIP, CLIP]  # once in each process, where it was allowed
    pinned = python(
        f'print(refusal(find_offered, "{CLIP}", ask=True))', MMDEMO_MODELS="mini"
    ).stdout
    assert pinned == f"ModelError: There is no model '{CLIP}'. Known: mini.\n"
    assert hub.asked == [CLIP, CLIP]
    ours = f'print(refusal(lambda: find_offered("{CLIP}").name))'
    assert python(ours, MMDEMO_MODELS=f"mini,{CLIP}").stdout == f"'{CLIP}'\n"


TOKEN = {"HF_TOKEN": "hf_of_the_owner"}
SENT = "Bearer hf_of_the_owner"
PUBLIC_PAGE = {"GRADIO_SERVER_NAME": "0.0.0.0"}
OWN_PAGE = {"GRADIO_SERVER_NAME": "127.0.0.1"}
USE = f"""
spec = find_offered("{CLIP}", ask=True)
print(spec.name, load_encoder(spec).dim)
"""


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
    settings: dict[str, str], sent: str, hub: Hub, python: Run
) -> None:
    done = python(USE, **TOKEN, **settings)
    assert done.stdout == f"{CLIP} 24\n", done.stderr
    assert f"{CLIP}/model.safetensors" in {name for name, _ in hub.fetched}
    # None where the weights come from another host.
    assert set(hub.credentials) - {""} == set(filter(None, [sent]))


def test_the_command_line_and_the_library_use_credentials(hub: Hub, python: Run) -> None:
    hub.private = [CLIP]
    assert python(MAIN, "download", CLIP, **PUBLIC_PAGE, **TOKEN).returncode == 0
    assert SENT in hub.credentials
    assert python(f'print(load_encoder("{CLIP}").dim)', **PUBLIC_PAGE).stdout == "24\n"


@pytest.mark.parametrize("kind", ["private", "gated"])
def test_the_owners_copies_are_not_for_visitors(kind: str, hub: Hub, python: Run) -> None:
    setattr(hub, kind, [CLIP])
    assert python(MAIN, "download", CLIP, **TOKEN).returncode == 0
    code = f"""
if sys.argv[1:]:
    find_model("{CLIP}")  # the owner has used it in this process
for ask in (False, True):
    print(refusal(find_offered, "{CLIP}", ask=ask))
"""
    nothing, public = f"ModelError: {CLIP} is not on this machine. ", "DownloadError: "
    for arguments in ([], ["owner"]):
        told = python(code, *arguments, **TOKEN, **PUBLIC_PAGE).stdout.splitlines()
        assert told[0].startswith(nothing)
        assert told[1].startswith(public)
        assert f"has no public model {CLIP}" in told[1]
    # As if it were nowhere.
    assert python(code.replace(CLIP, "a/b"), **PUBLIC_PAGE).stdout.splitlines() == [
        line.replace(CLIP, "a/b") for line in told
    ]
    offline = {"HF_HUB_OFFLINE": "1"}
    for settings in (OWN_PAGE, PUBLIC_PAGE | {"MMDEMO_MODELS": CLIP}):
        assert python(USE, **settings, **offline).stdout == f"{CLIP} 24\n"
    assert "HF_HUB_OFFLINE" in python(USE, **PUBLIC_PAGE, **offline).stderr


def test_a_public_model_in_the_cache_is_not_fetched_again(hub: Hub, python: Run) -> None:
    assert python(MAIN, "download", CLIP).returncode == 0
    fetched = list(hub.fetched)
    assert python(USE, **PUBLIC_PAGE).stdout == f"{CLIP} 24\n"
    assert hub.fetched == fetched


def test_an_address_is_accepted_for_an_id(hub: Hub, python: Run) -> None:
    code = """
for find in (find_model, lambda name: find_offered(name, ask=True)):
    print(*{find(name).name for name in sys.argv[1:]})
"""
    ends = ("", "/", "/tree/main", "?library=x", "#usage", "/resolve/main/model.safetensors")
    hosts = ("https://huggingface.co", "http://hf.co", "huggingface.co", hub.address)
    names = [f" {host}/{CLIP}{end}\n" for host in hosts for end in ends]
    told = python(code, f" {CLIP} ", *names)
    assert told.stdout == f"{CLIP}\n{CLIP}\n", told.stderr
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
