"""Downloads that the page has started: one a model, whoever asked for it, in the background.

Visitors can name any model of the hub, and the disk is the owner's: so few run at once, none takes
the last of the disk, and where visitors are strangers, none is larger than the owner wants.
"""

from __future__ import annotations

import logging
import threading

from mmdemo.encoders.spec import ModelSpec
from mmdemo.errors import DownloadError, MMDemoError
from mmdemo.models.files import download_plan
from mmdemo.models.hub.cache import Plan
from mmdemo.models.hub.download import fetch
from mmdemo.models.hub.place import typed_id
from mmdemo.progress import Progress, size_text
from mmdemo.settings import chosen_model, limits, offered_models, paths_accepted

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

    @property
    def missing(self) -> int:
        """Return the bytes that are yet to arrive; 0 until it is known what there is to fetch."""
        return 0 if self.progress is None else self.progress.total - self.progress.done

    def stop(self) -> None:
        """Ask it to end soon. What has arrived is kept."""
        self._stop.set()

    def wait(self) -> None:
        """Return when it has ended."""
        self._thread.join()

    def _run(self) -> None:
        try:
            wanted = download_plan(self._spec)
            _check_size(self._spec, wanted)
            fetch(wanted, self._report, self._stop, reserve=_claim(self, wanted))
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
    """Return the running download of a model; where there is none, start one.

    Raises:
        DownloadError: as many as may be run already.
    """
    most = limits().downloads
    with _lock:
        known = _downloads.get(spec.name)
        if known is not None and known.running:
            return known
        if sum(one.running for one in _downloads.values()) >= most:
            raise DownloadError(
                f"Downloads that run already: {most:,}, as many as may run at once. Start this one "
                "when one of them has ended.",
                "downloads_many",
                limit=f"{most:,}",
            )
        known = _downloads[spec.name] = Download(spec)
        return known


def _check_size(spec: ModelSpec, wanted: Plan) -> None:
    """Refuse what is too large for a stranger to have fetched.

    Raises:
        DownloadError: it is, and the owner has not named it.
    """
    most = limits().download_mb * 10**6
    owners = {typed_id(name) for name in [*offered_models(), chosen_model()]}
    if paths_accepted() or spec.name in owners or wanted.total <= most:
        return
    size, limit = size_text(wanted.total), size_text(most)
    raise DownloadError(
        f"{spec.name} takes {size} on disk; visitors may have models of up to {limit} fetched. "
        "Choose a smaller one. Whoever runs the page can name this one in MMDEMO_MODELS, or raise "
        "MMDEMO_LIMITS_DOWNLOAD_MB.",
        "download_large",
        name=spec.name,
        size=size,
        limit=limit,
    )


def _claim(download: Download, wanted: Plan) -> int:
    """Claim the disk that a download needs; return what of it is not for this one, in bytes."""
    with _lock:
        others = sum(one.missing for one in _downloads.values() if one.running)
        download.progress = Progress(wanted.here, wanted.total, 0.0)
    return limits().disk_mb * 10**6 + others


def latest(spec: ModelSpec) -> Download | None:
    """Return the download of a model that was started last, or None."""
    return _downloads.get(spec.name)
