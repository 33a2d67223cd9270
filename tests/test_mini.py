"""What is particular to `mini`: its towers, its head, and what it knows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from mmdemo.assets import ASSETS
from mmdemo.encoders.base import Features, Prepared
from mmdemo.encoders.mini.model import (
    Head,
    Mini,
    fused_states,
    text_states,
    views_of,
)
from mmdemo.encoders.parts import text_tower
from mmdemo.encoders.parts.linear import Kernel
from mmdemo.encoders.parts.tokens import padded
from mmdemo.errors import ModelError
from mmdemo.examples import FOLDER
from mmdemo.images import open_image
from mmdemo.models.encoder import Encoder, encoder_of
from tests.test_visualized_bge import fastest_if_exact


@pytest.fixture(scope="module")
def model() -> Mini:
    return Mini()


def test_the_image_embedding_against_a_plain_computation(model: Mini, two_pictures: tuple) -> None:
    picture, head = open_image(two_pictures[0]), model.head
    with torch.inference_mode():
        seen = model.vision_tower(torch.stack(views_of(picture, 224)))
    chances = seen.probabilities.mean(0).tolist()
    top = sorted(range(1000), key=lambda k: -chances[k])[: head.top_t]
    conse = sum(chances[k] * head.class_vectors[k].double() for k in top)
    conse = conse / sum(chances[k] for k in top)
    pooled = (seen.pooled.mean(0) - head.pooled_mean) / head.pooled_scale
    projected = head.project(F.gelu(head.inner(pooled))).double()
    expected = conse + float(head.project_weight) * projected / projected.norm()
    expected = (expected / expected.norm()).detach().numpy()
    np.testing.assert_allclose(encoder_of(model).encode([picture])[0], expected, atol=1e-5)


def test_image_tokens_stand_after_the_first_token(model: Mini) -> None:
    """The same, put together by hand: [CLS], patches by rows, the whole, then the text."""
    tower: Any = model.text_tower
    head = model.head
    ids, mask = padded(model.read_texts(["a dog"]), 0)
    features = torch.randn(1, Head.POOLED + Head.PATCHES * Head.PATCH + head.dim)
    with torch.inference_mode():
        tokens = head.tokens(features)
        assert tokens.shape == (1, Head.TOKENS, head.dim)
        grid = features[0, Head.POOLED : -head.dim].view(Head.PATCHES, Head.PATCH)
        torch.testing.assert_close(tokens[0, 4], head.patch(grid[4]) + head.place[4])
        parts = tower.embeddings
        words = parts.word_embeddings(ids)[0]
        rows = torch.cat([words[:1], tokens[0], words[1:]])
        places = [0, *range(1, Head.TOKENS + 1), *range(1, ids.shape[1])]
        rows = rows + parts.position_embeddings.weight[places]
        rows = parts.LayerNorm(rows + parts.token_type_embeddings.weight[0])
        hidden = tower.encoder(rows[None])[0]
        expected = hidden[0].mean(0)
        found = fused_states(tower, tokens, ids, mask)[0]
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


@torch.inference_mode()
def plainly(model: Mini, item: Prepared) -> Features:
    """Compute the vector of one item by transformers' own pass, [dim]."""
    head, tower = model.head, model.text_tower
    features = None if item.features is None else torch.tensor(item.features)[None]
    ids, mask = padded([item.tokens or [101]], 0)
    if features is None:
        return head.centred(text_states(tower, ids, mask))[0].numpy()
    image = head.image_vectors(features)
    if item.tokens is None:
        return image[0].numpy()
    words = head.centred(text_states(tower, ids, mask))
    if item.text_vector is not None:
        words = torch.tensor(item.text_vector)[None]
    states = fused_states(tower, head.tokens(features), ids, mask)
    return head.fused_vectors(states, image, words)[0].numpy()


