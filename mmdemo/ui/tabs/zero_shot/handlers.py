"""What happens in the tab "Zero-shot": plain functions from values to values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from html import escape
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import gradio as gr
import numpy as np
from numpy.typing import NDArray

from mmdemo.background.measure import start
from mmdemo.background.sets import background
from mmdemo.errors import MMDemoError, ModelError, StoppedError
from mmdemo.examples import FOLDER, wrong_sets
from mmdemo.images import Picture, open_image, shown_by_browsers
from mmdemo.models.encoder import Encoder
from mmdemo.models.find import find_offered
from mmdemo.models.lane import Priority
from mmdemo.settings import limits
from mmdemo.tasks.classify import (
    Classification,
    ClassifyRequest,
    check_count,
    prompt_effect,
)
from mmdemo.tasks.prompts import (
    LABEL_SETS,
    TEMPLATE_SETS,
    checked_prompts,
    split_labels,
    split_templates,
    twin,
)
from mmdemo.ui.parts.inputs import Upload
from mmdemo.ui.parts.markup import error_message, note_sentence, unforeseen
from mmdemo.ui.parts.markup import message as message_box
from mmdemo.ui.parts.models.handlers import loaded, watching
from mmdemo.ui.parts.pictures import Thumbnails, check
from mmdemo.ui.parts.signals import again
from mmdemo.ui.serving.journal import note_error
from mmdemo.ui.strings import CODES, FIRST, Language, say
from mmdemo.ui.tabs.zero_shot import views
from mmdemo.ui.tabs.zero_shot.views import Pictures
from mmdemo.work import Current, Follow, Follower, Work

OWN = "own"
"""The choice of templates that stands for what the visitor wrote."""

EXAMPLES = (
    "bee.jpg",
    "bridge.jpg",
    "dogs.jpg",
    "citrus.jpg",
    "heart-red.png",
    "logo-tidemark.png",
)
"""What the tab opens with, below `assets/examples`."""

COLUMNS = 3
"""How many models stand side by side at most."""

_LOOK_EVERY = 0.3  # seconds

# From how many on progress is shown: what takes about a second.
_SHOWN_FROM = {"prompts": 200, "pictures": 12, "matching": 2}


@dataclass(frozen=True)
class Memory:
    """What is known of the pictures on the page, so that another label costs them nothing.

    Attributes:
        thumbnails: of them.
        vectors: float32 [dim], by model and upload. An upload's path is named after its content.
    """

    thumbnails: Thumbnails = field(default_factory=Thumbnails)
    vectors: dict[tuple[str, Upload], NDArray[np.float32]] = field(default_factory=dict)

    def of(self, models: Sequence[str], uploads: Sequence[Upload]) -> Memory:
        """Return a copy without what is gone from the page."""
        return Memory(
            self.thumbnails.only(uploads),
            {
                (model, upload): vector
                for (model, upload), vector in self.vectors.items()
                if model in models and upload in uploads
            },
        )


@dataclass(frozen=True)
class Shown:
    """What is on the screen, for what is asked of it later: another picture, a file, the code.

    Attributes:
        models: those that have results, as they were chosen.
        results: one a model.
        pictures: as the page shows them.
        image: whose prompts are drawn.
        language: that it is shown in.
        memory: of the pictures.
    """

    models: tuple[str, ...] = ()
    results: tuple[Classification, ...] = ()
    pictures: Pictures = field(default_factory=Pictures)
    image: int = 0
    language: Language = FIRST
    memory: Memory = field(default_factory=Memory)


@dataclass(frozen=True)
class Task:
    """What one run is about.

    Attributes:
        uploads: the pictures.
        labels: checked.
        templates: checked.
        reject: whether to add "none of these".
        memory: is filled in while the run goes on.
        progress: told how far it is, and about what: the encoder's name, and the step.
        picked: whose prompts to draw.
        repeated: whether a label was given more than once.
        language: of the page.
    """

    uploads: list[Upload]
    labels: tuple[str, ...]
    templates: tuple[str, ...]
    reject: bool
    memory: Memory
    progress: Follow
    picked: int | None
    repeated: bool
    language: Language


class Outcome(NamedTuple):
    """What came of one model: a result, or the reason why there is none."""

    name: str
    encoder: Encoder | None
    result: Classification | None
    reason: str


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


Outputs: TypeAlias = tuple[Any, ...]
_NOTHING = Column(*[gr.skip()] * len(Column._fields))


def run(
    uploads: list[Upload],
    labels: str | None,
    templates: str | None,
    reject: bool,
    picked: int | None,
    language: Language,
    before: Shown,
    current: Current[Outputs],
    *models: str,
) -> Iterator[Outputs]:
    """Classify what is on the page and yield what to show: how far it is, then the results.

    Bad input changes nothing but the message, so that nothing on the page is lost.
    """
    try:
        if not uploads:
            yield _only_message(say(language, "zs_need_pictures"), language, before, picked)
            return
        checked, prompts = checked_prompts(labels or "", split_templates(templates or ""))
        check_count(len(uploads), len(checked))
        chosen = tuple(dict.fromkeys(filter(None, models)))

        def work(progress: Follow) -> Outputs:
            task = Task(
                uploads=uploads,
                labels=checked,
                templates=prompts,
                reject=reject,
                memory=before.memory.of(chosen, uploads),
                progress=progress,
                picked=picked,
                repeated=_repeated(labels or "", checked),
                language=language,
            )
            return _outputs([_outcome(name, task) for name in chosen], task)

        job = current.start(work, (tuple(uploads), labels, templates, *models))
        yield from _followed(job, before, language)
    except StoppedError as error:
        note_error(error)
        said = message_box(say(language, "zs_stopped"), stale=True)
        yield _all(_ended()._replace(message=said))
    except MMDemoError as error:
        yield _only_message(escape(error_message(error, language)), language, before, picked)
    except Exception as error:
        yield _only_message(unforeseen(error, language), language, before, picked)


def _repeated(typed: str, checked: Sequence[str]) -> bool:
    return len([one for one in split_labels(typed) if one.strip()]) > len(checked)


def _followed(job: Work[Outputs], before: Shown, language: Language) -> Iterator[Outputs]:
    """Yield how far a job is, where it has many steps, then its results.

    It ends too where nobody listens any more.
    """
    try:
        while not job.wait(_LOOK_EVERY) and not job.stopping:
            yield _so_far(job, before, language)
        if job.replaced:
            yield _all(_ended())
            return
        if job.stopping:  # its next step may take a while, but nobody need wait for that
            raise StoppedError
        yield job.result()
    finally:
        job.stop()


def _so_far(job: Work[Outputs], before: Shown, language: Language) -> Outputs:
    """Return what is shown of a job that is not done: nothing, where it has few steps."""
    told = job.progress
    if told is None:
        return _all(Results())
    name, _, stage = told.stage.rpartition(": ")
    if told.total < _SHOWN_FROM[stage]:
        return _all(Results())
    bar = views.progress(name, stage, int(told.done), int(told.total), language)
    return _all(
        Results(
            message=_waiting(before, language),
            progress=gr.update(value=bar, visible=True),
            stop=gr.update(visible=True),
        )
    )


def _ended() -> Results:
    hidden = gr.update(visible=False)
    return Results(progress=hidden, stop=hidden)


def _outcome(name: str, task: Task) -> Outcome:
    """Classify with one model. A model that cannot do it does not stop the others."""
    try:
        encoder = loaded(name, task.language, Priority.PAGE, task.progress.unwanted)
        return Outcome(name, encoder, _classify(name, encoder, task), "")
    except ModelError as error:
        return Outcome(name, None, None, error_message(error, task.language))


def _classify(name: str, encoder: Encoder, task: Task) -> Classification:
    """Embed what is new; "none of these" waits for the background set, so that nobody has to."""

    class Named(Follower):
        """Tells whose work it is."""

        def unwanted(self) -> bool:
            return task.progress.unwanted()

    start(encoder)
    pictures = tuple(_looked_at(upload, task) for upload in task.uploads)
    follow = Named(
        lambda done, total, stage: task.progress(done, total, f"{encoder.name}: {stage}")
    )
    request = ClassifyRequest(pictures, task.labels, task.templates, task.reject, name)
    return request.run(encoder, follow, wait=False)


def _outputs(outcomes: Sequence[Outcome], task: Task) -> Outputs:
    """Return everything that a finished run shows.

    Raises:
        ModelError: no model has a result.
    """
    language = task.language
    done = [one for one in outcomes if one.result is not None]
    results = tuple(one.result for one in done if one.result is not None)
    if not results:
        raise ModelError(outcomes[0].reason if outcomes else say(language, "zs_need_model"))
    names = tuple(Path(one).name if isinstance(one, str) else "" for one in task.uploads)
    thumbnails = task.memory.thumbnails
    pictures = Pictures(names, tuple(thumbnails.of(one, Picture(one)) for one in task.uploads))
    shown = Shown(
        tuple(one.name for one in done),
        results,
        pictures,
        image=min(task.picked or 0, len(names) - 1),
        language=language,
        memory=task.memory,
    )
    sentences = _sentences(outcomes, language)
    sentences += [say(language, "zs_duplicates")] if task.repeated else []
    sentences = [*wrong_label_sets(language, task.labels), *sentences]
    timers = [watching(one.encoder) for one in done if one.encoder is not None]
    top = _ended()._replace(
        message=message_box("</p><p>".join(sentences), stale=False),
        matrix_heading=gr.update(visible=len(names) > 1),
        prompts_heading=_prompts_heading(shown.image, language),
        pick=gr.update(
            choices=_picture_choices(pictures), value=shown.image, visible=len(names) > 1
        ),
        python=views.python_text(shown.models, results, pictures),
        timer=next((one for one in timers if one != gr.skip()), gr.skip()),
        shown=shown,
    )
    return _all(top, [_column(one, shown) for one in outcomes], hide=True)


def _column(outcome: Outcome, shown: Shown) -> Column:
    """Return what one model's places show: its results, or why there are none."""
    pictures, language = shown.pictures, shown.language
    title = _title(outcome.name)
    if outcome.encoder is None or outcome.result is None:
        reason = views.failed(title, outcome.reason)
        return Column(**_places(True), heading=reason, cards="", matrix="", prompts=None)
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
    """Return what a reader should know; of which model, where there are several."""
    found: list[str] = []
    for name, encoder, result, _ in outcomes:
        if encoder is not None and result is not None:
            own = [note_sentence(note, language) for note in result.notes]
            own += filter(None, [views.awaited(encoder, language)])
            whose = f"{escape(_title(name))}: " if len(outcomes) > 1 else ""
            found += [f"{whose}{sentence}" for sentence in own]
    return found


