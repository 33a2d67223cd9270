"""Switching the page's language: every component that shows words, in one answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import gradio as gr
from gradio.blocks import Block
from gradio.components import Component
from markupsafe import Markup

from mmdemo.ui.strings import CODES, FIRST, TEXT, Language, say
from mmdemo.ui.strings.files import fields


class _Words(NamedTuple):
    """Strings of one component.

    Attributes:
        component: what shows them.
        keys: for each of its properties a key of `TEXT`, or a pattern with keys in it.
    """

    component: Block
    keys: dict[str, str]


class _Handler(NamedTuple):
    """What depends on more than the language.

    Attributes:
        function: takes the values of `inputs`, then the language; returns those of `outputs`.
        inputs: what it must know.
        outputs: what it changes.
        as_built: whether a page that opens in the first language shows it already.
    """

    function: Callable[..., Sequence[Any]]
    inputs: Sequence[Component]
    outputs: Sequence[Block]
    as_built: bool


class Localiser:
    """Collects what to translate while the page is built; then answers the language choice.

    All of it hangs on one event. Were each part to listen by itself, a page would ask a dozen times
    for one choice of a language, and show two languages meanwhile.
    """

    def __init__(self, first: Language = FIRST) -> None:
        """Start empty.

        Args:
            first: the language that components are built in.
        """
        self._first: Language = first
        self._words: list[_Words] = []
        self._handlers: list[_Handler] = []

    @property
    def inputs(self) -> list[Component]:
        """Return what a switch must know beside the language, in order."""
        return [component for handler in self._handlers for component in handler.inputs]

    @property
    def outputs(self) -> list[Block]:
        """Return the components that a switch updates, in order."""
        handled = [component for handler in self._handlers for component in handler.outputs]
        return [words.component for words in self._words] + handled

    def add(self, component: Block, **keys: str) -> None:
        """Translate properties of a component, such as `label="text_label"`, from now on.

        A value may also be a pattern, as for `add_html`.
        """
        self._words.append(_Words(component, keys))
        for name, key in keys.items():
            setattr(component, name, _filled(self._first, key))

    def add_html(self, component: gr.HTML, pattern: Markup) -> None:
        """Translate a piece of markup; `{key}` in the pattern stands for a string of the page."""
        self._words.append(_Words(component, {"value": pattern}))
        component.value = _filled(self._first, pattern)

    def add_handler(
        self,
        function: Callable[..., Sequence[Any]],
        inputs: Sequence[Component],
        outputs: Sequence[Block],
        *,
        as_built: bool = False,
    ) -> None:
        """Have a function answer for what is no mere string.

        Args:
            function: takes the values of `inputs`, then the language; returns those of `outputs`.
            inputs: what it must know.
            outputs: what it changes.
            as_built: whether a page that opens in the first language shows it already.
        """
        self._handlers.append(_Handler(function, inputs, outputs, as_built))

    def switch(self, *given: Any) -> list[Any]:
        """Return an update for each of `outputs`.

        Args:
            given: the values of `inputs`, then the language to be shown.
        """
        *values, language = given
        return self._strings(language) + self._handled(values, language)

    def open(self, *given: Any) -> list[Any]:
        """Return the same for a page that has just opened, whose strings are in the first language.

        What depends on more than the language may have changed since the page was built.

        Args:
            given: as for `switch`.
        """
        *values, language = given
        if language == self._first:
            strings: list[Any] = [gr.skip()] * len(self._words)
        else:
            strings = self._strings(language)
        return strings + self._handled(values, language, opening=True)

    def _strings(self, language: Language) -> list[Any]:
        return [
            # Typed as gradio's own update is: a mapping of any properties.
            {"__type__": "update"} | {name: _filled(language, key) for name, key in keys.items()}
            for _, keys in self._words
        ]

    def _handled(
        self, values: Sequence[Any], language: Language, *, opening: bool = False
    ) -> list[Any]:
        found: list[Any] = []
        rest = list(values)
        for handler in self._handlers:
            own, rest = rest[: len(handler.inputs)], rest[len(handler.inputs) :]
            if opening and handler.as_built and language == self._first:
                found += [gr.skip()] * len(handler.outputs)
            else:
                found += handler.function(*own, language)
        return found


def _filled(language: Language, pattern: str) -> str:
    """Return the string of a key, or a pattern with its keys replaced; in markup escaped."""
    if pattern in TEXT:
        return say(language, pattern)
    return pattern.format(**{key: say(language, key) for key in fields(pattern)})


def preferred_language(headers: Mapping[str, str]) -> Language:
    """Return the language of the page that a browser would rather have; the first for none.

    >>> preferred_language({"accept-language": "fr-CH, zh-CN;q=0.7, en;q=0.8"})
    'en'
    """
    ranges = [one.partition(";") for one in headers.get("accept-language", "").lower().split(",")]
    for tag, _, weight in sorted(ranges, key=lambda one: -_quality(one[2])):
        for code in CODES:
            if f"{tag.strip()}-".startswith(f"{code.lower()}-") and _quality(weight):
                return code
    return FIRST


def _quality(weight: str) -> float:
    """Return how much a browser wants a language; one that says something odd, not at all."""
    name, _, value = weight.replace(" ", "").partition("=")
    if not name:
        return 1.0
    try:
        return float(value) if name == "q" else 0.0
    except ValueError:
        return 0.0
