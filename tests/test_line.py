"""Who asks, and how much of one caller and of all may wait or run at once: over HTTP."""

from __future__ import annotations

import json
import logging
import re
import threading
import urllib.error
from asyncio import Queue
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import Request

import gradio as gr
import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError
from starlette import requests

from mmdemo.settings import Network, proxies
from mmdemo.ui.serving import events
from mmdemo.ui.serving.callers import Callers, address_of
from mmdemo.ui.serving.line import _Messages, line_of, unheard
from mmdemo.ui.serving.sessions import KEPT, MOST_KEPT, Sessions
from mmdemo.ui.tabs.similarity import handlers as similarity_handlers
from mmdemo.ui.tabs.text import handlers as text_handlers
from mmdemo.ui.tabs.zero_shot import handlers as zero_shot_handlers
from tests.apps import App
from tests.conftest import visited_with
from tests.held import (
    MARK,
    MOST,
    HeldModel,
    answer,
    ask,
    call,
    ends,
    fire,
    join,
    messages,
    open_page,
    opened,
    post,
    upload,
)
from tests.waiting import wait_until

LABELS = "\n".join(f"{MARK} {number}" for number in range(1000))
RANKING = ["a query", "\n".join(f"{MARK} {number}" for number in range(50)), "held", 1, 1, 1]
ON_PAGE = {
    "query": RANKING[0],
    "passages": RANKING[1],
    "whole": False,
    "model": "held",
    "weights": (1, 1, 1),
    "language": "en",
}
"""A ranking as the page's tab asks for it."""


def classification(gallery: list[Any], language: str) -> dict[str, Any]:
    """Return a classification as the page's tab asks for it."""
    return {
        "pictures": gallery,
        "labels": LABELS,
        "templates": "{}",
        "reject": False,
        "models": ("held", "", ""),
        "language": language,
    }


def comparison(first: Any, second: Any, text: str, model: str, language: str) -> dict[str, Any]:
    """Return a comparison as the page's tab asks for it."""
    return {
        "image1": first,
        "image2": second,
        "text": text,
        "other": "",
        "model": model,
        "language": language,
    }


JOBS = "Classifications, rankings and embeddings of yours that wait or run already: 2"


def refused(url: str, endpoint: str, data: list[Any], source: str = "127.0.0.1") -> str:
    """Begin a call that is refused; return the sentence."""
    with pytest.raises(urllib.error.HTTPError) as told:
        call(url, endpoint, data, source)
    assert told.value.code == 429
    return json.load(told.value)["detail"]


def test_of_one_callers_classifications_two_run_and_the_others_are_answered_at_once(
    held: HeldModel, served: App, two_pictures: tuple[Path, Path]
) -> None:
    url = served.address
    first, second = (upload(url, path) for path in two_pictures)
    given = [[first], LABELS, "openai-7", False, "held"]

    def begin(_: int) -> str:
        try:
            return call(url, "classify", given, "127.0.0.2")
        except urllib.error.HTTPError as error:
            return json.load(error)["detail"]

    with ThreadPoolExecutor(8) as pool:
        told = list(pool.map(begin, range(200)))
    begun = [one for one in told if re.fullmatch("[0-9a-f]{32}", one)]
    assert len(begun) == 2
    assert all(JOBS in one for one in told if one not in begun)
    assert held.entered.acquire(timeout=MOST)
    assert JOBS in refused(url, "embed", [[], ["a text"]], "127.0.0.2")
    # They are one caller's alone.
    assert ask(url, "compare", [first, second, "a bird", "mini"])[0] == "complete"
    assert ask(url, "compare", [first, second, "a bird", "mini"], "127.0.0.2")[0] == "complete"
    other = call(url, "rank", RANKING, "127.0.0.3")
    counted = {"waiting": 0, "running": 3, "long": 3, "callers": 2, "pages": 0}
    wait_until(lambda: line_of(served.page).counts() == counted)
    held.gate.release(100_000)
    assert {answer(url, "classify", event)[0] for event in begun} == {"complete"}
    assert answer(url, "rank", other)[0] == "complete"
    wait_until(lambda: not line_of(served.page).event_ids_to_events)


