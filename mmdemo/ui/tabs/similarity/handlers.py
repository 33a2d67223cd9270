"""What happens in the tab "Similarity": plain functions from values to values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache
from html import escape
from typing import Any, NamedTuple

import gradio as gr

from mmdemo.background.sets import background, start
from mmdemo.encoders.spec import ModelSpec
from mmdemo.errors import MMDemoError, ModelError, TextError
from mmdemo.examples import Example, examples
from mmdemo.images import Picture, as_sources, shown_by_browsers, thumbnail_uri
from mmdemo.models import pool
from mmdemo.models.encoder import Encoder
from mmdemo.models.find import find_offered
from mmdemo.models.lane import Priority
from mmdemo.tasks.compare import Comparison, compare
from mmdemo.ui.parts.inputs import Upload
from mmdemo.ui.parts.markup import error_message, in_field, unforeseen
from mmdemo.ui.parts.markup import message as message_box
from mmdemo.ui.parts.models.handlers import loaded, watching
from mmdemo.ui.parts.pictures import Thumbnails, check
from mmdemo.ui.parts.signals import OPENED, again
from mmdemo.ui.strings import FIRST, Language, say
from mmdemo.ui.tabs.similarity import course, views
from mmdemo.work import Job, Progress

_MOMENT = 0.4  # seconds: what takes longer says what it waits for


class Results(NamedTuple):
    """What a comparison changes on the page, in the order of the output components."""

    message: Any = gr.skip()
    at_pictures: Any = gr.skip()
    bars: Any = gr.skip()
    readings: Any = gr.skip()
    matrix1: Any = gr.skip()
    matrix1_heading: Any = gr.skip()
    column2: Any = gr.skip()
    matrix2: Any = gr.skip()
    matrix2_heading: Any = gr.skip()
    details: Any = gr.skip()
    timer: Any = gr.skip()
    beside: Any = gr.skip()
    shown: Any = gr.skip()


@dataclass(frozen=True, eq=False)
class Shown:
    """What is on the screen, for another language while the input has nothing new to show.

    Attributes:
        results: one comparison a text; none before the first.
        pictures: what was compared.
        thumbnails: of these.
        model: as it was chosen.
        language: that they are shown in.
    """

    results: tuple[Comparison, ...] = ()
    pictures: tuple[Upload, ...] = ()
    thumbnails: Thumbnails = field(default_factory=Thumbnails)
    model: str = ""
    language: Language = FIRST


@dataclass
class Asked:
    """What one run is about, and how far it has come.

    Attributes:
        uploads: the two pictures, as far as they are there.
        texts: the two texts, likewise.
        model: as it was chosen.
        language: of the page.
        before: what is on the screen.
        spec: of the model, once its turn has come.
        encoder: the model, once it was there.
    """

    uploads: tuple[Upload | None, Upload | None]
    texts: tuple[str | None, str | None]
    model: str
    language: Language
    before: Shown
    spec: ModelSpec | None = None
    encoder: Encoder | None = None


class _AtPictureError(MMDemoError):
    """What is wrong with a picture, in the page's language: to be said where the pictures are."""


class Beside(NamedTuple):
    """What another model's column shows of a comparison, in the order of the output components."""

    column: Any
    heading: Any
    bars: Any
    ranks: Any


def run(
    image1: Upload | None,
    image2: Upload | None,
    text: str | None,
    other: str | None,
    model: str,
    language: Language,
    before: Shown,
    *others: str,
) -> Iterator[Results]:
    """Compare what is on the page and yield what to show.

    What takes longer than a moment says first what it waits for. Bad input changes nothing but the
    message, so that nothing on the page is lost. The models that stand beside the first are asked
    where there are any.
    """
    asked = Asked((image1, image2), (text, other), model, language, before)
    job = Job(lambda progress: _compared(asked, progress))
    try:
        yield from _meanwhile(job, asked)
        shown, lessons, encoder = job.result()
        yield _drawn(shown)._replace(
            message=message_box("</p><p>".join([*lessons, *views.notes(shown.results, language)])),
            at_pictures="",
            timer=watching(encoder),
            beside=again() if any(others) else gr.skip(),
        )
    except _AtPictureError as error:
        yield _only_message(escape(str(error)), before, language, at_pictures=True)
    except MMDemoError as error:
        yield _only_message(escape(error_message(error, language)), before, language)
    except Exception as error:
        yield _only_message(unforeseen(error, language), before, language)
    finally:
        job.stop()


def _meanwhile(job: Job[Any], asked: Asked) -> Iterator[Results]:
    """Wait for a comparison; yield what it waits for, each time that this is something else."""
    said, first = "", not asked.before.results
    while not job.wait(_MOMENT):
        awaited = _awaits(asked.spec, asked.encoder, asked.language)
        if first and not (asked.encoder and asked.encoder.waiting):
            continue  # the page opens with a message that says as much
        if awaited != said:
            yield Results(message=message_box(awaited, late=not first, again=bool(said)))
            said = awaited


