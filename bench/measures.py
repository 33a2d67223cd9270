"""Measures of a joint text-image model: arrays in, numbers out."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.floating[Any]]
Flags: TypeAlias = NDArray[np.bool_]
Indices: TypeAlias = NDArray[np.int64]


class Estimate(NamedTuple):
    """A mean with its 95 % interval."""

    mean: float
    low: float
    high: float


def top_k_accuracy(scores: Floats, truth: Indices, k: int) -> Flags:
    """Say for each row whether the right column is among its k best: [n, m], [n] -> bool [n].

    A tie counts against the right column, so a constant score earns nothing.
    """
    own = scores[np.arange(len(truth)), truth]
    return (scores >= own[:, None]).sum(1) - 1 < k


def subset_accuracy(scores: Floats, truth: Indices, k: int, size: int, draws: int) -> Floats:
    """Return top-k accuracy among the right label and `size` - 1 random ones: float [n].

    Args:
        scores: [n, m].
        truth: right column of each row, [n].
        k: how many of the subset's best count.
        size: labels in a subset, the right one included; at most m.
        draws: subsets a row, over which its accuracy is averaged.
    """
    random = np.random.default_rng(0)
    n, m = scores.shape
    own = scores[np.arange(n), truth]
    total = np.zeros(n)
    for _ in range(draws):
        order = random.random((n, m))
        order[np.arange(n), truth] = np.inf  # never drawn as one of the others
        others = np.argsort(order, axis=1)[:, : size - 1]  # [n, size - 1]
        above = (np.take_along_axis(scores, others, axis=1) >= own[:, None]).sum(1)
        total += above < k
    return total / draws


def recall_at_k(scores: Floats, relevant: Flags, k: int) -> Flags:
    """Say for each query whether something relevant is among its k best.

    Args:
        scores: query x candidate, [q, c].
        relevant: which candidates are right for which query, bool [q, c], at least one a row.
        k: how many of the best count; ties count against the relevant one.

    Returns:
        bool [q].
    """
    best = np.where(relevant, scores, -np.inf).max(1)  # [q]
    return ((scores >= best[:, None]) & ~relevant).sum(1) < k


def softmax(logits: Floats) -> Floats:
    """Return rows that sum to 1: [n, m] -> [n, m]."""
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def expected_calibration_error(confidence: Floats, right: Flags, bins: int = 10) -> float:
    """Return the mean distance of confidence and accuracy over bins of equal width.

    Guo et al. 2017 (arXiv 1706.04599), equation 3.

    Args:
        confidence: of each prediction, in 0..1, [n].
        right: whether each prediction is right, [n].
        bins: number of bins of equal width.
    """
    # Bins are open below and closed above, as in the paper; 0 itself falls into the first.
    place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    members = np.eye(bins)[place]  # [n, bins]
    return float(np.abs(members.T @ (confidence - right)).sum() / len(confidence))


def modality_gap(images: Floats, texts: Floats) -> float:
    """Return the distance of two centroids: [n, dim], [m, dim] -> 0..2.

    Liang et al. 2022 (arXiv 2203.02053), section 4.2.
    """
    return float(np.linalg.norm(images.mean(0) - texts.mean(0)))


def auc(right: Floats, wrong: Floats) -> float:
    """Return the area under the ROC curve: the chance that a right one is above a wrong one.

    Args:
        right: scores that should be high, [n].
        wrong: scores that should be low, [m]; a tie counts half.
    """
    above = (right[:, None] > wrong).mean() + 0.5 * (right[:, None] == wrong).mean()
    return float(above)


def bootstrap_interval(values: Floats | Flags, resamples: int = 1000) -> Estimate:
    """Return the mean of values [n] with its 95 % percentile bootstrap interval."""
    random = np.random.default_rng(0)
    drawn = random.integers(0, len(values), (resamples, len(values)))
    low, high = np.quantile(values[drawn].mean(1), [0.025, 0.975])
    return Estimate(float(values.mean()), float(low), float(high))
