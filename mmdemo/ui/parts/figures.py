"""A figure's place on the page, which is kept free for it at its height."""

from __future__ import annotations

import gradio as gr
import plotly.graph_objects as go


def place(
    kind: str,
    name: str,
    value: go.Figure | None = None,
    *,
    of_result: bool = True,
    visible: bool = True,
) -> gr.Plot:
    """Lay out the place of a figure.

    Args:
        kind: of the figure: the name of its file in `mmdemo/plots`.
        name: the id of the element.
        value: what is there when the page opens.
        of_result: whether it is dimmed where the tab's results are of an earlier input.
        visible: whether it is there when the page opens.
    """
    classes = ["mm-figure", f"mm-figure-{kind}", *(["mm-result"] if of_result else [])]
    return gr.Plot(value, show_label=False, elem_id=name, elem_classes=classes, visible=visible)
