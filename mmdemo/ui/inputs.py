"""Inputs that hand over what the visitor gave, unread, so that `images.py` can judge it."""

from __future__ import annotations

import base64
import binascii
from abc import ABCMeta
from pathlib import Path
from typing import TypeAlias, cast

import gradio as gr
from gradio.data_classes import ImageData

Upload: TypeAlias = str | bytes
"""What `PictureInput` hands over: a path, or bytes."""


def _unread(component: gr.Image, payload: ImageData | None) -> Upload | None:
    """Return the file exactly as it was uploaded: its path, or its bytes; None without one."""
    if payload is None:
        return None
    if payload.url and payload.url.startswith("data:"):
        try:
            return base64.b64decode(payload.url.partition(",")[2])
        except binascii.Error:
            return b""
    # gradio checks the path only where the payload says that it is a file; a request written by
    # hand need not say so, and must not read this machine's files.
    folder = Path(component.GRADIO_CACHE).resolve()
    if payload.path and not Path(payload.path).resolve().is_relative_to(folder):
        raise gr.Error(
            "A picture must be uploaded; a path on the server is not accepted. With gradio_client, "
            "pass handle_file(path).",
            print_exception=False,
        )
    return payload.path


# Not a `class` statement: gradio's metaclass answers each one by writing a stub file beside it.
PictureInput = cast(
    "type[gr.Image]",
    ABCMeta.__new__(
        type(gr.Image),
        "PictureInput",
        (gr.Image,),
        # gradio looks the frontend up by class name; a template uses that of its parent.
        {"__module__": __name__, "preprocess": _unread, "is_template": True},
    ),
)
"""An image input whose value is the file as it was uploaded: a path, or its bytes.

gradio's own would decode the picture first: before our size limits, with its own reading of
transparency, and with a traceback for a file that is not a picture.
"""
