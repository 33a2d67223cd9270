"""Where the hub is asked, where its files are kept, and what its names look like.

huggingface_hub reads HF_ENDPOINT, HF_HOME and HF_HUB_OFFLINE once, when it is imported. Here they
are read when they are needed, in one place, `hub_place`, and handed to it: so they hold whenever
they are set.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit


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


def is_hub_id(name: str) -> bool:
    """Say whether a name has the form `owner/name` that the hub gives its repositories."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(name)
    except HFValidationError:
        return False
    return name.count("/") == 1


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
