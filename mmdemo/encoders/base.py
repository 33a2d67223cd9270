"""What every encoder shares: reading items, capabilities, batches, unit rows and caches.

A subclass implements forward passes only:

* `_text_vectors`: texts to vectors;
* `_image_features`: pictures through the vision tower, once each, whatever they are needed for;
* `_image_vectors`, `_fused_vectors`: from those features to vectors, or `_picture_vectors` for both
  at once.
"""

from __future__ import annotations

import threading
import time
import weakref
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mmdemo.encoders.cache import ArrayCache, content_key
from mmdemo.errors import MMDemoError, ModelError, TextError
from mmdemo.images import as_image, to_rgb
from mmdemo.settings import limits
from mmdemo.similarity import unit_rows
from mmdemo.types import Activation, Embeddings, Fusion, Item, Match, Modality, TokenUsage

Input: TypeAlias = str | Image.Image | Path | Mapping[str, object] | Item
"""A text, a picture, a `Path` to one, `{"image": …, "text": …}`, or an `Item`.

A plain `str` is always a text; inside a mapping, `"image"` may also be a path as `str`.
"""

Features: TypeAlias = NDArray[np.float32]
Timings: TypeAlias = dict[str, float]
_Prepared: TypeAlias = dict[int, tuple[weakref.ref[Image.Image], Image.Image]]

_EMBEDDING_CACHE_BYTES = 32 * 2**20
_FEATURE_CACHE_BYTES = 128 * 2**20


