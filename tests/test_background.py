from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmdemo import MODELS, load_encoder
from mmdemo.background import measure as measuring
from mmdemo.background import sets as background
from mmdemo.background.pairs import (
    FEW_TEXTS,
    PER_TEXT,
    PICTURES,
    entries,
    fused_pairs,
    same_text_pairs,
    unrelated_scores,
)
from mmdemo.encoders.base import Tokens
from mmdemo.errors import ModelError
from mmdemo.images import open_image
from mmdemo.models.encoder import Encoder, encoder_of
from mmdemo.models.files import fingerprint
from mmdemo.models.find import find_model
from mmdemo.progress import ShareReport
from mmdemo.tasks.compare import PAIRS
from tests.conftest import ROOT, TINY, forget
from tests.fakes import FakeModel, written
from tests.waiting import MOST, wait_until
from training import build_background

KINDS = {"i2i", "t2i", "t2t", "i2it", "t2it", "it2it"}


class Colour(FakeModel):
    """Its vectors are mean colours and counts of letters; fused is the default, the mean."""

    name = "colour"
    dim = 26

    def __init__(self) -> None:
        self.batches: list[int] = []

    def text_vectors(self, texts: Sequence[Tokens]) -> np.ndarray:
        self.batches.append(len(texts))
        letters = "abcdefghijklmnopqrstuvwxyz"
        counts = [[written(text).count(letter) for letter in letters] for text in texts]
        return np.array(counts, np.float32)

    def image_features(self, pictures: Sequence[Image.Image]) -> list[np.ndarray]:
        small = [np.asarray(image.resize((3, 3)), np.float32).ravel()[:26] for image in pictures]
        return [row - row.mean() + 1.0 for row in small]


def encoder_with(model: Colour, fingerprint: str) -> Encoder:
    """Return an encoder of weights that can be told from others."""
    encoder = encoder_of(model)
    encoder.fingerprint = fingerprint
    return encoder


@pytest.fixture
def tiny(tmp_path: Path) -> Encoder:
    """Return a real encoder with weights of its own."""
    return load_encoder(shutil.copytree(TINY, tmp_path / "tiny"))


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that grows by a model's name with each measurement."""
    names: list[str] = []
    measure = measuring.measure

    def counted(encoder: Encoder, *given: ShareReport) -> background.Background:
        names.append(encoder.name)
        return measure(encoder, *given)

    monkeypatch.setattr(measuring, "measure", counted)
    return names


def test_what_ships_belongs_to_the_weights_that_ship() -> None:
    known = background.background(MODELS["mini"])
    assert known is not None
    assert known.fingerprint == fingerprint(MODELS["mini"]) == load_encoder("mini").fingerprint
    assert set(known.quantiles) == set(known.pairs) == KINDS
    for kind, values in known.quantiles.items():
        assert len(values) == (1001 if kind == "t2i" else 201)
        assert (np.diff(values) >= 0).all()
    other = encoder_with(Colour(), "0123456789abcdef")
    other.name = "mini"
    assert background.background(other) is None
    assert background.shipped_path("mini").stat().st_size < 60_000


def test_what_ships_is_what_a_sample_of_it_computes(mini: Encoder) -> None:
    known = background.background(mini)
    assert known is not None
    scores = unrelated_scores(mini, lambda share: None, thorough=False)
    again = measuring.measure(mini)
    assert known.fingerprint == again.fingerprint
    # Pairs without a fused embedding are all there; of the others, those of some texts.
    for kind in ("i2i", "t2i", "t2t"):
        assert known.pairs[kind] == again.pairs[kind]
        np.testing.assert_allclose(known.quantiles[kind], again.quantiles[kind], atol=2e-4)
    every = fused_pairs(entries())
    assert known.pairs["i2it"] == known.pairs["t2it"] == len(every)
    assert known.pairs["it2it"] == len(same_text_pairs(every, entries()))
    for kind in ("i2it", "t2it", "it2it"):
        values = known.quantiles[kind]
        assert values[0] - 2e-4 < scores[kind].min() < scores[kind].max() < values[-1] + 2e-4
        # Among all of the kind, the sample lies as a sample does: a fifth on every fifth.
        fifths, _ = np.histogram(known.ranks(kind, scores[kind]), bins=5, range=(0, 100))
        np.testing.assert_allclose(fifths / len(scores[kind]), 0.2, atol=0.1)


@pytest.mark.slow
def test_what_ships_is_what_its_command_computes(mini: Encoder) -> None:
    # The whole computation again: the shipped numbers come from the shipped pictures.
    shares: list[float] = []
    again = measuring.measure(mini, shares.append, thorough=True)
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0, 1)
    known = background.background(mini)
    assert known is not None
    assert known.pairs == again.pairs
    for kind, values in again.quantiles.items():
        np.testing.assert_allclose(known.quantiles[kind], values, atol=2e-4)


