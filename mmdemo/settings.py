"""What the environment decides: limits, which models the page offers, and who may see it.

Read on every call, never at import, so that a test or a Space can change a variable and see it.
"""

from __future__ import annotations

import ipaddress
import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeAlias

from mmdemo.errors import SettingError

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

_PRIVATE: tuple[Network, ...] = tuple(
    ipaddress.ip_network(network)
    for network in (
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "fc00::/7",
        "fe80::/10",
        "::1/128",
    )
)

_DIGITS = 18  # a longer number is no limit; of thousands of digits Python makes none


@dataclass(frozen=True)
class Limits:
    """Limits on input, on what runs at once, and on downloads, each a whole number of at least 1.

    The variable of each is its name in capitals after `MMDEMO_LIMITS_`, as in
    `MMDEMO_LIMITS_UPLOAD_MB`.

    Attributes:
        upload_mb: largest picture file, in megabytes of 10^6 bytes.
        pixels: largest width x height. A decoded pixel costs 3 to 4 bytes.
        aspect: largest ratio of long to short side. A 20000 x 1 picture is 144 bytes as a PNG and
            grows to gigabytes when its short side is scaled to 224.
        text: longest text, in characters.
        pictures: most pictures in one classification.
        labels: most candidate labels.
        templates: most templates of one's own.
        prompts: most labels x templates of one classification: each is a text to embed. 1,000
            labels in 20 templates, or 250 in the largest set that ships.
        scores: most pictures x labels of one classification. Each is up to four numbers of the
            answer and a cell of the page's table: 20,000 are a megabyte or two. 50 pictures with
            400 labels, or 20 with 1,000.
        document: longest text for a model that reads whole documents, and all passages of one
            ranking together, in characters.
        passages: most passages of one ranking.
        items: most pictures and texts that are made vectors of at once: 500 vectors of 1,024
            numbers are 6 MB of JSON.
        jobs: most classifications, rankings and the like that one caller has waiting or running at
            once.
        seconds: longest that one of those may take at an endpoint.
        caller: most requests of one caller that wait or run at once. A page makes about ten when
            it opens; while somebody types, one a handler.
        line: most requests of all callers that wait or run at once.
        downloads: most downloads that the page has running at once.
        download_mb: largest download of a model that the owner did not name, where visitors may
            not name directories, in megabytes.
        disk_mb: what no download of the page may take from the disk, in megabytes.
    """

    upload_mb: int = 20
    pixels: int = 50_000_000
    aspect: int = 50
    text: int = 10_000
    pictures: int = 50
    labels: int = 1_000
    templates: int = 100
    prompts: int = 20_000
    scores: int = 20_000
    document: int = 100_000
    passages: int = 50
    items: int = 500
    jobs: int = 2
    seconds: int = 600
    caller: int = 32
    line: int = 1_000
    downloads: int = 2
    download_mb: int = 5_000
    disk_mb: int = 2_000


def limits() -> Limits:
    """Read the limits from the environment.

    Raises:
        SettingError: a variable is not a whole number of at least 1.
    """
    return Limits(**{name: limit(name) for name in asdict(Limits())})


def limit(name: str) -> int:
    """Read one of the limits; errors as of `limits`."""
    return _positive(limit_variable(name), getattr(Limits(), name))


def limit_variable(name: str) -> str:
    """Return the environment variable of a limit.

    >>> limit_variable("upload_mb")
    'MMDEMO_LIMITS_UPLOAD_MB'
    """
    return f"MMDEMO_LIMITS_{name.upper()}"


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
    return not _is_public()


def _is_public() -> bool:
    """Say whether the page is served to others than this machine, as far as is known here."""
    ways = ("SPACE_ID", "GRADIO_SHARE", "GRADIO_ROOT_PATH")
    return any(os.environ.get(name) for name in ways) or not _is_loopback(
        os.environ.get("GRADIO_SERVER_NAME", "")
    )


def decoded_apart() -> bool:
    """Say whether the page has pictures decoded in processes of their own.

    `MMDEMO_DECODER` decides, `process` or `thread`. Without it, where strangers may send pictures:
    the page is served to others than this machine, or its visitors may not name directories.

    Raises:
        SettingError: it is neither, or `MMDEMO_PATHS` is neither of its own.
    """
    chosen = os.environ.get("MMDEMO_DECODER", "").strip().lower()
    if chosen not in ("", "process", "thread"):
        raise SettingError(
            f"MMDEMO_DECODER is '{chosen[:40]}'; it takes process, so that a picture made to do "
            "harm cannot harm the page, or thread, which takes less memory.",
            "setting_decoder",
            value=chosen[:40],
        )
    return chosen == "process" if chosen else _is_public() or not paths_accepted()


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
            "or 0.",
            "setting_switch",
            variable=variable,
            value=chosen,
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


