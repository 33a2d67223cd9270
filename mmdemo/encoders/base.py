"""What every encoder shares: reading items, capabilities, batches, unit rows and caches.

A subclass implements forward passes only:

* `_text_vectors`: texts to vectors;
* `_image_features`: pictures through the vision tower, once each, whatever they are needed for;
* `_image_vectors`, `_fused_vectors`: from those features to vectors, or `_picture_vectors` for both
  at once;
* `_text_encodings`, `tokens`: where a text becomes more than one vector, everything that one pass
  says about texts, and what the model reads of one.
"""

from __future__ import annotations

import time
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mmdemo.encoders.cache import ArrayCache, ByteCache, content_key
from mmdemo.encoders.parts.batching import by_length
from mmdemo.encoders.turns import Turns
from mmdemo.errors import MMDemoError, ModelError, TextError, checked_signs
from mmdemo.images import as_image, to_rgb
from mmdemo.settings import limits
from mmdemo.similarity import unit_rows
from mmdemo.types import (
    Activation,
    Embeddings,
    Fusion,
    Item,
    Match,
    Modality,
    Representation,
    SparseEmbedding,
    TextEncoding,
    Token,
    TokenUsage,
)

Input: TypeAlias = str | Image.Image | Path | Mapping[str, object] | Item
"""A text, a picture, a `Path` to one, `{"image": …, "text": …}`, or an `Item`.

A plain `str` is always a text; inside a mapping, `"image"` may also be a path as `str`.
"""

Features: TypeAlias = NDArray[np.float32]
Timings: TypeAlias = dict[str, float]
Step: TypeAlias = Callable[[float], None]
"""Told the share of the work that is done, 0 to 1; what it raises ends the work."""

_Prepared: TypeAlias = dict[int, tuple[weakref.ref[Image.Image], Image.Image]]

_EMBEDDING_CACHE_BYTES = 32 * 2**20
_FEATURE_CACHE_BYTES = 128 * 2**20
_MATCH_CACHE_BYTES = 2**17  # 4 bytes a pair, and some hundred for its place
# A multi-vector of 8192 tokens and 1024 dimensions has 32 MiB: eight of those, or fifty passages of
# 1300 tokens.
_ENCODING_CACHE_BYTES = 256 * 2**20


