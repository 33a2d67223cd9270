"""A file that others see whole, or as it was; and one that is read only if it is a file at all."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield where to write what then takes the place of a file; after an error nothing is left.

    Raises:
        OSError: the folder cannot be written.
    """
    half = path.with_name(f"{path.name}.{os.getpid()}.tmp")  # another process may write the same
    try:
        yield half
        half.replace(path)
    except BaseException:
        half.unlink(missing_ok=True)
        raise


class NoFileError(OSError):
    """A folder, a pipe or a device stands where a file should: never to be opened."""


class LargeFileError(OSError):
    """A file is larger than what it is for can be."""


def is_there(path: Path) -> bool:
    """Say whether there is anything of this name: a link that leads nowhere too."""
    return path.is_symlink() or path.exists()


def regular_size(path: Path) -> int:
    """Return the bytes of a file, after making sure that it is one, or a link to one.

    A pipe would be waited for, and a device may never end.

    Raises:
        NoFileError: it is something else.
        OSError: nothing is there, or links lead round in a circle.
    """
    facts = path.stat()
    if not stat.S_ISREG(facts.st_mode):
        raise NoFileError(f"{path.name} is no file")
    return facts.st_size


def read_at_most(path: Path, most: int) -> bytes:
    """Read a whole file that has at most so many bytes.

    Raises:
        NoFileError: it is no file.
        LargeFileError: it has more.
        OSError: it cannot be read.
    """
    if regular_size(path) > most:
        raise LargeFileError(f"{path.name} has more than {most} bytes")
    return path.read_bytes()
