from __future__ import annotations

import numpy as np
import pytest

from mmdemo.errors import ModelError
from mmdemo.similarity import cosine, unit_rows


def test_cosine_matches_a_matrix_computed_by_hand() -> None:
    a = np.array([[1.0, 0.0], [0.6, 0.8]], dtype=np.float32)
    b = np.array([[0.0, 1.0], [0.8, 0.6], [-1.0, 0.0]], dtype=np.float32)
    by_hand = [[0.0, 0.8, -1.0], [0.8, 0.96, -0.6]]
    result = cosine(a, b)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, by_hand, atol=1e-7)


def test_cosine_of_vectors_with_themselves_is_one() -> None:
    vectors = unit_rows(np.random.default_rng(0).normal(size=(50, 384)))
    np.testing.assert_allclose(np.diag(cosine(vectors, vectors)), 1.0, atol=1e-6)


def test_unit_rows_scales_and_keeps_direction() -> None:
    result = unit_rows([[3.0, 4.0], [0.0, -2.0]])
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, [[0.6, 0.8], [0.0, -1.0]], atol=1e-7)


@pytest.mark.parametrize("bad", [[0.0, 0.0], [np.nan, 1.0], [np.inf, 1.0]])
def test_unit_rows_refuses_a_row_without_direction(bad: list[float]) -> None:
    with pytest.raises(ModelError, match="item 2"):
        unit_rows([[1.0, 0.0], bad])


def test_unit_rows_refuses_a_vector() -> None:
    with pytest.raises(ModelError, match="matrix"):
        unit_rows([1.0, 0.0])
