"""The files of a described model: whether they are here, which they are, what is missing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from mmdemo.assets import ASSETS, files_fingerprint, read_config
from mmdemo.encoders.spec import ModelSpec
from mmdemo.errors import ModelError
from mmdemo.models.hub import cache
from mmdemo.models.hub.ask import plan
from mmdemo.models.hub.cache import Plan, cached
from mmdemo.models.hub.download import fetch
from mmdemo.progress import Report


def on_this_machine(spec: ModelSpec) -> bool:
    """Say whether no network is needed for a model: what was to be fetched of it is here.

    Of one that ships, or that is in a folder, nothing can be fetched; what is missing of it is said
    by whoever loads it.
    """
    return not spec.hub or cached(spec.hub) is not None


def fingerprint(spec: ModelSpec) -> str:
    """Return what tells the weights from others, 16 hex digits; empty where they are not here."""
    try:
        if spec.hub:
            return cache.fingerprint(spec.hub)
        if spec.local:
            return files_fingerprint(all_files(spec.local))
        return str(read_config(_shipped(spec))["fingerprint"])
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return ""


def download_plan(spec: ModelSpec) -> Plan:
    """Ask the hub what of a model is still to be fetched, and how large it is.

    Raises:
        DownloadError: the hub cannot be reached, or does not have a file.
    """
    return plan(spec.name, spec.hub)


def files(spec: ModelSpec, progress: Report) -> tuple[Path, ...]:
    """Return the folder and the files that an encoder is made from, fetched where need be.

    Args:
        spec: the model.
        progress: called while weights are fetched.

    Raises:
        ModelError: the hub's cache does not hold them although they were fetched.
        DownloadError: they are not here and cannot be fetched.
    """
    if not spec.hub:
        return spec.local
    if (found := cached(spec.hub)) is None:
        fetch(download_plan(spec), progress)
        found = cached(spec.hub)
    if found is None:
        raise ModelError(
            f"The hub's cache does not hold the files of {spec.name} although they were fetched. "
            "Delete its folder in the cache and download them again.",
            "cache_incomplete",
            name=spec.name,
        )
    return found


def all_files(paths: Iterable[Path]) -> Iterator[Path]:
    """Yield files, and those that directly are in a folder."""
    for path in paths:
        if path.is_dir():
            yield from (file for file in path.iterdir() if file.is_file())
        else:
            yield path


def _shipped(spec: ModelSpec) -> Path:
    return ASSETS / spec.source.removeprefix("package:")
