"""What happens in the tab "Zero-shot": functions from what it is given to what changes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr

from mmdemo.background.measure import start
from mmdemo.background.sets import background
from mmdemo.errors import MMDemoError, ModelError, StoppedError
from mmdemo.images import Picture, shown_by_browsers
from mmdemo.models.encoder import Encoder
from mmdemo.models.find import find_offered
from mmdemo.models.lane import Priority
from mmdemo.settings import limits
from mmdemo.tasks.classify import Classification, ClassifyRequest, prompt_effect
from mmdemo.tasks.prompts import split_labels, split_templates
from mmdemo.ui.parts import long_work
from mmdemo.ui.parts.inputs import Upload
from mmdemo.ui.parts.markup import error_message, note_sentence, unforeseen
from mmdemo.ui.parts.markup import message as message_box
from mmdemo.ui.parts.models.handlers import loaded, watching
from mmdemo.ui.parts.pictures import Thumbnails, check
from mmdemo.ui.parts.signals import again
from mmdemo.ui.parts.wiring import unchanged, values_of
from mmdemo.ui.serving.journal import note_error
from mmdemo.ui.strings import FIRST, Language, say
from mmdemo.ui.tabs.zero_shot import address, views
from mmdemo.ui.tabs.zero_shot.address import COLUMNS
from mmdemo.ui.tabs.zero_shot.ready_made import template_choice, wrong_label_sets
from mmdemo.ui.tabs.zero_shot.views import Pictures
from mmdemo.work import Current, Follow


@dataclass(frozen=True, eq=False)
class Shown:
    """What is on the screen, for what is asked of it later: another picture, a file, the code.

    Attributes:
        models: those that have results, as they were chosen.
        results: one a model.
        pictures: as the page shows them.
        image: whose prompts are drawn.
        language: that it is shown in.
        thumbnails: of the pictures.
    """

    models: tuple[str, ...] = ()
    results: tuple[Classification, ...] = ()
    pictures: Pictures = field(default_factory=Pictures)
    image: int = 0
    language: Language = FIRST
    thumbnails: Thumbnails = field(default_factory=Thumbnails)


@dataclass(frozen=True, eq=False)
class Given:
    """What the tab is given.

    Attributes:
        pictures: what was uploaded; None for nothing.
        labels: as they were typed.
        templates: likewise.
        reject: whether to add "none of these".
        picked: whose prompts to draw.
        models: as they were chosen; empty where none is.
        language: of the page.
        shown: what is on the screen.
        current: the visitor's work in this tab.
    """

    pictures: Sequence[Upload] | None
    labels: str | None
    templates: str | None
    reject: bool
    picked: int | None
    models: tuple[str, ...]
    language: Language
    shown: Shown
    current: Current[list[Outcome]]

    @property
    def chosen(self) -> tuple[str, ...]:
        """Return the models that are chosen, each once."""
        return tuple(dict.fromkeys(filter(None, self.models)))

    def request(self) -> ClassifyRequest:
        """Return what is to be classified, with the first model.

        Raises:
            MMDemoError: labels or templates are missing or too many, or pictures too many.
        """
        return ClassifyRequest.of(
            self.pictures or [],
            self.labels or "",
            split_templates(self.templates or ""),
            reject=self.reject,
            model=next(iter(self.chosen), None),
        )


class Outcome(NamedTuple):
    """What came of one model: a result, or the error why there is none."""

    name: str
    encoder: Encoder | None
    result: Classification | None
    error: ModelError | None


@dataclass(frozen=True)
class Column:
    """What a classification changes for one model, in the order of its components.

    `ranked`, `tabled` and `drawn` are the model's places in the three sections.
    """

    ranked: Any = unchanged()
    heading: Any = unchanged()
    cards: Any = unchanged()
    tabled: Any = unchanged()
    matrix: Any = unchanged()
    drawn: Any = unchanged()
    prompts: Any = unchanged()


@dataclass(frozen=True)
class Results:
    """What a classification changes on the page."""

    message: Any = unchanged()
    bar: Any = unchanged()
    matrix_heading: Any = unchanged()
    prompts_heading: Any = unchanged()
    pick: Any = unchanged()
    python: Any = unchanged()
    timer: Any = unchanged()
    address: Any = unchanged()
    shown: Any = unchanged()
    columns: Any = unchanged()


@dataclass(frozen=True)
class Superseded:
    """What changes before a classification: `due` has it made."""

    due: Any = unchanged()
    message: Any = unchanged()
    template_set: Any = unchanged()


@dataclass(frozen=True)
class Prompts:
    """What shows the prompts of another picture."""

    heading: Any = unchanged()
    figures: Any = unchanged()


def supersede(given: Given) -> Superseded:
    """Have what is on the page classified.

    What is running is ended if it is of an earlier input, so that the new one need not wait; and
    since what is on the screen is of an earlier input from now on, the page says so where it takes
    long.
    """
    if not given.current.runs(_about(given)):
        given.current.stop(replaced=True)
    waiting = _waiting(given.shown, given.language)
    return Superseded(again(), waiting, template_choice(given.templates or ""))


def _about(given: Given) -> tuple[Any, ...]:
    """Return what a classification depends on; how it is shown does not count."""
    pictures = tuple(given.pictures or ())
    return pictures, given.labels, given.templates, given.reject, given.chosen


def run(given: Given) -> Iterator[Results]:
    """Classify what is on the page and yield what to show: how far it is, then the results.

    Bad input changes nothing but the message, so that nothing on the page is lost.
    """
    language = given.language
    try:
        if not given.pictures:
            yield _only_message(say(language, "zs_need_pictures"), given)
            return
        request = given.request()
        thumbnails = given.shown.thumbnails.only(given.pictures)
        turn: list[str] = []  # those that have begun
        work = given.current.start(
            lambda follow: [
                _outcome(name, request, given, thumbnails, follow)
                for name in _noted(given.chosen, turn)
            ],
            _about(given),
        )
        for running in long_work.followed(work):
            bar = long_work.bar(running.progress, language, _whose(given, turn))
            yield Results(_waiting(given.shown, language), bar)
        if not work.replaced:  # else what takes its place is shown
            yield _outputs(work.result(), request, given, thumbnails)
    except StoppedError as error:
        note_error(error)
        yield Results(message_box(say(language, "zs_stopped"), stale=True), bar="")
    except MMDemoError as error:
        yield _only_message(error_message(error, language), given)
    except Exception as error:
        yield _only_message(unforeseen(error, language), given)


def _noted(models: Sequence[str], turn: list[str]) -> Iterator[str]:
    """Yield models one after the other, each noted when its turn comes."""
    for name in models:
        turn.append(name)
        yield name


def _whose(given: Given, turn: Sequence[str]) -> str:
    """Return the title of the model whose turn it is, where there are several."""
    return _title(turn[-1]) if turn and len(given.chosen) > 1 else ""


def _outcome(
    name: str, request: ClassifyRequest, given: Given, thumbnails: Thumbnails, follow: Follow
) -> Outcome:
    """Classify with one model. A model that cannot do it does not stop the others.

    "None of these" waits for the background set, so that nobody has to.
    """
    try:
        encoder = loaded(name, Priority.PAGE, follow.unwanted)
        start(encoder)
        pictures = tuple(
            _looked_at(given, number, thumbnails) for number in range(len(request.images))
        )
        asked = replace(request, images=pictures, model=name)
        return Outcome(name, encoder, asked.run(encoder, follow, wait=False), None)
    except ModelError as error:
        return Outcome(name, None, None, error)


def _looked_at(given: Given, number: int, thumbnails: Thumbnails) -> Picture:
    """Return a picture, and keep its thumbnail; an error says which it is.

    Raises:
        MMDemoError: it cannot be read.
    """
    upload = (given.pictures or [])[number]
    picture = Picture(upload)
    check([picture], [say(given.language, "zs_picture", number=number + 1)])
    thumbnails.of(upload, picture)
    return picture


def _outputs(
    outcomes: Sequence[Outcome], request: ClassifyRequest, given: Given, thumbnails: Thumbnails
) -> Results:
    """Return everything that a finished run shows.

    Raises:
        ModelError: no model has a result.
    """
    language, uploads = given.language, given.pictures or []
    done = [one for one in outcomes if one.result is not None]
    results = tuple(one.result for one in done if one.result is not None)
    if not results:
        error = outcomes[0].error if outcomes else None
        raise error or ModelError("Choose a model.", "need_model")
    names = tuple(Path(one).name if isinstance(one, str) else "" for one in uploads)
    pictures = Pictures(names, tuple(thumbnails.of(one, Picture(one)) for one in uploads))
    shown = Shown(
        tuple(one.name for one in done),
        results,
        pictures,
        image=min(given.picked or 0, len(names) - 1),
        language=language,
        thumbnails=thumbnails,
    )
    sentences = _sentences(outcomes, language)
    sentences += (
        [say(language, "zs_duplicates")] if _repeated(given.labels or "", request.labels) else []
    )
    sentences = [*wrong_label_sets(language, request.labels), *sentences]
    timers = [watching(one.encoder) for one in done if one.encoder is not None]
    return Results(
        message=message_box(sentences),
        bar="",
        matrix_heading=gr.update(visible=len(names) > 1),
        prompts_heading=views.prompts_heading(shown.image, language),
        pick=gr.update(
            choices=_picture_choices(pictures), value=shown.image, visible=len(names) > 1
        ),
        python=views.python_text(shown.models, results, pictures),
        timer=next((one for one in timers if one != gr.skip()), gr.skip()),
        address=address.query(request, given.chosen[1:], language),
        shown=shown,
        columns=_columns([_column(one, shown) for one in outcomes], hide=True),
    )


def _column(outcome: Outcome, shown: Shown) -> Column:
    """Return what one model's places show: its results, or why there are none."""
    pictures, language = shown.pictures, shown.language
    title = _title(outcome.name)
    if outcome.encoder is None or outcome.result is None:
        reason = error_message(outcome.error, language) if outcome.error else ""
        heading = views.failed(title, reason)
        return Column(**_places(True), heading=heading, cards="", matrix="", prompts=None)
    encoder, result = outcome.encoder, outcome.result
    return Column(
        **_places(True),
        heading=views.heading(title, result, background(encoder), language),
        cards=views.cards(result, pictures, language),
        matrix=views.matrix(result, pictures, language),
        prompts=views.prompts(prompt_effect(encoder, result, shown.image), language),
    )


