"""Where weights come from. So far: the package itself; hub and local directories come with them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmdemo.errors import ModelError

if TYPE_CHECKING:
    import torch

_PACKAGE = Path(__file__).resolve().parent
# Inside the package where it was installed, beside it in a clone.
ASSETS = (_PACKAGE if (_PACKAGE / "assets").is_dir() else _PACKAGE.parent) / "assets"

_SCALE = ".scale"
_PART = ".part-"


def package_files(folder: str) -> Path:
    """Return a folder of weights that ships with the app.

    Raises:
        ModelError: the folder is incomplete, as after a clone without its large files.
    """
    path = ASSETS / folder
    if missing := missing_files(path):
        raise ModelError(
            f"The files of '{folder}' that ship with the app are incomplete; missing or cut off: "
            f"{', '.join(missing)}. Clone the repository again (with its LFS files, where used)."
        )
    return path


def missing_files(path: Path) -> list[str]:
    """Return the names in the folder's `config.json` that are absent or of another size."""
    try:
        sizes: dict[str, int] = read_config(path)["files"]
    except (OSError, ValueError, KeyError):
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
    """Return 16 hex digits of SHA-256 over a folder's weights: which model a number belongs to."""
    digest = hashlib.sha256()
    for name in sorted(read_config(path)["files"]):
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


def quantise_rows(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Pack a state dict: matrices as int8 with one scale a row, everything else as float16.

    Symmetric per-row quantisation: `int8 = round(w / scale)`, `scale = max|w| / 127` of the row
    (Jacob et al. 2018, arXiv 1712.05877, with a zero point of 0).

    Args:
        weights: float tensors by name.

    Returns:
        For each matrix `name` an int8 tensor [rows, columns] and `name.scale` float32 [rows].
    """
    import torch

    packed: dict[str, torch.Tensor] = {}
    for name, tensor in weights.items():
        if tensor.ndim != 2:
            packed[name] = tensor.to(torch.float16).contiguous()
            continue
        scale = tensor.abs().amax(dim=1).clamp(min=1e-12).float() / 127.0
        packed[name] = torch.round(tensor / scale[:, None]).to(torch.int8).contiguous()
        packed[name + _SCALE] = scale
    return packed


def part_name(name: str, index: int) -> str:
    """Return the name of one part of a matrix that was cut by rows to fit into small files."""
    return f"{name}{_PART}{index:03d}"


def load_packed(path: Path, pattern: str) -> dict[str, torch.Tensor]:
    """Read safetensors files, join matrices that were cut by rows, and undo `quantise_rows`.

    Args:
        path: the folder.
        pattern: which files, such as `text-*.safetensors`; their tensors are merged.

    Returns:
        float32 tensors by name; integer tensors that are not quantised stay as they are.
    """
    import torch
    from safetensors.torch import load_file

    packed: dict[str, torch.Tensor] = {}
    parts: dict[str, list[torch.Tensor]] = {}
    for file in sorted(path.glob(pattern)):
        for name, tensor in sorted(load_file(file).items()):
            whole_name, cut, _ = name.partition(_PART)
            if cut:
                parts.setdefault(whole_name, []).append(tensor)
            else:
                packed[name] = tensor
    packed.update({name: torch.cat(tensors) for name, tensors in parts.items()})
    return {
        name: _unpacked(tensor, packed.get(name + _SCALE))
        for name, tensor in packed.items()
        if not name.endswith(_SCALE)
    }


def _unpacked(tensor: torch.Tensor, scale: torch.Tensor | None) -> torch.Tensor:
    if scale is not None:
        return tensor.float() * scale[:, None]
    return tensor.float() if tensor.is_floating_point() else tensor
