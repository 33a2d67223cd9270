"""A file that others see whole, or as it was."""

from __future__ import annotations

import os
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
