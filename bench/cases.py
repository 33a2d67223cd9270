"""What comes of the inputs that people complained of in public, at every door: a table.

`python -m bench.cases` asks them all anew; tests/test_cases.py holds the answers to what is right.
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.apps import serving
from tests.cases import CASES, DOORS, Answer, House

_MOST = 160
"""Characters of what was said that a cell shows."""


def rows(house: House) -> Iterator[str]:
    """Yield a line of Markdown for each case, and for each door that answers otherwise."""
    for name, case in CASES.items():
        answers: dict[str, list[str]] = {}
        for door in DOORS[case.kind]:
            told = _in_short(door(case.made(house.folder), house), case.says)
            answers.setdefault(told, []).append(door.__name__.rpartition("_")[2])
        for told, doors in answers.items():
            yield f"| {name} | {', '.join(doors)} | {told} |"


def _in_short(answer: Answer, says: str) -> str:
    """Return what a cell shows: the sentence that the case is about, and if there are numbers."""
    plain = re.sub(r"<[^>]+>", "\n", answer.said)
    lines = [line.strip() for line in plain.splitlines() if line.strip()]
    told = next((line for line in lines if says and says in line), "")
    told = told.removeprefix("Error: ").removeprefix("error: ")
    cut = told if len(told) <= _MOST else told[: _MOST - 1] + "…"
    outcome = "refused" if answer.numbers is None else "numbers"
    return f"{outcome}: {cut}".replace("|", "\\|") if cut else outcome


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder)) as app, app.visited():
        sys.stdout.write("| input | doors | what comes of it |\n|---|---|---|\n")
        for row in rows(House(Path(folder), app.address)):
            sys.stdout.write(row + "\n")


if __name__ == "__main__":
    main()
