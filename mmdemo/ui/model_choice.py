"""The choice of a model: a list, what the chosen one can do, and its download where need be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import gradio as gr

from mmdemo.registry import find_offered
from mmdemo.ui import model_handlers as handlers
from mmdemo.ui import model_views
from mmdemo.ui.events import QUIET
from mmdemo.ui.localise import Localiser
from mmdemo.ui.model_handlers import Shown

_LOOK_EVERY = 0.5  # seconds, while a download runs


class ModelChoice(NamedTuple):
    """What the rest of the page needs of it.

    Attributes:
        model: the list; its value is the model's name.
        arrived: the chosen model's name once it is on this machine, else empty.
        first_look: what to call once the whole page stands: wires the look at the first model.
    """

    model: gr.Dropdown
    arrived: gr.State
    first_look: Callable[[gr.Blocks], None]


def build(localiser: Localiser, language: gr.Radio) -> ModelChoice:
    """Lay out the choice and wire it."""
    chosen = find_offered()
    with gr.Group():
        model = gr.Dropdown(
            handlers.choices("en"), value=chosen.name, interactive=True, elem_id="model"
        )
        facts = gr.HTML(model_views.facts(chosen, "en"), elem_id="facts", padding=False)
        download = gr.HTML(visible=False, elem_id="download", padding=False)
        button = gr.Button(visible=False, size="sm", elem_id="download-button")
    localiser.add(model, label="model_label")
    timer = gr.Timer(_LOOK_EVERY, active=False)
    arrived = gr.State("")
    # Nothing here may wait for somebody else. Through the queue nevertheless: without it, gradio's
    # page does not learn that a state has changed.
    event: dict[str, Any] = {
        "inputs": [model, language],
        "outputs": list(Shown(model, facts, download, button, timer, arrived)),
        "concurrency_limit": None,
        **QUIET,
    }
    model.input(handlers.choose, **event)
    button.click(handlers.press, **event)
    timer.tick(handlers.follow, **event)
    language.change(handlers.show, **event)

    def first_look(page: gr.Blocks) -> None:
        page.load(handlers.choose, **event)

    return ModelChoice(model, arrived, first_look)