def test_the_command_makes_a_larger_set(
    tiny: Encoder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(background, "ASSETS", tmp_path / "assets")
    monkeypatch.setattr("sys.argv", ["build_background", "--model", str(tmp_path / "tiny")])
    build_background.main()
    shipped = background.background(tiny)
    assert shipped is not None
    assert [path.name for path in (tmp_path / "assets/background").iterdir()] == ["local-tiny.json"]
    assert shipped.pairs["t2it"] > 5 * measuring.measure(tiny).pairs["t2it"]


def test_percentile_counts_lower_pairs() -> None:
    known = background.background(MODELS["mini"])
    assert known is not None
    for kind in KINDS:
        assert known.percentile(kind, -1.0) == 0
        assert known.percentile(kind, 1.0) == 100
        assert known.percentile(kind, known.quantile(kind, 42.0)) == pytest.approx(42, abs=0.01)


def test_percentiles_are_those_that_the_set_has() -> None:
    scores = dict.fromkeys(PAIRS, 0.5)
    assert background.percentiles(None, scores) == {}
    rising = np.linspace(0, 1, 201)
    known = background.Background({"i2i": rising, "t2t": rising}, {"i2i": 9, "t2t": 9}, "x")
    assert background.percentiles(known, scores) == {"i2i": pytest.approx(50)}


def test_entries_that_resemble_each_other_are_no_pairs() -> None:
    known = {entry.file.removesuffix(".webp"): entry for entry in entries()}
    assert len(known) == 64
    assert len({entry.label for entry in known.values()}) == 64
    assert known["fig"].related(known["apple"])
    assert known["meadow"].related(known["autumn-tree"])
    assert not known["fig"].related(known["orange-fish"])
    assert all(entry.related(entry) for entry in known.values())


def test_labels_are_those_that_the_pictures_are_collected_with() -> None:
    rows = json.loads((ROOT / "training/pictures.json").read_text(encoding="utf-8"))
    index = json.loads((PICTURES / "index.json").read_text(encoding="utf-8"))
    collected = {f"{row['name']}.webp": row for row in rows}
    for entry in index:
        for key in ("label_en", "label_zh", "topics", "caption_en"):
            assert entry[key] == collected[entry["file"]][key]


@pytest.mark.parametrize("count", [None, FEW_TEXTS])
def test_fused_pairs_are_unrelated_and_spread(count: int | None) -> None:
    known = entries()
    size = len(known)
    pairs = fused_pairs(known, count)
    texts = count or 2 * size
    assert 0.85 * texts * PER_TEXT < len(pairs) < texts * PER_TEXT
    assert len(np.unique(pairs, axis=0)) == len(pairs)
    assert not any(known[text % size].related(known[picture]) for text, picture in pairs)
    labels = np.unique(pairs[:, 0]) >= size
    assert (len(labels), labels.sum()) == (texts, texts // 2)
    used = np.bincount(pairs[:, 1], minlength=size)
    assert used.min() >= 0.5 * used.mean()
    for one, two in same_text_pairs(pairs, known):
        assert pairs[one, 0] == pairs[two, 0]
        assert not known[pairs[one, 1]].related(known[pairs[two, 1]])


def test_averaged_fusion_follows_by_algebra() -> None:
    encoder = encoder_of(Colour())
    found = unrelated_scores(encoder, lambda share: None, thorough=False)
    assert set(found) == KINDS
    known = entries()
    pairs = fused_pairs(known)
    texts = [entry.caption for entry in known] + [entry.label for entry in known]
    pictures = [open_image(PICTURES / entry.file) for entry in known]
    fused = encoder.encode([{"image": pictures[p], "text": texts[t]} for t, p in pairs])
    by_pass = (encoder.encode([texts[text] for text, _ in pairs]) * fused).sum(1)
    np.testing.assert_allclose(found["t2it"], by_pass, atol=1e-5)


def test_kinds_are_those_of_the_models_modalities() -> None:
    model = Colour()
    model.modalities = frozenset({"text"})
    assert set(measuring.measure(encoder_of(model)).pairs) == {"t2t"}
    model.modalities = frozenset({"text", "image"})
    assert set(measuring.measure(encoder_of(model)).pairs) == {"t2t", "t2i", "i2i"}
    assert max(model.batches) <= 4  # so that others get in between


def test_a_set_is_measured_once_and_found_again(
    tiny: Encoder, measured: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert background.background(tiny) is None
    with ThreadPoolExecutor(4) as pool:
        sets = list(pool.map(measuring.ensure, [tiny] * 4))
    assert len(set(map(id, sets))) == 1
    assert measured == ["local:tiny"]
    assert background.background(tiny) is sets[0]
    assert measuring.measuring(tiny) is None
    (file,) = (tmp_path / ".cache/background").iterdir()  # and nothing half-written
    forget(monkeypatch)
    again = background.background(find_model(tmp_path / "tiny"))  # by its description alone
    assert again is not None
    assert again.pairs == sets[0].pairs
    for kind in KINDS:
        np.testing.assert_array_equal(again.quantiles[kind], sets[0].quantiles[kind])
    # Other weights of the same name have another set.
    os.utime(tmp_path / "tiny/Visualized_tiny_bert.pth", (1, 1))
    assert background.background(find_model(tmp_path / "tiny")) is None
    for damage in ("", "[]", '{"quantiles": 3}', file.read_text().replace("0.", "NaN,0.", 9)):
        file.write_text(damage)
        forget(monkeypatch)
        assert background.background(tiny) is None
    measuring.ensure(tiny)
    assert measured == ["local:tiny"] * 2
    assert json.loads(file.read_text())["fingerprint"] == tiny.fingerprint


def test_without_a_folder_to_write_a_set_stays_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("MMDEMO_CACHE", str(tmp_path / "file"))
    encoder = encoder_with(Colour(), "abc")
    known = measuring.ensure(encoder)
    assert background.background(encoder) is known
    assert "kept in memory only" in caplog.text


def test_weights_that_nobody_can_tell_apart_have_no_set_to_share(tmp_path: Path) -> None:
    encoder = encoder_of(Colour())
    assert measuring.ensure(encoder).pairs["i2i"] > 1900
    measuring.start(encoder)
    assert background.background(encoder) is None
    assert not (tmp_path / ".cache").exists()


def test_it_can_be_measured_while_others_use_the_model(measured: list[str]) -> None:
    reached, go = threading.Event(), threading.Event()

    class Waiting(Colour):
        def text_vectors(self, texts: Sequence[Tokens]) -> np.ndarray:
            reached.set()
            assert go.wait(MOST)
            return super().text_vectors(texts)

    encoder = encoder_with(Waiting(), "abc")
    measuring.start(encoder)
    assert reached.wait(MOST)
    work = measuring.measuring(encoder)
    assert work is not None
    assert work.progress is not None
    assert work.progress.share == 0.0
    assert background.background(encoder) is None  # does not wait
    measuring.start(encoder)
    go.set()
    encoder.encode("a visitor's text")
    known = measuring.ensure(encoder)
    assert measured == ["colour"]
    assert background.background(encoder) is known


def test_what_failed_is_not_tried_at_every_comparison(
    measured: list[str], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken(Colour):
        def text_vectors(self, texts: Sequence[Tokens]) -> np.ndarray:
            raise ModelError("broken", "load_failed")

    encoder = encoder_with(Broken(), "abc")
    for _ in range(2):
        measuring.start(encoder)
        wait_until(lambda: measuring.measuring(encoder) is None)
    assert measured == ["colour"]
    assert measuring.failed(encoder.name, encoder.fingerprint)
    monkeypatch.setattr(measuring, "AGAIN", -1.0)  # what failed has been left alone long enough
    measuring.start(encoder)
    wait_until(lambda: measuring.measuring(encoder) is None)
    assert measured == ["colour"] * 2
    assert "The background set of colour could not be measured" in caplog.text
    with pytest.raises(ModelError, match="broken"):
        measuring.ensure(encoder)


@pytest.mark.parametrize(
    "damage",
    [
        {"quantiles": {"i2i": [0.3, 0.2, 0.1]}},  # they fall
        {"quantiles": {"i2i": [0.1, 0.3, 0.2]}},
        {"quantiles": {"i2i": [0.1, float("nan")]}},
        {"quantiles": {"i2i": [0.1, float("inf")]}},
        {"quantiles": {"i2i": [0.1, 7.0]}},  # no cosine
        {"quantiles": {"i2i": [0.1]}},
        {"quantiles": {"i2i": []}},
        {"quantiles": {"i2i": 0.1}},
        {"quantiles": {"i2i": [[0.1, 0.2], [0.1, 0.2]]}},
        {"quantiles": {"i2i": [[0.1], [0.1, 0.2]]}},
        {"quantiles": {"i2i": ["a", "b"]}},
        {"quantiles": {"i2i": None}},
        {"quantiles": {"t2t": [0.1, 0.2]}},  # of other pairs
        {"quantiles": [1, 2]},
        {"pairs": {"i2i": float("inf")}},
        {"pairs": {"i2i": 0}},
        {"pairs": {"i2i": 10**400}},
        {"pairs": {}, "quantiles": {}},
        {"pairs": {"i2i": -5}},
        {"pairs": {"i2i": "many"}},
        {"pairs": 3},
        {"fingerprint": "another"},
    ],
)
def test_a_damaged_set_counts_as_none(
    damage: dict[str, object], mini: Encoder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(background, "ASSETS", tmp_path)  # nothing ships
    whole = {"quantiles": {"i2i": [0.1, 0.2]}, "pairs": {"i2i": 5}, "fingerprint": mini.fingerprint}
    path = background.cache_path(mini)
    assert path is not None
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(whole | damage))
    assert background.background(mini) is None
    path.write_text(json.dumps(whole))
    assert background.background(mini) is not None


@pytest.mark.parametrize("put", [os.mkfifo, Path.mkdir, lambda path: path.symlink_to("/dev/zero")])
def test_what_is_no_file_is_no_set(
    put: Callable[[Path], object],
    mini: Encoder,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(background, "ASSETS", tmp_path)
    path = background.cache_path(mini)
    assert path is not None
    path.parent.mkdir(parents=True)
    put(path)
    assert background.background(mini) is None
