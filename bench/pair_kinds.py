"""Which similarity tells a picture's own caption from a foreign one.

    python -m bench.pair_kinds [--model mini]

The reason why the page says "shows it" of text and picture alone: each picture that ships, with its
own caption and with foreign ones, through every pair kind that a text is part of. The area under
the ROC curve is the chance that an own caption comes higher than a foreign one; 0.5 is a guess.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.measures import Floats, auc
from mmdemo import load_encoder
from mmdemo.background.pairs import PER_TEXT, PICTURES, Entry, entries
from mmdemo.examples import FOLDER
from mmdemo.images import open_image
from mmdemo.models.encoder import Encoder
from mmdemo.tasks.compare import TEXT_IMAGE

_BATCH = 16


class Captioned(NamedTuple):
    """A picture, and what is said of it.

    Attributes:
        path: the file.
        entry: caption and topics.
    """

    path: Path
    entry: Entry


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="mini")
    given = parser.parse_args()
    encoder = load_encoder(given.model)
    rows = captioned()
    pairs = caption_pairs(rows)
    own = pairs[:, 0] == pairs[:, 1]
    sys.stdout.write(
        f"{encoder.name}, {len(rows)} pictures, {own.sum()} own and {(~own).sum()} foreign "
        "captions\n\n| | own | foreign | area under the curve |\n|---|---|---|---|\n"
    )
    for kind, cosines in similarities(encoder, rows, pairs).items():
        mine, others = cosines[own], cosines[~own]
        sys.stdout.write(
            f"| `{kind}` | {mine.mean():.3f} | {others.mean():.3f} | {auc(mine, others):.2f} |\n"
        )


def captioned() -> list[Captioned]:
    """Return every picture that ships with a caption: the background set's, then the examples."""
    known = entries()
    by_caption = {entry.caption: entry for entry in known}
    rows = [Captioned(PICTURES / entry.file, entry) for entry in known]
    for row in json.loads((FOLDER / "index.json").read_text(encoding="utf-8")):
        caption = row["caption_en"]
        # An example of its own has no topics: another one that resembles it counts as foreign.
        own = Entry(row["file"], caption, label=caption, topics=frozenset())
        rows.append(Captioned(FOLDER / row["file"], by_caption.get(caption, own)))
    return rows


def caption_pairs(rows: list[Captioned]) -> NDArray[np.int64]:
    """Return int64 [n_pairs, 2], a picture and a caption: its own, and foreign ones evenly spread.

    Captions that could be true of the picture are left out, as in the background set.
    """
    size = len(rows)
    steps = np.unique(np.linspace(1, size - 1, PER_TEXT).round().astype(int))
    return np.array(
        [
            (picture, (picture + int(step)) % size)
            for picture in range(size)
            for step in (0, *steps)
            if step == 0
            or not rows[picture].entry.related(rows[(picture + int(step)) % size].entry)
        ]
    )


def similarities(
    encoder: Encoder, rows: list[Captioned], pairs: NDArray[np.int64]
) -> dict[str, Floats]:
    """Return the cosine of each pair, [n_pairs], by pair kind."""
    pictures = [open_image(row.path) for row in rows]
    captions = [row.entry.caption for row in rows]
    items = [{"image": pictures[p], "text": captions[c]} for p, c in pairs]
    starts = range(0, len(items), _BATCH)
    fused = np.concatenate([encoder.encode(items[start : start + _BATCH]) for start in starts])
    picture, caption = pairs.T
    of_pictures, of_texts = encoder.encode(pictures)[picture], encoder.encode(captions)[caption]
    return {
        kind: np.einsum("nd,nd->n", first, second, dtype=np.float64)
        for kind, first, second in (
            (TEXT_IMAGE, of_texts, of_pictures),
            ("i2it", of_pictures, fused),
            ("t2it", of_texts, fused),
        )
    }


if __name__ == "__main__":
    main()
