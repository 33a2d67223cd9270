"""BLIP for retrieval: one text encoder that reads a text alone, or while looking at a picture.

Li et al. 2022 (arXiv 2201.12086). Two heads sit on the same weights. The contrastive one (ITC)
projects a text alone and a picture alone to unit vectors of one space, whose cosines we show. The
matching one (ITM) lets the text encoder attend to the picture's tokens and answers yes or no for
the pair. They disagree on purpose: the second was trained on the pairs that the first confuses.

The quirks:

* Fused embeddings. The image-grounded text encoder ends in a state that only the matching head was
  trained to read; BLIP defines no fused vector in the contrastive space. Ours is that state through
  `text_proj`, the projection that a text's own state goes through: the same encoder, the same
  position, and the only way into the space where `i2it` and `t2it` are cosines at all. Nobody
  trained it, so cosines of a fused vector with a text or a picture alone are off the trained path:
  read them as an experiment, and the matching head as the model's own word. (LAVIS, the authors'
  later library, stops at the state and leaves it in the encoder's own, wider space.)
* The contrastive temperature is not in these checkpoints, because neither head of the retrieval
  model needs it. `logit_scale` is exp(`logit_scale_init_value`) of the configuration, 1 / 0.07:
  where the training of the temperature began, not where it ended.
* The matching head was trained with [ENC] in the place of [CLS]. The authors' own demo leaves
  [CLS], and so does transformers, whose numbers these are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from transformers import BlipConfig, BlipForImageTextRetrieval

from mmdemo.encoders.base import Encoder, Features
from mmdemo.encoders.parts.pretrained import (
    PICTURES_AT_ONCE,
    PictureReader,
    TextReader,
    load_network,
    slices,
)
from mmdemo.errors import ModelError
from mmdemo.types import TokenUsage

_TEXTS_AT_ONCE = 16
"""Texts in one pass of the text encoder: at 512 tokens, attention to them has 200 MB a layer."""

_MATCH = 1
"""Which output of the matching head says that the two belong together."""


class BlipEncoder(Encoder):
    """A BLIP retrieval model: contrastive cosines, image-grounded fusion and a matching head."""

    modalities = frozenset({"text", "image", "fused"})
    fusion = "native"
    languages = ("en",)
    has_matching_head = True

    def __init__(self, name: str, folder: Path, checkpoint: Path | None = None) -> None:
        """Load the weights; their bytes are read from disk at the first `encode`.

        Args:
            name: the name in the catalogue.
            folder: as transformers' `save_pretrained` writes it for the model and its processor.
            checkpoint: the weights; by default those of the folder.

        Raises:
            ModelError: a file is missing, of another architecture, or damaged.
        """
        super().__init__()
        self.name = name
        self._network = load_network(BlipForImageTextRetrieval, BlipConfig, folder, checkpoint)
        config = self._network.config
        if not config.text_config.is_decoder:
            raise ModelError(
                f"The text encoder in '{folder.name}' cannot look at a picture: config.json says "
                "is_decoder false. Take one for retrieval, such as Salesforce/blip-itm-base-coco.",
                "blip_cannot_look",
                name=folder.name,
            )
        self._texts = TextReader(folder, config.text_config)
        self._pictures = PictureReader(folder, config.vision_config.image_size)
        self.dim = self._network.text_proj.out_features
        self.logit_scale = math.exp(config.logit_scale_init_value)
        self.temperature_known = False

    def token_usage(self, text: str, *, with_image: bool = False) -> TokenUsage:
        """Say how much of a text is read; it looks at a picture without making room for it."""
        return self._texts.usage(text)

    def _prepare(self, image: Image.Image) -> Image.Image:
        return self._pictures.prepare(super()._prepare(image))

    def _text_vectors(self, texts: Sequence[str]) -> NDArray[np.float32]:
        rows = [self._states(texts[chosen]) for chosen in slices(texts, _TEXTS_AT_ONCE)]
        return self._text_proj(torch.cat(rows))

    def _image_features(self, images: Sequence[Image.Image]) -> Sequence[Features]:
        """Return all states of the vision tower, float32 [tokens, hidden] each.

        The text encoder attends to all of them. Those of a picture have 1.8 MB in the base model:
        the cache keeps 75 pictures.
        """
        tower = self._network.vision_model
        return self._pictures.through(lambda pixels: tower(pixels).last_hidden_state, images)

    def _image_vectors(self, features: Sequence[Features]) -> NDArray[np.float32]:
        first = torch.from_numpy(np.stack([states[0] for states in features]))
        with torch.inference_mode():
            return self._network.vision_proj(first).numpy()

    def _fused_vectors(
        self, features: Sequence[Features], texts: Sequence[str]
    ) -> NDArray[np.float32]:
        rows = [
            self._states(texts[chosen], torch.from_numpy(np.stack(features[chosen])))
            for chosen in slices(texts, PICTURES_AT_ONCE)
        ]
        return self._text_proj(torch.cat(rows))

    def _match_chances(
        self, features: Sequence[Features], texts: Sequence[str]
    ) -> NDArray[np.float32]:
        return np.stack([self._chances_of(states, texts) for states in features])

    def _chances_of(self, features: Features, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return [m] for one picture with m texts."""
        # A single picture for all texts of a pass: its keys and values are computed once.
        tokens = torch.from_numpy(features[None].copy())
        rows = [self._states(texts[chosen], tokens) for chosen in slices(texts, _TEXTS_AT_ONCE)]
        with torch.inference_mode():
            return self._network.itm_head(torch.cat(rows)).softmax(-1)[:, _MATCH].numpy()

    def _states(self, texts: Sequence[str], tokens: torch.Tensor | None = None) -> torch.Tensor:
        """Return the text encoder's first states [n, hidden].

        Args:
            texts: n texts.
            tokens: the vision tower's states [n or 1, tokens, hidden], where the texts are read
                while looking at n pictures or at one.
        """
        with torch.inference_mode():
            read = self._network.text_encoder(
                **self._texts.read(texts), encoder_hidden_states=tokens
            )
            return read.last_hidden_state[:, 0]

    def _text_proj(self, states: torch.Tensor) -> NDArray[np.float32]:
        with torch.inference_mode():
            return self._network.text_proj(states).numpy()
