"""What happens in the tab "Similarity": functions from what it is given to what changes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import gradio as gr

from mmdemo.background.measure import start
from mmdemo.background.sets import background
from mmdemo.encoders.spec import ModelSpec
from mmdemo.errors import MMDemoError, ModelError, PictureError, TextError
from mmdemo.examples import examples
from mmdemo.images import Picture, as_sources, shown_by_browsers, thumbnail_uri
from mmdemo.models import pool
from mmdemo.models.encoder import Encoder
from mmdemo.models.find import find_offered
from mmdemo.models.items import checked_text
from mmdemo.models.lane import Priority
from mmdemo.tasks.compare import CompareRequest, Comparison
from mmdemo.ui.parts.inputs import Upload
from mmdemo.ui.parts.markup import error_message, unforeseen
from mmdemo.ui.parts.markup import message as message_box
from mmdemo.ui.parts.models.handlers import loaded, watching
from mmdemo.ui.parts.pictures import Thumbnails, check
from mmdemo.ui.parts.signals import again
from mmdemo.ui.parts.wiring import unchanged, values_of
from mmdemo.ui.strings import FIRST, Language, say
from mmdemo.ui.tabs.similarity import address, course, views
from mmdemo.ui.tabs.similarity.ready_made import lessons, list_examples, readable_language
from mmdemo.work import Follow, Work

_MOMENT = 0.4  # seconds: what takes longer says what it waits for


@dataclass(frozen=True, eq=False)
class Shown:
    """What is on the screen, for another language while the input has nothing new to show.

    Attributes:
        request: what was compared; None before the first comparison.
        uploads: its pictures.
        results: one a text.
        thumbnails: of the pictures.
        language: that they are shown in.
    """

    request: CompareRequest | None = None
    uploads: tuple[Upload, ...] = ()
    results: tuple[Comparison, ...] = ()
    thumbnails: Thumbnails = field(default_factory=Thumbnails)
    language: Language = FIRST


@dataclass(frozen=True, eq=False)
class Given:
    """What the tab is given.

    Attributes:
        image1: the first picture; None where there is none.
        image2: likewise.
        text: what the pictures are compared with.
        other: a second text, or nothing.
        model: as it was chosen.
        beside: the models that stand beside it; empty where none is chosen.
        language: of the page.
        shown: what is on the screen.
    """

    image1: Upload | None
    image2: Upload | None
    text: str | None
    other: str | None
    model: str
    beside: tuple[str, ...]
    language: Language
    shown: Shown

    @property
    def texts(self) -> tuple[str, ...]:
        """Return the texts that are there."""
        return tuple(text for text in (self.text, self.other) if text and text.strip())

    def request(self) -> CompareRequest:
        """Return what is to be compared.

        Raises:
            PictureError: a picture is missing.
            TextError: the text is.
        """
        pictures: list[Upload] = []
        for upload, key in ((self.image1, "image1_label"), (self.image2, "image2_label")):
            if upload is None:
                name = say(self.language, key)
                raise PictureError(
                    f"Add {name}: upload, paste, use the webcam, or pick an example.",
                    "need_image",
                    which=name,
                )
            pictures.append(upload)
        if not (self.text or "").strip():
            raise TextError("Type a text, or pick one below the field.", "need_text")
        return CompareRequest(pictures[0], pictures[1], self.texts, self.model)


@dataclass(frozen=True)
class Results:
    """What a comparison changes on the page."""

    message: Any = unchanged()
    at_pictures: Any = unchanged()
    bars: Any = unchanged()
    readings: Any = unchanged()
    matrix1: Any = unchanged()
    matrix1_heading: Any = unchanged()
    column2: Any = unchanged()
    matrix2: Any = unchanged()
    matrix2_heading: Any = unchanged()
    details: Any = unchanged()
    timer: Any = unchanged()
    beside: Any = unchanged()
    address: Any = unchanged()
    shown: Any = unchanged()


@dataclass(frozen=True)
class Column:
    """What another model's column shows of a comparison."""

    column: Any = unchanged()
    heading: Any = unchanged()
    bars: Any = unchanged()
    ranks: Any = unchanged()


@dataclass(frozen=True)
class Columns:
    """What the other models' columns show, and the timer that waits for background sets."""

    timer: Any = unchanged()
    columns: Any = unchanged()


@dataclass
class _Waiting:
    """What a comparison waits for.

    Attributes:
        spec: of the model, once its turn has come.
        encoder: the model, once it was there.
    """

    spec: ModelSpec | None = None
    encoder: Encoder | None = None

    def sentence(self, language: Language) -> str:
        """Say it: its model, or those who ask that one too."""
        if self.spec is not None and not pool.loaded(self.spec):
            return say(language, "awaits_model", title=self.spec.title)
        if self.encoder is not None and self.others:
            return say(language, "awaits_turn", count=self.encoder.waiting)
        return say(language, "awaits_result")

    @property
    def others(self) -> bool:
        """Return whether the model works for others while this waits."""
        return self.encoder is not None and bool(self.encoder.running and self.encoder.waiting)


def run(given: Given) -> Iterator[Results]:
    """Compare what is on the page and yield what to show.

    What takes longer than a moment says first what it waits for. Bad input changes nothing but the
    message, so that nothing on the page is lost. The models that stand beside the first are asked
    where there are any.
    """
    language, waiting = given.language, _Waiting()
    work = Work(lambda follow: _compared(given, waiting, follow), name="comparison")
    try:
        yield from _meanwhile(work, waiting, given)
        shown, taught, encoder = work.result()
        sentences = [*taught, *views.notes(shown.results, language)]
        yield replace(
            _drawn(shown),
            message=message_box(sentences),
            at_pictures="",
            timer=watching(encoder),
            beside=again() if any(given.beside) else gr.skip(),
            address=address.query(given.request(), given.beside, language),
        )
    except MMDemoError as error:
        said = error_message(error, language)
        yield _only_message(said, given, at_pictures=isinstance(error, PictureError))
    except Exception as error:
        yield _only_message(unforeseen(error, language), given)
    finally:
        work.stop()