@pytest.mark.parametrize("kernel", ["plain", "packed", "medium"])
def test_one_pass_over_all_kinds_gives_what_each_alone_would(
    kernel: Kernel, two_pictures: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_tower, "fastest_kernel", lambda *_: kernel)
    model = Mini()  # of its own: layers are replaced
    texts = ["a dog", "", "蓝鲸 in the rain", "very " * 60 + "dark", "dog " * 400]
    rows = model.read_texts(texts)
    assert len(rows[-1]) == 256
    views = [model.read_picture(open_image(path)) for path in two_pictures]
    first, second = model.image_features(views)
    # Where a text's vector is given, that is the one to mix in, whatever it is.
    given = F.normalize(model.head.mu, dim=0).numpy()
    items = [
        *map(Prepared, rows),
        Prepared(None, first),
        *(Prepared(row, second) for row in rows),
        Prepared(rows[0], first),
        Prepared(rows[2], first, given),
        Prepared(rows[4], second, given),
        Prepared(None, second),
    ]
    expected = np.stack([plainly(model, item) for item in items])
    order = np.random.default_rng(0).permutation(len(items))
    groups = [order, *([place] for place in order), order[:7], order[7:], [5], [5, 14], [12, 13]]
    of_texts = list(range(len(texts)))
    dense = np.stack([one.dense for one in model.text_encodings(rows, lambda share: None)])
    found = [(places, model.embed([items[place] for place in places])) for places in groups]
    found += [(of_texts, model.text_vectors(rows)), (of_texts, dense)]
    for places, vectors in found:
        assert (vectors.shape, vectors.dtype) == ((len(places), model.dim), np.float32)
        # Where `medium` rounds to bfloat16, `fastest_kernel` does not name it: no promise then.
        if fastest_if_exact(kernel):
            np.testing.assert_allclose(vectors, expected[places], rtol=0, atol=1e-6)
    # The comparison has something to compare.
    cosines = expected @ expected.T
    assert cosines[~np.eye(len(items), dtype=bool)].max() < 1 - 1e-3


def test_fuse_is_that_pass_under_a_head(model: Mini, two_pictures: tuple[Path, Path]) -> None:
    views = [model.read_picture(open_image(path)) for path in two_pictures]
    features, texts = model.image_features(views), ["a dog", "very " * 60 + "dark"]
    rows = model.read_texts(texts)
    pairs = [Prepared(row, seen) for row, seen in zip(rows, features, strict=True)]
    with torch.inference_mode():
        seen, words = torch.tensor(np.stack(features)), torch.tensor(model.text_vectors(rows))
        fused = model.fuse(model.head, seen, texts, words).numpy()
    np.testing.assert_allclose(fused, model.embed(pairs), rtol=0, atol=1e-6)


def test_token_states_are_those_of_transformers(model: Mini) -> None:
    rows = model.read_texts(["a dog", "", "very " * 60 + "dark"])
    shares: list[float] = []
    together = model.text_encodings(rows, shares.append)
    assert shares == sorted(shares)
    assert 0 < shares[0] < shares[-1] < 1
    for row, found in zip(rows, together, strict=True):
        with torch.inference_mode():
            ids, mask = padded([row], 0)
            states = model.text_tower(input_ids=ids, attention_mask=mask).last_hidden_state[0]
        assert found.multi_vector is not None
        assert found.multi_vector.shape == (len(row) - 2, model.dim)
        np.testing.assert_allclose(found.multi_vector, states[1:-1].numpy(), rtol=0, atol=1e-5)


def test_padding_changes_nothing(model: Mini, gradient: Image.Image) -> None:
    pairs = [{"image": gradient, "text": text} for text in ("a dog", "in " + "very " * 40 + "dark")]
    apart = np.concatenate([encoder_of(model).encode([pair]) for pair in pairs])
    np.testing.assert_allclose(encoder_of(model).encode(pairs), apart, atol=1e-5)


def test_fused_is_neither_of_its_parts(mini: Encoder, two_pictures: tuple) -> None:
    """`i2it` and `t2it` are two numbers, not one told twice."""
    picture = two_pictures[0]
    image, text, other, fused, fused_other = mini.encode(
        [
            picture,
            "a dog",
            "blue whale",
            {"image": picture, "text": "a dog"},
            {"image": picture, "text": "blue whale"},
        ]
    )
    assert abs(float(image @ fused) - float(text @ fused)) > 0.01
    assert float(text @ fused) > float(text @ fused_other)
    assert float(other @ fused_other) > float(other @ fused)


def test_a_text_of_another_colour_finds_the_other_heart(mini: Encoder) -> None:
    """The exercise on stage: "this heart, but green"."""
    red, green = FOLDER / "heart-red.png", FOLDER / "heart-green.png"
    for asked in ("this heart, but green", "这颗心，但是绿色的"):
        images = mini.encode([red, green])
        fused = mini.encode([{"image": red, "text": asked}])[0]
        assert float(fused @ images[1]) > float(fused @ images[0]), asked


def test_drawings_and_logos_are_found_by_name(mini: Encoder) -> None:
    files = ["heart-red.png", "logo-tidemark.png", "lighthouse-night.png", "sailing-boat.png"]
    images = mini.encode([FOLDER / file for file in files])
    english = mini.encode(["a heart", "a logo of waves", "a lighthouse", "a sailing boat"])
    chinese = mini.encode(["心", "海浪的标志", "灯塔", "帆船"])
    for texts in (english, chinese):
        assert (images @ texts.T).argmax(1).tolist() == [0, 1, 2, 3]