def _title(name: str) -> str:
    """Return a model's title; of one that cannot be had, what the visitor typed."""
    with suppress(MMDemoError):
        return find_offered(name).title
    return name


def _sentences(outcomes: Sequence[Outcome], language: Language) -> list[str]:
    """Return what a reader should know; of which model, where there are several.

    What is to be known of a picture is the same for all models.
    """
    found: list[str] = []
    of_pictures: list[str] = []
    for name, encoder, result, _ in outcomes:
        if encoder is not None and result is not None:
            of_pictures += [note_sentence(note, language) for note in result.notes if note.places]
            own = [note_sentence(note, language) for note in result.notes if not note.places]
            own += filter(None, [views.awaited(encoder, language)])
            whose = f"{_title(name)}: " if len(outcomes) > 1 else ""
            found += [f"{whose}{sentence}" for sentence in own]
    return [*found, *dict.fromkeys(of_pictures)]


def _repeated(typed: str, checked: Sequence[str]) -> bool:
    return len([one for one in split_labels(typed) if one.strip()]) > len(checked)


def _columns(columns: Sequence[Column], *, hide: bool = False) -> list[Any]:
    """Return the values of all columns; those without a model stay as they are, or go."""
    rest = Column(**_places(False)) if hide else Column()
    padded = [*columns, *[rest] * (COLUMNS - len(columns))]
    return [value for column in padded for value in values_of(column)]


