"""Zero-shot classification against the same computation written out, and its caches."""

from __future__ import annotations

import gc
import json
import weakref
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from mmdemo import classify
from mmdemo.background.sets import background
from mmdemo.encoders.base import Features, Model, Prepared, Tokens
from mmdemo.errors import MMDemoError, ModelError, PictureError, StoppedError, TextError
from mmdemo.examples import FOLDER
from mmdemo.models.encoder import Encoder, encoder_of
from mmdemo.models.store import Store
from mmdemo.tasks.classify import ClassEmbeddings, class_embeddings, prompt_effect
from mmdemo.tasks.prompts import TEMPLATE_SETS
from mmdemo.types import TokenUsage
from mmdemo.work import Follower
from tests.fakes import FakeModel, written
from tests.waiting import wait_until

LABELS = ("a bee", "a bridge", "a dog")
BEE, BRIDGE, DOGS = (FOLDER / name for name in ("bee.jpg", "bridge.jpg", "dogs.jpg"))


class Counting(FakeModel):
    """Vectors that follow from the content, and a list of everything that was embedded."""

    name, dim = "counting", 16
    logit_scale = 8.0

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.images = 0

    def token_usage(self, text: str, *, with_image: bool = False) -> TokenUsage:
        return TokenUsage(used=min(len(text), 60), total=len(text))

    def text_vectors(self, texts: Sequence[Tokens]) -> NDArray[np.float32]:
        self.texts += map(written, texts)
        return np.stack([self._vector(list(written(text).encode())) for text in texts])

    def image_features(self, pictures: Sequence[Image.Image]) -> list[Features]:
        self.images += len(pictures)
        return [self._vector([one.width, *one.tobytes()[:9]]) for one in pictures]

    def _vector(self, seed: list[int]) -> Features:
        return np.random.default_rng(seed).normal(size=self.dim).astype(np.float32)


class Sigmoid(Counting):
    activation, logit_bias = "sigmoid", -2.0


@pytest.fixture
def model() -> Counting:
    return Counting()


@pytest.fixture
def counting(model: Counting) -> Encoder:
    return encoder_of(model)


@pytest.fixture
def squares() -> list[Image.Image]:
    return [Image.new("RGB", (20, 20), colour) for colour in ("red", "green", "blue")]


def written_out(
    encoder: Encoder, images: list[Image.Image], labels: Sequence[str], templates: Sequence[str]
) -> np.ndarray:
    """Return cosines [n_images, n_labels], one pair at a time."""
    rows = []
    for image in images:
        picture = encoder.encode(image)[0].astype(np.float64)
        row = []
        for label in labels:
            vectors = [encoder.encode(one.replace("{}", label))[0] for one in templates]
            mean = np.mean([v / np.linalg.norm(v) for v in vectors], axis=0)
            row.append(float(picture @ (mean / np.linalg.norm(mean))))
        rows.append(row)
    return np.array(rows)


def softmax(logits: np.ndarray) -> np.ndarray:
    return np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)


@pytest.mark.parametrize("templates", ["plain", "openai-7", ["{}"], ["art of {}", "a {}, a {}"]])
def test_softmax_written_out(
    counting: Encoder, squares: list[Image.Image], templates: str | list[str]
) -> None:
    result = classify(counting, squares, LABELS, templates)
    lines = TEMPLATE_SETS[templates].templates if isinstance(templates, str) else templates
    cosines = written_out(encoder_of(Counting()), squares, LABELS, lines)
    np.testing.assert_allclose(result.cosines, cosines, atol=1e-6)
    np.testing.assert_allclose(result.probabilities, softmax(8.0 * cosines), atol=1e-6)
    np.testing.assert_allclose(result.probabilities.sum(1), 1.0, atol=1e-6)
    assert (result.labels, result.activation, result.logit_scale) == (LABELS, "softmax", 8.0)
    assert result.probabilities.dtype == result.cosines.dtype == np.float32
    assert result.rejection is None
    assert result.matching is None
    assert result.temperature == pytest.approx(0.125)


def test_sigmoid_written_out(squares: list[Image.Image]) -> None:
    result = classify(encoder_of(Sigmoid()), squares, LABELS, "plain", reject=True)
    cosines = written_out(encoder_of(Counting()), squares, LABELS, TEMPLATE_SETS["plain"].templates)
    chances = 1 / (1 + np.exp(-(8.0 * cosines - 2.0)))
    np.testing.assert_allclose(result.probabilities, chances, atol=1e-6)
    assert result.rejection is not None
    np.testing.assert_allclose(result.rejection, np.prod(1 - chances, axis=1), atol=1e-6)
    assert (result.activation, result.logit_bias) == ("sigmoid", -2.0)
    assert result.rejection_cosine is None


