"""What happens when a visitor picks a model: what it can do, and its way to this machine."""

from __future__ import annotations

from typing import Any, NamedTuple

import gradio as gr

from mmdemo.registry import ModelSpec, find_offered, offered
from mmdemo.ui import downloads, model_views
from mmdemo.ui.text import Language, say


class Shown(NamedTuple):
    """What the choice of a model changes on the page, in the order of the output components."""

    model: Any
    facts: Any
    download: Any
    button: Any
    timer: Any
    arrived: Any


def choose(model: str, language: Language) -> Shown:
    """Show a model, and start its download where it is not on this machine."""
    spec = find_offered(model)
    if not spec.on_this_machine:
        downloads.start(spec)
    return show(model, language)


def press(model: str, language: Language) -> Shown:
    """Stop a model's download where it runs, else start it again."""
    spec = find_offered(model)
    running = downloads.latest(spec)
    if running is not None and running.running:
        running.stop()
    elif not spec.on_this_machine:
        downloads.start(spec)
    return show(model, language)


def follow(model: str, language: Language) -> Shown:
    """Show how far a model's download is; called while it runs."""
    shown = show(model, language)
    if shown.arrived == model:
        return shown
    return shown._replace(model=gr.skip(), facts=gr.skip())  # they are as they were


def show(model: str, language: Language) -> Shown:
    """Return everything that depends on which model is chosen, and on where its weights are."""
    spec = find_offered(model)
    here = spec.on_this_machine
    download = None if here else downloads.latest(spec)
    running = download is not None and download.running
    return Shown(
        model=gr.update(choices=choices(language)),
        facts=model_views.facts(spec, language),
        download=gr.update(
            value="" if here else model_views.download(spec, download, language), visible=not here
        ),
        button=gr.update(
            value=say(language, "download_stop" if running else "download_start"), visible=not here
        ),
        timer=gr.update(active=running),
        arrived=model if here else "",
    )


def choices(language: Language) -> list[tuple[str, str]]:
    """Return the models on offer as label and name; the label says what a download costs."""
    return [(_label(spec, language), spec.name) for spec in offered()]


def _label(spec: ModelSpec, language: Language) -> str:
    if spec.on_this_machine:
        return spec.title
    return say(
        language,
        "model_to_download",
        title=spec.title,
        size=model_views.model_size(spec),
        licence=spec.licence,
    )
