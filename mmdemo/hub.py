"""Weights from a model hub: found in its cache, else fetched once, with progress and resumption.

huggingface_hub knows the addresses, the credentials and the layout of the cache, in which other
programs find the files too. The bytes are read here, because its own downloads keep nothing of an
interrupted attempt: each writes to a name of its own (its pull request 4228), and 3.5 GB over a
hotel's network would never arrive.

It reads HF_ENDPOINT, HF_HOME and HF_HUB_OFFLINE once, when it is imported. Here they are read when
they are needed, in one place, `hub_place`, and handed to it: so they hold whenever they are set.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from mmdemo.encoders.spec import HubFiles
from mmdemo.errors import DownloadError, MMDemoError
from mmdemo.progress import Meter, Report, size_text

if TYPE_CHECKING:
    from huggingface_hub.errors import HfHubHTTPError

# A name or a version that becomes a part of a path: a mirror may say anything.
_SAFE = r"\w[\w.-]*"
_PATIENCE = 10.0  # seconds for a short answer
_ATTEMPTS = 4  # in a row without a single byte: half a minute


@dataclass(frozen=True)
class HubPlace:
    """Where the hub is asked, and where its files are kept.

    Whose credentials are used is no part of it: the library finds the owner's when they are wanted,
    and renews them.

    Attributes:
        endpoint: the hub's address, a mirror's perhaps.
        cache: the folder with its files, in which other programs find them too.
        offline: whether it must not be asked.
    """

    endpoint: str
    cache: Path
    offline: bool

    @property
    def address(self) -> str:
        """Return the address without its scheme."""
        return self.endpoint.partition("://")[2] or self.endpoint

    @property
    def host(self) -> str:
        """Return the name of the machine that is asked, for messages."""
        return urlsplit(self.endpoint).netloc or self.endpoint


def hub_place() -> HubPlace:
    """Return what the environment says now, by the library's own variables and rules."""

    def folder(variable: str, fallback: str) -> str:
        # Not `Path.expanduser`, which fails for a user without a home directory.
        chosen = os.environ.get(variable, fallback)
        return os.path.expandvars(os.path.expanduser(chosen))  # noqa: PTH111

    caches = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    home = folder("HF_HOME", f"{caches}/huggingface")
    older = os.environ.get("HUGGINGFACE_HUB_CACHE", f"{home}/hub")
    offline = os.environ.get("HF_HUB_OFFLINE") or os.environ.get("TRANSFORMERS_OFFLINE", "")
    return HubPlace(
        endpoint=(os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/"),
        cache=Path(folder("HF_HUB_CACHE", older)),
        offline=offline.upper() in ("1", "ON", "YES", "TRUE"),
    )


@dataclass(frozen=True)
class Listing:
    """What a repository holds. Whatever a server says is checked here.

    Attributes:
        sizes: bytes by file name, of the files that are in no folder; 0 where it does not say.
        licence: the licence that its owner names, or empty.
    """

    sizes: Mapping[str, int]
    licence: str


@dataclass(frozen=True)
class RemoteFile:
    """A file of the hub that is not in the cache yet.

    Attributes:
        repo: `owner/name`.
        name: the file's name there.
        commit: the version of the repository.
        etag: the file's own version; SHA-256 of the content where the file is large.
        size: bytes, or None where the server does not say.
        place: where it comes from and goes to.
        anonymous: as of `HubFiles`.
    """

    repo: str
    name: str
    commit: str
    etag: str
    size: int | None
    place: HubPlace
    anonymous: bool = False

    @property
    def blob(self) -> Path:
        """Where the cache keeps the content."""
        return self.place.cache / self._folder / "blobs" / self.etag

    @property
    def lock(self) -> Path:
        """What the library locks while it writes the content."""
        return self.place.cache / ".locks" / self._folder / f"{self.etag}.lock"

    @property
    def _folder(self) -> str:
        from huggingface_hub.file_download import repo_folder_name

        return repo_folder_name(repo_id=self.repo, repo_type="model")

    @property
    def partial(self) -> Path:
        """Where the content grows while it arrives."""
        return self.blob.with_name(f"{self.etag}.incomplete")

    @property
    def here(self) -> int:
        """Return how many bytes have arrived, now or in an earlier attempt."""
        for path in (self.blob, self.partial):
            if path.is_file():
                return path.stat().st_size
        return 0


@dataclass(frozen=True)
class Plan:
    """What a download will fetch.

    Attributes:
        name: the model, for messages.
        files: those that are not in the cache.
    """

    name: str
    files: tuple[RemoteFile, ...]

    @property
    def total(self) -> int:
        """Return the bytes of all the files."""
        return sum(file.size or 0 for file in self.files)

    @property
    def here(self) -> int:
        """Return the bytes that an earlier attempt left here."""
        return sum(file.here for file in self.files)


def cached(groups: Sequence[HubFiles]) -> tuple[Path, ...] | None:
    """Find files in the hub's cache, without a network.

    Returns:
        The folder with the first group's files, then each file of the others; None where one is
        missing.
    """
    from huggingface_hub import try_to_load_from_cache

    cache = hub_place().cache
    found: list[Path] = []
    for group in groups:
        paths = [try_to_load_from_cache(group.repo, name, cache) for name in group.names]
        files = [Path(path) for path in paths if isinstance(path, str)]
        if len(files) < len(paths):
            return None
        found += files if found else [files[0].parent]
    return tuple(found)


def is_hub_id(name: str) -> bool:
    """Say whether a name has the form `owner/name` that the hub gives its repositories."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(name)
    except HFValidationError:
        return False
    return name.count("/") == 1


def snapshot(repo: str) -> Path | None:
    """Return the folder of the hub's cache with a repository's files, without a network.

    Returns:
        The folder; None where the cache has no `config.json` of this repository.
    """
    found = cached([HubFiles(repo, ("config.json",))])
    return found[0] if found else None


def typed_id(text: str) -> str:
    """Return the id in the address of a model's page, as people copy it; any other text trimmed.

    >>> typed_id(" https://huggingface.co/BAAI/bge-m3/tree/main ")
    'BAAI/bge-m3'
    """
    text = text.strip()
    if "/" not in text:
        return text
    hosts = "|".join(re.escape(host) for host in ("huggingface.co", "hf.co", hub_place().address))
    found = re.fullmatch(
        rf"(?:https?://)?(?:{hosts})/(?!datasets/|spaces/)([^/?#\s]+/[^/?#\s]+)(?:[/?#]\S*)?",
        text,
    )
    return found[1] if found and is_hub_id(found[1]) else text


def confirm_public(repo: str, name: str) -> None:
    """Make sure that anybody may fetch a file, with an account or without.

    Raises:
        DownloadError: the hub cannot be reached, or gives the file to some people only.
    """
    place = hub_place()
    with _explained(repo, place.host):
        _ask(repo, name, place, anonymous=True)


def listing(repo: str, *, anonymous: bool = False) -> Listing:
    """Ask the hub what a repository holds.

    Args:
        repo: `owner/name`.
        anonymous: as of `HubFiles`.

    Raises:
        DownloadError: the hub cannot be reached, or has no such repository.
    """
    from huggingface_hub import HfApi

    place = hub_place()
    with _explained(repo, place.host):
        _check_online(place)
        try:
            told = HfApi(place.endpoint, token=_token(anonymous)).model_info(
                repo, files_metadata=True, timeout=_PATIENCE
            )
            sizes = {file.rfilename: file.size for file in told.siblings or ()}
            names = [name for name in sizes if re.fullmatch(_SAFE, name)]
            tags = [str(tag) for tag in told.tags or ()]
        except (AttributeError, KeyError, TypeError, ValueError) as error:  # other JSON, or none
            raise _unusable(repo, place.host) from error
    licences = [
        found[1] for tag in tags if (found := re.fullmatch(r"license:([\w.+-]{1,40})", tag))
    ]
    return Listing(
        {name: max(int(sizes[name] or 0), 0) for name in names}, licences[0] if licences else ""
    )


def fingerprint(groups: Sequence[HubFiles]) -> str:
    """Return 16 hex digits over the versions of files in the hub's cache; empty if one is missing.

    The same on every machine: the cache names a file's content after the version that the hub gave
    it. Where links are not to be had, the version of the whole repository does.
    """
    from huggingface_hub import try_to_load_from_cache

    cache, digest = hub_place().cache, hashlib.sha256()
    for group in groups:
        for name in group.names:
            path = try_to_load_from_cache(group.repo, name, cache)
            if not isinstance(path, str):
                return ""
            content = Path(path).resolve()
            commit = Path(path).parents[name.count("/")].name
            version = content.name if content.parent.name == "blobs" else commit
            digest.update(f"{group.repo}/{name}\0{version}\0".encode())
    return digest.hexdigest()[:16]


def plan(name: str, groups: Sequence[HubFiles]) -> Plan:
    """Ask the hub which files are missing here, and how large they are.

    Args:
        name: the model, for messages.
        groups: the files it needs.

    Raises:
        DownloadError: the hub cannot be reached, or does not have a file.
    """
    place = hub_place()
    with _explained(name, place.host):
        return Plan(
            name,
            tuple(
                _ask(group.repo, file, place, anonymous=group.anonymous)
                for group in groups
                for file in group.names
                if cached([HubFiles(group.repo, (file,))]) is None
            ),
        )


def fetch(wanted: Plan, report: Report, stop: threading.Event | None = None) -> None:
    """Fetch what a plan lists into the hub's cache.

    Args:
        wanted: from `plan`.
        report: called a few times a second.
        stop: set it from another thread to stop soon; what has arrived is kept.

    Raises:
        DownloadError: the disk is too small, the connection broke for good, or it was stopped.
    """
    stop = stop or threading.Event()
    _check_disk(wanted)
    meter = Meter(wanted.here, wanted.total, report)
    for file in wanted.files:
        with _explained(wanted.name, file.place.host, wanted):
            _fetch(file, meter, stop)
            _enter(file)


def _token(anonymous: bool) -> bool | None:
    """Return what the library calls `token`.

    None has it find the owner's credentials: a token in HF_TOKEN or its file, where there is one.
    """
    return False if anonymous else None


def _check_online(place: HubPlace) -> None:
    from huggingface_hub.errors import OfflineModeIsEnabled

    if place.offline:
        raise OfflineModeIsEnabled("HF_HUB_OFFLINE is set")


def _ask(repo: str, name: str, place: HubPlace, *, anonymous: bool) -> RemoteFile:
    """Ask the hub for a file's version and size: one HEAD request."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_url
    from huggingface_hub.errors import FileMetadataError

    _check_online(place)
    url = hf_hub_url(repo, name, endpoint=place.endpoint)
    facts = get_hf_file_metadata(url, token=_token(anonymous), endpoint=place.endpoint)
    if not all(re.fullmatch(_SAFE, part or "") for part in (facts.commit_hash, facts.etag)):
        raise FileMetadataError(f"no version of {repo}/{name}")
    commit, etag = str(facts.commit_hash), str(facts.etag)
    return RemoteFile(repo, name, commit, etag, facts.size, place, anonymous)


def _fetch(file: RemoteFile, meter: Meter, stop: threading.Event) -> None:
    """Bring one file's content into the cache, going on where an earlier attempt stopped."""
    from huggingface_hub.utils import WeakFileLock

    _check_online(file.place)
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

    headers = build_hf_headers(token=_token(file.anonymous))
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
        token=_token(file.anonymous),
    )


