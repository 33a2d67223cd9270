"""The tab's request as an address, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmdemo.examples import examples
from mmdemo.tasks.compare import NEEDS, CompareRequest
from mmdemo.ui import link
from mmdemo.ui.link import Opened
from mmdemo.ui.parts.models.handlers import first_choice
from mmdemo.ui.strings import Language
from mmdemo.ui.tabs.similarity.ready_made import readable_language

NAME = "similarity"
"""Of the tab, in addresses."""

OTHERS = 2
"""How many models can stand beside the first."""


def query(request: CompareRequest, beside: Sequence[str], language: Language) -> str:
    """Return a request as the query of an address, without what is as the tab opens."""
    first = examples()[0]
    parameters: dict[str, str] = {}
    own: list[str] = []
    for name, picture, ready in (
        ("image1", request.image1, first.image1),
        ("image2", request.image2, first.image2),
    ):
        names, others = link.names([picture])
        if others:
            own.append(name)
        elif names != [ready]:
            parameters[name] = names[0]
    model = request.model or first_choice(NEEDS)
    text, *further = request.texts
    if text != first.text(readable_language(model, language)):
        parameters["text"] = text
    if further:
        parameters["with"] = further[0]
    if model != first_choice(NEEDS):
        parameters["model"] = model
    if any(beside):
        parameters["beside"] = ",".join(filter(None, beside))
    return link.query(NAME, parameters, own)


def read(opened: Opened, language: Language) -> dict[str, Any]:
    """Return what an address puts into the fields; what it does not say is as the tab opens."""
    first = examples()[0]
    model = opened.text("model") or first_choice(NEEDS)
    ready = dict(zip(("image1", "image2"), map(str, first.paths), strict=True))
    fields: dict[str, Any] = {
        name: opened.picture(name) if opened.says(name) else path for name, path in ready.items()
    }
    text = first.text(readable_language(model, language))
    others = [*opened.listed("beside"), *[""] * OTHERS]
    return (
        fields
        | {
            "text": opened.text("text") if opened.says("text") else text,
            "other": opened.text("with"),
            "model": model,
        }
        | {f"beside{number}": others[number] for number in range(OTHERS)}
    )
