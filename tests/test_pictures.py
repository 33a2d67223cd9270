"""What a picture on the page costs: opened, drawn and sent once; and what a comparison awaits."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from mmdemo import compare, load_encoder
from mmdemo.errors import MMDemoError
from mmdemo.images import Picture, files
from mmdemo.models.encoder import Encoder
from mmdemo.tasks.compare import CompareRequest
from mmdemo.ui import api
from mmdemo.ui.parts import pictures
from mmdemo.ui.parts.wiring import Wiring
from mmdemo.ui.strings import LANGUAGES, Language, say
from mmdemo.ui.tabs.similarity import course, handlers
from mmdemo.ui.tabs.similarity.handlers import Given, Results, Shown
from tests.conftest import TINY
from tests.held import MARK, MOST, HeldModel, offer_held
from tests.waiting import last_of, wait_until


def compared(first: str, second: str, text: str, before: Shown, model: str = "mini") -> Results:
    return last_of(run(first, second, text, "", model, "en", before))


def run(
    first: str, second: str, text: str, other: str, model: str, language: Language, shown: Shown
) -> Iterator[Results]:
    return handlers.run(Given(first, second, text, other, model, (), language, shown))


def closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no picture be opened, nor drawn small, from now on."""
    monkeypatch.setattr(files, "opened", None)
    monkeypatch.setattr(Image, "open", None)
    monkeypatch.setattr(pictures, "thumbnail_uri", None)


@pytest.fixture
def photos(tmp_path: Path, two_pictures: tuple[Path, Path]) -> tuple[str, str]:
    """Return two JPEGs that are large enough to be read smaller."""
    paths = [tmp_path / "one.jpg", tmp_path / "two.jpg"]
    for shipped, path in zip(two_pictures, paths, strict=True):
        with Image.open(shipped) as picture:
            picture.resize((1920, 1440)).save(path)
    return str(paths[0]), str(paths[1])


