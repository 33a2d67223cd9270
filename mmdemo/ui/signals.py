"""Signals: what has a tab compute again after the page, not the visitor's own hand, changed it.

A visitor's typing reaches a tab by the `input` events of its fields. Those are silent when an
example, a button or a language fills the fields; the `change` events are not, but come once a
field: three of them for one click on an example. So whatever fills fields also changes a signal,
and that alone has the tab compute.

A signal is a text field that nobody sees, for handlers and scripts to write into. A `gr.State`
would not do: a script cannot reach it, and gradio's page takes the first answer about a state for a
change of it, so that opening the page would compute every tab.
"""

from __future__ import annotations

import time
from typing import Any

import gradio as gr

FRESH = "String(performance.now())"
"""JavaScript for what a script writes into a signal."""

OPENED = "() => 'opened'"
"""JavaScript that says in a signal that a tab has been opened."""


def signal(value: str = "") -> gr.Textbox:
    """Lay out a signal.

    Args:
        value: what it holds when the page opens; only another value is a change.
    """
    return gr.Textbox(value, visible="hidden", show_label=False, container=False)


def again() -> str:
    """Return what a handler writes into a signal: a value that it did not have before."""
    return str(time.monotonic_ns())


def once_opened(opened: str) -> Any:
    """Return the same where a tab has been opened; what nobody looked at yet computes nothing."""
    return again() if opened else gr.skip()
