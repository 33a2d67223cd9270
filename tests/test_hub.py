"""Downloads, against a hub on this machine."""

from __future__ import annotations

import importlib.util
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mmdemo.models.hub.cache import Plan, RemoteFile
from mmdemo.models.hub.place import HubPlace, hub_place
from mmdemo.progress import Meter, Progress, clock, size_text
from tests.conftest import ROOT, Command
from tests.hub_server import Hub, serve

NAME = "visualized-bge-base-en"
WEIGHTS = "BAAI/bge-visualized/Visualized_base_en_v1.5.pth"
SIZE = 3_000_000

# A process that was started in the background ignores Ctrl+C, and so would its children.
HEARS_CTRL_C = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from mmdemo.cli import main
sys.exit(main())
"""


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    text_encoder = "BAAI/bge-base-en-v1.5"
    files = {
        f"{text_encoder}/config.json": b'{"model_type": "bert"}',
        f"{text_encoder}/tokenizer.json": b"{}" * 100,
        f"{text_encoder}/tokenizer_config.json": b"{}",
        f"{text_encoder}/model.safetensors": b"not needed",
        WEIGHTS: bytes(range(256)) * (SIZE // 256),
    }
    with serve(files) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        yield hub


def weights() -> bytes:
    (found,) = hub_place().cache.glob(f"models--*/snapshots/*/{Path(WEIGHTS).name}")
    return found.read_bytes()


def partial() -> int:
    """Return how many bytes of the checkpoint an interrupted download left."""
    files = list(hub_place().cache.glob("models--*visualized/blobs/*.incomplete"))
    return files[0].stat().st_size if files else 0


@pytest.mark.parametrize("way", ["command", "started_command"])
def test_what_is_needed_is_fetched_once_and_found_again(
    way: str, hub: Hub, request: pytest.FixtureRequest
) -> None:
    mmdemo: Command = request.getfixturevalue(way)
    done = mmdemo("download", NAME)
    assert done.status == 0, done.err
    assert f"{NAME} (MIT) takes 3.0 MB on disk." in done.out
    assert "100 %   3.0 MB of 3.0 MB" in done.err
    assert weights() == hub.files[WEIGHTS]
    fetched = [name for name, _ in hub.fetched]
    assert sorted(fetched) == sorted(name for name in hub.files if "safetensors" not in name)
    for more in ({}, {"HF_HUB_OFFLINE": "1"}):
        again = mmdemo("download", NAME, **more)
        assert "already; nothing to download" in again.out
    assert len(hub.fetched) == len(fetched)
    assert "3510.0 MB  multilingual   not downloaded" in mmdemo("models").out
    assert "en             on this machine" in mmdemo("models").out.splitlines()[1]


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, 130)]
)
def test_a_download_that_was_stopped_goes_on_where_it_was(
    hub: Hub, command: Command, number: int, status: int
) -> None:
    hub.pause = 0.05
    killed = subprocess.Popen([sys.executable, "-c", HEARS_CTRL_C, "download", NAME], cwd=ROOT)
    while partial() < SIZE // 4 and killed.poll() is None:
        time.sleep(0.02)
    killed.send_signal(number)
    assert killed.wait() == status
    kept = partial()
    assert 0 < kept < SIZE
    hub.pause = 0.0
    done = command("download", NAME)
    assert done.status == 0, done.err
    assert f"of which {size_text(kept)} are here already" in done.out
    assert hub.fetched[-1] == (WEIGHTS, kept)
    assert weights() == hub.files[WEIGHTS]


def test_a_broken_connection_is_taken_up_again(hub: Hub, command: Command) -> None:
    hub.break_after = [1_000_000, 500_000]
    done = command("download", NAME)
    assert done.status == 0, done.err
    starts = [start for name, start in hub.fetched if name == WEIGHTS]
    assert len(starts) == 3
    assert starts == sorted(set(starts))
    assert weights() == hub.files[WEIGHTS]


def test_a_server_without_ranges_sends_the_file_again(hub: Hub, command: Command) -> None:
    hub.break_after, hub.ranges = [1_000_000], False
    assert command("download", NAME).status == 0
    assert weights() == hub.files[WEIGHTS]


def test_a_connection_that_breaks_for_good_is_explained(
    hub: Hub, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mmdemo.models.hub.download._ATTEMPTS", 0)
    hub.break_after = [1_000_000] + [0] * 9
    done = command("download", NAME)
    assert done.status == 1
    assert "broke off; " in done.err
    assert "it goes on where it stopped" in done.err
    assert partial() > 0


def test_damage_is_noticed(hub: Hub, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.break_after = [1_000_000] + [0] * 9
    with monkeypatch.context() as once:
        once.setattr("mmdemo.models.hub.download._ATTEMPTS", 0)
        command("download", NAME)
    (file,) = hub_place().cache.glob("models--*visualized/blobs/*.incomplete")
    file.write_bytes(b"x" + file.read_bytes()[1:])
    hub.break_after = []
    done = command("download", NAME)
    assert "arrived damaged and was deleted" in done.err
    assert command("download", NAME).status == 0
    assert weights() == hub.files[WEIGHTS]


def test_a_disk_that_is_too_small_is_said_before_anything_is_fetched(
    hub: Hub, command: Command
) -> None:
    hub.claims[WEIGHTS] = 10**16
    done = command("download", NAME)
    assert done.status == 1
    assert f"{NAME} needs {size_text(10**16)} more on the disk of the model cache" in done.err
    assert "set HF_HOME" in done.err
    assert hub.fetched == []


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"HF_ENDPOINT": "http://127.0.0.1:9"}, "127.0.0.1:9 cannot be reached"),
        ({"HF_HUB_OFFLINE": "1"}, "HF_HUB_OFFLINE forbids to fetch it"),
    ],
)
def test_without_a_network_one_sentence_names_three_ways_out(
    command: Command, opening: tuple[Path, Path, str], settings: dict[str, str], reason: str
) -> None:
    first, second, text = opening
    comparison = ["compare", str(first), str(second), text]
    for arguments in (["download", NAME], [*comparison, "--model", NAME]):
        done = command(*arguments, **settings)
        assert done.status == 1
        assert done.err.count("\n") == 1
        for part in (reason, f"python -m mmdemo download {NAME}", "HF_ENDPOINT", "MMDEMO_MODELS"):
            assert part in done.err
    assert command(*comparison, **settings).status == 0


def test_a_hub_without_the_file_is_explained(hub: Hub, command: Command) -> None:
    del hub.files[WEIGHTS]
    done = command("download", NAME)
    assert "answered 404 instead of the files of visualized-bge-base-en" in done.err


def test_a_server_that_is_no_hub_is_explained(command: Command, app_url: str) -> None:
    done = command("download", NAME, HF_ENDPOINT=app_url)
    assert done.status == 1
    assert "HF_ENDPOINT" in done.err
    assert "Traceback" not in done.err


VARIABLES = (
    "HF_ENDPOINT",
    "HF_HOME",
    "HF_HUB_CACHE",
    "HF_HUB_OFFLINE",
    "HUGGINGFACE_HUB_CACHE",
    "TRANSFORMERS_OFFLINE",
    "XDG_CACHE_HOME",
)


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"HF_ENDPOINT": "https://mirror.example/hub/"},
        {"XDG_CACHE_HOME": "/caches"},
        {"HF_HOME": "~/$MIRROR/home"},
        {"HF_HOME": "/home", "HUGGINGFACE_HUB_CACHE": "~/older"},
        {"HUGGINGFACE_HUB_CACHE": "/older", "HF_HUB_CACHE": "$MIRROR/cache"},
        {"HF_HUB_OFFLINE": "yes"},
        {"HF_HUB_OFFLINE": "0"},
        {"HF_HUB_OFFLINE": "0", "TRANSFORMERS_OFFLINE": "1"},
        {"HF_HUB_OFFLINE": "", "TRANSFORMERS_OFFLINE": "True"},
    ],
)
def test_the_place_is_the_librarys(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    """Our reading of the environment, beside the library's own at its import."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for name, value in ({"MIRROR": "mirror"} | variables).items():
        monkeypatch.setenv(name, value)
    spec = importlib.util.find_spec("huggingface_hub.constants")
    assert spec is not None
    assert spec.loader is not None
    library = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(library)  # as if it was imported now
    assert hub_place() == HubPlace(
        library.ENDPOINT, Path(library.HF_HUB_CACHE), library.HF_HUB_OFFLINE
    )


