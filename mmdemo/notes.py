"""What somebody who reads a model's numbers should know about the text behind them."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

from mmdemo.types import Note

if TYPE_CHECKING:
    from mmdemo.models.encoder import Encoder


def text_notes(encoder: Encoder, text: str, *, with_image: bool = True) -> list[Note]:
    """Return what a reader of numbers that involve this text should know.

    Args:
        encoder: the model.
        text: the text.
        with_image: it is also embedded together with a picture.
    """
    notes = []
    usage = encoder.token_usage(text, with_image=with_image)
    if usage.truncated:
        message = (
            f"Only the first {usage.used} of the text's {usage.total} tokens were read: "
            f"{encoder.name} takes no more{' beside a picture' if with_image else ''}."
        )
        notes.append(Note("truncated", {"used": usage.used, "total": usage.total}, message))
    share = _foreign_share(text, encoder.languages)
    if share >= 0.25:
        read = " and ".join(_LANGUAGE_NAMES.get(code, code) for code in encoder.languages)
        message = (
            f"{encoder.name} reads {read}; {share:.0%} of this text's letters are of another "
            "script, so numbers that involve the text mean little."
        )
        values = {
            "model": encoder.name,
            "share": round(share * 100),
            "languages": ",".join(encoder.languages),
        }
        notes.append(Note("language", values, message))
    return notes


def temperature_notes(encoder: Encoder) -> list[Note]:
    """Say so where a model's temperature is not its own, so that probabilities are a guess."""
    if encoder.temperature_known:
        return []
    message = (
        f"The checkpoint of {encoder.name} does not hold its temperature; the probabilities use "
        f"the one that its training began with ({1 / encoder.logit_scale:.2g})."
    )
    values: dict[str, int | str] = {
        "model": encoder.name,
        "temperature": f"{1 / encoder.logit_scale:.2g}",
    }
    return [Note("temperature", values, message)]


_LANGUAGE_NAMES = {"en": "English", "zh": "Chinese"}


def _foreign_share(text: str, languages: tuple[str, ...]) -> float:
    """Return the share of letters of a script that none of the languages is written in."""
    letters = [letter for letter in text if letter.isalpha()]
    if "multilingual" in languages or not letters:
        return 0.0
    scripts = ("LATIN", "CJK UNIFIED") if "zh" in languages else ("LATIN",)
    other = sum(not unicodedata.name(letter, "").startswith(scripts) for letter in letters)
    return other / len(letters)
