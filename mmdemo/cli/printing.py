"""What a command writes: to a terminal, a file or a pipe, whatever signs these can hold.

Work that took minutes is not to be lost over a sign that a terminal of another time cannot show.
"""

from __future__ import annotations

import io
import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

from mmdemo.errors import ModelError, SettingError


class PipeClosedError(Exception):
    """Nobody reads any more, as after `| head`: no error of ours, and nothing to complain of."""


def prepare() -> None:
    """Have both streams write as escapes what their encoding cannot hold.

    Such as a character that cp1252 does not have, or a byte of a file name that is no text. Where
    somebody chose another way, it is left.
    """
    if sys.stderr is None:  # closed by whoever started this
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - as long as we run
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")


def write(text: str) -> None:
    """Write a line, or several, to standard output.

    Raises:
        PipeClosedError: nobody reads it any more.
        SettingError: it cannot be written.
    """
    if sys.stdout is None:
        raise _unwritable("it is closed")
    _guarded(sys.stdout, text + "\n")


def write_json(value: Any) -> None:
    """Write JSON; in ASCII where the stream cannot hold all its characters. Errors as of `write`.

    Raises:
        ModelError: it holds a number that is not finite, which JSON does not know.
    """
    try:
        text = json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False)
    except ValueError as error:
        raise ModelError(
            "The model gave a number that is not finite. Its weights are probably damaged; fetch "
            "them again.",
            "not_finite",
        ) from error
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        text = json.dumps(value, indent=2)
    write(text)


def told(text: str) -> None:
    """Write a line to standard error, where anybody reads it."""
    with suppress(OSError, ValueError):  # full, or closed meanwhile
        sys.stderr.write(text + "\n")
        sys.stderr.flush()


def flush() -> None:
    """Have everything written that was handed over; errors as of `write`."""
    if sys.stdout is not None:
        _guarded(sys.stdout, "")
        with suppress(OSError, ValueError):
            sys.stderr.flush()


def discard() -> None:
    """Drop what could not be written, of which Python would complain when it ends."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)


def _guarded(stream: TextIO, text: str) -> None:
    try:
        stream.write(text)
        stream.flush()
    except BrokenPipeError as error:
        raise PipeClosedError from error
    except OSError as error:
        raise _unwritable(error.strerror or "there is no room") from error


def _unwritable(reason: str) -> SettingError:
    return SettingError(
        f"The result cannot be written to standard output: {reason}. Send it to another place.",
        "output_unwritable",
        reason=reason,
    )
