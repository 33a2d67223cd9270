"""The tab "Similarity": two pictures and a text in, four similarities and their matrix out."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import gradio as gr
from gradio.components import Component
from PIL import Image

from mmdemo.compare import compare
from mmdemo.errors import MMDemoError
from mmdemo.examples import Example, examples
from mmdemo.images import open_image, shown_by_browsers
from mmdemo.registry import find_model, load_encoder, offered
from mmdemo.settings import default_model
from mmdemo.ui import views
from mmdemo.ui.inputs import PictureInput
from mmdemo.ui.localise import Localiser
from mmdemo.ui.text import SAMPLE_OTHERS, SAMPLE_TEXTS, Language, say

log = logging.getLogger(__name__)

Upload: TypeAlias = str | bytes
"""What `PictureInput` hands over: a path, or bytes."""

# One group for everything that runs a model: more at once would only fight over the cores.
CONCURRENCY: dict[str, Any] = {"concurrency_id": "encode", "concurrency_limit": 4}


class Results(NamedTuple):
    """What a comparison changes on the page, in the order of the output components."""

    message: Any
    bars: Any
    readings: Any
    matrix1: Any
    matrix1_heading: Any
    column2: Any
    matrix2: Any
    matrix2_heading: Any
    details: Any
    facts: Any


def run(
    image1: Upload | None,
    image2: Upload | None,
    text: str | None,
    other: str | None,
    model: str,
    language: Language,
) -> Results:
    """Compare what is on the page and return what to show.

    Bad input changes nothing but the message, so that nothing on the page is lost.
    """
    try:
        if image1 is None or image2 is None or not (text or "").strip():
            return _only_message(_missing(image1, image2, language), language)
        first = _open(image1, "image1_label", language)
        second = _open(image2, "image2_label", language)
        encoder = load_encoder(model)
        texts = [given for given in (text, other) if given and given.strip()]
        results = [compare(encoder, first, second, one) for one in texts]
    except MMDemoError as error:
        return _only_message(views.escape(str(error)), language)
    except Exception:
        log.exception("A comparison failed")
        return _only_message(say(language, "unexpected"), language)
    second_text = results[1] if len(results) > 1 else None
    return Results(
        message=views.message("</p><p>".join(views.notes(results, language)), stale=False),
        bars=views.bars(results, language),
        readings=views.readings(results, encoder.fusion_weights, language),
        matrix1=views.heatmap(results[0], first, second, language),
        matrix1_heading=gr.update(
            value=views.matrix_heading(results[0], language), visible=second_text is not None
        ),
        column2=gr.update(visible=second_text is not None),
        matrix2=views.heatmap(second_text, first, second, language) if second_text else gr.skip(),
        matrix2_heading=views.matrix_heading(second_text, language) if second_text else gr.skip(),
        details=views.details(results, language),
        facts=views.facts(find_model(model), language),
    )


def rendition(uploaded: Upload | None) -> Any:
    """Replace a picture that browsers cannot show, such as a TIFF, by the same pixels as PNG."""
    if uploaded is None or shown_by_browsers(uploaded):
        return gr.skip()
    try:
        return open_image(uploaded)
    except MMDemoError:
        return gr.skip()  # the comparison that the upload starts says what is wrong


def compare_endpoint(
    image1: Upload | None, image2: Upload | None, text: str, model: str | None
) -> dict[str, Any]:
    """Compare two pictures and a text: the four similarities, the matrix, and what they mean.

    Args:
        image1: the first picture.
        image2: the second picture.
        text: the text.
        model: a name from `/models`.

    Returns:
        `Comparison.to_dict()`.
    """
    try:
        if image1 is None or image2 is None:
            raise gr.Error("Two pictures are needed: image1 and image2.", print_exception=False)
        first = _open(image1, "image1_label", "en")
        second = _open(image2, "image2_label", "en")
        return compare(load_encoder(model), first, second, text).to_dict()
    except MMDemoError as error:
        raise gr.Error(str(error), print_exception=False) from error


def models_endpoint() -> list[dict[str, Any]]:
    """List the models: what each can do, its size, languages, and whether it is on this machine."""
    return [spec.to_dict() for spec in offered()]


def build(localiser: Localiser, language: gr.Radio) -> Callable[[gr.Blocks], None]:
    """Lay out the tab and wire it.

    Args:
        localiser: collects what to translate.
        language: the page's language choice.

    Returns:
        What to call once the whole page stands: wires the first comparison to its load event.
    """
    opening = examples()[0]
    with gr.Row(equal_height=False):
        with gr.Column(scale=4, min_width=320, elem_id="inputs"):
            inputs, facts, message = _build_inputs(localiser, language, opening)
        with gr.Column(scale=7, min_width=320, elem_id="results"):
            outputs = _build_results(localiser, facts, message)
    sources = [*inputs, language]
    event: dict[str, Any] = {
        "fn": run,
        "inputs": sources,
        "outputs": list(outputs),
        # While one comparison runs, only the newest of those that wait is kept: typing stays live.
        "trigger_mode": "always_last",
        "show_progress": "hidden",
        "api_visibility": "private",
        **CONCURRENCY,
    }
    gr.on([component.change for component in sources], **event)
    _build_endpoints(inputs)

    def first_comparison(page: gr.Blocks) -> None:
        page.load(**event)

    return first_comparison


class Inputs(NamedTuple):
    """The input components, in the order of `run`."""

    image1: gr.Image
    image2: gr.Image
    text: gr.Textbox
    other: gr.Textbox
    model: gr.Dropdown


def _build_inputs(
    localiser: Localiser, language: gr.Radio, opening: Example
) -> tuple[Inputs, gr.HTML, gr.HTML]:
    names = [spec.name for spec in offered()]
    chosen = default_model() if default_model() in names else names[0]
    with gr.Group():
        model = gr.Dropdown(
            [(spec.title, spec.name) for spec in offered()], value=chosen, interactive=True
        )
        facts = gr.HTML(views.facts(find_model(chosen), "en"), elem_id="facts", padding=False)
    localiser.add(model, label="model_label")
    with gr.Row():
        image1, image2 = (_picture(path) for path in map(str, opening.paths))
    localiser.add(image1, label="image1_label")
    localiser.add(image2, label="image2_label")
    for image in (image1, image2):
        image.upload(rendition, image, image, api_visibility="private", show_progress="hidden")
    swap = gr.Button(size="sm")
    localiser.add(swap, value="swap_button")
    text = gr.Textbox(opening.text_en, lines=1, max_lines=4)
    localiser.add(text, label="text_label", placeholder="text_placeholder")
    _build_chips(SAMPLE_TEXTS, text)
    other = gr.Textbox("", lines=1, max_lines=4)
    localiser.add(other, label="other_label", placeholder="other_placeholder")
    _build_chips(SAMPLE_OTHERS, other, clear=localiser)
    message = gr.HTML(views.message(say("en", "loading"), stale=False), padding=False)
    _build_examples(localiser, language, [image1, image2, text])
    swap.click(
        lambda first, second: (second, first),
        [image1, image2],
        [image1, image2],
        api_visibility="private",
        show_progress="hidden",
    )
    return Inputs(image1, image2, text, other, model), facts, message


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
    texts: tuple[str, ...], target: gr.Textbox, clear: Localiser | None = None
) -> None:
    """Lay out small buttons that fill a text field, without asking the server."""
    with gr.Row(elem_classes="mm-chips"):
        chips = [(gr.Button(text, size="sm"), text) for text in texts]
        if clear is not None:
            button = gr.Button(size="sm", variant="stop")
            clear.add(button, value="clear_other")
            chips.append((button, ""))
    for button, text in chips:
        button.click(
            None,
            None,
            target,
            js=f"() => {text!r}",
            api_visibility="private",
            show_progress="hidden",
        )


def _build_examples(localiser: Localiser, language: gr.Radio, targets: list[Component]) -> None:
    rows = examples()
    dataset = gr.Dataset(
        components=[
            PictureInput(visible=False),
            PictureInput(visible=False),
            gr.Textbox(visible=False),
        ],
        samples=[[*map(str, row.paths), row.text_en] for row in rows],
        type="index",
        samples_per_page=len(rows),
        elem_id="examples",
        headers=["1", "2", "text"],
    )
    localiser.add(dataset, label="examples_label")
    dataset.click(
        show_example,
        [dataset, language],
        targets,
        api_visibility="private",
        show_progress="hidden",
    )


def show_example(index: int, language: Language) -> tuple[str, str, str]:
    """Return the pictures and the text of a ready-made comparison."""
    row = examples()[index]
    first, second = row.paths
    return str(first), str(second), row.text(language)


def _build_results(localiser: Localiser, facts: gr.HTML, message: gr.HTML) -> Results:
    heading = gr.HTML(elem_classes="mm-heading", padding=False)
    localiser.add_html(heading, "<h2>{results_heading}</h2>")
    bars = gr.Plot(show_label=False, elem_id="bars", elem_classes="mm-result")
    readings = gr.HTML(elem_id="readings", elem_classes="mm-result", padding=False)
    heading = gr.HTML(elem_classes="mm-heading", padding=False)
    localiser.add_html(heading, "<h2>{matrix_heading}</h2><p>{matrix_caption}</p>")
    with gr.Row():
        with gr.Column(min_width=320):
            matrix1_heading = gr.HTML(padding=False, visible=False)
            matrix1 = gr.Plot(show_label=False, elem_id="matrix-1", elem_classes="mm-result")
        with gr.Column(min_width=320, visible=False) as column2:
            matrix2_heading = gr.HTML(padding=False)
            matrix2 = gr.Plot(show_label=False, elem_id="matrix-2", elem_classes="mm-result")
    with gr.Accordion(open=False) as fold:
        details = gr.HTML(elem_id="details", padding=True)
    localiser.add(fold, label="details_label")
    return Results(
        message=message,
        bars=bars,
        readings=readings,
        matrix1=matrix1,
        matrix1_heading=matrix1_heading,
        column2=column2,
        matrix2=matrix2,
        matrix2_heading=matrix2_heading,
        details=details,
        facts=facts,
    )


def _build_endpoints(inputs: Inputs) -> None:
    """Add `/compare` and `/models`: components that nobody sees carry the types of the API page."""
    answer = gr.JSON(visible=False)
    hidden = gr.Button(visible=False)
    hidden.click(
        compare_endpoint,
        [inputs.image1, inputs.image2, inputs.text, inputs.model],
        answer,
        api_name="compare",
        **CONCURRENCY,
    )
    hidden.click(models_endpoint, None, answer, api_name="models")


def _missing(image1: Upload | None, image2: Upload | None, language: Language) -> str:
    """Say what is missing: a picture, else the text."""
    for image, key in ((image1, "image1_label"), (image2, "image2_label")):
        if image is None:
            return say(language, "need_image", which=say(language, key))
    return say(language, "need_text")


def _open(source: Upload, key: str, language: Language) -> Image.Image:
    """Open a picture; an error names the field it is in."""
    try:
        return open_image(source)
    except MMDemoError as error:
        field = say(language, key)
        raise type(error)(say(language, "in_field", field=field, message=error)) from error


def _only_message(text: str, language: Language) -> Results:
    shown = views.message(f"{text} {say(language, 'stale')}", stale=True)
    return Results(shown, *[gr.skip()] * (len(Results._fields) - 1))
