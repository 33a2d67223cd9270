"""BLIP for retrieval: one text encoder that reads a text alone, or while looking at a picture."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmdemo.encoders.parts.bounds import size_of
from mmdemo.encoders.parts.file_names import SETTINGS
from mmdemo.encoders.spec import HubFiles, ModelSpec
from mmdemo.errors import ModelError

ARCHITECTURE = "blip.model:Blip"
_RETRIEVAL = "BlipForImageTextRetrieval"

SPECS = (
    ModelSpec(
        name="blip-itm-base",
        title="BLIP retrieval base",
        architecture=ARCHITECTURE,
        source="hub:Salesforce/blip-itm-base-coco",
        modalities=("text", "image", "fused"),
        fusion="native",
        dim=256,
        languages=("en",),
        size_mb=896,
        licence="BSD-3-Clause",
        hub=(
            HubFiles(
                "Salesforce/blip-itm-base-coco",
                (*SETTINGS, "tokenizer.json", "pytorch_model.bin"),
            ),
        ),
    ),
)


def recognise(folder: Path, config: Mapping[str, Any], checkpoint: Path | None) -> ModelSpec | None:
    """Recognise BLIP for retrieval, as `save_pretrained` writes it.

    Raises:
        ModelError: it is another BLIP, or the configuration has no sizes.
    """
    if config.get("model_type") != "blip":
        return None
    named = config.get("architectures") or [_RETRIEVAL]
    kinds = list(map(str, named)) if isinstance(named, list) else [str(named)]
    if _RETRIEVAL not in kinds:
        kind = ", ".join(kinds)[:80]
        raise ModelError(
            f"This BLIP is a {kind}, which has no embeddings of texts and pictures. Take one for "
            "retrieval, such as Salesforce/blip-itm-base-coco.",
            "other_blip",
            kind=kind,
        )
    return ModelSpec(
        architecture=ARCHITECTURE,
        modalities=("text", "image", "fused"),
        fusion="native",
        dim=size_of(config, "image_text_hidden_size", 256),
        languages=("en",),
        local=(folder, checkpoint) if checkpoint else (folder,),
    )
