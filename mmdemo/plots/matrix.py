"""A square matrix of cosines, a picture at every row and column."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from mmdemo.plots.figure import SEQUENTIAL, base_layout, new_figure

HEIGHT = 430
"""Of the figure, in pixels; the page reserves it."""
_SVG = "http://www.w3.org/2000/svg"
# What an address of data may hold as it is. A slash may be too, but plotly writes 6 signs for it.
_PLAIN = " !$&'()*+,-.:;=?@_~"
_ICON = 0.82  # of a cell
_ICONS_AT = -0.97


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
    figure = new_figure(
        go.Heatmap(
            z=matrix.tolist(),
            x=list(range(size)),
            y=list(range(size)),
            customdata=[[f"{row} · {column}" for column in labels] for row in labels],
            zmin=min(lowest, 0.99),
            zmax=1.0,
            colorscale=SEQUENTIAL,
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
        base_layout(HEIGHT, {"l": 4, "r": 4, "t": 4, "b": 4}),
        xaxis=ticks | {"range": [start, end], "side": "top"},
        yaxis=ticks | {"range": [end, start], "showticklabels": False},
        images=[_icons(icons, shared, start, end)],
    )
    return figure


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