def test_chinese_lies_where_english_lies(mini: Encoder) -> None:
    pairs = {
        "狗": "dog",
        "猫": "cat",
        "苹果": "apple",
        "自行车": "bicycle",
        "红色的房子": "red house",
    }
    cosines = mini.encode(list(pairs)) @ mini.encode(list(pairs.values())).T
    assert cosines.argmax(1).tolist() == list(range(len(pairs)))
    # Mixed text is read in both.
    mixed = mini.encode(["一只dog"])[0]
    assert float(mixed @ mini.encode("dog")[0]) > 0.5


def test_a_chinese_word_is_one_token_wherever_it_stands(model: Mini) -> None:
    stored = json.loads((ASSETS / "mini/tokenizer.json").read_text(encoding="utf-8"))
    vocabulary = stored["model"]["vocab"]
    for word in ("心", "绿色", "的", "狗"):
        assert vocabulary[word] == vocabulary[f"##{word}"]
    ids = model.read_texts(["绿色的心"])
    assert ids == [[101, *(vocabulary[word] for word in ("绿色", "的", "心")), 102]]


def test_english_is_untouched_by_what_was_added_for_chinese(model: Mini) -> None:
    ids = model.read_texts(["a dog in the rain"])
    assert ids == [[101, 1037, 3899, 1999, 1996, 4542, 102]]


def test_centring_takes_the_mean_out(model: Mini) -> None:
    mu = model.head.mu
    assert float(mu.norm()) > 0.1
    states = torch.stack([mu * 2 + torch.eye(len(mu))[0]])
    expected = F.normalize(F.normalize(states, dim=-1) - mu, dim=-1)
    torch.testing.assert_close(model.head.centred(states), expected)


def test_text_is_read_up_to_the_maximum(mini: Encoder) -> None:
    short, long = mini.token_usage("a dog"), mini.token_usage("dog " * 600)
    assert (short.used, short.total, short.truncated) == (4, 4, False)
    assert (long.used, long.total, long.truncated) == (256, 602, True)
    # What lies beyond the maximum changes nothing, what lies before it does.
    vectors = mini.encode(["dog " * 600, "dog " * 600 + "cat", "cat " + "dog " * 600])
    np.testing.assert_allclose(vectors[0], vectors[1], atol=1e-6)
    assert float(vectors[0] @ vectors[2]) < 1 - 1e-6


def test_the_longest_text_fits_beside_a_picture(mini: Encoder, gradient: Image.Image) -> None:
    assert mini.encode([{"image": gradient, "text": "dog " * 600}]).shape == (1, mini.dim)


def test_views_have_the_models_size_and_a_square_has_one() -> None:
    for size in ((50, 1), (3, 900), (500, 10), (1999, 1000)):
        views = views_of(Image.new("RGB", size, (255, 0, 127)), 224)
        assert [tuple(view.shape) for view in views] == [(3, 224, 224)] * 2
        assert views[1][:, 112, 112].tolist() == pytest.approx([1.0, -1.0, -0.0039], abs=1e-3)
    for size in ((1, 1), (224, 224), (640, 630)):
        assert len(views_of(Image.new("RGB", size), 224)) == 1


def test_missing_weights_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mmdemo import assets

    (tmp_path / "mini").mkdir()
    source = assets.ASSETS / "mini/config.json"
    (tmp_path / "mini/config.json").write_text(source.read_text())
    monkeypatch.setattr(assets, "ASSETS", tmp_path)
    with pytest.raises(ModelError, match=r"incomplete.*vision\.safetensors.*Clone"):
        Mini()


def test_what_ships_is_small() -> None:
    files = list((ASSETS / "mini").iterdir())
    assert sum(file.stat().st_size for file in files) <= 60e6
    assert max(file.stat().st_size for file in files) < 10e6


def test_a_match_says_yes_no_or_not_sure(mini: Encoder) -> None:
    found = mini.match
    assert found is not None
    assert found.probability(0.9) > 0.9 > 0.5 > found.probability(-0.2)
    assert (found.verdict(0.9), found.verdict(-0.2)) == ("yes", "no")
    even = -found.offset / found.slope
    assert found.probability(even) == pytest.approx(0.5)
    assert found.verdict(even) == "unsure"
    stored = json.loads((ASSETS / "mini/config.json").read_text(encoding="utf-8"))["match"]
    assert (found.slope, found.offset, found.sure) == tuple(
        stored[key] for key in ("slope", "offset", "sure")
    )
