"""The files of a model's folder, before anything makes sense of them: is it there, is it itself?

What people hand over is often not what its name says: a pointer that Git LFS left, the page that
asked for a login, an empty file, a link into a cache that has moved. Each of these has a sentence
of its own, in whichever file it happens.
"""

from __future__ import annotations

import codecs
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mmdemo.encoders.parts.file_names import READER_FILES
from mmdemo.errors import ModelError
from mmdemo.files import LargeFileError, NoFileError, is_there, read_at_most, regular_size
from mmdemo.progress import size_text

CONFIG_BYTES = 1_000_000
"""Most bytes of a configuration; real ones have some thousand."""
INDEX_BYTES = 20_000_000
"""Most bytes of an index; one of 100,000 weights has 10 MB."""
READER_BYTES = 200_000_000
"""Most bytes of a tokenizer's file; the largest published have 34 MB."""

_LFS = b"version https://git-lfs.github.com/spec/"
_PAGE = (b"<!doctype", b"<html", b"<?xml", b"<head")


def check_file(path: Path, most: int | None = None) -> None:
    """Make sure that a file is one, and not something that stands in its place.

    Args:
        path: of the file.
        most: bytes that it may have; by default any number.

    Raises:
        ModelError: it is missing, empty, too large, no file, or a pointer to its content.
    """
    name = path.name
    try:
        size = regular_size(path)
        if most is not None and size > most:
            raise _too_large(path, most)
        with path.open("rb") as file:
            head = file.read(256)
    except OSError as error:
        raise _unreadable(path, error) from error
    if not head:
        raise ModelError(
            f"{name} is empty (0 bytes), as after a download that was broken off. Fetch it again.",
            "model_file_empty",
            file=name,
        )
    _check_head(name, head)


def _check_head(name: str, head: bytes) -> None:
    """Refuse what stands in the place of a file, by its first bytes."""
    if head.startswith(_LFS):
        raise ModelError(
            f"{name} is a Git LFS pointer, not the file itself: run 'git lfs pull' in the folder "
            "that was cloned, or fetch the file from the page it was published on.",
            "model_file_lfs_pointer",
            file=name,
        )
    if b"annex/objects/" in head.partition(b"\n")[0]:
        raise ModelError(
            f"{name} is a git-annex pointer, not the file itself: run 'git annex get {name}' in "
            "the folder that was cloned.",
            "model_file_annex_pointer",
            file=name,
        )
    if head.removeprefix(codecs.BOM_UTF8).lstrip().lower().startswith(_PAGE):
        raise ModelError(
            f"{name} is a web page, not the file itself, as where a page that asks for a login "
            "was saved in its place. Fetch the file again from where it was published.",
            "model_file_web_page",
            file=name,
        )


def _unreadable(path: Path, error: OSError) -> ModelError:
    """Say why a file cannot be read, in no words of the system."""
    name = path.name
    if isinstance(error, NoFileError):
        return ModelError(
            f"{name} is no file but a folder, a pipe or a device. Put the file itself there.",
            "model_file_is_none",
            file=name,
        )
    if path.is_symlink() and not path.exists():  # a loop of links is none either
        return ModelError(
            f"{name} is a link that leads nowhere: its target was moved, or never fetched (as by "
            f"'git annex get {name}'). Put the file itself there.",
            "model_file_dead_link",
            file=name,
        )
    if isinstance(error, FileNotFoundError):
        return ModelError(f"{name} is missing. Fetch it again.", "model_file_missing", file=name)
    return ModelError(
        f"{name} cannot be read. Check its permissions.", "model_file_unreadable", file=name
    )


def _too_large(path: Path, most: int) -> ModelError:
    return ModelError(
        f"{path.name} is larger than any such file, which has at most {size_text(most)}. Fetch it "
        "again from where it was published.",
        "model_file_too_large",
        file=path.name,
        most=size_text(most),
    )


