"""What holds of any input whatever: no raw exception, no number that is not finite, one answer.

`make test` tries a few inputs of each kind, always the same ones, so that it fails where something
was changed and nowhere else; `make properties` tries very many new ones.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from functools import cache
from typing import Any
from urllib.parse import parse_qsl

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from PIL import Image

from mmdemo import classify, compare, rank_passages
from mmdemo.errors import MMDemoError, PictureError, TextError
from mmdemo.images import Picture, digest_of, files, open_image, to_rgb
from mmdemo.models.encoder import Encoder
from mmdemo.notes import text_notes
from mmdemo.settings import limits
from mmdemo.signs import has_visible
from mmdemo.tasks.passages import read_document, split_document, typed_passages
from mmdemo.tasks.prompts import SLOT, checked_labels, checked_templates
from mmdemo.ui import link
from mmdemo.ui.strings import CODES, ERRORS
from mmdemo.ui.tabs import TABS

ACCEPTED = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "PPM", "ICO")
MODES = ("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "LAB")
MODES += ("HSV", "I", "F", "I;16", "I;16L", "I;16B")

# Every sign that a string of Python can hold, half a sign among them, and those that go wrong.
signs = st.one_of(
    st.characters(exclude_categories=[]),
    st.sampled_from(
        "🐝👩‍👩‍👧‍👦藍鯨麵é\u0301ＢＥＥ\u200b\ufeff\u202e\x00\x1b\x85\u2028\ud83d\udc1d﷽ﬁ①"
    ),
)
texts = st.text(signs, max_size=60)
pieces = st.sampled_from(
    [",", "，", "\n", "\r\n", "\n\n", ";", '"', "[", "]", "{}", "- ", "# ", " "]
)
typed = st.lists(st.one_of(pieces, texts), max_size=20).map("".join)


@cache
def sample(format: str) -> bytes:
    """Return a small file of a format."""
    ramp = np.linspace(0, 255, 32 * 24 * 3).astype(np.uint8).reshape(24, 32, 3)
    file = io.BytesIO()
    Image.fromarray(ramp).save(file, format)
    return file.getvalue()


def told(error: MMDemoError) -> None:
    """Hold an error to what every error owes its reader: a sentence in every language."""
    assert str(error)
    for sentence in ERRORS[error.code].values():
        assert sentence.format(**error.values)


def pixels_of(data: bytes) -> tuple[Any, ...]:
    """Return what a file becomes, or which error."""
    try:
        picture = open_image(data)
    except PictureError as error:
        told(error)
        return (error.code, str(error))
    assert picture.mode == "RGB"
    return (picture.size, picture.tobytes())


def twice(data: bytes) -> None:
    """Open a file two times, by both ways, and expect the same."""
    first = pixels_of(data)
    assert pixels_of(data) == first
    files._known._told.clear()
    picture = Picture(data)
    try:
        assert (picture.open().size, picture.open().tobytes()) == first
        assert [note.message for note in picture.notes] == [
            note.message for note in Picture(data).notes
        ]
    except PictureError as error:
        assert (error.code, str(error)) == first


def finite(vectors: np.ndarray) -> None:
    """Hold vectors to unit length."""
    assert np.isfinite(vectors).all()
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def plain(result: Any) -> dict[str, Any]:
    """Return a result as JSON, which has no word for what is not finite."""
    return json.loads(json.dumps(result.to_dict(), allow_nan=False))


def alike(one: Any, other: Any) -> bool:
    """Say whether two results are the same but for the last digits of what is computed anew."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(alike(one[name], other[name]) for name in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(alike, one, other))
    return one == (pytest.approx(other, abs=1e-4) if isinstance(other, float) else other)


def untimed(result: Any) -> dict[str, Any]:
    """Return a result's JSON without what is never twice the same."""
    return {name: value for name, value in plain(result).items() if name != "timings"}


def asked_twice(encoder: Encoder, ask: Callable[[], Any]) -> dict[str, Any] | None:
    """Ask for a result two times, and expect the same; None where it is refused."""

    def asked() -> dict[str, Any]:
        encoder.forget()  # what is kept is of course the same
        return untimed(ask())

    try:
        first = asked()
    except MMDemoError as error:
        told(error)
        return None
    assert alike(asked(), first)
    return first


# Pictures.


@given(st.binary(max_size=300))
def test_any_bytes_are_a_picture_or_a_sentence(data: bytes) -> None:
    twice(data)


@given(st.sampled_from(ACCEPTED), st.binary(max_size=300))
def test_the_beginning_of_a_picture_and_then_anything(format: str, rest: bytes) -> None:
    twice(sample(format)[:24] + rest)


@pytest.mark.parametrize("format", ACCEPTED)
@given(share=st.floats(0, 1))
def test_a_picture_cut_off_anywhere(format: str, share: float) -> None:
    whole = sample(format)
    twice(whole[: int(share * len(whole))])


@pytest.mark.parametrize("format", ACCEPTED)
@given(changes=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=4))
def test_a_picture_with_wrong_bytes(format: str, changes: list[tuple[float, int]]) -> None:
    data = bytearray(sample(format))
    for place, value in changes:
        data[int(place * (len(data) - 1))] = value
    twice(bytes(data))


