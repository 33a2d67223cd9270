"""What every encoder does, by way of `mini`."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mmdemo import MODELS, MMDemoError, load_encoder
from mmdemo.encoders.base import Prepared
from mmdemo.encoders.mini.model import Mini
from mmdemo.errors import ModelError, PictureError, TextError
from mmdemo.images import digest_of, open_image
from mmdemo.models import pool
from mmdemo.models.encoder import Encoder, encoder_of
from mmdemo.models.files import on_this_machine
from mmdemo.models.store import pair_digest, text_digest
from mmdemo.types import Item, Modality
from tests.fakes import FakeModel
from tests.waiting import MOST


@pytest.fixture(scope="module")
def model() -> Mini:
    return Mini()


@pytest.fixture
def encoder(model: Mini) -> Encoder:
    """Return an encoder that has computed nothing yet."""
    return encoder_of(model)


@pytest.fixture
def items(two_pictures: tuple[Path, Path], gradient: Image.Image) -> list:
    first, second = two_pictures
    return [
        "a red car",
        open_image(first),
        {"image": open_image(second), "text": "in the rain"},
        second,
        {"text": "only words"},
        {"image": str(first)},
        Item(text="a dog", image=gradient),
        "a much longer text, so that the batch has to be padded to its length",
    ]


def test_shape_type_and_unit_rows(mini: Encoder, items: list) -> None:
    vectors = mini.encode(items)
    assert vectors.shape == (len(items), mini.dim)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-6)


def test_order_is_kept(model: Mini, items: list) -> None:
    backwards = encoder_of(model).encode(items[::-1])
    np.testing.assert_allclose(encoder_of(model).encode(items), backwards[::-1], atol=1e-5)


def test_batch_equals_single(model: Mini, items: list) -> None:
    # Two encoders, so that neither finds the other's work in its store.
    batch, single = encoder_of(model), encoder_of(model)
    rows = np.concatenate([single.encode([item]) for item in items])
    np.testing.assert_allclose(batch.encode(items), rows, atol=1e-5)


def test_more_than_memory_allows_at_once(
    model: Mini, items: list, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = encoder_of(model).encode([*items, *(f"number {n}" for n in range(40))])
    monkeypatch.setattr(Mini, "batch_tokens", 60)
    monkeypatch.setattr(Mini, "batch_pictures", 2)
    passes = watched(model, "embed", monkeypatch)
    pictures = watched(model, "image_features", monkeypatch)
    encoder = encoder_of(model)
    for _ in range(2):  # by then it has learnt what a step takes
        encoder.forget()
        found = encoder.encode([*items, *(f"number {n}" for n in range(40))])
        np.testing.assert_allclose(found, whole, atol=1e-5)
    sizes = [max(map(model.length, batch)) * len(batch) for batch in passes]
    assert max(sizes) <= 60
    assert len(sizes) > 8
    assert max(map(len, pictures)) <= 2


def watched(model: Mini, name: str, monkeypatch: pytest.MonkeyPatch) -> list[Sequence[Any]]:
    """Return a list that grows by what each call of one of a model's passes is given."""
    given: list[Sequence[Any]] = []
    original: Callable[[Sequence[Any]], object] = getattr(model, name)

    def run(items: Sequence[Any]) -> object:
        given.append(items)
        return original(items)

    monkeypatch.setattr(model, name, run)
    return given


def test_one_item_and_none(mini: Encoder) -> None:
    assert mini.encode("a cat").shape == (1, mini.dim)
    assert mini.encode([]).shape == (0, mini.dim)


