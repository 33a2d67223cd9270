"""The bars of one model stand on one axis, whatever is compared."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest

from mmdemo import MODELS, compare
from mmdemo.background.sets import Background, background
from mmdemo.models.encoder import Encoder
from mmdemo.plots.bars import LOWEST, Bar, similarity_bars
from mmdemo.tasks.compare import PICTURES, Comparison, PairKind
from mmdemo.ui.tabs.similarity import views


@pytest.fixture(scope="module")
def result(mini: Encoder, opening: tuple[Path, Path, str]) -> Comparison:
    return compare(mini, *opening)


def axis(figure: go.Figure) -> list[float]:
    return list(figure.to_dict()["layout"]["xaxis"]["range"])


def trace(figure: go.Figure, index: int = 0) -> dict[str, Any]:
    return figure.to_dict()["data"][index]


def spans(drawn: dict[str, Any]) -> list[tuple[float, float]]:
    """Return from where to where each bar is drawn."""
    return [(base, base + x) for base, x in zip(drawn["base"], drawn["x"], strict=True)]


def with_scores(result: Comparison, score: float) -> Comparison:
    kinds: dict[PairKind, float] = dict.fromkeys(result.scores, score)
    return replace(result, scores=kinds, text_image=dict.fromkeys(PICTURES, score))


@pytest.mark.parametrize("score", [-1.0, -0.4, -0.089, 0.0, 0.5, 1.0])
def test_the_axis_does_not_depend_on_the_scores(result: Comparison, score: float) -> None:
    known = background(MODELS["mini"])
    other = with_scores(result, score)
    before = axis(views.bars(known, [], "en"))
    assert before[0] < 0 < 1 <= before[1]
    for results in ([result], [other], [result, other], [other, result]):
        figure = views.bars(known, results, "en")
        assert axis(figure) == before
        for index in range(len(results)):
            for low, high in spans(trace(figure, index)):
                assert before[0] <= low <= high <= before[1]


@pytest.mark.parametrize("score", [-1.0, -0.4, -0.089, 0.72])
def test_a_score_is_printed_as_it_is_and_where_there_is_room(score: float) -> None:
    drawn = trace(similarity_bars([Bar("t2i", "text · image 1", (score,), None)], ["text"]))
    assert drawn["text"] == [f"<b>{score:.3f}</b>"]
    assert drawn["customdata"] == [["text · image 1", score]]
    assert "customdata[1]" in drawn["hovertemplate"]
    # From 0 to the score, or to the edge; the number stands at the right end.
    assert spans(drawn) == [pytest.approx(sorted([0.0, max(score, LOWEST)]))]
    assert drawn["x"][0] > 0
    assert drawn["textposition"] == "outside"


def test_only_a_model_whose_unrelated_pairs_lie_lower_has_a_wider_axis(
    result: Comparison,
) -> None:
    def shifted(low: float, kind: str) -> Background:
        known = background(MODELS["mini"])
        assert known is not None
        values = np.linspace(low, 0.9, 201)
        return Background(dict(known.quantiles) | {kind: values}, known.pairs, "x")

    assert axis(views.bars(None, [result], "en"))[0] == LOWEST
    assert axis(views.bars(background(MODELS["mini"]), [result], "en"))[0] == LOWEST
    assert axis(views.bars(shifted(0.3, "i2i"), [result], "en"))[0] == LOWEST
    for kind in ("i2i", "t2i"):
        known = shifted(-0.6, kind)
        wide = axis(views.bars(known, [result], "en"))
        assert wide[0] == pytest.approx(known.quantile(kind, 1.0))
        assert wide == axis(views.bars(known, [with_scores(result, -0.9)], "en"))
    # A pair kind that the bars do not draw plays no part.
    assert axis(views.bars(shifted(-0.6, "t2t"), [result], "en"))[0] == LOWEST


def test_text_and_picture_come_first_with_their_own_band(result: Comparison) -> None:
    known = background(MODELS["mini"])
    assert known is not None
    figure = views.bars(known, [result], "en").to_dict()
    (bars,) = figure["data"]
    wanted = [*result.text_image.values(), *result.scores.values()]
    assert [high if low == 0 else low for low, high in spans(bars)] == pytest.approx(wanted)
    names = [note["text"] for note in figure["layout"]["annotations"]]
    assert names[:3] == [
        "<b>t2i</b><br>text · image 1",
        "<b>t2i</b><br>text · image 2",
        "<b>i2i</b><br>image 1 · image 2",
    ]
    bands = [shape for shape in figure["layout"]["shapes"] if shape["x1"] - shape["x0"] > 0.01]
    assert len(bands) == 6
    for band in bands[:2]:
        assert band["x0"] == pytest.approx(known.quantile("t2i", 5.0))
        assert band["x1"] == pytest.approx(known.quantile("t2i", 95.0))
