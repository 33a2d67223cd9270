"""What somebody who reads a model's numbers should know of the texts and pictures behind them."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Literal

from mmdemo.images import ImageSource, notes_of
from mmdemo.signs import has_visible
from mmdemo.types import Note, TokenUsage

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
    notes += _unknown_notes(encoder.name, text, usage)
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


def unknown_among(model: str, texts: Sequence[str], usage: Sequence[TokenUsage]) -> list[Note]:
    """Return what a reader of many texts' numbers should know of words that the model does not.

    Args:
        model: its name.
        texts: n texts.
        usage: theirs.
    """
    notes = []
    empty = sum(not has_visible(text) for text in texts)
    if empty:
        notes.append(
            Note(
                "empty_among",
                {"count": empty, "total": len(texts)},
                f"{empty} of {len(texts)} are empty: nothing in them can be seen, so numbers with "
                "them mean nothing.",
            )
        )
    pairs = [(text, one) for text, one in zip(texts, usage, strict=True) if has_visible(text)]
    dark = [text for text, one in pairs if not one.known]
    if dark:
        words = _told(dark)
        notes.append(
            Note(
                "unknown_all_among",
                {"model": model, "count": len(dark), "total": len(texts), "words": words},
                f"{model} knows nothing of {len(dark)} of {len(texts)} ({words}), so numbers with "
                "them mean nothing.",
            )
        )
    partly = [one.unknown_words for _, one in pairs if one.known and one.unknown]
    if partly:
        words = _told(list(dict.fromkeys(word for row in partly for word in row)))
        notes.append(
            Note(
                "unknown_among",
                {"model": model, "count": len(partly), "total": len(texts), "words": words},
                f"{len(partly)} of {len(texts)} hold what {model} does not know ({words}), so "
                "numbers with them mean little.",
            )
        )
    return notes


def label_notes(encoder: Encoder, labels: Sequence[str], usage: Sequence[TokenUsage]) -> list[Note]:
    """Return which labels the model does not know, or does not tell apart.

    Args:
        encoder: the model.
        labels: n labels, each once.
        usage: theirs.
    """
    notes = [
        note.within("Labels", "place_labels") for note in unknown_among(encoder.name, labels, usage)
    ]
    alike = encoder.alike(labels)
    if alike:
        groups = _told([" = ".join(_cut(list(group))) for group in alike], "; ")
        message = (
            f"{encoder.name} reads these labels as one and the same: {groups}. Their numbers are "
            "equal, and in a softmax they share the probability of one."
        )
        notes.append(Note("labels_alike", {"model": encoder.name, "groups": groups}, message))
    return notes


def _unknown_notes(model: str, text: str, usage: TokenUsage) -> list[Note]:
    if usage.known and not usage.unknown:
        return []
    words = _told(usage.unknown_words or [text])
    values: dict[str, int | str] = {"model": model, "words": words}
    if usage.known:
        message = (
            f"{model} does not know these words of the text: {words}. Numbers that involve it rest "
            "on its other words, and mean little."
        )
        return [Note("unknown", values, message)]
    message = f"{model} knows nothing of this text ({words}), so numbers with it mean nothing."
    return [Note("unknown_all", values, message)]


_MOST_TOLD = 8
_LONGEST_TOLD = 40


def _told(words: Sequence[str], gap: str = ", ") -> str:
    """Return words as a sentence has them: a few, none of them long."""
    return gap.join(
        _cut([word if len(word) <= _LONGEST_TOLD else f"{word[:_LONGEST_TOLD]}…" for word in words])
    )


def _cut(words: list[str]) -> list[str]:
    return words if len(words) <= _MOST_TOLD else [*words[:_MOST_TOLD], "…"]


def temperature_notes(encoder: Encoder) -> list[Note]:
    """Say so where a model's temperature is not its own, so that probabilities are a guess."""
    if encoder.temperature_capped:
        message = (
            f"The checkpoint of {encoder.name} has a larger logit_scale than its training allows; "
            f"the probabilities use the largest that is allowed, {encoder.logit_scale:.4g}."
        )
        told = {"model": encoder.name, "scale": f"{encoder.logit_scale:.4g}"}
        return [Note("scale_capped", told, message)]
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


def picture_notes(
    pictures: Iterable[tuple[int, ImageSource]], place: Literal["picture", "item"] = "picture"
) -> list[Note]:
    """Return what a reader of numbers of these pictures should know, each with whose it is.

    What several have in common is one note.

    Args:
        pictures: each with its number, as whoever gave them counts them from 1.
        place: what they are called: pictures, or items among which there may be texts.

    Raises:
        PictureError: one cannot be read; those that are embedded can.
    """
    found: dict[str, dict[Note, list[int]]] = {}
    for number, picture in pictures:
        for note in notes_of(picture):
            alike = found.setdefault(note.code, {})
            same = next((one for one in alike if one.sentence == note.sentence), note)
            alike.setdefault(same, []).append(number)
    told: list[Note] = []
    for code, alike in found.items():
        if len(alike) > _MOST_ALIKE and code in _EACH:
            numbers = sorted(number for some in alike.values() for number in some)
            alike = {Note(f"{code}_each", {}, _EACH[code]): numbers}
        told += [_placed(note, numbers, place) for note, numbers in alike.items()]
    return told


_MOST_ALIKE = 2  # notes that differ in their values alone
_MOST_NUMBERS = 8  # that are listed

_EACH = {
    "grey_range": "Grey values were spread over black to white, in each picture: they use no known "
    "scale.",
    "colour_range": "Values were spread over black to white, in each picture: they use no known "
    "scale.",
    "grey_plain": "Values are one all over, on no known scale: they are drawn as a middling grey.",
    "no_data": "There is no data in some of the pixels: they were left out, and are white.",
    "channel": "Of several channels only the first is shown.",
    "channels": "Of more channels only the first three are shown, as red, green and blue.",
}


def _placed(note: Note, numbers: list[int], place: Literal["picture", "item"]) -> Note:
    if len(numbers) == 1:
        [number] = numbers
        if place == "picture":
            return note.within(f"Picture {number}", "picture_at", number=number)
        return note.within(f"Item {number}", "item_at", number=number)
    listed = ", ".join(map(str, numbers[:_MOST_NUMBERS]))
    if len(numbers) > _MOST_NUMBERS:
        listed += f", … ({len(numbers)})"
    if place == "picture":
        return note.within(f"Pictures {listed}", "pictures_at", numbers=listed)
    return note.within(f"Items {listed}", "items_at", numbers=listed)


_LANGUAGE_NAMES = {"en": "English", "zh": "Chinese"}


def _foreign_share(text: str, languages: tuple[str, ...]) -> float:
    """Return the share of letters of a script that none of the languages is written in."""
    # Full-width letters are Latin ones, whatever their names say.
    letters = [sign for sign in unicodedata.normalize("NFKC", text) if sign.isalpha()]
    if "multilingual" in languages or not letters:
        return 0.0
    scripts = ("LATIN", "CJK UNIFIED") if "zh" in languages else ("LATIN",)
    other = sum(not unicodedata.name(letter, "").startswith(scripts) for letter in letters)
    return other / len(letters)
