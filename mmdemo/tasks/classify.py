"""Zero-shot classification: which of some candidate labels a picture shows, without training.

A label is put into each template ("a photo of a {}."), the prompts are embedded, and their unit
vectors are averaged and normalised again: the *class embedding* (Radford et al. 2021, arXiv
2103.00020, section 3.1.4). A picture's cosine with each of them, times `logit_scale`, plus
`logit_bias`, is a logit. A softmax over the labels makes probabilities of them; or, for a model
that was trained with a sigmoid (Zhai et al. 2023, arXiv 2303.15343), each label has a probability
of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mmdemo.background.measure import ensure
from mmdemo.background.sets import background, percentile_ranks
from mmdemo.errors import PictureError
from mmdemo.images import ImageSource, Picture, as_source
from mmdemo.models.items import listed_pictures
from mmdemo.models.store import text_digest
from mmdemo.notes import (
    label_notes,
    picture_notes,
    temperature_notes,
    text_notes,
    unknown_among,
)
from mmdemo.settings import limits
from mmdemo.signs import has_visible
from mmdemo.similarity import cosine, order, unit_rows
from mmdemo.tasks.prompts import TEMPLATE_SETS, checked_labels, checked_prompts, fill
from mmdemo.timings import Timings, timed
from mmdemo.types import Activation, Embeddings, Needs, Note
from mmdemo.work import UNFOLLOWED, Follow, Follower

if TYPE_CHECKING:
    from mmdemo.models.encoder import Encoder

NEEDS: Needs = frozenset({"text", "image"})

Labels: TypeAlias = Iterable[str] | str
Templates: TypeAlias = Iterable[str] | str

_PROMPTS_AT_ONCE = 64  # between two looks at whether to go on
_PICTURES_AT_ONCE = 4  # likewise; and no more of them are held at once
_PAIRS_AT_ONCE = 8  # likewise, of a picture and a label: each takes a pass
_MATCHED_PAIRS = 200  # up to which a matching head sees every picture with every label
_MATCHED_LABELS = 10  # of each picture, where there are more

# An unrelated label may beat the rejection row in one of ten pictures.
_FALSE_ALARM = 0.1


@dataclass(eq=False)
class ClassEmbeddings:
    """Labels as vectors; the labels themselves are not in here, because the store keeps it.

    Attributes:
        vectors: float32 [n, dim], unit rows, each the mean over the templates.
        by_template: float16 [n, t, dim], what was averaged; half precision, because it is only
            shown (a cosine is off by less than 1e-4).
        notes: what a reader of the scores should know; to find it takes as long as a picture.
        done: how many labels are embedded so far.
    """

    vectors: Embeddings
    by_template: NDArray[np.float16]
    notes: tuple[Note, ...]
    done: int = 0

    @property
    def complete(self) -> bool:
        """True once all labels are embedded."""
        return self.done == len(self.vectors)

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
        rejection_cosine: at which "none of these" stands among the labels, or would, had it been
            asked for; None for a sigmoid, which needs none, and without a background set.
        matching: float32 [n_images, n_labels], the chance by the model's matching head, NaN for
            labels that it was not asked about; None for models without one.
        logit_scale: factor of the cosines: the checkpoint's, or where it has none (BLIP), that
            which its training began with, and `notes` says so.
        logit_bias: added to the logits, from the checkpoint; 0 for a softmax.
        activation: what makes probabilities of logits.
        model: name of the model.
        image_vectors: float32 [n_images, dim], unit rows.
        timings: milliseconds: `image` (opening and embedding), `classes`, `matching`, `total`.
        fingerprint: of the weights; empty where nothing tells them from others.
        background_pairs: how many unrelated pairs the percentiles are among; 0 without any.
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
    timings: dict[str, float]
    fingerprint: str = ""
    background_pairs: int = 0
    notes: tuple[Note, ...] = field(default=())

    @property
    def temperature(self) -> float:
        """Return what cosines are divided by: the inverse of `logit_scale`."""
        return 1.0 / self.logit_scale

    def ranking(self, image: int) -> list[int]:
        """Return the labels' positions for one picture, the best first; equal ones in order."""
        return order(self.cosines[image])

    def winner(self, image: int) -> int | None:
        """Return the position of one picture's best label; None where no label stands out.

        None does where the best is below the cosine of "none of these", whether that was asked for
        or not; or with a sigmoid, where it is less likely than not.
        """
        best = self.ranking(image)[0]
        if self.activation == "sigmoid":
            return best if self.probabilities[image, best] >= 0.5 else None
        if self.rejection_cosine is not None and self.cosines[image, best] < self.rejection_cosine:
            return None
        return best

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
            "fingerprint": self.fingerprint,
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


