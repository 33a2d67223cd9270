"""Plain data that every layer shares: no torch, no gradio, no behaviour beyond construction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Modality: TypeAlias = Literal["text", "image", "fused"]
"""What goes into one embedding: a text, an image, or both together (*fused*)."""

Fusion: TypeAlias = Literal["native", "weighted", "averaged"]
"""How a fused embedding comes about: by the model itself, or from its two vectors afterwards.

`weighted` is a weighted sum with unequal weights, `averaged` the plain mean; both are normalised.
"""

Activation: TypeAlias = Literal["softmax", "sigmoid"]
"""What turns `logit_scale` x cosine into a probability."""

Embeddings: TypeAlias = NDArray[np.float32]
"""float32 [n, dim]; every row has unit length, so a dot product of two rows is their cosine."""


@dataclass(frozen=True, eq=False)
class Item:
    """One thing to embed: a text, an image, or an image with a text.

    Attributes:
        text: the text, or None for an image alone.
        image: the picture, or None for a text alone.
    """

    text: str | None = None
    image: Image.Image | None = None

    @property
    def modality(self) -> Modality:
        """Return `fused` where both are there, else the one that is."""
        if self.image is None:
            return "text"
        return "image" if self.text is None else "fused"


@dataclass(frozen=True)
class TokenUsage:
    """How much of a text a model reads.

    Attributes:
        used: tokens that enter the model, special tokens included.
        total: tokens that the whole text has, special tokens included.
    """

    used: int
    total: int

    @property
    def truncated(self) -> bool:
        """True where the model did not read the whole text."""
        return self.used < self.total
