"""Texts in the cells of a table that a spreadsheet opens."""

from __future__ import annotations

import unicodedata

from mmdemo.signs import is_blank

_BEGINS = "=+-@"
"""What a formula begins with; spreadsheets of East Asia take the full-width signs for these."""

_WRAPPED = "\"'`‘’“”«»"
"""Quotes that a spreadsheet may take off, or a person, before a cell is read."""


def cell_text(text: str) -> str:
    r"""Return a text that a spreadsheet does not take for a formula: it begins with an apostrophe.

    Neither where spaces, quotes, or signs that nobody sees stand before. Numbers are not for here.

    >>> cell_text("=1+1"), cell_text("\u200b＝1+1"), cell_text("a = b")
    ("'=1+1", "'\u200b＝1+1", 'a = b')
    """
    if text.startswith(("\t", "\r", "\n")):  # these begin one themselves
        return f"'{text}"
    start = next((sign for sign in text if not _is_before(sign)), "")
    # −, ﹣ and others that are drawn the same are read as such by some.
    dashes = unicodedata.category(start or " ") == "Pd" or start == "\u2212"
    risky = unicodedata.normalize("NFKC", start) in tuple(_BEGINS) or dashes
    return f"'{text}" if start and risky else text


def _is_before(sign: str) -> bool:
    """Return whether a sign may stand before a formula without a change to how it is read."""
    return unicodedata.category(sign)[0] in "CZM" or is_blank(sign) or sign in _WRAPPED
