"""The four similarity types of two pictures and a text, and the matrix behind them.

What the text and a picture alone have in common is a number beside the four. Whether a picture
shows the text is told by that one; the four measure pictures and fused vectors
(`python -m bench.pair_kinds`).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mmdemo.background.sets import Background, background, percentile_ranks, percentiles
from mmdemo.errors import PictureError, TextError
from mmdemo.images import ImageSource, Picture, as_source, as_sources
from mmdemo.models.items import Input, checked_text
from mmdemo.notes import picture_notes, text_notes
from mmdemo.similarity import cosine, degrees
from mmdemo.types import Embeddings, Fusion, Match, Needs, Note, Verdict
from mmdemo.work import UNFOLLOWED, Follow

if TYPE_CHECKING:
    from mmdemo.models.encoder import Encoder

NEEDS: Needs = frozenset({"text", "image", "fused"})

PairKind: TypeAlias = Literal["i2i", "i2it", "t2it", "it2it"]

LABELS = ("text", "image 1", "image 2", "fused 1", "fused 2")
"""Rows and columns of `Comparison.matrix`, in order."""

PAIRS: dict[PairKind, tuple[int, int]] = {
    "i2i": (1, 2),
    "i2it": (1, 3),
    "t2it": (0, 3),
    "it2it": (3, 4),
}
"""Which two of `LABELS` each pair kind compares."""

PICTURES = LABELS[1:3]
"""The two of `LABELS` that the text alone is compared with."""

TextImage: TypeAlias = Literal["t2i"]

TEXT_IMAGE: TextImage = "t2i"
"""The pair kind of the text and a picture alone, as the background set calls it."""

Leaning: TypeAlias = Literal["text", "image", "half"]
"""What a fused vector is mostly made of."""

_HALF = (0.4, 0.6)  # of the way from the picture to the text: the middle fifth counts as half


@dataclass(frozen=True)
class Shown:
    """Whether a picture shows what the text says.

    Attributes:
        label: which picture, one of `LABELS`.
        probability: chance in 0..1, from the cosine by the model's `Match`.
        verdict: `yes`, `no`, or `unsure` where the model was too often wrong in such cases.
    """

    label: str
    probability: float
    verdict: Verdict


@dataclass(frozen=True, eq=False)
class Comparison:
    """Two pictures and a text, compared.

    Attributes:
        scores: cosine in [-1, 1] by pair kind.
        percentiles: by pair kind, the percentage of unrelated pairs of the background set with a
            lower cosine; empty where no background set of this model is at hand.
        labels: the five names of rows and columns.
        matrix: float32 [5, 5], cosines of text, image 1, image 2, fused 1, fused 2.
        vectors: float32 [5, dim], unit rows, in the order of `labels`.
        model: name of the model.
        fusion: how the fused embeddings came about.
        text: the text.
        dim: length of a vector.
        timings: milliseconds: `open` the pictures that are new, `text`, `image` and `fused` forward
            passes, and `total`, of all texts of the request. What comes from the cache costs
            nothing and is absent.
        fingerprint: of the weights; empty where nothing tells them from others.
        notes: what a reader of the scores should know.
        shown: for each picture, whether it shows the text; empty for a model without a `match`.
        background: the background set of the percentiles, or None.
        text_image: cosine of the text and each picture alone, by the picture's label.
        text_image_percentiles: by the picture's label, the percentage of unrelated pairs of a
            picture and a short text with a lower cosine; empty like `percentiles`.
    """

    scores: dict[PairKind, float]
    percentiles: dict[PairKind, float]
    labels: tuple[str, ...]
    matrix: NDArray[np.float32]
    vectors: Embeddings
    model: str
    fusion: Fusion
    text: str
    dim: int
    timings: dict[str, float]
    fingerprint: str = ""
    notes: tuple[Note, ...] = field(default=())
    shown: tuple[Shown, ...] = field(default=())
    background: Background | None = None
    text_image: dict[str, float] = field(default_factory=dict)
    text_image_percentiles: dict[str, float] = field(default_factory=dict)

    @property
    def leaning(self) -> Leaning:
        """Return what the first fused vector is mostly made of, from its angles to both."""
        image, text = degrees(self.scores["i2it"]), degrees(self.scores["t2it"])
        share = image / (image + text) if image + text else 0.5
        return "image" if share < _HALF[0] else "text" if share > _HALF[1] else "half"

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON, without the vectors and the background set."""
        return {
            "model": self.model,
            "fingerprint": self.fingerprint,
            "fusion": self.fusion,
            "text": self.text,
            "dim": self.dim,
            "scores": dict(self.scores),
            "percentiles": dict(self.percentiles),
            "text_image": dict(self.text_image),
            "text_image_percentiles": dict(self.text_image_percentiles),
            "labels": list(self.labels),
            "matrix": [[float(value) for value in row] for row in self.matrix],
            "timings": {name: round(ms, 3) for name, ms in self.timings.items()},
            "notes": [note.message for note in self.notes],
            "shown": [asdict(one) for one in self.shown],
        }


