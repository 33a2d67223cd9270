"""What happens in the tab "Zero-shot": plain functions from values to values."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr
from PIL import Image

from mmdemo.background import background, start
from mmdemo.encoders.base import Encoder
from mmdemo.errors import MMDemoError
from mmdemo.examples import FOLDER
from mmdemo.images import open_image, shown_by_browsers, thumbnail_uri
from mmdemo.prompts import (
    LABEL_SETS,
    TEMPLATE_SETS,
    checked_labels,
    checked_templates,
    split_labels,
)
from mmdemo.registry import find_offered
from mmdemo.settings import limits
from mmdemo.ui import zero_shot_views as views
from mmdemo.ui.inputs import Upload
from mmdemo.ui.markup import error_message, note_sentence
from mmdemo.ui.markup import message as message_box
from mmdemo.ui.model_handlers import loaded, watching
from mmdemo.ui.text import Language, say
from mmdemo.ui.zero_shot_views import Pictures
from mmdemo.zero_shot import Classification, classify, embedding_steps, prompt_effect

log = logging.getLogger(__name__)

OWN = "own"
"""The choice of templates that stands for what the visitor wrote."""

EXAMPLES = ("bee.jpg", "bridge.jpg", "dogs.jpg", "whale.png", "house-winter.png", "fig.jpg")
"""What the tab opens with, below `assets/examples`."""

MODELS = 3
"""How many models stand side by side at most."""

_SHOW_PROGRESS_FROM = 200  # prompts: about a second


@dataclass(frozen=True, eq=False)
class Running:
    """A classification that embeds many prompts, for whoever wants to end it.

    Attributes:
        given: what it was started with.
        stop: set it, and it ends at its next step.
        replaced: set as well where another follows, so that nobody need be told.
    """

    given: tuple[Any, ...]
    stop: threading.Event = field(default_factory=threading.Event)
    replaced: threading.Event = field(default_factory=threading.Event)


class _StoppedError(Exception):
    """The visitor wants no more of it."""


@dataclass(frozen=True)
class Shown:
    """What is on the screen, for what is asked of it later: another picture, a file, the code.

    Attributes:
        models: as they were chosen.
        results: one a model.
        pictures: as the page shows them.
        running: what takes long, while it does.
    """

    models: tuple[str, ...] = ()
    results: tuple[Classification, ...] = ()
    pictures: Pictures = field(default_factory=Pictures)
    running: Running | None = None


class Column(NamedTuple):
    """What a classification changes for one model, in the order of the outputs.

    `ranked`, `tabled` and `drawn` are the model's places in the three sections.
    """

    ranked: Any
    heading: Any
    cards: Any
    tabled: Any
    matrix: Any
    drawn: Any
    prompts: Any


class Results(NamedTuple):
    """What a classification changes on the page; the columns' components follow."""

    message: Any = gr.skip()
    progress: Any = gr.skip()
    stop: Any = gr.skip()
    matrix_heading: Any = gr.skip()
    prompts_heading: Any = gr.skip()
    pick: Any = gr.skip()
    python: Any = gr.skip()
    timer: Any = gr.skip()
    shown: Any = gr.skip()


Outputs = tuple[Any, ...]
_NOTHING = Column(*[gr.skip()] * len(Column._fields))


def run(
    uploads: list[Upload],
    labels: str | None,
    templates: str | None,
    reject: bool,
    picked: int | None,
    language: Language,
    before: Shown,
    *models: str,
) -> Iterator[Outputs]:
    """Classify what is on the page and yield what to show: how far it is, then the results.

    Bad input changes nothing but the message, so that nothing on the page is lost.
    """
    running = Running((uploads, labels, templates, *models))
    try:
        if not uploads:
            yield _only_message(say(language, "zs_need_pictures"), language)
            return
        candidates, prompts = checked_labels(labels or ""), checked_templates(lines(templates))
        opened = _open_all(uploads, language)
        chosen = tuple(dict.fromkeys(filter(None, models)))
        encoders = [loaded(name, language) for name in chosen]
        for encoder in encoders:
            yield from _embed(encoder, candidates, prompts, running, before, language)
        results = tuple(
            _classify(encoder, opened, candidates, prompts, reject) for encoder in encoders
        )
        names = tuple(Path(path).name if isinstance(path, str) else "" for path in uploads)
        thumbnails = tuple(thumbnail_uri(picture) for picture in opened)
        shown = Shown(chosen, results, Pictures(names, thumbnails))
        repeated = len([one for one in split_labels(labels or "") if one.strip()]) > len(candidates)
        yield _outputs(shown, encoders, picked, repeated, language)
    except _StoppedError:
        hidden = gr.update(visible=False)
        said = message_box(say(language, "zs_stopped"), stale=True)
        message = gr.skip() if running.replaced.is_set() else said
        shown = replace(before, running=None)
        yield _all(Results(message=message, progress=hidden, stop=hidden, shown=shown))
    except MMDemoError as error:
        yield _only_message(escape(error_message(error, language)), language)
    except Exception:
        log.exception("A classification failed")
        yield _only_message(say(language, "unexpected"), language)