def _awaits(spec: ModelSpec | None, encoder: Encoder | None, language: Language) -> str:
    """Say what a comparison waits for: its model, or those who ask that one too."""
    if spec is not None and not pool.loaded(spec):
        return say(language, "awaits_model", title=escape(spec.title))
    if encoder is not None and encoder.waiting:
        return say(language, "awaits_turn", count=encoder.waiting)
    return say(language, "awaits_result")


def _compared(asked: Asked, progress: Progress) -> tuple[Shown, list[str], Encoder]:
    """Compare; return what to show, what the example teaches, and the model.

    Raises:
        MMDemoError: something is missing, or cannot be read.
    """
    language = asked.language
    uploads, pictures = _pictures(asked)
    if not (asked.texts[0] or "").strip():
        raise MMDemoError(say(language, "need_text"))
    thumbnails = asked.before.thumbnails.only(uploads)
    for upload, picture in zip(uploads, pictures, strict=True):
        thumbnails.of(upload, picture)
    asked.spec = find_offered(asked.model)
    asked.encoder = encoder = loaded(asked.model, language, Priority.TYPING, progress.unwanted)
    start(encoder)
    results: list[Comparison] = []
    for text, key in zip(asked.texts, ("text_label", "other_label"), strict=True):
        if text and text.strip():
            results.append(_compare(encoder, pictures, text, key, language))
    shown = Shown(tuple(results), uploads, thumbnails, asked.model, language)
    return shown, _lessons(pictures, asked.texts, language), encoder


def _pictures(asked: Asked) -> tuple[tuple[Upload, ...], tuple[Picture, ...]]:
    """Return both pictures; an error names the field it is in."""
    fields = [say(asked.language, f"image{number}_label") for number in (1, 2)]
    for upload, name in zip(asked.uploads, fields, strict=True):
        if upload is None:
            raise _AtPictureError(say(asked.language, "need_image", which=name))
    uploads = tuple(upload for upload in asked.uploads if upload is not None)
    pictures = tuple(map(Picture, uploads))
    try:
        check(pictures, fields, asked.language)
    except MMDemoError as error:
        raise _AtPictureError(str(error)) from error
    return uploads, pictures


def _drawn(shown: Shown) -> Results:
    """Return everything that shows comparisons, in their language."""
    results, language = shown.results, shown.language
    first, second = (shown.thumbnails.made[upload] for upload in shown.pictures)
    known = results[0].background
    lowest = min(float(result.matrix.min()) for result in results)
    drawn = Results(
        bars=views.bars(known, results, language),
        readings=views.readings(
            results,
            language,
            course.with_another_model(
                [result.text for result in results], find_offered(shown.model), language
            ),
        ),
        matrix1=views.heatmap(known, results[0].matrix, (first, second), language, lowest),
        matrix1_heading=gr.update(
            value=views.matrix_heading(results[0], language), visible=len(results) > 1
        ),
        column2=gr.update(visible=len(results) > 1),
        details=views.details(results, language),
        shown=shown,
    )
    if len(results) == 1:
        return drawn
    return drawn._replace(
        matrix2=views.heatmap(known, results[1].matrix, (first, second), language, lowest),
        matrix2_heading=views.matrix_heading(results[1], language),
    )


def beside(
    image1: Upload | None,
    image2: Upload | None,
    text: str | None,
    other: str | None,
    language: Language,
    *models: str,
) -> tuple[Any, ...]:
    """Make the same comparison with other models, each on its own scale; hide those not chosen.

    What is wrong with the input is said once, by `run`.

    Returns:
        An update of the timer that waits for background sets, then each model's `Beside`.
    """
    texts = [given for given in (text, other) if given and given.strip()]
    pictures = None
    if any(models) and texts and image1 is not None and image2 is not None:
        with suppress(MMDemoError):
            pictures = Picture(image1), Picture(image2)
            as_sources(*pictures)
    timer: Any = gr.skip()
    columns: list[Beside] = []
    for model in models:
        columns.append(_beside(pictures, texts, model, language))
        with suppress(MMDemoError):
            if model and (update := watching(find_offered(model))) != gr.skip():
                timer = update
    return (timer, *(value for column in columns for value in column))


def _beside(
    pictures: tuple[Picture, Picture] | None,
    texts: Sequence[str],
    model: str,
    language: Language,
) -> Beside:
    """Return what one model's column shows."""
    if not model:
        return Beside(gr.update(visible=False), *[gr.skip()] * 3)
    if pictures is None:
        return Beside(*[gr.skip()] * 4)
    try:
        encoder = loaded(model, language)
        start(encoder)
        results = [compare(encoder, *pictures, text) for text in texts]
    except ModelError as error:  # it is not here yet, or cannot do this
        heading = views.beside_heading(model, None, error_message(error, language), language)
        return Beside(gr.update(visible=True), heading, None, "")
    except MMDemoError:
        return Beside(*[gr.skip()] * 4)
    except Exception as error:
        heading = views.beside_heading(model, None, unforeseen(error, language), language)
        return Beside(gr.update(visible=True), heading, None, "")
    return Beside(
        gr.update(visible=True),
        views.beside_heading(find_offered(model).title, results, "", language),
        views.bars(results[0].background, results, language),
        views.beside_ranks(results, language),
    )


