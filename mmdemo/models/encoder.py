"""What `load_encoder` returns: items in, unit vectors out, whoever asks and whatever is in memory.

An `Encoder` reads items, checks what its model can do, and has the model's passes compute what the
store does not hold. Its weights it takes for the length of a call: between two calls they may be
dropped to make room for another model, and are loaded again.
"""

from __future__ import annotations

import copy
import itertools
import sys
import weakref
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mmdemo.encoders.base import Model, Tell
from mmdemo.errors import ModelError, PictureError, TextError
from mmdemo.images import Picture
from mmdemo.models.items import (
    SINGLE,
    Input,
    Pictured,
    checked_length,
    checked_text,
    listed,
    read_item,
)
from mmdemo.models.lane import Priority, Stop
from mmdemo.models.passes import Passes, Terms
from mmdemo.models.store import Kind, Sized, Store
from mmdemo.settings import limits
from mmdemo.timings import Timings
from mmdemo.types import (
    Activation,
    Embeddings,
    Fusion,
    Match,
    Modality,
    Representation,
    SparseEmbedding,
    TextEncoding,
    Token,
    TokenUsage,
)

_unnamed = itertools.count(1)


class Source(Protocol):
    """Where an encoder has its model from."""

    def lease(self) -> AbstractContextManager[Model]:
        """Give the model; it stays in memory until the context ends."""
        ...


