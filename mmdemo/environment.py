"""The settings as a whole, before a page starts: all that is wrong with them, in one message.

Each is read where it is used (`settings.py`), which for most is at somebody's first click. A slip
of the pen is told before; and a name that is misspelt, which nobody would ever read.
"""

from __future__ import annotations

import difflib
import logging
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import fields

from mmdemo.errors import SettingError
from mmdemo.settings import (
    Limits,
    chosen_device,
    decoded_apart,
    hub_ids_accepted,
    limit,
    limit_variable,
    log_level,
    memory_mb,
    passwords,
    paths_accepted,
    proxies,
    server_port,
    tools_served,
)
from mmdemo.versions import LEAST, check_version

log = logging.getLogger(__name__)

_PREFIX = "MMDEMO_"

VARIABLES = frozenset(
    {
        *(limit_variable(one.name) for one in fields(Limits)),
        "MMDEMO_CACHE",
        "MMDEMO_DECODER",
        "MMDEMO_DEVICE",
        "MMDEMO_HUB_IDS",
        "MMDEMO_LOG",
        "MMDEMO_MCP",
        "MMDEMO_MEMORY",
        "MMDEMO_MODEL",
        "MMDEMO_MODELS",
        "MMDEMO_PASSWORD",
        "MMDEMO_PATHS",
        "MMDEMO_PROXY",
    }
)
"""Every setting of ours."""

_READERS: tuple[Callable[[], object], ...] = (
    paths_accepted,
    hub_ids_accepted,
    tools_served,
    memory_mb,
    chosen_device,
    decoded_apart,
    proxies,
    passwords,
    log_level,
    server_port,
)


def check_settings() -> None:
    """Make sure that the environment makes sense, and that the packages are safe.

    A name that is like none of ours is only logged: it may be somebody else's.

    Raises:
        SettingError: it does not; the message has a line for each setting that is wrong.
    """
    # By their sentences: two settings may depend on one that is wrong.
    wrong = list({str(error): error for error in _errors()}.values())
    if len(wrong) == 1:
        raise wrong[0]
    if wrong:
        lines = "\n".join(f"- {error}" for error in wrong)
        raise SettingError(f"{len(wrong)} settings make no sense.\n{lines}", "settings_wrong")


def _errors() -> Iterator[SettingError]:
    limits = [lambda name=one.name: limit(name) for one in fields(Limits)]
    packages = [lambda name=name: check_version(name) for name in LEAST]
    for read in (*_READERS, *limits, *packages):
        try:
            read()
        except SettingError as error:
            yield error
    yield from _host_errors()
    yield from _misspelt()


def _host_errors() -> Iterator[SettingError]:
    """Yield what is wrong with the addresses that gradio reads: of the server, of a proxy."""
    given = os.environ.get("GRADIO_SERVER_NAME", "").strip()
    if given and not re.fullmatch(r"[\w.-]+|\[?[0-9a-fA-F:.]+(%\w+)?\]?", given):
        yield SettingError(
            f"GRADIO_SERVER_NAME is '{given}'; it takes a name or an address of this machine "
            "alone, such as 127.0.0.1, or 0.0.0.0 for all of them. The port is GRADIO_SERVER_PORT.",
            "setting_host",
            value=given,
        )
    root = os.environ.get("GRADIO_ROOT_PATH", "").strip()
    if root and not re.fullmatch(r"(https?://[^\s/?#]+)?(/[^\s?#]*)?", root):
        yield SettingError(
            f"GRADIO_ROOT_PATH is '{root[:80]}'; it takes the path below which a proxy shows the "
            "page, such as /demo, or the whole address, such as https://example.org/demo.",
            "setting_root",
            value=root[:80],
        )


def _misspelt() -> Iterator[SettingError]:
    known = [name.removeprefix(_PREFIX) for name in sorted(VARIABLES)]
    for name in sorted(os.environ):
        if not name.startswith(_PREFIX) or name in VARIABLES:
            continue
        # Without what all have in common, which would make any two alike.
        close = difflib.get_close_matches(name.removeprefix(_PREFIX), known, n=1)
        if not close:
            log.warning("There is no setting %s, and nothing heeds it.", name)
            continue
        yield SettingError(
            f"There is no setting {name}. Did you mean {_PREFIX}{close[0]}?",
            "setting_unknown",
            variable=name,
            known=_PREFIX + close[0],
        )
