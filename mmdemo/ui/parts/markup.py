"""Small pieces of markup and wording that every tab uses.

Markup is `markupsafe.Markup`, made of literal patterns: what is put into one is escaped on its way,
whoever wrote it, unless it is such markup itself.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from markupsafe import Markup, escape

from mmdemo.errors import MMDemoError, Place
from mmdemo.types import Note
from mmdemo.ui.serving import journal
from mmdemo.ui.strings import ERRORS, Language, say

log = logging.getLogger(__name__)


def message(
    said: str | Sequence[str], *, stale: bool = False, late: bool = False, again: bool = False
) -> Markup:
    """Return a message box; nothing where nothing is said.

    Args:
        said: a sentence, or several, each of which has a paragraph of its own.
        stale: whether the results in the tab are of an earlier input; they are dimmed.
        late: likewise, while new ones are on their way; seen only if these take longer than a
            moment, so that nothing flickers.
        again: whether a late one follows another, which may be in sight by now.
    """
    sentences = [said] if isinstance(said, str) else said
    paragraphs = Markup().join(Markup("<p>{}</p>").format(one) for one in sentences if one)
    if not paragraphs:
        return paragraphs
    kind = " stale" if stale or late else ""
    kind += (" late again" if again else " late") if late else ""
    return Markup('<div class="mm-message{}" role="status">{}</div>').format(kind, paragraphs)


def caption(said: str) -> Markup:
    """Return a sentence as it stands below what it is about."""
    return Markup('<p class="mm-caption">{}</p>').format(said)


def titled(title: str, said: str) -> Markup:
    """Return the heading of one model's column, and what is said of it."""
    return Markup('<h3 class="mm-title">{}</h3>{}').format(title, caption(said))


def gauge(percent: float) -> Markup:
    """Return a bar that shows a percentile; those who do not see it read the number beside it."""
    return Markup(
        '<div class="mm-gauge" aria-hidden="true"><i style="width:{:.1f}%"></i></div>'
    ).format(percent)


def error_message(error: MMDemoError, language: Language) -> str:
    """Return an error's sentence in the page's language, where it has one.

    Whoever asks for it tells somebody: the log says that as well.
    """
    journal.note_error(error)
    return _placed(_sentence(error, language), error.places, language)


def _placed(told: str, places: Sequence[Place], language: Language) -> str:
    """Return a sentence with the names of where it belongs before it."""
    for place in reversed(places):
        told = say(language, "in_field", field=_sentence(place, language), message=told)
    return told


def _sentence(said: MMDemoError | Place, language: Language) -> str:
    """Return what an error or a place says, in English where nothing else is there."""
    sentence = ERRORS.get(said.code, {}).get(language)
    return said.message if sentence is None else sentence.format(**said.values)


def unforeseen(error: Exception, language: Language) -> str:
    """Return what is said of a fault of ours: the log has the traceback, the visitor a sentence."""
    journal.note_error(error)
    log.error("What a visitor asked for failed", exc_info=error)
    return say(language, "unexpected")


def joined(language: Language, *sentences: str) -> Markup:
    """Return sentences as one paragraph."""
    return escape(say(language, "sentence_gap")).join(sentences)


def percent_text(value: float) -> str:
    """Return a percentile without claiming more than the background set can tell.

    >>> percent_text(100.0), percent_text(99.42), percent_text(42.4)
    ('99.9 %', '99.4 %', '42 %')
    """
    inside = min(max(value, 0.1), 99.9)
    return f"{inside:.1f} %" if inside > 99 or inside < 1 else f"{inside:.0f} %"


def signed(change: float) -> str:
    """Return a change with its sign: a true minus, and no sign for nothing."""
    rounded = f"{abs(change):.3f}"
    if float(rounded) == 0.0:
        return "±0"
    return ("+" if change > 0 else "−") + rounded


def shortened(text: str) -> str:
    """Return a visitor's text, cut to what a sentence can hold."""
    flat = " ".join(text.split())
    return flat if len(flat) <= 60 else flat[:59] + "…"


def note_sentence(note: Note, language: Language) -> str:
    """Return what a note says; languages by their names."""
    values = {name: str(value) for name, value in note.values.items()}
    if codes := values.get("languages"):
        names = [say(language, f"language_{code}") for code in codes.split(",")]
        values["languages"] = say(language, "and").join(names)
    return _placed(say(language, f"note_{note.code}", **values), note.places, language)
