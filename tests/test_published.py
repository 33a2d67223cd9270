"""The published values: how they are computed here, and whether the real weights give them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from PIL import Image

from mmdemo import MODELS, compare, load_encoder
from mmdemo.images import Picture
from mmdemo.tasks.published import (
    COURSE,
    COURSE_PICTURES,
    COURSE_TEXT,
    MODEL_PAGE,
    TOLERANCE,
    Published,
    reproduce,
)
from tests.conftest import TINY

# Read here: the tests themselves run without the developer's own settings.
FOLDER = Path(os.environ.get("MMDEMO_PUBLISHED_PICTURES", "."))


def test_the_courses_pairs_are_those_of_compare() -> None:
    encoder = load_encoder(TINY)
    images = TINY.parent / "images"
    first = Picture(images / "portrait_rgba.png", unchanged=True)
    second = Picture(images / "palette.png", unchanged=True)
    assert (first.open().mode, second.open().mode) == ("RGBA", "P")
    values = reproduce(encoder, COURSE, dict(zip(COURSE_PICTURES, (first, second), strict=True)))
    expected = compare(encoder, first, second, COURSE_TEXT).scores
    assert [pair.name for pair in COURSE] == list(expected)
    assert values == pytest.approx(list(expected.values()), abs=1e-6)


def test_the_examples_of_the_models_page_can_be_computed(gradient: Image.Image) -> None:
    names = {s[0] for pair in MODEL_PAGE for s in (pair.first, pair.second) if s[0]}
    pictures = {name: gradient.rotate(40 * turn) for turn, name in enumerate(sorted(names))}
    values = reproduce(load_encoder(TINY), MODEL_PAGE, pictures)
    assert len(set(values)) == len(MODEL_PAGE)
    assert {pair.model for pair in MODEL_PAGE} < set(MODELS)


@pytest.mark.weights
@pytest.mark.parametrize("pair", [*COURSE, *MODEL_PAGE], ids=lambda pair: pair.name)
def test_the_published_value_comes_out(pair: Published) -> None:
    names = [name for name, _ in (pair.first, pair.second) if name]
    missing = [name for name in names if not (FOLDER / name).is_file()]
    assert not missing, f"MMDEMO_PUBLISHED_PICTURES names no folder with {', '.join(missing)}"
    pictures = {name: Picture(FOLDER / name, unchanged=True) for name in names}
    (value,) = reproduce(load_encoder(pair.model), [pair], pictures)
    assert value == pytest.approx(pair.value, abs=TOLERANCE)
