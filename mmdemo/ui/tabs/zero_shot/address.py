"""The tab's request as an address, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmdemo.tasks.classify import NEEDS, ClassifyRequest
from mmdemo.tasks.prompts import LABEL_SETS, TEMPLATE_SETS, twin
from mmdemo.ui import link
from mmdemo.ui.link import Opened
from mmdemo.ui.parts.models.handlers import first_choice
from mmdemo.ui.strings import Language
from mmdemo.ui.tabs.zero_shot.ready_made import (
    EXAMPLES,
    example_pictures,
    label_text,
    template_choice,
)

NAME = "zero-shot"
"""Of the tab, in addresses."""

COLUMNS = 3
"""How many models stand side by side at most."""

FIRST_LABELS = "everyday"
FIRST_TEMPLATES = "openai-7"


def query(request: ClassifyRequest, beside: Sequence[str], language: Language) -> str:
    """Return a request as the query of an address, without what is as the tab opens."""
    parameters: dict[str, str] = {}
    names, others = link.names(request.images)
    if names != list(EXAMPLES):
        parameters["pictures"] = ",".join(names)
    labels = _ready_labels(request.labels, language)
    if labels != FIRST_LABELS:
        parameters["labels" if not labels else "label-set"] = labels or "\n".join(request.labels)
    templates = "\n".join(request.templates)
    chosen = template_choice(templates)
    if chosen not in TEMPLATE_SETS:
        parameters["templates"] = templates
    elif chosen != twin(FIRST_TEMPLATES, language):
        parameters["template-set"] = chosen
    if not request.reject:
        parameters["reject"] = "no"
    first = first_choice(NEEDS)
    if (request.model or first) != first:
        parameters["model"] = request.model or first
    if any(beside):
        parameters["beside"] = ",".join(filter(None, beside))
    return link.query(NAME, parameters, ["pictures"] if others else [])


def read(opened: Opened, language: Language) -> dict[str, Any]:
    """Return what an address puts into the fields; what it does not say is as the tab opens."""
    labels, templates = opened.text("label-set"), opened.text("template-set")
    if labels not in LABEL_SETS:
        labels = FIRST_LABELS
    if templates not in TEMPLATE_SETS:
        templates = twin(FIRST_TEMPLATES, language)
    own = opened.says("labels"), opened.says("templates")
    ready = "\n".join(TEMPLATE_SETS[templates].templates)
    others = [*opened.listed("beside"), *[""] * COLUMNS]
    return {
        "pictures": opened.pictures("pictures") if opened.says("pictures") else example_pictures(),
        "labels": opened.text("labels") if own[0] else label_text(labels, language),
        "templates": opened.text("templates") if own[1] else ready,
        "reject": opened.text("reject") != "no",
        "model": opened.text("model") or first_choice(NEEDS),
    } | {f"beside{number}": others[number] for number in range(COLUMNS - 1)}


def _ready_labels(labels: Sequence[str], language: Language) -> str:
    """Return the ready set that holds just these labels in that language; empty for none."""
    typed = "\n".join(labels)
    return next((name for name in LABEL_SETS if label_text(name, language) == typed), "")
