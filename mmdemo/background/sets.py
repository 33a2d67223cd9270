"""What a cosine means: its place among the cosines of unrelated pairs, the *background set*.

Cosines of two models cannot be compared, and one model's cosine of 0.4 may be high for two
pictures and low for a picture and itself with a text. So each pair kind of each model has its own
background: pairs of the same kind, made from pictures and texts that have nothing to do with each
other (`background_pairs.py`). Sets of some models ship with the app
(`training/build_background.py` writes them); those of other weights are measured on the user's
machine once, and kept in its cache.

A set belongs to weights, not to a name: an `Encoder` can be asked for, or a `ModelSpec`, whose
files tell. Without a fingerprint, as for an encoder that a program made by hand, nothing is kept.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from mmdemo.assets import ASSETS
from mmdemo.background.pairs import recipe
from mmdemo.encoders.spec import ModelSpec
from mmdemo.files import read_at_most, replacing
from mmdemo.models.files import fingerprint
from mmdemo.settings import cache_folder

if TYPE_CHECKING:
    from mmdemo.models.encoder import Encoder

log = logging.getLogger(__name__)

Kind = TypeVar("Kind", bound=str)

_MOST_PAIRS = 10**9
_MOST_BYTES = 20_000_000  # a set has some 30 kB


class Weights(Protocol):
    """What a background set belongs to: weights that are loaded, as an encoder has them."""

    @property
    def name(self) -> str:
        """The model's name."""
        ...

    @property
    def fingerprint(self) -> str:
        """What tells its weights from others; empty where that is not known."""
        ...


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
        return float(self.ranks(kind, np.asarray(score)))

    def ranks(self, kind: str, scores: NDArray[np.floating]) -> NDArray[np.float32]:
        """Return the percentile of each score, float32 of the same shape."""
        quantiles = self.quantiles[kind]
        ranks = np.interp(scores, quantiles, np.linspace(0.0, 100.0, len(quantiles)))
        return np.asarray(ranks, dtype=np.float32)

    def quantile(self, kind: str, percent: float) -> float:
        """Return the cosine below which that percentage of unrelated pairs lies."""
        quantiles = self.quantiles[kind]
        return float(np.interp(percent, np.linspace(0.0, 100.0, len(quantiles)), quantiles))


def background(weights: Weights | ModelSpec) -> Background | None:
    """Return the background set that ships, is in the cache or was measured; else None.

    Cheap enough for every request.
    """
    key = name, own = key_of(weights)
    if key not in _known and own:
        for path in (shipped_path(name), cache_path(weights)):
            found = path and _read(path)
            if found and found.fingerprint == own:
                return _known.setdefault(key, found)
    return _known.get(key)


def percentiles(known: Background | None, scores: Mapping[Kind, float]) -> dict[Kind, float]:
    """Return the percentile of each score whose pair kind the set has; without a set none."""
    if known is None:
        return {}
    return {
        kind: known.percentile(kind, score)
        for kind, score in scores.items()
        if kind in known.quantiles
    }


def percentile_ranks(
    known: Background | None, kind: str, scores: NDArray[np.float32]
) -> NDArray[np.float32] | None:
    """Return the percentile of each score of one pair kind; None where the set has none of it."""
    return known.ranks(kind, scores) if known and kind in known.quantiles else None


def remember(encoder: Encoder, known: Background) -> None:
    """Keep a set that was measured here, in memory and in the cache; without a fingerprint, not."""
    if encoder.fingerprint:
        _known[key_of(encoder)] = known
        _keep(encoder, known)


_known: dict[tuple[str, str], Background] = {}


def key_of(weights: Weights | ModelSpec) -> tuple[str, str]:
    """Return what a set belongs to: the model's name, and what tells its weights from others."""
    if isinstance(weights, ModelSpec):
        return weights.name, fingerprint(weights)
    return weights.name, weights.fingerprint


# Files.


def shipped_path(name: str) -> Path:
    """Return where the set of a model that ships with the app is, or would be."""
    return ASSETS / "background" / f"{_file_name(name)}.json"


def cache_path(weights: Weights | ModelSpec) -> Path | None:
    """Return where the set of these weights is kept, or would be; None without a cache folder.

    Other weights, and other pictures or texts, never find it: the file is named after them.
    """
    folder = cache_folder()
    name, own = key_of(weights)
    digest = hashlib.sha256(f"{name}\0{own}\0{recipe()}".encode())
    file = f"{_file_name(name)}-{digest.hexdigest()[:16]}.json"
    return folder and folder / "background" / file


def _file_name(model: str) -> str:
    """Return a model's name as a file name: `owner/name` and `local:name` hold other signs."""
    return re.sub(r"[^\w.-]+", "-", model)[:80]


def write(known: Background, model: str, path: Path) -> None:
    """Write a set as JSON; a reader sees the old file or the new one, never a half.

    Raises:
        OSError: the folder cannot be written.
    """
    data = {
        "model": model,
        "fingerprint": known.fingerprint,
        "pairs": dict(known.pairs),
        "quantiles": {kind: values.tolist() for kind, values in known.quantiles.items()},
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as half:
        half.write_text(json.dumps(data, separators=(",", ":")) + "\n", encoding="utf-8")


def _keep(encoder: Encoder, measured: Background) -> None:
    path = cache_path(encoder)
    try:
        if path:
            write(measured, encoder.name, path)
    except OSError as error:
        log.warning(
            "The background set of %s is kept in memory only: %s. Set MMDEMO_CACHE to a folder "
            "that can be written.",
            encoder.name,
            error.strerror,
        )


def _read(path: Path) -> Background | None:
    """Read a set; None where there is none, or where the file is damaged."""
    try:
        data = json.loads(read_at_most(path, _MOST_BYTES))
        found = Background(
            quantiles={
                str(kind): np.asarray(values, dtype=np.float64)
                for kind, values in data["quantiles"].items()
            },
            pairs={str(kind): int(count) for kind, count in data["pairs"].items()},
            fingerprint=str(data["fingerprint"]),
        )
    # Whatever a damaged file makes of itself: it counts as none, and is measured anew.
    except (OSError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError):
        return None
    except RecursionError:
        return None
    whole = all(map(_are_quantiles, found.quantiles.values())) and all(
        0 < count <= _MOST_PAIRS for count in found.pairs.values()
    )
    # One of no pair kind would be taken for measured, and never tell anything.
    same = bool(found.pairs) and set(found.quantiles) == set(found.pairs)
    return found if whole and same else None


def _are_quantiles(row: NDArray[np.float64]) -> bool:
    """Say whether some numbers can be quantiles of cosines: at least two, which never fall."""
    if row.ndim != 1 or len(row) < 2:
        return False
    # NaN compares false. A dot product of unit rows in float32 may be a little above 1.
    return bool((np.abs(row) <= 1.001).all() and (np.diff(row) >= 0).all())
