"""The measures behind the model card, against numbers worked out by hand; and that others run.

Of the load: that every run asks for the same, and that each kind of answer is told from the others.
"""

from __future__ import annotations

import re
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from bench import bge_m3
from bench.callers import Caller, events
from bench.measures import (
    bootstrap_interval,
    expected_calibration_error,
    modality_gap,
    recall_at_k,
    softmax,
    subset_accuracy,
    top_k_accuracy,
)
from bench.mixture import Request, call, requests, upload_shipped
from bench.tables import spread

SCORES = np.array([[0.9, 0.1, 0.5], [0.2, 0.3, 0.4], [0.7, 0.7, 0.1]])
TRUTH = np.array([0, 1, 1])


def test_top_k_counts_ties_against_the_right_label() -> None:
    assert top_k_accuracy(SCORES, TRUTH, 1).tolist() == [True, False, False]
    assert top_k_accuracy(SCORES, TRUTH, 2).tolist() == [True, True, True]


def test_subsets_of_all_labels_are_plain_accuracy() -> None:
    full = subset_accuracy(SCORES, TRUTH, 1, size=3, draws=4)
    assert full.tolist() == [1.0, 0.0, 0.0]
    # Two labels: the second row meets 0.2, which it beats, or 0.4, which it does not.
    half = subset_accuracy(SCORES, TRUTH, 1, size=2, draws=400)
    assert half[0] == 1.0
    assert half[1] == pytest.approx(0.5, abs=0.08)


def test_recall_takes_any_relevant_candidate() -> None:
    relevant = np.array([[False, True, True], [False, False, True], [True, False, False]])
    assert recall_at_k(SCORES, relevant, 1).tolist() == [False, True, False]
    assert recall_at_k(SCORES, relevant, 2).tolist() == [True, True, True]


def test_softmax_rows() -> None:
    np.testing.assert_allclose(softmax(np.log([[1.0, 3.0]]) + 800), [[0.25, 0.75]])


def test_calibration_error_of_two_bins() -> None:
    confidence = np.array([0.95, 0.95, 0.55, 0.55])
    right = np.array([True, False, True, True])
    # |0.95 - 0.5| and |0.55 - 1.0|, half of the predictions each.
    assert expected_calibration_error(confidence, right) == pytest.approx(0.45)


def test_modality_gap_is_the_distance_of_the_centroids() -> None:
    assert modality_gap(np.array([[1.0, 0], [0, 1]]), np.array([[0.5, 0.1]])) == pytest.approx(0.4)


def test_interval_holds_the_mean_and_narrows() -> None:
    few, many = (bootstrap_interval(np.arange(n) % 2 == 0) for n in (10, 1000))
    assert few.low < few.mean == 0.5 < few.high
    assert many.high - many.low < few.high - few.low


def test_bge_m3_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small = {
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "vocab_size": 20,
        "max_position_embeddings": 514,
    }
    monkeypatch.setattr(bge_m3, "CONFIG", bge_m3.CONFIG | small)
    monkeypatch.setattr(
        sys, "argv", ["bge_m3", "--keep", str(tmp_path), "--tokens", "32", "--rounds", "1"]
    )
    bge_m3.main()
    printed = capsys.readouterr().out
    assert re.search(r"^\| 32 \| \d\.\d\d \| \d\.\d\d \|", printed, re.M)
    assert re.search(r"^\| one by one \| \d+\.\d \| 1\.00 x \|", printed, re.M)
    assert len(list(tmp_path.iterdir())) == 6


def test_a_visitor_asks_for_the_same_in_every_run() -> None:
    first, again, other = (list(islice(requests(*who), 20)) for who in [(3, 1), (3, 1), (3, 2)])
    assert first == again
    assert not set(first) & set(other)


def test_seven_of_ten_requests_are_a_new_text() -> None:
    for start in (0, 10):
        kinds = Counter(one.kind for one in islice(requests(0), start, start + 10))
        assert kinds == {"text": 7, "pictures": 1, "classify": 1, "rank": 1}


def test_what_is_asked_for_is_new() -> None:
    asked = list(islice(requests(0), 40))
    texts = [text for one in asked for text in (one.text, *one.texts) if text]
    pictures = [picture for one in asked for picture in one.pictures]
    assert len(set(texts)) == len(texts) > 100
    assert len(set(pictures)) == len(pictures) == 8


def test_a_request_is_called_as_the_endpoint_takes_it() -> None:
    classified = Request("classify", texts=("a cat", "a dog"))
    assert call(classified, ["one", "two"]) == (
        "classify",
        [["one", "two"], "a cat\na dog", "openai-7", False, "mini"],
    )
    ranked = Request("rank", "pets", ("a cat", "a dog"))
    assert call(ranked, [])[1][:2] == ["pets", "a cat\n\na dog"]
    assert call(Request("text", "a cat"), ["one", "two"])[1] == ["one", "two", "a cat", "mini"]


def test_each_kind_of_request_is_answered(app_url: str) -> None:
    caller = Caller(app_url.removeprefix("http://"))
    pictures = upload_shipped(caller)
    kinds = {one.kind: one for one in islice(requests(0), 10)}
    for request in kinds.values():
        answered = caller.ask(*call(request, pictures))
        assert (answered.kind, answered.told["model"]) == ("complete", "mini")


def test_percentiles_are_values_that_were_measured() -> None:
    assert spread([float(n) for n in range(1, 21)]) == (10.0, 19.0, 20.0)
    assert spread([1.0, 2.0, float("inf")]) == (2.0, float("inf"), float("inf"))
    assert np.isnan(spread([])).all()


def test_events_of_a_stream() -> None:
    stream = b'event: heartbeat\ndata: null\n\nevent: complete\ndata: [{"a": 1}]\n\n'
    assert list(events(stream.splitlines(keepends=True))) == [
        ("heartbeat", None),
        ("complete", {"a": 1}),
    ]


STREAMS = {
    "good": b"event: generating\ndata: [1]\n\nevent: complete\ndata: [2]\n\n",
    "bad": b'event: error\ndata: {"error": "Too long."}\n\n',
    "silent": b"event: heartbeat\ndata: null\n\n",
}


class Endpoints(BaseHTTPRequestHandler):
    """Answers each call as `STREAMS` says, and refuses what is not there."""

    callers: ClassVar[set[str]] = set()

    def do_POST(self) -> None:
        self.callers.add(self.client_address[0])
        self.rfile.read(int(self.headers["content-length"]))
        there = self.path.rpartition("/")[2] in STREAMS
        self._answer(200 if there else 503, b'{"event_id": "7"}' if there else b"It is full.")

    def do_GET(self) -> None:
        self._answer(200, STREAMS[self.path.split("/")[3]])

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def place() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Endpoints) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_caller_tells_answers_from_errors(place: str) -> None:
    caller = Caller(place, "127.0.0.5")
    ends = {name: caller.ask(name, []) for name in (*STREAMS, "nowhere")}
    assert {name: (answer.kind, answer.told) for name, answer in ends.items()} == {
        "good": ("complete", 2),
        "bad": ("error", {"error": "Too long."}),
        "silent": ("nothing", None),
        "nowhere": ("error", "503: It is full."),
    }
    assert np.isinf([answer.waited for answer in ends.values()]).tolist() == [False, *[True] * 3]
    assert Endpoints.callers == {"127.0.0.5"}
