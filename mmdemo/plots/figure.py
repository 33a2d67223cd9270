"""What all figures share: looks, and how a visitor's words get into one.

Colours of text and grid are left to the page's style sheet (`ui/theme.py`), so that a figure is at
home in light and dark without being drawn again. Heights are explicit: the page reserves them, and
nothing jumps when a figure arrives.
"""

from __future__ import annotations

from functools import cache

import plotly.graph_objects as go
import plotly.io as pio

BEST_COLOUR = "#d9822b"
"""Marks a best match; at home on both ends of the colour scale."""
SEQUENTIAL = [
    [0.0, "#f4efe4"],
    [0.3, "#bcd8d6"],
    [0.55, "#63aab5"],
    [0.8, "#1f6f8e"],
    [1.0, "#123a5c"],
]
NEUTRAL = "rgba(128,128,128,0.28)"
_FONT = {"family": "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', sans-serif"}
_UNUSED = ("polar", "ternary", "scene", "geo", "mapbox", "coloraxis", "colorscale")
_CONFIG_FREE = {"dragmode": False, "hovermode": "closest"}


def base_layout(height: int, margin: dict[str, int]) -> dict[str, object]:
    """Return what the layout of every figure begins with; sizes in pixels."""
    return {
        "height": height,
        "margin": margin,
        "font": _FONT,
        "showlegend": False,
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        **_CONFIG_FREE,
    }


def new_figure(*traces: object) -> go.Figure:
    """Return a figure of these traces, with as little of plotly's template as they need."""
    return go.Figure(traces, {"template": _template()})


@cache
def _template() -> dict[str, object]:
    """Return of plotly's own template what our figures use; the whole has 7 kB in each figure."""
    whole = pio.templates["plotly"].to_plotly_json()
    drawn = {kind: whole["data"][kind] for kind in ("bar", "scatter")}
    layout = {name: value for name, value in whole["layout"].items() if name not in _UNUSED}
    return {"data": drawn, "layout": layout}


def escaped(text: str) -> str:
    """Return a visitor's text for a hover label, where plotly reads a little markup and `%{…}`."""
    short = text if len(text) <= 60 else text[:59] + "…"
    return (
        short.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("%{", "% {")
    )
