"""Which pairs have nothing to do with each other, and their cosines under a model.

Pictures and texts are those of `assets/background/pictures`. Each entry of its index has a caption,
a short label, and topics; two entries are related when they share a topic (two kinds of fruit), and
no pair is made of related ones. Texts are English, which every model reads. Half of them are
captions and half are labels, because a cosine with a fused embedding grows with the text: among
captions alone, every short text would come low.

* `i2i`: two pictures;
* `t2t`: two texts;
* `t2i`: a picture and a short text, as classes are written: a label, or "a photo of a" label;
* `i2it`: a picture, and the same picture fused with a text of another entry;
* `t2it`: a text, and another entry's picture fused with it;
* `it2it`: two pictures, each fused with the same text of a third entry.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mmdemo.assets import ASSETS
from mmdemo.images import open_image
from mmdemo.progress import ShareReport
from mmdemo.settings import Limits
from mmdemo.similarity import unit_rows

if TYPE_CHECKING:
    from mmdemo.models.encoder import Encoder
    from mmdemo.models.items import Input

PICTURES = ASSETS / "background/pictures"
PROMPT = "a photo of a {}."
PER_TEXT = 8
"""Pictures that a text is fused with."""
FEW_TEXTS = 16
"""Texts that are fused on a user's machine: 128 passes, seconds to minutes."""

_VERSION = 1  # of this file: other pairs or other preparation of pictures make other numbers
_BATCH = 4

Cosines: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True)
class Entry:
    """One picture of the background set, and what is said of it.

    Attributes:
        file: name of the picture.
        caption: a description, up to some ten words.
        label: what it shows, in one to three words.
        topics: what other pictures may show too.
    """

    file: str
    caption: str
    label: str
    topics: frozenset[str]

    def related(self, other: Entry) -> bool:
        """Say whether a text of one could be true, or nearly true, of the other."""
        return self.label == other.label or not self.topics.isdisjoint(other.topics)


def entries() -> list[Entry]:
    """Return the pictures and texts that ship with the app."""
    rows: list[dict[str, Any]] = json.loads(_index())
    return [
        Entry(row["file"], row["caption_en"], row["label_en"], frozenset(row["topics"]))
        for row in rows
    ]


def recipe() -> str:
    """Return 16 hex digits that stand for the pairs: sets of other pairs are of no use."""
    return hashlib.sha256(f"{_VERSION}\0{_index()}".encode()).hexdigest()[:16]


def unrelated_scores(
    encoder: Encoder, report: ShareReport, *, thorough: bool
) -> dict[str, Cosines]:
    """Return the cosines of unrelated pairs by pair kind, each [n_pairs].

    Args:
        encoder: pair kinds of modalities that it does not embed are left out.
        report: called with the share done.
        thorough: fuse all texts, also where each takes a pass through the model.
    """
    known = entries()
    texts = [entry.caption for entry in known] + [entry.label for entry in known]
    if "image" not in encoder.modalities:
        vectors = _encoded(encoder, texts, report)
        return {"t2t": _text_pairs(vectors, known)}

    # Pictures of our own: a visitor's limits are not meant for them.
    pictures = [open_image(PICTURES / entry.file, Limits()) for entry in known]
    prompts = [PROMPT.format(entry.label) for entry in known]
    native = encoder.fusion == "native"
    pairs = fused_pairs(known, None if thorough or not native else FEW_TEXTS)
    items: list[Input] = [*texts, *prompts, *pictures]
    if "fused" in encoder.modalities and native:
        items += [{"image": pictures[picture], "text": texts[text]} for text, picture in pairs]
    vectors = _encoded(encoder, items, report)
    split = np.cumsum([len(texts), len(prompts), len(pictures)])
    of_texts, of_prompts, of_pictures, fused = np.split(vectors, split)
    found = {
        "i2i": _picture_pairs(of_pictures, known),
        "t2i": _class_pairs(of_pictures, of_texts[len(known) :], of_prompts, known),
        "t2t": _text_pairs(of_texts, known),
    }
    if "fused" in encoder.modalities:
        if not native:  # by definition, so that no pass is needed
            text, picture = pairs.T
            fused = unit_rows(of_texts[text] + of_pictures[picture]).astype(np.float64)
        found |= _fused_scores(of_texts, of_pictures, fused, pairs, known)
    return found


