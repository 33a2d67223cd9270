"""What a directory on this machine holds: which architecture, in which files.

An architecture is recognised by its own function in `_RECOGNISERS`, from the directory's
`config.json` and the names of its files; nothing is loaded. Those that transformers saves need
only `config.json`, which `describe` reads: it does as well for a repository of the hub, of which
`files_needed` then says what to fetch.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mmdemo.encoders.parts.bounds import check_sizes, size_of
from mmdemo.encoders.spec import ModelSpec
from mmdemo.errors import ModelError
from mmdemo.types import Fusion

CHECKPOINTS = (".safetensors", ".pth", ".bin")
"""Endings of a file with weights, the better one first: safetensors cannot hold code."""


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


_VISUALIZED_BGE_LANGUAGES = {"bert": ("en",), "xlm-roberta": ("multilingual",)}


def _visualized_bge(
    folder: Path, config: Mapping[str, Any], checkpoint: Path | None
) -> ModelSpec | None:
    """Recognise Visualized-BGE: a BERT or XLM-R configuration beside its own checkpoint."""
    languages = _VISUALIZED_BGE_LANGUAGES.get(str(config.get("model_type")))
    checkpoint = checkpoint or _only_checkpoint(folder, "Visualized_*")
    if languages is None or checkpoint is None:
        return None
    return ModelSpec(
        architecture="visualized_bge:VisualizedBGEEncoder",
        modalities=("text", "image", "fused"),
        fusion="native",
        dim=size_of(config, "hidden_size", 768),
        languages=languages,
        local=(folder, checkpoint),
    )


_BGE_M3_HEADS = ("sparse_linear.pt", "colbert_linear.pt")
_BGE_M3_TOWER = ("model.safetensors", "pytorch_model.bin")


def _bge_m3(folder: Path, config: Mapping[str, Any], checkpoint: Path | None) -> ModelSpec | None:
    """Recognise BGE-M3: an XLM-R with its weights and the files of its two heads."""
    present = all((folder / name).is_file() for name in _BGE_M3_HEADS)
    tower = any((folder / name).is_file() for name in _BGE_M3_TOWER)
    # A checkpoint of Visualized-BGE beside it, or one that was named, is another model.
    other = [*folder.glob("Visualized_*")] if checkpoint is None else [checkpoint]
    if config.get("model_type") != "xlm-roberta" or not (present and tower):
        return None
    if any(path.name not in _BGE_M3_TOWER for path in other):
        return None
    return ModelSpec(
        architecture="bge_m3:BGEM3Encoder",
        modalities=("text",),
        fusion="none",
        dim=size_of(config, "hidden_size", 768),
        languages=("multilingual",),
        local=(folder,),
        representations=("dense", "sparse", "multi_vector"),
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
            f"'{folder.name}' holds several checkpoints: {', '.join(stems)}. Name the file itself.",
            "several_checkpoints",
            name=folder.name,
            stems=", ".join(stems),
        )
    return next((path for paths in found.values() for path in paths), None)


def languages_of(vocabulary: int) -> tuple[str, ...]:
    """Tell English models from multilingual ones by the number of tokens.

    The vocabularies in use have 30,000 to 50,000 tokens for English (BERT, CLIP, T5) and 250,000
    to 256,000 for a hundred languages (mT5, Gemma).
    """
    return ("multilingual",) if vocabulary > 100_000 else ("en",)


def _part(config: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = config.get(name)
    return found if isinstance(found, dict) else {}


def _clip(config: Mapping[str, Any]) -> ModelSpec:
    languages = languages_of(size_of(_part(config, "text_config"), "vocab_size", 49_408))
    dim = size_of(config, "projection_dim", 512)
    return _of_both(_DUAL_ENCODER, "averaged", dim, languages)


def _siglip(config: Mapping[str, Any]) -> ModelSpec:
    text = _part(config, "text_config")
    dim = size_of(text, "projection_size", size_of(text, "hidden_size", 768))
    languages = languages_of(size_of(text, "vocab_size", 32_000))
    return _of_both(_DUAL_ENCODER, "averaged", dim, languages)


def _siglip_of_any_resolution(config: Mapping[str, Any]) -> ModelSpec:
    raise ModelError(
        "This SigLIP 2 is of the kind that reads pictures of any shape (NaFlex), which cannot be "
        "shown here. Take one of fixed resolution, such as google/siglip2-base-patch16-224.",
        "naflex",
    )


def _align(config: Mapping[str, Any]) -> ModelSpec:
    languages = languages_of(size_of(_part(config, "text_config"), "vocab_size", 30_522))
    dim = size_of(config, "projection_dim", 640)
    return _of_both(_DUAL_ENCODER, "averaged", dim, languages)


def _blip(config: Mapping[str, Any]) -> ModelSpec:
    named = config.get("architectures") or [_BLIP_RETRIEVAL]
    kinds = list(map(str, named)) if isinstance(named, list) else [str(named)]
    if _BLIP_RETRIEVAL not in kinds:
        kind = ", ".join(kinds)[:80]
        raise ModelError(
            f"This BLIP is a {kind}, which has no embeddings of texts and pictures. Take one for "
            "retrieval, such as Salesforce/blip-itm-base-coco.",
            "other_blip",
            kind=kind,
        )
    dim = size_of(config, "image_text_hidden_size", 256)
    return _of_both("blip:BlipEncoder", "native", dim, ("en",))


def _of_both(architecture: str, fusion: Fusion, dim: int, languages: tuple[str, ...]) -> ModelSpec:
    return ModelSpec(
        architecture=architecture,
        modalities=("text", "image", "fused"),
        fusion=fusion,
        dim=dim,
        languages=languages,
    )


_DUAL_ENCODER = "dual_encoder:DualEncoder"
_BLIP_RETRIEVAL = "BlipForImageTextRetrieval"

_DESCRIPTIONS: dict[str, Callable[[Mapping[str, Any]], ModelSpec]] = {
    "clip": _clip,
    "siglip": _siglip,
    "siglip2": _siglip_of_any_resolution,
    "align": _align,
    "blip": _blip,
}
"""By `model_type` of `config.json`, which leaves out what is transformers' own default."""


def describe(config: Mapping[str, Any]) -> ModelSpec | None:
    """Say what a model is that transformers saved, or None for any other.

    Args:
        config: `config.json`.

    Raises:
        ModelError: it is a relative of an architecture that is accepted, but cannot be shown.
    """
    described = _DESCRIPTIONS.get(str(config.get("model_type")))
    return described(config) if described else None


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
    "vision_config.json",
    "sparse_linear.pt",
    "colbert_linear.pt",
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


def _of_transformers(
    folder: Path, config: Mapping[str, Any], checkpoint: Path | None
) -> ModelSpec | None:
    """Recognise CLIP, SigLIP, ALIGN and BLIP, as `save_pretrained` writes them."""
    found = describe(config)
    if found is None:
        return None
    return replace(found, local=(folder, checkpoint) if checkpoint else (folder,))


_RECOGNISERS = (_bge_m3, _visualized_bge, _of_transformers)
