"""Vectors out: the request, and the file that the command line writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mmdemo import EmbedRequest, load_encoder
from mmdemo.errors import PictureError, StoppedError, TextError
from mmdemo.images import Picture
from mmdemo.models.encoder import Encoder, encoder_of
from mmdemo.ui.strings import ERRORS
from mmdemo.work import Follower
from tests.conftest import TINY, Command
from tests.fakes import FakeModel


class Counting(FakeModel):
    """Notes how many pictures it is given at once, and how many texts."""

    def __init__(self) -> None:
        self.pictures: list[int] = []
        self.texts: list[int] = []

    def image_features(self, pictures: Any) -> list[Any]:
        self.pictures.append(len(pictures))
        return [np.full(4, 1 + np.asarray(one).mean(), dtype=np.float32) for one in pictures]

    def text_vectors(self, texts: Any) -> Any:
        self.texts.append(len(texts))
        return super().text_vectors(texts)


def grey(folder: Path, count: int) -> list[Path]:
    """Write pictures, each of a grey of its own."""
    paths = [folder / f"{number}.png" for number in range(count)]
    for number, path in enumerate(paths):
        Image.new("RGB", (8, 8), (number, number, number)).save(path)
    return paths


def test_items_are_embedded_in_order(mini: Encoder, two_pictures: tuple[Path, Path]) -> None:
    first, second = two_pictures
    with Image.open(second) as opened:
        in_memory = opened.convert("RGB")
    sources = (first, str(first), first.read_bytes(), Picture(first), in_memory)
    request = EmbedRequest.of(sources, ["a bird", "鸟"])
    result = request.run(mini)
    expected = mini.encode([*([first] * 4), in_memory, "a bird", "鸟"])
    np.testing.assert_allclose(result.vectors, expected, atol=1e-6)
    assert result.vectors.dtype == np.float32
    assert result.modalities == (*["image"] * 5, *["text"] * 2)
    assert result.fingerprint == mini.fingerprint
    json.dumps(result.to_dict())


def test_one_picture_or_text_counts_as_a_list_of_one(two_pictures: tuple[Path, Path]) -> None:
    path = two_pictures[0]
    assert EmbedRequest.of(str(path), "a bird").items == ((str(path), None), (None, "a bird"))
    assert EmbedRequest.of(path, "red", fused=True).items == ((path, "red"),)


def test_pictures_and_texts_are_fused_in_pairs(
    mini: Encoder, two_pictures: tuple[Path, Path]
) -> None:
    result = EmbedRequest.of(two_pictures, ["red", "blue"], fused=True).run(mini)
    pairs = [
        {"image": path, "text": text}
        for path, text in zip(two_pictures, ["red", "blue"], strict=True)
    ]
    np.testing.assert_allclose(result.vectors, mini.encode(pairs), atol=1e-6)
    one = EmbedRequest.of(two_pictures, ["red"], fused=True)
    assert [text for _, text in one.items] == ["red", "red"]
    with pytest.raises(TextError, match="There are 2 pictures and 3 texts to fuse"):
        EmbedRequest.of(two_pictures, ["a", "b", "c"], fused=True)
    empty = EmbedRequest.of(two_pictures[0], " ", fused=True).run(mini)
    assert empty.modalities == ("image",)  # a picture with an empty text is the picture alone
    np.testing.assert_allclose(empty.vectors, mini.encode(two_pictures[0]), atol=1e-6)


def test_a_few_pictures_at_a_time_are_held_and_progress_is_told(tmp_path: Path) -> None:
    model = Counting()
    pictures = list(map(Picture, grey(tmp_path, 9)))
    told: list[tuple[float, float, str]] = []
    request = EmbedRequest.of(pictures, [f"text {number}" for number in range(70)])
    result = request.run(encoder_of(model), Follower(lambda *step: told.append(step)))
    assert result.vectors.shape == (79, 4)
    assert max(model.pictures) <= 4
    assert sum(model.pictures) == 9
    assert [done for done, _, _ in told] == [4, 8, 72, 79]
    assert {(total, stage) for _, total, stage in told} == {(79, "items")}
    assert all(picture._pixels is None for picture in pictures)


def test_it_ends_where_nobody_wants_it(tmp_path: Path) -> None:
    model = Counting()

    def leave(*_: object) -> None:
        raise StoppedError

    with pytest.raises(StoppedError):
        EmbedRequest.of(grey(tmp_path, 9)).run(encoder_of(model), Follower(leave))
    assert sum(model.pictures) == 4


@pytest.mark.parametrize(
    ("count", "texts", "says"),
    [
        (0, [], "There is nothing to embed"),
        (0, ["a"] * 501, "There are 501 things to embed; at most 500"),
        (6, ["a"] * 3, "Item 6: This file is not a picture"),
        (0, ["fine"] * 99 + [" "], "Item 100: The text is empty"),
    ],
)
def test_what_cannot_be_embedded_is_told_by_its_place(
    mini: Encoder, tmp_path: Path, count: int, texts: list[str], says: str
) -> None:
    pictures = grey(tmp_path, count)
    if pictures:
        pictures[-1].write_text("no picture")
    with pytest.raises((PictureError, TextError), match=says) as refused:
        EmbedRequest.of(pictures, texts).run(mini)
    assert ERRORS[refused.value.code]["zh"].format(**refused.value.values)


def test_the_number_of_items_has_a_limit_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MMDEMO_LIMITS_LABELS", "1")
    assert len(EmbedRequest.of([], ["a", "b"]).items) == 2
    monkeypatch.setenv("MMDEMO_LIMITS_ITEMS", "1")
    with pytest.raises(TextError, match="There are 2 things to embed; at most 1 are"):
        EmbedRequest.of([], ["a", "b"])


# The command.


def test_vectors_are_written_in_order(
    command: Command, tmp_path: Path, two_pictures: tuple[Path, Path]
) -> None:
    out = tmp_path / "vectors.npy"
    (tmp_path / "texts.txt").write_text("a line\n\n  两行  \n", encoding="utf-8")
    done = command(
        *("embed", *map(str, two_pictures), "--text", "a bird", "--text", "a bee"),
        *("--texts", str(tmp_path / "texts.txt"), "--out", str(out)),
    )
    assert done.status == 0, done.err
    assert done.out == f"{out} holds 6 vectors of 384 numbers, by mini.\n"
    assert "100 %" in done.err
    vectors = np.load(out)
    expected = load_encoder("mini").encode([*two_pictures, "a bird", "a bee", "a line", "两行"])
    np.testing.assert_allclose(vectors, expected, atol=1e-6)
    assert vectors.dtype == np.float32
    assert {path.name for path in tmp_path.iterdir()} >= {"vectors.npy", "texts.txt"}
    assert not list(tmp_path.glob("*.tmp"))


def test_a_file_may_say_what_its_vectors_are_of(
    command: Command, tmp_path: Path, two_pictures: tuple[Path, Path]
) -> None:
    out = tmp_path / "vectors.npz"
    first, second = map(str, two_pictures)
    done = command(
        *("embed", first, second, "--text", "red", "--fused", "--model", str(TINY)),
        *("--out", str(out), "--json"),
    )
    assert done.status == 0, done.err
    told = json.loads(done.out)
    assert f"{out} holds 2 vectors" in done.err
    encoder = load_encoder(TINY)
    with np.load(out) as written:  # without pickled objects, which could hold code
        np.testing.assert_allclose(written["vectors"], told["vectors"], atol=1e-7)
        assert written["items"].tolist() == [[first, "red"], [second, "red"]]
        assert written["model"] == encoder.name == told["model"]
        assert written["fingerprint"] == encoder.fingerprint == told["fingerprint"]
    done = command("embed", first, "--text", "red", "--out", str(tmp_path / "other.npz"))
    with np.load(tmp_path / "other.npz") as written:
        assert written["items"].tolist() == [[first, ""], ["", "red"]]


def test_no_file_is_replaced_unless_that_is_wanted(command: Command, tmp_path: Path) -> None:
    out = tmp_path / "thesis.npy"
    out.write_text("years of work")
    arguments = ("embed", "--text", "a bird", "--out", str(out))
    done = command(*arguments)
    assert (done.status, done.out) == (1, "")
    assert "is there already, and is left as it is" in done.err
    assert out.read_text() == "years of work"
    assert command(*arguments, "--force").status == 0
    assert np.load(out).shape == (1, 384)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--text", "a"], "Name a file with --out"),
        (["--text", "a", "--out", "{folder}/vectors.csv"], "ends in neither .npy nor .npz"),
        (["--text", "a", "--out", "{folder}/gone/vectors.npy"], "There is no folder"),
        (["--text", "a", "--out", "{folder}/folder.npy", "--force"], "is there already"),
        (["--out", "{folder}/vectors.npy"], "There is nothing to embed"),
        (["gone.png", "--json"], "no readable picture file 'gone.png'"),
        (["--texts", "gone.txt", "--json"], "no readable text file 'gone.txt'"),
        (["--text", "a", "--json", "--model", "mimi"], "Did you mean 'mini'?"),
    ],
)
def test_what_goes_wrong_is_one_line_and_leaves_nothing(
    command: Command, tmp_path: Path, arguments: list[str], says: str
) -> None:
    folder = tmp_path / "out"
    (folder / "folder.npy").mkdir(parents=True)
    done = command("embed", *(one.format(folder=folder) for one in arguments))
    assert (done.status, done.out) == (1, "")
    assert says in done.err
    assert done.err.count("\n") == 1
    assert [path.name for path in folder.iterdir()] == ["folder.npy"]


def test_a_file_that_cannot_be_written_leaves_the_old_one(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "vectors.npy"
    out.write_text("old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    done = command("embed", "--text", "a bird", "--out", str(out), "--force")
    assert done.status == 1
    assert "cannot be written: No space left on device" in done.err
    assert out.read_text() == "old"
    assert not list(tmp_path.glob("*.tmp"))
