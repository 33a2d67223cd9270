"""Decoding in processes of their own: the same pictures, and an end to what costs too much."""

from __future__ import annotations

import base64
import io
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from mmdemo.errors import MMDemoError, PictureError, SettingError, StoppedError
from mmdemo.images import (
    FORMATS,
    Asking,
    Picture,
    apart,
    as_sources,
    asking,
    decode_apart,
    open_image,
)
from mmdemo.images import files as picture_files
from mmdemo.images.apart import pool as processes
from mmdemo.images.apart import wire
from mmdemo.images.apart.pool import Decoders
from mmdemo.images.apart.turns import Turns
from mmdemo.images.opening import Read, as_seen, as_stored
from mmdemo.images.opening import opened as opened_here
from mmdemo.images.seen import Seen
from mmdemo.models.encoder import Encoder
from mmdemo.settings import Limits, decoded_apart
from mmdemo.ui import app as served
from mmdemo.ui.strings import ERRORS
from tests.apps import serving
from tests.conftest import ROOT
from tests.costly_pictures import HEADER, saved, with_scans
from tests.held import ask
from tests.waiting import wait_until

COLOURS = Image.fromarray(
    np.random.default_rng(0).integers(0, 256, (700, 90, 3), dtype=np.uint8)
).resize((180, 1400))
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.fixture(scope="module")
def decoders() -> Iterator[Decoders]:
    decoders = Decoders()
    yield decoders
    decoders.close()


@pytest.fixture
def own() -> Iterator[Callable[..., Decoders]]:
    """Make processes that a test may spoil."""
    made: list[Decoders] = []

    def make(**limits: Any) -> Decoders:
        made.append(Decoders(**limits))
        return made[-1]

    yield make
    for one in made:
        one.close()


def turned() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


def files() -> Iterator[tuple[str, bytes]]:
    for format in FORMATS:
        yield format, saved(format, COLOURS)
    for mode in ("1", "L", "LA", "P", "RGBA", "I;16"):
        wide = Image.fromarray(np.asarray(COLOURS.convert("L")).astype(np.uint16) * 200)
        yield f"PNG {mode}", saved("PNG", wide if mode == "I;16" else COLOURS.convert(mode))
    clear = COLOURS.convert("P")
    yield "PNG with a clear colour", saved("PNG", clear, transparency=3)
    yield "GIF with a clear colour", saved("GIF", clear, transparency=3)
    yield "palette with alpha", saved("PNG", COLOURS.convert("RGBA").quantize(16))
    for mode in ("CMYK", "L", "YCbCr"):
        yield f"JPEG {mode}", saved("JPEG", COLOURS.convert(mode))
    yield "large JPEG", saved("JPEG", COLOURS.resize((1400, 1300)), exif=turned())
    for mode in ("F", "I", "CMYK", "LAB", "RGBA"):
        yield f"TIFF {mode}", saved("TIFF", Image.new(mode, (30, 20), 7))
    yield "turned TIFF", saved("TIFF", COLOURS, exif=turned())
    yield "turned PNG with a profile", saved("PNG", COLOURS, exif=turned(), icc_profile=PROFILE)
    frames = [Image.new("RGB", COLOURS.size, "blue")]
    yield "animated WebP", saved("WEBP", COLOURS, save_all=True, append_images=frames)
    yield "several pictures", saved("MPO", COLOURS, save_all=True, append_images=frames)
    yield "metadata", saved("PNG", COLOURS, exif=HEADER + bytes(100_000))


def large_canvas() -> bytes:
    """Return a WebP that claims the largest size there is: memory is taken when it is opened."""
    data = bytearray(saved("WEBP", exif=turned()))
    assert data[12:16] == b"VP8X"
    data[24:30] = (16_382).to_bytes(3, "little") * 2
    return bytes(data)


