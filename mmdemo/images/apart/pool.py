"""The processes that decode: two at most, started when they are wanted, replaced when they fail."""

from __future__ import annotations

import atexit
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from mmdemo.errors import PictureError
from mmdemo.images.apart import wire
from mmdemo.images.apart.turns import Turns
from mmdemo.images.opening import Read, as_stored
from mmdemo.images.seen import Seen
from mmdemo.settings import Limits

log = logging.getLogger(__name__)

AT_ONCE = 2
"""Pictures that are decoded at the same time."""

SECONDS = 10
"""Processor time for a picture: 49 megapixels take one or two, as AVIF and WebP the most."""

PATIENCE = 60.0
"""Seconds for a picture by the clock, on a machine that has other things to do."""

BYTES_A_PIXEL = 24
"""Memory for a pixel: decoders of AVIF and WebP hold a picture several times, in four bytes."""

_BYTES_BESIDE = 256_000_000
_START = 60.0
_MAIN = (
    "import sys; sys.path[:] = sys.argv[1:]; from mmdemo.images.apart.worker import main; main()"
)
# What a process needs to start. Tokens and passwords are not among it.
_ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT", "TMPDIR", "LANG")
_SETTINGS = {
    "MALLOC_ARENA_MAX": "1",  # each reserves memory, which counts
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
}


class Decoders:
    """Decodes pictures in processes of its own, for many threads; `Turns` says who is next."""

    def __init__(
        self, seconds: int = SECONDS, patience: float = PATIENCE, a_pixel: int = BYTES_A_PIXEL
    ) -> None:
        """Start nothing yet.

        Args:
            seconds: of processor time that a picture may take.
            patience: seconds by the clock.
            a_pixel: bytes of memory for each pixel of the largest picture that is allowed.
        """
        self._seconds = seconds
        self._patience = patience
        self._a_pixel = a_pixel
        self._turns = Turns(AT_ONCE)
        self._lock = threading.Lock()
        self._idle: list[_Process] = []
        self._closed = False
        atexit.register(self.close)

    def opened(self, data: bytes, bounds: Limits, read: Read) -> Seen:
        """Open the bytes of a file in one of the processes, as soon as one is free.

        Args:
            data: the file.
            bounds: limits on size.
            read: what is taken of it, `as_seen` or `as_stored`.

        Raises:
            PictureError: as `opening.opened`; or decoding it took too long or too much memory, or
                ended the process.
            StoppedError: nobody wants it any more (see `asking`).
        """
        with self._turns.one():
            process = self._taken()
            try:
                seen = process.opened(data, bounds, self._asked(bounds, read), self._patience)
            except PictureError:
                self._give_back(process)
                raise
            except BaseException:
                process.end()
                raise
            self._give_back(process)
            return seen

    def close(self) -> None:
        """End the processes: at once those that have nothing to do, the others when they have."""
        atexit.unregister(self.close)
        with self._lock:
            self._closed = True
            ended, self._idle = self._idle, []
        for process in ended:
            process.end()

    def _asked(self, bounds: Limits, read: Read) -> dict[str, Any]:
        return {
            "read": "stored" if read is as_stored else "seen",
            "bounds": asdict(bounds),
            "seconds": self._seconds,
            "memory": bounds.pixels * self._a_pixel + _BYTES_BESIDE,
        }

    def _taken(self) -> _Process:
        with self._lock:
            idle = self._idle.pop() if self._idle else None
        if idle and idle.lives:
            return idle
        return _Process()

    def _give_back(self, process: _Process) -> None:
        with self._lock:
            kept = process.lives and not self._closed
            if kept:
                self._idle.append(process)
        if not kept:
            process.end()


class _Process:
    """A process that decodes one picture after another. For one thread at a time."""

    def __init__(self) -> None:
        """Start it, and wait until it is ready.

        Raises:
            PictureError: it cannot be started.
        """
        kept = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        path = [str(Path(place).absolute()) for place in sys.path]
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-c", _MAIN, *path],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=kept | _SETTINGS,
                cwd=None if os.name == "nt" else "/",
                start_new_session=True,  # what interrupts the app must not be seen as its failure
            )
        except OSError as error:
            log.error("No process can be started to decode pictures: %s", error)
            raise _not_started() from error
        self._late = False
        try:
            with self._at_most(_START):
                wire.receive(self._answers)
        except (EOFError, wire.WireError) as error:
            self.end()
            log.error("The process that decodes pictures ended while it started.")
            raise _not_started() from error

    @property
    def lives(self) -> bool:
        """Return whether it can take another picture."""
        return not self._late and self._process.poll() is None

    @property
    def _answers(self) -> IO[bytes]:
        assert self._process.stdout is not None
        return self._process.stdout

    def opened(
        self, data: bytes, bounds: Limits, asked: Mapping[str, Any], patience: float
    ) -> Seen:
        """Open the bytes of a file; see `Decoders.opened`.

        Args:
            data: the file.
            bounds: limits on size.
            asked: how it is read, with which limits.
            patience: seconds by the clock.
        """
        try:
            with self._at_most(patience):
                assert self._process.stdin is not None
                wire.send(self._process.stdin, {**asked, "size": len(data)})
                wire.send_bytes(self._process.stdin, data)
                told = wire.receive(self._answers)
                if "error" not in told:
                    return wire.receive_seen(self._answers, told, bounds)
                error = wire.error_told(told["error"])
        except (EOFError, OSError, wire.WireError) as failure:
            raise self._failed(asked["seconds"]) from failure
        raise error

    def end(self) -> None:
        """End it at once."""
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            with suppress(OSError):
                if pipe is not None:
                    pipe.close()
        self._process.wait()

    @contextmanager
    def _at_most(self, seconds: float) -> Iterator[None]:
        """End the process if what is done takes longer; whoever reads then finds no more."""
        timer = threading.Timer(seconds, self._end_late)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _end_late(self) -> None:
        self._late = True
        self._process.kill()

    def _failed(self, seconds: int) -> PictureError:
        """Return what is said of the picture over which the process ended, or was ended."""
        self.end()
        ended_by = -(self._process.returncode or 0)
        slow = getattr(signal, "SIGXCPU", None)
        log.warning("Decoding a picture ended its process: %s", self._process.returncode)
        if self._late or (slow is not None and ended_by == slow):
            return PictureError(
                f"This picture takes longer to decode than the {seconds} seconds that one may "
                "take here. Open it in a picture viewer and save it again, smaller, as a plain "
                "JPEG or PNG.",
                "decoding_slow",
                seconds=seconds,
            )
        return PictureError(
            "This picture ended the program that decodes pictures: it is damaged, or made to do "
            "harm. Open it in a picture viewer and save it again, as a plain JPEG or PNG.",
            "decoding_failed",
        )


def _not_started() -> PictureError:
    return PictureError(
        "Pictures cannot be decoded here at the moment: the program for it does not start. Try "
        "again later; whoever runs this page finds the reason in its log.",
        "decoder_missing",
    )