def _meanwhile(work: Work[Any], waiting: _Waiting, given: Given) -> Iterator[Results]:
    """Wait for a comparison; yield what it waits for, each time that this is something else."""
    said, first = "", not given.shown.results
    while not work.wait(_MOMENT):
        awaited = waiting.sentence(given.language)
        if first and not waiting.others:
            continue  # the page opens with a message that says as much
        if awaited != said:
            yield Results(message=message_box(awaited, late=not first, again=bool(said)))
            said = awaited


def _compared(given: Given, waiting: _Waiting, follow: Follow) -> tuple[Shown, list[str], Encoder]:
    """Compare; return what to show, what the example teaches, and the model.

    Raises:
        MMDemoError: something cannot be read.
    """
    language, request = given.language, given.request()
    uploads = [one for one in (given.image1, given.image2) if one is not None]
    pictures = _pictures(uploads, language)
    _check_texts(given)
    thumbnails = given.shown.thumbnails.only(uploads)
    for upload, picture in zip(uploads, pictures, strict=True):
        thumbnails.of(upload, picture)
    waiting.spec = find_offered(given.model)
    waiting.encoder = encoder = loaded(given.model, Priority.TYPING, follow.unwanted)
    start(encoder)
    opened = replace(request, image1=pictures[0], image2=pictures[1])
    shown = Shown(request, tuple(uploads), opened.run(encoder), thumbnails, language)
    return shown, lessons(pictures, request.texts, language), encoder


def _pictures(uploads: Sequence[Upload], language: Language) -> list[Picture]:
    """Return both pictures; an error names the field it is in."""
    pictures = list(map(Picture, uploads))
    check(pictures, [say(language, f"image{number}_label") for number in (1, 2)])
    return pictures


def _check_texts(given: Given) -> None:
    """Refuse a text that is too long; the error names its field.

    Raises:
        MMDemoError: one is.
    """
    for text, key in ((given.text, "text_label"), (given.other, "other_label")):
        try:
            if text and text.strip():
                checked_text(text)
        except TextError as error:
            name = say(given.language, key)
            raise error.within(name, "field", name=name) from error


def _drawn(shown: Shown) -> Results:
    """Return everything that shows comparisons, in their language."""
    results, language, request = shown.results, shown.language, shown.request
    if request is None:
        return Results()
    first, second = (shown.thumbnails.made[one] for one in shown.uploads)
    known = results[0].background
    lowest = min(float(result.matrix.min()) for result in results)
    drawn = Results(
        bars=views.bars(known, results, language),
        readings=views.readings(
            results,
            language,
            course.with_another_model(
                [result.text for result in results], find_offered(request.model), language
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
    return replace(
        drawn,
        matrix2=views.heatmap(known, results[1].matrix, (first, second), language, lowest),
        matrix2_heading=views.matrix_heading(results[1], language),
    )


def beside(given: Given) -> Columns:
    """Make the same comparison with other models, each on its own scale; hide those not chosen.

    What is wrong with the input is said once, by `run`.
    """
    request: CompareRequest | None = None
    if any(given.beside) and given.texts:
        with suppress(MMDemoError):
            asked = given.request()
            first, second = as_sources(asked.image1, asked.image2)
            request = replace(asked, image1=first, image2=second)
    timer: Any = gr.skip()
    columns: list[Any] = []
    for model in given.beside:
        columns += values_of(_column(request, model, given.language))
        with suppress(MMDemoError):
            if model and (update := watching(find_offered(model))) != gr.skip():
                timer = update
    return Columns(timer, columns)


def _column(request: CompareRequest | None, model: str, language: Language) -> Column:
    """Return what one model's column shows."""
    if not model:
        return Column(gr.update(visible=False))
    if request is None:
        return Column()
    try:
        encoder = loaded(model)
        start(encoder)
        results = request.run(encoder)
    except ModelError as error:  # it is not here yet, or cannot do this
        heading = views.beside_heading(model, None, error_message(error, language), language)
        return Column(gr.update(visible=True), heading, None, "")
    except MMDemoError:
        return Column()
    except Exception as error:
        heading = views.beside_heading(model, None, unforeseen(error, language), language)
        return Column(gr.update(visible=True), heading, None, "")
    return Column(
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
    known, text = background(spec), opening.text(readable_language(model, language))
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
        return Picture(uploaded).rendition()
    except MMDemoError:
        return gr.skip()  # the comparison that the upload starts says what is wrong


def suit_model(model: str, language: Language) -> list[Any]:
    """Show what depends on the model: the examples' language, and the section on the course."""
    return [*list_examples(model, language), course.show(model)]


def _only_message(text: str, given: Given, *, at_pictures: bool = False) -> Results:
    """Return a message where its cause is; the results stay, and are marked as of another input."""
    kept, before = Results(), given.shown
    if before.results and before.language != given.language:
        kept = _drawn(replace(before, language=given.language))
    box = message_box(f"{text} {say(given.language, 'stale')}", stale=True)
    message, beside_it = ("", box) if at_pictures else (box, "")
    return replace(kept, message=message, at_pictures=beside_it)
