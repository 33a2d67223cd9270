"""The ready-made comparisons, in a language that the model reads, and what each teaches."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

import gradio as gr
from markupsafe import escape

from mmdemo.errors import MMDemoError
from mmdemo.examples import Example, examples
from mmdemo.images import Picture
from mmdemo.models.find import find_offered
from mmdemo.ui.strings import FIRST, Language, say


def example_samples(model: str, language: Language) -> list[list[str]]:
    """Return the ready-made comparisons as rows: two paths, a text, and what it teaches."""
    readable = readable_language(model, language)
    return [
        [*map(str, row.paths), row.text(readable), escape(_lesson(row, language))]
        for row in examples()
    ]


def readable_language(model: str, language: Language) -> Language:
    """Return the page's language where the model reads it, else the first.

    For a model that cannot be had, the page's: the choice of the model says what is wrong.
    """
    with suppress(MMDemoError):
        if not {language, "multilingual"} & set(find_offered(model).languages):
            return FIRST
    return language


def show_example(index: int, model: str, language: Language) -> list[str]:
    """Return the pictures and the text of a ready-made comparison."""
    return example_samples(model, language)[index][:3]


def list_examples(model: str, language: Language) -> list[Any]:
    """Return an update that shows the ready-made comparisons in another language."""
    return [gr.Dataset(samples=example_samples(model, language))]


def spoken(text: str | None, model: str, language: Language) -> list[Any]:
    """Return a ready-made text in the page's language; what the visitor typed stays as it is."""
    readable = readable_language(model, language)
    for row in examples():
        if text in row.texts.values() and text != row.text(readable):
            return [row.text(readable)]
    return [gr.skip()]


def _lesson(example: Example, language: Language) -> str:
    """Return what a ready-made comparison teaches; of one that `mini` gets wrong, that it does."""
    lesson = example.lesson(language)
    if not example.wrong:
        return lesson
    return say(language, "in_field", field=say(language, "example_wrong"), message=lesson)


def lessons(pictures: Sequence[Picture], texts: Sequence[str], language: Language) -> list[str]:
    """Say of a ready-made comparison that `mini` gets wrong that it does; swapped, it stays one."""
    given = {text.strip() for text in texts}
    return [
        _lesson(example, language)
        for example in examples()
        if example.wrong
        and given.intersection(example.texts.values())
        and _digests(pictures) == _digests(map(Picture, example.paths))
    ]


def _digests(pictures: Iterable[Picture]) -> list[bytes]:
    return sorted(picture.digest for picture in pictures)
