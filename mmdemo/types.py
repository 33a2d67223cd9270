"""Plain data that every layer shares: no torch, no gradio, no behaviour beyond construction."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mmdemo.errors import Place

Modality: TypeAlias = Literal["text", "image", "fused"]
"""What goes into one embedding: a text, an image, or both together (*fused*)."""

Fusion: TypeAlias = Literal["native", "averaged", "none"]
"""How a fused embedding comes about: by the model itself, as the mean of its two vectors, or not at
all, where a model reads texts alone."""

Representation: TypeAlias = Literal["dense", "sparse", "multi_vector"]
"""What a text becomes: one vector, a weight for each of its words, or a vector for each token."""

REPRESENTATIONS: tuple[Representation, ...] = ("dense", "sparse", "multi_vector")
Needs: TypeAlias = frozenset[Modality | Representation]
"""What a model must embed, and make of a text, for some use of it."""
"""All of them, in the order in which they are shown."""

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
class Note:
    """Something that a reader of the numbers should know: they are right, but.

    Attributes:
        code: of the sentence in other languages, `note_CODE` in `ui/strings`.
        values: what the sentence mentions.
        sentence: in English.
        places: what it is about, the widest first, as of an error.
    """

    code: str
    values: Mapping[str, int | str] = field(hash=False)
    sentence: str
    places: tuple[Place, ...] = field(default=(), hash=False)

    @property
    def message(self) -> str:
        """Return places and sentence in English."""
        return ": ".join([*(place.message for place in self.places), self.sentence])

    def within(self, message: str, code: str, **values: object) -> Note:
        """Return this note as one that also says what it is about.

        Args:
            message: the place in English.
            code: of its name.
            **values: what the name mentions.
        """
        return replace(self, places=(Place(message, code, values), *self.places))


@dataclass(frozen=True)
class TokenUsage:
    """How much of a text a model reads.

    Attributes:
        used: tokens that enter the model, special tokens included.
        total: tokens that the whole text has, special tokens included.
        unknown: how many of those that enter stand for what the tokenizer does not know.
        unknown_words: what these stand for, as it was typed, each once and a few at most.
        known: whether the model knows anything of what it reads, be it a single word.
    """

    used: int
    total: int
    unknown: int = 0
    unknown_words: tuple[str, ...] = ()
    known: bool = True

    @property
    def truncated(self) -> bool:
        """True where the model did not read the whole text."""
        return self.used < self.total


@dataclass(frozen=True)
class Token:
    """A piece of a text, as a model reads it.

    Attributes:
        text: the token as its tokenizer writes it.
        start: where it begins in the text, in characters.
        end: where it ends; equal to `start` for a token that no character stands for.
        id: its number in the vocabulary, and in `SparseEmbedding.indices`.
        row: its row in the text's multi-vector, or None where it has none.
    """

    text: str
    start: int
    end: int
    id: int
    row: int | None


@dataclass(frozen=True, eq=False)
class SparseEmbedding:
    """The lexical weights of a text: what is not named has weight 0.

    Attributes:
        indices: int64 [n], numbers of tokens in the vocabulary, ascending.
        values: float32 [n], their weights, above 0.
    """

    indices: NDArray[np.int64]
    values: NDArray[np.float32]

    def as_dict(self) -> dict[int, float]:
        """Return the weights by token number."""
        return dict(zip(self.indices.tolist(), self.values.tolist(), strict=True))


@dataclass(frozen=True, eq=False)
class TextEncoding:
    """Everything that one pass through a model says about a text.

    Attributes:
        dense: float32 [dim], of unit length.
        sparse: lexical weights, or None for a model without.
        multi_vector: float32 [n_tokens, dim], unit rows, or None for a model without.
    """

    dense: NDArray[np.float32]
    sparse: SparseEmbedding | None = None
    multi_vector: NDArray[np.float32] | None = None

    def arrays(self) -> list[NDArray[np.generic]]:
        """Return the arrays that it is made of."""
        sparse = [] if self.sparse is None else [self.sparse.indices, self.sparse.values]
        matrix = [] if self.multi_vector is None else [self.multi_vector]
        return [self.dense, *sparse, *matrix]

    @property
    def nbytes(self) -> int:
        """Return the bytes of its arrays."""
        return sum(array.nbytes for array in self.arrays())


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
