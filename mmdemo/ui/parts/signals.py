"""Signals: hidden text fields by which a tab learns, once, that it has something to compute.

A click on an example changes three fields, and each of them tells of it; gradio's image tells of
its removal before it has happened, and its gallery twice, or not at all. So nothing computes on the
events of fields. A script of the page gathers what a tab is given into one signal at each of them,
which costs the server nothing, and the signal changes when what it holds does.

A `gr.State` would not do: a script cannot reach it, and gradio's page takes the first answer about
a state for a change of it, so that opening the page would compute every tab.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import gradio as gr

from mmdemo.ui.serving.events import QUIET

OPENED = "opened"
"""What the signal of an opened tab holds; before that, nothing."""

SAY_OPENED = f"() => '{OPENED}'"
"""The same as a script of the page."""

# Of a file its path, which is named after its content; the rest of it differs from day to day.
_GATHER = """(opened, ...given) =>
  opened ? JSON.stringify(given, (_, value) => (value && value.path) || value) : "\""""


def signal(value: str = "") -> gr.Textbox:
    """Lay out a signal.

    Args:
        value: what it holds when the page opens; only another value is a change.
    """
    return gr.Textbox(value, visible="hidden", show_label=False, container=False)


def gathered(opened: gr.Textbox, given: Sequence[Any], events: Sequence[Any] = ()) -> gr.Textbox:
    """Lay out a signal that changes with what a tab is given, once the tab has been opened.

    Args:
        opened: a signal, see `OPENED`.
        given: the components whose values count.
        events: further ones at which to look at them, where their `change` does not tell of all.
    """
    gathering = signal()
    gr.on(
        [*(component.change for component in (opened, *given)), *events],
        None,
        [opened, *given],
        gathering,
        js=_GATHER,
        **QUIET,
    )
    return gathering


def again() -> str:
    """Return what a handler writes into a signal: a value that it did not have before."""
    return str(time.monotonic_ns())


def once_opened(opened: str) -> Any:
    """Return the same where a tab has been opened; what nobody looked at yet computes nothing."""
    return again() if opened else gr.skip()
