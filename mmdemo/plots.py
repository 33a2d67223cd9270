"""Arrays to plotly figures.

Colours of text and grid are left to the page's style sheet (`ui/theme.py`), so that a figure is at
home in light and dark without being drawn again. Heights are explicit: the page reserves them, and
nothing jumps when a figure arrives.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from urllib.parse import quote

import numpy as np
import plotly.graph_objects as go
import plotly.io as pio
from numpy.typing import NDArray

from mmdemo.compare import PairKind, TextImage

KIND_COLOURS: dict[PairKind | TextImage, str] = {
    "t2i": "#c4466b",
    "i2i": "#2f7fc1",
    "i2it": "#12998a",
    "t2it": "#d9822b",
    "it2it": "#9a63c9",
}
"""One colour a pair kind; each at least 3:1 against both grounds of the page (WCAG 2.2, 1.4.11)."""

BEST_COLOUR = "#d9822b"
"""Marks a best match; at home on both ends of the colour scale."""

BARS_HEIGHT = 370
HEATMAP_HEIGHT = 430
PROMPTS_HEIGHT = 400

LOWEST = -0.25
"""Where the axis of cosines begins, unless unrelated pairs of a model lie lower."""

_SEQUENTIAL = [
    [0.0, "#f4efe4"],
    [0.3, "#bcd8d6"],
    [0.55, "#63aab5"],
    [0.8, "#1f6f8e"],
    [1.0, "#123a5c"],
]
_QUARTERS = [-1.0, -0.75, -0.5, -0.25, 0.0, 0.25, 0.5, 0.75, 1.0]
_NEUTRAL = "rgba(128,128,128,0.28)"
_SVG = "http://www.w3.org/2000/svg"
# What an address of data may hold as it is. A slash may be too, but plotly writes 6 signs for it.
_PLAIN = " !$&'()*+,-.:;=?@_~"
_ICON = 0.82  # of a cell
_ICONS_AT = -0.97
_FONT = {"family": "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', sans-serif"}
_UNUSED = ("polar", "ternary", "scene", "geo", "mapbox", "coloraxis", "colorscale")
_CONFIG_FREE = {"dragmode": False, "hovermode": "closest"}


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
    figure = _figure()
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
                f"%{{customdata[0]}}<br>{_escaped(name)}: %{{customdata[1]:.4f}}<extra></extra>"
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
        _layout(BARS_HEIGHT, {"l": 128, "r": 52, "t": 4, "b": 26}),
        barmode="overlay",
        xaxis={
            "range": [lowest, 1.0],
            "tickvals": _QUARTERS,
            # On a phone there is room for every other number.
            "ticktext": [f"{tick:g}" if tick % 0.5 == 0 else "" for tick in _QUARTERS],
            "gridcolor": _NEUTRAL,
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


def similarity_heatmap(
    matrix: NDArray[np.float32],
    labels: Sequence[str],
    icons: Sequence[str],
    lowest: float,
    shared: str = "",
) -> go.Figure:
    """Draw a square matrix of cosines with a picture at every row and column.

    Args:
        matrix: [n, n] cosines; a NaN leaves its cell empty.
        labels: n names, for ticks and hover text.
        icons: n drawings in the language of SVG, each 96 x 96.
        lowest: cosine at the light end of the colour scale; 1 is at the dark end.
        shared: SVG definitions that the drawings use.
    """
    size = len(labels)
    start, end = -1.45, size - 0.5  # the first column and row of the axes belong to the icons
    figure = _figure(
        go.Heatmap(
            z=matrix.tolist(),
            x=list(range(size)),
            y=list(range(size)),
            customdata=[[f"{row} · {column}" for column in labels] for row in labels],
            zmin=min(lowest, 0.99),
            zmax=1.0,
            colorscale=_SEQUENTIAL,
            showscale=False,
            xgap=3,
            ygap=3,
            hovertemplate="%{customdata}<br>%{z:.4f}<extra></extra>",
        )
    )
    figure.add_scatter(
        mode="text",
        x=[column for _ in range(size) for column in range(size)],
        y=[row for row in range(size) for _ in range(size)],
        text=["" if np.isnan(value) else f"{value:.2f}" for value in matrix.ravel()],
        textfont={"size": 15, "color": _ink(matrix.ravel(), lowest)},
        hoverinfo="skip",
    )
    ticks = {
        "tickvals": list(range(size)),
        "ticktext": list(labels),
        "showgrid": False,
        "zeroline": False,
        "fixedrange": True,
        "tickfont": {"size": 12},
    }
    figure.update_layout(
        _layout(HEATMAP_HEIGHT, {"l": 4, "r": 4, "t": 4, "b": 4}),
        xaxis=ticks | {"range": [start, end], "side": "top"},
        yaxis=ticks | {"range": [end, start], "showticklabels": False},
        images=[_icons(icons, shared, start, end)],
    )
    return figure


def prompt_strips(
    labels: Sequence[str],
    templates: Sequence[str],
    by_template: NDArray[np.float32],
    bare: NDArray[np.float32],
    ensemble: NDArray[np.float32],
    names: tuple[str, str, str],
) -> go.Figure:
    """Draw for each label a row of cosines: every template, the bare label, and the ensemble.

    Args:
        labels: k of them, top to bottom.
        templates: t of them, for the hover text.
        by_template: float32 [k, t].
        bare: float32 [k].
        ensemble: float32 [k].
        names: of a template, the bare label and the ensemble, for the legend.
    """
    count, rows = len(templates), np.arange(len(labels))
    # Spread over the row's height in their own order, so that equal cosines do not hide each other.
    offsets = np.linspace(-0.26, 0.26, count) if count > 1 else np.zeros(1)
    figure = _figure()
    figure.add_scatter(
        mode="markers",
        x=by_template.ravel().tolist(),
        y=(rows[:, None] + offsets).ravel().tolist(),
        customdata=[_escaped(template) for _ in labels for template in templates],
        name=names[0],
        marker={"size": 6 if count > 20 else 8, "color": "#3b8fd4", "opacity": 0.8},
        hovertemplate="%{customdata}<br>%{x:.4f}<extra></extra>",
    )
    marks = (
        (bare, names[1], "diamond-open", 11, "#d9822b"),
        (ensemble, names[2], "line-ns-open", 24, "#c2410c"),
    )
    for values, name, symbol, size, colour in marks:
        figure.add_scatter(
            mode="markers",
            x=values.tolist(),
            y=rows.tolist(),
            name=name,
            marker={"symbol": symbol, "size": size, "color": colour, "line": {"width": 3}},
            hovertemplate=f"{name}<br>%{{x:.4f}}<extra></extra>",
        )
    layout = _layout(PROMPTS_HEIGHT, {"l": 8, "r": 12, "t": 34, "b": 28})
    figure.update_layout(
        layout | {"showlegend": True},
        legend={"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom", "font": {"size": 12}},
        xaxis={"gridcolor": _NEUTRAL, "fixedrange": True, "zeroline": False, "nticks": 6},
        yaxis={
            "range": [len(labels) - 0.45, -0.55],
            "tickvals": rows.tolist(),
            "ticktext": [_tick(label) for label in labels],
            "automargin": True,
            "gridcolor": _NEUTRAL,
            "fixedrange": True,
            "zeroline": False,
        },
    )
    return figure


def _tick(label: str) -> str:
    """Return a label for an axis, short enough to leave room for the plot."""
    return _escaped(label if len(label) <= 18 else label[:17] + "…")


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


def _ink(values: NDArray[np.float32], lowest: float) -> list[str]:
    """Return a text colour for each cell: white on the dark half of the scale."""
    place = (values - lowest) / (1.0 - lowest)
    return ["#ffffff" if dark else "#16202b" for dark in place > 0.62]


def _icons(icons: Sequence[str], shared: str, start: float, end: float) -> dict[str, object]:
    """Return the icons of both axes as one picture over the whole figure, each drawn there once.

    Places are parts of the whole, in percent, so that an icon keeps its shape in any.
    """
    whole = end - start
    side = f"{_ICON / whole:.4%}"
    middle = [*((index, _ICONS_AT) for index in range(len(icons)))]
    middle += [(y, x) for x, y in middle]
    drawn = "".join(f'<g id="i{index}">{icon}</g>' for index, icon in enumerate(icons))
    placed = "".join(
        f'<svg x="{(x - _ICON / 2 - start) / whole:.4%}" y="{(y - _ICON / 2 - start) / whole:.4%}" '
        f'width="{side}" height="{side}" viewBox="0 0 96 96"><use href="#i{place % len(icons)}"/>'
        "</svg>"
        for place, (x, y) in enumerate(middle)
    )
    drawing = f'<svg xmlns="{_SVG}"><defs>{shared}{drawn}</defs>{placed}</svg>'
    return {
        "source": "data:image/svg+xml," + quote(drawing, safe=_PLAIN),
        "xref": "x",
        "yref": "y",
        "x": start,
        "y": start,
        "sizex": whole,
        "sizey": whole,
        "sizing": "stretch",
        "layer": "above",
    }


def _layout(height: int, margin: dict[str, int]) -> dict[str, object]:
    return {
        "height": height,
        "margin": margin,
        "font": _FONT,
        "showlegend": False,
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        **_CONFIG_FREE,
    }


def _figure(*traces: object) -> go.Figure:
    return go.Figure(traces, {"template": _template()})


@cache
def _template() -> dict[str, object]:
    """Return of plotly's own template what our figures use; the whole has 7 kB in each figure."""
    whole = pio.templates["plotly"].to_plotly_json()
    drawn = {kind: whole["data"][kind] for kind in ("bar", "scatter")}
    layout = {name: value for name, value in whole["layout"].items() if name not in _UNUSED}
    return {"data": drawn, "layout": layout}


