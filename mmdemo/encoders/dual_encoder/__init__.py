"""CLIP, SigLIP and ALIGN: one tower for texts, one for pictures, trained to meet in one space."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmdemo.encoders.parts.bounds import size_of
from mmdemo.encoders.parts.file_names import SETTINGS
from mmdemo.encoders.spec import HubFiles, ModelSpec
from mmdemo.errors import ModelError

ARCHITECTURE = "dual_encoder.model:DualEncoder"

SPECS = (
    ModelSpec(
        name="clip-vit-b32",
        title="CLIP ViT-B/32",
        architecture=ARCHITECTURE,
        source="hub:openai/clip-vit-base-patch32",
        modalities=("text", "image", "fused"),
        fusion="averaged",
        dim=512,
        languages=("en",),
        size_mb=605,
        licence="MIT",
        hub=(
            HubFiles(
                "openai/clip-vit-base-patch32",
                (*SETTINGS, "tokenizer.json", "pytorch_model.bin"),
            ),
        ),
    ),
    ModelSpec(
        name="clip-vit-l14",
        title="CLIP ViT-L/14",
        architecture=ARCHITECTURE,
        source="hub:openai/clip-vit-large-patch14",
        modalities=("text", "image", "fused"),
        fusion="averaged",
        dim=768,
        languages=("en",),
        size_mb=1711,
        licence="MIT",
        hub=(
            HubFiles(
                "openai/clip-vit-large-patch14",
                (*SETTINGS, "tokenizer.json", "model.safetensors"),
            ),
        ),
    ),
    ModelSpec(
        name="siglip2-base",
        title="SigLIP 2 base",
        architecture=ARCHITECTURE,
        source="hub:google/siglip2-base-patch16-224",
        modalities=("text", "image", "fused"),
        fusion="averaged",
        dim=768,
        languages=("multilingual",),
        size_mb=1535,
        licence="Apache-2.0",
        hub=(
            HubFiles(
                "google/siglip2-base-patch16-224",
                (*SETTINGS, "tokenizer.json", "model.safetensors"),
            ),
        ),
    ),
    ModelSpec(
        name="align-base",
        title="ALIGN base",
        architecture=ARCHITECTURE,
        source="hub:kakaobrain/align-base",
        modalities=("text", "image", "fused"),
        fusion="averaged",
        dim=640,
        languages=("en",),
        size_mb=690,
        licence="",
        hub=(HubFiles("kakaobrain/align-base", (*SETTINGS, "vocab.txt", "pytorch_model.bin")),),
    ),
)


def recognise(folder: Path, config: Mapping[str, Any], checkpoint: Path | None) -> ModelSpec | None:
    """Recognise CLIP, SigLIP, SigLIP 2 of fixed resolution and ALIGN, as `save_pretrained` writes.

    Raises:
        ModelError: it is a SigLIP 2 of any resolution, or the configuration has no sizes.
    """
    text = config.get("text_config")
    found = _dim_and_vocabulary(config, text if isinstance(text, dict) else {})
    if found is None:
        return None
    dim, vocabulary = found
    return ModelSpec(
        architecture=ARCHITECTURE,
        modalities=("text", "image", "fused"),
        fusion="averaged",
        dim=dim,
        languages=languages_of(vocabulary),
        local=(folder, checkpoint) if checkpoint else (folder,),
    )


def _dim_and_vocabulary(
    config: Mapping[str, Any], text: Mapping[str, Any]
) -> tuple[int, int] | None:
    """Return a vector's length and the number of tokens; None for another architecture.

    What is transformers' own default is left out of `config.json`.

    Args:
        config: `config.json`.
        text: its part about the text tower.
    """
    match config.get("model_type"):
        case "clip":
            return size_of(config, "projection_dim", 512), size_of(text, "vocab_size", 49_408)
        case "siglip":
            dim = size_of(text, "projection_size", size_of(text, "hidden_size", 768))
            return dim, size_of(text, "vocab_size", 32_000)
        case "siglip2":
            raise ModelError(
                "This SigLIP 2 is of the kind that reads pictures of any shape (NaFlex), which "
                "cannot be shown here. Take one of fixed resolution, such as "
                "google/siglip2-base-patch16-224.",
                "naflex",
            )
        case "align":
            return size_of(config, "projection_dim", 640), size_of(text, "vocab_size", 30_522)
        case _:
            return None


def languages_of(vocabulary: int) -> tuple[str, ...]:
    """Tell English models from multilingual ones by the number of tokens.

    The vocabularies in use have 30,000 to 50,000 tokens for English (BERT, CLIP, T5) and 250,000
    to 256,000 for a hundred languages (mT5, Gemma).
    """
    return ("multilingual",) if vocabulary > 100_000 else ("en",)
