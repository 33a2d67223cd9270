"""Zero-shot classification: which of some candidate labels a picture shows, without training.

A label is put into each template ("a photo of a {}."), the prompts are embedded, and their unit
vectors are averaged and normalised again: the *class embedding* (Radford et al. 2021, arXiv
2103.00020, section 3.1.4). A picture's cosine with each of them, times `logit_scale`, plus
`logit_bias`, is a logit. A softmax over the labels makes probabilities of them; or, for a model
that was trained with a sigmoid (Zhai et al. 2023, arXiv 2303.15343), each label has a probability
of its own.
"""

from __future__ import annotations

import hashlib
import threading
import time
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mmdemo.background import background, ensure
from mmdemo.errors import PictureError
from mmdemo.images import ImageSource, as_image
from mmdemo.notes import Note, text_notes
from mmdemo.prompts import TEMPLATE_SETS, checked_labels, checked_templates, fill
from mmdemo.settings import limits
from mmdemo.similarity import cosine, unit_rows
from mmdemo.types import Activation, Embeddings

if TYPE_CHECKING:
    from mmdemo.encoders.base import Encoder

Labels: TypeAlias = Sequence[str] | str
Templates: TypeAlias = Sequence[str] | str

_PROMPTS_AT_ONCE = 64  # between two looks at whether to go on
_CACHE_BYTES = 192 * 2**20  # for each encoder; 1,000 labels x 80 templates x 768 have 123 MB
_MATCHED_PAIRS = 200  # up to which a matching head sees every picture with every label
_MATCHED_LABELS = 10  # of each picture, where there are more

# An unrelated label may beat the rejection row in one of ten pictures.
_FALSE_ALARM = 0.1


@dataclass(frozen=True, eq=False)
class ClassEmbeddings:
    """Labels as vectors.

    Attributes:
        labels: n of them.
        templates: t of them.
        vectors: float32 [n, dim], unit rows, each the mean over the templates.
        by_template: float16 [n, t, dim], what was averaged; half precision, because it is only
            shown (a cosine is off by less than 1e-4).
    """

    labels: tuple[str, ...]
    templates: tuple[str, ...]
    vectors: Embeddings
    by_template: NDArray[np.float16]

    @property
    def nbytes(self) -> int:
        """Return the bytes of both arrays."""
        return self.vectors.nbytes + self.by_template.nbytes


