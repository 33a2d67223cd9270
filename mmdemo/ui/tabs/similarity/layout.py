"""The tab "Similarity": two pictures and a text in, four similarities and their matrix out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple

import gradio as gr
from gradio.blocks import Block
from markupsafe import Markup

from mmdemo.examples import Example, examples, samples
from mmdemo.tasks.compare import NEEDS
from mmdemo.tasks.published import COURSE_TEXT
from mmdemo.ui.parts import figures, signals
from mmdemo.ui.parts.inputs import PictureInput, noted
from mmdemo.ui.parts.localise import Localiser
from mmdemo.ui.parts.models import choice as model_choice
from mmdemo.ui.parts.models.choice import ModelChoice
from mmdemo.ui.parts.tab import Page, Room
from mmdemo.ui.parts.wiring import Wiring
from mmdemo.ui.serving.events import QUIET, SHORT
from mmdemo.ui.strings import FIRST
from mmdemo.ui.tabs.similarity import course, handlers, ready_made
from mmdemo.ui.tabs.similarity.address import OTHERS
from mmdemo.ui.tabs.similarity.handlers import Columns, Given, Results


def build(page: Page) -> Room:
    """Lay out the tab and wire it."""
    localiser, language = page
    opening = examples()[0]
    opened = signals.signal()
    with gr.Row(equal_height=False):
        with gr.Column(scale=4, min_width=320, elem_id="inputs", elem_classes="mm-inputs"):
            choice = model_choice.build(localiser, language, NEEDS)
            others = model_choice.build_beside(localiser, language, NEEDS, OTHERS, prefix="sim-")
            beside = [other.model for other in others]
            timer, measured = model_choice.watch_background(
                localiser, language, [choice.model, *beside], "similarity"
            )
            inputs, messages, offered = _build_inputs(localiser, language, choice, opening)
        with gr.Column(scale=7, min_width=320, elem_id="results", elem_classes="mm-results"):
            outputs, columns = _build_results(localiser, inputs.model, messages)
            section = course.build(
                localiser, language, inputs.model, [inputs.image1, inputs.image2]
            )
    shown, again, query = gr.State(handlers.Shown()), signals.signal(), signals.signal()
    outputs |= {"timer": timer, "beside": again, "address": query, "shown": shown}
    localiser.add_handler(
        handlers.awaited_again,
        [inputs.model, shown],
        [outputs["message"], outputs["bars"], outputs["readings"], outputs["matrix1"]],
        as_built=True,
    )
    given = inputs._asdict() | {"beside": beside, "language": language, "shown": shown}
    comparison = Wiring(Given, given, Results, outputs)
    compared = [inputs.image1, inputs.image2, inputs.text, inputs.other]
    signals.gathered(opened, [*compared, language, choice.settled, measured]).change(
        comparison.steps(handlers.run),
        comparison.inputs,
        comparison.outputs,
        # While one comparison runs, only the newest of those that wait is kept: typing stays live.
        trigger_mode="always_last",
        **QUIET,
        **SHORT,
    )
    further = Wiring(Given, given, Columns, {"timer": timer, "columns": columns})
    # At the end of the first model's, and elsewhere: a slow one beside it keeps nobody waiting.
    gr.on(
        [again.change, *(other.settled.change for other in others)],
        further.once(handlers.beside),
        further.inputs,
        further.outputs,
        trigger_mode="always_last",
        **QUIET,
        **SHORT,
    )
    choice.settled.change(
        handlers.suit_model, [inputs.model, language], [offered, section], **QUIET
    )
    fields = inputs._asdict() | {f"beside{place}": one for place, one in enumerate(beside)}
    return Room(opened, query, fields, (inputs.image1, inputs.image2))


class Inputs(NamedTuple):
    """The input components, by the names of `Given`."""

    image1: gr.Image
    image2: gr.Image
    text: gr.Textbox
    other: gr.Textbox
    model: gr.Dropdown


def _build_inputs(
    localiser: Localiser,
    language: gr.Radio,
    choice: ModelChoice,
    opening: Example,
) -> tuple[Inputs, tuple[gr.HTML, gr.HTML], gr.Dataset]:
    """Lay out the inputs; return them, the places for messages, and the ready-made examples.

    What is wrong with a picture is said above the pictures, everything else below the text: each
    where its cause is, and on the screen with it.
    """
    at_pictures = gr.HTML(padding=False, elem_id="at-pictures")
    with gr.Row():
        image1, image2 = (_picture(path) for path in map(str, opening.paths))
    localiser.add(image1, label="image1_label")
    localiser.add(image2, label="image2_label")
    for image in (image1, image2):
        image.upload(noted(handlers.rendition), image, image, **QUIET)
    swap = gr.Button(size="sm")
    localiser.add(swap, value="swap_button")
    text = gr.Textbox(opening.text(FIRST), lines=1, max_lines=4)
    localiser.add(text, label="text_label", placeholder="text_placeholder")
    message = gr.HTML(padding=False)
    _build_chips(localiser, [one.text(FIRST) for one in samples()], text)
    other = gr.Textbox("", lines=1, max_lines=4)
    localiser.add(other, label="other_label", placeholder="other_placeholder")
    others = [one.text(FIRST) for one in samples() if one.other]
    _build_chips(localiser, others, other, clear="clear_other")
    localiser.add_handler(ready_made.spoken, [text, choice.model], [text])
    targets = [image1, image2, text]
    offered = _build_examples(localiser, language, choice.model, targets)
    pictures = [image1, image2]
    swap.click(None, pictures, pictures, js="(first, second) => [second, first]", **QUIET)
    return Inputs(image1, image2, text, other, choice.model), (message, at_pictures), offered


def _picture(path: str) -> gr.Image:
    return PictureInput(
        path,
        sources=["upload", "webcam", "clipboard"],
        webcam_options=gr.WebcamOptions(mirror=False),
        height=220,
        min_width=150,
        format="png",
        type="filepath",
        buttons=["fullscreen"],
    )


def _build_chips(
    localiser: Localiser, texts: Sequence[str], target: gr.Textbox, clear: str = ""
) -> None:
    """Lay out small buttons that fill a text field, without asking the server.

    Args:
        localiser: collects what to translate.
        texts: what they fill in, and say; the button of the course's text says whose it is.
        target: the field.
        clear: what a further button says, which empties the field.
    """
    with gr.Row(elem_classes="mm-chips"):
        chips = [(gr.Button(text, size="sm"), text) for text in texts]
        for button, text in chips:
            if text == COURSE_TEXT:
                localiser.add(button, value=f"{{sample_course}} {text}")
        if clear:
            button = gr.Button(size="sm", variant="stop")
            localiser.add(button, value=clear)
            chips.append((button, ""))
    for button, text in chips:
        button.click(None, None, target, js=f"() => {json.dumps(text)}", **QUIET)


def _build_examples(
    localiser: Localiser, language: gr.Radio, model: gr.Dropdown, targets: list[Block]
) -> gr.Dataset:
    dataset = gr.Dataset(
        components=[
            PictureInput(visible=False),
            PictureInput(visible=False),
            gr.Textbox(visible=False),
            gr.HTML(visible=False),
        ],
        samples=ready_made.example_samples(str(model.value), FIRST),
        type="index",
        samples_per_page=len(examples()),
        elem_id="examples",
        headers=["1", "2", "text", "lesson"],
    )
    localiser.add(dataset, label="examples_label")
    localiser.add_handler(ready_made.list_examples, [model], [dataset])
    dataset.click(ready_made.show_example, [dataset, model, language], targets, **QUIET)
    return dataset


def _build_results(
    localiser: Localiser, model: gr.Dropdown, messages: tuple[gr.HTML, gr.HTML]
) -> tuple[dict[str, Block], list[Block]]:
    """Lay out the results; return them by the names of `Results`, and the other models' columns."""
    first_message, first_bars, first_readings, first_matrix = handlers.awaited(
        str(model.value), handlers.Shown(), "en"
    )
    messages[0].value = first_message
    heading = gr.HTML(elem_classes="mm-heading", padding=False)
    localiser.add_html(heading, Markup("<h2>{results_heading}</h2>"))
    bars = figures.place("bars", "bars", first_bars)
    readings = gr.HTML(first_readings, elem_id="readings", elem_classes="mm-result", padding=False)
    columns = _build_columns()
    heading = gr.HTML(elem_classes="mm-heading", padding=False)
    localiser.add_html(heading, Markup("<h2>{matrix_heading}</h2><p>{matrix_caption}</p>"))
    with gr.Row():
        with gr.Column(min_width=320):
            matrix1_heading = gr.HTML(padding=False, visible=False)
            matrix1 = figures.place("matrix", "matrix-1", first_matrix)
        with gr.Column(min_width=320, visible=False) as column2:
            matrix2_heading = gr.HTML(padding=False)
            matrix2 = figures.place("matrix", "matrix-2")
    with gr.Accordion(open=False) as fold:
        details = gr.HTML(elem_id="details", padding=True)
    localiser.add(fold, label="details_label")
    results: dict[str, Block] = {
        "message": messages[0],
        "at_pictures": messages[1],
        "bars": bars,
        "readings": readings,
        "matrix1": matrix1,
        "matrix1_heading": matrix1_heading,
        "column2": column2,
        "matrix2": matrix2,
        "matrix2_heading": matrix2_heading,
        "details": details,
    }
    return results, columns


def _build_columns() -> list[Block]:
    """Lay out what other models say of the same comparison, side by side."""
    columns: list[Block] = []
    with gr.Row(elem_classes="mm-beside"):
        for number in range(2, 2 + OTHERS):
            with gr.Column(min_width=320, visible=False) as column:
                heading = gr.HTML(padding=False, elem_id=f"beside-{number}-heading")
                bars = figures.place("bars", f"beside-{number}-bars", of_result=False)
                ranks = gr.HTML(padding=False, elem_id=f"beside-{number}-ranks")
            columns += [column, heading, bars, ranks]
    return columns
