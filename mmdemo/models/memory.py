"""How much memory weights and caches may take, and how much this process has."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from pathlib import Path

from mmdemo.settings import memory_mb

_SHARE = 0.6
"""Of what the container allows. The rest is for the program itself (0.6 to 0.9 GB with torch and
gradio), for pictures while they are opened, and for what a forward pass needs for its length."""

_PROC = Path("/proc")
_CGROUPS = Path("/sys/fs/cgroup")


def budget() -> int:
    """Return the most bytes of weights and caches: `MMDEMO_MEMORY`, or a share of the container's.

    Raises:
        SettingError: `MMDEMO_MEMORY` is no whole number of at least 1.
    """
    chosen = memory_mb()
    return chosen * 1_000_000 if chosen else int(_SHARE * allowed())


def allowed() -> int:
    """Return the bytes that this process may use: the least of its control groups and the machine.

    A container's limit is that of its control group; the machine's own memory says nothing of it.
    """
    limits = [_of_machine()]
    for path in _limit_files():
        try:
            text = path.read_text(encoding="ascii").strip()
        except (OSError, ValueError):
            continue
        if text.isdecimal():  # else "max"
            limits.append(int(text))
    return min(limits)


def _limit_files() -> list[Path]:
    """Return the files that may hold a limit: of this process's group and of those around it.

    Control groups of version 2 have `memory.max`, of version 1 `memory.limit_in_bytes`; inside of a
    container its own group stands at the root.
    """
    found = [_CGROUPS / "memory.max", _CGROUPS / "memory/memory.limit_in_bytes"]
    try:
        lines = (_PROC / "self/cgroup").read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return found
    for line in lines:  # number:controllers:path
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        root, name = _CGROUPS, "memory.max"
        if controllers:
            root, name = _CGROUPS / "memory", "memory.limit_in_bytes"
        if controllers in ("", "memory"):
            group = root / path.strip("/")
            found += [one / name for one in (group, *group.parents) if one.is_relative_to(root)]
    return found


def _of_machine() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not on Windows
        return 8 * 2**30


def resident() -> int:
    """Return the bytes of this process that are in memory; 0 where the system does not say."""
    try:
        pages = int((_PROC / "self/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError, AttributeError):
        return 0


def give_back() -> None:
    """Give back to the system what is no longer used: the C library keeps it for later."""
    gc.collect()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of glibc, not of others
        if trim is not None:
            trim(0)
