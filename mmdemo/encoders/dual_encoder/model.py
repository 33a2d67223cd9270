"""CLIP, SigLIP and ALIGN: one tower for texts, one for pictures, trained to meet in one space.

Radford et al. 2021 (arXiv 2103.00020), Zhai et al. 2023 (arXiv 2303.15343), Tschannen et al. 2025
(SigLIP 2, arXiv 2502.14786), Jia et al. 2021 (arXiv 2102.05918). The quirks:

* A checkpoint holds its own temperature. CLIP and SigLIP store the logarithm of the scale, ALIGN
  the temperature that it divides by. In CLIP's training the scale is cut to 100 at each step, which
  whoever trains it further may forget; it is cut here, and said.
* SigLIP scores each pair alone: sigmoid(scale * cosine + bias). The others compare all texts.
* SigLIP reads its text vector off the last position, which is padding for any shorter text, and was
  trained with exactly 64 tokens: texts are always padded to the maximum, and padding is attended
  to. It takes no mask; the checkpoint's tokenizer says so.
* SigLIP 2 was trained on texts in lower case. Its tokenizer's configuration says `do_lower_case`,
  but the Gemma tokenizer that it names ignores that, so it is heeded here. transformers' own
  processor keeps capitals, and differs for texts that have some.
* ALIGN's pictures are scaled to -1..1 and nothing more: `rescale_offset` of its image processor.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import (
    AlignConfig,
    AlignModel,
    CLIPConfig,
    CLIPModel,
    SiglipConfig,
    SiglipModel,
)

from mmdemo.encoders.base import Features, Tokens
from mmdemo.encoders.dual_encoder import languages_of
from mmdemo.encoders.parts.pretrained import (
    PictureReader,
    SavedModel,
    TextReader,
    load_network,
)
from mmdemo.encoders.parts.saved_files import read_json
from mmdemo.encoders.parts.temperature import CLIP_MOST, checked_bias, checked_scale
from mmdemo.errors import ModelError
from mmdemo.types import Activation


class _Family(NamedTuple):
    """What depends on the architecture."""

    config: Any
    network: Any
    activation: Activation
    scale: Callable[[Any], torch.Tensor]
    projection: Callable[[Any], torch.nn.Linear]  # the last layer of the text tower
    any_size: bool  # whether the vision tower takes pictures of any size
    most: float = math.inf  # to which the scale is cut in training


_FAMILIES = {
    "clip": _Family(
        CLIPConfig,
        CLIPModel,
        "softmax",
        lambda network: network.logit_scale.exp(),
        lambda network: network.text_projection,
        False,
        CLIP_MOST,
    ),
    "siglip": _Family(
        SiglipConfig,
        SiglipModel,
        "sigmoid",
        lambda network: network.logit_scale.exp(),
        lambda network: network.text_model.head,
        False,
    ),
    "align": _Family(
        AlignConfig,
        AlignModel,
        "softmax",
        lambda network: 1.0 / network.temperature,
        lambda network: network.text_projection,
        True,
    ),
}


class DualEncoder(SavedModel):
    """A model with a text tower and a vision tower that meet only in the cosine."""

    modalities = frozenset({"text", "image", "fused"})
    fusion = "averaged"

    def __init__(self, name: str, folder: Path, checkpoint: Path | None = None) -> None:
        """Load the weights; their bytes are read from disk at the first pass.

        Args:
            name: the name in the catalogue.
            folder: as transformers' `save_pretrained` writes it for the model and its processor.
            checkpoint: the weights; by default those of the folder.

        Raises:
            ModelError: a file is missing, of another architecture, or damaged.
        """
        self.name = name
        family = _family(folder)
        self._network = load_network(family.network, family.config, folder, checkpoint)
        config = self._network.config
        siglip = family.network is SiglipModel
        self._texts = TextReader(folder, config.text_config, fixed_length=siglip, lower_case=siglip)
        if family.network is CLIPModel:
            self._texts.check_end(folder, config.text_config.eos_token_id)
        self._pictures = PictureReader(
            folder, None if family.any_size else config.vision_config.image_size
        )
        self.dim = family.projection(self._network).out_features
        own = float(family.scale(self._network))
        self.logit_scale = checked_scale(own, folder.name, family.most)
        self.temperature_capped = own > self.logit_scale
        bias = float(self._network.logit_bias) if siglip else 0.0
        self.logit_bias = checked_bias(bias, folder.name)
        self.activation = family.activation
        self.languages = languages_of(config.text_config.vocab_size)

    def text_vectors(self, texts: Sequence[Tokens]) -> NDArray[np.float32]:
        """Return [n, dim]."""
        with torch.inference_mode():
            read = self._network.get_text_features(**self._texts.batch(texts, self.device))
            return read.pooler_output.cpu().numpy()

    def image_features(self, pictures: Sequence[torch.Tensor]) -> list[Features]:
        """Return the vectors, float32 [dim] each: there is nothing else to keep of a picture."""
        with torch.inference_mode():
            seen = self._network.get_image_features(torch.stack(list(pictures)).to(self.device))
            return [row.copy() for row in seen.pooler_output.cpu().numpy()]


def _family(folder: Path) -> _Family:
    kind = read_json(folder, "config.json").get("model_type")
    if kind not in _FAMILIES:
        raise ModelError(
            f"The config.json names the architecture '{str(kind)[:40]}'; a dual encoder is one of: "
            f"{', '.join(_FAMILIES)}.",
            "other_dual_encoder",
            kind=str(kind)[:40],
            known=", ".join(_FAMILIES),
        )
    return _FAMILIES[kind]