@pytest.mark.parametrize("read", [as_seen, as_stored])
def test_pictures_are_the_same(read: Read, decoders: Decoders) -> None:
    for name, data in files():
        here, there = opened_here(data, Limits(), read), decoders.opened(data, Limits(), read)
        assert there.notes == here.notes, name
        one, other = here.image, there.image
        assert (other.mode, other.size) == (one.mode, one.size), name
        assert other.tobytes() == one.tobytes(), name
        assert other.info.keys() == one.info.keys(), name
        for key in ("exif", "transparency"):
            assert other.info.get(key) == one.info.get(key), name
        # A profile that is made while a picture is read holds the time of day.
        assert other.info.get("icc_profile", b"")[36:] == one.info.get("icc_profile", b"")[36:]
        if one.mode == "P":
            assert other.has_transparency_data == one.has_transparency_data, name
            assert other.convert("RGBA").tobytes() == one.convert("RGBA").tobytes(), name


@pytest.mark.parametrize(
    ("data", "bounds"),
    [
        (b"no picture", Limits()),
        (saved("PNG", COLOURS)[:500], Limits()),
        (with_scans(150), Limits()),
        (saved("PNG", COLOURS), Limits(pixels=1000)),
        (saved("PNG", COLOURS), Limits(aspect=2)),
        (large_canvas(), Limits()),
    ],
)
def test_errors_are_the_same(data: bytes, bounds: Limits, decoders: Decoders) -> None:
    told: list[MMDemoError] = []
    for opened in (opened_here, decoders.opened):
        with pytest.raises(PictureError) as caught:
            opened(data, bounds, as_seen)
        told.append(caught.value)
    here, there = told
    assert type(there) is type(here)
    assert (str(there), there.code, there.values) == (str(here), here.code, here.values)
    assert str(there.within("Picture 2", "picture_at", number=2)).startswith("Picture 2: ")


def test_a_process_decodes_many_pictures_for_many_threads(decoders: Decoders) -> None:
    pictures = [Image.new("RGB", (30 + number, 20), (number, 9, 9)) for number in range(40)]

    def ask(picture: Image.Image) -> Image.Image:
        return decoders.opened(saved("PNG", picture), Limits(), as_seen).image

    with ThreadPoolExecutor(8) as pool:
        for asked, got in zip(pictures, pool.map(ask, pictures), strict=True):
            assert got.tobytes() == asked.tobytes()
    assert 1 <= len(decoders._idle) <= processes.AT_ONCE


def refused(decoders: Decoders, data: bytes, bounds: Limits | None = None) -> PictureError:
    with pytest.raises(PictureError) as caught:
        decoders.opened(data, bounds or Limits(), as_seen)
    error = caught.value
    assert ERRORS[error.code]["zh"].format(**error.values)
    # The next picture is decoded all the same.
    assert decoders.opened(saved("PNG"), Limits(), as_seen).image.size == (10, 10)
    return error


def test_what_takes_too_long_is_ended(own: Callable[..., Decoders]) -> None:
    # Numbers in decimal digits, of which a processor's second is a few millions.
    slow = b"P3 3000 2000 255\n" + b"1 " * 9_000_000
    error = refused(own(seconds=0), slow)
    assert error.code == "decoding_slow"
    assert "longer to decode than the 0 seconds" in str(error)


def test_what_does_not_answer_is_ended(own: Callable[..., Decoders]) -> None:
    decoders = own(patience=0.2)
    opened = decoders.opened(saved("PNG"), Limits(), as_seen)
    assert opened.image.size == (10, 10)
    [process] = decoders._idle
    os.kill(process._process.pid, signal.SIGSTOP)
    with pytest.raises(PictureError, match="longer to decode"):
        decoders.opened(saved("PNG"), Limits(), as_seen)
    assert process._process.returncode == -signal.SIGKILL
    assert not decoders._idle