def _all(top: Results, columns: Sequence[Column] = (), *, hide: bool = False) -> Outputs:
    """Return the values of all outputs; columns without a model stay as they are, or go."""
    rest = _NOTHING._replace(**_places(False)) if hide else _NOTHING
    padded = [*columns, *[rest] * (COLUMNS - len(columns))]
    return (*top, *(value for column in padded for value in column))


def _places(visible: bool) -> dict[str, Any]:
    return dict.fromkeys(("ranked", "tabled", "drawn"), gr.update(visible=visible))


def _only_message(text: str, language: Language, before: Shown, picked: int | None) -> Outputs:
    """Say what is wrong; the results stay, and are marked as of another input."""
    top = _ended()._replace(message=message_box(f"{text} {say(language, 'stale')}", stale=True))
    if before.results and before.language != language:
        image = min(picked or 0, len(before.pictures.names) - 1)
        shown = replace(before, language=language, image=image)
        heading = _prompts_heading(shown.image, language)
        return _all(top._replace(prompts_heading=heading, shown=shown), [*_columns_again(shown)])
    return _all(top)


def _columns_again(shown: Shown) -> Iterator[Column]:
    """Yield what is on the screen in another language; a model that has gone stays as it was."""
    for name, result in zip(shown.models, shown.results, strict=True):
        with suppress(MMDemoError):
            yield _column(Outcome(name, loaded(name, shown.language), result, ""), shown)
            continue
        yield _NOTHING


