"""What a directory on this machine holds: which architecture, in which files.

An architecture is recognised by a function of its family, from the directory's `config.json` and
the names of its files; nothing is loaded. It does as well for a repository of the hub, of which
`files_needed` then says what to fetch.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mmdemo.encoders import bge_m3, blip, dual_encoder, visualized_bge
from mmdemo.encoders.parts.bounds import check_sizes
from mmdemo.encoders.parts.file_names import CHECKPOINTS
from mmdemo.encoders.spec import ModelSpec
from mmdemo.errors import ModelError

ACCEPTED = (
    "Visualized-BGE, a directory with the config.json and tokenizer of BAAI/bge-base-en-v1.5 or "
    "BAAI/bge-m3 and one Visualized_*.pth or .safetensors; BGE-M3, a directory with the files of "
    "BAAI/bge-m3, sparse_linear.pt and colbert_linear.pt among them; CLIP, SigLIP, SigLIP 2 of "
    "fixed resolution, ALIGN and BLIP for retrieval, as transformers saves a model with its "
    "processor."
)


def looks_like_path(name: str) -> bool:
    """Say whether somebody who typed this meant a file or a directory, not a model's name."""
    try:
        return "/" in name or "\\" in name or name.endswith(CHECKPOINTS) or Path(name).is_dir()
    except OSError:  # too long for a path
        return False


def recognise(path: Path) -> ModelSpec:
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
            f"{' or '.join(CHECKPOINTS)}. Check the path.",
            "no_model_there",
            name=path.name,
            endings=" / ".join(CHECKPOINTS),
        )
    folder = checkpoint.parent if checkpoint else path
    config = _config(folder)
    check_sizes(config)
    for recogniser in _RECOGNISERS:
        if found := recogniser(folder, config, checkpoint):
            return found
    kind = str(config.get("model_type", "no type"))[:40]
    raise ModelError(
        f"'{folder.name}' holds a model ({kind}) that cannot be shown here. Accepted: {ACCEPTED}",
        "unknown_architecture",
        name=folder.name,
        kind=kind,
    )


def _config(folder: Path) -> dict[str, Any]:
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        config = None
    if not isinstance(config, dict):
        raise ModelError(
            f"'{folder.name}' has no readable config.json, which says what a model is. Accepted: "
            f"{ACCEPTED}",
            "no_config",
            name=folder.name,
        )
    return config


_SMALL_FILES = (
    "config.json",
    "preprocessor_config.json",
    "processor_config.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "tokenizer.json",
    "vocab.json",
    "merges.txt",
    "vocab.txt",
    "spiece.model",
    "sentencepiece.bpe.model",
    visualized_bge.VISION_CONFIG,
    *bge_m3.HEADS,
)
_WEIGHT_FILES = (
    r"model\.safetensors",
    r"model\.safetensors\.index\.json|model-\d+-of-\d+\.safetensors",
    r"pytorch_model\.bin",
)


def files_needed(names: Iterable[str]) -> tuple[str, ...]:
    """Choose the files that a model saved by transformers is loaded from.

    Args:
        names: all files there are, in the folder or the repository.

    Returns:
        Configurations, the tokenizer's files, and the weights in one format.
    """
    there = sorted(names)
    weights = ([n for n in there if re.fullmatch(pattern, n)] for pattern in _WEIGHT_FILES)
    small = [name for name in _SMALL_FILES if name in there]
    return (*small, *next(filter(None, weights), []))


_RECOGNISERS = (bge_m3.recognise, visualized_bge.recognise, dual_encoder.recognise, blip.recognise)
