"""What the environment decides: the limits on input, and which models the page offers.

Read on every call, never at import, so that a test or a Space can change a variable and see it.
"""

from __future__ import annotations

import ipaddress
import os
import re
from dataclasses import dataclass
from pathlib import Path

from mmdemo.errors import SettingError


@dataclass(frozen=True)
class Limits:
    """Limits on one visitor's input.

    Attributes:
        upload_mb: largest picture file, in megabytes of 10^6 bytes (`MMDEMO_LIMITS_UPLOAD_MB`).
        pixels: largest width x height (`MMDEMO_LIMITS_PIXELS`). A decoded pixel costs 3 to 4 bytes.
        aspect: largest ratio of long to short side (`MMDEMO_LIMITS_ASPECT`). A 20000 x 1 picture
            is 144 bytes as a PNG and grows to gigabytes when its short side is scaled to 224.
        text: longest text, in characters (`MMDEMO_LIMITS_TEXT`).
        pictures: most pictures in one classification (`MMDEMO_LIMITS_PICTURES`).
        labels: most candidate labels (`MMDEMO_LIMITS_LABELS`).
        templates: most templates of one's own (`MMDEMO_LIMITS_TEMPLATES`).
        prompts: most labels x templates of one classification (`MMDEMO_LIMITS_PROMPTS`): each is a
            text to embed. 1,000 labels in 20 templates, or 250 in the largest set that ships.
        document: longest text for a model that reads whole documents, and all passages of one
            ranking together, in characters (`MMDEMO_LIMITS_DOCUMENT`).
        passages: most passages of one ranking (`MMDEMO_LIMITS_PASSAGES`).
    """

    upload_mb: int = 20
    pixels: int = 50_000_000
    aspect: int = 50
    text: int = 10_000
    pictures: int = 50
    labels: int = 1_000
    templates: int = 100
    prompts: int = 20_000
    document: int = 100_000
    passages: int = 50


def limits() -> Limits:
    """Read the limits from the environment.

    Raises:
        SettingError: a variable is not a whole number of at least 1.
    """
    fallback = Limits()
    return Limits(
        upload_mb=_positive("MMDEMO_LIMITS_UPLOAD_MB", fallback.upload_mb),
        pixels=_positive("MMDEMO_LIMITS_PIXELS", fallback.pixels),
        aspect=_positive("MMDEMO_LIMITS_ASPECT", fallback.aspect),
        text=_positive("MMDEMO_LIMITS_TEXT", fallback.text),
        pictures=_positive("MMDEMO_LIMITS_PICTURES", fallback.pictures),
        labels=_positive("MMDEMO_LIMITS_LABELS", fallback.labels),
        templates=_positive("MMDEMO_LIMITS_TEMPLATES", fallback.templates),
        prompts=_positive("MMDEMO_LIMITS_PROMPTS", fallback.prompts),
        document=_positive("MMDEMO_LIMITS_DOCUMENT", fallback.document),
        passages=_positive("MMDEMO_LIMITS_PASSAGES", fallback.passages),
    )


def default_model() -> str:
    """Return the model that is used where none is named: `MMDEMO_MODEL`, or `mini`."""
    return chosen_model() or "mini"


def chosen_model() -> str:
    """Return `MMDEMO_MODEL`, a name or a path; empty where it is not set."""
    return os.environ.get("MMDEMO_MODEL", "").strip()


def offered_models() -> list[str]:
    """Return the names and paths in `MMDEMO_MODELS`, comma-separated; empty where it is not set."""
    return [name.strip() for name in os.environ.get("MMDEMO_MODELS", "").split(",") if name.strip()]


def paths_accepted() -> bool:
    """Say whether whoever sees the page may name directories of this machine.

    `MMDEMO_PATHS` decides, 1 or 0. Without it, only where the page is served to this machine alone:
    not on a Space, not through a tunnel or a proxy, and at no other address.

    Raises:
        SettingError: `MMDEMO_PATHS` is neither.
    """
    chosen = _switch("MMDEMO_PATHS", "directories of this machine")
    if chosen is not None:
        return chosen
    public = ("SPACE_ID", "GRADIO_SHARE", "GRADIO_ROOT_PATH")
    return not any(os.environ.get(name) for name in public) and _is_loopback(
        os.environ.get("GRADIO_SERVER_NAME", "")
    )


def hub_ids_accepted() -> bool:
    """Say whether whoever sees the page may name repositories of the hub, which it then fetches.

    `MMDEMO_HUB_IDS` decides, 1 or 0. Without it, as `paths_accepted`: strangers could fill the
    disk.

    Raises:
        SettingError: `MMDEMO_HUB_IDS` or `MMDEMO_PATHS` is neither.
    """
    chosen = _switch("MMDEMO_HUB_IDS", "repositories of the model hub")
    return paths_accepted() if chosen is None else chosen


def _switch(variable: str, what: str) -> bool | None:
    """Return what a variable says about naming something; None where it is not set."""
    chosen = os.environ.get(variable, "").strip()
    if chosen not in ("", "0", "1"):
        raise SettingError(
            f"{variable} is '{chosen}'; it takes 1 where visitors of the page may name {what}, "
            "or 0."
        )
    return chosen == "1" if chosen else None


def _is_loopback(address: str) -> bool:
    """Say whether a server's address is reached from this machine alone; gradio's default is."""
    if address.strip() in ("", "localhost"):
        return True
    try:
        return ipaddress.ip_address(address.strip()).is_loopback
    except ValueError:
        return False


def memory_mb() -> int:
    """Return `MMDEMO_MEMORY`: most megabytes (10^6 bytes) of weights and caches; 0 where not set.

    Raises:
        SettingError: it is no whole number of at least 1.
    """
    return _positive("MMDEMO_MEMORY", 0)


def chosen_device() -> str:
    """Return `MMDEMO_DEVICE`, as torch names devices; empty where it is not set.

    Raises:
        SettingError: it names none that models run on here.
    """
    chosen = os.environ.get("MMDEMO_DEVICE", "").strip().lower()
    if chosen and not re.fullmatch(r"cpu|cuda(:\d+)?", chosen):
        raise SettingError(
            f"MMDEMO_DEVICE is '{chosen[:40]}'; it takes cpu, cuda, or a numbered one such as "
            "cuda:1. Without it, models run on cuda where torch finds it."
        )
    return chosen


def cache_folder() -> Path | None:
    """Return `MMDEMO_CACHE`, or `~/.cache/mmdemo`; None for a user without a home directory."""
    chosen = os.environ.get("MMDEMO_CACHE", "").strip()
    try:
        return Path(chosen or "~/.cache/mmdemo").expanduser()
    except RuntimeError:
        return None


def _positive(variable: str, fallback: int) -> int:
    value = os.environ.get(variable, "").strip()
    if not value:
        return fallback
    if not value.isdecimal() or int(value) < 1:
        raise SettingError(
            f"{variable} is '{value}'; it takes a whole number of at least 1, such as "
            f"{fallback or 2000}."
        )
    return int(value)
