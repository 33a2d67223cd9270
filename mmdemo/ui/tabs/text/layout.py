"""The tab "Text": a query and passages in; four rankings and the reasons for them out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import gradio as gr
from gradio.components import Component
from markupsafe import Markup

from mmdemo.examples import ranking_examples
from mmdemo.tasks.rank import NEEDS
from mmdemo.types import REPRESENTATIONS, Representation
from mmdemo.ui.parts import figures, long_work, signals
from mmdemo.ui.parts.inputs import FilesInput
from mmdemo.ui.parts.localise import Localiser
from mmdemo.ui.parts.markup import message as message_box
from mmdemo.ui.parts.models import choice as model_choice
from mmdemo.ui.parts.tab import Page, Room
from mmdemo.ui.parts.wiring import Wiring, as_values
from mmdemo.ui.serving.events import LONG, QUIET, SHORT
from mmdemo.ui.strings import FIRST, LANGUAGES, Language, say
from mmdemo.ui.tabs.text import handlers
from mmdemo.ui.tabs.text.handlers import Dropped, Given, Results, Shown, Superseded, Weighed
from mmdemo.work import Current

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


def build(page: Page) -> Room:
    """Lay out the tab and wire it."""
    localiser, language = page
    asked, opened, due = signals.signal(), signals.signal(), signals.signal()
    query, current = signals.signal(), gr.State(Current())
    with gr.Row(equal_height=False):
        with gr.Column(scale=4, min_width=320, elem_classes="mm-inputs"):
            choice = model_choice.build(localiser, language, NEEDS, prefix="text-")
            timer, measured = model_choice.watch_background(
                localiser, language, [choice.model], "text"
            )
            fields, button, changed, dropped = _build_inputs(localiser)
            _build_examples(localiser, [fields["query"], fields["passages"], asked])
        with gr.Column(scale=7, min_width=320, elem_classes="mm-results"):
            sliders, outputs = _build_results(localiser, current)
    shown, document = outputs["shown"], gr.State(Dropped())
    localiser.add_handler(handlers.awaited, [shown], [outputs["message"]], as_built=True)
    outputs |= {"timer": timer, "address": query}
    given = fields | {
        "model": choice.model,
        "weights": sliders,
        "picked": outputs["pick"],
        "language": language,
        "document": document,
        "shown": shown,
        "current": current,
    }
    choice.settled.change(signals.once_opened, opened, asked, concurrency_limit=None, **QUIET)
    starts = [button.click, fields["query"].submit, opened.change, asked.change]
    _wire_ranking(given, outputs, starts, due)
    _wire_results(localiser, given, outputs, measured)
    typed = [*fields.values(), language]
    gr.on(
        [*(component.change for component in typed), outputs["ranked"].change],
        None,
        [*typed, outputs["ranked"]],
        changed,
        js=_CHANGED % json.dumps({spoken: _changed(spoken) for _, spoken in LANGUAGES}),
        **QUIET,
    )
    loading = {"passages": fields["passages"], "message": outputs["message"], "document": document}
    dropped.upload(
        lambda files, spoken: as_values(handlers.load_document(files, spoken), loading),
        [dropped, language],
        list(loading.values()),
        **QUIET,
    )
    weights = dict(zip(REPRESENTATIONS, sliders, strict=True))
    filled = fields | {"model": choice.model} | weights
    return Room(opened, query, filled, asked=asked)


def _wire_ranking(
    given: dict[str, Any], outputs: dict[str, Any], starts: list[Any], due: gr.Textbox
) -> None:
    """Have what is on the page ranked where somebody asks for it: encoding is on request."""
    # A new input first ends what runs for an earlier one, which must not wait behind that.
    superseding = Wiring(Given, given, Superseded, {"due": due, "message": outputs["message"]})
    gr.on(
        starts,
        superseding.once(handlers.supersede),
        superseding.inputs,
        superseding.outputs,
        trigger_mode="multiple",
        concurrency_limit=None,
        **QUIET,
    )
    ranking = Wiring(Given, given, Results, outputs)
    due.change(
        ranking.steps(handlers.run),
        ranking.inputs,
        ranking.outputs,
        trigger_mode="always_last",
        **QUIET,
        **LONG,
    )


def _wire_results(
    localiser: Localiser, given: dict[str, Any], outputs: dict[str, Any], measured: gr.Textbox
) -> None:
    """Have everything else shown from what was encoded."""
    weighing = Wiring(
        Given, given, Weighed, {name: outputs[name] for name in ("columns", "reading", "address")}
    )
    gr.on(
        [slider.change for slider in given["weights"]],
        weighing.once(handlers.reweigh),
        weighing.inputs,
        weighing.outputs,
        trigger_mode="always_last",
        concurrency_limit=None,
        **QUIET,
    )
    showing = Wiring(Given, given, Results, outputs)
    picking = showing.once(handlers.pick)
    outputs["pick"].input(picking, showing.inputs, showing.outputs, **QUIET, **SHORT)

    def clicked(event: gr.EventData, *values: Any) -> list[Any]:
        position = getattr(event, "passage", None)
        return showing.values(handlers.clicked(position, showing.given(values)))

    outputs["columns"].click(clicked, showing.inputs, showing.outputs, **QUIET, **SHORT)
    again = showing.once(handlers.show_again)

    def translated(*values: Any) -> list[Any]:
        *given, language = values
        inputs = replace(showing.given(given), language=language)
        return showing.values(handlers.show_again(inputs))

    localiser.add_handler(translated, showing.inputs, showing.outputs)
    measured.change(again, showing.inputs, showing.outputs, concurrency_limit=None, **QUIET)


def _build_inputs(
    localiser: Localiser,
) -> tuple[dict[str, Any], gr.Button, gr.HTML, gr.File]:
    """Lay out query, passages and how they are read; the button and a note; the drop of a file.

    Returns:
        The fields by the names of `Given`, and the others.
    """
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
    return {"query": asked, "passages": field, "whole": whole}, button, changed, document


def _build_examples(localiser: Localiser, targets: Sequence[Component]) -> None:
    """Lay out a button for each ready-made ranking; it fills the fields, and has them ranked."""
    with gr.Row(elem_classes="mm-chips", elem_id="text-examples"):
        for index, example in enumerate(ranking_examples()):
            chip = gr.Button(size="sm")
            localiser.add(chip, value=f"rank_example_{example.name}")
            fill = partial(handlers.fill_example, index)
            chip.click(fill, None, list(targets), **QUIET)


def _build_results(
    localiser: Localiser, current: gr.State
) -> tuple[list[gr.Slider], dict[str, Any]]:
    """Lay out the results: the weights, the columns, and below them the reasons.

    Returns:
        The weights in the order of `REPRESENTATIONS`, and what is shown by the names of `Results`.
    """
    message = gr.HTML(*handlers.awaited(Shown(), FIRST), padding=False)
    bar = long_work.build_own(localiser, "text", current)
    heading = gr.HTML(elem_classes="mm-heading", padding=False)
    localiser.add_html(heading, Markup("<h2>{rank_heading}</h2><p>{rank_caption}</p>"))
    with gr.Row(elem_classes="mm-weights"):
        sliders = [_weight(localiser, name) for name in REPRESENTATIONS]
    columns = gr.HTML(
        padding=False, elem_id="text-columns", elem_classes="mm-result", js_on_load=_POINT
    )
    reading = gr.HTML(padding=False, elem_id="text-reading")
    heading = gr.HTML(elem_classes="mm-heading", padding=False)
    localiser.add_html(heading, Markup("<h2>{why_heading}</h2><p>{why_caption}</p>"))
    pick = gr.Dropdown([], visible=False, elem_id="text-pick")
    localiser.add(pick, label="why_pick")
    dense, sparse, multi_vector = (
        gr.HTML(
            padding=False, elem_id=f"text-why-{name}", elem_classes="mm-result", js_on_load=_POINT
        )
        for name in REPRESENTATIONS
    )
    heatmap = figures.place("tokens", "text-heatmap", visible=False)
    results = {
        "message": message,
        "ranked": signals.signal(),
        "bar": bar,
        "columns": columns,
        "reading": reading,
        "pick": pick,
        "dense": dense,
        "sparse": sparse,
        "multi_vector": multi_vector,
        "heatmap": heatmap,
        "shown": gr.State(Shown()),
    }
    return sliders, results


def _weight(localiser: Localiser, name: Representation) -> gr.Slider:
    slider = gr.Slider(0, 1, 1, step=0.05, min_width=160, elem_id=f"text-weight-{name}")
    localiser.add(slider, label=f"rank_weight_{name}")
    return slider
