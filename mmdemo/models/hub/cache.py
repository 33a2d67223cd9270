"""What the hub's cache holds, and where it keeps what is on its way; all without a network."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mmdemo.encoders.spec import HubFiles
from mmdemo.models.hub.place import HubPlace, hub_place


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


def snapshot(repo: str) -> Path | None:
    """Return the folder of the hub's cache with a repository's files, without a network.

    Returns:
        The folder; None where the cache has no `config.json` of this repository.
    """
    found = cached([HubFiles(repo, ("config.json",))])
    return found[0] if found else None


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