class Encoder(ABC):
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
        has_matching_head: whether `match_probabilities` is there.
        fingerprint: what tells these weights from others, as `ModelSpec.fingerprint`; empty where
            `load_encoder` did not make the encoder.
        batch_size: items that go through the model at once.
        batch_tokens: padded tokens of texts that go through the model at once, in `read_texts`.
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
    has_matching_head: bool = False
    fingerprint: str = ""
    batch_size: ClassVar[int] = 32
    batch_tokens: ClassVar[int] = 4096

    def __init__(self) -> None:
        """Make the caches. Subclasses load their weights before or after, in their own."""
        # One forward pass at a time: two would only fight over the same cores, and whoever asks
        # for the same item in the meantime then finds it in the cache. In turn: between two steps
        # of something long, somebody's comparison gets in.
        self._lock = Turns()
        self._embeddings = ArrayCache(_EMBEDDING_CACHE_BYTES)
        self._features = ArrayCache(_FEATURE_CACHE_BYTES)
        self._matches = ArrayCache(_MATCH_CACHE_BYTES)
        self._encodings: ByteCache[TextEncoding] = ByteCache(_ENCODING_CACHE_BYTES)

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
            self.require(item.modality)
        keys = [content_key(item.text, item.image) for item in parsed]
        with self._lock:
            rows = {key: row for key in keys if (row := self._embeddings.get(key)) is not None}
            missing = {key: item for key, item in zip(keys, parsed, strict=True) if key not in rows}
            rows.update(self._forward(missing, {} if timings is None else timings))
        if not keys:
            return np.empty((0, self.dim), dtype=np.float32)
        return np.stack([rows[key] for key in keys])

    def encode_sparse(self, texts: Sequence[str] | str) -> list[SparseEmbedding]:
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

    def encode_multi_vector(self, texts: Sequence[str] | str) -> list[Embeddings]:
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
        self, texts: Sequence[str], *, step: Step | None = None, timings: Timings | None = None
    ) -> Iterator[tuple[int, TextEncoding]]:
        """Yield everything that one pass says about each text, as it becomes known.

        Short texts come first, in batches of similar length. Whoever stops asking stops the work,
        and between two batches others get their turn.

        Args:
            texts: any length, an empty one included: it is what the model reads where nothing is.
            step: told how far the work is; what it raises ends the work.
            timings: where to add the milliseconds of forward passes, under `text`.

        Yields:
            The position in `texts`, and the encoding, whose arrays are read-only.

        Raises:
            ModelError: this model embeds no texts.
            TextError: a text is too long or not a text.
        """
        self.require("text")
        for position, text in enumerate(texts):
            _checked_length(text, limits().document, f"Text {position + 1}: ")
        lengths = [self.token_usage(text).used for text in texts]
        done, total = 0, max(sum(lengths), 1)
        for chosen in by_length(lengths, self.batch_tokens, least=_SMALL_BATCH, waste=_WASTE):
            size = sum(lengths[position] for position in chosen)

            def told(share: float, done: int = done, size: int = size) -> None:
                if step is not None:
                    step((done + share * size) / total)

            told(0.0)
            batch = [texts[position] for position in chosen]
            yield from zip(chosen, self._encodings_of(batch, told, timings), strict=True)
            done += size
            told(0.0, done)

    def token_usage(self, text: str, *, with_image: bool = False) -> TokenUsage:
        """Say how much of a text is read, alone or beside a picture."""
        raise NotImplementedError

    def tokens(self, text: str) -> list[Token]:
        """Return what the model reads of a text, special tokens included.

        Raises:
            ModelError: this model does not say.
        """
        raise ModelError(f"{self.name} does not tell which tokens it reads.")

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
        for row, picture in zip(chances, pictures, strict=True):
            with self._lock:
                row[:] = self._matches_of(picture, texts)
        return chances

    def _matches_of(self, picture: Image.Image, texts: Sequence[str]) -> list[float]:
        """Return a picture's chance with each text; those asked for before come from a cache."""
        of_picture = content_key(None, picture)
        keys = [of_picture + content_key(text, None) for text in texts]
        found = {key: one for key in keys if (one := self._matches.get(key)) is not None}
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in found}
        if missing:
            chances = self._match_chances(self._features_of([picture]), list(missing.values()))
            for key, chance in zip(missing, chances[0], strict=True):
                found[key] = np.array([chance], dtype=np.float32)
                self._matches.put(key, found[key])
        return [float(found[key][0]) for key in keys]

    # Forward passes: the part that differs between architectures.

    @abstractmethod
    def _text_vectors(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return [n, dim] for n texts, of any length per row."""

    def _text_encodings(self, texts: Sequence[str], step: Step) -> Sequence[TextEncoding]:
        """Return what one pass says about n texts of similar length, vectors of any length.

        Args:
            texts: they go through the model at once.
            step: to be told how far the pass is, where that can take long.
        """
        return [TextEncoding(vector) for vector in self._text_vectors(texts)]

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
            read = _read_item(item, self._longest_text())
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

    def _longest_text(self) -> int:
        """Return the most characters of a text that `encode` takes."""
        return limits().text

    def _all_encodings(self, texts: Sequence[str] | str) -> list[TextEncoding]:
        """Return `read_texts` in the order of the texts."""
        found = dict(self.read_texts([texts] if isinstance(texts, str) else texts))
        return [found[position] for position in range(len(found))]

    def _encodings_of(
        self, texts: Sequence[str], step: Step, timings: Timings | None
    ) -> list[TextEncoding]:
        """Return what one pass says about texts; what was read before comes from the cache."""
        keys = [content_key(text, None) for text in texts]
        with self._lock:
            found = {key: known for key in keys if (known := self._encodings.get(key)) is not None}
            todo = {key: text for key, text in zip(keys, texts, strict=True) if key not in found}
            if todo:
                with clock({} if timings is None else timings, "text"):
                    read = self._text_encodings(list(todo.values()), step)
                for key, encoding in zip(todo, map(_finished, read), strict=True):
                    found[key] = encoding
                    self._encodings.put(key, encoding)
                    self._embeddings.put(key, encoding.dense)
        return [found[key] for key in keys]

    def _require_representation(self, wanted: Representation) -> None:
        if wanted not in self.representations:
            able = ", ".join(sorted(self.representations))
            raise ModelError(
                f"{self.name} has no '{wanted}' representation of texts; it has: {able}. Choose "
                "another model, such as bge-m3."
            )

    def require(self, modality: Modality) -> None:
        """Refuse a modality that this model does not embed.

        Raises:
            ModelError: with what it does embed.
        """
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
            with clock(timings, "text"):
                return self._text_vectors([item.text for item in items if item.text is not None])
        with clock(timings, "image"):
            features = self._features_of(images)
        texts = [item.text for item in items]
        with clock(timings, "fused" if any(texts) else "image"):
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


# Padded tokens from which on a batch pays for its padding, and the share of it that closes a batch.
_SMALL_BATCH = 256
_WASTE = 0.2


def _finished(read: TextEncoding) -> TextEncoding:
    """Return an encoding with unit vectors, read-only because every later caller shares it."""
    finished = TextEncoding(
        dense=unit_rows(read.dense[None])[0].copy(),
        sparse=read.sparse,
        multi_vector=None if read.multi_vector is None else unit_rows(read.multi_vector),
    )
    for array in finished.arrays():
        array.setflags(write=False)
    return finished


def _read_item(item: object, longest: int) -> Item:
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
        return Item(text=checked_text(text, longest))
    if isinstance(text, str) and not text.strip():
        text = None  # a picture with an empty text is the picture alone
    return Item(
        text=None if text is None else checked_text(text, longest),
        image=as_image(image),  # pyright: ignore[reportArgumentType] -- refused there if no picture
    )


def checked_text(text: object, longest: int | None = None) -> str:
    """Return the text if a model can embed it.

    Args:
        text: what was given.
        longest: most characters; by default `MMDEMO_LIMITS_TEXT`.

    Raises:
        TextError: not a text, empty, or longer than the limit.
    """
    checked = _checked_length(text, longest or limits().text)
    if not checked.strip():
        raise TextError("The text is empty. Type at least one word.", "text_empty")
    return checked


def _checked_length(text: object, longest: int, where: str = "") -> str:
    if not isinstance(text, str):
        raise TextError(f"{where}A text was expected, not {_describe(text)}.")
    if len(text) > longest:
        raise TextError(
            f"{where}The text has {len(text):,} characters; at most {longest:,} are accepted. "
            "Shorten it.",
            "text_length",
            length=f"{len(text):,}",
            limit=f"{longest:,}",
        )
    return checked_signs(text)


def _describe(item: object) -> str:
    if isinstance(item, Mapping):
        return f"a mapping with the keys {sorted(map(str, item))}"
    return "nothing" if item is None else f"of the type {type(item).__name__}"


@contextmanager
def clock(timings: Timings, name: str) -> Iterator[None]:
    """Add the milliseconds that what is inside takes to a timing."""
    start = time.perf_counter()
    try:
        yield
    finally:
        timings[name] = timings.get(name, 0.0) + (time.perf_counter() - start) * 1000.0
