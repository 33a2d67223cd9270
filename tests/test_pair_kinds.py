"""Why the page says "shows it" of text and picture alone: the measurement, and its measure."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from bench import pair_kinds
from bench.measures import auc


def test_area_under_the_curve() -> None:
    assert auc(np.array([3.0, 4.0]), np.array([1.0, 2.0])) == 1.0
    assert auc(np.array([1.0, 2.0]), np.array([3.0, 4.0])) == 0.0
    assert auc(np.array([1.0, 3.0]), np.array([2.0, 0.0])) == 0.75
    assert auc(np.array([1.0]), np.array([1.0])) == 0.5


def test_every_picture_meets_its_own_caption_and_foreign_ones() -> None:
    rows = pair_kinds.captioned()
    assert len(rows) == 85
    assert all(row.path.is_file() for row in rows)
    pairs = pair_kinds.caption_pairs(rows)
    own = pairs[pairs[:, 0] == pairs[:, 1]]
    np.testing.assert_array_equal(own[:, 0], np.arange(85))
    foreign = pairs[pairs[:, 0] != pairs[:, 1]]
    assert np.bincount(foreign[:, 0], minlength=85).min() >= 5
    for picture, caption in foreign:
        assert not rows[picture].entry.related(rows[caption].entry)


def test_it_prints_one_line_a_pair_kind(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    few = pair_kinds.captioned()[:6]  # what all of them give stands in the README
    monkeypatch.setattr(pair_kinds, "captioned", lambda: few)
    monkeypatch.setattr(sys, "argv", ["pair_kinds"])
    pair_kinds.main()
    printed = capsys.readouterr().out
    assert "mini, 6 pictures, 6 own" in printed
    for kind in ("t2i", "i2it", "t2it"):
        (line,) = [line for line in printed.splitlines() if line.startswith(f"| `{kind}`")]
        own, foreign, area = map(float, line.split("|")[2:5])
        assert own > foreign
        assert 0.5 < area <= 1