@dataclass(frozen=True)
class ClassifyRequest:
    """Pictures and candidate labels, to be scored.

    Attributes:
        images: PIL pictures, paths, or the bytes of files.
        labels: checked and trimmed, each once; `of` makes them of what was typed.
        templates: likewise.
        reject: add "none of these" (see `classify`).
        model: as it was chosen: a name, a hub id or a directory; None for the default.
    """

    images: tuple[ImageSource, ...]
    labels: tuple[str, ...]
    templates: tuple[str, ...]
    reject: bool = False
    model: str | None = None

    @classmethod
    def of(
        cls,
        images: Iterable[ImageSource] | ImageSource,
        labels: Labels,
        templates: Templates = "openai-7",
        *,
        reject: bool = False,
        model: str | None = None,
    ) -> ClassifyRequest:
        """Return a request from what somebody gave; takes and raises the same as `classify`."""
        checked, prompts = checked_prompts(labels, templates)
        sources = tuple(listed_pictures(images))
        check_count(len(sources), len(checked))
        return cls(sources, checked, prompts, reject, model)

    def run(
        self, encoder: Encoder, follow: Follow = UNFOLLOWED, *, wait: bool = True
    ) -> Classification:
        """Score the pictures.

        Args:
            encoder: must embed texts and images.
            follow: told how many pictures, prompts and matched pairs are done.
            wait: whether "none of these" waits for a background set that is not measured yet.
                Without it there is no such row, and `rejection` is None.

        Raises:
            ModelError: the model cannot embed pictures.
            PictureError: one cannot be read.
            StoppedError: nobody wants it any more.
        """
        encoder.require("image")
        timings: Timings = {}
        sources = [_source(image) for image in self.images]
        opened = (_open(source, position) for position, source in enumerate(sources, start=1))
        with timed(timings, "image"):
            vectors = picture_vectors(encoder, opened, len(sources), follow)
        with timed(timings, "classes"):
            classes = class_embeddings(encoder, self.labels, self.templates, follow)
        matching = None
        if encoder.has_matching_head:
            with timed(timings, "matching"):
                cosines = cosine(vectors, classes.vectors)
                matching = match_chances(encoder, sources, self.labels, cosines, follow)
        timings["total"] = sum(timings.values())
        if self.reject and encoder.activation == "softmax" and wait:
            ensure(encoder, lambda told: follow(told.done, told.total, told.stage))
        result = _scored(encoder, vectors, classes, self, matching, timings)
        of_pictures = picture_notes(enumerate(sources, start=1))
        return replace(result, notes=(*result.notes, *of_pictures))


