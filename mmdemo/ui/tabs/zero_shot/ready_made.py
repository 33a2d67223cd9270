"""What the tab offers to fill its fields with: pictures, labels, templates, by language."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr

from mmdemo.examples import FOLDER, wrong_sets
from mmdemo.tasks.prompts import LABEL_SETS, TEMPLATE_SETS, twin
from mmdemo.ui.parts.signals import again
from mmdemo.ui.strings import CODES, Language, say

OWN = "own"
"""The choice of templates that stands for what the visitor wrote."""

EXAMPLES = (
    "bee.jpg",
    "bridge.jpg",
    "dogs.jpg",
    "citrus.jpg",
    "heart-red.png",
    "logo-tidemark.png",
)
"""What the tab opens with, below `assets/examples`."""


def example_pictures() -> list[str]:
    """Return the pictures that the tab opens with."""
    return [str(FOLDER / name) for name in EXAMPLES]


def label_text(name: str, language: Language) -> str:
    """Return a ready label set as it stands in the field."""
    return "\n".join(LABEL_SETS[name].labels(language))


def fill_pictures(paths: list[str]) -> tuple[list[str], str]:
    """Return pictures for the gallery, and have them looked at: it does not always say so."""
    return paths, again()


def wrong_label_sets(language: Language, labels: Sequence[str] | None = None) -> list[str]:
    """Say of the ready label sets that the embedded model gets wrong what that teaches.

    Args:
        language: of the sentences.
        labels: if given, only of the set that holds just these, in any language.
    """
    return [
        say(language, f"labels_wrong_{name}")
        for name, one in LABEL_SETS.items()
        if name in wrong_sets() and labels in (None, *one.by_language.values())
    ]


def template_text(choice: str) -> Any:
    """Return the templates of a set as they stand in the field; one's own stay."""
    if choice not in TEMPLATE_SETS:
        return gr.skip()
    return "\n".join(TEMPLATE_SETS[choice].templates)


def template_choice(text: str) -> str:
    """Return the set that the field holds, or that it is the visitor's own."""
    held = tuple(line.strip() for line in text.splitlines() if line.strip())
    return next((one.name for one in TEMPLATE_SETS.values() if one.templates == held), OWN)


def template_choices(language: Language) -> list[tuple[str, str]]:
    """Return the sets of templates as label and name."""
    return [(say(language, f"templates_{name}"), name) for name in (*TEMPLATE_SETS, OWN)]


def translated(labels: str, templates: str, language: Language) -> list[Any]:
    """Return labels, templates and the choice of them in the page's language, if they are ours."""
    named = [name for name in LABEL_SETS for one in CODES if label_text(name, one) == labels]
    wanted = label_text(named[0], language) if named else labels
    choice = template_choice(templates)
    known = twin(choice, language) if choice in TEMPLATE_SETS else choice
    return [
        wanted if wanted != labels else gr.skip(),
        template_text(known) if known != choice else gr.skip(),
        gr.update(choices=template_choices(language), value=known),
    ]
