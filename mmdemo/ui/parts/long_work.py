"""Long work as the page shows it: a bar with what is done and how much is left, and one Stop."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gradio as gr
from markupsafe import Markup

from mmdemo.errors import StoppedError
from mmdemo.progress import Progress, clock, size_text
from mmdemo.ui.parts.localise import Localiser
from mmdemo.ui.serving.events import QUIET
from mmdemo.ui.strings import TEXT, Language, say
from mmdemo.work import Current, Work

LOOK_EVERY = 0.3
"""Seconds between two looks at how far work is."""

_IN_BYTES = frozenset({"download"})


def build(localiser: Localiser, name: str) -> tuple[gr.HTML, gr.Button]:
    """Lay out a bar and its Stop; the style sheet keeps both out of sight while there is no bar.

    Not gradio's `visible`: a component that is shown and hidden within a moment stays in sight,
    because it is still on its way when it is told to go.

    Args:
        localiser: collects what to translate.
        name: of what is shown, for the elements' ids.
    """
    with gr.Row(elem_classes="mm-working"):
        bar = gr.HTML(padding=False, elem_id=f"{name}-progress")
        stop = gr.Button(size="sm", variant="stop", elem_id=f"{name}-stop")
    localiser.add(stop, value="stop_button")
    return bar, stop


def build_own(localiser: Localiser, name: str, current: gr.State) -> gr.HTML:
    """Lay out the bar of a visitor's own work in a tab, and return it; its Stop is wired.

    Args:
        localiser: collects what to translate.
        name: of the tab.
        current: holds the visitor's `Current` work in this tab.
    """
    bar, stop = build(localiser, name)
    # Not in the group of what runs a model: it must come through while that is busy. And not by
    # gradio's `cancels`: the last progress would arrive after the end of it.
    stop.click(stopped, current, None, concurrency_limit=None, **QUIET)
    return bar


def stopped(current: Current[Any]) -> None:
    """Stop what runs; whoever follows it says so on the page."""
    current.stop()


def followed(work: Work[Any]) -> Iterator[Work[Any]]:
    """Yield work each time that it is to be shown, until it has ended or is asked to.

    What takes only a moment is never shown. When nobody listens any more, the work ends.

    Raises:
        StoppedError: somebody stopped it, and no other takes its place.
    """
    try:
        # Its next step may take a while after it was stopped, but nobody need wait for that.
        looked = 0
        while not work.wait(LOOK_EVERY) and not work.stopping:
            looked += 1
            if looked > 1:
                yield work
    finally:
        if not work.ended:
            work.stop()
    if work.stopping and not work.replaced:
        raise StoppedError


def bar(progress: Progress | None, language: Language, whose: str = "") -> Markup:
    """Return a bar, and below it what is done and how much is left.

    Args:
        progress: how far it is; None where nothing is known yet.
        language: of the words.
        whose: what it is about, such as a model's title.
    """
    share = 0.0 if progress is None else 100.0 * progress.share
    return Markup(
        '<div class="mm-progress" role="progressbar" aria-label="{label}" '
        'aria-valuenow="{whole:.0f}" aria-valuemin="0" aria-valuemax="100">'
        '<i style="width:{share:.1f}%"></i></div><p class="mm-download">{line}</p>'
    ).format(
        label=whose or say(language, "work_label"),
        whole=share,
        share=share,
        line=line(progress, language, whose),
    )


def line(progress: Progress | None, language: Language, whose: str = "") -> str:
    """Return in words what is done and how much is left."""
    if progress is None:
        said = say(language, "work_begins")
    else:
        known = progress.stage if f"work_{progress.stage}" in TEXT else "steps"
        said = say(
            language,
            f"work_{known}",
            done=_count(progress.done, progress.stage),
            total=_count(progress.total, progress.stage),
        )
        if progress.stage in _IN_BYTES and progress.speed > 0:
            said += f" · {size_text(progress.speed)}/s"
        if progress.remaining is not None and progress.share < 1:
            said += " · " + say(language, "work_left", left=clock(progress.remaining))
    return f"{whose}: {said}" if whose else said


def _count(value: float, stage: str) -> str:
    return size_text(value) if stage in _IN_BYTES else f"{int(value):,}"
