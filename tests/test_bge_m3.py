"""BGE-M3 against a plain computation, one text at a time, with transformers' own forward pass."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn
from transformers import AutoTokenizer, XLMRobertaModel

from mmdemo import MODELS, load_encoder
from mmdemo.encoders.base import Tell, Tokens
from mmdemo.encoders.bge_m3.model import BGEM3
from mmdemo.encoders.parts import text_tower
from mmdemo.encoders.parts.batching import by_length
from mmdemo.encoders.parts.linear import Kernel
from mmdemo.errors import ModelError, TextError
from mmdemo.models import lane
from mmdemo.models.encoder import Encoder, encoder_of
from mmdemo.models.find import find_model, model_row
from mmdemo.similarity import hybrid, lexical, maxsim
from mmdemo.types import Representation, SparseEmbedding, TextEncoding
from tests.bge_m3 import CONFIG, save
from tests.conftest import TINY
from tests.test_visualized_bge import fastest_if_exact
from tests.waiting import MOST

TEXTS = [
    "a red car",
    "the red dog and the red house near the river at night",
    "蓝鲸 whale",
    "",
    "   ",
    "</s> <s>",
    "a a a a car",
    "the dog " * 60,  # more than the model reads
]
LONGEST = 64
CLOSE = {"rtol": 0, "atol": 1e-5}


class Expected(NamedTuple):
    dense: NDArray[np.float32]
    weights: dict[int, float]
    matrix: NDArray[np.float32]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("bge") / "tiny-m3")


@pytest.fixture(scope="module")
def loaded(folder: Path) -> BGEM3:
    return BGEM3("tiny", folder)


@pytest.fixture
def encoder(loaded: BGEM3) -> Encoder:
    """Return an encoder that has computed nothing yet."""
    return encoder_of(loaded)


@pytest.fixture(scope="module")
def expected(folder: Path) -> dict[str, Expected]:
    return {text: plainly(folder, text) for text in TEXTS}


def plainly(folder: Path, text: str) -> Expected:
    """Compute what the reference does: a text alone, no batch, eager attention, loops."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tower = XLMRobertaModel.from_pretrained(folder, attn_implementation="eager").eval()
    hidden = tower.config.hidden_size
    heads = {"sparse_linear.pt": nn.Linear(hidden, 1), "colbert_linear.pt": nn.Linear(hidden, 48)}
    for name, head in heads.items():
        head.load_state_dict(torch.load(folder / name, weights_only=True))
    ids = tokenizer(text, truncation=True, max_length=LONGEST, return_tensors="pt")["input_ids"]
    with torch.no_grad():
        states = tower(ids).last_hidden_state[0]
        token_weights = heads["sparse_linear.pt"](states)[:, 0].relu().tolist()
        rows = [heads["colbert_linear.pt"](state) for state in states[1:]]
    weights: dict[int, float] = {}
    for number, weight in zip(ids[0].tolist(), token_weights, strict=True):
        if number not in (0, 1, 2, 3) and weight > 0:  # <s>, <pad>, </s>, <unk>
            weights[number] = max(weights.get(number, 0.0), weight)
    return Expected(
        dense=(states[0] / states[0].norm()).numpy(),
        weights=weights,
        matrix=torch.stack([row / row.norm() for row in rows]).numpy(),
    )


def test_together_alone_and_as_the_reference_does(
    folder: Path, encoder: Encoder, expected: dict[str, Expected]
) -> None:
    together = dict(encoder.read_texts(TEXTS))
    alone = encoder_of(BGEM3("alone", folder))
    for position, text in enumerate(TEXTS):
        ((_, single),) = alone.read_texts([text])
        for found in (together[position], single):
            assert found.sparse is not None
            assert found.multi_vector is not None
            np.testing.assert_allclose(found.dense, expected[text].dense, **CLOSE)
            np.testing.assert_allclose(found.multi_vector, expected[text].matrix, **CLOSE)
            assert found.sparse.as_dict() == pytest.approx(expected[text].weights, abs=1e-5)
    # The comparison has something to compare: weights differ, and some tokens have none.
    counts = [len(one.weights) for one in expected.values()]
    assert max(counts) > 3
    assert expected["</s> <s>"].weights.keys() <= {23}  # the space between them


