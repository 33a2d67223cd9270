"""What a directory on this machine holds: which architecture, in which files.

An architecture is recognised by a function of its family, from the directory's `config.json` and
the names of its files; nothing is loaded. It does as well for a repository of the hub.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mmdemo.encoders.parts.bounds import check_sizes
from mmdemo.encoders.parts.file_names import CHECKPOINTS
from mmdemo.encoders.parts.formats import of_files
from mmdemo.encoders.parts.saved_files import read_json
from mmdemo.encoders.spec import ModelSpec
from mmdemo.errors import ModelError
from mmdemo.files import is_there
from mmdemo.models.catalogue import RECOGNISERS
from mmdemo.models.layouts import check_adapter, check_quantised, model_folder

_CONFIG = "config.json"
_ARCHIVE = re.compile(r"\.(zip|7z|rar|tar|tgz|tar\.\w+)$", re.IGNORECASE)

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
        raise _no_model(path)
    folder = checkpoint.parent if checkpoint else model_folder(path)
    check_adapter(folder, checkpoint)
    config = _config(folder)
    check_quantised(folder, config)
    check_sizes(config)
    for recogniser in RECOGNISERS:
        if found := recogniser(folder, config, checkpoint):
            return found
    kind = str(config.get("model_type", "no type"))[:40]
    raise ModelError(
        f"'{folder.name}' holds a model ({kind}) that cannot be shown here. Accepted: {ACCEPTED}",
        "unknown_architecture",
        name=folder.name,
        kind=kind,
    )


def _no_model(path: Path) -> ModelError:
    """Say that a path is neither a directory nor a checkpoint, and what it is as far as is seen."""
    endings = " / ".join(CHECKPOINTS)
    if path.is_file() and is_there(path.parent / _CONFIG):
        return ModelError(
            f"'{path.name}' is one file of a model: name its folder, '{path.parent.name}', or a "
            f"file in it that ends in {endings}.",
            "file_of_model",
            name=path.name,
            folder=path.parent.name,
            endings=endings,
        )
    if path.is_file() and _ARCHIVE.search(path.name):
        return ModelError(
            f"'{path.name}' is an archive: unpack it, and name the folder with the config.json.",
            "model_archive",
            name=path.name,
        )
    if path.is_file() and (found := of_files([path.name])):
        return ModelError(
            f"'{path.name}' is in a format that is not read here, {found.format}. Accepted: "
            f"{ACCEPTED}",
            "model_of_format",
            name=path.name,
            format=found.format,
        )
    return ModelError(
        f"There is no model at '{path.name}': neither a directory, nor a file that ends in "
        f"{' or '.join(CHECKPOINTS)}. Check the path.",
        "no_model_there",
        name=path.name,
        endings=endings,
    )


def _config(folder: Path) -> dict[str, Any]:
    """Read a folder's configuration; without one, say what the folder looks like."""
    path = folder / _CONFIG
    if is_there(path):
        return read_json(folder, _CONFIG)
    if found := of_files(one.name for one in folder.iterdir()):
        raise ModelError(
            f"'{folder.name}' has no readable config.json, which says what a model is, but "
            f"{found.seen}, which is {found.format}. Accepted: {ACCEPTED}",
            "no_config_foreign",
            name=folder.name,
            file=found.seen,
            format=found.format,
        )
    raise ModelError(
        f"'{folder.name}' has no readable config.json, which says what a model is. Accepted: "
        f"{ACCEPTED}",
        "no_config",
        name=folder.name,
    )
