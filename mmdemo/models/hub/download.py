"""Weights from the model hub: fetched once, with progress and resumption.

huggingface_hub knows the addresses, the credentials and the layout of the cache, in which other
programs find the files too. The bytes are read here, because its own downloads keep nothing of an
interrupted attempt: each writes to a name of its own (its pull request 4228), and 3.5 GB over a
hotel's network would never arrive.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import threading
from contextlib import ExitStack

from mmdemo.errors import DownloadError, MMDemoError
from mmdemo.models.hub.ask import check_online, token
from mmdemo.models.hub.cache import Plan, RemoteFile
from mmdemo.models.hub.failures import disk_full, explained
from mmdemo.progress import Meter, Report

_ATTEMPTS = 4  # in a row without a single byte: half a minute


def fetch(
    wanted: Plan, report: Report, stop: threading.Event | None = None, *, reserve: int = 0
) -> None:
    """Fetch what a plan lists into the hub's cache.

    Args:
        wanted: from `plan`.
        report: called a few times a second.
        stop: set it from another thread to stop soon; what has arrived is kept.
        reserve: bytes of the disk that are not for it.

    Raises:
        DownloadError: the disk is too small, the connection broke for good, or it was stopped.
    """
    stop = stop or threading.Event()
    _check_disk(wanted, reserve)
    meter = Meter(wanted.here, wanted.total, report)
    for file in wanted.files:
        with explained(wanted.name, file.place.host, wanted):
            _fetch(file, meter, stop)
            _enter(file)


def _fetch(file: RemoteFile, meter: Meter, stop: threading.Event) -> None:
    """Bring one file's content into the cache, going on where an earlier attempt stopped."""
    from huggingface_hub.utils import WeakFileLock

    check_online(file.place)
    if file.size is None:
        return  # `_enter` fetches it: only small files come without their size
    for path in (file.blob, file.lock):
        path.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        # Another process may be fetching the same file. Not blocking for good: one can stop.
        while True:
            try:
                stack.enter_context(WeakFileLock(file.lock, timeout=1.0))
                break
            except TimeoutError:
                _check_stop(stop)
        before = file.here
        if not file.blob.exists():
            _complete(file, meter, stop)
            _check_content(file)
            file.partial.replace(file.blob)
        elif before < file.size:
            meter.add(file.size - before)


def _complete(file: RemoteFile, meter: Meter, stop: threading.Event) -> None:
    """Read from the hub until the partial file is whole, over several connections if need be."""
    failures = 0
    while (here := file.here) < (file.size or 0):
        _check_stop(stop)
        try:
            _stream(file, here, meter, stop)
        except Exception as error:  # the HTTP client's own: httpx or httpx2, by version
            if not _may_pass(error) or failures >= _ATTEMPTS:
                raise
        failures = 0 if file.here > here else failures + 1
        stop.wait(2.0**failures - 1.0)


def _stream(file: RemoteFile, start: int, meter: Meter, stop: threading.Event) -> None:
    """Append to the partial file what one connection gives, from byte `start` on."""
    from huggingface_hub import constants, get_session, hf_hub_url
    from huggingface_hub.utils import build_hf_headers, hf_raise_for_status

    headers = build_hf_headers(token=token(file.anonymous))
    headers |= {"Accept-Encoding": "identity", "Range": f"bytes={start}-"}
    endpoint = file.place.endpoint
    url = hf_hub_url(file.repo, file.name, revision=file.commit, endpoint=endpoint)
    session, patience = get_session(), constants.HF_HUB_DOWNLOAD_TIMEOUT
    with session.stream("GET", url, headers=headers, timeout=patience) as answer:
        hf_raise_for_status(answer)
        with file.partial.open("ab") as target:
            if answer.status_code != 206 and start:  # this server sends whole files only
                target.truncate(0)
                meter.add(-start)
            for chunk in answer.iter_bytes():
                target.write(chunk)
                meter.add(len(chunk))
                _check_stop(stop)


def _may_pass(error: Exception) -> bool:
    """Say whether trying again may help: the line broke, or the server was busy."""
    from huggingface_hub.errors import HfHubHTTPError

    if isinstance(error, HfHubHTTPError):
        return error.response.status_code in (408, 429) or error.response.status_code >= 500
    # The disk, or the network forbidden by a setting; our own errors mean what they say.
    return not isinstance(error, OSError | MMDemoError)


def _check_content(file: RemoteFile) -> None:
    """Compare a whole file with its size, and with the SHA-256 that names it where one does."""
    same = file.partial.stat().st_size == file.size
    if same and re.fullmatch(r"[0-9a-f]{64}", file.etag):
        digest = hashlib.sha256()
        with file.partial.open("rb") as content:
            while chunk := content.read(2**20):
                digest.update(chunk)
        same = digest.hexdigest() == file.etag
    if not same:
        file.partial.unlink()
        raise DownloadError(
            f"{file.name} arrived damaged and was deleted. Start the download again.",
            "arrived_damaged",
            file=file.name,
        )


def _enter(file: RemoteFile) -> None:
    """Give the content its name in the cache; the library finds it there and fetches nothing."""
    from huggingface_hub import hf_hub_download

    hf_hub_download(
        file.repo,
        file.name,
        cache_dir=file.place.cache,
        endpoint=file.place.endpoint,
        token=token(file.anonymous),
    )


def _check_stop(stop: threading.Event) -> None:
    if stop.is_set():
        raise DownloadError(
            "The download was stopped. Start it again to go on: what has arrived is kept.",
            "download_stopped",
        )


def _check_disk(wanted: Plan, reserve: int) -> None:
    needed = wanted.total - wanted.here
    for file in wanted.files[:1]:
        disk = next(parent for parent in file.blob.parents if parent.is_dir())
        free = max(shutil.disk_usage(disk).free - reserve, 0)
        if free < needed:
            raise disk_full(wanted.name, needed, free)