class Encoder:
    """Turns items into unit vectors in one space. Safe to use from many threads.

    Attributes:
        name: the name in the catalogue.
        dim: length of a vector.
        modalities: what can be embedded.
        representations: what a text can become; all models make one dense vector of it.
        fusion: how a fused embedding comes about.
        languages: ISO 639-1 codes of the languages the text side reads, or `("multilingual",)`.
        logit_scale: factor between a cosine and a logit (the inverse of the temperature).
        logit_bias: added to a logit, for `sigmoid`.
        activation: `softmax` for one choice among many, `sigmoid` for independent yes or no.
        match: how likely a picture and a text belong together, by their cosine; None for a model
            that was not calibrated.
        temperature_known: whether `logit_scale` is the checkpoint's own.
        temperature_capped: whether the checkpoint's own is larger than its training allows.
        has_matching_head: whether `match_probabilities` is there.
        fingerprint: what tells these weights from others; empty for a model that a program made.
    """

    name: str
    dim: int
    modalities: frozenset[Modality]
    representations: frozenset[Representation]
    fusion: Fusion
    languages: tuple[str, ...]
    logit_scale: float
    logit_bias: float
    activation: Activation
    match: Match | None
    temperature_known: bool
    temperature_capped: bool
    has_matching_head: bool

    def __init__(self, model: Model, source: Source, store: Store, fingerprint: str = "") -> None:
        """Take over what a model says of itself.

        Args:
            model: of the source; it is not kept.
            source: where the model is taken from at each call.
            store: where what is computed is kept.
            fingerprint: as of the attribute.
        """
        for name in Encoder.__annotations__:
            setattr(self, name, getattr(model, name))
        self.fingerprint = fingerprint
        self._reads_documents = model.reads_documents
        self._source = source
        # What other weights have computed is never found, nor what those without a fingerprint.
        self._owner = f"{self.name}\0{fingerprint or next(_unnamed)}"
        self._store = store
        self._passes = Passes(model, store, self._owner)
        self._terms = Terms()
        if not fingerprint:
            weakref.finalize(self._passes, store.forget, self._owner)

    def at(self, priority: Priority, stop: Stop | None = None) -> Encoder:
        """Return a view of this encoder on the terms of one caller.

        Args:
            priority: what goes first where several wait for the model.
            stop: says whether nobody wants the result any more: what still waits leaves the queue
                then, and the call ends with a `StoppedError`.
        """
        view = copy.copy(self)
        view._terms = Terms(priority) if stop is None else Terms(priority, stop)
        return view

    @property
    def waited(self) -> float:
        """Return the seconds that the requests of this view have waited for others."""
        return self._terms.waited

    @property
    def waiting(self) -> int:
        """Return how many requests wait for the model."""
        return self._passes.lane.waiting

    @property
    def running(self) -> int:
        """Return how many requests the model is working on."""
        return self._passes.lane.running

    def encode(
        self, items: Iterable[Input] | Input, *, timings: Timings | None = None, first: int = 0
    ) -> Embeddings:
        """Embed texts, pictures and pairs of both, mixed freely.

        Args:
            items: what to embed; a single item counts as a list of one.
            timings: where to add the milliseconds spent in forward passes, under `image`, `text`
                and `fused`; one that several share is shared out. What was computed before costs
                nothing.
            first: how many items of the same request came before, for errors that count them.

        Returns:
            float32 [n, dim], unit rows, in the order of `items`.

        Raises:
            ModelError: this model has no embedding for a modality that is asked for.
            PictureError: a picture cannot be read.
            TextError: a text is empty, too long or not a text.
            StoppedError: nobody wants it any more (see `at`).

        >>> encoder.encode(["a red car", {"image": picture, "text": "in the rain"}]).shape
        (2, 384)
        """
        longest = limits().document if self._reads_documents else limits().text
        pictures: dict[int, Pictured] = {}
        wanted = []
        for position, item in enumerate(_several(items)):
            try:
                wanted.append(read_item(item, longest, pictures))
            except (PictureError, TextError) as error:
                place = first + position + 1
                raise error.within(f"Item {place}", "item_at", number=place) from error
            self.require(wanted[-1].modality)
        rows = {one.digest: self.kept("vector", one.digest) for one in wanted}
        missing = {one.digest: one for one in wanted if rows[one.digest] is None}
        if missing:
            with self._source.lease() as model:
                took = {} if timings is None else timings
                rows |= self._passes.vectors(model, missing, self._terms, took)
        if not wanted:
            return np.empty((0, self.dim), dtype=np.float32)
        return np.stack([rows[one.digest] for one in wanted])

    def encode_sparse(self, texts: Iterable[str] | str) -> list[SparseEmbedding]:
        """Return the lexical weights of texts: which tokens they are about, and how much.

        Args:
            texts: any length; one that is empty has no weights.

        Raises:
            ModelError: this model has no lexical weights.
            TextError: a text is too long or not a text.
        """
        self._require_representation("sparse")
        found = self._all_encodings(texts)
        return [encoding.sparse for encoding in found if encoding.sparse is not None]

    def encode_multi_vector(self, texts: Iterable[str] | str) -> list[Embeddings]:
        """Return a matrix for each text, float32 [n_tokens, dim] with unit rows.

        Which token a row stands for, `tokens` says.

        Args:
            texts: any length; an empty one keeps the rows that the model gives it, if any.

        Raises:
            ModelError: this model has no multi-vectors.
            TextError: a text is too long or not a text.
        """
        self._require_representation("multi_vector")
        found = self._all_encodings(texts)
        return [encoding.multi_vector for encoding in found if encoding.multi_vector is not None]

    def read_texts(
        self, texts: Iterable[str], *, step: Tell | None = None, timings: Timings | None = None
    ) -> Iterator[tuple[int, TextEncoding]]:
        """Yield everything that one pass says about each text, as it becomes known.

        Short texts come first, in batches of similar length. Whoever stops asking stops the work,
        and between two batches others get their turn.

        Args:
            texts: any length, an empty one included: it is what the model reads where nothing is.
            step: told the share that is done, 0 to 1; what it raises ends the work.
            timings: where to add the milliseconds of forward passes, under `text`.

        Yields:
            The position in `texts`, and the encoding, whose arrays are read-only.

        Raises:
            ModelError: this model embeds no texts.
            TextError: a text is too long or not a text.
            StoppedError: nobody wants it any more (see `at`).
        """
        self.require("text")
        texts = [str(text) if isinstance(text, str) else text for text in texts]
        for position, text in enumerate(texts):
            try:
                checked_length(text, limits().document)
            except TextError as error:
                place = position + 1
                raise error.within(f"Text {place}", "text_at", number=place) from error
        took = {} if timings is None else timings
        with self._source.lease() as model:
            yield from self._passes.encodings(model, texts, step, self._terms, took)

    def token_usage(self, text: str, *, with_image: bool = False) -> TokenUsage:
        """Say how much of a text is read, alone or beside a picture.

        Raises:
            TextError: it is no text.
        """
        checked_length(text, sys.maxsize)
        with self._source.lease() as model:
            return model.token_usage(text, with_image=with_image)

    def alike(self, texts: Sequence[str]) -> list[tuple[str, ...]]:
        """Return groups of texts that the model cannot tell apart: it reads the same tokens.

        So does one in lower case of `Bee` and `bee`, and any of two words that it does not know.

        Args:
            texts: n different ones.

        Returns:
            The groups in order, each of two texts at least; none where all differ.

        Raises:
            TextError: one is no text.
        """
        for text in texts:
            checked_length(text, sys.maxsize)
        with self._source.lease() as model:
            rows = model.read_texts(list(texts))
        groups: dict[tuple[int, ...], list[str]] = {}
        for text, row in zip(texts, rows, strict=True):
            groups.setdefault(tuple(row), []).append(text)
        return [tuple(group) for group in groups.values() if len(group) > 1]

    def tokens(self, text: str) -> list[Token]:
        """Return what the model reads of a text, special tokens included.

        Raises:
            ModelError: this model does not say.
            TextError: it is no text.
        """
        checked_length(text, sys.maxsize)
        with self._source.lease() as model:
            return model.tokens(text)

    def match_probabilities(
        self, images: Sequence[Image.Image | Picture], texts: Sequence[str]
    ) -> NDArray[np.float32]:
        """Say how likely each picture and text belong together, by the model's matching head.

        The head reads a picture and a text together, so this costs a forward pass for each pair,
        which a cosine does not.

        Args:
            images: n pictures, any mode.
            texts: m texts.

        Returns:
            float32 [n, m], each in 0..1; independent of each other, so rows do not sum to 1.

        Raises:
            ModelError: this model has no such head (see `has_matching_head`).
            TextError: a text is empty or too long.
            StoppedError: nobody wants it any more (see `at`).
        """
        if not self.has_matching_head:
            raise ModelError(
                f"{self.name} has no matching head: it scores a picture and a text by their cosine "
                "only. Choose a BLIP retrieval model, such as blip-itm-base.",
                "no_matching_head",
                name=self.name,
            )
        texts = [checked_text(text) for text in texts]
        chances = np.empty((len(images), len(texts)), dtype=np.float32)
        with self._source.lease() as model:
            for row, image in zip(chances, images, strict=True):
                row[:] = self._passes.matches(model, Pictured(image), texts, self._terms)
        return chances

    def require(self, modality: Modality) -> None:
        """Refuse a modality that this model does not embed.

        Raises:
            ModelError: with what it does embed.
        """
        if modality not in self.modalities:
            able = ", ".join(sorted(self.modalities))
            raise ModelError(
                f"{self.name} cannot embed the modality '{modality}'; it embeds: {able}. "
                "Choose another model, or other items.",
                "no_modality",
                name=self.name,
                modality=modality,
                able=able,
            )

    def kept(self, kind: Kind, digest: bytes) -> Any:
        """Return what was computed with these weights from some content; None where it is gone."""
        return self._passes.kept(kind, digest)

    def keep(self, kind: Kind, digest: bytes, value: Sized) -> None:
        """Keep what was computed with these weights, while there is room."""
        self._passes.keep(kind, digest, value)

    def forget(self) -> None:
        """Drop all that was computed with these weights."""
        self._store.forget(self._owner)

    def _all_encodings(self, texts: Iterable[str] | str) -> list[TextEncoding]:
        """Return `read_texts` in the order of the texts."""
        found = dict(self.read_texts([texts] if isinstance(texts, str) else listed(texts)))
        return [found[position] for position in range(len(found))]

    def _require_representation(self, wanted: Representation) -> None:
        if wanted not in self.representations:
            able = ", ".join(sorted(self.representations))
            raise ModelError(
                f"{self.name} has no '{wanted}' representation of texts; it has: {able}. Choose "
                "another model, such as bge-m3.",
                "no_representation",
                name=self.name,
                representation=wanted,
                able=able,
            )


def _several(items: Any) -> Iterable[Any]:
    """Return items one after the other; a single one is one of its own kind.

    Raises:
        TextError: they are neither, or have no order.
    """
    if isinstance(items, SINGLE):
        return [items]
    unordered = isinstance(items, set | frozenset | bytes | bytearray)
    table = hasattr(items, "columns")  # Python's loop gives their names
    if unordered or table or not isinstance(items, Iterable):
        found = "None" if items is None else type(items).__name__
        raise TextError(
            f"Items are a list, in the order of the vectors that are wanted; given was {found}.",
            "no_items",
            given=found,
        )
    return items


class _Held:
    """A model that a program made and keeps."""

    def __init__(self, model: Model) -> None:
        self._model = model

    def lease(self) -> AbstractContextManager[Model]:
        return nullcontext(self._model)


def encoder_of(model: Model) -> Encoder:
    """Return an encoder of a model that a program made itself, with a store of its own.

    Args:
        model: stays in memory as long as the encoder does.
    """
    return Encoder(model, _Held(model), Store(256_000_000))