def test_gradios_own_client_says_the_sentence(held: HeldModel, served: App) -> None:
    client = Client(served.address, verbose=False)
    wait_until(lambda: line_of(served.page).callers.pages == 1)
    jobs = [client.submit(*RANKING, api_name="/rank") for _ in range(3)]
    wait_until(lambda: sum(job.done() for job in jobs) == 1)
    [third] = [job for job in jobs if job.done()]
    with pytest.raises(AppError, match=JOBS):
        third.result()
    # Another client at the same place is another caller.
    other = Client(served.address, verbose=False)
    wait_until(lambda: line_of(served.page).callers.pages == 2)
    fourth = other.submit(*RANKING, api_name="/rank")
    held.gate.release(100_000)
    for job in (*(job for job in jobs if job is not third), fourth):
        assert job.result(MOST)["model"] == "held"


def test_a_page_is_told_in_its_language_and_a_newer_run_takes_the_place_of_an_older_one(
    held: HeldModel, tmp_path: Path, two_pictures: tuple[Path, Path]
) -> None:
    with visited_with(held, tmp_path, MMDEMO_LIMITS_JOBS="1") as app, ExitStack() as pages:
        page, url = app.page, app.address
        gallery = [{"image": upload(url, two_pictures[0]), "caption": None}]
        pages.enter_context(open_page(url, "a-page"))
        older = join(page, url, "a-page", text_handlers.run, ON_PAGE)
        assert held.entered.acquire(timeout=MOST)
        newer = join(page, url, "a-page", text_handlers.run, ON_PAGE | {"query": "another"})
        data = classification(gallery, "zh")
        third = join(page, url, "a-page", zero_shot_handlers.run, data)
        wait_until(lambda: older not in page._queue.event_ids_to_events)
        held.gate.release(100_000)
        heard = messages(url, "a-page")
        [toast] = [one for one in heard if one["msg"] == "log"]
        assert toast["event_id"] == third
        assert "您已有 1 个分类、排序或嵌入" in toast["log"]
        last = {one["event_id"]: one for one in heard if one["msg"] == "process_completed"}
        assert all(last[event]["success"] for event in (older, newer, third))
        changed = [value for value in last[third]["output"]["data"] if value is not None]
        assert changed == [{"__type__": "update"}] * len(changed)


def test_one_caller_has_a_number_of_places_whichever_way_it_comes(
    held: HeldModel, tmp_path: Path, two_pictures: tuple[Path, Path]
) -> None:
    with visited_with(held, tmp_path, MMDEMO_LIMITS_CALLER="2") as app, ExitStack() as pages:
        page, url = app.page, app.address
        first, second = (upload(url, path) for path in two_pictures)
        waiting = [first, second, MARK, "held"]
        on_page = comparison(first, second, MARK, "held", "en")
        call(url, "compare", waiting)
        # A session of one's own choice, where nobody holds a page open.
        join(page, url, "made-up", similarity_handlers.run, on_page)
        says = "2 of your requests wait or run already"
        assert says in refused(url, "compare", waiting)
        with pytest.raises(urllib.error.HTTPError) as told:
            join(page, url, "made-up-too", similarity_handlers.run, on_page)
        assert says in json.load(told.value)["detail"]
        with pytest.raises(urllib.error.HTTPError) as told:
            post(f"{url}/gradio_api/call/v2/models", {})
        assert says in json.load(told.value)["detail"]
        assert ask(url, "models", [], "127.0.0.2")[0] == "complete"
        # Pages at the same place are callers of their own.
        for session in ("one-page", "another-page"):
            pages.enter_context(open_page(url, session))
            join(page, url, session, similarity_handlers.run, on_page)
        held.gate.release(100_000)
        assert ends(url, "one-page")[0]["success"]
        wait_until(lambda: not page._queue.event_ids_to_events)
        assert ask(url, "models", [])[0] == "complete"


def test_the_line_is_bounded_for_all_together(held: HeldModel, tmp_path: Path) -> None:
    with visited_with(held, tmp_path, MMDEMO_LIMITS_LINE="3") as app:
        for number in range(3):
            call(app.address, "rank", RANKING, f"127.0.1.{number}")
        told = refused(app.address, "models", [], "127.0.2.1")
        assert "There are 3 requests in the line already" in told
        with opened(f"{app.address}/health", "127.0.2.1") as page:  # which is no request of it
            assert json.load(page)["queue"]["running"] == 3


def test_no_function_that_is_not_there_is_run(served: App) -> None:
    of_a_script = next(fn._id for fn in served.page.fns.values() if fn.fn is None)
    for index in (of_a_script, 10_000, -1):
        with pytest.raises(urllib.error.HTTPError) as told:
            post(
                f"{served.address}/gradio_api/queue/join",
                {"data": [], "fn_index": index, "session_hash": "made-up"},
            )
        assert told.value.code in (400, 500)