def awaited(shown: Shown, language: Language) -> list[Any]:
    """Return the message that stands in the place of the first results; once there are, nothing."""
    return [gr.skip() if shown.results else message_box(say(language, "zs_loading"))]


def stop(current: Current[Outputs]) -> None:
    """Stop what runs; whoever follows it says so on the page."""
    current.stop()


def supersede(
    uploads: list[Upload],
    labels: str | None,
    templates: str | None,
    shown: Shown,
    language: Language,
    current: Current[Outputs],
    *models: str,
) -> tuple[str, Any, str]:
    """Have what is on the page classified.

    What is running is ended if it is of an earlier input, so that the new one need not wait.

    Returns:
        The signal for `run`; a message for the case that it takes long, since what is on the screen
        is of an earlier input from now on; and which set the templates are.
    """
    if not current.runs((tuple(uploads), labels, templates, *models)):
        current.stop(replaced=True)
    return again(), _waiting(shown, language), template_choice(templates or "")


def _waiting(shown: Shown, language: Language) -> Any:
    """Return what is said while the results on the screen are of an earlier input."""
    return message_box(say(language, "zs_waiting"), late=True) if shown.results else gr.skip()


def pick(shown: Shown, picked: int | None, language: Language) -> tuple[Any, ...]:
    """Show what the prompts did to another picture: the heading, then each model's figure."""
    if not shown.results or picked is None:
        return (gr.skip(),) * (1 + COLUMNS)
    try:
        figures = [
            views.prompts(prompt_effect(loaded(name, language), result, picked), language)
            for name, result in zip(shown.models, shown.results, strict=True)
        ]
    except MMDemoError:  # the model has gone from this machine
        return (gr.skip(),) * (1 + COLUMNS)
    skipped = [gr.skip()] * (COLUMNS - len(figures))
    return (_prompts_heading(picked, language), *figures, *skipped)


