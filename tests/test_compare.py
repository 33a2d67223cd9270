from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmdemo import compare
from mmdemo.assets import ASSETS
from mmdemo.encoders.base import Tokens
from mmdemo.errors import ModelError, PictureError, TextError
from mmdemo.models.encoder import Encoder, encoder_of
from mmdemo.tasks.compare import LABELS, PAIRS
from tests.fakes import FakeModel


class Plane(FakeModel):
    """Its vectors in the plane can be followed with pencil and paper.

    The text is (0, 1), a red picture (1, 0), a blue one (0.6, 0.8). Fused is the default late
    fusion with equal weights: the bisector.
    """

    name = "plane"
    dim = 2

    def text_vectors(self, texts: Sequence[Tokens]) -> np.ndarray:
        return np.tile(_point(0, 7), (len(texts), 1))

    def image_features(self, pictures: Sequence[Image.Image]) -> list[np.ndarray]:
        red = [picture.getpixel((0, 0)) == (255, 0, 0) for picture in pictures]
        return [_point(2, 0) if is_red else _point(3, 4) for is_red in red]


def _point(x: float, y: float) -> np.ndarray:
    return np.array([x, y], dtype=np.float32)


RED, BLUE = Image.new("RGB", (4, 4), "red"), Image.new("RGB", (4, 4), "blue")


def test_the_four_scores_and_the_matrix_against_pencil_and_paper() -> None:
    result = compare(encoder_of(Plane()), RED, BLUE, "a text")
    # text (0,1), red (1,0), blue (.6,.8); fused: (1,1)/sqrt2, (.6,1.8)/sqrt(3.6)
    half, long = np.sqrt(0.5), np.sqrt(3.6)
    vectors = np.array([[0, 1], [1, 0], [0.6, 0.8], [half, half], [0.6 / long, 1.8 / long]])
    by_hand = [
        [1, 0, 0.8, 0.70711, 0.94868],
        [0, 1, 0.6, 0.70711, 0.31623],
        [0.8, 0.6, 1, 0.98995, 0.94868],
        [0.70711, 0.70711, 0.98995, 1, 0.89443],
        [0.94868, 0.31623, 0.94868, 0.89443, 1],
    ]
    np.testing.assert_allclose(result.vectors, vectors, atol=1e-6)
    np.testing.assert_allclose(result.matrix, by_hand, atol=1e-5)
    assert result.scores == pytest.approx(
        {"i2i": 0.6, "i2it": 0.70711, "t2it": 0.70711, "it2it": 0.89443}, abs=1e-5
    )
    assert result.percentiles == {}


def test_averaged_fusion_makes_two_scores_equal_by_algebra() -> None:
    # Why the page names averaged fusion.
    scores = compare(encoder_of(Plane()), BLUE, RED, "a text").scores
    assert scores["i2it"] == pytest.approx(scores["t2it"], abs=1e-6)


def test_scores_are_the_cosines_of_encode(mini: Encoder, two_pictures: tuple) -> None:
    first, second = two_pictures
    result = compare(mini, first, second, "a bird")
    pairs = [{"image": first, "text": "a bird"}, {"image": second, "text": "a bird"}]
    vectors = mini.encode(["a bird", first, second, *pairs])
    np.testing.assert_array_equal(result.vectors, vectors)
    assert (result.labels, result.matrix.shape) == (LABELS, (5, 5))
    assert result.matrix.dtype == np.float32
    for kind, (row, column) in PAIRS.items():
        assert result.scores[kind] == pytest.approx(float(vectors[row] @ vectors[column]), abs=1e-6)
    np.testing.assert_allclose(result.matrix, result.matrix.T)
    np.testing.assert_allclose(np.diag(result.matrix), 1, atol=1e-6)


def test_paths_strings_and_bytes_are_all_pictures(mini: Encoder, two_pictures: tuple) -> None:
    first, second = two_pictures
    expected = compare(mini, first, second, "x").scores
    assert compare(mini, str(first), second.read_bytes(), "x").scores == expected
    with Image.open(second) as opened:
        scores = compare(mini, first, opened, "x").scores
    assert scores == pytest.approx(expected, abs=1e-6)  # a picture of its own to the store


def test_to_dict_is_plain_json(mini: Encoder, two_pictures: tuple) -> None:
    data = compare(mini, two_pictures[0], two_pictures[1], "a bird").to_dict()
    assert json.loads(json.dumps(data)) == data
    assert set(data) >= {"scores", "matrix", "labels", "model", "text", "dim", "timings"}
    assert (data["model"], data["text"], data["dim"]) == ("mini", "a bird", 384)
    assert data["timings"]["total"] > 0


def test_notes_say_what_a_reader_should_know(mini: Encoder) -> None:
    assert compare(mini, RED, BLUE, "plain English").notes == ()
    cut = compare(mini, RED, BLUE, "word " * 400).notes
    assert [note.code for note in cut] == ["truncated"]
    assert "first 256 of the text's 402 tokens" in cut[0].message
    foreign = compare(mini, RED, BLUE, "логотип datawhale").notes
    assert [note.code for note in foreign] == ["language"]
    assert "mini reads English and Chinese; 44% of" in foreign[0].message
    assert compare(mini, RED, BLUE, "datawhale开源组织的logo").notes == ()
    assert [note.code for note in compare(mini, RED, BLUE, "12 !? 34").notes] == []


def test_what_cannot_be_compared_is_explained(mini: Encoder) -> None:
    with pytest.raises(TextError, match="empty"):
        compare(mini, RED, BLUE, " ")
    with pytest.raises(PictureError, match=r"no readable picture file 'gone\.png'"):
        compare(mini, "gone.png", BLUE, "x")
    text_only = Plane()
    text_only.modalities = frozenset({"text"})
    with pytest.raises(ModelError, match=r"cannot embed the modality 'image'.*it embeds: text"):
        compare(encoder_of(text_only), RED, BLUE, "x")


def test_examples_are_complete() -> None:
    from mmdemo.examples import FOLDER, examples

    index = json.loads((FOLDER / "index.json").read_text(encoding="utf-8"))
    files = {path.name for path in FOLDER.iterdir() if path.suffix in (".png", ".jpg")}
    assert {row["file"] for row in index} == files
    assert len(files) >= 8
    assert sum(row["kind"] == "photo" for row in index) >= 4
    assert all(row["licence"] and row["source"] and row["author"] for row in index)
    for example in examples():
        assert all(path.name in files for path in example.paths)
        assert example.text("en") != example.text("zh")


def test_every_example_licence_is_in_the_notice() -> None:
    notice = Path("NOTICE").read_text(encoding="utf-8")
    index = json.loads((ASSETS / "examples/index.json").read_text(encoding="utf-8"))
    assert [row["file"] for row in index if row["file"] not in notice] == []
