"""The process that decodes: pictures come in by a pipe, and pixels go out by another.

Beside keeping time and memory in bounds, it is what an error in a decoder's C code would give to
whoever made the picture. So it has little: no file but its pipes and no way to open one, nothing of
the environment that a secret might stand in, and no other picture than the one at hand. It is no
sandbox all the same: what runs in it runs as the same user.
"""

from __future__ import annotations

import importlib
import io
import os
import warnings
from contextlib import suppress
from pathlib import Path
from typing import IO

from PIL import AvifImagePlugin, Image

from mmdemo.errors import MMDemoError
from mmdemo.images.apart import wire
from mmdemo.images.formats import FORMATS
from mmdemo.images.opening import as_seen, as_stored, opened
from mmdemo.settings import Limits

try:
    import resource
except ImportError:  # not on Windows, where only the time by the clock is limited
    resource = None

READS = {"seen": as_seen, "stored": as_stored}

_NICENESS = 5  # what answers people goes first


def main() -> None:
    """Decode what comes, until the pipe is closed: this process never outlives whose it is."""
    with os.fdopen(os.dup(0), "rb") as given, os.fdopen(os.dup(1), "wb") as answers:
        _redirect(0, os.O_RDONLY)
        _redirect(1, os.O_WRONLY)  # what a library prints is no answer
        warnings.simplefilter("ignore")
        _warm_up()
        at_rest = _memory()
        _limit_for_good()
        # It would still be there at the end, when nobody listens.
        with suppress(EOFError, wire.WireError, BrokenPipeError):
            wire.send(answers, {"ready": True})
            while True:
                _answer(given, answers, at_rest)


def _answer(given: IO[bytes], answers: IO[bytes], at_rest: int | None) -> None:
    asked = wire.receive(given)
    bounds = Limits(**asked["bounds"])
    data = wire.receive_bytes(given, asked["size"])
    _limit(asked["seconds"], asked["memory"], at_rest)
    try:
        seen = opened(data, bounds, READS[asked["read"]])
    except MMDemoError as error:
        wire.send_error(answers, error)
    else:
        wire.send_seen(answers, seen)


def _redirect(number: int, how: int) -> None:
    nothing = os.open(os.devnull, how)
    os.dup2(nothing, number)
    os.close(nothing)


def _warm_up() -> None:
    """Import all that decoding needs: afterwards no file can be opened."""
    AvifImagePlugin.DEFAULT_MAX_THREADS = 2
    with suppress(ImportError):  # it need not be there
        importlib.import_module("pillow_heif")
    Image.init()
    for name in FORMATS:
        file = io.BytesIO()
        Image.new("RGB", (16, 16)).save(file, name)
        for read in READS.values():
            opened(file.getvalue(), Limits(), read)
    # What names files that are no pictures reads them as texts, in codecs that are files too.
    for other in (b"<", b"\xff\xfe<\0", b"\xfe\xff\0<", b"\x1f\x8b<"):
        with suppress(MMDemoError):
            opened(other, Limits(), as_seen)


def _limit_for_good() -> None:
    if resource is None:
        return
    os.nice(_NICENESS)
    number = os.open(os.devnull, os.O_RDONLY)  # the lowest that is free: all others are below it
    os.close(number)
    for what, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, number),
    ):
        resource.setrlimit(what, (most, most))


def _limit(seconds: int, memory: int, at_rest: int | None) -> None:
    """Let the next picture take so many seconds of processor time, and bytes of memory."""
    if resource is None:
        return
    spent = resource.getrusage(resource.RUSAGE_SELF)
    _lower(resource.RLIMIT_CPU, int(spent.ru_utime + spent.ru_stime) + 1 + seconds)
    if at_rest is not None:
        _lower(resource.RLIMIT_AS, at_rest + memory)


def _lower(what: int, most: int) -> None:
    assert resource is not None
    _, hard = resource.getrlimit(what)
    allowed = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(what, (allowed, hard))


def _memory() -> int | None:
    """Return the bytes of address space that this process has; None where Linux does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        return pages * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return None
