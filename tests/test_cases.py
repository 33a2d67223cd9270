"""What people complained of in public: the right number, or the true sentence, at every door."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.cases import CASES, DOORS, Answer, Door, House


@pytest.fixture
def house(app_url: str, tmp_path: Path) -> House:
    return House(tmp_path, app_url)


@pytest.mark.parametrize(
    ("name", "door"),
    [
        pytest.param(name, door, id=f"{name}, {door.__name__}")
        for name, case in CASES.items()
        for door in DOORS[case.kind]
    ],
)
def test_every_door_is_right_or_says_why_not(name: str, door: Door, house: House) -> None:
    case = CASES[name]
    answer = door(case.made(house.folder), house)
    assert case.says in answer.said
    assert (answer.numbers is None) == case.refused
    if case.as_if is not None:
        wanted = door(case.as_if(house.folder), house)
        assert numbers(answer) == pytest.approx(numbers(wanted), abs=case.within)


def numbers(answer: Answer) -> list[float]:
    """Return the numbers of a result that are its own: no timings."""
    assert answer.numbers is not None
    found = answer.numbers
    chosen = [
        found[name] for name in ("vectors", "probabilities", "scores", "passages") if name in found
    ]
    flat = np.array(list(_flat(chosen)))
    assert len(flat)
    assert np.isfinite(flat).all()
    return flat.tolist()


def _flat(value: Any) -> Any:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from _flat(one)
    elif isinstance(value, int | float):
        yield float(value)
