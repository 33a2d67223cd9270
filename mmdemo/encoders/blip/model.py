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
from transformers import BlipConfig, BlipForImageTextRetrieval

from mmdemo.encoders.base import Features, Prepared, Tokens
from mmdemo.encoders.parts.pretrained import PictureReader, SavedModel, TextReader, load_network
from mmdemo.encoders.parts.temperature import checked_scale
from mmdemo.errors import ModelError

_BESIDE = 512
"""Tokens that a text counts for which looks at a picture: its attention to that has 200 MB a layer
for 16 texts."""

_MATCH = 1
"""Which output of the matching head says that the two belong together."""


class Blip(SavedModel):
    """A BLIP retrieval model: contrastive cosines, image-grounded fusion and a matching head."""

    modalities = frozenset({"text", "image", "fused"})
    fusion = "native"
    languages = ("en",)
    has_matching_head = True
    batch_tokens = 16 * _BESIDE

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
        self.logit_scale = checked_scale(math.exp(config.logit_scale_init_value), folder.name)
        self.temperature_known = False

    def length(self, item: Prepared) -> int:
        """Return how long an item is in a batch, in tokens, or in what else takes that room."""
        read = super().length(item)
        return read if item.features is None else max(read, _BESIDE)

    def text_vectors(self, texts: Sequence[Tokens]) -> NDArray[np.float32]:
        """Return [n, dim], of the contrastive head."""
        return self._text_proj(self._states(texts))

    def image_features(self, pictures: Sequence[torch.Tensor]) -> list[Features]:
        """Return all states of the vision tower, float32 [tokens, hidden] each.

        The text encoder attends to all of them. Those of a picture have 1.8 MB in the base model.
        """
        with torch.inference_mode():
            seen = self._network.vision_model(torch.stack(list(pictures)).to(self.device))
            return [row.copy() for row in seen.last_hidden_state.cpu().numpy()]

    def image_vectors(self, features: Sequence[Features]) -> NDArray[np.float32]:
        """Return [n, dim], of the contrastive head."""
        first = self._tensor(np.stack([states[0] for states in features]))
        with torch.inference_mode():
            return self._network.vision_proj(first).cpu().numpy()

    def fused_vectors(
        self,
        features: Sequence[Features],
        texts: Sequence[Tokens],
        text_vectors: NDArray[np.float32],
    ) -> NDArray[np.float32]:
        """Return [n, dim]: the state of a text that looks at its picture, as a text's is read."""
        return self._text_proj(self._states(texts, self._tensor(np.stack(features))))

    def match_chances(self, pairs: Sequence[Prepared]) -> list[float]:
        """Return the chance in 0..1 that each picture and its text belong together."""
        chances = [0.0] * len(pairs)
        for features, places in _by_picture(pairs):
            texts = [pairs[place].tokens or () for place in places]
            # A single picture for all its texts: its keys and values are computed once.
            states = self._states(texts, self._tensor(features[None].copy()))
            with torch.inference_mode():
                told = self._network.itm_head(states).softmax(-1)
            for place, chance in zip(places, told[:, _MATCH].tolist(), strict=True):
                chances[place] = chance
        return chances

    def _tensor(self, rows: NDArray[np.float32]) -> torch.Tensor:
        return torch.from_numpy(rows).to(self.device)

    def _states(self, texts: Sequence[Tokens], seen: torch.Tensor | None = None) -> torch.Tensor:
        """Return the text encoder's first states [n, hidden].

        Args:
            texts: n texts.
            seen: the vision tower's states [n or 1, tokens, hidden], where the texts are read while
                looking at n pictures or at one.
        """
        with torch.inference_mode():
            read = self._network.text_encoder(
                **self._texts.batch(texts, self.device), encoder_hidden_states=seen
            )
            return read.last_hidden_state[:, 0]

    def _text_proj(self, states: torch.Tensor) -> NDArray[np.float32]:
        with torch.inference_mode():
            return self._network.text_proj(states).cpu().numpy()


def _by_picture(pairs: Sequence[Prepared]) -> list[tuple[Features, list[int]]]:
    """Return the features of each picture, and the places of its pairs."""
    found: dict[int, tuple[Features, list[int]]] = {}
    for place, pair in enumerate(pairs):
        if pair.features is not None:
            found.setdefault(id(pair.features), (pair.features, []))[1].append(place)
    return list(found.values())