# Addresses.


@pytest.mark.parametrize(
    ("peer", "handed", "trusted", "address"),
    [
        ("203.0.113.5", "", "", "203.0.113.5"),
        ("203.0.113.5", "198.51.100.1", "", "203.0.113.5"),
        ("127.0.0.1", "198.51.100.1", "", "127.0.0.1"),
        ("127.0.0.1", "198.51.100.1", "127.0.0.1", "198.51.100.1"),
        ("127.0.0.1", "1.2.3.4, 198.51.100.1", "127.0.0.1", "198.51.100.1"),
        ("10.0.0.9", "1.2.3.4, 198.51.100.1, 10.1.2.3", "10.0.0.0/8", "198.51.100.1"),
        ("10.0.0.9", "1.2.3.4, nobody, 10.1.2.3", "10.0.0.0/8", "10.1.2.3"),
        ("10.0.0.9", "", "10.0.0.0/8", "10.0.0.9"),
        ("10.0.0.9", "198.51.100.1:4711", "10.0.0.0/8", "198.51.100.1"),
        ("10.0.0.9", "[2001:db8:1:2:3::4]:4711", "10.0.0.0/8", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "", "", "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.5", "", "", "203.0.113.5"),
        ("fe80::1%eth0", "", "", "fe80::/64"),
        ("", "198.51.100.1", "127.0.0.1", "unknown"),
    ],
)
def test_where_a_request_comes_from(
    monkeypatch: pytest.MonkeyPatch, peer: str, handed: str, trusted: str, address: str
) -> None:
    monkeypatch.setenv("MMDEMO_PROXY", trusted)
    scope = {
        "type": "http",
        "client": (peer, 1234) if peer else None,
        "headers": [(b"x-forwarded-for", one.encode()) for one in handed.split(", ") if one],
    }
    assert address_of(requests.HTTPConnection(scope)) == address


def test_on_a_space_the_platforms_proxy_is_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPACE_ID", "owner/space")
    headers = [(b"x-forwarded-for", b"1.2.3.4, 203.0.113.5, 10.20.30.40")]
    scope = {"type": "http", "client": ("10.16.1.2", 1234), "headers": headers}
    assert address_of(requests.HTTPConnection(scope)) == "203.0.113.5"
    scope["client"] = ("203.0.113.9", 1234)  # whoever gets there without it
    assert address_of(requests.HTTPConnection(scope)) == "203.0.113.9"
    trusted: tuple[Network, ...] = proxies()
    assert address_of(requests.HTTPConnection(scope), trusted) == "203.0.113.9"


def begin_ranking(url: str, handed: str) -> None:
    headers = {"x-forwarded-for": handed, "x-real-ip": handed, "forwarded": f"for={handed}"}
    post(f"{url}/gradio_api/call/rank", {"data": RANKING}, headers=headers)


