"""Bars from 0 to each cosine, over the range of unrelated pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from mmdemo.plots.figure import NEUTRAL, base_layout, escaped, new_figure
from mmdemo.tasks.compare import PairKind, TextImage

KIND_COLOURS: dict[PairKind | TextImage, str] = {
    "t2i": "#c4466b",
    "i2i": "#2f7fc1",
    "i2it": "#12998a",
    "t2it": "#d9822b",
    "it2it": "#9a63c9",
}
"""One colour a pair kind; each at least 3:1 against both grounds of the page (WCAG 2.2, 1.4.11)."""
HEIGHT = 370
"""Of the figure, in pixels; the page reserves it."""
LOWEST = -0.25
"""Where the axis of cosines begins, unless unrelated pairs of a model lie lower."""
_QUARTERS = [-1.0, -0.75, -0.5, -0.25, 0.0, 0.25, 0.5, 0.75, 1.0]


@dataclass(frozen=True)
class Bar:
    """One row of the bar chart.

    Attributes:
        kind: which pair kind, for the colour.
        label: written beside the bar, below the name of the kind.
        scores: one cosine a text, one or two of them.
        band: 5 %, 50 % and 95 % quantile of unrelated pairs, or None.
    """

    kind: PairKind | TextImage
    label: str
    scores: tuple[float, ...]
    band: tuple[float, float, float] | None


def similarity_bars(
    bars: Sequence[Bar], series: Sequence[str], lowest: float = LOWEST
) -> go.Figure:
    """Draw horizontal bars from 0 to each score, over the range of unrelated pairs.

    The axis does not depend on the scores, so that nothing but the bars moves from one comparison
    to the next. A score outside of it ends at its edge; its number is printed as it is.

    Args:
        bars: the rows, top to bottom.
        series: name of each text, as many as every row has scores; for the hover text.
        lowest: where the axis begins; it ends at 1.
    """
    figure = new_figure()
    count = len(series)
    thickness = 0.24 if count > 1 else 0.4
    for index, name in enumerate(series):
        offset = (index - (count - 1) / 2) * (thickness + 0.02)
        scores = [bar.scores[index] for bar in bars]
        ends = [max(score, lowest) for score in scores]
        figure.add_bar(
            orientation="h",
            # A bar below 0 is drawn from its end up to 0: its number then stands right of 0, where
            # there is room, and not on the names of the rows.
            base=[min(end, 0.0) for end in ends],
            x=[abs(end) for end in ends],
            y=[row + offset for row in range(len(bars))],
            width=thickness,
            marker={
                "color": [KIND_COLOURS[bar.kind] for bar in bars],
                "opacity": 1.0 if index == 0 else 0.5,
                "cornerradius": 3,
                "line": {"width": 0},
            },
            text=[f"<b>{score:.3f}</b>" for score in scores],
            textposition="outside",
            textfont={"size": 16 if count == 1 else 14},
            cliponaxis=False,
            customdata=[[bar.label, score] for bar, score in zip(bars, scores, strict=True)],
            hovertemplate=(
                f"%{{customdata[0]}}<br>{escaped(name)}: %{{customdata[1]:.4f}}<extra></extra>"
            ),
        )
    _add_bands(figure, bars)
    for row, bar in enumerate(bars):
        figure.add_annotation(
            text=f"<b>{bar.kind}</b><br>{bar.label}",
            x=0,
            xref="paper",  # the left end of the axis
            xanchor="right",
            xshift=-8,
            y=row,
            yanchor="middle",
            align="right",
            showarrow=False,
            font={"size": 13},
        )
    figure.update_layout(
        # On the right, room for the number of a bar that reaches 1.
        base_layout(HEIGHT, {"l": 128, "r": 52, "t": 4, "b": 26}),
        barmode="overlay",
        xaxis={
            "range": [lowest, 1.0],
            "tickvals": _QUARTERS,
            # On a phone there is room for every other number.
            "ticktext": [f"{tick:g}" if tick % 0.5 == 0 else "" for tick in _QUARTERS],
            "gridcolor": NEUTRAL,
            "zerolinecolor": "rgba(128,128,128,0.7)",
            "fixedrange": True,
        },
        yaxis={
            "range": [len(bars) - 0.45, -0.5],
            "visible": False,
            "fixedrange": True,
        },
    )
    return figure


def _add_bands(figure: go.Figure, bars: Sequence[Bar]) -> None:
    """Add the range of unrelated pairs below each bar: 5 % to 95 %, with a tick at the median."""
    for row, bar in enumerate(bars):
        if bar.band is None:
            continue
        low, middle, high = bar.band
        y = row + 0.33
        box = {"type": "rect", "layer": "below", "line": {"width": 0}}
        figure.add_shape(
            **box, x0=low, x1=high, y0=y - 0.045, y1=y + 0.045, fillcolor="rgba(128,128,128,0.35)"
        )
        figure.add_shape(
            **box,
            x0=middle - 0.003,
            x1=middle + 0.003,
            y0=y - 0.09,
            y1=y + 0.09,
            fillcolor="rgba(128,128,128,0.95)",
        )