def test_what_needs_too_much_memory_is_refused(own: Callable[..., Decoders]) -> None:
    decoders = own(a_pixel=2)
    large = Image.new("RGBA", (12_000, 10_000), (9, 9, 9, 90))
    data = saved("PNG", large, compress_level=1)
    error = refused(decoders, data, Limits(pixels=large.width * large.height))
    assert error.code == "decoding_memory"
    assert "more memory" in str(error)


def test_a_process_that_ends_over_a_picture_is_replaced(own: Callable[..., Decoders]) -> None:
    decoders = own()
    decoders.opened(saved("PNG"), Limits(), as_seen)
    [process] = decoders._idle
    os.kill(process._process.pid, signal.SIGSTOP)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(decoders.opened, saved("PNG"), Limits(), as_seen)
        wait_until(lambda: not decoders._idle)
        os.kill(process._process.pid, signal.SIGSEGV)
        os.kill(process._process.pid, signal.SIGCONT)
        with pytest.raises(PictureError, match="ended the program that decodes"):
            asked.result()
    assert refused(decoders, b"no picture").code == "text_file"


def test_a_process_that_ended_unseen_costs_no_picture(own: Callable[..., Decoders]) -> None:
    decoders = own()
    decoders.opened(saved("PNG"), Limits(), as_seen)
    [process] = decoders._idle
    os.kill(process._process.pid, signal.SIGKILL)
    process._process.wait()
    assert decoders.opened(saved("PNG"), Limits(), as_seen).image.size == (10, 10)
    assert decoders._idle != [process]


def test_a_process_that_does_not_start_is_told(
    own: Callable[..., Decoders], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(processes, "_MAIN", "raise SystemExit(3)")
        with pytest.raises(PictureError, match="does not start"):
            own().opened(saved("PNG"), Limits(), as_seen)
        patch.setattr(sys, "executable", "/no/such/python")
        with pytest.raises(PictureError, match="does not start") as caught:
            own().opened(saved("PNG"), Limits(), as_seen)
    assert caught.value.code == "decoder_missing"
    assert "No process can be started" in caplog.text


def test_it_has_no_secret_and_can_open_no_file(
    own: Callable[..., Decoders], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("MMDEMO_PASSWORD", "me:secret")
    decoders = own()
    decoders.opened(saved("PNG"), Limits(), as_seen)
    [process] = decoders._idle
    place = Path("/proc") / str(process._process.pid)
    assert b"secret" not in (place / "environ").read_bytes()
    rows = (place / "limits").read_text().splitlines()
    allowed = {row[:25].strip(): row[25:].split()[:2] for row in rows}
    assert allowed["Max file size"] == allowed["Max core file size"] == ["0", "0"]
    most = int(allowed["Max open files"][1])
    assert most <= len(list((place / "fd").iterdir())) + 1
    assert allowed["Max address space"][0] != "unlimited"


def test_no_process_outlives_the_one_that_started_it(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(saved("PNG"))
    script = (
        "import sys, signal; from mmdemo.images import apart, decode_apart, open_image\n"
        "decode_apart(True); open_image(sys.argv[1])\n"
        "print(apart._decoders._idle[0]._process.pid, flush=True); signal.pause()"
    )
    for ending in (signal.SIGKILL, signal.SIGTERM):
        with subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path / "a.png")],
            stdout=subprocess.PIPE,
            cwd=ROOT,
            text=True,
        ) as parent:
            assert parent.stdout is not None
            place = Path("/proc") / parent.stdout.readline().strip() / "cmdline"
            assert b"apart" in place.read_bytes()
            parent.send_signal(ending)
            parent.wait()
        wait_until(lambda place=place: not place.exists() or not place.read_bytes())


