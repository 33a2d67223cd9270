"""The web endpoints: what they take is checked at the door, and what they do is in the library.

Each is a button that nobody sees: gradio's API page takes parameters and their types from the
button's inputs. Those inputs are the doors. gradio itself checks no types of a request that was
written by hand.
"""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable, Iterator
from typing import Any, cast

import gradio as gr

from mmdemo.background.measure import start
from mmdemo.errors import BusyError, MMDemoError, checked_signs
from mmdemo.examples import examples
from mmdemo.images import Picture
from mmdemo.models.find import model_rows
from mmdemo.models.lane import Priority
from mmdemo.settings import limits
from mmdemo.tasks.classify import ClassifyRequest
from mmdemo.tasks.compare import compare
from mmdemo.tasks.prompts import TEMPLATE_SETS, split_templates
from mmdemo.tasks.rank import RankRequest
from mmdemo.types import REPRESENTATIONS
from mmdemo.ui.parts import pictures
from mmdemo.ui.parts.inputs import FilesInput, PictureInput, Upload, template_of
from mmdemo.ui.parts.models import handlers as model_handlers
from mmdemo.ui.parts.models.handlers import Needs, loaded
from mmdemo.ui.serving.events import API, API_LONG
from mmdemo.ui.serving.journal import note_error
from mmdemo.ui.serving.line import unheard
from mmdemo.ui.strings import say
from mmdemo.ui.tabs.similarity import address as similarity_tab
from mmdemo.ui.tabs.text import address as text_tab
from mmdemo.ui.tabs.text.handlers import split_typed, weights_of
from mmdemo.ui.tabs.zero_shot import address as zero_shot_tab
from mmdemo.work import Follow, Function, Work

log = logging.getLogger(__name__)

_LOOK_EVERY = 0.3  # seconds
_LARGEST_WEIGHT = 1e6  # a sum of larger ones might be infinite


# Doors: what a component makes of a request, before the function is called.


def _refused(component: gr.Textbox | gr.Dropdown | gr.Number | gr.Checkbox, what: str) -> gr.Error:
    return gr.Error(f"{component.label}: {what} was expected.", print_exception=False)


def _text(component: gr.Textbox, payload: object) -> str:
    if not isinstance(payload, str):
        raise _refused(component, "a text")
    return _signs(payload)


def _model(component: gr.Dropdown, payload: object) -> str | None:
    if payload is None:
        return None
    if not isinstance(payload, str):
        raise _refused(component, "a name from /models, or null,")
    # Not gradio's own check of the list: the endpoint says in our words what is accepted.
    return _signs(payload)


def _weight(component: gr.Number, payload: object) -> float:
    if isinstance(payload, bool) or not isinstance(payload, int | float):
        raise _refused(component, "a number")
    if not abs(payload) <= _LARGEST_WEIGHT:  # said so, it holds for NaN too
        raise _refused(component, f"a number of at most {_LARGEST_WEIGHT:,.0f}")
    return float(payload)


def _switch(component: gr.Checkbox, payload: object) -> bool:
    if not isinstance(payload, bool):
        raise _refused(component, "true or false")
    return payload


def _signs(text: str) -> str:
    try:
        return checked_signs(text)
    except MMDemoError as error:
        raise gr.Error(str(error), print_exception=False) from error


TextDoor = cast("type[gr.Textbox]", template_of(gr.Textbox, "TextDoor", _text))
ModelDoor = cast("type[gr.Dropdown]", template_of(gr.Dropdown, "ModelDoor", _model))
WeightDoor = cast("type[gr.Number]", template_of(gr.Number, "WeightDoor", _weight))
SwitchDoor = cast("type[gr.Checkbox]", template_of(gr.Checkbox, "SwitchDoor", _switch))


# Answers: what goes wrong is told in our own sentences, or not at all.


def _told(error: Exception, name: str) -> gr.Error:
    """Return what a caller is told of an error: our own sentence, nothing of any other."""
    note_error(error)
    if isinstance(error, MMDemoError):
        return gr.Error(str(error), print_exception=False)
    log.error("/%s failed", name, exc_info=error)
    return gr.Error(
        "Something went wrong here, and the log of the server says what. Try again.",
        print_exception=False,
    )


