"""Switching the page's language: which property of which component holds which string."""

from __future__ import annotations

from typing import Any

import gradio as gr
from gradio.blocks import Block

from mmdemo.ui.text import TEXT, Language, say


class Localiser:
    """Collects what to translate while the page is built; then answers the language choice."""

    def __init__(self, first: Language = "en") -> None:
        """Start empty.

        Args:
            first: the language that components are built in.
        """
        self._first: Language = first
        self._entries: list[tuple[Block, dict[str, str]]] = []

    @property
    def components(self) -> list[Block]:
        """Return the components that a switch updates, in order."""
        return [component for component, _ in self._entries]

    def add(self, component: Block, **keys: str) -> None:
        """Translate properties of a component, such as `label="text_label"`, from now on."""
        self._entries.append((component, keys))
        for name, key in keys.items():
            setattr(component, name, say(self._first, key))

    def add_html(self, component: gr.HTML, pattern: str) -> None:
        """Translate a piece of markup; `{key}` in the pattern stands for a string of the page."""
        self._entries.append((component, {"value": pattern}))
        component.value = _filled(self._first, pattern)

    def switch(self, language: Language) -> list[Any]:
        """Return an update for each of `components`."""
        return [
            # Typed as gradio's own update is: a mapping of any properties.
            {"__type__": "update"} | {name: _filled(language, key) for name, key in keys.items()}
            for _, keys in self._entries
        ]


def _filled(language: Language, pattern: str) -> str:
    """Return the string of a key, or a pattern with its keys replaced."""
    if pattern in TEXT:
        return say(language, pattern)
    for key in TEXT:
        if "{" + key + "}" in pattern:
            pattern = pattern.replace("{" + key + "}", say(language, key))
    return pattern
