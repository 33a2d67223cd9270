"""What becomes of a visitor's pictures, and their way out: one press away on every tab."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr
from gradio.components import Component
from markupsafe import Markup

from mmdemo.ui.parts.localise import Localiser
from mmdemo.ui.serving import uploads
from mmdemo.ui.serving.events import QUIET

_TOGGLE = "() => { document.getElementById('privacy').classList.toggle('mm-open'); }"

# The page begins anew, without what its address says of pictures that are gone.
_LEAVE = "() => { location.replace(location.pathname); }"


def build(localiser: Localiser, button: gr.Button) -> gr.Button:
    """Lay out what the button of the header opens; return the one that deletes."""
    with gr.Column(elem_id="privacy"):
        words = gr.HTML(padding=True)
        localiser.add_html(words, Markup("<h2>{privacy_heading}</h2><p>{privacy_what}</p>"))
        delete = gr.Button(size="sm", variant="stop", elem_id="privacy-delete")
        localiser.add(delete, value="privacy_delete")
    button.click(None, None, None, js=_TOGGLE, **QUIET)
    return delete


def wire(button: gr.Button, pictures: Sequence[Component]) -> None:
    """Have the button delete what a visitor has uploaded, and open the page anew.

    Args:
        button: from `build`.
        pictures: the components of all tabs that hold a visitor's pictures.
    """

    def delete(request: gr.Request, *values: Any) -> None:
        uploads.note(request.session_hash or "", values)
        uploads.forget(request.session_hash or "")

    button.click(delete, list(pictures), None, concurrency_limit=None, **QUIET).then(
        None, None, None, js=_LEAVE, **QUIET
    )
