"""What `mini` costs in one process, with many threads, and in a fresh one.

    python -m bench.speed [--rounds 15] [--only costs|loading|threads|starts] [--app FOLDER]

Every figure is a median of one run on this machine; ratios are what carries over to another.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from bench import starts
from bench.checkout import ROOT, output, parser, run
from bench.tables import line, load

_DATA = ROOT / "tests/data/visualized_bge"
_STARTS = 3


def main() -> None:
    """Print Markdown."""
    given = parser(__doc__)
    given.add_argument("--rounds", type=int, default=15)
    given.add_argument("--processes", type=int, default=20)
    given.add_argument("--only", choices=("costs", "loading", "threads", "starts"))
    arguments = given.parse_args()
    app, only = arguments.app, arguments.only
    load()
    if only in (None, "costs"):
        line(output("bench.costs", app, "--rounds", arguments.rounds))
    if only in (None, "loading"):
        _loading(app, arguments.processes)
    if only in (None, "threads"):
        _threads(app)
    if only in (None, "starts"):
        starts.measure(app, _STARTS)


def _loading(app: Path, processes: int) -> None:
    """Count the processes in which three models, loaded at once, do not all load."""
    with tempfile.TemporaryDirectory() as folder:
        *_, clip = output("bench.nine_models", app, folder, "--only", "clip").split()
        models = ["mini", clip, _DATA / "bert-bge-base-en-v1.5"]
        failed = [
            done
            for done in (run("bench.threads", app, "load", *models) for _ in range(processes))
            if done.returncode
        ]
    line(f"Three models at once in {processes} fresh processes: {len(failed)} failed\n")
    for told in sorted({done.stderr.rstrip().rpartition("\n")[2][:200] for done in failed}):
        line(f"- {told}\n")


def _threads(app: Path) -> None:
    """Compare the numbers of sixteen jobs at once with those of one after the other."""
    with tempfile.TemporaryDirectory() as folder:
        for at_once in (1, 16):
            output("bench.threads", app, "jobs", f"{folder}/{at_once}", "--at-once", at_once)
        alone, together = (np.load(f"{folder}/{at_once}.npz") for at_once in (1, 16))
        apart = max(float(np.abs(alone[name] - together[name]).max()) for name in alone.files)
    line(f"Sixteen different jobs at once and one after the other: {apart:.1e} apart at most\n")


if __name__ == "__main__":
    main()
