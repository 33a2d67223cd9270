"""Score functions on numpy arrays. Cosines are shown as they are: never rescaled, never clipped."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mmdemo.errors import ModelError
from mmdemo.types import Embeddings, Representation, SparseEmbedding


def unit_rows(vectors: ArrayLike) -> Embeddings:
    """Scale every row to unit length: the one place where the app makes and checks unit vectors.

    Args:
        vectors: [n, dim], any float type.

    Returns:
        float32 [n, dim], each row of Euclidean length 1 within 1e-6.

    Raises:
        ModelError: not a matrix, or a row that is zero, infinite or not a number, which has no
            direction. Such a row means broken weights, not bad input.
    """
    rows = np.asarray(vectors, dtype=np.float64)
    if rows.ndim != 2:
        raise ModelError(
            f"Embeddings must be a matrix [n, dim]; this has {rows.ndim} dimensions.",
            "no_matrix",
            count=rows.ndim,
        )
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    bad = ~np.isfinite(lengths[:, 0]) | (lengths[:, 0] < 1e-12)
    if bad.any():
        number = int(np.argmax(bad)) + 1
        raise ModelError(
            f"The model gave a vector without a direction for item {number}. "
            "Its weights are probably damaged; fetch them again.",
            "no_direction",
            number=number,
        )
    return (rows / lengths).astype(np.float32)


def cosine(a: Embeddings, b: Embeddings) -> NDArray[np.float32]:
    """Return the cosine of every row of `a` with every row of `b`.

    Both must have unit rows, as `Encoder.encode` returns them: then the dot product is the cosine.

    Args:
        a: float32 [n, dim], unit rows.
        b: float32 [m, dim], unit rows.

    Returns:
        float32 [n, m]; `res[i][j]` is the cosine of `a[i]` and `b[j]`.

    >>> cosine(np.eye(2, dtype=np.float32), np.array([[0.6, 0.8]], dtype=np.float32)).tolist()
    [[0.6000000238418579], [0.800000011920929]]
    """
    # float64 keeps the diagonal of a self-comparison at 1.0000000 instead of 0.9999999.
    return (a.astype(np.float64) @ b.astype(np.float64).T).astype(np.float32)


def degrees(cosine: float) -> float:
    """Return the angle between two unit vectors in degrees, 0 to 180.

    >>> degrees(0.5)
    60.00000000000001
    """
    # A cosine of a vector with itself may be a hair above 1.
    return math.degrees(math.acos(min(max(cosine, -1.0), 1.0)))


def lexical(a: SparseEmbedding, b: SparseEmbedding) -> float:
    """Return the dot product of two texts' lexical weights: the sum over the tokens they share.

    FlagEmbedding's `compute_lexical_matching_score` (Chen et al. 2024, arXiv 2402.03216, 3.2).

    >>> one = SparseEmbedding(np.array([3, 8]), np.array([0.5, 1.0], dtype=np.float32))
    >>> two = SparseEmbedding(np.array([8, 9]), np.array([0.25, 1.0], dtype=np.float32))
    >>> lexical(one, two)
    0.25
    """
    _, here, there = np.intersect1d(a.indices, b.indices, assume_unique=True, return_indices=True)
    return float(a.values[here].astype(np.float64) @ b.values[there].astype(np.float64))


def maxsim(query: Embeddings, passage: Embeddings) -> float:
    """Return how well a passage answers a query, token by token (*late interaction*).

    Each token of the query counts with its best cosine among the passage's tokens; the sum is
    divided by the number of the query's tokens (Khattab & Zaharia 2020, arXiv 2004.12832; divided
    as FlagEmbedding's `colbert_score` does).

    Args:
        query: float32 [q, dim], unit rows.
        passage: float32 [p, dim], unit rows; those of the passage alone, without padding.

    Returns:
        -1 to 1; 0 where query or passage have no token, because then nothing matches.
    """
    if not len(query) or not len(passage):
        return 0.0
    cosines = query.astype(np.float64) @ passage.astype(np.float64).T  # [q, p]
    return float(cosines.max(axis=1).mean())


def hybrid(
    scores: Mapping[Representation, NDArray[np.float32] | None],
    weights: Mapping[Representation, float],
) -> NDArray[np.float32]:
    """Return the weighted sum of scores, divided by the sum of the weights.

    FlagEmbedding's `compute_score`, which divides by the weights of the functions that take part
    and takes 1 for each by default.

    Args:
        scores: [n] by function; None for one that the model lacks, whose weight does not count.
        weights: at least 0, by function. Where all are 0, so is every sum.

    Returns:
        float32 [n].
    """
    there = [(found, weights[name]) for name, found in scores.items() if found is not None]
    total = sum(weight for _, weight in there)
    weighted = [np.multiply(found, weight, dtype=np.float64) for found, weight in there]
    return (np.sum(weighted, axis=0) / (total or 1.0)).astype(np.float32)


def order(scores: NDArray[np.float32]) -> list[int]:
    """Return the positions by score, the highest first; equal ones in the order they came in.

    >>> order(np.array([0.2, 0.5, 0.2], dtype=np.float32))
    [1, 0, 2]
    """
    return np.argsort(-scores, kind="stable").tolist()
