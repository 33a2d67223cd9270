"""What happens when a visitor picks a model: what it can do, and its way to this machine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import gradio as gr

from mmdemo.background.measure import measuring
from mmdemo.background.sets import Weights
from mmdemo.encoders.spec import ModelSpec
from mmdemo.errors import DownloadError, MMDemoError, ModelError
from mmdemo.models.encoder import Encoder
from mmdemo.models.files import on_this_machine
from mmdemo.models.find import find_offered, offered, unavailable
from mmdemo.models.lane import Priority, Stop
from mmdemo.models.pool import load_encoder
from mmdemo.settings import hub_ids_accepted, offered_models, paths_accepted
from mmdemo.types import REPRESENTATIONS, Needs
from mmdemo.ui.parts import long_work
from mmdemo.ui.parts.markup import error_message
from mmdemo.ui.parts.models import downloads
from mmdemo.ui.parts.models import views as model_views
from mmdemo.ui.parts.signals import again
from mmdemo.ui.serving.journal import note_encoder, note_model
from mmdemo.ui.strings import Language, say


class Shown(NamedTuple):
    """What the choice of a model changes on the page, in the order of the output components."""

    model: Any
    facts: Any
    download: Any
    button: Any
    back: Any
    timer: Any
    settled: Any


def choose(model: str, language: Language, *, needs: Needs, optional: bool = False) -> Shown:
    """Show a model: what it can do, and what its download costs where it is not on this machine.

    What the visitor typed instead of choosing from the list may be an id of the hub, which is asked
    about it, or a directory. Nothing heavy is fetched: that takes a press of the button.
    """
    try:
        if model:
            find_offered(model, ask=True)
    except MMDemoError as error:
        return _refused(model, error_message(error, language), language, needs, optional)
    return show(model, language, needs=needs, optional=optional)


def press(model: str, language: Language, *, needs: Needs, optional: bool = False) -> Shown:
    """Stop a model's download where it runs, else start it."""
    try:
        spec = find_offered(model, ask=True)
    except MMDemoError as error:
        return _refused(model, error_message(error, language), language, needs, optional)
    running = downloads.latest(spec)
    if running is not None and not running.ended:
        running.stop()
    elif not on_this_machine(spec):
        try:
            downloads.start(spec)
        except DownloadError as error:
            refusal = model_views.refusal(error_message(error, language))
            said = gr.update(value=refusal, visible=True)
            return show(model, language, needs=needs, optional=optional)._replace(download=said)
    return show(model, language, needs=needs, optional=optional)


def back(_model: str, language: Language, *, needs: Needs, optional: bool = False) -> Shown:
    """Go back to the model that the page began with, or to none. A running download goes on."""
    first = "" if optional else first_choice(needs)
    shown = show(first, language, needs=needs, optional=optional)
    return shown._replace(model=shown.model | {"value": first})


def follow(model: str, language: Language, *, needs: Needs, optional: bool = False) -> Shown:
    """Show how far a model's download is; called while it runs."""
    shown = show(model, language, needs=needs, optional=optional)
    if shown.settled == settled(model, here=True):
        return shown
    return shown._replace(model=gr.skip(), facts=gr.skip())  # they are as they were


def show(model: str, language: Language, *, needs: Needs, optional: bool = False) -> Shown:
    """Return everything that depends on which model is chosen, and on where its weights are."""
    listed = gr.update(choices=choices(language, needs, optional))
    hidden = gr.update(value="", visible=False)
    if not model:
        idle = gr.update(active=False)
        return Shown(listed, hidden, hidden, hidden, hidden, idle, settled("", here=False))
    try:
        spec = find_offered(model)
    except MMDemoError as error:
        return _refused(model, error_message(error, language), language, needs, optional)
    if unable := _unable(spec, needs, language):
        return _refused(model, unable, language, needs, optional)
    facts = gr.update(value=model_views.facts(spec, language), visible=True)
    if on_this_machine(spec):
        idle = gr.update(active=False)
        return Shown(listed, facts, hidden, hidden, hidden, idle, settled(model, here=True))
    download = downloads.latest(spec)
    running = download is not None and not download.ended
    return Shown(
        model=listed,
        facts=facts,
        download=gr.update(value=model_views.download(spec, download, language), visible=True),
        button=gr.update(
            value=say(language, "download_stop")
            if running
            else say(language, "download_start", size=model_views.model_size(spec)),
            visible=True,
        ),
        back=_way_back(model, language, needs, optional),
        timer=gr.update(active=running),
        settled=settled(model, here=False),
    )


def settled(model: str, *, here: bool) -> str:
    """Return what a choice has come to, for the signal that others hang on.

    Args:
        model: the chosen model's name, or what was typed; empty where none is chosen.
        here: whether it can be used: it exists, suits this part of the page, and is on this
            machine.
    """
    return f"{'ready' if here else 'not ready'}: {model}"