def _escaped(text: str) -> str:
    """Return a visitor's text for a hover label, where plotly reads a little markup and `%{…}`."""
    short = text if len(text) <= 60 else text[:59] + "…"
    return (
        short.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("%{", "% {")
    )


def token_heatmap(
    cosines: NDArray[np.float32],
    rows: Sequence[str],
    columns: Sequence[str],
    best: Sequence[int | None],
) -> go.Figure:
    """Draw the cosine of every token of a query with every token of a passage.

    Args:
        cosines: float32 [n, m].
        rows: the query's n tokens.
        columns: the passage's m tokens.
        best: for each row the column of its best match, which is marked; None where that is not
            among the columns.
    """
    names = [_escaped(token) for token in columns]
    figure = _figure(
        go.Heatmap(
            z=cosines.tolist(),
            x=list(range(len(columns))),
            y=list(range(len(rows))),
            customdata=[[f"{_escaped(row)} · {name}" for name in names] for row in rows],
            colorscale=_SEQUENTIAL,
            showscale=False,
            xgap=1,
            ygap=1,
            hovertemplate="%{customdata}<br>%{z:.4f}<extra></extra>",
        )
    )
    marked = [(column, row) for row, column in enumerate(best) if column is not None]
    figure.add_scatter(
        mode="markers",
        x=[column for column, _ in marked],
        y=[row for _, row in marked],
        marker={
            "symbol": "square-open",
            "size": 13,
            "color": BEST_COLOUR,
            "line": {"width": 3, "color": BEST_COLOUR},
        },
        hoverinfo="skip",
    )
    ticks = {
        "showgrid": False,
        "zeroline": False,
        "fixedrange": True,
        "automargin": True,
        "tickfont": {"size": 12},
    }
    figure.update_layout(
        _layout(token_heatmap_height(len(rows)), {"l": 4, "r": 4, "t": 4, "b": 4}),
        xaxis=ticks
        | {
            "tickvals": list(range(len(columns))),
            "ticktext": [_axis_name(token, 12) for token in columns],
            "tickangle": -90,
            "range": [-0.5, len(columns) - 0.5],
        },
        yaxis=ticks
        | {
            "tickvals": list(range(len(rows))),
            "ticktext": [_axis_name(token, 14) for token in rows],
            "range": [len(rows) - 0.5, -0.5],
        },
    )
    return figure


def token_heatmap_height(rows: int) -> int:
    """Return the height of a `token_heatmap` in pixels."""
    return 100 + 26 * max(rows, 3)


def _axis_name(token: str, longest: int) -> str:
    """Return a token for the side of a figure: short, and never empty."""
    short = token if len(token) <= longest else token[: longest - 1] + "…"
    return _escaped(short) or "·"
