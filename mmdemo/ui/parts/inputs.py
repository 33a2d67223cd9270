"""Inputs that hand over what the visitor gave, unread, so that `images.py` can judge it."""

from __future__ import annotations

import base64
import binascii
from abc import ABCMeta
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias, cast

import gradio as gr
from gradio.components.gallery import GalleryData, GalleryImage
from gradio.data_classes import FileData, ImageData, ListFiles

from mmdemo.ui.serving import uploads

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
    return _uploaded(component, payload.path)


def _unread_gallery(component: gr.Gallery, payload: GalleryData | None) -> list[Upload]:
    """Return the files of a gallery exactly as they were uploaded."""
    items = [] if payload is None else payload.root
    files = [item.image if isinstance(item, GalleryImage) else item.video for item in items]
    return [path for file in files if (path := _uploaded(component, file.path))]


def _unread_files(component: gr.File, payload: ListFiles | FileData | None) -> list[Upload]:
    """Return files exactly as they were uploaded."""
    files = payload if isinstance(payload, ListFiles) else [payload] if payload else []
    return [path for file in files if (path := _uploaded(component, file.path))]


def _uploaded(component: gr.Image | gr.Gallery | gr.File, path: str | None) -> str | None:
    """Return a path of an upload, and refuse any other path of this machine.

    gradio checks the path only where the payload says that it is a file; a request written by hand
    need not say so, and must not read this machine's files.
    """
    folder = Path(component.GRADIO_CACHE).resolve()
    if path and not Path(path).resolve().is_relative_to(folder):
        raise gr.Error(
            "A file must be uploaded; a path on the server is not accepted. With gradio_client, "
            "pass handle_file(path).",
            print_exception=False,
        )
    return path


def template_of(parent: type, name: str, preprocess: object) -> type:
    """Return a component like its parent, which hands over what `preprocess` makes of a payload."""
    # Not a `class` statement: gradio's metaclass answers each one by writing a stub file beside it.
    return ABCMeta.__new__(
        type(parent),
        name,
        (parent,),
        # gradio looks the frontend up by class name; a template uses that of its parent.
        {"__module__": __name__, "preprocess": preprocess, "is_template": True},
    )


def noted(handler: Callable[[Any], Any]) -> Callable[..., Any]:
    """Return a handler of uploads that also takes note of whose they are."""

    def called(value: Any, request: gr.Request) -> Any:
        uploads.note(request.session_hash or "", [value])
        return handler(value)

    return called


PictureInput = cast("type[gr.Image]", template_of(gr.Image, "PictureInput", _unread))
"""An image input whose value is the file as it was uploaded: a path, or its bytes.

gradio's own would decode the picture first: before our size limits, with its own reading of
transparency, and with a traceback for a file that is not a picture.
"""

PicturesInput = cast("type[gr.Gallery]", template_of(gr.Gallery, "PicturesInput", _unread_gallery))
"""A gallery whose value is the files as they were uploaded."""

FilesInput = cast("type[gr.File]", template_of(gr.File, "FilesInput", _unread_files))
"""Several files, as they were uploaded; for endpoints, where a list is easier than a gallery."""
