"""Every model by name, collected from the families, and how each recognises a directory."""

from __future__ import annotations

from types import MappingProxyType

from mmdemo.encoders import bge_m3, blip, dual_encoder, mini, visualized_bge
from mmdemo.encoders.spec import ModelSpec

_SPECS = (
    *mini.SPECS,
    *visualized_bge.SPECS,
    *dual_encoder.SPECS,
    *blip.SPECS,
    *bge_m3.SPECS,
)

MODELS: MappingProxyType[str, ModelSpec] = MappingProxyType({spec.name: spec for spec in _SPECS})
"""Every model that `load_encoder` knows, by name. Adding a checkpoint is one `ModelSpec`."""

RECOGNISERS = (bge_m3.recognise, visualized_bge.recognise, dual_encoder.recognise, blip.recognise)
"""Each takes a folder, its `config.json` and the checkpoint where one was named, and returns a
`ModelSpec` or None. The first that returns one decides."""

FILES_OF_FAMILIES = (visualized_bge.VISION_CONFIG, *bge_m3.HEADS)
"""Small files that a repository may hold for one of the families alone."""
