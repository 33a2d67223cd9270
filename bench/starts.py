"""How soon a fresh process of the app answers, and what that consists of."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from bench.callers import Answer, Caller
from bench.mixture import upload_shipped
from bench.served import serving
from bench.tables import line, table

# A page that has nothing in it but one button.
_BLOCKS = """
import gradio as gr
with gr.Blocks(analytics_enabled=False) as page:
    text = gr.Textbox()
    gr.Button().click(lambda text: text, text, text, api_name="echo")
page.launch(ssr_mode=False)
"""
_ENCODE = "from mmdemo import load_encoder; load_encoder('mini').encode('x')"
_IMPORT = "import mmdemo"


def measure(app: Path, rounds: int) -> None:
    """Print medians of fresh processes, all kinds in turn.

    Raises:
        RuntimeError: a process fails, or does not answer.
    """
    kinds: dict[str, Callable[[], float]] = {
        "the app's first comparison": lambda: _first_comparison(app),
        "one call of a bare page": lambda: _first_call(app),
        '`load_encoder("mini").encode("x")`': lambda: _process(app, _ENCODE),
        "`import mmdemo`": lambda: _process(app, _IMPORT),
    }
    times = [[measured() for measured in kinds.values()] for _ in range(rounds)]
    medians = np.median(times, axis=0)
    table(
        ("a fresh process", "s"),
        [(name, f"{seconds:.2f}") for name, seconds in zip(kinds, medians, strict=True)],
    )
    first, page, encode, _ = medians
    line(f"First comparison / (bare page + encode): {first / (page + encode):.2f}\n")


def _first_comparison(app: Path) -> float:
    start = time.perf_counter()
    with serving(app) as served:
        caller = Caller(served.place)
        asked = [*upload_shipped(caller), "a first text", "mini"]
        return _answered(start, caller.ask("compare", asked))


def _first_call(app: Path) -> float:
    start = time.perf_counter()
    with serving(app, command=("-c", _BLOCKS)) as served:
        return _answered(start, Caller(served.place).ask("echo", ["a text"]))


def _answered(start: float, answer: Answer) -> float:
    if not answer.good:
        raise RuntimeError(f"The first call was not answered: {answer.told}")
    return time.perf_counter() - start


def _process(app: Path, code: str) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], cwd=app, check=True)
    return time.perf_counter() - start
