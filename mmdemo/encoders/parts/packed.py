"""The format of the weights that ship: int8 rows with their scales, cut into small files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch

from mmdemo.encoders.parts.checkpoint import read_checkpoint

_SCALE = ".scale"
_PART = ".part-"


def quantise_rows(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Pack a state dict: matrices as int8 with one scale a row, everything else as float16.

    Symmetric per-row quantisation: `int8 = round(w / scale)`, `scale = max|w| / 127` of the row
    (Jacob et al. 2018, arXiv 1712.05877, with a zero point of 0).

    Args:
        weights: float tensors by name.

    Returns:
        For each matrix `name` an int8 tensor [rows, columns] and `name.scale` float32 [rows].
    """
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

    Raises:
        ModelError: one of them is damaged.
    """
    packed: dict[str, torch.Tensor] = {}
    parts: dict[str, list[torch.Tensor]] = {}
    for file in sorted(path.glob(pattern)):
        for name, tensor in sorted(read_checkpoint(file).items()):
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
