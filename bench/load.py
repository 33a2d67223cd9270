"""What many visitors get of an app: each measurement starts one of its own, and ends it.

    python -m bench.load visitors [--visitors 16] [--pause 0] [--seconds 60]
    python -m bench.load beside [--slow FOLDER]
    python -m bench.load hostile [--decoder process]
    python -m bench.load memory [--requests 2000] [--mb 1000]
    python -m bench.load many-models [--mb 150]
    python -m bench.load calls

All take `--app FOLDER`, the checkout whose app is started. Callers come from 127.0.0.2 and up, so
that the app tells them apart. Figures are of one run on this machine; ratios are what carries over
to another.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from bench import beside, hostile, memory, visitors
from bench.checkout import parser
from bench.tables import load


def main() -> None:
    """Run one measurement; it prints Markdown."""
    options = parser(__doc__)
    kinds = options.add_subparsers(required=True, metavar="MEASUREMENT")

    def add(name: str, run: Callable[[argparse.Namespace], None]) -> argparse.ArgumentParser:
        made = kinds.add_parser(name, help=(run.__doc__ or "").partition("\n")[0])
        made.set_defaults(run=run)
        return made

    one = add("visitors", visitors.measure)
    one.add_argument("--visitors", type=int, default=16)
    one.add_argument("--pause", type=float, default=0.0, help="seconds after each answer")
    one.add_argument("--seconds", type=float, default=60.0)
    one.add_argument("--seed", type=int, default=0)
    one = add("beside", beside.measure)
    one.add_argument("--slow", type=Path, help="the slow model's weights, or where they are kept")
    one.add_argument("--only", choices=("classify", "rank"))
    one = add("hostile", hostile.measure)
    one.add_argument("--decoder", choices=("process", "thread"), default="process")
    one = add("memory", memory.measure_mixture)
    one.add_argument("--requests", type=int, default=2000)
    one.add_argument("--mb", type=int, default=1000, help="MMDEMO_MEMORY")
    one.add_argument("--seed", type=int, default=0)
    one = add("many-models", memory.measure_models)
    one.add_argument("--mb", type=int, default=150, help="MMDEMO_MEMORY")
    one.add_argument("--health", default="/health", help="where the app says how it is, if it does")
    add("calls", memory.measure_calls)
    given = options.parse_args()
    load()
    given.run(given)


if __name__ == "__main__":
    main()