@dataclass(frozen=True)
class CompareRequest:
    """Two pictures and a text, or two texts one after the other, to be compared.

    Attributes:
        image1: a PIL picture, a path, the bytes of a file, or a `Picture`.
        image2: likewise.
        texts: one or more; each is embedded alone, and together with each of the pictures.
        model: as it was chosen: a name, a hub id or a directory; None for the default.
    """

    image1: ImageSource
    image2: ImageSource
    texts: tuple[str, ...]
    model: str | None = None

    def run(self, encoder: Encoder, follow: Follow = UNFOLLOWED) -> tuple[Comparison, ...]:
        """Compare in all four ways, in one pass through the model; one `Comparison` a text.

        Args:
            encoder: must embed texts, images and both together.
            follow: not told anything: there are no steps.

        Raises:
            ModelError: the model cannot embed pictures, or not together with a text.
            PictureError: a picture cannot be read.
            TextError: there is no text, or one is empty or too long.
        """
        return _compared(encoder, self)


def compare(encoder: Encoder, image1: ImageSource, image2: ImageSource, text: str) -> Comparison:
    """Compare two pictures and a text in all four ways, in one pass through the model.

    Args:
        encoder: from `load_encoder`; must embed texts, images and both together.
        image1: a PIL picture, a path, the bytes of a file, or a `Picture`.
        image2: likewise.
        text: embedded alone, and together with each of the pictures.

    Raises:
        ModelError: the model cannot embed pictures, or not together with a text.
        PictureError: a picture cannot be read.
        TextError: the text is empty or too long.

    >>> compare(encoder, "a.png", "b.png", "a logo").scores
    {"i2i": 0.83, "i2it": 0.82, "t2it": 0.76, "it2it": 0.90}
    """
    return CompareRequest(image1, image2, (text,)).run(encoder)[0]


def _compared(encoder: Encoder, request: CompareRequest) -> tuple[Comparison, ...]:
    texts = [checked_text(text) for text in request.texts]
    if not texts:
        raise TextError("There is no text to compare. Give at least one.", "compare_no_text")
    start = time.perf_counter()
    first, second = _opened(request.image1, request.image2)
    timings = {"open": (time.perf_counter() - start) * 1000.0}
    items: list[Input] = [first, second]
    for text in texts:
        items += [text, {"image": first, "text": text}, {"image": second, "text": text}]
    vectors = encoder.encode(items, timings=timings)  # [2 + 3 n_texts, dim]
    timings["total"] = (time.perf_counter() - start) * 1000.0
    images, of_pictures = vectors[:2], picture_notes(enumerate((first, second), start=1))
    return tuple(
        # In the order of LABELS: the text, both pictures, both fused.
        _comparison(encoder, text, np.concatenate([own[:1], images, own[1:]]), timings, of_pictures)
        for text, own in zip(texts, np.split(vectors[2:], len(texts)), strict=True)
    )


def _opened(*images: ImageSource) -> list[Image.Image | Picture]:
    """Look at pictures, all at the same time; what is wrong with one says which it is."""
    with suppress(PictureError):
        return as_sources(*images)
    found = []
    for number, image in enumerate(images, start=1):
        try:
            found.append(as_source(image))
        except PictureError as error:
            raise error.within(f"Picture {number}", "picture_at", number=number) from error
    return found


def _comparison(
    encoder: Encoder,
    text: str,
    vectors: Embeddings,
    timings: dict[str, float],
    of_pictures: Sequence[Note],
) -> Comparison:
    """Return what the five vectors say, [5, dim], in the order of `LABELS`."""
    matrix = cosine(vectors, vectors)
    scores: dict[PairKind, float] = {
        kind: float(matrix[row, column]) for kind, (row, column) in PAIRS.items()
    }
    known = background(encoder)
    text_image = _by_picture(matrix[0, 1:3])
    ranks = percentile_ranks(known, TEXT_IMAGE, matrix[0, 1:3])
    return Comparison(
        scores=scores,
        percentiles=percentiles(known, scores),
        labels=LABELS,
        matrix=matrix,
        vectors=vectors,
        model=encoder.name,
        fingerprint=encoder.fingerprint,
        fusion=encoder.fusion,
        text=text,
        dim=encoder.dim,
        timings=timings,
        notes=(*text_notes(encoder, text), *of_pictures),
        shown=tuple(_shown(encoder.match, text_image)),
        background=known,
        text_image=text_image,
        text_image_percentiles={} if ranks is None else _by_picture(ranks),
    )


def _by_picture(values: NDArray[np.float32]) -> dict[str, float]:
    return dict(zip(PICTURES, map(float, values), strict=True))


def _shown(match: Match | None, of_text: dict[str, float]) -> Iterator[Shown]:
    """Yield for both pictures whether they show the text."""
    if match is not None:
        for label, cosine in of_text.items():
            yield Shown(label, match.probability(cosine), match.verdict(cosine))
