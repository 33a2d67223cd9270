"""The choice of a model: a list, what the chosen one can do, and its download where need be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import gradio as gr

from mmdemo.ui.parts import long_work, signals
from mmdemo.ui.parts.localise import Localiser
from mmdemo.ui.parts.models import handlers
from mmdemo.ui.parts.models.handlers import Needs, Shown
from mmdemo.ui.serving.events import QUIET

_LOOK_EVERY = 0.5  # seconds, while a download or a measurement runs


class ModelChoice(NamedTuple):
    """What the rest of the page needs of it.

    Attributes:
        model: the list; its value is the model's name, or empty where none is chosen.
        settled: a signal. It changes once a choice has been made, and again when
            the chosen model has come: what depends on the model hangs on this, not on the list.
    """

    model: gr.Dropdown
    settled: gr.Textbox


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
    first = handlers.show(chosen, "en", needs=needs, optional=optional)
    with gr.Group(elem_classes="mm-model"):
        model = gr.Dropdown(
            handlers.choices("en", needs, optional),
            value=chosen,
            interactive=True,
            allow_custom_value=handlers.anything_goes(),
            elem_id=f"{prefix}model",
        )
        facts = gr.HTML(
            **_as_built(first.facts),
            elem_id=f"{prefix}facts",
            elem_classes="mm-model-facts",
            padding=False,
        )
        download = gr.HTML(
            **_as_built(first.download),
            elem_id=f"{prefix}download",
            elem_classes="mm-model-download",
            padding=False,
        )
        with gr.Row():
            button = gr.Button(
                **_as_built(first.button), size="sm", elem_id=f"{prefix}download-button"
            )
            back = gr.Button(**_as_built(first.back), size="sm", elem_id=f"{prefix}model-back")
    localiser.add(model, label=label)
    if handlers.anything_goes() and not optional:
        localiser.add(model, info="model_info")
    timer = gr.Timer(_LOOK_EVERY, active=False)
    settled = signals.signal(first.settled)
    outputs = list(Shown(model, facts, download, button, back, timer, settled))
    # Nothing here may wait for somebody else.
    event: dict[str, Any] = {
        "inputs": [model, language],
        "outputs": outputs,
        "concurrency_limit": None,
        **QUIET,
    }

    def about(handler: Callable[..., Shown]) -> Callable[..., Shown]:
        return partial(handler, needs=needs, optional=optional)

    model.input(about(handlers.choose), **event)
    button.click(about(handlers.press), **event)
    back.click(about(handlers.back), **event)
    timer.tick(about(handlers.follow), **event)
    localiser.add_handler(about(handlers.show), [model], outputs)
    return ModelChoice(model, settled)


def _as_built(update: dict[str, Any]) -> dict[str, Any]:
    """Return what an update says as arguments of a component."""
    return {name: value for name, value in update.items() if name != "__type__"}


def watch_background(
    localiser: Localiser, language: gr.Radio, models: Sequence[gr.Dropdown], name: str
) -> tuple[gr.Timer, gr.Textbox]:
    """Show background sets that are being measured, and wait for them.

    Args:
        localiser: collects what to translate.
        language: the page's language choice.
        models: whose sets.
        name: of the tab, for the elements' ids.

    Returns:
        A timer, to be switched on by `handlers.watching`; and a signal that changes when all sets
        of the chosen models have come.
    """
    bar, stop = long_work.build(localiser, f"{name}-measuring")
    timer, all_here = gr.Timer(_LOOK_EVERY, active=False), signals.signal()
    given = [language, *models]
    timer.tick(handlers.measured, given, [timer, all_here, bar], concurrency_limit=None, **QUIET)
    stop.click(handlers.stop_measuring, list(models), None, concurrency_limit=None, **QUIET)
    return timer, all_here


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