def test_what_mini_sees(mini: Encoder) -> None:
    result = classify(mini, [BEE, BRIDGE, DOGS], LABELS)
    assert [result.ranking(image)[0] for image in range(3)] == [0, 1, 2]
    assert (result.logit_scale, result.activation) == (mini.logit_scale, "softmax")
    known = background(mini)
    assert known is not None
    assert result.percentiles is not None
    for (image, label), rank in np.ndenumerate(result.percentiles):
        score = float(result.cosines[image, label])
        assert rank == pytest.approx(known.percentile("t2i", score), abs=1e-3)


def test_none_of_these_for_a_picture_of_something_else(mini: Encoder) -> None:
    plain = classify(mini, [BEE, BRIDGE], ["a bee", "a goldfish", "an owl"])
    result = classify(mini, [BEE, BRIDGE], ["a bee", "a goldfish", "an owl"], reject=True)
    assert result.rejection is not None
    assert result.rejection[1] > result.probabilities[1].max()
    assert result.rejection[0] < result.probabilities[0, 0]
    np.testing.assert_allclose(result.probabilities.sum(1) + result.rejection, 1.0, atol=1e-6)
    # The labels keep their odds among each other.
    odds = result.probabilities / result.probabilities.sum(1, keepdims=True)
    np.testing.assert_allclose(odds, plain.probabilities, atol=1e-5)
    known = background(mini)
    assert known is not None
    assert result.rejection_cosine == pytest.approx(known.quantile("t2i", 100 * (1 - 0.1 / 3)))


def test_one_picture_equals_the_batch(mini: Encoder) -> None:
    batch = classify(mini, [BEE, BRIDGE, DOGS], LABELS)
    for index, path in enumerate((BEE, BRIDGE, DOGS)):
        alone = classify(mini, path, LABELS)
        np.testing.assert_allclose(alone.cosines[0], batch.cosines[index], atol=1e-5)
        np.testing.assert_allclose(alone.probabilities[0], batch.probabilities[index], atol=1e-4)


def test_another_picture_encodes_only_the_picture(
    model: Counting, counting: Encoder, squares: list[Image.Image]
) -> None:
    classify(counting, squares[0], LABELS)
    assert (len(model.texts), model.images) == (21, 1)
    classify(counting, squares[1], LABELS)
    assert (len(model.texts), model.images) == (21, 2)
    classify(counting, squares[1], [*LABELS, "a cat"])
    assert (len(model.texts), model.images) == (28, 2)
    assert steps_of(counting, LABELS, "openai-7") == []


