"""What each sentence about a comparison takes a stance on: whether a picture shows the text.

Only the cosine of text and picture can tell (`python -m bench.pair_kinds`). So only sentences about
that number take one; the others measure. A sentence that is not in the table cannot be written.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from markupsafe import Markup

from mmdemo.ui.strings import Language, say_markup

Stance: TypeAlias = Literal["shows", "does not", "none"]

STANCES: dict[str, Stance] = {
    # Text and picture
    "shows_yes": "shows",
    "shows_no": "does not",
    "shows_unsure": "none",
    "shows_note": "none",
    "shows_uncalibrated": "none",
    "percentile_t2i": "none",
    "what_t2i": "none",
    # The four
    "percentile": "none",
    "percentile_it2it": "none",
    "second_text": "none",
    "means_i2i_low": "none",
    "means_i2i_even": "none",
    "means_i2i_high": "none",
    "means_i2i_top": "none",
    "means_i2it": "none",
    "means_i2it_ranked": "none",
    "means_t2it": "none",
    "means_t2it_ranked": "none",
    "leans_text": "none",
    "leans_image": "none",
    "leans_half": "none",
    "adds_more": "none",
    "adds_less": "none",
    "adds_nothing": "none",
    "what_i2i": "none",
    "what_i2it": "none",
    "what_t2it": "none",
    "what_it2it": "none",
    # Around them
    "bars_caption": "none",
    "bars_caption_two": "none",
    "bars_band": "none",
    "no_background": "none",
    "background_failed": "none",
    "note_native": "none",
    "note_averaged": "none",
    "beside_scale": "none",
    "matrix_of": "none",
    "moved": "none",
    "moved_none": "none",
    "course_other": "none",
    "course_download": "none",
    "course_choose": "none",
    "course_elsewhere": "none",
}
"""By key of `TEXT`, for every sentence about a comparison."""


def sentence(language: Language, key: str, **values: object) -> Markup:
    """Return a sentence that carries its stance; arguments as for `say_markup`."""
    said = say_markup(language, key, **values)
    return Markup('<span data-stance="{}">{}</span>').format(STANCES[key], said)
