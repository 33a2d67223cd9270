"""Vectors out: what a search is built from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from mmdemo.errors import TextError
from mmdemo.images import ImageSource, Picture
from mmdemo.models.items import Input
from mmdemo.notes import Note, text_notes
from mmdemo.settings import limits
from mmdemo.timings import Timings, timed
from mmdemo.types import Embeddings, Fusion, Modality
from mmdemo.work import UNFOLLOWED, Follow

if TYPE_CHECKING:
    from mmdemo.models.encoder import Encoder

_AT_ONCE = 16  # items, between two looks at whether to go on

Part: TypeAlias = tuple[ImageSource | None, str | None]
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
        images: Sequence[ImageSource] = (),
        texts: Sequence[str] = (),
        *,
        fused: bool = False,
        model: str | None = None,
    ) -> EmbedRequest:
        """Return a request for pictures and texts.

        Args:
            images: n pictures.
            texts: m texts.
            fused: embed each picture together with a text: the first with the first, and so on;
                one text goes with all pictures. Else pictures come first, then texts.
            model: as of the attribute.

        Raises:
            TextError: there is nothing to embed, too much, or not as many texts as pictures.
        """
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
        inputs = [_input(*part) for part in self.items]
        rows: list[Embeddings] = []
        with timed(timings, "total"):
            for start in range(0, len(inputs), _AT_ONCE):
                rows.append(encoder.encode(inputs[start : start + _AT_ONCE]))
                follow(start + len(rows[-1]), len(inputs), "items")
        told = dict.fromkeys((text, image is not None) for image, text in self.items if text)
        notes = dict.fromkeys(
            note for text, fused in told for note in text_notes(encoder, text, with_image=fused)
        )
        return Vectors(
            vectors=np.concatenate(rows),
            modalities=tuple(_modality(*part) for part in self.items),
            model=encoder.name,
            fingerprint=encoder.fingerprint,
            fusion=encoder.fusion,
            dim=encoder.dim,
            timings=timings,
            notes=tuple(notes),
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
        """Return plain JSON, the vectors as lists of numbers."""
        return {
            "model": self.model,
            "fingerprint": self.fingerprint,
            "fusion": self.fusion,
            "dim": self.dim,
            "modalities": list(self.modalities),
            "vectors": self.vectors.tolist(),
            "timings": {name: round(ms, 3) for name, ms in self.timings.items()},
            "notes": [note.message for note in self.notes],
        }


def _check_count(count: int) -> None:
    most = limits().labels
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


def _input(image: ImageSource | None, text: str | None) -> Input:
    if image is None:
        return text or ""
    picture = Picture(image) if isinstance(image, str | bytes) else image
    if isinstance(picture, bytes):
        raise TypeError("bytes are pictures by now")
    return picture if text is None else {"image": picture, "text": text}


def _modality(image: ImageSource | None, text: str | None) -> Modality:
    if image is None:
        return "text"
    return "image" if text is None else "fused"