def read_json(folder: Path, name: str, most: int = CONFIG_BYTES) -> dict[str, Any]:
    """Read a JSON object from a model's folder: the one way that JSON of strangers is read.

    In UTF-8, with a byte-order mark or without, or in UTF-16 or UTF-32, which JSON tells apart.

    Args:
        folder: the model's.
        name: of the file.
        most: bytes that it may have.

    Raises:
        ModelError: the file is missing, damaged, or holds something else.
    """
    read = read_any_json(folder, name, most)
    if not isinstance(read, dict):
        raise ModelError(
            f"'{folder.name}' has no readable {name}: it is not a JSON object. Fetch it again "
            "from where it was published.",
            "no_json_object",
            name=folder.name,
            file=name,
        )
    return read


def read_any_json(folder: Path, name: str, most: int = CONFIG_BYTES) -> Any:
    """Read a JSON value of any kind; arguments and errors as of `read_json`."""
    path = folder / name
    if not is_there(path):
        raise ModelError(
            f"'{folder.name}' has no readable {name}: it is not there. Fetch it from where it was "
            "published.",
            "no_json",
            name=folder.name,
            file=name,
        )
    check_file(path, most)
    try:
        return json.loads(read_at_most(path, most))
    except json.JSONDecodeError as error:
        raise ModelError(
            f"'{folder.name}' has no readable {name}: from line {error.lineno}, column "
            f"{error.colno} on it is no JSON, which takes no comments, no comma before a closing "
            "bracket and double quotes alone. Mend it there, or fetch it again from where it was "
            "published.",
            "no_json_from",
            name=folder.name,
            file=name,
            line=error.lineno,
            column=error.colno,
        ) from error
    except UnicodeDecodeError as error:
        raise ModelError(
            f"'{folder.name}' has no readable {name}: it is no text in UTF-8. Save it as UTF-8, "
            "or fetch it again from where it was published.",
            "no_json_text",
            name=folder.name,
            file=name,
        ) from error
    except RecursionError as error:
        raise ModelError(
            f"'{folder.name}' has no readable {name}: it is nested too deeply. Fetch it again "
            "from where it was published.",
            "no_json_depth",
            name=folder.name,
            file=name,
        ) from error
    except ValueError as error:  # a number of thousands of digits
        raise ModelError(
            f"'{folder.name}' has no readable {name}: it holds a number that is too long. Fetch "
            "it again from where it was published.",
            "no_json_number",
            name=folder.name,
            file=name,
        ) from error
    except LargeFileError as error:  # it grew meanwhile
        raise _too_large(path, most) from error
    except OSError as error:
        raise _unreadable(path, error) from error


@contextmanager
def reader_files(folder: Path) -> Iterator[Path]:
    """Yield a folder with the files that a library reads texts and pictures by, and no others.

    Checked, and JSON in UTF-8 without a byte-order mark: the library takes no other, would wait for
    a pipe, and says of all else in words of its own that something is damaged.

    Raises:
        ModelError: one of those that are there is no file, not itself, or no JSON.
    """
    with TemporaryDirectory() as place:
        for name in ("config.json", *READER_FILES):
            path = folder / name
            if is_there(path):
                _copy(folder, name, Path(place) / name)
        yield Path(place)


def _copy(folder: Path, name: str, target: Path) -> None:
    path = folder / name
    check_file(path, READER_BYTES)
    # A vocabulary is read by the library alone, which complains of it as well.
    if path.suffix == ".json" and path.stat().st_size <= CONFIG_BYTES:
        read_any_json(folder, name)
        target.write_bytes(_plain(path.read_bytes()))
    else:
        shutil.copyfile(path, target)


def _plain(data: bytes) -> bytes:
    """Return JSON in UTF-8 without a mark; what is so already is not touched."""
    encoding = json.detect_encoding(data)
    return data if encoding == "utf-8" else data.decode(encoding).encode()