def _places(visible: bool) -> dict[str, Any]:
    return dict.fromkeys(("ranked", "tabled", "drawn"), gr.update(visible=visible))


def _only_message(text: str, given: Given) -> Results:
    """Say what is wrong; the results stay, and are marked as of another input."""
    language, before = given.language, given.shown
    said = message_box(f"{text} {say(language, 'stale')}", stale=True)
    top = Results(said, bar="")
    if not before.results or before.language == language:
        return top
    image = min(given.picked or 0, len(before.pictures.names) - 1)
    shown = replace(before, language=language, image=image)
    heading = views.prompts_heading(shown.image, language)
    columns = _columns([*_columns_again(shown)])
    return replace(top, prompts_heading=heading, shown=shown, columns=columns)


def _columns_again(shown: Shown) -> Iterator[Column]:
    """Yield what is on the screen in another language; a model that has gone stays as it was."""
    for name, result in zip(shown.models, shown.results, strict=True):
        with suppress(MMDemoError):
            yield _column(Outcome(name, loaded(name), result, None), shown)
            continue
        yield Column()


def awaited(shown: Shown, language: Language) -> list[Any]:
    """Return the message that stands in the place of the first results; once there are, nothing."""
    return [gr.skip() if shown.results else message_box(say(language, "zs_loading"))]


def _waiting(shown: Shown, language: Language) -> Any:
    """Return what is said while the results on the screen are of an earlier input."""
    return message_box(say(language, "zs_waiting"), late=True) if shown.results else gr.skip()


def pick(given: Given) -> Prompts:
    """Show what the prompts did to another picture: the heading, then each model's figure."""
    shown, picked, language = given.shown, given.picked, given.language
    if not shown.results or picked is None:
        return Prompts()
    try:
        figures = [
            views.prompts(prompt_effect(loaded(name), result, picked), given.language)
            for name, result in zip(shown.models, shown.results, strict=True)
        ]
    except MMDemoError:  # the model has gone from this machine
        return Prompts()
    skipped = [gr.skip()] * (COLUMNS - len(figures))
    return Prompts(views.prompts_heading(picked, language), [*figures, *skipped])


def _picture_choices(pictures: Pictures) -> list[tuple[str, int]]:
    return [(f"{index + 1} · {name}", index) for index, name in enumerate(pictures.names)]


def renditions(uploads: list[Upload]) -> Any:
    """Replace pictures that browsers cannot show, such as TIFF, by the same pixels as PNG."""
    if len(uploads) > limits().pictures:
        return gr.skip()
    shown = [shown_by_browsers(upload) for upload in uploads]
    if all(shown):
        return gr.skip()
    try:
        return [
            upload if as_it_is else Picture(upload).rendition()
            for upload, as_it_is in zip(uploads, shown, strict=True)
        ]
    except MMDemoError:
        return gr.skip()  # the classification that the upload starts says what is wrong


# Taking results away.


def as_json(shown: Shown, _language: Language) -> str:
    """Return what is on the screen as JSON."""
    return views.json_text(shown.results, shown.pictures)


def as_csv(shown: Shown, language: Language) -> str:
    """Return what is on the screen as CSV."""
    return views.csv_text(shown.results, shown.pictures, language)