def _short(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def answered(*given: Any) -> Any:
        try:
            return function(*given)
        except gr.Error:
            raise
        except Exception as error:
            raise _told(error, function.__name__) from error

    return answered


def _long(function: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
    """Let an endpoint end at its next step when its caller has gone.

    gradio closes a generator whose caller has closed the connection; of a plain function it would
    wait for the end. What is yielded before the answer says how far it is.
    """

    @functools.wraps(function)
    def answered(*given: Any) -> Iterator[Any]:
        try:
            yield from function(*given)
        except gr.Error:
            raise
        except Exception as error:
            raise _told(error, function.__name__) from error

    return answered


def _so_far(job: Work[Any]) -> dict[str, Any]:
    told = job.progress
    if told is None:
        return {"stage": "waiting", "share": 0.0}
    return {"stage": told.stage, "share": round(told.share, 3)}


def _followed(work: Function[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Do what takes long beside, so that it is known at any time whether anybody still waits.

    A step of it may wait for a model, or for its turn at one, and nothing can be yielded there.

    Yields:
        How far it is; at last what it comes to.

    Raises:
        BusyError: it has taken too long.
    """
    most = limits().seconds
    job, end = Work(work), time.monotonic() + most
    try:
        while not job.wait(_LOOK_EVERY):
            if time.monotonic() > end:
                raise BusyError(
                    f"This took longer than the {most:,} seconds that are given to it, and was "
                    "ended. Ask for less at once.",
                    "seconds_over",
                    limit=f"{most:,}",
                )
            yield _so_far(job)
        yield job.result()
    finally:
        job.stop()


# The endpoints. What stands in their docstrings is on the API page.


@_short
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
    if image1 is None or image2 is None:
        raise gr.Error("Two pictures are needed: image1 and image2.", print_exception=False)
    first, second = Picture(image1), Picture(image2)
    pictures.check([first, second], [say("en", "image1_label"), say("en", "image2_label")])
    return compare(loaded(model, "en", Priority.CALL, unheard()), first, second, text).to_dict()


@_short
def models_endpoint() -> list[dict[str, Any]]:
    """List the models: what each can do, its size, languages, and whether it is on this machine.

    One that the settings name and that cannot be had has its name and an `error`.
    """
    return model_rows()


@_long
def classify_endpoint(
    images: list[Upload], labels: str, templates: str, reject: bool, model: str | None
) -> Iterator[dict[str, Any]]:
    """Score pictures against candidate labels.

    Args:
        images: pictures.
        labels: the candidates, one a line or separated by commas.
        templates: `plain`, `openai-7`, `openai-80`, each also with `-zh`; or templates, one a line,
            with {} where the label goes.
        reject: whether to add "none of these". It needs the model's background set, which is
            measured at first use: the first answer then takes as long as that.
        model: a name from `/models`, or another model that is on this machine.

    Yields:
        How far it is; at last `Classification.to_dict()`.
    """
    chosen = templates if templates in TEMPLATE_SETS else split_templates(templates)
    request = ClassifyRequest.of(images, labels, chosen, reject=reject, model=model)

    def work(follow: Follow) -> dict[str, Any]:
        encoder = loaded(model, "en", Priority.ENDPOINT, follow.unwanted)
        start(encoder)
        return request.run(encoder, follow).to_dict()

    yield from _followed(work)


@_long
def rank_endpoint(
    query: str,
    passages: str,
    model: str | None,
    dense: float,
    sparse: float,
    multi_vector: float,
) -> Iterator[dict[str, Any]]:
    """Rank passages for a query: dense, sparse and multi-vector scores, and their weighted sum.

    Args:
        query: what is looked for.
        passages: parted by empty lines, or one a line without those.
        model: a name from `/models`.
        dense: weight of the cosine of the dense vectors.
        sparse: weight of the lexical score.
        multi_vector: weight of MaxSim.

    Yields:
        How far it is; at last `Ranking.to_dict()`: the passages in the order of the weighted sum.
    """
    texts = tuple(split_typed(passages, whole=False))
    weights = weights_of(dense, sparse, multi_vector)
    request = RankRequest(query, texts, tuple(weights.values()), model)

    def work(follow: Follow) -> dict[str, Any]:
        encoder = loaded(model, "en", Priority.ENDPOINT, follow.unwanted)
        return request.run(encoder, follow).to_dict(request.by_name)

    yield from _followed(work)


# Wiring.


def build() -> None:
    """Add the endpoints that a model on offer can serve."""
    hidden, answer = gr.Button(visible=False), gr.JSON(visible=False, label="answer")
    for needs, add in (
        (similarity_tab.NEEDS, _add_compare),
        (zero_shot_tab.NEEDS, _add_classify),
        (text_tab.NEEDS, _add_rank),
    ):
        if model_handlers.suitable(needs):
            add(hidden, answer, _model_door(needs))
    hidden.click(models_endpoint, None, answer, api_name="models", **API)


def _model_door(needs: Needs) -> gr.Dropdown:
    return ModelDoor(
        model_handlers.choices("en", needs),
        value=model_handlers.first_choice(needs),
        allow_custom_value=model_handlers.anything_goes(),
        visible=False,
        label="model",
    )


def _add_compare(hidden: gr.Button, answer: gr.JSON, model: gr.Dropdown) -> None:
    opening = examples()[0]
    first, second = (
        PictureInput(str(path), type="filepath", visible=False, label=name)
        for path, name in zip(opening.paths, ("image1", "image2"), strict=True)
    )
    text = TextDoor(opening.text("en"), visible=False, label="text")
    given = [first, second, text, model]
    hidden.click(compare_endpoint, given, answer, api_name="compare", **API)


def _add_classify(hidden: gr.Button, answer: gr.JSON, model: gr.Dropdown) -> None:
    given = [
        FilesInput(visible=False, file_count="multiple", label="images"),
        TextDoor(visible=False, label="labels"),
        TextDoor("openai-7", visible=False, label="templates"),
        SwitchDoor(False, visible=False, label="reject"),
        model,
    ]
    hidden.click(classify_endpoint, given, answer, api_name="classify", **API_LONG)


def _add_rank(hidden: gr.Button, answer: gr.JSON, model: gr.Dropdown) -> None:
    given = [
        TextDoor(visible=False, label="query"),
        TextDoor(visible=False, label="passages"),
        model,
        *(WeightDoor(1, visible=False, label=name) for name in REPRESENTATIONS),
    ]
    hidden.click(rank_endpoint, given, answer, api_name="rank", **API_LONG)