class Crowd:
    """Threads that wait for turns, each for a caller."""

    def __init__(self, turns: Turns) -> None:
        self.turns, self.order = turns, []
        self._threads: list[threading.Thread] = []

    def wait(self, caller: str | None, unwanted: Callable[[], bool] = lambda: False) -> None:
        """Have somebody wait, and return when they do."""
        before = len(self.turns._waiting)
        self._threads.append(threading.Thread(target=self._take, args=(caller, unwanted)))
        self._threads[-1].start()
        wait_until(lambda: len(self.turns._waiting) == before + 1)

    def end(self) -> list[str | None]:
        """Return in which order they came in, and were stopped."""
        for thread in self._threads:
            thread.join()
        assert not self.turns._waiting
        assert not self.turns._inside
        return self.order

    def _take(self, caller: str | None, unwanted: Callable[[], bool]) -> None:
        asking.set(Asking(caller, unwanted))
        try:
            with self.turns.one():
                self.order.append(caller)
        except StoppedError:
            self.order.append(f"{caller} stopped")


def test_who_was_served_longest_ago_goes_first() -> None:
    crowd = Crowd(Turns(1))
    with crowd.turns.one():
        for caller in ("a", "a", "a", "b", "b", "c"):
            crowd.wait(caller)
    assert crowd.end() == ["a", "b", "c", "a", "b", "a"]


def test_those_who_are_nobody_else_take_turns_as_they_come() -> None:
    crowd = Crowd(Turns(1))
    with crowd.turns.one():
        for _ in range(3):
            crowd.wait(None)
    assert crowd.end() == [None] * 3


def test_a_caller_has_one_turn_and_leaves_the_other_to_others() -> None:
    crowd = Crowd(Turns(2))
    before = asking.set(Asking("a"))
    with crowd.turns.one():
        crowd.wait("a")
        threading.Thread(target=crowd._take, args=("b", lambda: False)).start()
        wait_until(lambda: crowd.order == ["b"])
        assert len(crowd.turns._waiting) == 1
    assert crowd.end() == ["b", "a"]
    asking.reset(before)


def test_a_picture_that_nobody_wants_any_more_waits_no_longer() -> None:
    crowd, gone = Crowd(Turns(1)), threading.Event()
    with crowd.turns.one():
        crowd.wait("a", gone.is_set)
        gone.set()
        wait_until(lambda: crowd.order == ["a stopped"])
    assert crowd.end() == ["a stopped"]


def test_several_pictures_are_asked_for_by_one_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    callers: list[object] = []

    def noted(*given: Any) -> Seen:
        callers.append(asking.get().caller)
        return opened_here(*given)

    monkeypatch.setattr(picture_files, "opened", noted)
    before = asking.set(Asking("a"))
    as_sources(*(saved("PNG", Image.new("RGB", (51 + side, 8))) for side in range(3)))
    asking.reset(before)
    assert callers == ["a"] * 3


def test_two_pictures_are_decoded_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    running, most, lock = 0, 0, threading.Lock()
    together = threading.Barrier(2)

    def held(*given: Any) -> Seen:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        together.wait()
        seen = opened_here(*given)
        with lock:
            running -= 1
        return seen

    monkeypatch.setattr(picture_files, "opened", held)
    as_sources(*(saved("PNG", Image.new("RGB", (31 + side, 8))) for side in range(6)))
    assert most == 2


@pytest.fixture
def on_a_page() -> Iterator[None]:
    decode_apart(True)
    yield
    decode_apart(False)


@pytest.mark.usefixtures("on_a_page")
def test_a_picture_of_the_page_is_decoded_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "opened_here", None)
    data = saved("PNG", Image.new("RGB", (33, 44), "red"))
    assert Picture(data).open().size == open_image(data).size == (33, 44)
    assert Picture(data, unchanged=True).open().mode == "RGB"
    with pytest.raises(PictureError, match="at most 1 MB"):
        open_image(bytes(1_000_001), Limits(upload_mb=1))
    assert apart._decoders is not None
    decode_apart(True)
    assert apart._decoders._idle


