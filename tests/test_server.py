"""What one visitor's work costs the others: places in the queue, memory, work that nobody wants."""

from __future__ import annotations

import http.client
import json
import os
import threading
import urllib.error
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import gradio as gr
import pytest
from gradio_client import Client

from mmdemo.tasks.classify import ClassifyRequest
from mmdemo.tasks.embed import EmbedRequest
from mmdemo.tasks.rank import RankRequest
from mmdemo.ui.tabs.similarity import handlers as similarity_handlers
from mmdemo.ui.tabs.similarity.handlers import Results
from mmdemo.ui.tabs.text import handlers as text_handlers
from mmdemo.ui.tabs.zero_shot import handlers as zero_shot_handlers
from tests.apps import App
from tests.held import (
    MARK,
    MOST,
    HeldModel,
    answer,
    ask,
    call,
    fire,
    join,
    open_page,
    post,
    upload,
)
from tests.waiting import wait_until

LABELS = "\n".join(f"{MARK} {number}" for number in range(1000))
PASSAGES = "\n".join(f"{MARK} {number}" for number in range(50))


def classification(picture: dict[str, Any]) -> list[Any]:
    """Return what a call of /classify is given that takes long."""
    return [[picture], LABELS, "openai-7", False, "held"]


def long_calls(url: str, picture: dict[str, Any], source: str) -> list[tuple[str, str]]:
    """Begin a classification and a ranking that take long; return endpoint and event."""
    ranking = ["a query", PASSAGES, "held", 1, 1, 1]
    given = [("classify", classification(picture)), ("rank", ranking)]
    return [(endpoint, call(url, endpoint, data, source)) for endpoint, data in given]


def compared(page: gr.Blocks, url: str, first: dict[str, Any], second: dict[str, Any]) -> None:
    """Compare on a page, with `mini`, and see that it gets its numbers."""
    given = {"image1": first, "image2": second, "text": "a bird", "model": "mini", "language": "en"}
    shown = Results(*fire(page, url, "a-page", similarity_handlers.run, given))
    assert "384 values" in shown.details


def test_four_long_calls_keep_nobody_else_waiting(
    held: HeldModel, served: App, two_pictures: tuple[Path, Path]
) -> None:
    page, url = served.page, served.address
    first, second = (upload(url, path) for path in two_pictures)
    events = [*long_calls(url, first, "127.0.0.2"), *long_calls(url, first, "127.0.0.3")]
    assert held.entered.acquire(timeout=MOST)
    kind, result = ask(url, "compare", [first, second, "a bird", "mini"])
    assert (kind, result["model"]) == ("complete", "mini")
    compared(page, url, first, second)
    held.gate.release(100_000)
    assert [answer(url, *event)[0] for event in events] == ["complete"] * 4


def test_what_a_page_computes_long_keeps_no_comparison_waiting(
    held: HeldModel, served: App, two_pictures: tuple[Path, Path]
) -> None:
    """Four visitors classify on the page; a fifth compares."""
    page, url = served.page, served.address
    first, second = (upload(url, path) for path in two_pictures)
    gallery = [{"image": first, "caption": None}]
    given = {"pictures": gallery, "labels": LABELS, "templates": "{}", "reject": False}
    data = given | {"models": ("held", "", ""), "language": "en"}
    with ExitStack() as pages:
        for number in range(4):
            pages.enter_context(open_page(url, f"visitor-{number}"))
            join(page, url, f"visitor-{number}", zero_shot_handlers.run, data)
        assert held.entered.acquire(timeout=MOST)
        compared(page, url, first, second)
        kind, _ = ask(url, "compare", [first, second, "a bird", "mini"])
        assert kind == "complete"


