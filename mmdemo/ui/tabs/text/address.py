"""The tab's request as an address, and back."""

from __future__ import annotations

from typing import Any

from mmdemo.examples import RankingExample, ranking_examples
from mmdemo.tasks.rank import NEEDS, RankRequest
from mmdemo.types import REPRESENTATIONS
from mmdemo.ui import link
from mmdemo.ui.link import Opened
from mmdemo.ui.parts.models.handlers import first_choice
from mmdemo.ui.strings import Language
from mmdemo.ui.tabs.text.views import passages_text

NAME = "text"
"""Of the tab, in addresses."""


def query(request: RankRequest, typed: str, whole: bool) -> str:
    """Return a request as the query of an address, without what is as the tab opens.

    Args:
        request: what is ranked.
        typed: the passages as the field holds them.
        whole: whether they are one passage.
    """
    parameters: dict[str, str] = {}
    first = ranking_examples()[0]
    example = next(
        (one for one in ranking_examples() if passages_text(one.passages) == typed), None
    )
    if example is None:
        parameters["passages"] = typed
    elif example is not first:
        parameters["example"] = example.name
    if request.query != (example or first).query:
        parameters["query"] = request.query
    if whole:
        parameters["whole"] = "yes"
    if request.model and request.model != first_choice(NEEDS):
        parameters["model"] = request.model
    for name, weight in request.by_name.items():
        if weight != 1:
            parameters[name] = f"{weight:g}"
    return link.query(NAME, parameters)


def read(opened: Opened, _language: Language) -> dict[str, Any]:
    """Return what an address puts into the fields; what it does not say is as the tab opens."""
    example = _example(opened.text("example"))
    return {
        "query": opened.text("query") if opened.says("query") else example.query,
        "passages": (
            opened.text("passages") if opened.says("passages") else passages_text(example.passages)
        ),
        "whole": opened.text("whole") == "yes",
        "model": opened.text("model") or first_choice(NEEDS),
    } | {name: _weight(opened.text(name)) for name in REPRESENTATIONS}


def _example(name: str) -> RankingExample:
    known = ranking_examples()
    return next((one for one in known if one.name == name), known[0])


def _weight(text: str) -> float:
    """Return a weight of 0 to 1; what is none counts in full."""
    try:
        value = float(text)
    except ValueError:
        return 1.0
    return min(max(value, 0.0), 1.0) if value == value else 1.0
