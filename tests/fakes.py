"""A family of models that needs no weights, for tests that say what its vectors are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mmdemo.encoders.base import Model, Tokens
from mmdemo.types import TokenUsage


class FakeModel(Model):
    """Reads a text as its characters; what a text and a picture become, a test may say.

    `encoder_of` makes an encoder of one.
    """

    name = "fake"
    dim = 4
    modalities = frozenset({"text", "image", "fused"})
    fusion = "averaged"
    languages = ("en",)
    logit_scale = 1.0

    def read_texts(self, texts: Sequence[str], *, beside: bool = False) -> list[list[int]]:
        return [list(map(ord, text)) for text in texts]

    def token_usage(self, text: str, *, with_image: bool = False) -> TokenUsage:
        return TokenUsage(len(text), len(text))

    def text_vectors(self, texts: Sequence[Tokens]) -> NDArray[np.float32]:
        rows = [[len(text), *text, *[32] * self.dim][: self.dim] for text in texts]
        return np.array(rows, dtype=np.float32)


def written(tokens: Tokens) -> str:
    """Return the text that a `FakeModel` reads as these."""
    return "".join(map(chr, tokens))