def test_what_encode_returns(encoder: Encoder, expected: dict[str, Expected]) -> None:
    texts = [text for text in TEXTS if text.strip()]
    vectors = encoder.encode(texts)
    assert (vectors.shape, vectors.dtype) == ((len(texts), 48), np.float32)
    np.testing.assert_allclose(vectors, [expected[text].dense for text in texts], **CLOSE)
    for text, sparse, matrix in zip(
        TEXTS, encoder.encode_sparse(TEXTS), encoder.encode_multi_vector(TEXTS), strict=True
    ):
        assert (sparse.indices.dtype, sparse.values.dtype) == (np.int64, np.float32)
        assert (np.diff(sparse.indices) > 0).all()
        assert (sparse.values > 0).all()
        assert sparse.as_dict() == pytest.approx(expected[text].weights, abs=1e-5)
        assert (matrix.dtype, matrix.shape) == (np.float32, expected[text].matrix.shape)
        np.testing.assert_allclose(np.linalg.norm(matrix, axis=1), 1.0, atol=1e-6)
        with pytest.raises(ValueError, match="read-only"):
            matrix[0, 0] = 0.0  # it is shared with whoever asks next
    assert len(encoder.encode_sparse("a red car")) == 1
    assert encoder.encode_sparse([]) == []


