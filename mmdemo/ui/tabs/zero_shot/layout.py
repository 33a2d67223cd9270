"""The tab "Zero-shot": pictures and labels in; ranked labels, and what the prompts did, out."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import gradio as gr
from gradio.blocks import Block
from gradio.components import Component
from markupsafe import Markup

from mmdemo.examples import wrong_sets
from mmdemo.tasks.classify import NEEDS
from mmdemo.tasks.prompts import LABEL_SETS, TEMPLATE_SETS
from mmdemo.ui.parts import figures, long_work, signals
from mmdemo.ui.parts.inputs import PicturesInput, noted
from mmdemo.ui.parts.localise import Localiser
from mmdemo.ui.parts.models import choice as model_choice
from mmdemo.ui.parts.tab import Page, Room
from mmdemo.ui.parts.wiring import Wiring
from mmdemo.ui.serving.events import LONG, QUIET, SHORT
from mmdemo.ui.strings import FIRST
from mmdemo.ui.tabs.zero_shot import handlers, ready_made
from mmdemo.ui.tabs.zero_shot.address import COLUMNS, FIRST_LABELS, FIRST_TEMPLATES
from mmdemo.ui.tabs.zero_shot.handlers import Given, Prompts, Results, Shown, Superseded
from mmdemo.work import Current

_FILES = {
    "json": (handlers.as_json, "application/json"),
    "csv": (handlers.as_csv, "text/csv"),
}
"""By ending: what makes it, and its media type."""

# A file made in the browser: on the server, whoever guessed its name could read it.
_SAVE = """(text) => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], {type: "%s;charset=utf-8"}));
  link.download = "classification.%s";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}"""


class Inputs(NamedTuple):
    """The input components, by the names of `Given`."""

    pictures: gr.Gallery
    labels: gr.Textbox
    templates: gr.Textbox
    reject: gr.Checkbox


def build(page: Page) -> Room:
    """Lay out the tab and wire it."""
    localiser, language = page
    asked, opened, due = signals.signal(), signals.signal(), signals.signal()
    query, current = signals.signal(), gr.State(Current())
    with gr.Row(equal_height=False):
        with gr.Column(scale=4, min_width=320, elem_classes="mm-inputs"):
            first = model_choice.build(localiser, language, NEEDS, prefix="zs-")
            others = model_choice.build_beside(
                localiser, language, NEEDS, COLUMNS - 1, prefix="zs-"
            )
            models = [choice.model for choice in (first, *others)]
            timer, measured = model_choice.watch_background(localiser, language, models, "zs")
            inputs, template_set = _build_inputs(localiser, language, asked)
        with gr.Column(scale=7, min_width=320, elem_classes="mm-results"):
            outputs, columns = _build_results(localiser, language, current)
    shown, pick = outputs["shown"], outputs["pick"]
    localiser.add_handler(handlers.awaited, [shown], [outputs["message"]], as_built=True)
    outputs |= {"timer": timer, "address": query}
    given = inputs._asdict() | {
        "picked": pick,
        "models": models,
        "language": language,
        "shown": shown,
        "current": current,
    }
    # A new input first ends what runs for an earlier one, which must not wait behind that.
    superseding = Wiring(
        Given,
        given,
        Superseded,
        {"due": due, "message": outputs["message"], "template_set": template_set},
    )
    signals.gathered(
        opened,
        [*inputs, language, first.settled, *(other.settled for other in others), measured],
        [asked.change, inputs.pictures.upload, inputs.pictures.delete],
    ).change(
        superseding.once(handlers.supersede),
        superseding.inputs,
        superseding.outputs,
        trigger_mode="multiple",
        concurrency_limit=None,
        **QUIET,
    )
    classifying = Wiring(
        Given, given, Results, outputs | {"columns": [one for column in columns for one in column]}
    )
    due.change(
        classifying.steps(handlers.run),
        classifying.inputs,
        classifying.outputs,
        trigger_mode="always_last",
        **QUIET,
        **LONG,
    )
    picking = Wiring(
        Given,
        given,
        Prompts,
        {"heading": outputs["prompts_heading"], "figures": [column[-1] for column in columns]},
    )
    pick.input(picking.once(handlers.pick), picking.inputs, picking.outputs, **QUIET, **SHORT)
    beside = {f"beside{place}": one for place, one in enumerate(models[1:])}
    fields = inputs._asdict() | {"model": models[0]} | beside
    return Room(opened, query, fields, (inputs.pictures,))


def _build_inputs(
    localiser: Localiser, language: gr.Radio, asked: gr.Textbox
) -> tuple[Inputs, gr.Dropdown]:
    """Lay out the inputs; return them, and the choice of a set of templates."""
    examples = ready_made.example_pictures()
    pictures = PicturesInput(
        examples,
        columns=3,
        height=340,
        object_fit="contain",
        interactive=True,
        sources=["upload", "webcam", "clipboard"],
        buttons=["fullscreen"],
        format="png",  # the default loses pixels
        elem_id="zs-pictures",
    )
    localiser.add(pictures, label="pictures_label")
    pictures.upload(noted(handlers.renditions), pictures, pictures, **QUIET)
    _build_chips(
        localiser,
        pictures,
        asked,
        {"pictures_examples": examples, "pictures_one": examples[:1], "pictures_clear": []},
    )
    labels = gr.Textbox(
        ready_made.label_text(FIRST_LABELS, FIRST), lines=5, max_lines=12, elem_id="zs-labels"
    )
    localiser.add(labels, label="labels_label")
    with gr.Row(elem_classes="mm-chips"):
        for name in LABEL_SETS:
            chip = gr.Button(size="sm")
            mark = "⚠ " if name in wrong_sets() else ""
            localiser.add(chip, value=f"{mark}{{labels_{name}}}")
            chip.click(partial(ready_made.label_text, name), language, labels, **QUIET)
    if wrong := [name for name in LABEL_SETS if name in wrong_sets()]:
        lesson = gr.HTML(elem_classes="mm-heading", padding=False)
        one = Markup("<p>{{labels_wrong_{}}}</p>")
        localiser.add_html(lesson, Markup().join(map(one.format, wrong)))
    choice = gr.Dropdown(
        ready_made.template_choices(FIRST), value=FIRST_TEMPLATES, elem_id="zs-template-set"
    )
    localiser.add(choice, label="templates_label")
    templates = gr.Textbox(
        "\n".join(TEMPLATE_SETS[FIRST_TEMPLATES].templates),
        lines=3,
        max_lines=8,
        elem_id="zs-templates",
    )
    localiser.add(templates, label="templates_lines")
    # On at first: the labels may fit none of the pictures. What a visitor chooses then stays.
    reject = gr.Checkbox(True, elem_id="zs-reject")
    localiser.add(reject, label="reject_label")
    choice.input(ready_made.template_text, choice, templates, **QUIET)
    localiser.add_handler(
        ready_made.translated,
        [labels, templates],
        [labels, templates, choice],
    )
    return Inputs(pictures, labels, templates, reject), choice


def _build_chips(
    localiser: Localiser, target: gr.Gallery, asked: gr.Textbox, values: dict[str, list[str]]
) -> None:
    """Lay out small buttons that fill the gallery."""
    with gr.Row(elem_classes="mm-chips"):
        for key, value in values.items():
            chip = gr.Button(size="sm")
            localiser.add(chip, value=key)
            fill = partial(ready_made.fill_pictures, value)
            chip.click(fill, None, [target, asked], **QUIET)


def _build_results(
    localiser: Localiser, language: gr.Radio, current: gr.State
) -> tuple[dict[str, Any], list[tuple[Block, ...]]]:
    """Lay out the results: sections from top to bottom, in each the models side by side.

    Returns:
        The components by the names of `Results`; and for each model those of `Column`, in order.
    """
    message = gr.HTML(*handlers.awaited(Shown(), FIRST), padding=False)
    bar = long_work.build_own(localiser, "zs", current)
    heading = gr.HTML(elem_classes="mm-heading", padding=False)
    localiser.add_html(heading, Markup("<h2>{zs_heading}</h2>"))
    ranked = _side_by_side("zs-ranked", _build_ranked)
    matrix_heading = gr.HTML(elem_classes="mm-heading", padding=False, visible=False)
    headed = Markup("<h2>{zs_matrix_heading}</h2><p>{zs_matrix_caption}</p>")
    localiser.add_html(matrix_heading, headed)
    matrices = _side_by_side("zs-matrix", _build_matrix)
    prompts_heading = gr.HTML(elem_classes="mm-heading", padding=False)
    pick = gr.Dropdown([], visible=False, elem_id="zs-pick")
    localiser.add(pick, label="zs_pick")
    prompts = _side_by_side("zs-prompts", _build_prompts)
    with gr.Accordion(open=False, elem_id="zs-take-away") as fold:
        with gr.Row():
            as_json, as_csv = (gr.Button(size="sm", elem_id=f"zs-{kind}") for kind in _FILES)
        python = gr.Code(language="python", interactive=False, elem_id="zs-python")
    localiser.add(fold, label="zs_take_away")
    localiser.add(as_json, value="zs_json")
    localiser.add(as_csv, value="zs_csv")
    localiser.add(python, label="zs_python")
    shown = gr.State(Shown())
    for button, (kind, (handler, media)) in zip((as_json, as_csv), _FILES.items(), strict=True):
        _save_on_click(button, handler, [shown, language], _SAVE % (media, kind))
    results = {
        "message": message,
        "bar": bar,
        "matrix_heading": matrix_heading,
        "prompts_heading": prompts_heading,
        "pick": pick,
        "python": python,
        "shown": shown,
    }
    columns = [
        (*one, *two, *three) for one, two, three in zip(ranked, matrices, prompts, strict=True)
    ]
    return results, columns


def _side_by_side(
    name: str, build_one: Callable[[str], tuple[Component, ...]]
) -> list[tuple[Block, ...]]:
    """Lay out a row with a column a model; return for each the column and what is in it."""
    built: list[tuple[Block, ...]] = []
    with gr.Row(elem_classes="mm-beside"):
        for number in range(1, COLUMNS + 1):
            with gr.Column(min_width=240, visible=number == 1) as column:
                inside = build_one(f"{name}-{number}")
            built.append((column, *inside))
    return built


def _build_ranked(name: str) -> tuple[Component, ...]:
    heading = gr.HTML(padding=False, elem_id=name.replace("ranked", "heading"))
    return heading, gr.HTML(padding=False, elem_id=name, elem_classes="mm-result")


def _build_matrix(name: str) -> tuple[Component, ...]:
    return (gr.HTML(padding=False, elem_id=name, elem_classes="mm-result"),)


def _build_prompts(name: str) -> tuple[Component, ...]:
    return (figures.place("strips", name),)


def _save_on_click(
    button: gr.Button, handler: Callable[..., str], given: list[Component], save: str
) -> None:
    """Have a button make a text and hand it to the browser as a file."""
    text = gr.Textbox(visible="hidden")
    button.click(handler, given, text, **QUIET).then(None, text, None, js=save, **QUIET)
