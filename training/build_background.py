"""Compute the background set of a model: the cosines of unrelated pairs, by pair kind.

    python -m training.build_background [--model mini]

Pictures and captions come from `assets/background/pictures`. A pair counts as unrelated when its
two pictures, or its picture and its caption, belong to different entries of the index:

* `i2i`: every two pictures;
* `i2it`: a picture, and the same picture fused with the caption of another;
* `t2it`: a caption, and another entry's picture fused with that caption;
* `it2it`: two pictures, each fused with the caption of a third.

Writes `assets/background/<model>.json`. The same weights and pictures give the same file.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmdemo.encoders.base import Encoder
from mmdemo.images import open_image
from mmdemo.registry import find_model, load_encoder
from mmdemo.weights import ASSETS, read_config

PICTURES = ASSETS / "background/pictures"
QUANTILES = 201  # every half percent
PARTNERS = 12  # captions a picture is fused with: enough pairs, and minutes instead of hours


def main() -> None:
    """Write the background set of one model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="mini")
    spec = find_model(parser.parse_args().model)
    entries = json.loads((PICTURES / "index.json").read_text(encoding="utf-8"))
    scores = background_scores(load_encoder(spec.name), entries, PICTURES)
    data = {
        "model": spec.name,
        "fingerprint": read_config(ASSETS / spec.source.removeprefix("package:"))["fingerprint"],
        "pictures": len(entries),
        "pairs": {kind: len(values) for kind, values in scores.items()},
        "quantiles": {
            kind: np.quantile(values, np.linspace(0, 1, QUANTILES)).round(5).tolist()
            for kind, values in scores.items()
        },
    }
    path = ASSETS / "background" / f"{spec.name}.json"
    path.write_text(json.dumps(data, separators=(",", ":")) + "\n", encoding="utf-8")
    sys.stdout.write(f"{path}: {data['pairs']}\n")


def background_scores(
    encoder: Encoder, entries: list[dict[str, Any]], folder: Path
) -> dict[str, NDArray[np.float64]]:
    """Return the cosines of unrelated pairs by pair kind, each [n_pairs].

    Args:
        encoder: embeds text, image and fused.
        entries: the index: `file`, `caption_en`.
        folder: where the files are.
    """
    count = len(entries)
    pictures = [open_image(folder / entry["file"]) for entry in entries]
    captions = [entry["caption_en"] for entry in entries]
    images = encoder.encode(pictures).astype(np.float64)  # [n, dim]
    texts = encoder.encode(captions).astype(np.float64)  # [n, dim]
    fused = np.stack(
        [
            encoder.encode(
                [{"image": pictures[i], "text": captions[j]} for j in partners(i, count)]
            )
            for i in range(count)
        ]
    ).astype(np.float64)  # [n, PARTNERS, dim]
    own = np.array([list(partners(i, count)) for i in range(count)])  # [n, PARTNERS]
    return {
        "i2i": (images @ images.T)[np.triu_indices(count, k=1)],
        "i2it": np.einsum("nd,npd->np", images, fused).ravel(),
        "t2it": np.einsum("npd,npd->np", texts[own], fused).ravel(),
        "it2it": np.array([float(a @ b) for a, b in same_caption_pairs(fused, own)]),
    }


def partners(index: int, count: int) -> Iterator[int]:
    """Yield the entries whose captions a picture is fused with: spread evenly, never its own.

    Steps are the same for every picture, so that each caption is used equally often.
    """
    steps = np.linspace(1, count - 1, PARTNERS).round().astype(int)
    return ((index + int(step)) % count for step in steps)


def same_caption_pairs(
    fused: NDArray[np.float64], own: NDArray[np.int64]
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Yield every two fused vectors of different pictures with the same caption.

    Args:
        fused: [n, PARTNERS, dim].
        own: [n, PARTNERS], the caption of each.
    """
    for caption in range(len(own)):
        rows = fused[np.nonzero(own == caption)]  # [m, dim]
        for first in range(len(rows)):
            for second in range(first + 1, len(rows)):
                yield rows[first], rows[second]


if __name__ == "__main__":
    main()