def tools_served() -> bool:
    """Say whether the endpoints are tools of an MCP server too: `MMDEMO_MCP`, 1 or 0, as without.

    Raises:
        SettingError: it is neither; or there is a password, which such a server does not ask for.
    """
    chosen = os.environ.get("MMDEMO_MCP", "").strip()
    if chosen not in ("", "0", "1"):
        raise SettingError(
            f"MMDEMO_MCP is '{chosen}'; it takes 1 where the endpoints are to be tools of an MCP "
            "server, or 0.",
            "mcp_setting",
            given=chosen,
        )
    if chosen == "1" and passwords():
        raise SettingError(
            "MMDEMO_MCP and MMDEMO_PASSWORD are both set, and whoever calls a tool has no way to "
            "log in. Take one of them away.",
            "mcp_password",
        )
    return chosen == "1"


def memory_mb() -> int:
    """Return `MMDEMO_MEMORY`: most megabytes (10^6 bytes) of weights and caches; 0 where not set.

    Raises:
        SettingError: it is no whole number of at least 1.
    """
    return _positive("MMDEMO_MEMORY", 0)


def server_port() -> int | None:
    """Return `GRADIO_SERVER_PORT`, where the page is served; None where any free port will do.

    Raises:
        SettingError: it is no port.
    """
    given = os.environ.get("GRADIO_SERVER_PORT", "").strip()
    if given and not (given.isdecimal() and 1 <= int(given[:9]) <= 65_535):
        raise SettingError(
            f"GRADIO_SERVER_PORT is '{given[:40]}'; it takes a port, a whole number from 1 to "
            "65535, such as 7860. Without it, the first free one from 7860 on is taken.",
            "setting_port",
            value=given[:40],
        )
    return int(given) if given else None


def chosen_device() -> str:
    """Return `MMDEMO_DEVICE`, as torch names devices; empty where it is not set.

    Raises:
        SettingError: it names none that models run on here.
    """
    chosen = os.environ.get("MMDEMO_DEVICE", "").strip().lower()
    if chosen and not re.fullmatch(r"cpu|cuda(:\d+)?", chosen):
        raise SettingError(
            f"MMDEMO_DEVICE is '{chosen[:40]}'; it takes cpu, cuda, or a numbered one such as "
            "cuda:1. Without it, models run on cuda where torch finds it.",
            "setting_device",
            value=chosen[:40],
        )
    return chosen


def proxies() -> tuple[Network, ...]:
    """Return whose word is taken for the address that a request comes from: `MMDEMO_PROXY`.

    Addresses or networks, comma-separated. Without it, nobody's; but on a Space, which only the
    platform's own proxy can reach, from a private address, that of all private addresses.

    Raises:
        SettingError: an entry is neither an address nor a network.
    """
    given = os.environ.get("MMDEMO_PROXY", "").strip()
    if not given:
        return _PRIVATE if os.environ.get("SPACE_ID") else ()
    try:
        return tuple(ipaddress.ip_network(one.strip()) for one in given.split(","))
    except ValueError as error:
        raise SettingError(
            f"MMDEMO_PROXY is '{given}'; it takes addresses or networks, comma-separated, such as "
            "127.0.0.1, 10.0.0.0/8.",
            "setting_proxy",
            value=given,
        ) from error


def passwords() -> list[tuple[str, str]]:
    """Return who may see the page, by name and secret: `MMDEMO_PASSWORD`; empty for everybody.

    Raises:
        SettingError: an entry is not `name:secret`. What stands there is not repeated.
    """
    given = os.environ.get("MMDEMO_PASSWORD", "").strip()
    pairs = [one.strip().partition(":")[::2] for one in given.split(",")] if given else []
    if not all(name.strip() and secret for name, secret in pairs):
        raise SettingError(
            "MMDEMO_PASSWORD does not have the form name:secret; several are separated by commas, "
            "so that no secret can hold one.",
            "setting_password",
        )
    return [(name.strip(), secret) for name, secret in pairs]


def log_level() -> str:
    """Return from which level on the log of a page that is served holds what happens in it.

    `MMDEMO_LOG`: 1, as without it, for a line a request; 0 for warnings alone; or a level by name.

    Raises:
        SettingError: it is something else.
    """
    given = os.environ.get("MMDEMO_LOG", "").strip().upper()
    level = {"": "INFO", "1": "INFO", "0": "WARNING"}.get(given, given)
    if level not in ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"):
        raise SettingError(
            f"MMDEMO_LOG is '{given}'; it takes 1 for a line a request, 0 for warnings alone, or "
            "the name of a level, such as DEBUG.",
            "setting_log",
            value=given,
        )
    return level


def send_no_telemetry() -> None:
    """Keep the hub's library from reporting what is used here, unless the owner wants it to.

    The library looks once, when it is imported: to be called before.
    """
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")


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
    if not value.isdecimal() or len(value) > _DIGITS or int(value) < 1:
        raise SettingError(
            f"{variable} is '{value[:40]}'; it takes a whole number of at least 1, such as "
            f"{fallback or 2000}.",
            "setting_number",
            variable=variable,
            value=value[:40],
        )
    return int(value)
