"""`/health`: whether the app is well, for whoever runs it, and nothing of visitors or of paths.

It is there without a password too: what looks after an app has none.
"""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from fastapi.responses import JSONResponse
from gradio.routes import App

from mmdemo.models import pool
from mmdemo.ui.serving.line import line_of


def add(app: App) -> None:
    """Add the address to an app."""

    def answer() -> JSONResponse:
        return JSONResponse(state(app))

    app.add_api_route("/health", answer, methods=["GET", "HEAD"])


def state(app: App) -> dict[str, Any]:
    """Return what the address answers, as plain JSON.

    `models` are those in memory; `memory` is in megabytes of 10^6 bytes, `budget_mb` of weights and
    caches together; `passes` are requests at the models, `queue` those of callers.
    """
    told = pool.state()
    return {
        "status": "ok",
        "version": _version(),
        **told,
        "queue": line_of(app.get_blocks()).counts(),
    }


def _version() -> str:
    """Return the version of this package, installed or as a folder with its `pyproject.toml`."""
    described = Path(__file__).parents[3] / "pyproject.toml"
    if described.is_file() and (
        found := re.search(r'^version = "(.+)"$', described.read_text("utf-8"), re.MULTILINE)
    ):
        return found[1]
    try:
        return version("mmdemo")
    except PackageNotFoundError:
        return ""
