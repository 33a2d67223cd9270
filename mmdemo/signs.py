"""What of a text can be seen: characters that show nothing, and texts that only they tell apart."""

from __future__ import annotations

import unicodedata

_BLANK = frozenset("\u115f\u1160\u2800\u3164\uffa0")
"""Letters and patterns that are drawn as a space: fillers of Hangul, the empty Braille cell."""

_JOINERS = frozenset("\u200c\u200d")
"""They show nothing and change what is beside them, in emoji and in Persian."""

_MARKS_ALONE = frozenset("\u034f\u17b4\u17b5")  # combining, and drawn by nobody


def is_blank(sign: str) -> bool:
    """Return whether a character is drawn as a space, white space included."""
    return sign.isspace() or sign in _BLANK


def has_visible(text: str) -> bool:
    r"""Return whether somebody who looks at a text sees anything.

    Spaces, signs of no width and control characters are not seen, nor are accents without a letter.

    >>> has_visible("\u200b\ufeff"), has_visible(".")
    (False, True)
    """
    return any(_is_visible(sign) for sign in text)


def as_seen(text: str) -> str:
    r"""Return a text without what nobody sees, its accented letters in one form (Unicode's NFC).

    What joins emoji or letters stays, and so do the variants that a selector chooses.

    >>> as_seen("\ufeffbe\u200be"), as_seen("e\u0301") == "\u00e9"
    ('bee', True)
    """
    kept: list[str] = []
    for sign in unicodedata.normalize("NFC", text):
        if is_blank(sign):
            kept.append(" ")
        elif not _is_hidden(sign) or (kept and _changes(sign, kept[-1])):
            kept.append(sign)
    return " ".join("".join(kept).rstrip("\u200c\u200d").split())


def _is_visible(sign: str) -> bool:
    kind = unicodedata.category(sign)
    if kind[0] == "C":
        return kind in ("Co", "Cn") and not _is_tag(sign)  # a box, or what a font has there
    return kind[0] not in "ZM" and sign not in _BLANK


def _is_hidden(sign: str) -> bool:
    return (
        unicodedata.category(sign) in ("Cc", "Cf")
        or sign in _MARKS_ALONE
        or _is_selector(sign)
        or _is_tag(sign)
    )


def _changes(sign: str, before: str) -> bool:
    """Return whether a hidden sign changes how the one before it is drawn, or read with the next.

    Tags spell the name of a flag behind a black one.
    """
    if is_blank(before):
        return False
    return sign in _JOINERS or _is_selector(sign) or (_is_tag(sign) and before >= "\U0001f3f4")


def _is_selector(sign: str) -> bool:
    return "\ufe00" <= sign <= "\ufe0f" or "\U000e0100" <= sign <= "\U000e01ef"


def _is_tag(sign: str) -> bool:
    return "\U000e0000" <= sign <= "\U000e007f"
