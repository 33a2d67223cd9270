"""Visualized-BGE: a text encoder that reads a picture as if it were more tokens."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmdemo.encoders.parts.bounds import size_of
from mmdemo.encoders.parts.file_names import CHECKPOINTS, TEXT_ENCODER
from mmdemo.encoders.spec import HubFiles, ModelSpec
from mmdemo.errors import ModelError

ARCHITECTURE = "visualized_bge.model:VisualizedBGE"

LANGUAGES = {"bert": ("en",), "xlm-roberta": ("multilingual",)}
"""By the `model_type` of the text encoder."""

VISION_CONFIG = "vision_config.json"
"""Sizes of the vision tower, where they are not the official ones."""

SPECS = (
    ModelSpec(
        name="visualized-bge-base-en",
        title="Visualized-BGE base-en",
        architecture=ARCHITECTURE,
        source="hub:BAAI/bge-visualized",
        modalities=("text", "image", "fused"),
        fusion="native",
        dim=768,
        languages=LANGUAGES["bert"],
        size_mb=788,
        licence="MIT",
        hub=(
            # The checkpoint holds the text encoder's weights too.
            HubFiles("BAAI/bge-base-en-v1.5", TEXT_ENCODER),
            HubFiles("BAAI/bge-visualized", ("Visualized_base_en_v1.5.pth",)),
        ),
    ),
    ModelSpec(
        name="visualized-bge-m3",
        title="Visualized-BGE m3",
        architecture=ARCHITECTURE,
        source="hub:BAAI/bge-visualized",
        modalities=("text", "image", "fused"),
        fusion="native",
        dim=1024,
        languages=LANGUAGES["xlm-roberta"],
        size_mb=3510,
        licence="MIT",
        hub=(
            HubFiles("BAAI/bge-m3", TEXT_ENCODER),
            HubFiles("BAAI/bge-visualized", ("Visualized_m3.pth",)),
        ),
    ),
)


def recognise(folder: Path, config: Mapping[str, Any], checkpoint: Path | None) -> ModelSpec | None:
    """Recognise Visualized-BGE: a BERT or XLM-R configuration beside its own checkpoint.

    Raises:
        ModelError: there are several checkpoints, or the configuration has no sizes.
    """
    languages = LANGUAGES.get(str(config.get("model_type")))
    checkpoint = checkpoint or only_checkpoint(folder)
    if languages is None or checkpoint is None:
        return None
    return ModelSpec(
        architecture=ARCHITECTURE,
        modalities=("text", "image", "fused"),
        fusion="native",
        dim=size_of(config, "hidden_size", 768),
        languages=languages,
        local=(folder, checkpoint),
    )


def only_checkpoint(folder: Path) -> Path | None:
    """Return the checkpoint of a folder, or None; of one in two formats the better.

    Raises:
        ModelError: there are several different ones.
    """
    found = {ending: sorted(folder.glob(f"Visualized_*{ending}")) for ending in CHECKPOINTS}
    stems = sorted({path.stem for paths in found.values() for path in paths})
    if len(stems) > 1:
        raise ModelError(
            f"'{folder.name}' holds several checkpoints: {', '.join(stems)}. Name the file itself.",
            "several_checkpoints",
            name=folder.name,
            stems=", ".join(stems),
        )
    return next((path for paths in found.values() for path in paths), None)
