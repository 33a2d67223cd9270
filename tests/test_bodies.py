"""What a request carries: bounded before it is parsed; and what a table hands to a spreadsheet."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from mmdemo.settings import limits
from mmdemo.tasks.passages import split_document, typed_passages
from mmdemo.ui.link import query
from mmdemo.ui.parts.cells import cell_text
from mmdemo.ui.serving.bodies import Bodies

REFUSED = 413


class Echo:
    """An application that answers with the length of what it was sent."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] in ("POST", "PUT"):
            message = await receive()
            self.bodies.append(message.get("body", b""))
            assert (await receive())["type"] == "http.disconnect"
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})


def sent(parts: Sequence[bytes], **scope: Any) -> tuple[int, str, list[bytes]]:
    """Return status and answer to a request in parts, and what the application was handed."""
    app, answers = Echo(), list[Message]()
    whole = {"type": "http", "method": "POST", "path": "/gradio_api/call/rank", "headers": []}

    def messages() -> Iterator[Message]:
        for place, part in enumerate(parts, start=1):
            yield {"type": "http.request", "body": part, "more_body": place < len(parts)}
        while True:
            yield {"type": "http.disconnect"}

    coming = messages()

    async def receive() -> Message:
        return next(coming)

    async def send(message: Message) -> None:
        answers.append(message)

    asyncio.run(Bodies(app)(whole | scope, receive, send))
    return answers[0]["status"], answers[-1]["body"].decode(), app.bodies


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> int:
    """Have the most that is taken be 4 MB."""
    monkeypatch.setenv("MMDEMO_LIMITS_UPLOAD_MB", "1")
    return 4 * limits().upload_mb * 1_000_000


def test_a_body_is_handed_on_whole() -> None:
    status, _, bodies = sent([b'{"data":', b"[1]", b"}"])
    assert (status, bodies) == (200, [b'{"data":[1]}'])


def test_a_body_that_is_too_long_is_refused(small: int) -> None:
    for parts in ([b"x" * (small + 1)], [b"x" * 1_000_000] * 5, [b"x" * 1_000_000] * 50):
        status, told, bodies = sent(parts)
        assert (status, bodies) == (REFUSED, [])
        assert "more than 4 MB" in json.loads(told)["detail"]
    assert sent([b"x" * small])[0] == 200


def test_a_body_that_says_it_is_too_long_is_not_heard(small: int) -> None:
    told = [(b"content-length", str(100 * small).encode())]
    assert sent([], headers=told)[0] == REFUSED
    nonsense = [(b"content-length", b"many")]
    assert sent([b"[]"], headers=nonsense)[0] == 200


@pytest.mark.parametrize("values", [b"1,", b"[", b'{"a":', b'"",'])
def test_too_many_values_are_not_parsed(values: bytes) -> None:
    status, told, bodies = sent([values * 500_001])
    assert (status, bodies) == (REFUSED, [])
    assert "500,000 values" in json.loads(told)["detail"]


def test_commas_of_a_text_are_no_values() -> None:
    assert sent([b'"' + b"\\,[{" * 600_000 + b'"'])[0] == 200
    assert sent([b'["' + b",[{" * 600_000 + b'"]'])[0] == 200
    assert sent([b'["a", ' + b"1," * 600_000 + b"1]"])[0] == REFUSED


def test_files_are_bounded_elsewhere(small: int) -> None:
    assert sent([b"x" * (small + 1)], path="/gradio_api/upload")[0] == 200
    assert sent([], method="GET")[0] == 200


