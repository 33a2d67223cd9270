"""Inputs that hand over what the visitor gave, unread, so that `images.py` can judge it."""

from __future__ import annotations

from abc import ABCMeta
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias, cast

import gradio as gr
from gradio.components.gallery import GalleryData, GalleryImage
from gradio.data_classes import FileData, ImageData, ListFiles
from gradio.utils import get_upload_folder

from mmdemo.errors import PictureError
from mmdemo.images import data_uri_bytes, is_data_uri
from mmdemo.ui.serving import uploads

Upload: TypeAlias = str | bytes
"""What `PictureInput` hands over: a path, or bytes."""


def is_upload(path: str) -> bool:
    """Say whether a path is that of an upload: no other may be read for whoever names it.

    gradio checks the path only where the payload says that it is a file; a request written by hand
    need not say so.
    """
    try:
        return Path(path).resolve().is_relative_to(Path(get_upload_folder()).resolve())
    except (OSError, ValueError):  # no path at all
        return False


def _uploaded(path: str) -> str:
    if not is_upload(path):
        raise gr.Error("A file must be uploaded.", print_exception=False)
    return path


def _unread(_component: gr.Image, payload: ImageData | None) -> Upload | None:
    """Return the file exactly as it was uploaded: its path, or its bytes; None without one."""
    if payload is None:
        return None
    if payload.url and is_data_uri(payload.url):
        try:
            return data_uri_bytes(payload.url)
        except PictureError:
            return payload.url  # whoever opens it says what is wrong
    return _uploaded(payload.path) if payload.path else None


def _unread_gallery(_component: gr.Gallery, payload: GalleryData | None) -> list[Upload]:
    """Return the files of a gallery exactly as they were uploaded."""
    items = [] if payload is None else payload.root
    files = [item.image if isinstance(item, GalleryImage) else item.video for item in items]
    return [_uploaded(file.path) for file in files if file.path]


def _unread_files(_component: gr.File, payload: ListFiles | FileData | None) -> list[Upload]:
    """Return files exactly as they were uploaded."""
    files = payload if isinstance(payload, ListFiles) else [payload] if payload else []
    return [_uploaded(file.path) for file in files if file.path]


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
"""Several files, as they were uploaded."""
