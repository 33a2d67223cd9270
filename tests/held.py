"""A family of models that stands still until told to go on, and requests as a page makes them."""

from __future__ import annotations

import json
import sys
import threading
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any
from urllib.parse import urlsplit

import gradio as gr
import numpy as np
import pytest
from gradio_client.utils import apply_diff
from numpy.typing import NDArray

from mmdemo.background import measure
from mmdemo.background.sets import Background
from mmdemo.encoders.base import Features, Tokens
from mmdemo.encoders.spec import ModelSpec
from mmdemo.errors import ModelError
from mmdemo.models import find, pool
from mmdemo.models.encoder import Encoder
from mmdemo.models.files import fingerprint
from mmdemo.types import Token
from mmdemo.work import Follow
from tests.fakes import FakeModel, written
from tests.waiting import MOST

END = "process_completed"

MARK = "long"
"""A batch whose first text holds it is what stands still."""


class HeldModel(FakeModel):
    """Reads pictures and texts at once, but for texts with the mark: those wait at `gate`.

    Attributes:
        gate: each release lets one batch go on.
        entered: released by each batch that waits.
        batches: how many have waited.
        encoder: what the app has of it.
    """

    representations = frozenset({"dense", "multi_vector"})
    languages = ("multilingual",)
    logit_scale = 100.0
    batch_tokens = 1  # each prompt and each passage is a batch
    encoder: Encoder

    def __init__(self, name: str, *_files: Path) -> None:
        self.name = name
        self.gate = threading.Semaphore(0)
        self.entered = threading.Semaphore(0)
        self.batches = 0

    def text_vectors(self, texts: Sequence[Tokens]) -> NDArray[np.float32]:
        if MARK in written(texts[0]):
            self.batches += 1
            self.entered.release()
            assert self.gate.acquire(timeout=MOST)
        return super().text_vectors(texts)

    def image_features(self, pictures: Sequence[Any]) -> list[Features]:
        return [np.full(4, 0.5, dtype=np.float32) for _ in pictures]

    def tokens(self, text: str) -> list[Token]:
        return [Token(text, 0, len(text), 1, None)]


def _unmeasured(_: Follow) -> Background:
    raise ModelError("Not measured.", "unmeasured")


def offer_held(monkeypatch: pytest.MonkeyPatch, folder: Path) -> HeldModel:
    """Put the family among the models, as `held`; return its one model."""
    (folder / "weights").write_text("none")
    spec = ModelSpec(
        name="held",
        title="Held",
        architecture="held:HeldModel",
        source="local",
        modalities=("text", "image", "fused"),
        representations=("dense", "multi_vector"),
        fusion="averaged",
        dim=4,
        languages=("multilingual",),
        size_mb=0.0,
        licence="",
        local=(folder / "weights",),
    )
    module = ModuleType("mmdemo.encoders.held")
    module.HeldModel = HeldModel  # pyright: ignore[reportAttributeAccessIssue]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    models = MappingProxyType({**find.MODELS, spec.name: spec})
    monkeypatch.setattr(find, "MODELS", models)
    # Nothing else may run it.
    measure._works.start((spec.name, fingerprint(spec)), _unmeasured).wait()
    encoder = pool.load_encoder(spec)
    with encoder._source.lease() as model:
        assert isinstance(model, HeldModel)
        model.encoder = encoder
        return model


HERE = "127.0.0.1"
"""Where requests come from, unless they say something else: all of 127.0.0.0/8 is this machine."""


class _From(urllib.request.HTTPHandler):
    """Connects from an address of one's choice."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self._connection = partial(HTTPConnection, source_address=(source, 0))

    def http_open(self, req: urllib.request.Request) -> HTTPResponse:
        return self.do_open(self._connection, req)


def opened(request: urllib.request.Request | str, source: str = HERE) -> Any:
    """Send a request from an address; return the answer, to be read."""
    return urllib.request.build_opener(_From(source)).open(request, timeout=MOST)


def post(
    address: str,
    body: dict[str, Any],
    source: str = HERE,
    headers: Mapping[str, str] = MappingProxyType({}),
) -> Any:
    """Send JSON, as a program does that was written by hand; return the JSON of the answer."""
    # `json.dumps` writes NaN, and half of a sign as \\ud800.
    given = json.dumps(body).encode()
    told = {"content-type": "application/json", **headers}
    with opened(urllib.request.Request(address, given, told), source) as answer:
        return json.load(answer)


def call(url: str, endpoint: str, data: list[Any], source: str = HERE) -> str:
    """Begin a call of an endpoint; return its event."""
    return post(f"{url}/gradio_api/call/{endpoint}", {"data": data}, source)["event_id"]


def answer(url: str, endpoint: str, event: str) -> tuple[str, Any]:
    """Wait for a call's end; return how it ended, `complete` or `error`, and with what."""
    with opened(f"{url}/gradio_api/call/{endpoint}/{event}") as stream:
        kind, _, data = stream.read().decode().rstrip().rpartition("\nevent: ")[2].partition("\n")
    told = json.loads(data.removeprefix("data: "))
    return kind.removeprefix("event: "), told[0] if isinstance(told, list) else told


