"""The cosine of every token of a query with every token of a passage."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from mmdemo.plots.figure import BEST_COLOUR, SEQUENTIAL, base_layout, escaped, new_figure


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
    names = [escaped(token) for token in columns]
    figure = new_figure(
        go.Heatmap(
            z=cosines.tolist(),
            x=list(range(len(columns))),
            y=list(range(len(rows))),
            customdata=[[f"{escaped(row)} · {name}" for name in names] for row in rows],
            colorscale=SEQUENTIAL,
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
        base_layout(token_heatmap_height(len(rows)), {"l": 4, "r": 4, "t": 4, "b": 4}),
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
    return escaped(short) or "·"