def classify(
    encoder: Encoder,
    images: Iterable[ImageSource] | ImageSource,
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
        PictureError: there is none, there are too many (also with so many labels), or one cannot
            be read.
        TextError: labels or templates are missing, too many (also together) or too long, or a
            template has no `{}`.

    >>> result = classify(encoder, "bee.jpg", ["a bee", "a bridge"])
    >>> result.labels[result.ranking(0)[0]], result.probabilities.shape
    ('a bee', (1, 2))
    """

    def told(done: float, total: float, stage: str) -> None:
        if progress and stage == "prompts":
            progress(int(done), int(total))

    request = ClassifyRequest.of(images, labels, templates, reject=reject)
    return request.run(encoder, Follower(told))


# Its parts.


def class_embeddings(
    encoder: Encoder, labels: Labels, templates: Templates, follow: Follow = UNFOLLOWED
) -> ClassEmbeddings:
    """Embed labels in templates; the next picture finds them ready.

    Args:
        encoder: the model.
        labels: as for `classify`.
        templates: likewise.
        follow: told how many prompts are embedded; what was embedded before takes no step.

    Raises:
        ModelError: the model cannot embed pictures, so labels are of no use.
        TextError: as `classify`.
        StoppedError: nobody wants it any more.
    """
    checked, prompts = checked_prompts(labels, templates)
    encoder.require("image")
    key = _key(checked, prompts)
    classes: ClassEmbeddings | None = encoder.kept("classes", key)
    if classes is None:
        shape = len(checked), len(prompts), encoder.dim
        vectors = np.empty((shape[0], shape[2]), dtype=np.float32)
        notes = tuple(_notes(encoder, checked, prompts))
        classes = ClassEmbeddings(vectors, np.empty(shape, dtype=np.float16), notes)
        encoder.keep("classes", key, classes)
    at_once = max(1, _PROMPTS_AT_ONCE // len(prompts))
    while not classes.complete:
        start = classes.done
        some = checked[start : start + at_once]
        filled = [fill(template, label) for label in some for template in prompts]
        rows = encoder.encode(filled).reshape(len(some), len(prompts), -1)  # [k, t, dim]
        classes.vectors[start : start + len(some)] = unit_rows(rows.mean(axis=1))
        classes.by_template[start : start + len(some)] = rows
        # Somebody else may be embedding the same labels: never back.
        classes.done = max(classes.done, start + len(some))
        # Again, as the most recent: else the vectors of its own prompts would push it out.
        encoder.keep("classes", key, classes)
        follow(classes.done * len(prompts), len(checked) * len(prompts), "prompts")
    return classes


def picture_vectors(
    encoder: Encoder,
    pictures: Iterable[Image.Image | Picture],
    count: int,
    follow: Follow = UNFOLLOWED,
) -> Embeddings:
    """Embed pictures, a few at a time; they are taken one after the other, and let go.

    Args:
        encoder: the model.
        pictures: may be found while they are taken; files are closed when they are embedded.
        count: how many they are.
        follow: told how many are embedded.

    Returns:
        float32 [count, dim], unit rows.
    """
    rest = iter(pictures)
    rows: list[Embeddings] = []
    while some := list(islice(rest, _PICTURES_AT_ONCE)):
        rows.append(encoder.encode(some))
        _close(some)
        some.clear()  # before the next ones are opened
        follow(sum(map(len, rows)), count, "pictures")
    return np.concatenate(rows)


def match_chances(
    encoder: Encoder,
    pictures: Iterable[Image.Image | Picture],
    labels: Labels,
    cosines: NDArray[np.float32],
    follow: Follow = UNFOLLOWED,
) -> NDArray[np.float32]:
    """Ask a matching head, picture by picture and a few labels at a time.

    It reads one text with one picture, so it is asked with the plain prompt, whatever the
    templates; and only about each picture's best labels where there are many pairs, as it is used
    after a retrieval by cosine (Li et al. 2022, arXiv 2201.12086).

    Args:
        encoder: has a matching head.
        pictures: n_images of them.
        labels: n_labels of them.
        cosines: float32 [n_images, n_labels].
        follow: told about how many pairs it was asked.

    Returns:
        float32 [n_images, n_labels], NaN for labels that it was not asked about.
    """
    checked = checked_labels(labels)
    [plain] = TEMPLATE_SETS["plain"].templates
    asked = len(checked) if cosines.size <= _MATCHED_PAIRS else min(_MATCHED_LABELS, len(checked))
    found = np.full(cosines.shape, np.nan, dtype=np.float32)
    for image, picture in enumerate(pictures):
        best = order(cosines[image])[:asked]
        for start in range(0, asked, _PAIRS_AT_ONCE):
            some = best[start : start + _PAIRS_AT_ONCE]
            prompts = [fill(plain, checked[label]) for label in some]
            found[image, some] = encoder.match_probabilities([picture], prompts)[0]
            follow(image * asked + start + len(some), len(cosines) * asked, "matching")
        _close([picture])
    return found


def _scored(
    encoder: Encoder,
    vectors: Embeddings,
    classes: ClassEmbeddings,
    request: ClassifyRequest,
    matching: NDArray[np.float32] | None,
    timings: Timings,
) -> Classification:
    """Make a classification of what is embedded; nothing is encoded here.

    Without a background set there is no "none of these" for a softmax.
    """
    cosines = cosine(vectors, classes.vectors)
    stand = _rejection_cosine(encoder, len(request.labels))
    rejected = stand if request.reject else None
    probabilities, rejection = _activate(encoder, cosines, rejected, request.reject)
    known = background(encoder)
    return Classification(
        labels=request.labels,
        templates=request.templates,
        cosines=cosines,
        probabilities=probabilities,
        percentiles=percentile_ranks(known, "t2i", cosines),
        rejection=rejection,
        rejection_cosine=stand,
        matching=matching,
        logit_scale=encoder.logit_scale,
        logit_bias=encoder.logit_bias,
        activation=encoder.activation,
        model=encoder.name,
        fingerprint=encoder.fingerprint,
        background_pairs=known.pairs.get("t2i", 0) if known else 0,
        image_vectors=vectors,
        timings=timings,
        notes=classes.notes,
    )


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
    picture = result.image_vectors[image]  # [dim]
    return PromptEffect(
        labels=labels,
        templates=result.templates,
        bare=encoder.encode(list(labels)) @ picture,
        by_template=_prompts_of(encoder, result, best) @ picture,
        ensemble=result.cosines[image, best],
    )


def _prompts_of(
    encoder: Encoder, result: Classification, labels: Sequence[int]
) -> NDArray[np.float32]:
    """Return the unit vectors of some labels' prompts, [k, t, dim]; embedded again if need be."""
    classes = encoder.kept("classes", _key(result.labels, result.templates))
    if classes is not None and classes.complete:
        return classes.by_template[labels].astype(np.float32)
    prompts = [fill(template, result.labels[i]) for i in labels for template in result.templates]
    return encoder.encode(prompts).reshape(len(labels), len(result.templates), -1)


# Class embeddings.


def _key(labels: tuple[str, ...], templates: tuple[str, ...]) -> bytes:
    # `repr` quotes each text, so no list of labels can pass for another.
    return text_digest(repr((labels, templates)))


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
    known = background(encoder)
    if encoder.activation == "sigmoid" or known is None:
        return None
    return known.quantile("t2i", 100.0 * (1.0 - _FALSE_ALARM / labels))


def best_by_chance(labels: int) -> float:
    """Return the percentile that the best of n unrelated labels has on average.

    A percentile among unrelated pairs is uniform for an unrelated label, and the largest of n
    independent uniform draws has the mean n / (n + 1) (Arnold, Balakrishnan & Nagaraja 2008, "A
    First Course in Order Statistics", chapter 2). Labels of one picture are not quite independent.

    >>> round(best_by_chance(30))
    97
    """
    return 100.0 * labels / (labels + 1)


# Input and notes.


def check_count(pictures: int, labels: int) -> None:
    """Refuse no pictures, and too many, alone or with that many labels.

    Raises:
        PictureError: which of these it is.
    """
    most, scores = limits().pictures, limits().scores
    if not pictures:
        raise PictureError("There is no picture. Give at least one.", "pictures_none")
    if pictures > most:
        raise PictureError(
            f"There are {pictures:,} pictures; at most {most:,} are accepted at once. Remove some.",
            "pictures_many",
            count=f"{pictures:,}",
            limit=f"{most:,}",
        )
    if pictures * labels > scores:
        raise PictureError(
            f"{pictures:,} pictures with {labels:,} labels are {pictures * labels:,} scores; at "
            f"most {scores:,} are given at once. Take fewer pictures, or fewer labels.",
            "scores_many",
            pictures=f"{pictures:,}",
            labels=f"{labels:,}",
            count=f"{pictures * labels:,}",
            limit=f"{scores:,}",
        )


def _source(image: ImageSource) -> Image.Image | Picture:
    """Return a picture that is not looked at before its turn: else all would be in memory."""
    return image if isinstance(image, Image.Image | Picture) else Picture(image)


def _open(image: ImageSource, position: int) -> Image.Image | Picture:
    try:
        return as_source(image)
    except PictureError as error:
        raise error.within(f"Picture {position}", "picture_at", number=position) from error


def _close(pictures: Sequence[Image.Image | Picture]) -> None:
    for picture in pictures:
        if isinstance(picture, Picture):
            picture.close()


def _notes(encoder: Encoder, labels: tuple[str, ...], templates: tuple[str, ...]) -> list[Note]:
    """Return notes on the longest prompt, on what is unknown, the script, and the temperature."""
    usage = [encoder.token_usage(label) for label in labels]
    longest = labels[max(range(len(labels)), key=lambda place: usage[place].total)]
    around = [fill(template, " ") for template in templates]
    of_templates = [encoder.token_usage(one) for one in around]
    template = templates[max(range(len(around)), key=lambda place: of_templates[place].total)]
    cut = text_notes(encoder, fill(template, longest), with_image=False)
    script = text_notes(encoder, "\n".join(labels), with_image=False)
    unread = [place for place, one in enumerate(around) if has_visible(one)]
    unknown = unknown_among(
        encoder.name,
        [templates[i] for i in unread],
        # Each has a label in it.
        [replace(of_templates[i], known=True) for i in unread],
    )
    return [
        *(note for note in cut if note.code == "truncated"),
        *label_notes(encoder, labels, usage),
        *(note.within("Templates", "place_templates") for note in unknown),
        *(note for note in script if note.code == "language"),
        *temperature_notes(encoder),
    ]


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
