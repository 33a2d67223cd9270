"""BLIP's two heads and its fused embedding against transformers' own forward pass."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoProcessor, BlipForImageTextRetrieval

from mmdemo import load_encoder
from mmdemo.encoders.base import Prepared
from mmdemo.encoders.blip import model as module
from mmdemo.encoders.blip.model import Blip
from mmdemo.errors import ModelError, TextError
from mmdemo.models import lane
from mmdemo.models.catalogue import MODELS
from mmdemo.models.encoder import Encoder, encoder_of
from mmdemo.models.find import find_model
from tests.tiny_models import tiny_blip
from tests.waiting import MOST

TEXTS = ["a red car", "an", "a cat in the rain"]
LONG = "red car " * 30
CLOSE: dict[str, Any] = {"rtol": 0, "atol": 1e-5}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_blip(tmp_path_factory.mktemp("blip") / "tiny-blip")


@pytest.fixture(scope="module")
def loaded(folder: Path) -> Blip:
    return Blip("tiny", folder)


@pytest.fixture
def encoder(loaded: Blip) -> Encoder:
    """Return an encoder that has computed nothing yet."""
    return encoder_of(loaded)


@pytest.fixture(scope="module")
def reference(folder: Path) -> Any:
    """Return transformers' own."""
    return BlipForImageTextRetrieval.from_pretrained(folder).eval()


@pytest.fixture(scope="module")
def processor(folder: Path) -> Any:
    return AutoProcessor.from_pretrained(folder)


@pytest.fixture(scope="module")
def pictures() -> list[Image.Image]:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 5, 7, 3), dtype=np.uint8)
    wide, high = (Image.fromarray(rows) for rows in pixels)
    return [wide.resize((90, 50)), high.resize((40, 70))]


def test_contrastive_cosines(
    folder: Path, reference: Any, processor: Any, pictures: list[Image.Image]
) -> None:
    inputs = processor(text=TEXTS, images=pictures, padding=True, return_tensors="pt")
    with torch.inference_mode():
        expected = reference(**inputs, use_itm_head=False).itm_score.numpy()
    encoder = load_encoder(folder)
    cosines = encoder.encode(pictures) @ encoder.encode(TEXTS).T
    np.testing.assert_allclose(cosines, expected, **CLOSE)
    assert np.ptp(expected) > 1e-2


def test_matching_head(
    encoder: Encoder, reference: Any, processor: Any, pictures: list[Image.Image]
) -> None:
    chances = encoder.match_probabilities(pictures, TEXTS)
    assert (chances.shape, chances.dtype) == ((2, 3), np.float32)
    for i, picture in enumerate(pictures):
        for j, text in enumerate(TEXTS):
            inputs = processor(text=text, images=picture, return_tensors="pt")
            with torch.inference_mode():
                expected = reference(**inputs, use_itm_head=True).itm_score.softmax(-1)[0, 1]
            assert chances[i, j] == pytest.approx(float(expected), abs=1e-5)
    assert np.ptp(chances) > 1e-2


def test_fused_is_the_image_grounded_state(
    encoder: Encoder, reference: Any, processor: Any, pictures: list[Image.Image]
) -> None:
    pairs = [(0, 0), (0, 1), (1, 2)]
    fused = encoder.encode([{"image": pictures[i], "text": TEXTS[j]} for i, j in pairs])
    for row, (i, j) in zip(fused, pairs, strict=True):
        inputs = processor(text=TEXTS[j], images=pictures[i], return_tensors="pt")
        with torch.inference_mode():
            state = reference(**inputs, use_itm_head=True).question_embeds[:, 0]
            vector = torch.nn.functional.normalize(reference.text_proj(state))[0]
        np.testing.assert_allclose(row, vector.numpy(), **CLOSE)
    assert encoder.fusion == "native"


def test_the_batch_makes_no_difference(encoder: Encoder, pictures: list[Image.Image]) -> None:
    pair = {"image": pictures[1], "text": TEXTS[0]}
    items = [*pictures, pair, *TEXTS, {"image": pictures[0], "text": LONG}, LONG]
    alone = [encoder.encode(item)[0] for item in items]
    encoder.forget()
    np.testing.assert_allclose(encoder.encode(items), np.stack(alone), **CLOSE)