def fused_pairs(known: Sequence[Entry], count: int | None = None) -> NDArray[np.int64]:
    """Say which pictures are fused with which texts.

    Each text goes with `PER_TEXT` pictures, spread evenly from its own entry on, less those that
    are related to it: the steps are the same for all, so that each picture is used about equally
    often.

    Args:
        known: the n entries.
        count: how many texts; by default all 2 n.

    Returns:
        int64 [n_pairs, 2]: a text (a caption below n, the label of entry i at n + i) and a picture.
    """
    size = len(known)
    if count is None:
        texts = list(range(2 * size))
    else:  # every other one a label
        own = np.arange(count) * size // count
        texts = (own + size * (np.arange(count) % 2)).tolist()
    steps = np.linspace(1, size - 1, PER_TEXT).round().astype(int)
    return np.array(
        [
            (text, picture)
            for text in texts
            for picture in ((text + int(step)) % size for step in steps)
            if not known[text % size].related(known[picture])
        ]
    )


def same_text_pairs(pairs: NDArray[np.int64], known: Sequence[Entry]) -> NDArray[np.int64]:
    """Return every two rows of `pairs` with one text and unrelated pictures, [n_pairs, 2]."""
    return np.array(
        [
            (first, second)
            for first in range(len(pairs))
            for second in range(first + 1, min(first + PER_TEXT, len(pairs)))
            if pairs[first, 0] == pairs[second, 0]
            and not known[pairs[first, 1]].related(known[pairs[second, 1]])
        ]
    )


def _picture_pairs(pictures: Cosines, known: Sequence[Entry]) -> Cosines:
    return (pictures @ pictures.T)[np.triu(_unrelated(known), k=1)]


def _text_pairs(texts: Cosines, known: Sequence[Entry]) -> Cosines:
    """Return the cosines of every two unrelated texts; `texts` [2 n, dim], captions and labels."""
    return (texts @ texts.T)[np.triu(np.tile(_unrelated(known), (2, 2)), k=1)]


def _class_pairs(
    pictures: Cosines, labels: Cosines, prompts: Cosines, known: Sequence[Entry]
) -> Cosines:
    apart = _unrelated(known)
    return np.concatenate([(pictures @ texts.T)[apart] for texts in (labels, prompts)])


def _fused_scores(
    texts: Cosines,
    pictures: Cosines,
    fused: Cosines,
    pairs: NDArray[np.int64],
    known: Sequence[Entry],
) -> dict[str, Cosines]:
    """Return the cosines of fused embeddings [n_pairs, dim] by pair kind."""
    text, picture = pairs.T
    first, second = same_text_pairs(pairs, known).T
    return {
        "i2it": np.einsum("nd,nd->n", pictures[picture], fused),
        "t2it": np.einsum("nd,nd->n", texts[text], fused),
        "it2it": np.einsum("nd,nd->n", fused[first], fused[second]),
    }


def _unrelated(known: Sequence[Entry]) -> NDArray[np.bool_]:
    """Return which two entries are unrelated, [n, n]; none is unrelated to itself."""
    return np.array([[not one.related(other) for other in known] for one in known])


def _encoded(encoder: Encoder, items: Sequence[Input], report: ShareReport) -> NDArray[np.float64]:
    """Embed items a few at a time, [n, dim], so that others' requests get in between."""
    rows = []
    for start in range(0, len(items), _BATCH):
        report(start / len(items))
        rows.append(encoder.encode(items[start : start + _BATCH]))
    report(1.0)
    return np.concatenate(rows).astype(np.float64)


def _index() -> str:
    return (PICTURES / "index.json").read_text(encoding="utf-8")
