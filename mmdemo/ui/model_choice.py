"""The choice of a model: a list, what the chosen one can do, and its download where need be."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import gradio as gr

from mmdemo.registry import find_offered
from mmdemo.ui import model_handlers as handlers
from mmdemo.ui import model_views
from mmdemo.ui.events import QUIET
from mmdemo.ui.localise import Localiser
from mmdemo.ui.model_handlers import Needs, Shown

_LOOK_EVERY = 0.5  # seconds, while a download or a measurement runs


class ModelChoice(NamedTuple):
    """What the rest of the page needs of it.

    Attributes:
        model: the list; its value is the model's name, or empty where none is chosen.
        arrived: the chosen model's name once it is on this machine, else empty.
        first_look: what to call once the whole page stands: wires the look at the first model.
    """

    model: gr.Dropdown
    arrived: gr.State
    first_look: Callable[[gr.Blocks], None]


def build(
    localiser: Localiser,
    language: gr.Radio,
    needs: Needs,
    *,
    prefix: str = "",
    optional: bool = False,
    label: str = "model_label",
) -> ModelChoice:
    """Lay out the choice and wire it.

    Args:
        localiser: collects what to translate.
        language: the page's language choice.
        needs: what a model must embed to be on the list.
        prefix: put before the ids of its elements, where a page has several choices.
        optional: begin with no model, and let the visitor go back to none.
        label: key of the list's label.
    """
    chosen = "" if optional else handlers.first_choice(needs)
    facts_now = model_views.facts(find_offered(chosen), "en") if chosen else ""
    with gr.Group(elem_classes="mm-model"):
        model = gr.Dropdown(
            handlers.choices("en", needs, optional),
            value=chosen,
            interactive=True,
            allow_custom_value=handlers.anything_goes(),
            elem_id=f"{prefix}model",
        )
        facts = gr.HTML(
            facts_now,
            visible=bool(chosen),
            elem_id=f"{prefix}facts",
            elem_classes="mm-model-facts",
            padding=False,
        )
        download = gr.HTML(
            visible=False,
            elem_id=f"{prefix}download",
            elem_classes="mm-model-download",
            padding=False,
        )
        button = gr.Button(visible=False, size="sm", elem_id=f"{prefix}download-button")
    localiser.add(model, label=label)
    if handlers.anything_goes() and not optional:
        localiser.add(model, info="model_info")
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

    def about(handler: Callable[..., Shown]) -> Callable[..., Shown]:
        return partial(handler, needs=needs, optional=optional)

    model.input(about(handlers.choose), **event)
    button.click(about(handlers.press), **event)
    timer.tick(about(handlers.follow), **event)
    language.change(about(handlers.show), **event)

    def first_look(page: gr.Blocks) -> None:
        page.load(about(handlers.choose), **event)

    return ModelChoice(model, arrived, first_look)


def watch_background(models: list[gr.Dropdown]) -> tuple[gr.Timer, gr.State]:
    """Wait for background sets that are being measured.

    Returns:
        A timer, to be switched on by `model_handlers.watching`; and a state that changes when all
        sets of the chosen models have come.
    """
    timer, count = gr.Timer(_LOOK_EVERY, active=False), gr.State(0)
    timer.tick(handlers.measured, [count, *models], [timer, count], **QUIET)
    return timer, count


def build_beside(
    localiser: Localiser, language: gr.Radio, needs: Needs, count: int, *, prefix: str = ""
) -> list[ModelChoice]:
    """Lay out, folded away, the choice of models that stand beside the first.

    Args:
        localiser: collects what to translate.
        language: the page's language choice.
        needs: as for `build`.
        count: how many.
        prefix: of the elements' ids; each choice adds its number, from 2 on.
    """
    with gr.Accordion(open=False, elem_id=f"{prefix}beside") as fold:
        choices = [
            build(
                localiser,
                language,
                needs,
                prefix=f"{prefix}{number}-",
                optional=True,
                label="beside_label",
            )
            for number in range(2, 2 + count)
        ]
    localiser.add(fold, label="beside_fold")
    return choices
