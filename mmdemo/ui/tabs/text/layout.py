"""The tab "Text": a query and passages in; four rankings and the reasons for them out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import gradio as gr
from gradio.components import Component

from mmdemo.examples import ranking_examples
from mmdemo.types import REPRESENTATIONS, Representation
from mmdemo.ui.parts import signals
from mmdemo.ui.parts.inputs import FilesInput
from mmdemo.ui.parts.localise import Localiser
from mmdemo.ui.parts.markup import message as message_box
from mmdemo.ui.parts.models import choice as model_choice
from mmdemo.ui.parts.models.handlers import Needs
from mmdemo.ui.serving.events import LONG, QUIET, SHORT, told_once
from mmdemo.ui.strings import LANGUAGES, Language, say
from mmdemo.ui.tabs.text import handlers
from mmdemo.ui.tabs.text.handlers import Results, Shown
from mmdemo.work import Current

NEEDS: Needs = frozenset({"text", "multi_vector"})
"""What a model must embed and make of a text."""

# A passage is the same one in every column: pointing at it shows where it stands in the others, and
# a click, or Enter, explains it. The same for the words that query and passage share.
_POINT = """
const mark = (attribute, event) => {
  const found = event.target.closest(`[${attribute}]`);
  const value = found && found.getAttribute(attribute);
  element.querySelectorAll(`[${attribute}]`).forEach((one) =>
    one.classList.toggle("same", one.getAttribute(attribute) === value));
};
for (const kind of ["mouseover", "focusin"]) element.addEventListener(kind, (event) => {
  mark("data-passage", event);
  mark("data-token", event);
});
element.addEventListener("mouseleave", () =>
  element.querySelectorAll(".same").forEach((one) => one.classList.remove("same")));