def test_a_model_that_works_long_lets_a_comparison_in_between(
    held: HeldModel,
    served: App,
    two_pictures: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One model, many prompts: between two steps of a classification, a comparison gets in."""
    # A comparison has several parts: none may be late, however slow the machine is.
    monkeypatch.setattr("mmdemo.models.lane._NEXT", MOST)
    monkeypatch.setattr("mmdemo.models.lane._PATIENCE", MOST)
    url = served.address
    first, second = (upload(url, path) for path in two_pictures)
    event = call(url, "classify", [[first], LABELS, "openai-7", False, "held"])
    assert held.entered.acquire(timeout=MOST)
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(ask, url, "compare", [first, second, "a bird", "held"])
        wait_until(lambda: held.encoder.waiting == 1)
        held.gate.release()  # one batch of many
        assert other.result(MOST)[0] == "complete"
    assert held.batches <= 2
    held.gate.release(100_000)
    assert answer(url, "classify", event)[0] == "complete"


@pytest.mark.parametrize(
    ("endpoint", "request_type"),
    [("classify", ClassifyRequest), ("rank", RankRequest), ("embed", EmbedRequest)],
)
def test_work_ends_when_its_caller_has_gone(
    endpoint: str,
    request_type: type,
    held: HeldModel,
    served: App,
    two_pictures: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    page, url = served.page, served.address
    ended = threading.Event()
    run = request_type.run  # pyright: ignore[reportAttributeAccessIssue]

    def until_its_end(*given: Any, **named: Any) -> Any:
        try:
            return run(*given, **named)
        finally:
            ended.set()

    monkeypatch.setattr(request_type, "run", until_its_end)
    picture = upload(url, two_pictures[0])
    data = {
        "classify": [[picture], LABELS, "openai-7", False, "held"],
        "rank": ["a query", PASSAGES, "held", 1, 1, 1],
        "embed": [[], PASSAGES.splitlines(), False, "held"],
    }
    event = call(url, endpoint, data[endpoint])
    assert held.entered.acquire(timeout=MOST)
    waiting = page._queue.event_ids_to_events[event]
    place = urlsplit(url)
    connection = http.client.HTTPConnection(place.hostname or "", place.port)
    connection.request("GET", f"/gradio_api/call/{endpoint}/{event}")
    stream = connection.getresponse()
    assert stream.status == 200
    assert waiting.alive
    stream.close()
    connection.close()
    wait_until(lambda: not waiting.alive)
    # It does not wait for the step that runs.
    wait_until(lambda: event not in page._queue.event_ids_to_events)
    held.gate.release()
    assert ended.wait(MOST)
    assert held.batches == 1
    # Its place is free.
    assert ask(url, "rank", ["a query", "one\ntwo", "held", 1, 1, 1])[0] == "complete"


def test_nothing_goes_around_the_queue(served: App) -> None:
    page, url = served.page, served.address
    for way in ("run", "api"):
        with pytest.raises(urllib.error.HTTPError) as refused:
            post(f"{url}/gradio_api/{way}/models", {"data": []})
        assert refused.value.code == 404
    assert ask(url, "models", [])[0] == "complete"
    assert Client(url, verbose=False).predict(api_name="/models")[0]["name"] == "mini"
    # Only what has no function of the server's is beside the queue.
    assert all(fn.queue for fn in page.fns.values() if fn.fn is not None)
    groups = {fn.concurrency_id for fn in page.fns.values() if fn.api_visibility == "public"}
    assert groups == {"api", "api-long"}


def test_an_endpoint_that_there_is_not_is_told(
    served: App, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        post(f"{served.address}/gradio_api/call/compares", {"data": []})
    assert refused.value.code == 404
    assert "There is no endpoint of this name" in json.load(refused.value)["detail"]
    assert "Traceback" not in caplog.text


def memory() -> float:
    """Return what this process holds, in megabytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def test_a_call_leaves_nothing_and_a_page_keeps_its_results(
    served: App,
) -> None:
    page, url = served.page, served.address
    given = {"query": "a query", "passages": "one\ntwo", "whole": False, "model": "held"}
    given |= {"weights": (1, 1, 1), "language": "en"}
    fire(page, url, "a-page", text_handlers.run, given)
    with ThreadPoolExecutor(4) as pool:

        def some(count: int) -> None:
            kinds = {kind for kind, _ in pool.map(lambda _: ask(url, "models", []), range(count))}
            assert kinds == {"complete"}

        some(50)  # what the first ones need once
        before, sessions = memory(), len(page.state_holder.session_data)
        some(400)
        assert memory() - before < 10
    assert len(page.state_holder.session_data) == sessions == 1
    weights = {"weights": (0, 1, 0), "language": "en"}
    columns, *_ = fire(page, url, "a-page", text_handlers.reweigh, weights)
    assert "one" in columns
    assert "two" in columns