def _check_stop(stop: threading.Event) -> None:
    if stop.is_set():
        raise DownloadError(
            "The download was stopped. Start it again to go on: what has arrived is kept.",
            "download_stopped",
        )


def _check_disk(wanted: Plan) -> None:
    needed = wanted.total - wanted.here
    for file in wanted.files[:1]:
        disk = next(parent for parent in file.blob.parents if parent.is_dir())
        free = shutil.disk_usage(disk).free
        if free < needed:
            raise _disk_full(wanted.name, needed, free)


def _disk_full(name: str, needed: int, free: int) -> DownloadError:
    needs, has = size_text(needed), size_text(free)
    return DownloadError(
        f"{name} needs {needs} more on the disk of the model cache, where {has} are free. "
        "Free some space, or set HF_HOME to a folder on a larger disk.",
        "disk_full",
        name=name,
        needed=needs,
        free=has,
    )


@contextmanager
def _explained(name: str, host: str, wanted: Plan | None = None) -> Iterator[None]:
    """Turn what goes wrong between here and the hub into a sentence.

    Args:
        name: the model.
        host: where the hub is asked.
        wanted: what is being fetched, once it is known.
    """
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

    try:
        yield
    except MMDemoError:
        raise
    except OfflineModeIsEnabled as error:
        reason = "HF_HUB_OFFLINE forbids to fetch it"
        raise _offline(name, host, reason, "offline_setting") from error
    except HfHubHTTPError as error:
        raise _refused(name, host, error) from error
    except LocalEntryNotFoundError as error:
        raise _broken_off(name, host, wanted) from error
    except OSError as error:
        if wanted is not None and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise _disk_full(name, wanted.total - wanted.here, 0) from error
        raise _unusable(name, host) from error
    except Exception as error:  # the HTTP client's own: httpx or httpx2, by version
        raise _broken_off(name, host, wanted) from error


