"""What a cosine means: its place among the cosines of unrelated pairs, the *background set*.

Cosines of two models cannot be compared, and one model's cosine of 0.4 may be high for two
pictures and low for a picture and itself with a text. So each pair kind of each model has its own
background: pairs of the same kind, made from pictures and texts that have nothing to do with each
other.
`training/build_background.py` makes the data, from the pictures in `assets/background/pictures`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from mmdemo.weights import ASSETS

Kind = TypeVar("Kind", bound=str)


@dataclass(frozen=True, eq=False)
class Background:
    """The background set of one model.

    Attributes:
        quantiles: by pair kind, float64 [n]: equally spaced quantiles, from minimum to maximum, of
            the cosines of unrelated pairs.
        pairs: by pair kind, how many pairs those are.
        fingerprint: the weights that the numbers were computed with.
    """

    quantiles: Mapping[str, NDArray[np.float64]]
    pairs: Mapping[str, int]
    fingerprint: str

    def percentile(self, kind: str, score: float) -> float:
        """Return the percentage of unrelated pairs with a lower cosine, 0 to 100.

        Linear between the stored quantiles.
        """
        quantiles = self.quantiles[kind]
        ranks = np.linspace(0.0, 100.0, len(quantiles))
        return float(np.interp(score, quantiles, ranks))

    def quantile(self, kind: str, percent: float) -> float:
        """Return the cosine below which that percentage of unrelated pairs lies."""
        quantiles = self.quantiles[kind]
        return float(np.interp(percent, np.linspace(0.0, 100.0, len(quantiles)), quantiles))


@lru_cache(maxsize=32)
def background(model: str) -> Background | None:
    """Return the background set of a model, or None where none ships."""
    path = ASSETS / "background" / f"{model}.json"
    if not path.is_file():
        return None
    data = json.loads(path.read_text(encoding="utf-8"))
    return Background(
        quantiles={kind: np.asarray(values) for kind, values in data["quantiles"].items()},
        pairs=data["pairs"],
        fingerprint=data["fingerprint"],
    )


def percentiles(model: str, scores: Mapping[Kind, float]) -> dict[Kind, float]:
    """Return the percentile of each score by pair kind; empty where there is no background set."""
    known = background(model)
    if known is None:
        return {}
    return {kind: known.percentile(kind, score) for kind, score in scores.items()}