def test_many_prompts_come_in_steps_and_stay_ready(
    model: Counting,
    counting: Encoder,
    squares: list[Image.Image],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    labels = [f"label {n}" for n in range(50)]
    steps = steps_of(counting, labels, "openai-80")
    assert steps[-1] == (4000, 4000, "prompts")
    assert len(steps) == 50
    assert steps == sorted(steps)
    forget_vectors(monkeypatch)
    seen: list[tuple[int, int]] = []
    classify(counting, squares[0], labels, "openai-80", progress=lambda *at: seen.append(at))
    assert (len(model.texts), seen) == (4000, [])


def steps_of(
    encoder: Encoder, labels: Sequence[str], templates: str
) -> list[tuple[float, float, str]]:
    """Embed labels; return what was told of it: how many prompts are done, of how many."""
    steps: list[tuple[float, float, str]] = []
    class_embeddings(encoder, labels, templates, Follower(lambda *told: steps.append(told)))
    return steps


def forget_vectors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a store find no vectors of single prompts, as if others had taken their room."""
    get = Store.get
    monkeypatch.setattr(
        Store, "get", lambda self, key: None if key.kind == "vector" else get(self, key)
    )


def test_their_own_prompts_do_not_push_them_out(
    model: Counting, counting: Encoder, squares: list[Image.Image]
) -> None:
    labels = [f"label {n}" for n in range(20)]
    counting._store.limit = 100_000  # the prompts' vectors have 740,000 bytes, they have 53,000
    class_embeddings(counting, labels, "openai-80")
    classify(counting, squares[0], labels, "openai-80")
    assert len(model.texts) == 1600


def test_stopping_leaves_nothing_half_done(
    model: Counting,
    counting: Encoder,
    squares: list[Image.Image],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    labels = [f"label {n}" for n in range(10)]

    def stopped(*_: object) -> None:
        raise StoppedError

    with pytest.raises(StoppedError):
        class_embeddings(counting, labels, "openai-80", Follower(stopped))
    assert len(model.texts) == 80
    fresh = classify(encoder_of(Counting()), squares, labels, "openai-80")
    forget_vectors(monkeypatch)
    result = classify(counting, squares, labels, "openai-80")
    assert len(model.texts) == 800  # what was embedded before the stop is not again
    np.testing.assert_array_equal(result.cosines, fresh.cosines)


def test_class_embeddings_of_two_models_do_not_mix(squares: list[Image.Image]) -> None:
    class Other(Counting):
        def _vector(self, seed: list[int]) -> Features:
            return super()._vector([7, *seed])

    store = Store(10**6)
    first, second = (
        classify(Encoder(model, Kept(model), store), squares, LABELS)
        for model in (Counting(), Other())
    )
    assert np.abs(first.cosines - second.cosines).max() > 0.05


class Kept:
    """Where an encoder has its model from: here it just is."""

    def __init__(self, model: Model) -> None:
        self.model = model

    def lease(self) -> nullcontext[Model]:
        return nullcontext(self.model)


def test_class_embeddings_go_with_their_model(squares: list[Image.Image]) -> None:
    store, model = Store(10**6), Counting()
    encoder = Encoder(model, Kept(model), store)
    classify(encoder, squares, LABELS)
    [classes] = [key for key in store._entries if key.kind == "classes"]
    weights = weakref.ref(model)
    del encoder, model

    def gone() -> bool:
        gc.collect()
        return weights() is None

    wait_until(gone)
    assert store.get(classes) is None
    assert len(store) == 0


def test_old_class_embeddings_make_room(counting: Encoder, squares: list[Image.Image]) -> None:
    counting._store.limit = 12_000
    for n in range(8):
        classify(counting, squares, [f"label {n}", f"more {n}"])
        assert counting._store.nbytes <= 12_000
    assert steps_of(counting, ["label 7", "more 7"], "openai-7") == []
    assert steps_of(counting, ["label 0", "more 0"], "openai-7") != []


def test_the_spread_of_the_prompts(counting: Encoder, squares: list[Image.Image]) -> None:
    result = classify(counting, squares, LABELS)
    effect = prompt_effect(counting, result, image=1, top=2)
    best = result.ranking(1)[:2]
    assert effect.labels == tuple(LABELS[label] for label in best)
    assert effect.by_template.shape == (2, 7)
    picture = counting.encode(squares[1])[0]
    for row, label in enumerate(effect.labels):
        assert effect.bare[row] == pytest.approx(
            float(counting.encode(label)[0] @ picture), abs=1e-6
        )
        for column, template in enumerate(effect.templates):
            vector = counting.encode(template.replace("{}", label))[0]
            assert effect.by_template[row, column] == pytest.approx(
                float(vector @ picture), abs=1e-3
            )
    np.testing.assert_array_equal(effect.ensemble, result.cosines[1, best])


def test_results_as_plain_json_and_rows(mini: Encoder) -> None:
    result = classify(mini, [BEE, DOGS], LABELS, reject=True)
    told = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert told["labels"] == list(LABELS)
    assert np.shape(told["cosines"]) == np.shape(told["probabilities"]) == (2, 3)
    assert len(told["rejection"]) == 2
    assert told["temperature"] == pytest.approx(1 / told["logit_scale"])
    rows = result.rows()
    assert [row["picture"] for row in rows] == [1, 1, 1, 2, 2, 2]
    assert next(row["label"] for row in rows if row["picture"] == 2) == "a dog"
    for row in rows:
        label = LABELS.index(row["label"])
        assert row["cosine"] == float(result.cosines[row["picture"] - 1, label])


def test_hostile_labels_are_only_texts(
    model: Counting, counting: Encoder, squares: list[Image.Image]
) -> None:
    labels = [
        "{0.__class__}",
        "<img src=x onerror=alert(1)>",
        "{}",
        "%s",
        "cat",
        "cat",
        " ",
        "x\x00",
    ]
    result = classify(counting, squares, labels, ["a {} of {0.__globals__}"])
    assert result.labels == (
        "{0.__class__}",
        "<img src=x onerror=alert(1)>",
        "{}",
        "%s",
        "cat",
        "x",
    )
    assert "a {0.__class__} of {0.__globals__}" in model.texts
    assert len(model.texts) == 6
    assert np.isfinite(result.probabilities).all()


@pytest.mark.parametrize(
    ("images", "error", "says"),
    [
        ([], PictureError, "There is no picture"),
        (["gone.png"], PictureError, "Picture 1: .*gone.png"),
        ([b"no picture"], PictureError, "Picture 1: This file is not a picture"),
        ([Image.new("RGB", (9, 9))] * 51, PictureError, "51 pictures; at most 50"),
        (np.zeros((9, 9, 3)), PictureError, "not ndarray"),
        (None, PictureError, "not NoneType"),
    ],
)
def test_pictures_that_cannot_be_used(
    model: Counting, counting: Encoder, images: Any, error: type[MMDemoError], says: str
) -> None:
    with pytest.raises(error, match=says):
        classify(counting, images, LABELS)
    assert model.texts == []  # it is said before anything else costs time


def test_notes(counting: Encoder, mini: Encoder, squares: list[Image.Image]) -> None:
    [long] = classify(counting, squares, ["x" * 80], "plain").notes
    assert long.code == "truncated"
    [foreign] = classify(counting, squares, ["蓝鲸", "浣熊"], "plain-zh").notes
    assert foreign.code == "language"
    assert classify(mini, BEE, ["蓝鲸", "蜜蜂"], "plain-zh").notes == ()


def test_a_template_without_a_place_is_refused(
    model: Counting, counting: Encoder, squares: list
) -> None:
    with pytest.raises(TextError, match=r"has no \{\}"):
        classify(counting, squares, LABELS, ["a photo"])
    assert model.texts == []


def test_paths_and_pictures_are_the_same(mini: Encoder) -> None:
    by_path = classify(mini, str(BEE), LABELS)
    by_bytes = classify(mini, [Path(BEE).read_bytes()], LABELS)
    np.testing.assert_array_equal(by_path.cosines, by_bytes.cosines)


def test_the_store_keeps_no_labels(counting: Encoder, squares: list[Image.Image]) -> None:
    classify(counting, squares, ["my secret label"], ["{} of mine"])
    kept = dict(counting._store._entries)
    assert {key.kind for key in kept} == {"classes", "vector", "features"}
    told = [repr(key) for key in kept]
    told += [repr(vars(one)) for one, _ in kept.values() if isinstance(one, ClassEmbeddings)]
    told += [repr(one) for one, _ in kept.values()]
    assert not any("secret" in one or "mine" in one for one in told)


def test_anything_that_can_be_taken_once(counting: Encoder, squares: list[Image.Image]) -> None:
    result = classify(
        counting,
        (square for square in squares),
        (label for label in LABELS),  # pyright: ignore[reportArgumentType]
        (one for one in ["a {}", "the {}"]),  # pyright: ignore[reportArgumentType]
    )
    whole = classify(counting, squares, list(LABELS), ["a {}", "the {}"])
    np.testing.assert_array_equal(result.cosines, whole.cosines)


def test_pictures_are_let_go_one_after_the_other(counting: Encoder) -> None:
    from mmdemo.tasks.classify import picture_vectors

    alive: list[weakref.ref[Image.Image]] = []
    most = 0

    def opening() -> Iterator[Image.Image]:
        nonlocal most
        for number in range(12):
            picture = Image.new("RGB", (30, 30 + number))
            alive.append(weakref.ref(picture))
            most = max(most, sum(one() is not None for one in alive))
            yield picture
            del picture

    picture_vectors(counting, opening(), 12)
    assert most <= 6


def test_a_model_without_pictures_is_refused_before_it_works() -> None:
    class TextOnly(Counting):
        modalities = frozenset({"text"})

    model = TextOnly()
    with pytest.raises(ModelError, match="cannot embed the modality 'image'"):
        classify(encoder_of(model), Image.new("RGB", (9, 9)), LABELS)
    assert model.texts == []


def test_the_label_with_most_tokens_is_told_when_cut(squares: list[Image.Image]) -> None:
    class Words(Counting):
        def token_usage(self, text: str, *, with_image: bool = False) -> TokenUsage:
            return TokenUsage(used=min(len(text.split()), 6), total=len(text.split()))

    notes = classify(encoder_of(Words()), squares, ["x" * 100, "a b c d e f g"], "{}").notes
    assert [note.values["total"] for note in notes] == [7]


def test_a_matching_head_is_asked_once(squares: list[Image.Image]) -> None:
    class Matching(Counting):
        has_matching_head, temperature_known = True, False
        pairs = 0

        def match_chances(self, pairs: Sequence[Prepared]) -> list[float]:
            self.pairs += len(pairs)
            return [len(pair.tokens or ()) / 100 for pair in pairs]

    model = Matching()
    encoder = encoder_of(model)
    result = classify(encoder, squares, LABELS)
    assert result.matching is not None
    wanted = [len(f"a photo of a {label}.") / 100 for label in LABELS]
    np.testing.assert_allclose(result.matching, [wanted] * 3)
    classify(encoder, squares, [*LABELS, "a cat"], "plain")
    assert model.pairs == 12
    many = classify(encoder, squares, [f"thing {n}" for n in range(100)], "{}")
    assert many.matching is not None
    assert (~np.isnan(many.matching)).sum(1).tolist() == [10, 10, 10]
    for image in range(3):
        assert not np.isnan(many.matching[image, many.ranking(image)[:10]]).any()
    assert many.to_dict()["matching"][0].count(None) == 90
    assert "does not hold its temperature" in many.to_dict()["notes"][-1]