class Encoder(ABC):
    """Turns items into unit vectors in one space. Safe to use from many threads.

    Attributes:
        name: the name in the registry.
        dim: length of a vector.
        modalities: what can be embedded.
        fusion: how a fused embedding comes about.
        languages: ISO 639-1 codes of the languages the text side reads, or `("multilingual",)`.
        logit_scale: factor between a cosine and a logit (the inverse of the temperature).
        logit_bias: added to a logit, for `sigmoid`.
        activation: `softmax` for one choice among many, `sigmoid` for independent yes or no.
        match: how likely a picture and a text belong together, by their cosine; None for a model
            that was not calibrated.
        has_matching_head: whether `match_probabilities` is there.
        fingerprint: what tells these weights from others, as `ModelSpec.fingerprint`; empty where
            `load_encoder` did not make the encoder.
        batch_size: items that go through the model at once.
    """

    name: str
    dim: int
    modalities: frozenset[Modality]
    fusion: Fusion
    languages: tuple[str, ...]
    logit_scale: float
    logit_bias: float = 0.0
    activation: Activation = "softmax"
    match: Match | None = None
    has_matching_head: bool = False
    fingerprint: str = ""
    batch_size: ClassVar[int] = 32

    def __init__(self) -> None:
        """Make the caches. Subclasses load their weights before or after, in their own."""
        # One forward pass at a time: two would only fight over the same cores, and whoever asks
        # for the same item in the meantime then finds it in the cache.
        self._lock = threading.RLock()
        self._embeddings = ArrayCache(_EMBEDDING_CACHE_BYTES)
        self._features = ArrayCache(_FEATURE_CACHE_BYTES)

    def encode(
        self, items: Sequence[Input] | Input, *, timings: Timings | None = None
    ) -> Embeddings:
        """Embed texts, pictures and pairs of both, mixed freely.

        Args:
            items: what to embed; a single item counts as a list of one.
            timings: where to add the milliseconds spent in each kind of forward pass, under
                `image`, `text` and `fused`; what comes from the cache costs nothing.

        Returns:
            float32 [n, dim], unit rows, in the order of `items`.

        Raises:
            ModelError: this model has no embedding for a modality that is asked for.
            PictureError: a picture cannot be read.
            TextError: a text is empty, too long or not a text.

        >>> encoder.encode(["a red car", {"image": picture, "text": "in the rain"}]).shape
        (2, 384)
        """
        if isinstance(items, str | Image.Image | Path | Mapping | Item):
            items = [items]
        prepared: _Prepared = {}
        parsed = [self._parse(item, position, prepared) for position, item in enumerate(items)]
        for item in parsed:
            self._require(item.modality)
        keys = [content_key(item.text, item.image) for item in parsed]
        with self._lock:
            rows = {key: row for key in keys if (row := self._embeddings.get(key)) is not None}
            missing = {key: item for key, item in zip(keys, parsed, strict=True) if key not in rows}
            rows.update(self._forward(missing, {} if timings is None else timings))
        if not keys:
            return np.empty((0, self.dim), dtype=np.float32)
        return np.stack([rows[key] for key in keys])

    def token_usage(self, text: str, *, with_image: bool = False) -> TokenUsage:
        """Say how much of a text is read, alone or beside a picture."""
        raise NotImplementedError

    def match_probabilities(
        self, images: Sequence[Image.Image], texts: Sequence[str]
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
        """
        if not self.has_matching_head:
            raise ModelError(
                f"{self.name} has no matching head: it scores a picture and a text by their cosine "
                "only. Choose a BLIP retrieval model, such as blip-itm-base."
            )
        texts = [checked_text(text) for text in texts]
        pictures = [self._prepare(image) for image in images]
        chances = np.empty((len(pictures), len(texts)), dtype=np.float32)
        for start in range(0, len(pictures) if texts else 0, self.batch_size):
            chosen = slice(start, start + self.batch_size)
            with self._lock:
                features = self._features_of(pictures[chosen])
                chances[chosen] = self._match_chances(features, texts)
        return chances

    # Forward passes: the part that differs between architectures.

    @abstractmethod
    def _text_vectors(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return [n, dim] for n texts, of any length per row."""

    @abstractmethod
    def _image_features(self, images: Sequence[Image.Image]) -> Sequence[Features]:
        """Run n pictures through the vision tower; one array for each, all of one shape."""

    def _image_vectors(self, features: Sequence[Features]) -> NDArray[np.float32]:
        """Return [n, dim] from vision features; by default these are the vectors themselves."""
        return np.stack(features)

    def _fused_vectors(
        self, features: Sequence[Features], texts: Sequence[str]
    ) -> NDArray[np.float32]:
        """Return [n, dim] for n pictures with their texts.

        The default is late fusion, for models without a fused embedding of their own: the mean of
        the two unit vectors.
        """
        pictures = unit_rows(self._image_vectors(features))
        # Through the cache: the same text is usually wanted on its own as well.
        return pictures + self.encode(list(texts))

    def _match_chances(
        self, features: Sequence[Features], texts: Sequence[str]
    ) -> NDArray[np.float32]:
        """Return [n, m] for the vision features of n pictures and m texts, where there is a head.

        Called with `_lock` held.
        """
        raise NotImplementedError

    def _picture_vectors(
        self, features: Sequence[Features], texts: Sequence[str | None]
    ) -> NDArray[np.float32]:
        """Return [n, dim] for n pictures, each with its text, or with None where it is alone.

        The default asks `_image_vectors` for those alone and `_fused_vectors` for the pairs. A
        model that reads both as one kind of sequence overrides this and runs them as one batch.
        """
        vectors = np.empty((len(features), self.dim), dtype=np.float32)
        alone = [row for row, text in enumerate(texts) if text is None]
        pairs = {row: text for row, text in enumerate(texts) if text is not None}
        if alone:
            vectors[alone] = self._image_vectors([features[row] for row in alone])
        if pairs:
            of_pairs = [features[row] for row in pairs]
            vectors[list(pairs)] = self._fused_vectors(of_pairs, list(pairs.values()))
        return vectors

    def _prepare(self, image: Image.Image) -> Image.Image:
        """Return the picture as this model wants it; by default what a person sees, in RGB."""
        return to_rgb(image)

    # What is shared.

    def _parse(self, item: Input, position: int, prepared: _Prepared) -> Item:
        try:
            read = _read_item(item)
        except MMDemoError as error:
            raise type(error)(f"Item {position + 1}: {error}") from error
        if read.image is None:
            return read
        # A picture that comes alone and with a text is prepared once. A weak reference, because a
        # picture that was opened from a path is gone afterwards and its id may be given to another.
        known = prepared.get(id(read.image))
        if known is None or known[0]() is not read.image:
            known = weakref.ref(read.image), self._prepare(read.image)
            prepared[id(read.image)] = known
        return Item(text=read.text, image=known[1])

    def _require(self, modality: Modality) -> None:
        if modality not in self.modalities:
            able = ", ".join(sorted(self.modalities))
            raise ModelError(
                f"{self.name} cannot embed the modality '{modality}'; it embeds: {able}. "
                "Choose another model, or other items."
            )

    def _forward(self, missing: Mapping[bytes, Item], timings: Timings) -> dict[bytes, Features]:
        """Embed what the cache does not hold: texts, then pictures and pairs, in batches."""
        rows: dict[bytes, Features] = {}
        for pictured in (False, True):
            todo = [
                (k, item) for k, item in missing.items() if (item.image is not None) is pictured
            ]
            for start in range(0, len(todo), self.batch_size):
                batch = todo[start : start + self.batch_size]
                vectors = unit_rows(self._embed([item for _, item in batch], timings))
                for (key, _), vector in zip(batch, vectors, strict=True):
                    rows[key] = vector.copy()
                    self._embeddings.put(key, rows[key])
        return rows

    def _embed(self, items: Sequence[Item], timings: Timings) -> NDArray[np.float32]:
        """Return [n, dim] for n items that are all texts, or all have a picture."""
        images = [item.image for item in items if item.image is not None]
        if not images:
            with _clock(timings, "text"):
                return self._text_vectors([item.text for item in items if item.text is not None])
        with _clock(timings, "image"):
            features = self._features_of(images)
        texts = [item.text for item in items]
        with _clock(timings, "fused" if any(texts) else "image"):
            return self._picture_vectors(features, texts)

    def _features_of(self, images: Sequence[Image.Image]) -> list[Features]:
        """Return vision features, each distinct picture computed once and kept by its content."""
        keys = [content_key(None, image) for image in images]
        found = {key: row for key in keys if (row := self._features.get(key)) is not None}
        todo = {key: im for key, im in zip(keys, images, strict=True) if key not in found}
        if todo:
            computed = self._image_features(list(todo.values()))
            for key, feature in zip(todo, computed, strict=True):
                found[key] = feature
                self._features.put(key, feature)
        return [found[key] for key in keys]


def _read_item(item: object) -> Item:
    """Turn any accepted input into an `Item`, or say what is accepted."""
    if isinstance(item, Item):
        text, image = item.text, item.image
    elif isinstance(item, str):
        text, image = item, None
    elif isinstance(item, Image.Image | Path):
        text, image = None, item
    elif isinstance(item, Mapping) and item and set(item) <= {"image", "text"}:
        text, image = item.get("text"), item.get("image")
    else:
        raise TextError(
            "An item is a text, a picture, a pathlib.Path to one, or "
            f"{{'image': …, 'text': …}}; this is {_describe(item)}."
        )
    if image is None:
        return Item(text=checked_text(text))
    if isinstance(text, str) and not text.strip():
        text = None  # a picture with an empty text is the picture alone
    return Item(
        text=None if text is None else checked_text(text),
        image=as_image(image),  # pyright: ignore[reportArgumentType] -- refused there if no picture
    )


def checked_text(text: object) -> str:
    """Return the text if a model can embed it.

    Raises:
        TextError: not a text, empty, or longer than the limit.
    """
    if not isinstance(text, str):
        raise TextError(f"A text was expected, not {_describe(text)}.")
    if not text.strip():
        raise TextError("The text is empty. Type at least one word.", "text_empty")
    longest = limits().text
    if len(text) > longest:
        raise TextError(
            f"The text has {len(text):,} characters; at most {longest:,} are accepted. Shorten it.",
            "text_length",
            length=f"{len(text):,}",
            limit=f"{longest:,}",
        )
    return text


def _describe(item: object) -> str:
    if isinstance(item, Mapping):
        return f"a mapping with the keys {sorted(map(str, item))}"
    return "nothing" if item is None else f"of the type {type(item).__name__}"


@contextmanager
def _clock(timings: Timings, name: str) -> Iterator[None]:
    start = time.perf_counter()
    try:
        yield
    finally:
        timings[name] = timings.get(name, 0.0) + (time.perf_counter() - start) * 1000.0
