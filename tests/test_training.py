"""The parts of `training` that need no download: readers, names, losses, calibration."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from training.calibrate import Scored, logistic, match, softmax_scale
from training.calibration_photos import resources
from training.captioned import Captioned, icon_park_svg
from training.captions import captions
from training.e5 import _name, _unpack
from training.features import View
from training.render import COLOURS, exactly_tinted, on_ground, tinted
from training.splits import _singular
from training.train_head import contrast
from training.train_text import alignment


def test_four_bit_blocks_are_unpacked_in_order() -> None:
    values = np.arange(32) % 16 - 8  # what is stored, 8 added
    halves = ((values[:16] + 8) | ((values[16:] + 8) << 4)).astype(np.uint8)
    block = np.concatenate([np.array([0.5], dtype="<f2").view(np.uint8), halves])
    np.testing.assert_allclose(_unpack(block), values * 0.5)


def test_tensors_of_e5_get_the_names_of_transformers() -> None:
    assert _name("l11.aln.b") == "encoder.layer.11.attention.output.LayerNorm.bias"
    assert _name("emb.word") == "embeddings.word_embeddings.weight"


def test_a_qt_archive_is_walked(tmp_path: Path) -> None:
    def name(text: str) -> bytes:
        return struct.pack(">HI", len(text), 0) + text.encode("utf-16-be")

    names = name("a") + name("b.txt")
    tree = struct.pack(">IHII", 0, 2, 1, 1) + struct.pack(">IHII", 0, 2, 1, 2)
    tree += struct.pack(">IHHHI", len(name("a")), 0, 0, 0, 0)
    data = struct.pack(">I", 5) + b"hello"
    head = struct.pack(">4s4I", b"qres", 1, 20, 20 + len(tree), 20 + len(tree) + len(data))
    file = tmp_path / "x.rcc"
    file.write_bytes(head + tree + data + names)
    assert list(resources(file)) == [("/a/b.txt", b"hello")]
    file.write_bytes(b"else" + head)
    with pytest.raises(ValueError, match="not a Qt resource archive"):
        list(resources(file))


def test_an_icon_park_script_becomes_its_drawing(tmp_path: Path) -> None:
    file = tmp_path / "Dot.js"
    file.write_text(
        "x=function(props){return '<a w=\"'+props.size+'\" c=\"'+props.colors[1]+'\"/>';}"
    )
    assert icon_park_svg(file) == '<a w="48" c="#2f88ff"/>'


def test_held_out_words_are_compared_in_the_singular() -> None:
    assert _singular("Red Apples, glass") == "red apple glass"


def test_captions_name_the_colour_in_both_languages() -> None:
    row = Captioned("x", "icon", Path("x.svg"), "heart", "心", single_colour=True)
    view = View((0,), ("red",), plain=True)
    said = {text for seed in range(20) for text in captions(view, [row], random.Random(seed))}
    assert {"heart", "red heart", "红色的心"} <= said


def test_a_tint_is_the_named_colour_and_keeps_the_shape() -> None:
    shape = Image.new("RGBA", (4, 2), (0, 0, 0, 0))
    shape.putpixel((1, 1), (9, 9, 9, 255))
    exact = exactly_tinted(shape, "green")
    assert exact.getpixel((1, 1)) == (*COLOURS["green"][1], 255)
    assert exact.getchannel("A").tobytes() == shape.getchannel("A").tobytes()
    near = np.asarray(tinted(shape, "green", random.Random(1)))[1, 1, :3].astype(int)
    assert np.abs(near - COLOURS["green"][1]).max() <= 14


def test_two_things_stand_beside_each_other() -> None:
    red, blue = (Image.new("RGBA", (50, 50), (*c, 255)) for c in ((200, 0, 0), (0, 0, 200)))
    ground = on_ground([red, blue], random.Random(0), plain=True)
    assert ground.size == (224, 224)
    assert ground.getpixel((56, 112)) == (200, 0, 0)
    assert ground.getpixel((168, 112)) == (0, 0, 200)


def test_a_white_thing_never_stands_on_white() -> None:
    white = Image.new("RGBA", (50, 50), (255, 255, 255, 255))
    for seed in range(20):
        ground = np.asarray(on_ground([white], random.Random(seed), plain=True))
        assert ground[0, 0].max() < 200


def test_the_contrastive_loss_falls_when_pairs_match() -> None:
    texts = F.normalize(torch.randn(8, 16, generator=torch.manual_seed(0)), dim=-1)
    assert contrast(texts, texts) < 0.01 < contrast(texts.flip(0), texts)
    # Two texts that say the same are no counter-examples of each other.
    doubled = torch.cat([texts, texts])
    assert contrast(doubled, doubled) < 0.01


def test_alignment_is_zero_distance_for_equal_rows() -> None:
    goal = F.normalize(torch.randn(6, 8, generator=torch.manual_seed(0)), dim=-1)
    assert (alignment(goal, goal) < alignment(goal.roll(1, 0), goal)).all()


def test_the_logistic_finds_a_known_line() -> None:
    draw = np.random.default_rng(0)
    x = draw.normal(size=20_000)
    y = draw.random(20_000) < 1 / (1 + np.exp(-(3 * x - 1)))
    slope, offset = logistic(x, y, np.full(len(x), 1 / len(x)))
    assert (slope, offset) == (pytest.approx(3, abs=0.15), pytest.approx(-1, abs=0.1))


def test_sure_means_nine_of_ten() -> None:
    draw = np.random.default_rng(0)
    truth = np.arange(40)
    cosines = draw.normal(0.05, 0.1, (40, 40))
    cosines[truth, truth] += 0.25
    found = match([Scored(cosines, truth)])
    chance = 1 / (1 + np.exp(-(found["slope"] * cosines + found["offset"])))
    right = np.eye(40, dtype=bool)
    weight = np.where(right, 1 / 40, 1 / (40 * 39))
    decided = np.maximum(chance, 1 - chance) >= found["sure"]
    share = (weight * (decided & ((chance > 0.5) == right))).sum() / (weight * decided).sum()
    assert 0.5 <= found["sure"] < 0.95
    assert share >= 0.9


def test_the_softmax_scale_is_the_one_the_labels_came_from() -> None:
    draw = np.random.default_rng(0)
    cosines = draw.normal(0, 0.2, (4000, 10))
    chances = np.exp(12 * cosines)
    chances /= chances.sum(1, keepdims=True)
    truth = (chances.cumsum(1) < draw.random((4000, 1))).sum(1)
    assert softmax_scale([Scored(cosines, truth)]) == pytest.approx(12, abs=1.5)