def posted(address: str, body: bytes) -> tuple[int, str]:
    call = urllib.request.Request(
        f"{address}/gradio_api/call/rank", body, {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(call) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@pytest.mark.parametrize(
    "body",
    [
        b'{"data": ["bee", ' + b"[" * 100_000 + b"]" * 100_000 + b"]}",
        b'{"data": ["bee", ' + b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b"]}",
        b'{"data": ["bee", ["dog"], "mini", ' + b"1" * 5000 + b"]}",
        b"[" * 100_000,
        b"\xff\xfe",
        b'{"data": ["bee", ["' + b'dog", "' * 600_000 + b'"]]}',
    ],
    ids=["lists", "objects", "number", "unclosed", "no text", "many"],
)
def test_a_body_made_to_hurt_is_refused_with_a_sentence(body: bytes, app_url: str) -> None:
    status, told = posted(app_url, body)
    assert status in (400, REFUSED, 422)
    assert json.loads(told)["detail"]


# Documents.


def joined(passages: list[str], most: int) -> list[str]:
    """Join neighbours, the shortest pair first: in the plainest way."""
    found = list(passages)
    while len(found) > most:
        sums = [len(one) + len(two) for one, two in pairwise(found)]
        first = sums.index(min(sums))
        found[first : first + 2] = [f"{found[first]}\n{found[first + 1]}"]
    return found


@pytest.mark.parametrize("count", [1, 50, 51, 120, 300])
def test_the_shortest_neighbours_are_joined(count: int) -> None:
    passages = [f"{n}{'x' * (n * 7919 % 97)}" for n in range(count)]
    assert split_document("\n".join(passages)) == joined(passages, limits().passages)


def test_a_document_of_many_short_lines_is_cut() -> None:
    # One by one, with a look at all pairs each time, this takes minutes.
    passages = split_document("a\n" * 100_000)
    assert len(passages) == limits().passages
    assert "".join(passages).count("a") == 100_000


@pytest.mark.parametrize("ending", [".", "!", "。", '."', "…"])
def test_short_paragraphs_are_the_same_passages_typed_and_in_a_file(ending: str) -> None:
    paragraphs = [f"Krill feeds whales{ending}", f"Bread needs flour{ending}", "Salt", "Storks"]
    text = "\n\n".join(paragraphs)
    assert split_document(text) == typed_passages(text) == paragraphs


@pytest.mark.parametrize(
    "gap", ["\n\n", "\r\n\r\n", "\r\r", "\f", "\u2029", "\n \t\n", "\n\u3000\n"]
)
def test_paragraphs_of_other_programs_are_parted(gap: str) -> None:
    text = gap.join(["Krill feeds whales.", "Bread needs flour."])
    assert split_document(text) == typed_passages(text) == text.split(gap)


def test_lines_that_nobody_sees_are_no_passages() -> None:
    assert typed_passages("bee\n\u200b\ndog") == ["bee", "dog"]
    assert split_document("A bee hums.\n\n\ufeff\n\nA dog barks.") == [
        "A bee hums.",
        "A dog barks.",
    ]


def test_a_title_goes_with_its_text() -> None:
    text = "They are the largest animals that have ever lived, and eat the smallest."
    assert split_document(f"Whales\n\n{text}\n\n# Bees\n\nSmall.") == [
        f"Whales\n{text}",
        "# Bees\nSmall.",
    ]


def test_an_address_takes_what_has_no_bytes() -> None:
    assert "text=bee+%3F" in query("compare", {"text": "bee \ud83d"})


# Tables.


@pytest.mark.parametrize(
    "before", ["", " ", "\u200b", "\ufeff", "\u00a0", "\t", '"', "“", "\u3164"]
)
@pytest.mark.parametrize("sign", [*"=+-@", *"＝＋－＠", "﹦", "﹢", "−"])
def test_no_cell_is_a_formula(before: str, sign: str) -> None:
    assert cell_text(f"{before}{sign}1+1") == f"'{before}{sign}1+1"


@pytest.mark.parametrize("text", ["bee", "a = b", "3-1", "", "\u200b", "🐝", "蓝鲸", "#1", "(-1)"])
def test_what_is_no_formula_stays(text: str) -> None:
    assert cell_text(text) == text


@pytest.mark.parametrize("text", ["\tbee", "\rbee", "\nbee"])
def test_a_cell_does_not_begin_with_what_parts_cells(text: str) -> None:
    assert cell_text(text) == f"'{text}"