def ask(url: str, endpoint: str, data: list[Any], source: str = HERE) -> tuple[str, Any]:
    """Call an endpoint and wait for the end."""
    return answer(url, endpoint, call(url, endpoint, data, source))


@contextmanager
def open_page(url: str, session: str) -> Iterator[None]:
    """Keep the stream open that a page keeps open as long as it is."""
    place = urlsplit(url)
    connection = HTTPConnection(place.hostname or "", place.port, timeout=MOST)
    connection.request("GET", f"/gradio_api/heartbeat/{session}")
    stream = connection.getresponse()
    assert stream.readline() == b"data: ALIVE\n"
    try:
        yield
    finally:
        stream.close()
        connection.close()


def join(
    page: gr.Blocks,
    url: str,
    session: str,
    handler: object,
    given: dict[str, Any],
    source: str = HERE,
) -> str:
    """Do what a page does at an event: have a handler run in its session; return the event.

    Args:
        page: what gradio knows of it.
        url: its address.
        session: of the page.
        handler: what is wired to the event.
        given: values of its fields, by name.
        source: the address that the request comes from.
    """
    fn = next(fn for fn in page.fns.values() if getattr(fn.fn, "handler", None) is handler)
    wiring: Any = fn.fn
    body = {"data": fn.fn.wiring.payload(**given), "fn_index": fn._id, "session_hash": session}
    return post(f"{url}/gradio_api/queue/join", body, source)["event_id"]


def fire(
    page: gr.Blocks, url: str, session: str, handler: object, given: dict[str, Any]
) -> list[Any]:
    """Do what a page does at an event, and wait for the end; return what it shows."""
    join(page, url, session, handler, given)
    told = messages(url, session)
    # Of a generator the first comes whole, others as what is different, and the last once more.
    steps = [one["output"]["data"] for one in told if one["msg"] == "process_generating"]
    if not steps:
        return next(one["output"]["data"] for one in told if one["msg"] == END)
    answers = steps[:1]
    for step in steps[1:]:
        answers.append([apply_diff(*one) for one in zip(answers[-1], step, strict=True)])
    shown = answers[0]
    for one in answers[1:]:
        shown = [old if _skipped(new) else new for old, new in zip(shown, one, strict=True)]
    return shown


def ends(url: str, session: str) -> list[dict[str, Any]]:
    """Read what a session is told, until nothing of it waits or runs; return each event's end."""
    return [one for one in messages(url, session) if one["msg"] == END]


def messages(url: str, session: str) -> list[dict[str, Any]]:
    """Read what a session is told, until nothing of it waits or runs."""
    with opened(f"{url}/gradio_api/queue/data?session_hash={session}") as stream:
        return [json.loads(line[5:]) for line in stream if line.startswith(b"data:")]


def _skipped(value: Any) -> bool:
    return isinstance(value, dict) and set(value) <= {"__type__", "props"}


def upload(url: str, path: Path) -> dict[str, Any]:
    """Upload a picture; return what a request says of it."""
    mark = "x3fb2c"
    head = (
        f'--{mark}\r\nContent-Disposition: form-data; name="files"; filename="{path.name}"\r\n\r\n'
    )
    body = head.encode() + path.read_bytes() + f"\r\n--{mark}--\r\n".encode()
    kind = {"content-type": f"multipart/form-data; boundary={mark}"}
    request = urllib.request.Request(f"{url}/gradio_api/upload", body, kind)
    with urllib.request.urlopen(request, timeout=MOST) as done:
        return {"path": json.load(done)[0], "meta": {"_type": "gradio.FileData"}}