def test_the_place_is_what_the_environment_says_now(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub.constants  # noqa: F401  # who has read it long ago

    for endpoint in ("http://127.0.0.1:1/", "https://mirror.example"):
        monkeypatch.setenv("HF_ENDPOINT", endpoint)
        assert hub_place().endpoint == endpoint.rstrip("/")
        assert hub_place().address == hub_place().host == endpoint.split("/")[2]


def test_progress_counts_what_is_here_and_what_arrives(tmp_path: Path) -> None:
    seen: list[Progress] = []
    meter = Meter(30, 100, seen.append)
    for _ in range(7):
        meter.add(10)
    assert (seen[0].done, seen[0].speed, seen[0].remaining) == (30, 0, None)
    assert (seen[-1].done, seen[-1].total) == (100, 100)
    assert seen[-1].remaining == 0
    file = RemoteFile("a/b", "c", "d", "e", 9, HubPlace("https://h", tmp_path, False))
    file.partial.parent.mkdir(parents=True)
    file.partial.write_bytes(b"1234")
    assert (Plan("x", (file,)).total, Plan("x", (file,)).here) == (9, 4)
    line = str(Progress(354_000_000, 788_000_000, 12_300_000))
    assert line == " 44 %   354 MB of 788 MB   12.3 MB/s   0:35 left"
    assert [clock(3725), size_text(3.49e9), size_text(12)] == ["1:02:05", "3.5 GB", "12 B"]
