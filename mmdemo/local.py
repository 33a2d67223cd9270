"""What a directory on this machine holds: which architecture, in which files.

An architecture is recognised by its own function in `_RECOGNISERS`, from the directory's
`config.json` and the names of its files; nothing is loaded.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmdemo.errors import ModelError
from mmdemo.types import Fusion, Modality

CHECKPOINTS = (".safetensors", ".pth")
"""Endings of a file with weights, the better one first: safetensors cannot hold code."""


@dataclass(frozen=True)
class LocalModel:
    """A model that was recognised.

    Attributes:
        architecture: `module:class` below `mmdemo.encoders`.
        modalities: what it embeds.
        fusion: how its fused embedding comes about.
        dim: length of a vector.
        languages: ISO 639-1 codes, or `("multilingual",)`.
        files: what the encoder is called with, after its name: the folder, then further files.
    """

    architecture: str
    modalities: tuple[Modality, ...]
    fusion: Fusion
    dim: int
    languages: tuple[str, ...]
    files: tuple[Path, ...]


def looks_like_path(name: str) -> bool:
    """Say whether somebody who typed this meant a file or a directory, not a model's name."""
    return "/" in name or "\\" in name or name.endswith(CHECKPOINTS) or Path(name).is_dir()


def recognise(path: Path) -> LocalModel:
    """Say what a directory, or the directory around a checkpoint, holds.

    Args:
        path: a directory with `config.json`, the tokenizer's files and a checkpoint; or that
            checkpoint, where the directory has several.

    Raises:
        ModelError: it holds nothing that can be loaded, or more than one checkpoint.
    """
    path = path.expanduser().absolute()  # not resolved: the hub's cache links to nameless files
    checkpoint = None if path.is_dir() else path
    if checkpoint and not (checkpoint.is_file() and checkpoint.suffix in CHECKPOINTS):
        raise ModelError(
            f"There is no model at '{path.name}': neither a directory, nor a file that ends in "
            f"{' or '.join(CHECKPOINTS)}. Check the path."
        )
    folder = checkpoint.parent if checkpoint else path
    config = _config(folder)
    for recogniser in _RECOGNISERS:
        if found := recogniser(folder, config, checkpoint):
            return found
    kind = config.get("model_type", "no type")
    raise ModelError(
        f"'{folder.name}' holds a model ({kind}) that cannot be shown here. Accepted: "
        "Visualized-BGE, a directory with the config.json and tokenizer of BAAI/bge-base-en-v1.5 "
        "or BAAI/bge-m3 and one Visualized_*.pth or .safetensors."
    )


def _config(folder: Path) -> dict[str, Any]:
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        config = None
    if not isinstance(config, dict):
        raise ModelError(
            f"'{folder.name}' has no readable config.json. For Visualized-BGE, put config.json and "
            "the tokenizer's files of BAAI/bge-base-en-v1.5 or BAAI/bge-m3 beside the checkpoint."
        )
    return config


_VISUALIZED_BGE_LANGUAGES = {"bert": ("en",), "xlm-roberta": ("multilingual",)}


def _visualized_bge(
    folder: Path, config: Mapping[str, Any], checkpoint: Path | None
) -> LocalModel | None:
    """Recognise Visualized-BGE: a BERT or XLM-R configuration beside its own checkpoint."""
    languages = _VISUALIZED_BGE_LANGUAGES.get(str(config.get("model_type")))
    checkpoint = checkpoint or _only_checkpoint(folder, "Visualized_*")
    if languages is None or checkpoint is None:
        return None
    return LocalModel(
        architecture="visualized_bge:VisualizedBGEEncoder",
        modalities=("text", "image", "fused"),
        fusion="native",
        dim=int(config.get("hidden_size", 0)),
        languages=languages,
        files=(folder, checkpoint),
    )


def _only_checkpoint(folder: Path, pattern: str) -> Path | None:
    """Return the checkpoint whose name fits, or None; of one in two formats the better.

    Raises:
        ModelError: there are several different ones.
    """
    found = {ending: sorted(folder.glob(pattern + ending)) for ending in CHECKPOINTS}
    stems = sorted({path.stem for paths in found.values() for path in paths})
    if len(stems) > 1:
        raise ModelError(
            f"'{folder.name}' holds several checkpoints: {', '.join(stems)}. Name the file itself."
        )
    return next((path for paths in found.values() for path in paths), None)


_RECOGNISERS = (_visualized_bge,)