def test_the_same_content_is_computed_once(
    model: Mini,
    encoder: Encoder,
    two_pictures: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    passes = watched(model, "embed", monkeypatch)
    pictures = watched(model, "image_features", monkeypatch)
    first = two_pictures[0]
    opened, copy = open_image(first), shutil.copy(first, tmp_path)
    items = [first, Path(copy), opened, opened.copy(), "x", "x"]
    vectors = encoder.encode(items)
    for one, other in ((0, 1), (2, 3), (4, 5)):
        np.testing.assert_array_equal(vectors[one], vectors[other])
    # What a program opened could have been opened in another way: it is a picture of its own.
    np.testing.assert_allclose(vectors[0], vectors[2], atol=1e-6)
    assert sum(map(len, pictures)) == 2
    assert sum(map(len, passes)) == 3
    np.testing.assert_array_equal(encoder.encode(items), vectors)
    assert sum(map(len, passes)) == 3


def test_a_caller_cannot_spoil_the_cache(mini: Encoder) -> None:
    vectors = mini.encode(["a cup"])
    before = vectors.copy()
    vectors[:] = 0
    np.testing.assert_array_equal(mini.encode(["a cup"]), before)


def test_an_empty_text_beside_a_picture_is_the_picture(
    mini: Encoder, gradient: Image.Image
) -> None:
    vectors = mini.encode([gradient, {"image": gradient, "text": "  "}])
    np.testing.assert_array_equal(vectors[0], vectors[1])


def test_what_the_page_shows_and_what_a_program_gives_agree(model: Mini, mini: Encoder) -> None:
    layer = Image.new("RGBA", (64, 64), (200, 30, 30, 0))
    white = Image.new("RGB", (64, 64), "white")
    assert model.read_picture(layer).equal(model.read_picture(white))
    vectors = mini.encode([layer, white])
    np.testing.assert_allclose(vectors[0], vectors[1], atol=1e-6)


@pytest.mark.parametrize("able", [{"text"}, {"text", "image"}, {"image"}])
def test_a_wrong_modality_says_what_is_accepted(able: set[Modality]) -> None:
    class Able(FakeModel):
        modalities = frozenset(able)

    encoder = encoder_of(Able())
    wrong = {"text": "words", "image": Image.new("RGB", (8, 8))} if "text" in able else "words"
    with pytest.raises(ModelError, match=f"it embeds: {', '.join(sorted(able))}"):
        encoder.encode([wrong])


@pytest.mark.parametrize(
    ("wrong", "error", "says"),
    [
        (3, TextError, "Item 1: An item is a text, a picture.*given was int"),
        (None, TextError, "Item 1: .*given was None"),
        ("", TextError, "empty"),
        (" \n", TextError, "empty"),
        ({}, TextError, r"dict \[\]"),
        ({"text": "a", "picture": "b"}, TextError, r"given was dict \['picture', 'text'\]"),
        ({"text": 5}, TextError, "A text was expected"),
        ({"image": 5, "text": "a"}, PictureError, "not int"),
        ({"image": "gone.png"}, PictureError, "Item 1: There is no readable picture.*gone.png"),
        ("x" * 10_001, TextError, "10,001 characters; at most 10,000"),
    ],
)
def test_bad_items_are_explained(
    mini: Encoder, wrong: object, error: type[MMDemoError], says: str
) -> None:
    with pytest.raises(error, match=says):
        mini.encode([wrong])  # pyright: ignore[reportArgumentType]


def test_the_vision_tower_runs_once_a_picture(
    model: Mini,
    encoder: Encoder,
    two_pictures: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen = watched(model, "image_features", monkeypatch)
    first, second = two_pictures
    pairs = [{"image": first, "text": "a"}, {"image": second, "text": "a"}]
    encoder.encode(["a", first, second, *pairs])
    assert sum(map(len, seen)) == 2
    encoder.encode([{"image": first, "text": "blue whale"}])
    assert sum(map(len, seen)) == 2


def test_a_text_that_is_known_already_does_not_run_again_beside_a_picture(
    model: Mini, encoder: Encoder, gradient: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    [vector] = encoder.encode("a dog")
    passes: list[Sequence[Prepared]] = watched(model, "embed", monkeypatch)
    encoder.encode({"image": gradient, "text": "a dog"})
    [[pair]] = passes
    assert pair.text_vector is not None
    np.testing.assert_array_equal(pair.text_vector, vector)


def test_what_the_parts_of_a_call_take_is_told(encoder: Encoder, items: list) -> None:
    took: dict[str, float] = {}
    encoder.encode(items, timings=took)
    assert set(took) == {"text", "image", "fused"}
    assert min(took.values()) > 0
    again: dict[str, float] = {}
    encoder.encode(items, timings=again)
    assert sum(again.values()) == 0


def at_once(count: int, work: Callable[[int], object]) -> None:
    """Have threads do something at the same moment, each with its number."""
    start = threading.Barrier(count)

    def run(number: int) -> None:
        start.wait(MOST)
        work(number)

    with ThreadPoolExecutor(count) as threads:
        for one in [threads.submit(run, number) for number in range(count)]:
            one.result(MOST)


def test_many_threads_get_one_encoder_whose_weights_are_loaded_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import mmdemo.encoders.mini.model as module

    loads, found = [], []
    monkeypatch.setattr(pool, "POOL", pool.Pool())
    original = module._load_vision_tower
    monkeypatch.setattr(module, "_load_vision_tower", lambda *a: loads.append(1) or original(*a))
    at_once(16, lambda number: found.append(load_encoder("mini")))
    assert len(found) == 16
    assert len({id(encoder) for encoder in found}) == 1
    assert loads == [1]


def test_many_threads_get_the_right_vectors(model: Mini, encoder: Encoder) -> None:
    texts = [f"thing {n}" for n in range(16)]
    expected = encoder_of(model).encode(texts)
    rows: dict[int, np.ndarray] = {}
    at_once(16, lambda number: rows.update({number: encoder.encode(texts[number])[0]}))
    np.testing.assert_allclose(np.stack([rows[n] for n in range(16)]), expected, atol=1e-5)


def test_unknown_models_are_explained() -> None:
    with pytest.raises(ModelError, match=r"no model 'mimi'\. Did you mean 'mini'"):
        load_encoder("mimi")


def test_the_default_model_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_encoder() is load_encoder("mini")
    monkeypatch.setenv("MMDEMO_MODEL", "nonesuch")
    with pytest.raises(ModelError, match="nonesuch"):
        load_encoder()


def test_the_registry_tells_the_truth(mini: Encoder) -> None:
    spec = MODELS["mini"]
    assert (spec.dim, frozenset(spec.modalities)) == (mini.dim, mini.modalities)
    assert (spec.fusion, spec.languages) == (mini.fusion, mini.languages)
    assert on_this_machine(spec)
    folder = Path(__file__).parent.parent / "assets/mini"
    size = sum(file.stat().st_size for file in folder.iterdir()) / 1e6
    assert abs(size - spec.size_mb) < 0.5


# What names a content.


def test_digests_differ_where_content_does(gradient: Image.Image) -> None:
    palette = gradient.quantize(8)
    recoloured = palette.copy()
    colours = recoloured.getpalette() or []
    recoloured.putpalette(colours[::-1])
    digests = [
        text_digest("a"),
        text_digest("b"),
        digest_of(gradient),
        pair_digest(digest_of(gradient), "a"),
        digest_of(gradient.convert("L")),
        digest_of(gradient.resize((40, 60))),
        digest_of(palette),
        digest_of(recoloured),
    ]
    assert len(set(digests)) == len(digests)
    # A text that is written like the bytes of a picture is none.
    dot = Image.new("RGB", (1, 1), (65, 66, 67))
    assert text_digest("RGB\0(1, 1)\0NoneABC") != digest_of(dot)
    assert digest_of(gradient.copy()) == digest_of(gradient)
