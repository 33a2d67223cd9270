"""Small pieces of markup and wording that every tab uses.

Whatever a visitor typed is escaped here, on its way into markup.
"""

from __future__ import annotations

import logging
from html import escape

from mmdemo.errors import MMDemoError, Place
from mmdemo.notes import Note
from mmdemo.ui.serving import journal
from mmdemo.ui.strings import ERRORS, Language, say

log = logging.getLogger(__name__)


def message(text: str, *, stale: bool = False, late: bool = False, again: bool = False) -> str:
    """Return a message box.

    Args:
        text: what it says, escaped.
        stale: whether the results in the tab are of an earlier input; they are dimmed.
        late: likewise, while new ones are on their way; seen only if these take longer than a
            moment, so that nothing flickers.
        again: whether a late one follows another, which may be in sight by now.
    """
    if not text:
        return ""
    kind = " stale" if stale or late else ""
    kind += (" late again" if again else " late") if late else ""
    return f'<div class="mm-message{kind}" role="status"><p>{text}</p></div>'


def error_message(error: MMDemoError, language: Language) -> str:
    """Return an error's sentence in the page's language, where it has one; not yet escaped.

    Whoever asks for it tells somebody: the log says that as well.
    """
    journal.note_error(error)
    told = _sentence(error, language)
    for place in reversed(error.places):
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


def joined(language: Language, *sentences: str) -> str:
    """Return sentences as one paragraph."""
    return say(language, "sentence_gap").join(sentences)


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
    """Return a visitor's text, cut to what a sentence can hold, escaped for markup."""
    flat = " ".join(text.split())
    return escape(flat if len(flat) <= 60 else flat[:59] + "…")


def note_sentence(note: Note, language: Language) -> str:
    """Return what a note says, escaped; languages by their names."""
    values = {name: escape(str(value)) for name, value in note.values.items()}
    if codes := values.get("languages"):
        names = [say(language, f"language_{code}") for code in codes.split(",")]
        values["languages"] = say(language, "and").join(names)
    return say(language, f"note_{note.code}", **values)
