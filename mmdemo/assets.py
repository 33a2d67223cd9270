"""What ships with the app: where it is, whether it is complete, what tells it from another."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mmdemo.errors import ModelError

_PACKAGE = Path(__file__).resolve().parent
# Inside the package where it was installed, beside it in a clone.
ASSETS = (_PACKAGE if (_PACKAGE / "assets").is_dir() else _PACKAGE.parent) / "assets"


def package_files(folder: str) -> Path:
    """Return a folder of weights that ships with the app.

    Raises:
        ModelError: the folder is incomplete, as after a clone without its large files.
    """
    path = ASSETS / folder
    if missing := missing_files(path):
        raise ModelError(
            f"The files of '{folder}' that ship with the app are incomplete; missing or cut off: "
            f"{', '.join(missing)}. Clone the repository again (with its LFS files, where used).",
            "shipped_incomplete",
            name=folder,
            missing=", ".join(missing),
        )
    return path


def missing_files(path: Path) -> list[str]:
    """Return the names in the folder's `config.json` that are absent or of another size."""
    try:
        sizes: dict[str, int] = dict(read_config(path)["files"])
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return ["config.json"]
    return [
        name
        for name, size in sizes.items()
        if not (path / name).is_file() or (path / name).stat().st_size != size
    ]


def read_config(path: Path) -> dict[str, Any]:
    """Read a folder's `config.json`."""
    return json.loads((path / "config.json").read_text(encoding="utf-8"))


def fingerprint(path: Path) -> str:
    """Return 16 hex digits of SHA-256 over a folder's weights: which model a number belongs to.

    A table of characters (.tsv) that are read as others is not among them: it changes no number of
    a text without these, and what was measured on such texts stays true.
    """
    digest = hashlib.sha256()
    for name in sorted(name for name in read_config(path)["files"] if not name.endswith(".tsv")):
        digest.update(name.encode() + b"\0" + (path / name).read_bytes())
    return digest.hexdigest()[:16]


def files_fingerprint(paths: Iterable[Path]) -> str:
    """Return 16 hex digits over the names, sizes and times of files: cheap, for gigabytes too.

    Raises:
        OSError: a file is not there.
    """
    digest = hashlib.sha256()
    for path in sorted(paths):
        facts = path.stat()
        digest.update(f"{path.name}\0{facts.st_size}\0{facts.st_mtime_ns}\0".encode())
    return digest.hexdigest()[:16]
