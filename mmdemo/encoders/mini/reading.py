"""How `mini` reads what its vocabulary has no token for, though it knows what is meant.

WordPiece makes one unknown token of a whole word in which a single character is unknown: of 藍鯨,
of "bee🐝", of ＢＥＥ. So traditional characters are read as simplified ones, and letters of another
width or shape as plain ones (Unicode's NFKC); what is unknown then stands alone, and its neighbours
are read. A text without any of these is read as it always was.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

from mmdemo.encoders.parts.tokens import FastTokenizer, Written
from mmdemo.signs import is_blank

_LONGEST_WORD = 900  # the tokenizer takes a longer one than 1,000 for unknown
_UNKNOWN = "[UNK]"

TRADITIONAL = "traditional.tsv"
"""A file beside the tokenizer: a traditional character and its simplified form a line."""


class MiniTokenizer(FastTokenizer):
    """`mini`'s tokenizer, which knows what some characters stand for."""

    def __init__(self, tokenizer: Any, longest: int, folder: Path) -> None:
        """Take a tokenizer over.

        Args:
            tokenizer: a `tokenizers.Tokenizer`; nobody else may use it.
            longest: most tokens of a text, special ones included.
            folder: may have a table of traditional characters.
        """
        super().__init__(tokenizer, longest, tokenizer.token_to_id(_UNKNOWN))
        self._plain = _Plain(read_table(folder / TRADITIONAL))

    def written(self, text: str) -> Written:
        """Return a text as its characters are meant; what is unknown stands alone."""
        if text.isascii() and len(text) <= _LONGEST_WORD:
            return Written(text)
        signs = [
            (sign, place) for place, typed in enumerate(text) for sign in self._plain[ord(typed)]
        ]
        spans = list(self._unknown_spans("".join(sign for sign, _ in signs)))
        for start, end in reversed(spans):
            signs[start:end] = self._parted(signs[start:end])
        written = "".join(sign for sign, _ in signs)
        return Written(written, [place for _, place in signs]) if written != text else Written(text)

    def _unknown_spans(self, text: str) -> Iterator[tuple[int, int]]:
        found = self._tokenizer.encode(text)
        for part in (found, *found.overflowing):
            for number, span in zip(part.ids, part.offsets, strict=True):
                if number == self._unknown:
                    yield span

    def _parted(self, signs: list[tuple[str, int]]) -> list[tuple[str, int]]:
        """Return an unknown word with spaces around what is unknown in it."""
        plain = [
            (" " if is_blank(sign) else sign, place)
            for typed, place in signs
            for sign in unicodedata.normalize("NFKC", typed)
        ]
        parted: list[tuple[str, int]] = []
        for _, run in groupby(plain, lambda sign: self._knows(sign[0])):
            own = list(run)
            for first in range(0, len(own), _LONGEST_WORD):
                parted += [(" ", own[first][1]), *own[first : first + _LONGEST_WORD]]
        return [*parted, (" ", signs[-1][1])]

    def _knows(self, sign: str) -> bool:
        plain = self._tokenizer.normalizer.normalize_str(sign)
        known = self._tokenizer.token_to_id
        return all(known(one) is not None or known(f"##{one}") is not None for one in plain)


class _Plain(dict[int, str]):
    """What stands in the place of a character, by its code point; found out when it is asked for.

    Only what is another character in another width, a ligature, or a double of an ideograph. Others
    that NFKC takes apart, such as ² and ℝ, have tokens of their own.
    """

    def __missing__(self, code: int) -> str:
        sign = chr(code)
        of_width = unicodedata.decomposition(sign).startswith(("<wide>", "<narrow>"))
        another = (of_width and sign.isalnum()) or any(code in some for some in _DOUBLES)
        self[code] = unicodedata.normalize("NFKC", sign) if another else sign
        return self[code]


_DOUBLES = (range(0xFB00, 0xFB07), range(0xF900, 0xFB00), range(0x2F00, 0x2FE0))
"""Latin ligatures, compatibility ideographs, Kangxi radicals."""


def read_table(path: Path) -> dict[int, str]:
    """Return simplified characters by the code points of traditional ones; none without a file."""
    if not path.is_file():
        return {}
    lines = path.read_text(encoding="utf-8").splitlines()
    rows = [line.split("\t") for line in lines if line and not line.startswith("#")]
    return {ord(traditional): simplified for traditional, simplified in rows}
