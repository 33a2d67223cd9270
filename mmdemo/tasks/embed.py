"""Vectors out: what a search is built from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from PIL import Image

from mmdemo.errors import TextError
from mmdemo.images import ImageSource, Picture
from mmdemo.models.items import Input, checked_length, listed, listed_pictures
from mmdemo.notes import picture_notes, text_notes, unknown_among
from mmdemo.settings import limits
from mmdemo.signs import has_visible
from mmdemo.timings import Timings, timed
from mmdemo.types import Embeddings, Fusion, Modality, Needs, Note
from mmdemo.work import UNFOLLOWED, Follow

if TYPE_CHECKING:
    from mmdemo.models.encoder import Encoder

NEEDS: Needs = frozenset({"text"})
"""Without pictures; a model that reads none says so where there are any."""

_TEXTS_AT_ONCE = 64  # between two looks at whether to go on
_PICTURES_AT_ONCE = 4  # likewise; and no more of them are held at once

Part: TypeAlias = "tuple[ImageSource | None, str | None]"
"""One thing to embed: a picture, a text, or both together."""


@dataclass(frozen=True)
class EmbedRequest:
    """Things to be embedded.

    Attributes:
        items: n of them, each a picture, a text, or both, which make a fused vector.
        model: as it was chosen: a name, a hub id or a directory; None for the default.
    """

    items: tuple[Part, ...]
    model: str | None = None

    @classmethod
    def of(
        cls,
        images: Iterable[ImageSource] | ImageSource = (),
        texts: Iterable[str] | str = (),
        *,
        fused: bool = False,
        model: str | None = None,
    ) -> EmbedRequest:
        """Return a request for pictures and texts.

        Args:
            images: n pictures, or one.
            texts: m texts, or one.
            fused: embed each picture together with a text: the first with the first, and so on;
                one text goes with all pictures. Else pictures come first, then texts.
            model: as of the attribute.

        Raises:
            PictureError: pictures are no list of them.
            TextError: there is nothing to embed, too much, or not as many texts as pictures.
        """
        images = listed_pictures(images)
        texts = [texts] if isinstance(texts, str) else _texts(texts)
        if not fused:
            parts = [*((image, None) for image in images), *((None, text) for text in texts)]
        else:
            own = list(texts) * len(images) if len(texts) == 1 else list(texts)
            if len(own) != len(images):
                raise TextError(
                    f"There are {len(images):,} pictures and {len(own):,} texts to fuse. Give one "
                    "text for all pictures, or one for each.",
                    "embed_uneven",
                    images=f"{len(images):,}",
                    texts=f"{len(own):,}",
                )
            parts = list(zip(images, own, strict=True))
        _check_count(len(parts))
        return cls(tuple(parts), model)

    def run(self, encoder: Encoder, follow: Follow = UNFOLLOWED) -> Vectors:
        """Embed everything, in order.

        Args:
            encoder: must embed the modalities that occur.
            follow: told how many items are embedded.

        Raises:
            ModelError: the model does not embed one of the modalities.
            PictureError: a picture cannot be read.
            TextError: a text is empty or too long.
            StoppedError: nobody wants it any more.
        """
        timings: Timings = {}
        rows: list[Embeddings] = []
        pictures: list[tuple[int, Image.Image | Picture]] = []
        done, total = 0, len(self.items)
        with timed(timings, "total"):
            for some in _batches(self.items):
                inputs = [_input(*part) for part in some]
                rows.append(encoder.encode(inputs, first=done))
                pictures += _numbered(inputs, done + 1)
                _close(inputs)
                done += len(some)
                follow(done, total, "items")
        return Vectors(
            vectors=np.concatenate(rows),
            modalities=tuple(_modality(*part) for part in self.items),
            model=encoder.name,
            fingerprint=encoder.fingerprint,
            fusion=encoder.fusion,
            dim=encoder.dim,
            timings=timings,
            notes=(*_notes(encoder, self.items), *picture_notes(pictures, "item")),
        )


@dataclass(frozen=True, eq=False)
class Vectors:
    """What was embedded.

    Attributes:
        vectors: float32 [n, dim], unit rows, in the order of the request.
        modalities: n of them.
        model: name of the model.
        fingerprint: of the weights; empty where nothing tells them from others.
        fusion: how fused embeddings came about.
        dim: length of a vector.
        timings: milliseconds: `total`.
        notes: what a reader should know, such as a text that was not read to its end.
    """

    vectors: Embeddings
    modalities: tuple[Modality, ...]
    model: str
    fingerprint: str
    fusion: Fusion
    dim: int
    timings: dict[str, float]
    notes: tuple[Note, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON, the vectors as lists of numbers to eight decimals.

        So they are half as long, and differ by less than float32 tells apart at a unit's length.
        """
        return {
            "model": self.model,
            "fingerprint": self.fingerprint,
            "fusion": self.fusion,
            "dim": self.dim,
            "modalities": list(self.modalities),
            "vectors": self.vectors.astype(np.float64).round(8).tolist(),
            "timings": {name: round(ms, 3) for name, ms in self.timings.items()},
            "notes": [note.message for note in self.notes],
        }