@given(st.sampled_from(MODES), st.integers(1, 9), st.integers(1, 9), st.binary(max_size=400))
def test_a_picture_in_memory_of_any_mode_and_size(
    mini: Encoder, mode: str, width: int, height: int, data: bytes
) -> None:
    picture = Image.new(mode, (width, height))
    room = len(picture.tobytes())
    picture.frombytes((data * (room // max(len(data), 1) + 1)).ljust(room, b"\0")[:room])
    before = digest_of(picture)
    seen = to_rgb(picture)
    assert seen.mode == "RGB"
    assert seen.size == picture.size
    assert digest_of(picture) == before
    finite(mini.encode([picture]))


# Texts.


@given(texts)
def test_any_text_has_a_vector_or_a_sentence(mini: Encoder, text: str) -> None:
    try:
        alone, among = mini.encode([text]), mini.encode(["another", text])
    except TextError as error:
        told(error)
        return
    finite(alone)
    # Once alone, once beside another: read from what is kept or computed anew, it is the same.
    np.testing.assert_allclose(among[1], alone[0], atol=1e-6)
    usage = mini.token_usage(text)
    assert 0 < usage.used <= usage.total
    notes = text_notes(mini, text)
    assert [note.message for note in notes] == [note.message for note in text_notes(mini, text)]
    # Where a token begins and ends is told in characters of what was typed.
    for token in mini.tokens(text):
        assert 0 <= token.start <= token.end <= len(text)


@given(texts)
def test_any_text_is_compared_or_refused(
    mini: Encoder, opening: tuple[Any, Any, str], text: str
) -> None:
    asked_twice(mini, lambda: compare(mini, *opening[:2], text))


# Labels and templates.


@given(st.one_of(typed, st.lists(texts, max_size=8)))
def test_labels_are_cleaned_once_and_for_all(labels: Any) -> None:
    try:
        kept = checked_labels(labels)
    except TextError as error:
        told(error)
        return
    assert kept
    assert all(label.strip() for label in kept)
    assert len(set(kept)) == len(kept)
    assert checked_labels(kept) == kept


@given(st.one_of(typed, st.lists(st.one_of(texts, texts.map("{} ".__add__)), max_size=8)))
def test_templates_are_cleaned_once_and_for_all(templates: Any) -> None:
    try:
        kept = checked_templates(templates)
    except TextError as error:
        told(error)
        return
    assert kept
    assert all(SLOT in template for template in kept)
    assert checked_templates(kept) == kept


@given(typed, st.lists(texts.map("{} ".__add__), max_size=3), st.booleans())
def test_any_labels_are_classified_or_refused(
    mini: Encoder, two_pictures: tuple[Any, Any], labels: str, templates: list[str], reject: bool
) -> None:
    first = asked_twice(
        mini,
        lambda: classify(mini, two_pictures[0], labels, templates or "openai-7", reject=reject),
    )
    if first is None:
        return
    (shares,) = np.asarray(first["probabilities"])
    assert (shares >= 0).all()
    assert shares.sum() + sum(first["rejection"] or ()) == pytest.approx(1, abs=1e-5)


# Passages and documents.


@given(typed)
def test_nothing_of_a_text_is_lost_between_its_passages(text: str) -> None:
    most = limits().passages
    for cut in (typed_passages, split_document):
        passages = cut(text)
        assert all(map(has_visible, passages))
        assert list(filter(has_visible, "".join(passages))) == list(filter(has_visible, text))
    assert len(split_document(text)) <= most


@given(st.one_of(st.binary(max_size=200), typed.map(lambda text: text.encode("utf-8", "replace"))))
def test_any_bytes_are_a_document_or_a_sentence(data: bytes) -> None:
    try:
        document = read_document(data, "a.txt")
    except TextError as error:
        told(error)
        return
    assert document.text.strip()
    document.text.encode()
    assert read_document(data, "a.txt") == document


@given(texts, st.one_of(typed, st.lists(texts, max_size=6)))
def test_any_passages_are_ranked_or_refused(mini: Encoder, query: str, passages: Any) -> None:
    found = typed_passages(passages) if isinstance(passages, str) else passages
    asked_twice(mini, lambda: rank_passages(mini, query, found))


# Addresses.


@given(
    st.dictionaries(st.sampled_from(["tab", "lang", "own", "model", "text", "x"]) | texts, texts)
)
def test_any_address_opens_a_page(parameters: dict[str, str]) -> None:
    opened = link.read(parameters)
    for tab in TABS:
        for language in CODES:
            # What a field is given is plain, whatever the address says.
            assert json.dumps(tab.read(opened, language), default=str)


@given(texts, texts)
def test_what_an_address_holds_comes_back(name: str, text: str) -> None:
    assume(name not in ("tab", "lang", "own"))
    assume(not any("\ud800" <= sign <= "\udfff" for sign in name + text))  # no field holds half one
    query = link.query("similarity", {name: text})
    opened = link.read(dict(parse_qsl(query, keep_blank_values=True)))
    assert opened.text(name) == text or name in opened.own
