"""Score functions on numpy arrays. Cosines are shown as they are: never rescaled, never clipped."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mmdemo.errors import ModelError
from mmdemo.types import Embeddings


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
        raise ModelError(f"Embeddings must be a matrix [n, dim]; this has {rows.ndim} dimensions.")
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    bad = ~np.isfinite(lengths[:, 0]) | (lengths[:, 0] < 1e-12)
    if bad.any():
        raise ModelError(
            f"The model gave a vector without a direction for item {int(np.argmax(bad)) + 1}. "
            "Its weights are probably damaged; fetch them again."
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