def _texts(given: Iterable[str]) -> list[str]:
    """Return texts as a list; what is none of them is refused with its place."""
    found = listed(given)
    for position, text in enumerate(found, start=1):
        try:
            checked_length(text, max(limits().document, limits().text))
        except TextError as error:
            raise error.within(f"Text {position}", "text_at", number=position) from error
    return [text for text in found if isinstance(text, str)]


def _notes(encoder: Encoder, items: Sequence[Part]) -> list[Note]:
    """Return notes on all texts; those on unknown words in one, however many texts have some."""
    told = dict.fromkeys(
        (text, image is not None) for image, text in items if text and has_visible(text)
    )
    notes = dict.fromkeys(
        note for text, fused in told for note in text_notes(encoder, text, with_image=fused)
    )
    if len(told) == 1:
        return list(notes)
    texts = [text for text, _ in told]
    usage = [encoder.token_usage(text, with_image=fused) for text, fused in told]
    return [
        *(note for note in notes if not note.code.startswith("unknown")),
        *(
            note.within("Texts", "place_texts")
            for note in unknown_among(encoder.name, texts, usage)
        ),
    ]


def _check_count(count: int) -> None:
    most = limits().items
    if not count:
        raise TextError(
            "There is nothing to embed. Give at least one picture or text.", "embed_nothing"
        )
    if count > most:
        raise TextError(
            f"There are {count:,} things to embed; at most {most:,} are accepted at once. Send "
            "them in parts.",
            "embed_many",
            count=f"{count:,}",
            limit=f"{most:,}",
        )


def _batches(parts: Sequence[Part]) -> Iterator[list[Part]]:
    """Yield the parts in order, a few at a time; the larger a picture may be, the fewer."""
    some: list[Part] = []
    pictures = 0
    for part in parts:
        if len(some) == _TEXTS_AT_ONCE or pictures == _PICTURES_AT_ONCE:
            yield some
            some, pictures = [], 0
        some.append(part)
        pictures += part[0] is not None
    yield some


def _input(image: ImageSource | None, text: str | None) -> Input:
    if image is None:
        return text or ""
    picture = image if isinstance(image, Image.Image | Picture) else Picture(image)
    return picture if text is None else {"image": picture, "text": text}


def _numbered(inputs: Sequence[Input], first: int) -> Iterator[tuple[int, Image.Image | Picture]]:
    """Yield the pictures among inputs, each with its number."""
    for number, one in enumerate(inputs, start=first):
        picture = one["image"] if isinstance(one, dict) else one
        if isinstance(picture, Image.Image | Picture):
            yield number, picture


def _close(inputs: Sequence[Input]) -> None:
    """Let go of what files hold, so that memory does not grow with their number."""
    for _, picture in _numbered(inputs, 0):
        if isinstance(picture, Picture):
            picture.close()


def _modality(image: ImageSource | None, text: str | None) -> Modality:
    if image is None:
        return "text"
    # A picture with an empty text is the picture alone.
    return "fused" if text and has_visible(text) else "image"