def _way_back(model: str, language: Language, needs: Needs, optional: bool) -> Any:
    """Return an update of the button that leads back; hidden where there is nowhere to go."""
    if optional:
        return gr.update(value=say(language, "model_without"), visible=True)
    first = first_choice(needs)
    title = find_offered(first).title
    return gr.update(value=say(language, "model_back", title=title), visible=model != first)


def _unable(spec: ModelSpec, needs: Needs, language: Language) -> str:
    """Say what a model that the visitor typed lacks of what this part of the page does, if it does.

    On the list are only those that lack nothing.
    """
    missing = needs - {*spec.modalities, *spec.representations}
    if not missing:
        return ""
    named = {one: f"can_{one}" for one in ("text", "image", "fused")}
    named |= {one: f"rank_{one}" for one in REPRESENTATIONS}
    able = ", ".join(say(language, named[one]) for one in spec.modalities)
    lacks = ", ".join(say(language, named[one]) for one in sorted(missing))
    return say(language, "model_unable", title=spec.title, able=able, lacks=lacks)


def _refused(model: str, reason: str, language: Language, needs: Needs, optional: bool) -> Shown:
    """Say why a model cannot be had, in the place of what it can do."""
    hidden = gr.update(value="", visible=False)
    return Shown(
        model=gr.update(choices=choices(language, needs, optional)),
        facts=hidden,
        download=gr.update(value=model_views.refusal(reason), visible=True),
        button=hidden,
        back=_way_back(model, language, needs, optional),
        timer=gr.update(active=False),
        settled=settled(model, here=False),
    )


def loaded(
    model: str | None,
    priority: Priority = Priority.TYPING,
    stop: Stop | None = None,
) -> Encoder:
    """Return the encoder; nothing is fetched, because everybody else would wait for it.

    Args:
        model: its name, or what was typed.
        priority: what goes first where several wait for the model.
        stop: says whether the result is not wanted any more.

    Raises:
        ModelError: the model is not on offer, or not on this machine yet.
    """
    spec = find_offered(model)
    if not on_this_machine(spec):
        raise ModelError(f"{spec.title} is not on this machine yet.", "not_here", title=spec.title)
    note_model(spec.name)
    encoder = load_encoder(spec).at(priority, stop)
    note_encoder(encoder)
    return encoder


def watching(weights: Weights | ModelSpec) -> Any:
    """Return an update of the timer that waits for a background set: on where one is measured."""
    return gr.skip() if measuring(weights) is None else gr.update(active=True)


def measured(language: Language, *models: str) -> tuple[Any, Any, Any]:
    """Look whether the background sets of the chosen models are there; called while they are not.

    Returns:
        An update of the timer; once none is on its way any more, of the signal that has results
        shown again; and the bar of the one that is measured.
    """
    running = [(spec, work) for spec in _specs(models) if (work := measuring(spec)) is not None]
    if not running:
        return gr.update(active=False), again(), ""
    spec, work = running[0]
    return gr.skip(), gr.skip(), long_work.bar(work.progress, language, spec.title)


def stop_measuring(*models: str) -> None:
    """Stop the measurements that the tab shows; there are no percentiles then, for a while."""
    for spec in _specs(models):
        if (work := measuring(spec)) is not None:
            work.stop()


def _specs(models: Sequence[str]) -> Iterator[ModelSpec]:
    """Yield the models that are chosen and can be had."""
    for model in filter(None, models):
        with suppress(MMDemoError):
            yield find_offered(model)


def choices(language: Language, needs: Needs, optional: bool = False) -> list[tuple[str, str]]:
    """Return the models on offer as label and name; the label says what a download costs.

    One that cannot be had is on the list, and whoever chooses it reads why.
    """
    none = [(say(language, "model_none"), "")] if optional else []
    missing = [(say(language, "model_unavailable", title=name), name) for name in unavailable()]
    return [*none, *((_label(spec, language), spec.name) for spec in suitable(needs)), *missing]


def anything_goes() -> bool:
    """Say whether a visitor may type a model that is not on the list: an id, or a directory."""
    return not offered_models() and (hub_ids_accepted() or paths_accepted())


def suitable(needs: Needs) -> list[ModelSpec]:
    """Return the models on offer that can do all of this."""
    return [spec for spec in offered() if needs <= {*spec.modalities, *spec.representations}]


def first_choice(needs: Needs) -> str:
    """Return the name of the model to begin with: the environment's choice where it is suitable."""
    names = [spec.name for spec in suitable(needs)]
    preferred = find_offered().name
    return preferred if preferred in names else names[0]


def _label(spec: ModelSpec, language: Language) -> str:
    if on_this_machine(spec):
        return spec.title
    return say(
        language,
        "model_to_download" if spec.licence else "model_unlicensed",
        title=spec.title,
        size=model_views.model_size(spec),
        licence=spec.licence,
    )