def test_one_pass_gives_all_three(
    loaded: BGEM3, encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes = watched(loaded, monkeypatch)
    encoder.encode("a red car")
    encoder.encode_sparse("a red car")
    encoder.encode_multi_vector("a red car")
    encoder.encode("a red car")
    assert len(passes) == 1
    list(encoder.read_texts(["a dog", "a dog", "a red car"]))
    assert sum(map(len, passes)) == 2


def test_texts_of_a_batch_are_of_similar_length(
    loaded: BGEM3, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BGEM3, "batch_tokens", 150)
    monkeypatch.setattr(lane, "STEP", MOST)  # however slow the machine
    encoder = encoder_of(loaded)
    for count in range(10):  # by then it knows that all of that fits into a step
        list(encoder.read_texts(["dog " * (50 + count), "red " * (50 + count)]))
    passes = watched(loaded, monkeypatch)
    texts = [" ".join(["a", "car", "red"][i % 3] for i in range(n)) for n in (40, 1, 39, 2, 41)]
    order = [position for position, _ in encoder.read_texts(texts)]
    assert order == [1, 3, 2, 0, 4]
    assert passes == [[3, 4, 41], [42, 43]]


def watched(model: BGEM3, monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """Return a list that grows by the lengths of the texts of each pass."""
    passes: list[list[int]] = []
    original = model.text_encodings

    def run(texts: Sequence[Tokens], tell: Tell) -> list[TextEncoding]:
        passes.append(list(map(len, texts)))
        return original(texts, tell)

    monkeypatch.setattr(model, "text_encodings", run)
    return passes


def test_batches_by_length() -> None:
    assert list(by_length([], 100)) == []
    assert list(by_length([500], 100)) == [[0]]
    assert list(by_length([50, 10, 60, 10], 100)) == [[1, 3], [0], [2]]
    # Padding closes a batch, but not one that is small.
    lengths = [10, 100, 11, 12, 101]
    assert list(by_length(lengths, 10_000, waste=0.2)) == [[0, 2, 3], [1, 4]]
    assert list(by_length(lengths, 10_000, least=400, waste=0.2)) == [[0, 2, 3, 1], [4]]
    # How much fits may change from one batch to the next.
    room = iter([20, 20, 20, 400, 400])
    assert list(by_length(lengths, lambda: next(room))) == [[0], [2], [3, 1, 4]]


@pytest.mark.parametrize("kernel", ["plain", "packed", "medium"])
def test_every_way_to_multiply_gives_these_numbers(
    kernel: Kernel,
    folder: Path,
    expected: dict[str, Expected],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    encoder = encoder_of(BGEM3("tiny", folder))  # of its own: layers are replaced
    monkeypatch.setattr(text_tower, "fastest_kernel", lambda *_: kernel)
    matrices = encoder.encode_multi_vector(TEXTS)
    # Where `medium` rounds to bfloat16, `fastest_kernel` does not name it: then this is no promise.
    if fastest_if_exact(kernel):
        for text, matrix in zip(TEXTS, matrices, strict=True):
            np.testing.assert_allclose(matrix, expected[text].matrix, **CLOSE)


def test_progress_and_an_end_on_request(encoder: Encoder) -> None:
    told: list[float] = []
    list(encoder.read_texts(["the dog"], step=told.append))
    assert told == pytest.approx([0.0, 1 / 3, 2 / 3, 1.0])  # three layers

    class StopError(Exception):
        pass

    def stop(share: float) -> None:
        if share > 0.3:
            raise StopError

    with pytest.raises(StopError):
        list(encoder.read_texts(["another dog"], step=stop))
    told.clear()
    list(encoder.read_texts(["another dog"], step=told.append))  # nothing half-done was kept
    assert told[-1] == 1.0
    assert len(told) == 4


def test_tokens_and_their_rows(encoder: Encoder) -> None:
    text = "a red car"
    tokens = encoder.tokens(text)
    assert [token.text for token in tokens] == ["<s>", "▁a", "▁red", "▁car", "</s>"]
    assert [text[token.start : token.end].strip() for token in tokens] == [
        "",
        "a",
        "red",
        "car",
        "",
    ]
    assert [token.row for token in tokens] == [None, 0, 1, 2, 3]
    for longer in TEXTS:
        rows = [token for token in encoder.tokens(longer) if token.row is not None]
        assert len(rows) == len(encoder.encode_multi_vector(longer)[0])
        assert len(encoder.tokens(longer)) == encoder.token_usage(longer).used
    usage = encoder.token_usage(TEXTS[-1])
    assert (usage.used, usage.truncated) == (LONGEST, True)


def test_pictures_and_long_texts_are_refused(
    encoder: Encoder, gradient: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ModelError, match="cannot embed the modality 'image'; it embeds: text"):
        encoder.encode(gradient)  # pyright: ignore[reportArgumentType]
    encoder.encode("the dog " * 2000)  # more than the 10,000 characters of other models
    monkeypatch.setenv("MMDEMO_LIMITS_DOCUMENT", "20")
    with pytest.raises(TextError, match="Text 2: The text has 24 characters; at most 20"):
        encoder.encode_sparse(["a", "the dog " * 3])
    with pytest.raises(TextError, match="at most 20"):
        encoder.encode("the dog " * 3)
    with pytest.raises(TextError, match="A text was expected, not int"):
        encoder.encode_sparse([5])  # pyright: ignore[reportArgumentType]
    with pytest.raises(TextError, match="empty"):
        encoder.encode("")


def test_a_model_without_them_says_so(mini: Encoder) -> None:
    with pytest.raises(ModelError, match=r"mini has no 'sparse' .* it has: dense, multi_vector"):
        mini.encode_sparse("a red car")
    with pytest.raises(ModelError, match=r"no 'multi_vector' .* it has: dense"):
        load_encoder(TINY).encode_multi_vector("a red car")


def test_minis_token_vectors(mini: Encoder) -> None:
    texts = ["a red car", "蓝鲸 and a whale", "", "a dog " * 300]
    together = dict(mini.read_texts(texts))
    for position, text in enumerate(texts):
        encoding = together[position]
        assert encoding.sparse is None
        assert encoding.multi_vector is not None
        rows = [token for token in mini.tokens(text) if token.row is not None]
        assert len(encoding.multi_vector) == len(rows) == mini.token_usage(text).used - 2
        if text:
            np.testing.assert_allclose(encoding.dense, mini.encode(text)[0], **CLOSE)
    ((_, alone),) = mini.read_texts([texts[0]])
    assert alone.multi_vector is not None
    assert together[0].multi_vector is not None
    np.testing.assert_allclose(alone.multi_vector, together[0].multi_vector, **CLOSE)
    assert [token.text for token in mini.tokens("a red car")][1:-1] == ["a", "red", "car"]


# Score functions.


def test_lexical() -> None:
    one = SparseEmbedding(np.array([2, 5, 9]), np.array([0.5, 1.0, 0.25], dtype=np.float32))
    two = SparseEmbedding(np.array([5, 7, 9]), np.array([0.5, 9.0, 2.0], dtype=np.float32))
    none = SparseEmbedding(np.array([], dtype=np.int64), np.array([], dtype=np.float32))
    assert lexical(one, two) == lexical(two, one) == 1.0
    assert lexical(one, none) == lexical(none, none) == 0.0


def test_maxsim_against_loops() -> None:
    random = np.random.default_rng(0)

    def units(count: int) -> NDArray[np.float32]:
        rows = random.normal(size=(count, 6))
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)

    query, passages = units(3), [units(5), units(1), units(9)]
    for passage in passages:
        plain = np.mean([max(float(row @ other) for other in passage) for row in query])
        assert maxsim(query, passage) == pytest.approx(plain, abs=1e-6)
    assert maxsim(query, query) == pytest.approx(1.0, abs=1e-6)
    assert maxsim(query[:1], -query[:1]) == pytest.approx(-1.0, abs=1e-6)
    empty = np.empty((0, 6), dtype=np.float32)
    assert maxsim(query, empty) == maxsim(empty, query) == maxsim(empty, empty) == 0.0


Scores: TypeAlias = dict[Representation, NDArray[np.float32] | None]
Weights: TypeAlias = dict[Representation, float]


def test_hybrid_is_a_weighted_mean() -> None:
    dense, sparse = np.array([0.5, 0.1], np.float32), np.array([0.2, 0.4], np.float32)
    multi = np.array([0.9, 0.0], np.float32)
    scores: Scores = {"dense": dense, "sparse": sparse, "multi_vector": multi}
    even: Weights = {"dense": 1.0, "sparse": 1.0, "multi_vector": 1.0}
    assert hybrid(scores, even).tolist() == pytest.approx([1.6 / 3, 0.5 / 3])
    own: Weights = {"dense": 0.4, "sparse": 0.2, "multi_vector": 0.4}
    assert hybrid(scores, own).tolist() == pytest.approx([0.6, 0.12])
    # What the model lacks has no part in the divisor either.
    lacking: Scores = {"dense": dense, "sparse": None, "multi_vector": multi}
    assert hybrid(lacking, even).tolist() == pytest.approx([0.7, 0.05])
    nothing: Weights = dict.fromkeys(even, 0.0)
    assert hybrid(scores, nothing).tolist() == [0.0, 0.0]


# Files.


def test_what_is_registered() -> None:
    spec = MODELS["bge-m3"]
    assert (spec.modalities, spec.fusion, spec.dim) == (("text",), "none", 1024)
    assert set(spec.representations) == BGEM3.representations
    assert spec.modalities == tuple(BGEM3.modalities)
    assert {"sparse_linear.pt", "colbert_linear.pt", "pytorch_model.bin"} <= set(spec.hub[0].names)
    assert set(MODELS["mini"].representations) == load_encoder("mini").representations


def test_a_directory_is_recognised(folder: Path, tmp_path: Path) -> None:
    spec = find_model(folder)
    assert (spec.name, spec.modalities, spec.fusion) == ("local:tiny-m3", ("text",), "none")
    assert spec.representations == ("dense", "sparse", "multi_vector")
    assert json.loads(json.dumps(model_row(spec)))["representations"][1] == "sparse"
    encoder = load_encoder(folder)
    assert (encoder.name, encoder.dim) == (spec.name, 48)
    other = save(tmp_path / "as-transformers-saves", safetensors=True)
    np.testing.assert_array_equal(load_encoder(other).encode("a car"), encoder.encode("a car"))
    (other / "colbert_linear.pt").unlink()
    with pytest.raises(ModelError, match=r"sparse_linear.pt and colbert_linear.pt among them"):
        find_model(other)


def test_names_of_other_ways_to_save(folder: Path, tmp_path: Path) -> None:
    other = save(tmp_path / "prefixed")
    state = torch.load(other / "pytorch_model.bin", weights_only=True)
    state = {f"roberta.{key}": tensor.double() for key, tensor in state.items()}
    state["roberta.embeddings.position_ids"] = torch.arange(66)[None]
    torch.save(state, other / "pytorch_model.bin")
    here, there = (encoder_of(BGEM3("a", place)).encode("a car") for place in (folder, other))
    np.testing.assert_allclose(here, there, **CLOSE)


def test_the_norms_epsilon_comes_from_the_configuration(tmp_path: Path) -> None:
    model = BGEM3("a", save(tmp_path / "a", layer_norm_eps=0.25))
    assert model._network.text.embeddings.LayerNorm.eps == 0.25
    assert CONFIG["layer_norm_eps"] == 1e-5


class _Code:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("run",)


def test_what_is_wrong_with_the_files_is_said(tmp_path: Path) -> None:
    def refused() -> str:
        with pytest.raises(ModelError) as caught:
            BGEM3("broken", broken)
        assert str(tmp_path) not in str(caught.value)
        return str(caught.value)

    broken = save(tmp_path / "broken")
    good = (broken / "sparse_linear.pt").read_bytes()
    torch.save({"weight": torch.zeros(1, 47), "bias": torch.zeros(1)}, broken / "sparse_linear.pt")
    assert "sparse_linear.pt does not fit this model; of another size" in refused()
    torch.save({"weight": torch.zeros(1, 48)}, broken / "sparse_linear.pt")
    assert "sparse_linear.pt is no linear layer" in refused()
    torch.save({"weight": _Code()}, broken / "sparse_linear.pt")
    assert "perhaps code to be run; it was not loaded" in refused()
    (broken / "sparse_linear.pt").write_bytes(good[:100])
    assert "sparse_linear.pt is damaged or cut off" in refused()
    (broken / "sparse_linear.pt").write_bytes(good)
    state = torch.load(broken / "pytorch_model.bin", weights_only=True)
    torch.save({"more": torch.zeros(1)} | state, broken / "pytorch_model.bin")
    assert "pytorch_model.bin does not fit this model; unknown: more" in refused()
    (broken / "pytorch_model.bin").unlink()
    assert "'broken' has no weights. Accepted: model.safetensors or pytorch_model.bin" in refused()
    (broken / "config.json").write_text('{"model_type": "bert"}')
    assert "config.json names the text encoder 'bert'" in refused()
