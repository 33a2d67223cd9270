"""BGE-M3: of a text a vector, lexical weights, and a vector for each token."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmdemo.encoders.parts.bounds import size_of
from mmdemo.encoders.parts.file_names import TEXT_ENCODER, WEIGHTS
from mmdemo.encoders.spec import HubFiles, ModelSpec
from mmdemo.files import is_there

ARCHITECTURE = "bge_m3.model:BGEM3"

SPARSE_HEAD, MULTI_VECTOR_HEAD = HEADS = ("sparse_linear.pt", "colbert_linear.pt")

SPECS = (
    ModelSpec(
        name="bge-m3",
        title="BGE-M3",
        architecture=ARCHITECTURE,
        source="hub:BAAI/bge-m3",
        modalities=("text",),
        fusion="none",
        dim=1024,
        languages=("multilingual",),
        size_mb=2290,
        licence="MIT",
        representations=("dense", "sparse", "multi_vector"),
        hub=(HubFiles("BAAI/bge-m3", (*TEXT_ENCODER, "pytorch_model.bin", *HEADS)),),
    ),
)


def recognise(folder: Path, config: Mapping[str, Any], checkpoint: Path | None) -> ModelSpec | None:
    """Recognise BGE-M3: an XLM-R with the files of its two heads.

    Raises:
        ModelError: the configuration has no sizes.
    """
    present = all(is_there(folder / name) for name in HEADS)
    # A checkpoint of Visualized-BGE beside it, or one that was named, is another model.
    other = [*folder.glob("Visualized_*")] if checkpoint is None else [checkpoint]
    if config.get("model_type") != "xlm-roberta" or not present:
        return None
    if any(path.name not in WEIGHTS for path in other):
        return None
    return ModelSpec(
        architecture=ARCHITECTURE,
        modalities=("text",),
        fusion="none",
        dim=size_of(config, "hidden_size", 768),
        languages=("multilingual",),
        local=(folder,),
        representations=("dense", "sparse", "multi_vector"),
    )