@dataclass(frozen=True, eq=False)
class Classification:
    """Pictures and candidate labels, scored.

    Attributes:
        labels: as they were used: trimmed, without duplicates.
        templates: likewise.
        cosines: float32 [n_images, n_labels] in [-1, 1].
        probabilities: float32 [n_images, n_labels]. Rows of a softmax sum to 1 together with
            `rejection`; those of a sigmoid are independent.
        percentiles: float32 [n_images, n_labels], the percentage of unrelated pairs of a picture
            and a prompt with a lower cosine; None where no background set of the model is at hand.
        rejection: float32 [n_images], the probability of "none of these"; None if not asked for.
        rejection_cosine: at which "none of these" stands among the labels; None for a sigmoid,
            which needs none.
        matching: float32 [n_images, n_labels], the chance by the model's matching head, NaN for
            labels that it was not asked about; None for models without one.
        logit_scale: factor of the cosines, from the checkpoint.
        logit_bias: added to the logits, from the checkpoint; 0 for a softmax.
        activation: what makes probabilities of logits.
        model: name of the model.
        image_vectors: float32 [n_images, dim], unit rows.
        classes: the labels as vectors.
        timings: milliseconds: `open` the pictures, `classes`, `image`, `matching`, and `total`.
        notes: what a reader of the scores should know.
    """

    labels: tuple[str, ...]
    templates: tuple[str, ...]
    cosines: NDArray[np.float32]
    probabilities: NDArray[np.float32]
    percentiles: NDArray[np.float32] | None
    rejection: NDArray[np.float32] | None
    rejection_cosine: float | None
    matching: NDArray[np.float32] | None
    logit_scale: float
    logit_bias: float
    activation: Activation
    model: str
    image_vectors: Embeddings
    classes: ClassEmbeddings
    timings: dict[str, float]
    notes: tuple[Note, ...] = field(default=())

    @property
    def temperature(self) -> float:
        """Return what cosines are divided by: the inverse of `logit_scale`."""
        return 1.0 / self.logit_scale

    def ranking(self, image: int) -> list[int]:
        """Return the labels' positions for one picture, the best first; equal ones in order."""
        return np.argsort(-self.cosines[image], kind="stable").tolist()

    def rows(self) -> list[dict[str, Any]]:
        """Return one row a picture and label, pictures in order, each one's best label first."""
        return [
            {
                "picture": image + 1,
                "label": self.labels[label],
                "cosine": float(self.cosines[image, label]),
                "probability": float(self.probabilities[image, label]),
                "percentile": _at(self.percentiles, image, label),
                "matching": _at(self.matching, image, label),
            }
            for image in range(len(self.cosines))
            for label in self.ranking(image)
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON, without the vectors."""
        return {
            "model": self.model,
            "labels": list(self.labels),
            "templates": list(self.templates),
            "activation": self.activation,
            "logit_scale": self.logit_scale,
            "logit_bias": self.logit_bias,
            "temperature": self.temperature,
            "cosines": _plain(self.cosines),
            "probabilities": _plain(self.probabilities),
            "percentiles": _plain(self.percentiles),
            "rejection": _plain(self.rejection),
            "rejection_cosine": self.rejection_cosine,
            "matching": _plain(self.matching),
            "timings": {name: round(ms, 3) for name, ms in self.timings.items()},
            "notes": [note.message for note in self.notes],
        }


@dataclass(frozen=True, eq=False)
class PromptEffect:
    """What the prompts did to one picture's scores.

    Attributes:
        labels: k of them, the best first.
        templates: t of them.
        bare: float32 [k], cosine with the label without any template.
        by_template: float32 [k, t], cosine with each prompt.
        ensemble: float32 [k], cosine with the class embedding.
    """

    labels: tuple[str, ...]
    templates: tuple[str, ...]
    bare: NDArray[np.float32]
    by_template: NDArray[np.float32]
    ensemble: NDArray[np.float32]


def classify(
    encoder: Encoder,
    images: Sequence[ImageSource] | ImageSource,
    labels: Labels,
    templates: Templates = "openai-7",
    *,
    reject: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Classification:
    """Score pictures against candidate labels.

    Args:
        encoder: from `load_encoder`; must embed texts and images.
        images: PIL pictures, paths, or the bytes of files; or one of these.
        labels: the candidates; a plain text is split at line breaks, else at commas.
        templates: a key of `prompts.TEMPLATE_SETS`, a template, or a list of templates.
        reject: add "none of these". For a softmax it stands among the labels at the cosine that an
            unrelated label would exceed in one of ten pictures, by the model's background set,
            which is measured first where there is none yet. For a sigmoid it is the product of the
            chances that each label does not fit.
        progress: called with the prompts embedded so far, and with how many there are.

    Raises:
        ModelError: the model cannot embed pictures.
        PictureError: there is none, there are too many, or one cannot be read.
        TextError: labels or templates are missing, too many or too long, or a template has no `{}`.

    >>> result = classify(encoder, "bee.jpg", ["a bee", "a bridge"])
    >>> result.labels[result.ranking(0)[0]], result.probabilities.shape
    ('a bee', (1, 2))
    """
    checked, prompts = checked_labels(labels), checked_templates(templates)
    start = time.perf_counter()
    timings: dict[str, float] = {}
    pictures = _opened(images)
    _lap(timings, "open", start)
    for done, total in embedding_steps(encoder, checked, prompts):
        if progress:
            progress(done, total)
    classes = _known(encoder, checked, prompts)
    _lap(timings, "classes", start)
    vectors = encoder.encode(pictures)
    cosines = cosine(vectors, classes.vectors)
    _lap(timings, "image", start)
    matching = _matching(encoder, pictures, checked, cosines)
    if matching is not None:
        _lap(timings, "matching", start)
    stand = _rejection_cosine(encoder, len(checked)) if reject else None
    probabilities, rejection = _activate(encoder, cosines, stand, reject)
    timings["total"] = (time.perf_counter() - start) * 1000.0
    return Classification(
        labels=checked,
        templates=prompts,
        cosines=cosines,
        probabilities=probabilities,
        percentiles=_percentiles(encoder, cosines),
        rejection=rejection,
        rejection_cosine=stand,
        matching=matching,
        logit_scale=encoder.logit_scale,
        logit_bias=encoder.logit_bias,
        activation=encoder.activation,
        model=encoder.name,
        image_vectors=vectors,
        classes=classes,
        timings=timings,
        notes=tuple(_notes(encoder, checked, prompts)),
    )


def embedding_steps(
    encoder: Encoder, labels: Labels, templates: Templates
) -> Iterator[tuple[int, int]]:
    """Embed labels step by step, so that whoever iterates can show progress, or stop.

    Afterwards `classify` finds the class embeddings ready, and so does the next picture. Labels
    that are ready already take no step.

    Yields:
        The prompts embedded so far, and how many there are.
    """
    checked, prompts = checked_labels(labels), checked_templates(templates)
    if _cache_of(encoder).get(_key(checked, prompts)) is None:
        yield from _embed(encoder, checked, prompts)


def prompt_effect(
    encoder: Encoder, result: Classification, image: int = 0, top: int = 8
) -> PromptEffect:
    """Say what the prompts did to the scores of one picture's best labels.

    Args:
        encoder: the one that made the result.
        result: from `classify`.
        image: which picture.
        top: how many labels.
    """
    best = result.ranking(image)[:top]
    labels = tuple(result.labels[label] for label in best)
    picture = result.image_vectors[image : image + 1]  # [1, dim]
    prompts = result.classes.by_template[best].astype(np.float32)  # [k, t, dim]
    return PromptEffect(
        labels=labels,
        templates=result.templates,
        bare=cosine(encoder.encode(list(labels)), picture)[:, 0],
        by_template=prompts @ picture[0],
        ensemble=result.cosines[image, best],
    )


# Class embeddings.


class _ClassCache:
    """The class embeddings of one encoder, the least recently used dropped first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: OrderedDict[bytes, ClassEmbeddings] = OrderedDict()

    def get(self, key: bytes) -> ClassEmbeddings | None:
        with self._lock:
            found = self._entries.get(key)
            if found is not None:
                self._entries.move_to_end(key)
            return found

    def put(self, key: bytes, classes: ClassEmbeddings) -> None:
        with self._lock:
            self._entries[key] = classes
            while len(self._entries) > 1 and self._bytes() > _CACHE_BYTES:
                self._entries.popitem(last=False)

    def _bytes(self) -> int:
        return sum(entry.nbytes for entry in self._entries.values())


_caches: weakref.WeakKeyDictionary[Encoder, _ClassCache] = weakref.WeakKeyDictionary()
_caches_lock = threading.Lock()


def _cache_of(encoder: Encoder) -> _ClassCache:
    with _caches_lock:
        return _caches.setdefault(encoder, _ClassCache())


def _key(labels: tuple[str, ...], templates: tuple[str, ...]) -> bytes:
    """Return a digest: the cache outlives a visit, a visitor's labels must not."""
    # `repr` quotes each text, so no list of labels can pass for another.
    content = repr((labels, templates)).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(content, digest_size=20).digest()


def _known(
    encoder: Encoder, labels: tuple[str, ...], templates: tuple[str, ...]
) -> ClassEmbeddings:
    """Return class embeddings, embedded again if they were dropped in the meantime."""
    while True:
        found = _cache_of(encoder).get(_key(labels, templates))
        if found is not None:
            return found
        for _ in _embed(encoder, labels, templates):
            pass


def _embed(
    encoder: Encoder, labels: tuple[str, ...], templates: tuple[str, ...]
) -> Iterator[tuple[int, int]]:
    """Embed every label in every template and put the result into the cache."""
    total = len(labels) * len(templates)
    vectors = np.empty((len(labels), encoder.dim), dtype=np.float32)
    by_template = np.empty((len(labels), len(templates), encoder.dim), dtype=np.float16)
    at_once = max(1, _PROMPTS_AT_ONCE // len(templates))
    for start in range(0, len(labels), at_once):
        some = labels[start : start + at_once]
        prompts = [fill(template, label) for label in some for template in templates]
        rows = encoder.encode(prompts).reshape(len(some), len(templates), -1)  # [k, t, dim]
        vectors[start : start + at_once] = unit_rows(rows.mean(axis=1))
        by_template[start : start + at_once] = rows
        yield min(start + at_once, len(labels)) * len(templates), total
    for array in (vectors, by_template):
        array.setflags(write=False)  # every later caller shares them
    classes = ClassEmbeddings(labels, templates, vectors, by_template)
    _cache_of(encoder).put(_key(labels, templates), classes)


# Scores.


def _activate(
    encoder: Encoder, cosines: NDArray[np.float32], stand: float | None, reject: bool
) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
    """Return probabilities [n_images, n_labels], and of "none of these" [n_images] if wanted."""
    logits = encoder.logit_scale * cosines.astype(np.float64) + encoder.logit_bias
    if encoder.activation == "sigmoid":
        chances = 1.0 / (1.0 + np.exp(-logits))
        none = (1.0 - chances).prod(axis=1) if reject else None
    else:
        if stand is not None:
            row = np.full((len(logits), 1), encoder.logit_scale * stand + encoder.logit_bias)
            logits = np.concatenate([logits, row], axis=1)
        weights = np.exp(logits - logits.max(axis=1, keepdims=True))
        chances = weights / weights.sum(axis=1, keepdims=True)
        none = None
        if stand is not None:
            chances, none = chances[:, :-1], chances[:, -1]
    return chances.astype(np.float32), None if none is None else none.astype(np.float32)


def _rejection_cosine(encoder: Encoder, labels: int) -> float | None:
    """Return the cosine that the best of n unrelated labels exceeds in one of ten pictures.

    By Bonferroni's bound: the quantile at 1 - 0.1 / n of unrelated pairs.
    """
    if encoder.activation == "sigmoid":
        return None
    return ensure(encoder).quantile("t2i", 100.0 * (1.0 - _FALSE_ALARM / labels))


def _percentiles(encoder: Encoder, cosines: NDArray[np.float32]) -> NDArray[np.float32] | None:
    known = background(encoder)
    if known is None or "t2i" not in known.quantiles:
        return None
    return known.ranks("t2i", cosines)


def _matching(
    encoder: Encoder,
    pictures: Sequence[Image.Image],
    labels: tuple[str, ...],
    cosines: NDArray[np.float32],
) -> NDArray[np.float32] | None:
    """Return what the matching head says, [n_images, n_labels]; None without one.

    It reads one text with one picture, so it is asked with the plain prompt, whatever the
    templates; and only about each picture's best labels where there are many pairs, as it is used
    after a retrieval by cosine (Li et al. 2022, arXiv 2201.12086).
    """
    if not encoder.has_matching_head:
        return None
    [plain] = TEMPLATE_SETS["plain"].templates
    asked = len(labels) if cosines.size <= _MATCHED_PAIRS else min(_MATCHED_LABELS, len(labels))
    found = np.full(cosines.shape, np.nan, dtype=np.float32)
    for image, picture in enumerate(pictures):
        best = np.argsort(-cosines[image], kind="stable")[:asked]
        prompts = [fill(plain, labels[label]) for label in best]
        found[image, best] = encoder.match_probabilities([picture], prompts)[0]
    return found


# Input and notes.


def _opened(images: Sequence[ImageSource] | ImageSource) -> list[Image.Image]:
    if isinstance(images, str | bytes | Path | Image.Image):
        images = [images]
    most = limits().pictures
    if not images:
        raise PictureError("There is no picture. Give at least one.", "pictures_none")
    if len(images) > most:
        raise PictureError(
            f"There are {len(images):,} pictures; at most {most:,} are accepted at once. Remove "
            "some.",
            "pictures_many",
            count=f"{len(images):,}",
            limit=f"{most:,}",
        )
    return [_open(image, position) for position, image in enumerate(images, start=1)]


def _open(image: ImageSource, position: int) -> Image.Image:
    try:
        return as_image(image)
    except PictureError as error:
        message = f"Picture {position}: {error}"
        raise PictureError(message, error.code, **error.values) from error


def _notes(encoder: Encoder, labels: tuple[str, ...], templates: tuple[str, ...]) -> list[Note]:
    """Return notes on the longest prompt, and on the script of all of them together."""
    longest = fill(max(templates, key=len), max(labels, key=len))
    notes = text_notes(encoder, longest, with_image=False)
    together = text_notes(encoder, "\n".join(labels), with_image=False)
    return [note for note in notes if note.code == "truncated"] + [
        note for note in together if note.code == "language"
    ]


def _lap(timings: dict[str, float], name: str, start: float) -> None:
    """Note the milliseconds since the lap before."""
    timings[name] = (time.perf_counter() - start) * 1000.0 - sum(timings.values())


def _at(values: NDArray[np.float32] | None, image: int, label: int) -> float | None:
    if values is None or np.isnan(values[image, label]):
        return None
    return float(values[image, label])


def _plain(values: NDArray[np.float32] | None) -> Any:
    """Return an array as lists, NaN as None: JSON knows no NaN."""
    if values is None:
        return None
    plain = values.astype(object)
    plain[np.isnan(values)] = None
    return plain.tolist()
