"""Plain data that every layer shares: no torch, no gradio, no behaviour beyond construction."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Modality: TypeAlias = Literal["text", "image", "fused"]
"""What goes into one embedding: a text, an image, or both together (*fused*)."""

Fusion: TypeAlias = Literal["native", "averaged"]
"""How a fused embedding comes about: by the model itself, or as the mean of its two vectors."""

Activation: TypeAlias = Literal["softmax", "sigmoid"]
"""What turns `logit_scale` x cosine into a probability."""

Embeddings: TypeAlias = NDArray[np.float32]
"""float32 [n, dim]; every row has unit length, so a dot product of two rows is their cosine."""


Verdict: TypeAlias = Literal["yes", "no", "unsure"]
"""Whether a picture shows what a text says."""


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


@dataclass(frozen=True)
class Match:
    """How likely it is that a picture shows what a text says, by their cosine.

    A logistic that was fitted on pairs of a calibration split, as many matched as mismatched
    (Platt 1999). `training/calibrate.py` finds the three numbers.

    Attributes:
        slope: of the cosine.
        offset: added to it.
        sure: from this chance on, of yes or of no, nine of ten decisions were right.
    """

    slope: float
    offset: float
    sure: float

    def probability(self, cosine: float) -> float:
        """Return the chance in 0..1 that the two belong together."""
        return 1.0 / (1.0 + math.exp(-(self.slope * cosine + self.offset)))

    def verdict(self, cosine: float) -> Verdict:
        """Return `yes`, `no`, or `unsure` where too many such decisions were wrong."""
        chance = self.probability(cosine)
        if max(chance, 1.0 - chance) < self.sure:
            return "unsure"
        return "yes" if chance > 0.5 else "no"