def test_matching_in_many_passes(
    loaded: Blip,
    encoder: Encoder,
    pictures: list[Image.Image],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    texts = [*TEXTS, LONG, "a cat"]
    whole = encoder.match_probabilities(pictures, texts)
    passes: list[int] = []
    original = loaded.match_chances

    def watched(pairs: Sequence[Prepared]) -> list[float]:
        passes.append(len(pairs))
        return original(pairs)

    monkeypatch.setattr(loaded, "match_chances", watched)
    monkeypatch.setattr(Blip, "batch_tokens", 2 * module._BESIDE)
    few = encoder_of(loaded)
    np.testing.assert_allclose(few.match_probabilities(pictures, texts), whole, **CLOSE)
    assert sum(passes) == len(pictures) * len(texts)
    assert max(passes) <= 2
    alone = encoder_of(loaded)
    rows = [[alone.match_probabilities([p], [t])[0, 0] for t in texts] for p in pictures]
    np.testing.assert_allclose(rows, whole, **CLOSE)


def test_pairs_of_several_pictures_in_one_pass(
    loaded: Blip, encoder: Encoder, pictures: list[Image.Image]
) -> None:
    """As where two visitors ask at the same moment."""
    features = loaded.image_features([loaded.read_picture(picture) for picture in pictures])
    rows = loaded.read_texts([*TEXTS, LONG], beside=True)
    pairs = [(picture, text) for text in range(len(rows)) for picture in range(2)]
    chances = loaded.match_chances([Prepared(rows[t], features[p]) for p, t in pairs])
    whole = encoder.match_probabilities(pictures, [*TEXTS, LONG])
    np.testing.assert_allclose(chances, [whole[pair] for pair in pairs], **CLOSE)


def test_a_pair_counts_for_what_its_look_at_the_picture_takes(
    loaded: Blip, encoder: Encoder, pictures: list[Image.Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    passes: list[int] = []
    original = loaded.fused_vectors

    def watched(features: Sequence[Any], *rest: Any) -> np.ndarray:
        passes.append(len(features))
        return original(features, *rest)

    monkeypatch.setattr(loaded, "fused_vectors", watched)
    monkeypatch.setattr(lane, "STEP", MOST)  # however fast the machine
    for turn in range(4):
        texts = [f"red {letter}" + " a" * turn for letter in "abcdefghijklmnopqrst"]
        encoder.encode([{"image": pictures[0], "text": text} for text in texts])
    assert max(passes) == 16


def test_a_picture_is_seen_once_whatever_it_is_wanted_for(
    loaded: Blip, encoder: Encoder, pictures: list[Image.Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    original = loaded.image_features

    def counting(images: Sequence[torch.Tensor]) -> Any:
        seen.append(len(images))
        return original(images)

    monkeypatch.setattr(loaded, "image_features", counting)
    encoder.match_probabilities([*pictures, pictures[0].copy()], TEXTS)
    encoder.encode([*pictures, {"image": pictures[0], "text": TEXTS[0]}])
    assert sum(seen) == 2


def test_what_the_matching_head_refuses(
    encoder: Encoder, pictures: list[Image.Image], mini: Encoder
) -> None:
    assert encoder.has_matching_head
    assert encoder.match_probabilities([], TEXTS).shape == (0, 3)
    assert encoder.match_probabilities(pictures, []).shape == (2, 0)
    with pytest.raises(TextError, match="empty"):
        encoder.match_probabilities(pictures, [" "])
    assert not mini.has_matching_head
    with pytest.raises(ModelError, match="mini has no matching head"):
        mini.match_probabilities(pictures, TEXTS)


def test_a_long_text_is_cut_and_keeps_its_end(
    loaded: Blip, encoder: Encoder, processor: Any
) -> None:
    for with_image in (False, True):
        usage = encoder.token_usage(LONG, with_image=with_image)
        assert (usage.used, usage.truncated) == (24, True)
        assert not encoder.token_usage("a red car", with_image=with_image).truncated
    ids = processor.tokenizer(LONG, truncation=True, max_length=24).input_ids
    assert loaded.read_texts([LONG]) == loaded.read_texts([LONG], beside=True) == [ids]


def test_the_temperature_is_where_the_configuration_says(folder: Path, tmp_path: Path) -> None:
    assert load_encoder(folder).logit_scale == pytest.approx(1 / 0.07, rel=1e-3)
    copy = shutil.copytree(folder, tmp_path / "model")
    rewrite(copy, logit_scale_init_value=3.0)
    encoder = load_encoder(copy)
    assert encoder.logit_scale == pytest.approx(math.exp(3.0))
    assert (encoder.logit_bias, encoder.activation) == (0.0, "softmax")


def rewrite(folder: Path, **config: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | config))


def test_a_blip_that_writes_captions_is_refused(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "model")
    rewrite(copy, architectures=["BlipForConditionalGeneration"])
    with pytest.raises(ModelError, match="BlipForConditionalGeneration, which has no embeddings"):
        load_encoder(copy)
    rewrite(copy, architectures=None)
    assert load_encoder(copy).dim == find_model(copy).dim == 24


def test_a_text_encoder_that_cannot_look_is_refused(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "model")
    config = json.loads((copy / "config.json").read_text())
    rewrite(copy, text_config=config["text_config"] | {"is_decoder": False})
    with pytest.raises(ModelError, match="cannot look at a picture"):
        load_encoder(copy)


def test_what_is_registered() -> None:
    spec = MODELS["blip-itm-base"]
    assert (spec.fusion, spec.dim, spec.languages) == ("native", 256, ("en",))
    assert (spec.source, spec.licence) == ("hub:Salesforce/blip-itm-base-coco", "BSD-3-Clause")
