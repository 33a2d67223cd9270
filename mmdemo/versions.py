"""The oldest versions of packages that this may run with, and why."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, version

from mmdemo.errors import SettingError

LEAST = {
    # CVE-2026-4372: before, a config.json runs code, whatever `trust_remote_code` says.
    "transformers": (5, 3),
    # CVE-2026-25990 and CVE-2026-42311: before, a picture file writes out of bounds.
    "pillow": (12, 3),
    # What the page is tested with: it puts parts of its own in the place of gradio's.
    "gradio": (6, 31),
}
"""By package, the first two numbers of its version; the same as in requirements.txt."""


def check_version(package: str) -> None:
    """Make sure that a package is not older than what is safe.

    Raises:
        SettingError: it is; the message says what to install.
    """
    least = LEAST[package]
    try:
        here = version(package)
    except PackageNotFoundError:  # whoever imports it says so
        return
    found = re.match(r"(\d+)\.(\d+)", here)
    if found and (int(found[1]), int(found[2])) < least:
        wanted = ".".join(map(str, least))
        raise SettingError(
            f"{package} {here} is installed, and is not used: older than {wanted}, it is not safe "
            f"with files of strangers, or not what this was tested with. Run: pip install "
            f"'{package}>={wanted}'",
            "package_too_old",
            package=package,
            version=here,
            least=wanted,
        )
