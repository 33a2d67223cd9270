"""Downloads that the page has started: one a model, whoever asked for it, in the background."""

from __future__ import annotations

import logging
import threading

from mmdemo.encoders.spec import ModelSpec
from mmdemo.errors import DownloadError, MMDemoError
from mmdemo.models.files import download_plan
from mmdemo.models.hub.download import fetch
from mmdemo.progress import Progress

log = logging.getLogger(__name__)


class Download:
    """A model on its way to this machine. It goes on when the visitor who started it leaves.

    Attributes:
        progress: how far it is; None until the hub has said what there is to fetch.
        error: why it ended without the model, or None.
    """

    def __init__(self, spec: ModelSpec) -> None:
        """Start it."""
        self.progress: Progress | None = None
        self.error: MMDemoError | None = None
        self._spec = spec
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=spec.name, daemon=True)
        self._thread.start()

    @property
    def running(self) -> bool:
        """True until it has ended, well or not."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """Ask it to end soon. What has arrived is kept."""
        self._stop.set()

    def wait(self) -> None:
        """Return when it has ended."""
        self._thread.join()

    def _run(self) -> None:
        try:
            fetch(download_plan(self._spec), self._report, self._stop)
        except MMDemoError as error:
            self.error = error
        except Exception:  # nobody else would learn of it: this is a thread of its own
            log.exception("The download of %s failed", self._spec.name)
            self.error = DownloadError("The download failed; the log says why.", "download_failed")

    def _report(self, progress: Progress) -> None:
        self.progress = progress


_downloads: dict[str, Download] = {}
_lock = threading.Lock()


def start(spec: ModelSpec) -> Download:
    """Return the running download of a model; where there is none, start one."""
    with _lock:
        known = _downloads.get(spec.name)
        if known is None or not known.running:
            known = _downloads[spec.name] = Download(spec)
        return known


def latest(spec: ModelSpec) -> Download | None:
    """Return the download of a model that was started last, or None."""
    return _downloads.get(spec.name)