def _embed(
    encoder: Encoder,
    labels: Sequence[str],
    templates: Sequence[str],
    running: Running,
    before: Shown,
    language: Language,
) -> Iterator[Outputs]:
    """Embed the labels; yield how far it is where that takes a while."""
    shown = replace(before, running=running)
    for done, total in embedding_steps(encoder, labels, templates):
        if running.stop.is_set():
            raise _StoppedError
        if total >= _SHOW_PROGRESS_FROM:
            bar = gr.update(value=views.progress(encoder.name, done, total, language), visible=True)
            yield _all(Results(progress=bar, stop=gr.update(visible=True), shown=shown))


def _classify(
    encoder: Encoder,
    pictures: Sequence[Image.Image],
    labels: Sequence[str],
    templates: Sequence[str],
    reject: bool,
) -> Classification:
    """Classify; "none of these" waits for the background set, so that nobody has to."""
    start(encoder)
    ready = encoder.activation == "sigmoid" or background(encoder) is not None
    return classify(encoder, pictures, labels, templates, reject=reject and ready)


def _outputs(
    shown: Shown,
    encoders: Sequence[Encoder],
    picked: int | None,
    repeated: bool,
    language: Language,
) -> Outputs:
    """Return everything that a finished classification shows."""
    many = len(shown.pictures.names) > 1
    image = min(picked or 0, len(shown.pictures.names) - 1)
    sentences = _sentences(shown, encoders, language)
    sentences += [say(language, "zs_duplicates")] if repeated else []
    top = Results(
        message=message_box("</p><p>".join(sentences), stale=False),
        progress=gr.update(visible=False),
        stop=gr.update(visible=False),
        matrix_heading=gr.update(visible=many),
        prompts_heading=_prompts_heading(image, language),
        pick=gr.update(choices=_picture_choices(shown.pictures), value=image, visible=many),
        python=views.python_text(shown.models, shown.results[0], shown.pictures),
        timer=next((one for one in map(watching, encoders) if one != gr.skip()), gr.skip()),
        shown=shown,
    )
    columns = [
        Column(
            **_places(True),
            heading=views.heading(find_offered(name).title, result, background(encoder), language),
            cards=views.cards(result, shown.pictures, language),
            matrix=views.matrix(result, shown.pictures, language),
            prompts=views.prompts(prompt_effect(encoder, result, image), language),
        )
        for name, encoder, result in zip(shown.models, encoders, shown.results, strict=True)
    ]
    return _all(top, columns, hide=True)


def _sentences(shown: Shown, encoders: Sequence[Encoder], language: Language) -> list[str]:
    """Return what a reader should know; of which model, where there are several."""
    found: list[str] = []
    for name, encoder, result in zip(shown.models, encoders, shown.results, strict=True):
        own = [note_sentence(note, language) for note in result.notes]
        own += filter(None, [views.awaited(encoder, language)])
        whose = f"{escape(find_offered(name).title)}: " if len(encoders) > 1 else ""
        found += [f"{whose}{sentence}" for sentence in own]
    return found


def _all(top: Results, columns: Sequence[Column] = (), *, hide: bool = False) -> Outputs:
    """Return the values of all outputs; columns without a model stay as they are, or go."""
    rest = _NOTHING._replace(**_places(False)) if hide else _NOTHING
    padded = [*columns, *[rest] * (MODELS - len(columns))]
    return (*top, *(value for column in padded for value in column))


def _places(visible: bool) -> dict[str, Any]:
    return dict.fromkeys(("ranked", "tabled", "drawn"), gr.update(visible=visible))


def _only_message(text: str, language: Language) -> Outputs:
    shown = message_box(f"{text} {say(language, 'stale')}", stale=True)
    hidden = gr.update(visible=False)
    return _all(Results(message=shown, progress=hidden, stop=hidden))


def stop(shown: Shown) -> None:
    """End what is running; whoever runs it says so on the page."""
    if shown.running is not None:
        shown.running.stop.set()


def supersede(
    uploads: list[Upload], labels: str | None, templates: str | None, shown: Shown, *models: str
) -> None:
    """End what is running if it is of an earlier input, so that the new one need not wait."""
    running = shown.running
    if running is not None and running.given != (uploads, labels, templates, *models):
        running.replaced.set()
        running.stop.set()