def test_nobody_can_choose_his_address(
    held: HeldModel, served: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(2):
        begin_ranking(served.address, f"198.51.100.{number}")
    with pytest.raises(urllib.error.HTTPError) as told:
        begin_ranking(served.address, "198.51.100.77")
    assert JOBS in json.load(told.value)["detail"]
    # Behind a proxy of the owner's, what it appends counts, and not what stands before it.
    monkeypatch.setenv("MMDEMO_PROXY", "127.0.0.1")
    for number in range(2):
        begin_ranking(served.address, f"198.51.100.{number}, 203.0.113.5")
    with pytest.raises(urllib.error.HTTPError) as told:
        begin_ranking(served.address, "198.51.100.77, 203.0.113.5")
    assert JOBS in json.load(told.value)["detail"]
    begin_ranking(served.address, "198.51.100.77, 203.0.113.6")


# Who has left.


@pytest.mark.parametrize("handler", [text_handlers.run, zero_shot_handlers.run])
def test_a_page_that_closes_ends_its_long_work(
    held: HeldModel, served: App, two_pictures: tuple[Path, Path], handler: Any
) -> None:
    page, url = served.page, served.address
    gallery = [{"image": upload(url, two_pictures[0]), "caption": None}]
    data = {
        text_handlers.run: ON_PAGE,
        zero_shot_handlers.run: classification(gallery, "en"),
    }
    with open_page(url, "first"):
        running = join(page, url, "first", handler, data[handler])
        assert held.entered.acquire(timeout=MOST)
        with open_page(url, "second"):
            # This one waits for its turn at the model, which the first one has.
            waiting = join(page, url, "second", handler, data[handler])
            wait_until(lambda: held.encoder.waiting == 1)
            assert page._queue.event_ids_to_events[waiting].alive
        wait_until(lambda: waiting not in page._queue.event_ids_to_events)
        assert page._queue.event_ids_to_events[running].alive
    wait_until(lambda: running not in page._queue.event_ids_to_events)
    held.gate.release(2)  # the batch that ran, and the one that had waited for its turn
    wait_until(lambda: not any(thread.name == "work" for thread in threading.enumerate()))
    assert held.batches <= 2


def test_a_page_that_only_lost_its_heartbeat_gets_its_answer(held: HeldModel, served: App) -> None:
    page, url = served.page, served.address
    with ThreadPoolExecutor(1) as pool:
        with open_page(url, "a-page"):
            join(page, url, "a-page", text_handlers.run, ON_PAGE)
            assert held.entered.acquire(timeout=MOST)
            read = pool.submit(ends, url, "a-page")
            wait_until(lambda: "a-page" in line_of(page).callers._streams)
        wait_until(lambda: line_of(page).callers.pages == 0)
        held.gate.release(100_000)
        assert read.result(MOST)[0]["success"]


def test_work_can_ask_whether_anybody_waits_for_it(
    served: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, left = threading.Event(), threading.Event()

    def rows() -> list[Any]:
        alone = unheard()
        assert not alone()
        asked.set()
        while not alone():
            assert not left.wait(0.001)
        left.set()
        return []

    monkeypatch.setattr("mmdemo.ui.api.model_rows", rows)
    event = call(served.address, "models", [])
    assert asked.wait(MOST)
    with closing(read_and_leave(served.address, event)):
        assert left.wait(MOST)
    assert unheard()() is False  # where no request runs


def test_an_endpoints_job_has_its_seconds(held: HeldModel, tmp_path: Path) -> None:
    with visited_with(held, tmp_path, MMDEMO_LIMITS_SECONDS="1") as app:
        kind, told = ask(app.address, "rank", RANKING)
        assert kind == "error"
        assert "longer than the 1 seconds" in told["error"]


# What is kept of whom.


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def sessions() -> Sessions:
    with gr.Blocks() as page:
        gr.State([1])
    kept = Sessions(Callers(), Clock())
    kept.set_blocks(page)
    return kept


def kept(sessions: Sessions, now: float) -> set[str]:
    """Return the sessions that are kept at a time."""
    clock = sessions._clock
    assert isinstance(clock, Clock)
    clock.now = now
    sessions.delete_all_expired_state()
    return set(sessions.session_data)


def test_a_session_goes_an_hour_after_its_page(sessions: Sessions) -> None:
    callers = sessions._callers
    with callers.page("open"):
        with callers.page("closing"), callers.stream("reading"):
            names = ("open", "closing", "reading", "none", "used")
            for name in names:
                assert not sessions[name].is_closed
            assert kept(sessions, KEPT - 1) == set(names)
            assert sessions["used"]
            assert kept(sessions, KEPT + 1) == set(names) - {"none"}
            assert kept(sessions, 3 * KEPT) == {"open", "closing", "reading"}
        sessions.left("closing")
        assert kept(sessions, 4 * KEPT - 1) == {"open", "closing"}
        assert kept(sessions, 4 * KEPT + 1) == {"open"}
        sessions.left("never seen")
    assert not sessions.time_last_used.keys() - {"open"}


def test_of_sessions_without_a_page_the_last_ones_are_kept(sessions: Sessions) -> None:
    with sessions._callers.page("open"):
        assert sessions["open"]
        for number in range(MOST_KEPT + 2):
            assert sessions[str(number)]
            assert len(sessions.session_data) <= MOST_KEPT + 1
        assert sessions["2"]
        assert sessions["new"]
        found = kept(sessions, 1.0)
        assert len(found) == MOST_KEPT + 1
        assert {"open", "2", "4", "new"} <= found
        assert not {"0", "1", "3"} & found


def test_what_an_open_page_is_yet_to_read_is_never_pushed_out() -> None:
    callers, gone = Callers(), []
    messages = _Messages(callers.is_connected, gone.append)
    messages.max_size = 2
    with callers.page("open"):
        for session in ("open", "one", "two", "three"):
            messages[session] = Queue()
    assert list(messages) == ["open", "three"]
    assert gone == ["one", "two"]


def test_a_call_whose_answer_was_read_leaves_no_place_behind(served: App) -> None:
    for _ in range(3):
        assert ask(served.address, "models", [])[0] == "complete"
    line = line_of(served.page)
    wait_until(lambda: not line.pending_event_ids_session)
    assert not line.pending_messages_per_session


# What an owner sees.


def test_health_says_how_the_app_is_and_nothing_of_visitors(
    held: HeldModel, served: App, tmp_path: Path
) -> None:
    call(served.address, "rank", ["something private", *RANKING[1:]])
    assert held.entered.acquire(timeout=MOST)
    with opened(f"{served.address}/health") as answered:
        written = answered.read().decode()
    told = json.loads(written)
    assert told["status"] == "ok"
    assert re.fullmatch(r"\d+\.\d+\.\d+", told["version"])
    assert "held" in [model["name"] for model in told["models"]]
    assert told["memory"]["process_mb"] > 100
    assert told["queue"] == {"waiting": 0, "running": 1, "long": 1, "callers": 1, "pages": 0}
    for private in ("private", str(tmp_path), "127.0.0.1"):
        assert private not in written
    with opened(Request(f"{served.address}/health", method="HEAD")) as answered:
        assert answered.status == 200


def test_a_line_a_request_is_logged_and_nothing_that_it_holds(
    held: HeldModel,
    served: App,
    two_pictures: tuple[Path, Path],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "mmdemo.requests")
    page, url = served.page, served.address
    first, second = (upload(url, path) for path in two_pictures)
    ask(url, "compare", [first, second, "something private", "mini"])
    ask(url, "compare", [first, second, "private" * 10_000, "mini"])
    ask(url, "compare", [first, second, 5, "mini"])
    ask(url, "rank", ["private", "one\ntwo", "mini", 1, 1, 1])
    on_page = comparison(first, second, "private" * 10_000, "mini", "zh")
    fire(page, url, "a-page", similarity_handlers.run, on_page)
    fire(
        page, url, "a-page", text_handlers.reweigh, {"weights": (0, 1, 0), "language": "en"}
    )  # no task
    begun = [call(url, "rank", RANKING) for _ in range(2)]
    refused(url, "rank", RANKING)
    with closing(read_and_leave(url, begun[0])):
        wait_until(lambda: len(page._queue.event_ids_to_events) == 1)
    held.gate.release(100_000)
    wait_until(lambda: len(caplog.messages) == 8)
    lines = [dict(one.split("=") for one in line.split()) for line in caplog.messages]
    assert [(line["task"], line["model"], line["outcome"]) for line in lines] == [
        ("/compare", "mini", "ok"),
        ("/compare", "mini", "text_length"),
        ("/compare", "-", "refused"),
        ("/rank", "mini", "ok"),
        ("similarity.run", "-", "text_length"),
        ("/rank", "-", "jobs_many"),
        ("/rank", "held", "stopped"),
        ("/rank", "held", "ok"),
    ]
    assert all(line["ms"].isdecimal() and line["wait"].isdecimal() for line in lines)
    assert "private" not in caplog.text
    assert "127.0.0.1" not in "".join(caplog.messages)


def read_and_leave(url: str, event: str) -> HTTPResponse:
    """Begin to read a call's answer, and close the connection; return it."""
    place = urlsplit(url)
    connection = HTTPConnection(place.hostname or "", place.port, timeout=MOST)
    connection.request("GET", f"/gradio_api/call/rank/{event}")
    stream = connection.getresponse()
    assert stream.status == 200
    stream.close()
    connection.close()
    return stream


def test_a_page_with_a_password(held: HeldModel, tmp_path: Path) -> None:
    with visited_with(held, tmp_path, MMDEMO_PASSWORD="ann:a:b,bob:c") as app:
        for way in ("config", "gradio_api/info"):
            with pytest.raises(urllib.error.HTTPError) as told:
                opened(f"{app.address}/{way}")
            assert told.value.code == 401
        with pytest.raises(urllib.error.HTTPError) as told:
            call(app.address, "models", [])
        assert told.value.code == 401
        with opened(f"{app.address}/health") as answered:
            assert json.load(answered)["status"] == "ok"
        with pytest.raises(ValueError, match="Could not login"):
            Client(app.address, auth=("ann", "c"), verbose=False)
        client = Client(app.address, auth=("ann", "a:b"), verbose=False)
        assert client.predict(api_name="/models")[0]["name"] == "mini"


def test_no_thread_that_waits_for_a_model_keeps_others_from_theirs() -> None:
    groups = (events.SHORT, events.LONG, events.API, events.API_LONG)
    assert sum(group["concurrency_limit"] for group in groups) + 2 * events.OTHERS < events.THREADS
