"""The contract of every encoder, by way of `mini`."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from mmdemo.encoders.cache import ArrayCache, content_key
from PIL import Image

from mmdemo import MODELS, MMDemoError, load_encoder
from mmdemo.encoders.mini.model import Mini
from mmdemo.errors import ModelError, PictureError, TextError
from mmdemo.images import open_image
from mmdemo.models.encoder import Encoder
from mmdemo.models.files import on_this_machine
from mmdemo.types import Item, Modality


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


def test_order_is_kept(items: list) -> None:
    encoder = Mini()
    backwards = Mini().encode(items[::-1])
    np.testing.assert_allclose(encoder.encode(items), backwards[::-1], atol=1e-5)


def test_batch_equals_single(items: list) -> None:
    # Two encoders, so that neither finds the other's work in its cache.
    batch, single = Mini(), Mini()
    rows = np.concatenate([single.encode([item]) for item in items])
    np.testing.assert_allclose(batch.encode(items), rows, atol=1e-5)


def test_batches_beyond_the_batch_size(mini: Encoder) -> None:
    texts = [f"number {n}" for n in range(mini.batch_size * 2 + 3)]
    assert mini.encode(texts).shape == (len(texts), mini.dim)
    np.testing.assert_array_equal(mini.encode(texts)[-1:], mini.encode(texts[-1]))


def test_one_item_and_none(mini: Encoder) -> None:
    assert mini.encode("a cat").shape == (1, mini.dim)
    assert mini.encode([]).shape == (0, mini.dim)


def test_the_same_content_gives_the_same_vector(mini: Encoder, two_pictures: tuple) -> None:
    vectors = mini.encode([two_pictures[0], open_image(two_pictures[0]), "x", "x"])
    np.testing.assert_array_equal(vectors[0], vectors[1])
    np.testing.assert_array_equal(vectors[2], vectors[3])


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


def test_what_the_page_shows_and_what_a_program_gives_agree(mini: Encoder) -> None:
    layer = Image.new("RGBA", (64, 64), (200, 30, 30, 0))
    white = Image.new("RGB", (64, 64), "white")
    vectors = mini.encode([layer, white])
    np.testing.assert_array_equal(vectors[0], vectors[1])


@pytest.mark.parametrize("able", [{"text"}, {"text", "image"}, {"image"}])
def test_a_wrong_modality_says_what_is_accepted(able: set[Modality]) -> None:
    encoder = Mini()
    encoder.modalities = frozenset(able)  # pyright: ignore[reportAttributeAccessIssue]
    wrong = {"text": "words", "image": Image.new("RGB", (8, 8))} if "text" in able else "words"
    with pytest.raises(ModelError, match=f"it embeds: {', '.join(sorted(able))}"):
        encoder.encode([wrong])


@pytest.mark.parametrize(
    ("wrong", "error", "says"),
    [
        (3, TextError, "Item 1: An item is a text, a picture.*type int"),
        (None, TextError, "Item 1: .*nothing"),
        ("", TextError, "empty"),
        (" \n", TextError, "empty"),
        ({}, TextError, "mapping"),
        ({"text": "a", "picture": "b"}, TextError, "picture"),
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
    two_pictures: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = Mini()
    seen: list[int] = []
    original = encoder._image_features
    monkeypatch.setattr(
        encoder, "_image_features", lambda images: seen.append(len(images)) or original(images)
    )
    first, second = two_pictures
    pairs = [{"image": first, "text": "a"}, {"image": second, "text": "a"}]
    encoder.encode(["a", first, second, *pairs])
    assert sum(seen) == 2
    encoder.encode([{"image": first, "text": "blue whale"}])
    assert sum(seen) == 2


def test_many_threads_get_one_encoder() -> None:
    found = []
    start = threading.Barrier(16)

    def ask() -> None:
        start.wait()
        found.append(load_encoder("mini"))

    threads = [threading.Thread(target=ask) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 16
    assert len({id(encoder) for encoder in found}) == 1


def test_many_threads_load_the_weights_once(monkeypatch: pytest.MonkeyPatch) -> None:
    import mmdemo.encoders.mini.model as module
    from mmdemo.models import pool

    loads = []
    monkeypatch.setattr(pool, "_loaded", {})
    original = module._load_vision_tower
    monkeypatch.setattr(module, "_load_vision_tower", lambda *a: loads.append(1) or original(*a))
    threads = [threading.Thread(target=load_encoder, args=("mini",)) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert loads == [1]


def test_many_threads_get_the_right_vectors() -> None:
    encoder = Mini()
    texts = [f"thing {n}" for n in range(16)]
    expected = Mini().encode(texts)
    rows: dict[int, np.ndarray] = {}
    threads = [
        threading.Thread(target=lambda n=n: rows.update({n: encoder.encode(texts[n])[0]}))
        for n in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
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


# The cache


def test_cache_drops_the_least_recently_used() -> None:
    cache = ArrayCache(max_bytes=3 * 400)
    for n in range(3):
        cache.put(bytes([n]), np.zeros(100, dtype=np.float32))
    assert cache.get(b"\0") is not None  # used: now the oldest is number 1
    cache.put(b"new", np.zeros(100, dtype=np.float32))
    assert cache.get(b"\1") is None
    assert [cache.get(key) is not None for key in (b"\0", b"\2", b"new")] == [True] * 3
    assert len(cache) == 3


def test_cache_counts_a_replaced_array_once() -> None:
    cache = ArrayCache(max_bytes=1000)
    for _ in range(5):
        cache.put(b"same", np.zeros(100, dtype=np.float32))
    cache.put(b"other", np.zeros(100, dtype=np.float32))
    assert len(cache) == 2


def test_content_keys_differ_where_content_does(gradient: Image.Image) -> None:
    palette = gradient.quantize(8)
    recoloured = palette.copy()
    colours = recoloured.getpalette() or []
    recoloured.putpalette(colours[::-1])
    keys = [
        content_key("a", None),
        content_key("b", None),
        content_key(None, gradient),
        content_key("a", gradient),
        content_key(None, gradient.convert("L")),
        content_key(None, gradient.resize((40, 60))),
        content_key(None, palette),
        content_key(None, recoloured),
    ]
    assert len(set(keys)) == len(keys)
    dot = Image.new("RGB", (1, 1), (65, 66, 67))
    forged = "a\0image\0RGB\0(1, 1)\0NoneABC"
    assert content_key(forged, None) != content_key("a", dot)
    assert content_key("a", gradient.copy()) == content_key("a", gradient)