def pick(shown: Shown, picked: int | None, language: Language) -> tuple[Any, ...]:
    """Show what the prompts did to another picture: the heading, then each model's figure."""
    if not shown.results or picked is None:
        return (gr.skip(),) * (1 + MODELS)
    figures = [
        views.prompts(prompt_effect(loaded(name, language), result, picked), language)
        for name, result in zip(shown.models, shown.results, strict=True)
    ]
    skipped = [gr.skip()] * (MODELS - len(figures))
    return (_prompts_heading(picked, language), *figures, *skipped)


def _prompts_heading(image: int, language: Language) -> str:
    return (
        f"<h2>{say(language, 'zs_prompts_heading')}</h2>"
        f"<p>{say(language, 'zs_prompts_caption', number=image + 1)}</p>"
    )


def _picture_choices(pictures: Pictures) -> list[tuple[str, int]]:
    return [(f"{index + 1} · {name}", index) for index, name in enumerate(pictures.names)]


def _open_all(uploads: Sequence[Upload], language: Language) -> list[Image.Image]:
    """Open the pictures; an error says which."""
    if len(uploads) > limits().pictures:
        uploads = uploads[: limits().pictures + 1]  # one too many: `classify` says so
    return [_open(upload, number, language) for number, upload in enumerate(uploads, start=1)]


def _open(upload: Upload, number: int, language: Language) -> Image.Image:
    try:
        return open_image(upload)
    except MMDemoError as error:
        field = say(language, "zs_picture", number=number)
        reason = error_message(error, language)
        raise MMDemoError(say(language, "in_field", field=field, message=reason)) from error


def renditions(uploads: list[Upload]) -> Any:
    """Replace pictures that browsers cannot show, such as TIFF, by the same pixels as PNG."""
    if all(shown_by_browsers(upload) for upload in uploads):
        return gr.skip()
    try:
        return [one if shown_by_browsers(one) else open_image(one) for one in uploads]
    except MMDemoError:
        return gr.skip()  # the classification that the upload starts says what is wrong


# Filling the inputs.


def lines(text: str | None) -> list[str]:
    """Return the lines of a text field."""
    return (text or "").splitlines()


def example_pictures() -> list[str]:
    """Return the pictures that the tab opens with."""
    return [str(FOLDER / name) for name in EXAMPLES]


def label_text(name: str, language: Language) -> str:
    """Return a ready label set as it stands in the field."""
    return "\n".join(LABEL_SETS[name].labels(language))


def template_text(choice: str) -> Any:
    """Return the templates of a set as they stand in the field; one's own stay."""
    if choice not in TEMPLATE_SETS:
        return gr.skip()
    return "\n".join(TEMPLATE_SETS[choice].templates)


def template_choice(text: str) -> str:
    """Return the set that the field holds, or that it is the visitor's own."""
    held = tuple(line.strip() for line in lines(text) if line.strip())
    return next((one.name for one in TEMPLATE_SETS.values() if one.templates == held), OWN)


def template_choices(language: Language) -> list[tuple[str, str]]:
    """Return the sets of templates as label and name."""
    return [(say(language, f"templates_{name}"), name) for name in (*TEMPLATE_SETS, OWN)]


def translated(labels: str, templates: str, language: Language) -> tuple[Any, ...]:
    """Return labels, templates and the choice of them in the page's language, if they are ours."""
    other: Language = "en" if language == "zh" else "zh"
    named = next((name for name in LABEL_SETS if label_text(name, other) == labels), "")
    choice = template_choice(templates)
    wanted = choice.removesuffix("-zh") + ("-zh" if language == "zh" else "")
    known = wanted if choice != OWN else choice
    return (
        label_text(named, language) if named else gr.skip(),
        template_text(known) if known != choice else gr.skip(),
        gr.update(choices=template_choices(language), value=known),
    )


# Taking results away.


def as_json(shown: Shown) -> str:
    """Return what is on the screen as JSON."""
    return views.json_text(shown.results, shown.pictures)


def as_csv(shown: Shown) -> str:
    """Return what is on the screen as CSV."""
    return views.csv_text(shown.results, shown.pictures)


def classify_endpoint(
    images: list[Upload], labels: str, templates: str, reject: bool, model: str | None
) -> dict[str, Any]:
    """Score pictures against candidate labels.

    Args:
        images: pictures.
        labels: the candidates, one a line or separated by commas.
        templates: `plain`, `openai-7`, `openai-80`, each also with `-zh`; or templates, one a line,
            with {} where the label goes.
        reject: whether to add "none of these".
        model: a name from `/models`.

    Returns:
        `Classification.to_dict()`.
    """
    try:
        encoder = loaded(model, "en")
        chosen = templates if templates in TEMPLATE_SETS else lines(templates)
        return classify(encoder, images, labels, chosen, reject=reject).to_dict()
    except MMDemoError as error:
        raise gr.Error(str(error), print_exception=False) from error
