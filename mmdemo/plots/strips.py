"""Rows of cosines: every template, the bare label, and their ensemble."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from mmdemo.plots.figure import NEUTRAL, base_layout, escaped, new_figure

HEIGHT = 400
"""Of the figure, in pixels; the page reserves it."""


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
    figure = new_figure()
    figure.add_scatter(
        mode="markers",
        x=by_template.ravel().tolist(),
        y=(rows[:, None] + offsets).ravel().tolist(),
        customdata=[escaped(template) for _ in labels for template in templates],
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
    layout = base_layout(HEIGHT, {"l": 8, "r": 12, "t": 34, "b": 28})
    figure.update_layout(
        layout | {"showlegend": True},
        legend={"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom", "font": {"size": 12}},
        xaxis={"gridcolor": NEUTRAL, "fixedrange": True, "zeroline": False, "nticks": 6},
        yaxis={
            "range": [len(labels) - 0.45, -0.55],
            "tickvals": rows.tolist(),
            "ticktext": [_tick(label) for label in labels],
            "automargin": True,
            "gridcolor": NEUTRAL,
            "fixedrange": True,
            "zeroline": False,
        },
    )
    return figure


def _tick(label: str) -> str:
    """Return a label for an axis, short enough to leave room for the plot."""
    return escaped(label if len(label) <= 18 else label[:17] + "…")
