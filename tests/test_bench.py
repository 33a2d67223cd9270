"""The measures behind the model card, against numbers worked out by hand; and that others run."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest

from bench import bge_m3
from bench.measures import (
    bootstrap_interval,
    expected_calibration_error,
    modality_gap,
    recall_at_k,
    softmax,
    subset_accuracy,
    top_k_accuracy,
)

SCORES = np.array([[0.9, 0.1, 0.5], [0.2, 0.3, 0.4], [0.7, 0.7, 0.1]])
TRUTH = np.array([0, 1, 1])


def test_top_k_counts_ties_against_the_right_label() -> None:
    assert top_k_accuracy(SCORES, TRUTH, 1).tolist() == [True, False, False]
    assert top_k_accuracy(SCORES, TRUTH, 2).tolist() == [True, True, True]


def test_subsets_of_all_labels_are_plain_accuracy() -> None:
    full = subset_accuracy(SCORES, TRUTH, 1, size=3, draws=4)
    assert full.tolist() == [1.0, 0.0, 0.0]
    # Two labels: the second row meets 0.2, which it beats, or 0.4, which it does not.
    half = subset_accuracy(SCORES, TRUTH, 1, size=2, draws=400)
    assert half[0] == 1.0
    assert half[1] == pytest.approx(0.5, abs=0.08)


def test_recall_takes_any_relevant_candidate() -> None:
    relevant = np.array([[False, True, True], [False, False, True], [True, False, False]])
    assert recall_at_k(SCORES, relevant, 1).tolist() == [False, True, False]
    assert recall_at_k(SCORES, relevant, 2).tolist() == [True, True, True]


def test_softmax_rows() -> None:
    np.testing.assert_allclose(softmax(np.log([[1.0, 3.0]]) + 800), [[0.25, 0.75]])


def test_calibration_error_of_two_bins() -> None:
    confidence = np.array([0.95, 0.95, 0.55, 0.55])
    right = np.array([True, False, True, True])
    # |0.95 - 0.5| and |0.55 - 1.0|, half of the predictions each.
    assert expected_calibration_error(confidence, right) == pytest.approx(0.45)


def test_modality_gap_is_the_distance_of_the_centroids() -> None:
    assert modality_gap(np.array([[1.0, 0], [0, 1]]), np.array([[0.5, 0.1]])) == pytest.approx(0.4)


def test_interval_holds_the_mean_and_narrows() -> None:
    few, many = (bootstrap_interval(np.arange(n) % 2 == 0) for n in (10, 1000))
    assert few.low < few.mean == 0.5 < few.high
    assert many.high - many.low < few.high - few.low


def test_bge_m3_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small = {
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "vocab_size": 20,
        "max_position_embeddings": 514,
    }
    monkeypatch.setattr(bge_m3, "CONFIG", bge_m3.CONFIG | small)
    monkeypatch.setattr(
        sys, "argv", ["bge_m3", "--keep", str(tmp_path), "--tokens", "32", "--rounds", "1"]
    )
    bge_m3.main()
    printed = capsys.readouterr().out
    assert re.search(r"^\| 32 \| \d\.\d\d \| \d\.\d\d \|", printed, re.M)
    assert re.search(r"^\| one by one \| \d+\.\d \| 1\.00 x \|", printed, re.M)
    assert len(list(tmp_path.iterdir())) == 6