def test_another_text_opens_no_file(
    photos: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = compared(*photos, "a bird", Shown()).shown
    closed(monkeypatch)
    for first, second in (photos, photos[::-1]):
        again = compared(first, second, "a bee", shown)
        assert again.shown.results[0].text == "a bee"
        assert again.shown.thumbnails.made == shown.thumbnails.made
        updates = handlers.beside(
            Given(first, second, "a bee", "", "mini", ("mini", ""), "en", shown)
        )
        assert "mm-title" in updates.columns[1]


def test_what_is_gone_from_the_page_is_forgotten(
    photos: tuple[str, str], opening: tuple[Path, Path, str]
) -> None:
    shown = compared(*photos, "a bird", Shown()).shown
    other = compared(photos[0], str(opening[0]), "a bird", shown).shown
    assert set(shown.thumbnails.made) == set(photos)
    assert set(other.thumbnails.made) == {photos[0], str(opening[0])}
    assert other.thumbnails.made[photos[0]] is shown.thumbnails.made[photos[0]]


def test_every_door_gives_a_photo_the_same_numbers(mini: Encoder, photos: tuple[str, str]) -> None:
    first, second = photos
    data = [Path(path).read_bytes() for path in photos]
    by_path = compare(mini, first, second, "a bird")
    others = [
        compared(first, second, "a bird", Shown()).shown.results[0].matrix,
        CompareRequest(data[0], Picture(second), ("a bird",)).run(load_encoder("mini"))[0].matrix,
        np.array(api.compare(Picture(first), Picture(data[1]), "a bird")["matrix"], np.float32),
    ]
    for matrix in others:
        np.testing.assert_array_equal(matrix, by_path.matrix)


def test_a_matrix_holds_each_picture_once(photos: tuple[str, str]) -> None:
    shown = compared(*photos, "a bird", Shown())
    (image,) = shown.matrix1.to_dict()["layout"]["images"]
    sent = unquote(image["source"])
    assert [sent.count(shown.shown.thumbnails.made[path]) for path in photos] == [1, 1]
    assert len(re.findall("base64,", sent)) == 2


def test_the_courses_numbers_open_no_file_twice(
    opening: tuple[Path, Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MMDEMO_MODELS", str(TINY))
    given = (str(opening[0]), str(opening[1]), f"local:{TINY.name}", "en")
    table = course.run(*given)
    assert "data-value" in table
    closed(monkeypatch)
    assert course.run(*given) == table


def test_a_picture_that_cannot_be_read_is_named_by_its_field(tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    for places, says in ((("A", "B"), "A: "), (("B", "A"), "B: ")):
        with pytest.raises(MMDemoError, match=says):
            pictures.check([Picture(broken), Picture(b"")], places)


def test_the_last_answer_of_a_handler_is_sent_once() -> None:
    @dataclass(frozen=True)
    class Value:
        value: int

    @dataclass(frozen=True)
    class Changes:
        one: Any = field(default_factory=gr.skip)
        others: Any = field(default_factory=gr.skip)

    def steps(given: Value) -> Iterator[Changes]:
        yield Changes(one=given.value)
        yield Changes(others=[given.value, given.value + 1])

    with gr.Blocks():
        number, *boxes = (gr.Number() for _ in range(4))
    wired = Wiring(Value, {"value": number}, Changes, {"one": boxes[0], "others": boxes[1:]})
    skip = gr.skip()
    told = list(wired.steps(steps)(1))
    assert told == [(1, skip, skip), (skip, 1, 2), (skip, skip, skip)]
    with pytest.raises(TypeError, match="differ in: others, two"):
        Wiring(Value, {"value": number}, Changes, {"one": boxes[0], "two": boxes[1]})


# What is awaited.


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[HeldModel]:
    """Offer a model that stands still, to a page that says at once what it waits for."""
    monkeypatch.setattr(handlers, "_MOMENT", 0.01)
    model = offer_held(monkeypatch, tmp_path)
    yield model
    model.gate.release(100_000)


def shown_before(opening: tuple[Path, Path, str]) -> Shown:
    return compared(str(opening[0]), str(opening[1]), "a bird", Shown(), "held").shown


@pytest.mark.parametrize("language", [code for _, code in LANGUAGES])
def test_a_comparison_that_takes_long_says_so(
    held: HeldModel, opening: tuple[Path, Path, str], language: Language
) -> None:
    before = shown_before(opening)
    given = (str(opening[0]), str(opening[1]), f"{MARK} text", "", "held", language, before)
    steps = run(*given)
    awaited = next(steps)
    assert say(language, "awaits_result") in awaited.message
    assert 'class="mm-message stale late"' in awaited.message
    assert replace(awaited, message=gr.skip()) == Results()
    held.gate.release(100_000)
    shown = last_of(steps)
    assert shown.message == ""
    assert shown.shown.results[0].text == f"{MARK} text"


def test_the_first_comparison_says_that_others_are_before_it_in_the_place_of_its_results(
    held: HeldModel, opening: tuple[Path, Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Encoder, "waiting", 2)
    monkeypatch.setattr(Encoder, "running", 1)
    given = (str(opening[0]), str(opening[1]), f"{MARK} text", "", "held", "en", Shown())
    awaited = next(run(*given))
    assert say("en", "awaits_turn", count=2) in awaited.message
    assert 'class="mm-message"' in awaited.message


def test_a_model_that_is_being_loaded_is_named(
    held: HeldModel, opening: tuple[Path, Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before, gate, load = shown_before(opening), threading.Event(), handlers.loaded

    def slow(*given: Any) -> Encoder:
        assert gate.wait(MOST)
        return load(*given)

    monkeypatch.setattr(handlers, "loaded", slow)
    monkeypatch.setattr(handlers.pool, "loaded", lambda spec: gate.is_set())
    given = (str(opening[0]), str(opening[1]), f"{MARK} text", "", "held", "en", before)
    steps = run(*given)
    assert "Loading Held" in next(steps).message
    gate.set()
    following = next(steps)
    assert say("en", "awaits_result") in following.message
    # In sight at once, where the one before was.
    assert 'class="mm-message stale late again"' in following.message
    held.gate.release(100_000)
    assert last_of(steps).message == ""
    # The page opens with a message of its own on that.
    gate.clear()
    looks, awaits = [], handlers._Waiting.sentence

    def looked(*given: Any) -> str:
        looks.append(given)
        if len(looks) == 3:
            gate.set()
        return awaits(*given)

    monkeypatch.setattr(handlers._Waiting, "sentence", looked)
    first = run(*given[:2], "a bird", *given[3:6], Shown())
    told = [step.message for step in first]
    assert len(looks) >= 3
    assert told == [""]


def test_a_busy_model_says_how_many_wait(held: HeldModel, opening: tuple[Path, Path, str]) -> None:
    before = shown_before(opening)
    long = threading.Thread(target=held.encoder.encode, args=([f"{MARK} before"],))
    long.start()
    assert held.entered.acquire(timeout=MOST)
    given = (str(opening[0]), str(opening[1]), "a new text", "", "held", "en", before)
    messages: list[Any] = []
    watching = threading.Thread(
        target=lambda: messages.extend(step.message for step in run(*given))
    )
    watching.start()
    wait_until(lambda: bool(messages) and say("en", "awaits_turn", count=1) in messages[-1])
    held.gate.release(100_000)
    for thread in (long, watching):
        thread.join(MOST)
    assert messages[-1] == ""


def test_nothing_is_said_of_what_takes_a_moment(
    mini: Encoder, opening: tuple[Path, Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handlers, "_MOMENT", MOST)
    given = (str(opening[0]), str(opening[1]), "a bird", "", "mini", "en", Shown())
    (shown,) = run(*given)
    assert shown.shown.results
