"""The contract of a family: prepared batches in, vectors out, and what a model says of itself.

A family is a folder: its specs and how its directories are recognised in `__init__.py`, which needs
no torch, its forward passes in `model.py`. There is no lock, no cache and no thread in it: who may
run when, what runs together and what is kept is the business of `mmdemo/models`. Reading (`read_…`,
`tokens`, `token_usage`) may be called from many threads; passes are called from one at a time.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mmdemo.errors import ModelError
from mmdemo.images import to_rgb
from mmdemo.similarity import unit_rows
from mmdemo.types import (
    Activation,
    Fusion,
    Match,
    Modality,
    Representation,
    TextEncoding,
    Token,
    TokenUsage,
)

Tokens: TypeAlias = Sequence[int]
"""A text as its tokenizer's numbers, special ones included, cut to what the model reads."""

Features: TypeAlias = NDArray[np.float32]
"""What a vision tower says of a picture, of one shape for all pictures."""

Tell: TypeAlias = Callable[[float], None]
"""Told the share of the work that is done, 0 to 1; what it raises ends the work."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """An item as a model takes it.

    Attributes:
        tokens: of the text, or None for a picture alone.
        features: of the picture, or None for a text alone.
        text_vector: of a picture's text, float32 [dim], the unit vector of the text alone where it
            is known already.
    """

    tokens: Tokens | None = None
    features: Features | None = None
    text_vector: Features | None = None

    @property
    def modality(self) -> Modality:
        """Return `fused` where both are there, else the one that is."""
        if self.features is None:
            return "text"
        return "image" if self.tokens is None else "fused"


class Model(ABC):
    """The weights of one checkpoint, and its forward passes.

    Attributes:
        name: the name in the catalogue.
        dim: length of a vector.
        modalities: what can be embedded.
        representations: what a text can become.
        fusion: how a fused embedding comes about.
        languages: ISO 639-1 codes of the languages the text side reads, or `("multilingual",)`.
        logit_scale: factor between a cosine and a logit (the inverse of the temperature).
        logit_bias: added to a logit, for `sigmoid`.
        activation: `softmax` for one choice among many, `sigmoid` for independent yes or no.
        match: how likely a picture and a text belong together, by their cosine, where that was
            calibrated.
        temperature_known: whether `logit_scale` is the checkpoint's own.
        temperature_capped: whether the checkpoint's own is larger than its training allows.
        has_matching_head: whether `match_chances` is there.
        reads_documents: whether a text may be as long as a document.
        whole_pass: whether a pass over texts always yields all of `text_encodings`.
        batch_tokens: padded length of a batch, as `length` counts it, that memory allows.
        batch_pictures: pictures that go through the vision tower at once, likewise.
        device: where the weights are, as torch names it.
    """

    name: str
    dim: int
    modalities: frozenset[Modality]
    representations: frozenset[Representation] = frozenset({"dense"})
    fusion: Fusion
    languages: tuple[str, ...]
    logit_scale: float
    logit_bias: float = 0.0
    activation: Activation = "softmax"
    match: Match | None = None
    temperature_known: bool = True
    temperature_capped: bool = False
    has_matching_head: bool = False
    reads_documents: ClassVar[bool] = False
    whole_pass: ClassVar[bool] = False
    batch_tokens: ClassVar[int] = 4096
    batch_pictures: ClassVar[int] = 8
    device: str = "cpu"

    def networks(self) -> Sequence[Any]:
        """Return the `torch.nn.Module`s that hold the weights."""
        return ()

    @property
    def nbytes(self) -> int:
        """Return the bytes of the weights, as they were loaded."""
        return sum(
            tensor.nbytes
            for network in self.networks()
            for tensor in (*network.parameters(), *network.buffers())
        )

    def to_device(self, device: str) -> None:
        """Move the weights, before the first pass."""
        for network in self.networks():
            network.to(device)
        self.device = device

    # Reading.

    @abstractmethod
    def read_texts(self, texts: Sequence[str], *, beside: bool = False) -> Sequence[Tokens]:
        """Return the tokens of texts, in order.

        Args:
            texts: any length, an empty one included.
            beside: whether each goes with a picture, which may take room away from it.
        """

    def read_picture(self, image: Image.Image) -> Any:
        """Return what the vision tower takes of a picture.

        Args:
            image: RGB as a person sees it where it comes from a file; what a program has in memory
                comes in its own mode.
        """
        return to_rgb(image)

    def length(self, item: Prepared) -> int:
        """Return how long an item is in a batch, in tokens; at least 1."""
        return len(item.tokens or (0,))

    @abstractmethod
    def token_usage(self, text: str, *, with_image: bool = False) -> TokenUsage:
        """Say how much of a text is read, alone or beside a picture."""

    def tokens(self, text: str) -> list[Token]:
        """Return what the model reads of a text, special tokens included.

        Raises:
            ModelError: this model does not say.
        """
        raise ModelError(
            f"{self.name} does not tell which tokens it reads. Choose another model, such as "
            "bge-m3.",
            "tokens_untold",
            name=self.name,
        )

    # Forward passes.

    def image_features(self, pictures: Sequence[Any]) -> list[Features]:
        """Run n pictures through the vision tower, whatever they are needed for.

        Args:
            pictures: from `read_picture`.

        Returns:
            One array a picture, each with memory of its own.
        """
        raise ModelError(
            f"{self.name} reads texts alone. Choose another model for pictures.",
            "texts_alone",
            name=self.name,
        )

    @abstractmethod
    def text_vectors(self, texts: Sequence[Tokens]) -> NDArray[np.float32]:
        """Return [n, dim] for n texts, rows of any length."""

    def image_vectors(self, features: Sequence[Features]) -> NDArray[np.float32]:
        """Return [n, dim] from vision features; by default these are the vectors themselves."""
        return np.stack(features)

    def fused_vectors(
        self,
        features: Sequence[Features],
        texts: Sequence[Tokens],
        text_vectors: NDArray[np.float32],
    ) -> NDArray[np.float32]:
        """Return [n, dim] for n pictures with their texts.

        The default is late fusion, for models without a fused embedding of their own: the mean of
        the two unit vectors.

        Args:
            features: of the pictures.
            texts: theirs.
            text_vectors: unit vectors of the texts alone, [n, dim]; of a model whose fusion is
                `native`, undefined.
        """
        return unit_rows(self.image_vectors(features)) + text_vectors

    def embed(self, items: Sequence[Prepared]) -> NDArray[np.float32]:
        """Return [n, dim] for n items of any modality, rows of any length.

        The default runs texts, pictures alone, and pairs. A model that reads two of these as one
        kind of sequence overrides it, and runs them as one batch.
        """
        vectors = np.empty((len(items), self.dim), dtype=np.float32)
        places: dict[Modality, list[int]] = {"text": [], "image": [], "fused": []}
        for place, item in enumerate(items):
            places[item.modality].append(place)
        texts = self._texts_of(items)
        for place in places["text"]:
            vectors[place] = texts[_key(items[place])]
        if alone := places["image"]:
            vectors[alone] = self.image_vectors(_features(items, alone))
        if pairs := places["fused"]:
            tokens = [items[place].tokens or () for place in pairs]
            own = np.empty((len(pairs), self.dim), dtype=np.float32)
            for row, place in enumerate(pairs):
                known = items[place].text_vector
                if self.fusion == "averaged":
                    own[row] = texts[_key(items[place])] if known is None else known
            vectors[pairs] = self.fused_vectors(_features(items, pairs), tokens, own)
        return vectors

    def _texts_of(self, items: Sequence[Prepared]) -> dict[tuple[int, ...], Features]:
        """Return unit vectors of the texts that are wanted for themselves or for an average."""
        averaged = self.fusion == "averaged"
        wanted = {
            _key(item): item.tokens
            for item in items
            if item.tokens is not None
            and (item.features is None or (averaged and item.text_vector is None))
        }
        if not wanted:
            return {}
        rows = unit_rows(self.text_vectors(list(wanted.values())))
        return dict(zip(wanted, rows, strict=True))

    def text_encodings(self, texts: Sequence[Tokens], tell: Tell) -> Sequence[TextEncoding]:
        """Return what one pass says about n texts of similar length, vectors of any length.

        Args:
            texts: they go through the model at once.
            tell: to be told how far the pass is, where that can take long.
        """
        return [TextEncoding(vector) for vector in self.text_vectors(texts)]

    def match_chances(self, pairs: Sequence[Prepared]) -> Sequence[float]:
        """Return the chance in 0..1 that each picture and its text belong together, by the head."""
        raise NotImplementedError


def _key(item: Prepared) -> tuple[int, ...]:
    return tuple(item.tokens or ())


def _features(items: Sequence[Prepared], places: Sequence[int]) -> list[Features]:
    found = [items[place].features for place in places]
    return [one for one in found if one is not None]