def _offline(name: str, host: str, reason: str, code: str) -> DownloadError:
    return DownloadError(
        f"{name} is not on this machine and {reason}: run 'python -m mmdemo download {name}' ahead "
        "of time where there is a network, set HF_ENDPOINT to a mirror, or put a local directory "
        "with its files into MMDEMO_MODELS.",
        code,
        name=name,
        host=host,
    )


def _broken_off(name: str, host: str, wanted: Plan | None) -> DownloadError:
    if wanted is None or not wanted.here:
        return _offline(name, host, f"{host} cannot be reached", "offline")
    here, total = size_text(wanted.here), size_text(wanted.total)
    return DownloadError(
        f"The download of {name} broke off; {here} of {total} are kept. Check the connection and "
        "start it again: it goes on where it stopped.",
        "broken_off",
        name=name,
        here=here,
        total=total,
    )


def _refused(name: str, host: str, error: HfHubHTTPError) -> DownloadError:
    from huggingface_hub.errors import RepositoryNotFoundError

    if isinstance(error, RepositoryNotFoundError):
        return _no_repository(name, host)
    status = error.response.status_code
    return DownloadError(
        f"{host} answered {status} instead of the files of {name}. Try again later, or check "
        "HF_ENDPOINT and, where the hub wants to know who asks, HF_TOKEN.",
        "hub_refused",
        name=name,
        host=host,
        status=status,
    )


def _no_repository(name: str, host: str) -> DownloadError:
    return DownloadError(
        f"{host} has no public model {name}. Check its spelling, as in 'owner/name'; where it "
        "is private, or wants its terms accepted first, whoever runs this sets HF_TOKEN and, for a "
        "page that others see, names it in MMDEMO_MODELS.",
        "no_repository",
        name=name,
        host=host,
    )


def _unusable(name: str, host: str) -> DownloadError:
    return DownloadError(
        f"The files of {name} could not be fetched: {host} does not answer as a model hub does, "
        "or the model cache cannot be written. Check HF_ENDPOINT and HF_HOME.",
        "hub_unusable",
        name=name,
        host=host,
    )