def test_a_public_page_has_pictures_decoded_apart(
    tmp_path: Path, mini: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    callers: list[object] = []
    take = Turns.one

    def noted(turns: Turns) -> Any:
        callers.append(asking.get().caller)
        return take(turns)

    monkeypatch.setattr(Turns, "one", noted)
    pictures = [
        "data:image/png;base64," + base64.b64encode(saved("PNG", picture)).decode()
        for picture in (COLOURS.resize((90, 80)), COLOURS.resize((80, 90)))
    ]
    try:
        with serving(tmp_path, MMDEMO_DECODER="process") as app, app.visited():
            monkeypatch.setattr(apart, "opened_here", None)
            kind, told = ask(app.address, "compare", [*pictures, "a bee", "mini"])
    finally:
        decode_apart(False)
    assert kind == "complete", told
    # Nobody asks for the pictures of a background set, which may be measured meanwhile.
    assert {caller for caller in callers if caller is not None} == {"address 127.0.0.1"}
    assert len(callers) >= 2


@pytest.mark.parametrize(
    ("settings", "chosen"),
    [
        ({}, False),
        ({"GRADIO_SERVER_NAME": "127.0.0.1"}, False),
        ({"GRADIO_SERVER_NAME": "0.0.0.0"}, True),
        ({"SPACE_ID": "me/it"}, True),
        ({"GRADIO_SHARE": "True"}, True),
        ({"GRADIO_ROOT_PATH": "/it"}, True),
        ({"MMDEMO_PATHS": "0"}, True),
        ({"MMDEMO_PATHS": "1"}, False),
        ({"SPACE_ID": "me/it", "MMDEMO_PATHS": "1"}, True),
        ({"SPACE_ID": "me/it", "MMDEMO_DECODER": "thread"}, False),
        ({"MMDEMO_DECODER": " Process "}, True),
    ],
)
def test_where_strangers_come_pictures_are_decoded_apart(
    settings: dict[str, str], chosen: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    assert decoded_apart() is chosen


def test_a_decoder_that_makes_no_sense_is_told_at_the_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MMDEMO_DECODER", "gpu")
    with pytest.raises(SettingError, match="MMDEMO_DECODER is 'gpu'; it takes process"):
        served.launch()


def sent(seen: Seen) -> tuple[dict[str, Any], bytes]:
    pipe = io.BytesIO()
    wire.send_seen(pipe, seen)
    pipe.seek(0)
    return wire.receive(pipe), pipe.read()


@pytest.mark.parametrize(
    "changed",
    [
        {"size": [10_000, 10_000]},
        {"size": [-10, -10]},
        {"size": [10]},
        {"size": "10"},
        {"mode": "none"},
        {"mode": None},
        {"notes": [{"code": "x"}]},
        {"info": {"exif": {"bytes": 3}}},
        {"info": None},
        {"palette": [1, 2, 3]},
        {"palette": ["none", [1]]},
    ],
)
def test_nothing_is_taken_from_a_process_that_others_took_over(changed: dict[str, Any]) -> None:
    told, pixels = sent(Seen(Image.new("P", (10, 10))))
    assert wire.receive_seen(io.BytesIO(pixels), told, Limits(pixels=100)).image.size == (10, 10)
    with pytest.raises(wire.WireError):
        wire.receive_seen(io.BytesIO(pixels), told | changed, Limits(pixels=100))


@pytest.mark.parametrize(
    "data",
    [
        b"123",
        (10).to_bytes(8, "big") + b"{}",
        (2).to_bytes(8, "big") + b"[]",
        (2).to_bytes(8, "big") + b"{x",
        (10**15).to_bytes(8, "big") + b"{}",
        (100_000).to_bytes(8, "big") + b"[" * 100_000,
    ],
)
def test_what_is_no_answer_is_no_answer(data: bytes) -> None:
    with pytest.raises(wire.WireError):
        wire.receive(io.BytesIO(data))
    with pytest.raises(EOFError):
        wire.receive(io.BytesIO())
    for told in ({}, {"message": "x", "code": "y", "values": 3, "places": []}):
        with pytest.raises(wire.WireError):
            wire.error_told(told)