def _prompts_heading(image: int, language: Language) -> str:
    return (
        f"<h2>{say(language, 'zs_prompts_heading')}</h2>"
        f"<p>{say(language, 'zs_prompts_caption', number=image + 1)}</p>"
    )


def _picture_choices(pictures: Pictures) -> list[tuple[str, int]]:
    return [(f"{index + 1} · {name}", index) for index, name in enumerate(pictures.names)]


def _looked_at(upload: Upload, task: Task) -> Picture:
    """Return a picture that is new to the page, and keep its thumbnail; an error says which it is.

    Raises:
        MMDemoError: it cannot be read.
    """
    picture = Picture(upload)
    number = task.uploads.index(upload) + 1
    check([picture], [say(task.language, "zs_picture", number=number)], task.language)
    task.memory.thumbnails.of(upload, picture)
    return picture


def renditions(uploads: list[Upload]) -> Any:
    """Replace pictures that browsers cannot show, such as TIFF, by the same pixels as PNG."""
    if len(uploads) > limits().pictures:
        return gr.skip()
    shown = [shown_by_browsers(upload) for upload in uploads]
    if all(shown):
        return gr.skip()
    try:
        return [
            upload if as_it_is else open_image(upload)
            for upload, as_it_is in zip(uploads, shown, strict=True)
        ]
    except MMDemoError:
        return gr.skip()  # the classification that the upload starts says what is wrong


# Filling the inputs.


def example_pictures() -> list[str]:
    """Return the pictures that the tab opens with."""
    return [str(FOLDER / name) for name in EXAMPLES]


def label_text(name: str, language: Language) -> str:
    """Return a ready label set as it stands in the field."""
    return "\n".join(LABEL_SETS[name].labels(language))


def fill_pictures(paths: list[str]) -> tuple[list[str], str]:
    """Return pictures for the gallery, and have them looked at: it does not always say so."""
    return paths, again()


def wrong_label_sets(language: Language, labels: Sequence[str] | None = None) -> list[str]:
    """Say of the ready label sets that the embedded model gets wrong what that teaches.

    Args:
        language: of the sentences.
        labels: if given, only of the set that holds just these, in any language.
    """
    return [
        say(language, f"labels_wrong_{name}")
        for name, one in LABEL_SETS.items()
        if name in wrong_sets() and labels in (None, *one.by_language.values())
    ]


def template_text(choice: str) -> Any:
    """Return the templates of a set as they stand in the field; one's own stay."""
    if choice not in TEMPLATE_SETS:
        return gr.skip()
    return "\n".join(TEMPLATE_SETS[choice].templates)


def template_choice(text: str) -> str:
    """Return the set that the field holds, or that it is the visitor's own."""
    held = tuple(line.strip() for line in text.splitlines() if line.strip())
    return next((one.name for one in TEMPLATE_SETS.values() if one.templates == held), OWN)


def template_choices(language: Language) -> list[tuple[str, str]]:
    """Return the sets of templates as label and name."""
    return [(say(language, f"templates_{name}"), name) for name in (*TEMPLATE_SETS, OWN)]


def translated(labels: str, templates: str, language: Language) -> list[Any]:
    """Return labels, templates and the choice of them in the page's language, if they are ours."""
    named = [name for name in LABEL_SETS for one in CODES if label_text(name, one) == labels]
    wanted = label_text(named[0], language) if named else labels
    choice = template_choice(templates)
    known = twin(choice, language) if choice in TEMPLATE_SETS else choice
    return [
        wanted if wanted != labels else gr.skip(),
        template_text(known) if known != choice else gr.skip(),
        gr.update(choices=template_choices(language), value=known),
    ]


# Taking results away.


def as_json(shown: Shown, _language: Language) -> str:
    """Return what is on the screen as JSON."""
    return views.json_text(shown.results, shown.pictures)


def as_csv(shown: Shown, language: Language) -> str:
    """Return what is on the screen as CSV."""
    return views.csv_text(shown.results, shown.pictures, language)
