"""The tab "Zero-shot": pictures and labels in; ranked labels, and what the prompts did, out."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import gradio as gr
from gradio.blocks import Block
from gradio.components import Component

from mmdemo.examples import wrong_sets
from mmdemo.tasks.prompts import LABEL_SETS, TEMPLATE_SETS
from mmdemo.ui.parts import signals
from mmdemo.ui.parts.inputs import PicturesInput
from mmdemo.ui.parts.localise import Localiser
from mmdemo.ui.parts.models import choice as model_choice
from mmdemo.ui.parts.models.handlers import Needs
from mmdemo.ui.serving.events import LONG, QUIET, SHORT, told_once
from mmdemo.ui.tabs.zero_shot import handlers
from mmdemo.ui.tabs.zero_shot.handlers import Column, Results, Shown
from mmdemo.work import Current

NEEDS: Needs = frozenset({"text", "image"})
"""What a model must embed."""

_OPENING_TEMPLATES = "openai-7"

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
    """The input components, in the order of `run`; the models follow."""

    pictures: gr.Gallery
    labels: gr.Textbox
    templates: gr.Textbox
    reject: gr.Checkbox


def build(localiser: Localiser, language: gr.Radio, tab: gr.Tab) -> None:
    """Lay out the tab and wire it.

    Args:
        localiser: collects what to translate.
        language: the page's language choice.
        tab: the tab that this is; nothing is classified before it is opened.
    """
    asked, opened = signals.signal(), signals.signal()
    with gr.Row(equal_height=False):
        with gr.Column(scale=4, min_width=320, elem_classes="mm-inputs"):
            first = model_choice.build(localiser, language, NEEDS, prefix="zs-")
            others = model_choice.build_beside(
                localiser, language, NEEDS, handlers.COLUMNS - 1, prefix="zs-"
            )
            inputs, template_set = _build_inputs(localiser, language, asked)
        with gr.Column(scale=7, min_width=320, elem_classes="mm-results"):
            results, columns = _build_results(localiser, language)
    localiser.add_handler(handlers.awaited, [results.shown], [results.message], as_built=True)
    choices = [first, *others]
    models = [choice.model for choice in choices]
    timer, measured = model_choice.watch_background(models)
    results = results._replace(timer=timer)
    outputs = [*results, *(component for column in columns for component in column)]
    current = gr.State(Current())
    sources = [*inputs, results.pick, language, results.shown, current, *models]
    tab.select(None, None, opened, js=signals.SAY_OPENED, **QUIET)
    settled = [choice.settled for choice in choices]
    given = signals.gathered(
        opened,
        [*inputs, language, *settled, measured],
        [asked.change, inputs.pictures.upload, inputs.pictures.delete],
    )
    due = signals.signal()
    # A new input first ends what runs for an earlier one, which must not wait behind that.
    given.change(
        handlers.supersede,
        [*inputs[:3], results.shown, language, current, *models],
        [due, results.message, template_set],
        trigger_mode="multiple",
        concurrency_limit=None,
        **QUIET,
    )
    due.change(
        told_once(handlers.run),
        sources,
        outputs,
        trigger_mode="always_last",
        **QUIET,
        **LONG,
    )
    # Not in the group of what runs a model: it must come through while that is busy.
    results.stop.click(handlers.stop, current, None, concurrency_limit=None, **QUIET)
    results.pick.input(
        handlers.pick,
        [results.shown, results.pick, language],
        [results.prompts_heading, *(column.prompts for column in columns)],
        **QUIET,
        **SHORT,
    )


def _build_inputs(
    localiser: Localiser, language: gr.Radio, asked: gr.Textbox
) -> tuple[Inputs, gr.Dropdown]:
    """Lay out the inputs; return them, and the choice of a set of templates."""
    examples = handlers.example_pictures()
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
    pictures.upload(handlers.renditions, pictures, pictures, **QUIET)
    _build_chips(
        localiser,
        pictures,
        asked,
        {"pictures_examples": examples, "pictures_one": examples[:1], "pictures_clear": []},
    )
    labels = gr.Textbox(
        handlers.label_text("everyday", "en"), lines=5, max_lines=12, elem_id="zs-labels"
    )
    localiser.add(labels, label="labels_label")
    with gr.Row(elem_classes="mm-chips"):
        for name in LABEL_SETS:
            chip = gr.Button(size="sm")
            mark = "⚠ " if name in wrong_sets() else ""
            localiser.add(chip, value=f"{mark}{{labels_{name}}}")
            chip.click(partial(handlers.label_text, name), language, labels, **QUIET)
    if wrong := [f"<p>{{labels_wrong_{name}}}</p>" for name in LABEL_SETS if name in wrong_sets()]:
        lesson = gr.HTML(elem_classes="mm-heading", padding=False)
        localiser.add_html(lesson, "".join(wrong))
    choice = gr.Dropdown(
        handlers.template_choices("en"), value=_OPENING_TEMPLATES, elem_id="zs-template-set"
    )
    localiser.add(choice, label="templates_label")
    templates = gr.Textbox(
        "\n".join(TEMPLATE_SETS[_OPENING_TEMPLATES].templates),
        lines=3,
        max_lines=8,
        elem_id="zs-templates",
    )
    localiser.add(templates, label="templates_lines")
    # On at first: the labels may fit none of the pictures. What a visitor chooses then stays.
    reject = gr.Checkbox(True, elem_id="zs-reject")
    localiser.add(reject, label="reject_label")
    choice.input(handlers.template_text, choice, templates, **QUIET)
    localiser.add_handler(
        handlers.translated,
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
            fill = partial(handlers.fill_pictures, value)
            chip.click(fill, None, [target, asked], **QUIET)


def _build_results(localiser: Localiser, language: gr.Radio) -> tuple[Results, list[Column]]:
    """Lay out the results: sections from top to bottom, in each the models side by side."""
    message = gr.HTML(*handlers.awaited(Shown(), "en"), padding=False)
    with gr.Row(elem_classes="mm-working"):
        progress = gr.HTML(visible=False, padding=False, elem_id="zs-progress")
        stop = gr.Button(visible=False, size="sm", variant="stop", elem_id="zs-stop")
    localiser.add(stop, value="stop_button")
    heading = gr.HTML(elem_classes="mm-heading", padding=False)
    localiser.add_html(heading, "<h2>{zs_heading}</h2>")
    ranked = _side_by_side("zs-ranked", _build_ranked)
    matrix_heading = gr.HTML(elem_classes="mm-heading", padding=False, visible=False)
    localiser.add_html(matrix_heading, "<h2>{zs_matrix_heading}</h2><p>{zs_matrix_caption}</p>")
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
    results = Results(
        message=message,
        progress=progress,
        stop=stop,
        matrix_heading=matrix_heading,
        prompts_heading=prompts_heading,
        pick=pick,
        python=python,
        shown=shown,
    )
    columns = [
        Column(*one, *two, *three)
        for one, two, three in zip(ranked, matrices, prompts, strict=True)
    ]
    return results, columns


def _side_by_side(
    name: str, build_one: Callable[[str], tuple[Component, ...]]
) -> list[tuple[Block, ...]]:
    """Lay out a row with a column a model; return for each the column and what is in it."""
    built: list[tuple[Block, ...]] = []
    with gr.Row(elem_classes="mm-beside"):
        for number in range(1, handlers.COLUMNS + 1):
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
    return (gr.Plot(show_label=False, elem_id=name, elem_classes="mm-result mm-prompts"),)


def _save_on_click(
    button: gr.Button, handler: Callable[..., str], given: list[Component], save: str
) -> None:
    """Have a button make a text and hand it to the browser as a file."""
    text = gr.Textbox(visible="hidden")
    button.click(handler, given, text, **QUIET).then(None, text, None, js=save, **QUIET)
