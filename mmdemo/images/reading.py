"""From what somebody says is a picture to the bytes of a file, or to what it is instead."""

from __future__ import annotations

import errno
import os
import re
import stat
from pathlib import Path
from typing import NamedTuple, TypeAlias
from urllib.parse import unquote, urlsplit

from mmdemo.errors import PictureError
from mmdemo.images.data_uris import data_uri_bytes, is_data_uri
from mmdemo.images.formats import ACCEPTED
from mmdemo.images.mistaken import annexed
from mmdemo.settings import Limits

Place: TypeAlias = tuple[str, int, int, int, int]
"""What tells a file from others and from its later selves."""

# Two letters at least: one is a drive. A `Path` has made one slash of two.
_ADDRESS = re.compile(r"(?:[a-z][a-z0-9+.-]+:/|blob:|www\.)", re.IGNORECASE)
_FILE = re.compile(r"file:/", re.IGNORECASE)
_PATTERN = re.compile(r"[*?]|\[.+\]")
_LONGEST_NAME = 80
# A pipe that nobody writes into would hold whoever opens it.
_AT_ONCE = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)


class Contents(NamedTuple):
    """The bytes of a file.

    Attributes:
        data: at least one.
        place: where they are; None for what is no file, or was changed while it was read.
    """

    data: bytes
    place: Place | None


def read_source(source: object, bounds: Limits) -> Contents:
    """Return the bytes of a file.

    Args:
        source: a path, a `file:` address of this machine, a data URI, or the bytes themselves.
        bounds: the limit on bytes.

    Raises:
        PictureError: it is something else, it cannot be read, or it is empty or too large.
    """
    if isinstance(source, bytes):
        contents, size = Contents(source, None), len(source)
    elif isinstance(source, str) and is_data_uri(source):
        _check_size(len(source) * 3 // 4, bounds)  # before a copy of it is made
        contents = Contents(data_uri_bytes(source), None)
        size = len(contents.data)
    elif isinstance(source, str | Path):
        contents, size = _read_file(source, bounds.upload_mb * 1_000_000)
    else:
        raise PictureError(
            f"A picture was expected, not {type(source).__name__}. "
            "Give a PIL picture, a path, or the bytes of a file.",
            "no_picture",
            given=type(source).__name__,
        )
    _check_size(size, bounds)
    if size == 0:
        raise PictureError(
            f"This file is empty. Choose a picture: {ACCEPTED}.", "file_empty", accepted=ACCEPTED
        )
    return contents


def place_of(source: object) -> Place | None:
    """Return what tells a file from others and from its later selves; None where there is none."""
    if not isinstance(source, str | Path) or is_data_uri(source):
        return None
    try:
        path = _path(source)
        return _placed(path, path.stat())
    except (OSError, ValueError):
        return None  # reading it says what is wrong


def _placed(path: Path, status: os.stat_result) -> Place:
    return (
        os.path.realpath(path),
        status.st_ino,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
    )


def _path(source: str | Path) -> Path:
    """Return the path that is meant; what looks otherwise and exists is taken at its word."""
    written = str(source)
    if written.startswith("~") and not os.path.lexists(written):
        try:
            return Path(written).expanduser()
        except RuntimeError:
            return Path(written)
    if _FILE.match(written) and not os.path.lexists(written):
        told = urlsplit(written)
        if told.netloc in ("", "localhost"):
            return Path(unquote(told.path))
    return Path(written)


def _read_file(source: str | Path, limit: int) -> tuple[Contents, int]:
    """Return the bytes of a file where these are within the limit, and how many there are."""
    path, name = _path(source), _name(source)
    try:
        if not str(source).strip():
            raise ValueError("no name")  # `Path` makes the folder of it
        _check_kind(path.stat(), name)  # before it is opened: to open some devices does something
        with os.fdopen(os.open(path, os.O_RDONLY | _AT_ONCE), "rb") as file:
            before = os.fstat(file.fileno())
            _check_kind(before, name)
            data = file.read(limit + 1) if before.st_size <= limit else b""
            places = {_placed(path, status) for status in (before, os.fstat(file.fileno()))}
    except (OSError, ValueError) as error:
        raise _unreadable(str(path), name, error) from error
    place = places.pop() if len(places) == 1 else None
    return Contents(data, place), max(before.st_size, len(data))


def _name(source: str | Path) -> str:
    """Return what a file is called: the folders of this machine are nobody's business."""
    return (Path(source).name or str(source))[:_LONGEST_NAME]


def _check_kind(status: os.stat_result, name: str) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise PictureError(
            f"'{name}' is a folder. Give a picture file that is in it.", "picture_folder", name=name
        )
    if not stat.S_ISREG(status.st_mode):
        raise PictureError(
            f"'{name}' is a device, a pipe or a socket, and no file. Save the picture as a file "
            "and give that.",
            "picture_device",
            name=name,
        )


def _check_size(size: int, bounds: Limits) -> None:
    if size > bounds.upload_mb * 1_000_000:
        raise PictureError(
            f"This file has {size / 1e6:.1f} MB; at most {bounds.upload_mb} MB are accepted. "
            "Save it smaller, for example as a JPEG of 2000 pixels on its long side.",
            "file_size",
            size=f"{size / 1e6:.1f}",
            limit=bounds.upload_mb,
        )


def _unreadable(written: str, name: str, error: OSError | ValueError) -> PictureError:
    """Return what is said of something that is no file, or one that cannot be opened."""
    number = error.errno if isinstance(error, OSError) else None
    if number in (errno.EACCES, errno.EPERM):
        return PictureError(
            f"'{name}' may not be read. Check the permissions of the file and its folder.",
            "picture_permission",
            name=name,
        )
    if _ADDRESS.match(written):
        scheme = written[: written.find(":") + 1 or 4]
        return PictureError(
            f"This is an address ({scheme}…), and none is fetched here. Save the picture and give "
            "its file.",
            "picture_address",
            scheme=scheme,
        )
    if number is None or number == errno.ENAMETOOLONG:
        return PictureError(
            "This is no name of a file: it is empty, too long, or has signs that none has. Give "
            "the path of a picture; what is in a file is given as bytes, or as a text such as "
            "data:image/png;base64,iVBORw0…",
            "picture_name",
        )
    return _absent(written, name)


def _absent(written: str, name: str) -> PictureError:
    if _of_annex(written):
        return annexed()
    if _PATTERN.search(written):
        return PictureError(
            f"'{name}' is a pattern, and no file is called that. Give the names of files; a shell "
            "puts them there itself where some match.",
            "picture_pattern",
            name=name,
        )
    return PictureError(
        f"There is no readable picture file '{name}'. Check the name and try again.",
        "no_file",
        name=name,
    )


def _of_annex(written: str) -> bool:
    """Say whether it is a link into the store of git-annex, where the content is missing."""
    try:
        return "annex/objects/" in Path(written).readlink().as_posix()
    except (OSError, ValueError):
        return False
