"""Short questions to the hub: what a repository holds, and in which version and size.

Whatever a server says is checked here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mmdemo.encoders.spec import HubFiles
from mmdemo.models.hub.cache import Plan, RemoteFile, cached
from mmdemo.models.hub.failures import explained, unusable
from mmdemo.models.hub.place import HubPlace, hub_place

# A name or a version that becomes a part of a path: a mirror may say anything.
_SAFE = r"\w[\w.-]*"
_PATIENCE = 10.0  # seconds for a short answer


@dataclass(frozen=True)
class Listing:
    """What a repository holds. Whatever a server says is checked here.

    Attributes:
        sizes: bytes by file name, of the files that are in no folder; 0 where it does not say.
        licence: the licence that its owner names, or empty.
    """

    sizes: Mapping[str, int]
    licence: str


def confirm_public(repo: str, name: str) -> None:
    """Make sure that anybody may fetch a file, with an account or without.

    Raises:
        DownloadError: the hub cannot be reached, or gives the file to some people only.
    """
    place = hub_place()
    with explained(repo, place.host):
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
    with explained(repo, place.host):
        check_online(place)
        try:
            told = HfApi(place.endpoint, token=token(anonymous)).model_info(
                repo, files_metadata=True, timeout=_PATIENCE
            )
            sizes = {file.rfilename: file.size for file in told.siblings or ()}
            names = [name for name in sizes if re.fullmatch(_SAFE, name)]
            tags = [str(tag) for tag in told.tags or ()]
        except (AttributeError, KeyError, TypeError, ValueError) as error:  # other JSON, or none
            raise unusable(repo, place.host) from error
    licences = [
        found[1] for tag in tags if (found := re.fullmatch(r"license:([\w.+-]{1,40})", tag))
    ]
    return Listing(
        {name: max(int(sizes[name] or 0), 0) for name in names}, licences[0] if licences else ""
    )


def plan(name: str, groups: Sequence[HubFiles]) -> Plan:
    """Ask the hub which files are missing here, and how large they are.

    Args:
        name: the model, for messages.
        groups: the files it needs.

    Raises:
        DownloadError: the hub cannot be reached, or does not have a file.
    """
    place = hub_place()
    with explained(name, place.host):
        return Plan(
            name,
            tuple(
                _ask(group.repo, file, place, anonymous=group.anonymous)
                for group in groups
                for file in group.names
                if cached([HubFiles(group.repo, (file,))]) is None
            ),
        )


def token(anonymous: bool) -> bool | None:
    """Return what the library calls `token`.

    None has it find the owner's credentials: a token in HF_TOKEN or its file, where there is one.
    """
    return False if anonymous else None


def check_online(place: HubPlace) -> None:
    """Make sure that the hub may be asked.

    Raises:
        OfflineModeIsEnabled: a setting forbids it; `explained` turns it into a sentence.
    """
    from huggingface_hub.errors import OfflineModeIsEnabled

    if place.offline:
        raise OfflineModeIsEnabled("HF_HUB_OFFLINE is set")


def _ask(repo: str, name: str, place: HubPlace, *, anonymous: bool) -> RemoteFile:
    """Ask the hub for a file's version and size: one HEAD request."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_url
    from huggingface_hub.errors import FileMetadataError

    check_online(place)
    url = hf_hub_url(repo, name, endpoint=place.endpoint)
    facts = get_hf_file_metadata(url, token=token(anonymous), endpoint=place.endpoint)
    if not all(re.fullmatch(_SAFE, part or "") for part in (facts.commit_hash, facts.etag)):
        raise FileMetadataError(f"no version of {repo}/{name}")
    commit, etag = str(facts.commit_hash), str(facts.etag)
    return RemoteFile(repo, name, commit, etag, facts.size, place, anonymous)