def awaited(model: str, shown: Shown, language: Language) -> list[Any]:
    """Return what stands in the place of the first results: message, bars, readings and matrix.

    They are the same as the results, without numbers. Once there are results, nothing.
    """
    if shown.results:
        return [gr.skip()] * 4
    spec, opening = find_offered(model), examples()[0]
    known, text = background(spec), opening.text(_readable(model, language))
    return [
        message_box(say(language, "loading")),
        views.bars(known, [], language),
        views.awaited_readings(
            known,
            language,
            text=text,
            fusion=spec.fusion,
            calibrated=spec.source.startswith("package:"),  # what ships is
            course=course.with_another_model([text], spec, language),
        ),
        views.heatmap(known, None, _opening_thumbnails(), language),
    ]


@cache
def _opening_thumbnails() -> tuple[str, str]:
    first, second = (thumbnail_uri(Picture(path).open()) for path in examples()[0].paths)
    return first, second


def awaited_again(model: str, shown: Shown, language: Language) -> list[Any]:
    """Return the same for another language; nothing for a model that cannot be had."""
    with suppress(MMDemoError):
        return awaited(model, shown, language)
    return [gr.skip()] * 4


def rendition(uploaded: Upload | None) -> Any:
    """Replace a picture that browsers cannot show, such as a TIFF, by the same pixels as PNG."""
    if uploaded is None or shown_by_browsers(uploaded):
        return gr.skip()
    try:
        return Picture(uploaded).open()
    except MMDemoError:
        return gr.skip()  # the comparison that the upload starts says what is wrong


def example_samples(model: str, language: Language) -> list[list[str]]:
    """Return the ready-made comparisons as rows: two paths, a text, and what it teaches."""
    readable = _readable(model, language)
    return [
        [*map(str, row.paths), row.text(readable), escape(_lesson(row, language))]
        for row in examples()
    ]


def _readable(model: str, language: Language) -> Language:
    """Return the page's language where the model reads it, else the first.

    For a model that cannot be had, the page's: the choice of the model says what is wrong.
    """
    with suppress(MMDemoError):
        if not {language, "multilingual"} & set(find_offered(model).languages):
            return FIRST
    return language


def show_example(index: int, model: str, language: Language) -> list[str]:
    """Return the pictures and the text of a ready-made comparison."""
    return example_samples(model, language)[index][:3]


def list_examples(model: str, language: Language) -> list[Any]:
    """Return an update that shows the ready-made comparisons in another language."""
    return [gr.Dataset(samples=example_samples(model, language))]


def spoken(text: str | None, model: str, language: Language) -> list[Any]:
    """Return a ready-made text in the page's language, and that this tab is open.

    What the visitor typed stays as it is.
    """
    readable = _readable(model, language)
    for row in examples():
        if text in row.texts.values() and text != row.text(readable):
            return [row.text(readable), OPENED]
    return [gr.skip(), OPENED]


def _lesson(example: Example, language: Language) -> str:
    """Return what a ready-made comparison teaches; of one that `mini` gets wrong, that it does."""
    lesson = example.lesson(language)
    if not example.wrong:
        return lesson
    return say(language, "in_field", field=say(language, "example_wrong"), message=lesson)


def _lessons(
    pictures: Sequence[Picture], texts: Sequence[str | None], language: Language
) -> list[str]:
    """Say of a ready-made comparison that `mini` gets wrong that it does; swapped, it stays one."""
    given = {(text or "").strip() for text in texts}
    return [
        escape(_lesson(example, language))
        for example in examples()
        if example.wrong
        and given.intersection(example.texts.values())
        and _digests(pictures) == _digests(map(Picture, example.paths))
    ]


def _digests(pictures: Iterable[Picture]) -> list[bytes]:
    return sorted(picture.digest for picture in pictures)


def suit_model(model: str, language: Language) -> list[Any]:
    """Show what depends on the model: the examples' language, and the section on the course."""
    return [*list_examples(model, language), course.show(model)]


def _compare(
    encoder: Encoder, pictures: Sequence[Picture], text: str, key: str, language: Language
) -> Comparison:
    """Compare; an error of the text names the field it is in."""
    first, second = pictures
    try:
        return compare(encoder, first, second, text)
    except TextError as error:
        raise in_field(error, say(language, key), language) from error


def _only_message(
    text: str, before: Shown, language: Language, *, at_pictures: bool = False
) -> Results:
    """Return a message where its cause is; the results stay, and are marked as of another input."""
    kept = Results()
    if before.results and before.language != language:
        kept = _drawn(replace(before, language=language))
    box = message_box(f"{text} {say(language, 'stale')}", stale=True)
    message, beside_it = ("", box) if at_pictures else (box, "")
    return kept._replace(message=message, at_pictures=beside_it)
