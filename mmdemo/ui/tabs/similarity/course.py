"""The course's numbers: computed again with its model, or named where another does the exercise."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import gradio as gr
from markupsafe import Markup

from mmdemo.encoders.spec import ModelSpec
from mmdemo.errors import MMDemoError
from mmdemo.examples import examples, samples
from mmdemo.images import Picture
from mmdemo.models.catalogue import MODELS
from mmdemo.models.files import on_this_machine
from mmdemo.models.find import find_offered, offered
from mmdemo.tasks.published import COURSE, COURSE_PICTURES, COURSE_TEXT, TOLERANCE, reproduce
from mmdemo.ui.parts.inputs import Upload
from mmdemo.ui.parts.localise import Localiser
from mmdemo.ui.parts.markup import caption, error_message, joined, message, unforeseen
from mmdemo.ui.parts.models.handlers import loaded
from mmdemo.ui.parts.models.views import model_size
from mmdemo.ui.serving.events import QUIET, SHORT
from mmdemo.ui.strings import Language, say
from mmdemo.ui.tabs.similarity.sentences import sentence

# The sample texts, which are of the course's exercise, and its text in the page's languages.
_EXERCISE = {text.casefold() for one in (*samples(), examples()[0]) for text in one.texts.values()}

_KEY = "JSON.stringify([one?.path ?? null, two?.path ?? null, model, language])"
_REMEMBER = f"(one, two, model, language) => {{ window.mmCourse = {_KEY}; }}"
_CLEAR = f"(one, two, model, language, table) => window.mmCourse === {_KEY} ? table : ''"


def build(
    localiser: Localiser, language: gr.Radio, model: gr.Dropdown, pictures: list[gr.Image]
) -> gr.Column:
    """Lay out the section and wire it; it is to be in sight for the course's model alone."""
    with gr.Column(visible=fits(find_offered(str(model.value))), elem_id="course") as section:
        heading = gr.HTML(elem_classes="mm-heading", padding=False)
        localiser.add_html(heading, Markup("<h2>{course_heading}</h2><p>{course_what}</p>"))
        button = gr.Button(size="sm")
        localiser.add(button, value="course_button")
        answer = gr.HTML(elem_id="course-table", padding=False)
    given = [*pictures, model, language]
    button.click(None, given, None, js=_REMEMBER, **QUIET)
    button.click(run, given, answer, **QUIET, **SHORT)
    # A table of other pictures, another model or in another language would mislead. Cleared in the
    # browser: by way of the server, it could come after a new table. Only where something is
    # another than it was at the click: a busy page tells of an upload long after it was shown.
    changes = [component.change for component in given]
    gr.on(changes, None, [*given, answer], answer, js=_CLEAR, **QUIET)
    return section


def show(model: str) -> Any:
    """Return an update that shows the section for the course's model, and for no other."""
    with suppress(MMDemoError):  # a model that cannot be had is not the course's
        return gr.update(visible=fits(find_offered(model)))
    return gr.update(visible=False)


def fits(spec: ModelSpec) -> bool:
    """Say whether a model is the course's: Visualized-BGE base-en, from the hub or a directory."""
    course = MODELS[COURSE[0].model]
    return (spec.architecture, spec.languages) == (course.architecture, course.languages)


def with_another_model(texts: Sequence[str], spec: ModelSpec, language: Language) -> Markup:
    """Say what the course got and how to get its model, where another does the course's exercise.

    Args:
        texts: those that are compared.
        spec: the model.
        language: of the sentences.

    Returns:
        Nothing for other texts, and for the course's model.
    """
    if fits(spec) or not any(text.strip().casefold() in _EXERCISE for text in texts):
        return Markup()
    its = MODELS[COURSE[0].model]
    choice = min(filter(fits, offered()), key=lambda one: not on_this_machine(one), default=None)
    if choice is None:
        key = "course_elsewhere"
    else:
        key = "course_choose" if on_this_machine(choice) else "course_download"
    said = joined(
        language,
        sentence(
            language,
            "course_other",
            title=its.title,
            text=COURSE_TEXT,
            values=" / ".join(f"{pair.value:.2f}" for pair in COURSE),
        ),
        sentence(
            language,
            key,
            choice=(choice or its).title,
            size=model_size(its),
            command=Markup("<code>python -m mmdemo download {}</code>").format(its.name),
        ),
    )
    return Markup('<p class="mm-course-other">{}</p>').format(said)


def run(image1: Upload | None, image2: Upload | None, model: str, language: Language) -> Markup:
    """Compute the course's four similarities with these pictures; return a table, or why not."""
    try:
        if image1 is None or image2 is None:
            return message(say(language, "course_pictures"))
        encoder = loaded(model)
        given = (Picture(image, unchanged=True) for image in (image1, image2))
        pictures = dict(zip(COURSE_PICTURES, given, strict=True))
        values = reproduce(encoder, COURSE, pictures)
    except MMDemoError as error:
        return message(error_message(error, language))
    except Exception as error:
        return message(unforeseen(error, language))
    return table(values, language)


def table(values: Sequence[float], language: Language) -> Markup:
    """Return the published values beside ours, with the difference and whether they are the same.

    Args:
        values: ours, in the order of `COURSE`.
        language: of the headings.
    """
    heads = ("pair", "published", "here", "difference")
    head = Markup().join(
        Markup("<th>{}</th>").format(say(language, f"course_{name}")) for name in heads
    )
    rows = Markup().join(
        Markup(
            '<tr data-pair="{name}" data-value="{here:.6f}"><th><code>{name}</code> {what}</th>'
            "<td>{published:.4f}</td><td>{here:.4f}</td><td>{verdict}</td></tr>"
        ).format(
            name=pair.name,
            what=say(language, f"kind_{pair.name}"),
            published=pair.value,
            here=value,
            verdict=_verdict(value - pair.value),
        )
        for pair, value in zip(COURSE, values, strict=True)
    )
    note = say(language, "course_note", text=COURSE_TEXT, tolerance=TOLERANCE)
    return Markup('<div class="mm-table mm-course"><table><tr>{}</tr>{}</table></div>{}').format(
        head, rows, caption(note)
    )


def _verdict(difference: float) -> Markup:
    """Return a difference with its sign, and a tick or a cross."""
    same = abs(difference) <= TOLERANCE
    sign = "+" if difference >= 0 else "−"
    mark = Markup('<span class="yes">✓</span>') if same else Markup('<span class="no">✗</span>')
    return Markup("{}{:.4f} {}").format(sign, abs(difference), mark)