const choose = (event) => {
  const found = event.target.closest("[data-passage]");
  if (found) trigger("click", {passage: Number(found.dataset.passage)});
};
element.addEventListener("click", choose);
element.addEventListener("keydown", (event) => { if (event.key === "Enter") choose(event); });
"""


# In the browser, so that it is said while the visitor types: what is ranked is of another input.
_CHANGED = """(query, passages, whole, language, ranked) => {
  const now = JSON.stringify([query, passages, whole]);
  return !ranked || JSON.stringify(JSON.parse(ranked)) === now ? "" : %s[language];
}"""


def _changed(language: Language) -> str:
    return message_box(say(language, "rank_changed"), stale=True)


class Inputs(NamedTuple):
    """The input components, in the order of `run`."""

    query: gr.Textbox
    passages: gr.Textbox
    whole: gr.Checkbox
    model: gr.Dropdown
    dense: gr.Slider
    sparse: gr.Slider
    multi_vector: gr.Slider
    language: gr.Radio


def build(localiser: Localiser, language: gr.Radio, tab: gr.Tab) -> None:
    """Lay out the tab and wire it.

    Args:
        localiser: collects what to translate.
        language: the page's language choice.
        tab: the tab that this is; nothing is ranked before it is opened.
    """
    asked, opened = signals.signal(), signals.signal()
    with gr.Row(equal_height=False):
        with gr.Column(scale=4, min_width=320, elem_classes="mm-inputs"):
            choice = model_choice.build(localiser, language, NEEDS, prefix="text-")
            fields, button, changed, document = _build_inputs(localiser)
            _build_examples(localiser, [*fields[:2], asked])
        with gr.Column(scale=7, min_width=320, elem_classes="mm-results"):
            sliders, results = _build_results(localiser)
    localiser.add_handler(handlers.awaited, [results.shown], [results.message], as_built=True)
    timer, measured = model_choice.watch_background([choice.model])
    results = results._replace(timer=timer)
    inputs = Inputs(*fields, choice.model, *sliders, language)
    tab.select(None, None, opened, js=signals.SAY_OPENED, **QUIET)
    choice.settled.change(signals.once_opened, opened, asked, concurrency_limit=None, **QUIET)
    starts = [button.click, inputs.query.submit, opened.change, asked.change]
    _wire(localiser, inputs, results, starts, measured)
    given = [*fields, language]
    gr.on(
        [*(component.change for component in given), results.ranked.change],
        None,
        [*given, results.ranked],
        changed,
        js=_CHANGED % json.dumps({spoken: _changed(spoken) for _, spoken in LANGUAGES}),
        **QUIET,
    )
    document.upload(
        handlers.load_document, [document, language], [inputs.passages, results.message], **QUIET
    )


def _wire(
    localiser: Localiser,
    inputs: Inputs,
    results: Results,
    starts: list[Any],
    measured: gr.Textbox,
) -> None:
    """Say what happens when: encoding on request, everything else from what was encoded."""
    outputs = list(results)
    current = gr.State(Current())
    # Another start does not wait for the one that runs, but takes its place.
    gr.on(
        starts,
        told_once(handlers.run),
        [*inputs, results.shown, current],
        outputs,
        trigger_mode="multiple",
        **QUIET,
        **LONG,
    )
    # Not in the group of what runs a model: it must come through while that is busy. And not by
    # gradio's `cancels`: the last progress would arrive after the end of it.
    results.stop.click(handlers.stop, current, None, concurrency_limit=None, **QUIET)
    sliders = [inputs.dense, inputs.sparse, inputs.multi_vector]
    weighed = [*sliders, results.shown]
    gr.on(
        [slider.change for slider in sliders],
        handlers.reweigh,
        [*weighed, inputs.language],
        [results.columns, results.reading],
        trigger_mode="always_last",
        concurrency_limit=None,
        **QUIET,
    )
    about = [inputs.language, results.shown]
    results.pick.input(handlers.pick, [results.pick, *about], outputs, **QUIET, **SHORT)
    results.columns.click(handlers.clicked, about, outputs, **QUIET, **SHORT)
    localiser.add_handler(handlers.show_again, weighed, outputs)
    measured.change(
        handlers.show_again,
        [*weighed, inputs.language],
        outputs,
        concurrency_limit=None,
        **QUIET,
    )


def _build_inputs(
    localiser: Localiser,
) -> tuple[tuple[gr.Textbox, gr.Textbox, gr.Checkbox], gr.Button, gr.HTML, gr.File]:
    """Lay out query, passages and how they are read; the button and a note; the drop of a file."""
    query, passages = handlers.show_example(0)
    asked = gr.Textbox(query, lines=1, max_lines=4, elem_id="text-query")
    localiser.add(asked, label="rank_query", placeholder="rank_query_placeholder")
    field = gr.Textbox(passages, lines=9, max_lines=14, elem_id="text-passages")
    localiser.add(field, label="rank_passages", placeholder="rank_passages_placeholder")
    whole = gr.Checkbox(False, elem_id="text-whole")
    localiser.add(whole, label="rank_whole")
    document = FilesInput(
        file_types=[".txt", ".md"], file_count="single", height=150, elem_id="text-document"
    )
    localiser.add(document, label="rank_document")
    button = gr.Button(variant="primary", elem_id="text-rank")
    localiser.add(button, value="rank_button")
    changed = gr.HTML(padding=False, elem_id="text-changed")
    return (asked, field, whole), button, changed, document


def _build_examples(localiser: Localiser, targets: Sequence[Component]) -> None:
    """Lay out a button for each ready-made ranking; it fills the fields, and has them ranked."""
    with gr.Row(elem_classes="mm-chips", elem_id="text-examples"):
        for index, example in enumerate(ranking_examples()):
            chip = gr.Button(size="sm")
            localiser.add(chip, value=f"rank_example_{example.name}")
            fill = partial(handlers.fill_example, index)
            chip.click(fill, None, list(targets), **QUIET)


def _build_results(
    localiser: Localiser,
) -> tuple[tuple[gr.Slider, gr.Slider, gr.Slider], Results]:
    """Lay out the results: the weights, the columns, and below them the reasons."""
    message = gr.HTML(*handlers.awaited(Shown(), "en"), padding=False)
    with gr.Row(elem_classes="mm-working"):
        progress = gr.HTML(visible=False, padding=False, elem_id="text-progress")
        stop = gr.Button(visible=False, size="sm", variant="stop", elem_id="text-stop")
    localiser.add(stop, value="stop_button")
    heading = gr.HTML(elem_classes="mm-heading", padding=False)
    localiser.add_html(heading, "<h2>{rank_heading}</h2><p>{rank_caption}</p>")
    with gr.Row(elem_classes="mm-weights"):
        dense_weight = _weight(localiser, "dense")
        sparse_weight = _weight(localiser, "sparse")
        multi_vector_weight = _weight(localiser, "multi_vector")
    columns = gr.HTML(
        padding=False, elem_id="text-columns", elem_classes="mm-result", js_on_load=_POINT
    )
    reading = gr.HTML(padding=False, elem_id="text-reading")
    heading = gr.HTML(elem_classes="mm-heading", padding=False)
    localiser.add_html(heading, "<h2>{why_heading}</h2><p>{why_caption}</p>")
    pick = gr.Dropdown([], visible=False, elem_id="text-pick")
    localiser.add(pick, label="why_pick")
    dense, sparse, multi_vector = (
        gr.HTML(
            padding=False, elem_id=f"text-why-{name}", elem_classes="mm-result", js_on_load=_POINT
        )
        for name in REPRESENTATIONS
    )
    heatmap = gr.Plot(
        visible=False, show_label=False, elem_id="text-heatmap", elem_classes="mm-result"
    )
    results = Results(
        message=message,
        ranked=signals.signal(),
        progress=progress,
        stop=stop,
        columns=columns,
        reading=reading,
        pick=pick,
        dense=dense,
        sparse=sparse,
        multi_vector=multi_vector,
        heatmap=heatmap,
        shown=gr.State(Shown()),
    )
    return (dense_weight, sparse_weight, multi_vector_weight), results


def _weight(localiser: Localiser, name: Representation) -> gr.Slider:
    slider = gr.Slider(0, 1, 1, step=0.05, min_width=160, elem_id=f"text-weight-{name}")
    localiser.add(slider, label=f"rank_weight_{name}")
    return slider
