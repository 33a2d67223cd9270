"""Downloads that the page has started: one a model, whoever asked for it, in the background.

Visitors can name any model of the hub, and the disk is the owner's: so few run at once, none takes
the last of the disk, and where visitors are strangers, none is larger than the owner wants.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import replace
from typing import TypeAlias

from mmdemo.encoders.spec import ModelSpec
from mmdemo.errors import DownloadError, MMDemoError
from mmdemo.models.files import download_plan
from mmdemo.models.hub.cache import Plan
from mmdemo.models.hub.download import fetch
from mmdemo.models.hub.place import typed_id
from mmdemo.progress import Progress, size_text
from mmdemo.settings import chosen_model, limits, offered_models, paths_accepted
from mmdemo.work import Shared, Work

log = logging.getLogger(__name__)


Download: TypeAlias = Work[bool]

_downloads: Shared[bool] = Shared()
_claiming = threading.Lock()


def start(spec: ModelSpec) -> Download:
    """Return the running download of a model; where there is none, start one.

    Raises:
        DownloadError: as many as may be run already.
    """
    most = limits().downloads

    def allowed() -> None:
        if len(list(_downloads.running())) >= most:
            raise DownloadError(
                f"Downloads that run already: {most:,}, as many as may run at once. Start this one "
                "when one of them has ended.",
                "downloads_many",
                limit=f"{most:,}",
            )

    return _downloads.start(
        spec.name, lambda work: _fetched(spec, work), name=spec.name, allowed=allowed
    )


def _fetched(spec: ModelSpec, work: Download) -> bool:
    try:
        wanted = download_plan(spec)
        _check_size(spec, wanted)
        fetch(
            wanted,
            lambda told: work.note(replace(told, stage="download")),
            work.stop_event,
            reserve=_claim(work, wanted),
        )
    except MMDemoError:
        raise
    except Exception as error:  # nobody else would learn of it: this is a thread of its own
        log.exception("The download of %s failed", spec.name)
        raise DownloadError("The download failed; the log says why.", "download_failed") from error
    return True


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
    with _claiming:
        others = sum(_missing(one) for one in _downloads.running() if one is not download)
        download.note(Progress(wanted.here, wanted.total, stage="download"))
    return limits().disk_mb * 10**6 + others


def _missing(download: Download) -> int:
    """Return the bytes that are yet to arrive; 0 until it is known what there is to fetch."""
    told = download.progress
    return 0 if told is None else int(told.total - told.done)


def latest(spec: ModelSpec) -> Download | None:
    """Return the download of a model that was started last, or None."""
    return _downloads.latest(spec.name)
