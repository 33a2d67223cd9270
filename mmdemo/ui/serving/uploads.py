"""Whose uploads are whose: each is deleted when nobody of those who uploaded it is left.

gradio keeps an upload under a name made of its content, so that two visitors' same picture is one
file. It is deleted when the last of them leaves or says so, and after a day in any case
(`delete_cache`).
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from gradio.utils import get_upload_folder

from mmdemo.examples import FOLDER

_lock = threading.Lock()
_of: defaultdict[str, set[Path]] = defaultdict(set)
"""Files by session."""


def note(session: str, values: Iterable[Any]) -> None:
    """Take note of what a session has uploaded.

    Args:
        session: the session's name.
        values: of components with pictures or files: paths, lists of paths, or anything else.
    """
    files = {path for value in values for path in _files(value)}
    with _lock:
        if files:
            _of[session] |= files


def forget(session: str) -> None:
    """Delete what a session has uploaded, and what no other has."""
    with _lock:
        mine = _of.pop(session, set())
        others = set().union(*_of.values()) if _of else set()
        for path in mine - others:
            with suppress(OSError):
                path.unlink()
                path.parent.rmdir()  # its content's name; another file may be in it


def _files(value: Any) -> list[Path]:
    """Return the uploads among values; the pictures that ship are nobody's."""
    if isinstance(value, list | tuple):
        return [path for one in value for path in _files(one)]
    if not isinstance(value, str) or not value:
        return []
    path, folder = Path(value).resolve(), Path(get_upload_folder()).resolve()
    ships = (FOLDER / path.name).is_file()
    return [path] if path.is_relative_to(folder) and path.is_file() and not ships else []
