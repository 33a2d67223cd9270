"""Texts as the numbers of their tokens: cut to what a model reads, counted whole, in batches."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any, Literal, NamedTuple

import torch
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from mmdemo.encoders.base import Tokens
from mmdemo.types import TokenUsage

_WORDS_TOLD = 8
_LETTERS_TOLD = 20  # of each


class Written(NamedTuple):
    """A text as it goes to a tokenizer, where that is not what was typed.

    Attributes:
        text: what goes there.
        where: for each of its characters, that which it comes from; None where it is the same text.
    """

    text: str
    where: Sequence[int] | None = None

    def typed(self, start: int, end: int) -> tuple[int, int]:
        """Return start and end in what was typed, of a part of the text."""
        if self.where is None or start >= end:
            return start, end
        return self.where[start], self.where[end - 1] + 1


class Piece(NamedTuple):
    """A token that stands for something typed.

    Attributes:
        id: its number.
        start: where it begins in the text, in characters.
        end: where it ends.
    """

    id: int
    start: int
    end: int


def usage_of(
    text: str, pieces: Iterable[Piece], unknown: int | None, used: int, total: int
) -> TokenUsage:
    """Say how much of a text is read, and what of it is not known.

    Args:
        text: as it was typed.
        pieces: those of its tokens that are read, without the special ones.
        unknown: the number that stands for whatever is not known; None where nothing is.
        used: tokens that are read, special ones included.
        total: that the whole text has.
    """
    read = list(pieces)
    words = [" ".join(text[one.start : one.end].split()) for one in read if one.id == unknown]
    cut = [f"{w[:_LETTERS_TOLD]}…" if len(w) > _LETTERS_TOLD else w for w in words if w]
    return TokenUsage(
        used=used,
        total=total,
        unknown=len(words),
        unknown_words=tuple(dict.fromkeys(cut))[:_WORDS_TOLD],
        known=any(
            one.id != unknown and (not words or _has_letters(text[one.start : one.end]))
            for one in read
        ),
    )


def _has_letters(part: str) -> bool:
    # Beside unknown words, commas alone are nothing that a number could rest on.
    return any(unicodedata.category(sign)[0] in "LN" for sign in part)


class FastTokenizer:
    """A tokenizer of the library `tokenizers`, which cuts by itself. Safe to use from many threads.

    How to cut is a setting that all its callers share, so it is made once. What was cut off is told
    as well, which a second tokenizer that leaves texts whole would only repeat: one of 250,000
    tokens takes 700 MB.
    """

    def __init__(self, tokenizer: Any, longest: int, unknown: int | None = None) -> None:
        """Take a tokenizer over.

        Args:
            tokenizer: a `tokenizers.Tokenizer`; nobody else may use it.
            longest: most tokens of a text, special ones included.
            unknown: the number that stands for whatever it does not know.
        """
        tokenizer.no_padding()
        tokenizer.enable_truncation(longest)
        self._tokenizer = tokenizer
        self._frame = tokenizer.num_special_tokens_to_add(is_pair=False)
        self._unknown = unknown

    def written(self, text: str) -> Written:
        """Return a text as it goes to the tokenizer: as it was typed, unless a model knows more."""
        return Written(text)

    def ids(self, texts: Sequence[str], longest: int | None = None) -> list[list[int]]:
        """Return the ids of each text, special tokens included; a cut keeps those at the end.

        Args:
            texts: n of them.
            longest: fewer tokens than usual, where something else takes room away.
        """
        given = [self.written(text).text for text in texts]
        rows = [found.ids for found in self._tokenizer.encode_batch(given)]
        if longest is None:
            return rows
        return [r if len(r) <= longest else [*r[: longest - 1], r[-1]] for r in rows]

    def usage(self, text: str, longest: int | None = None) -> TokenUsage:
        """Say how much of a text is read, and what of it is known; arguments as of `ids`."""
        written = self.written(text)
        found = self._tokenizer.encode(written.text)
        # The library frames each piece that it cuts off as if it were a text.
        total = len(found) + sum(len(rest) - self._frame for rest in found.overflowing)
        used = min(len(found), longest or total)
        return usage_of(text, typed_pieces(written, found, used), self._unknown, used, total)

    def pieces(self, text: str) -> list[tuple[str, int, int, int]]:
        """Return each token that is read, special ones included: as written, start, end, id.

        Start and end are in characters of the text; both are 0 for the tokens that frame it.
        """
        written = self.written(text)
        found = self._tokenizer.encode(written.text)
        spans = zip(found.tokens, found.offsets, found.ids, strict=True)
        return [(token, *written.typed(*span), number) for token, span, number in spans]


def typed_pieces(written: Written, found: Any, used: int) -> list[Piece]:
    """Return what a `tokenizers.Encoding` has read, without the tokens that frame it.

    Args:
        written: what was encoded.
        found: what came of it.
        used: how many of its tokens are read.
    """
    # What is cut off goes before the token at the end, which is of the frame.
    rows = zip(found.ids, found.offsets, found.special_tokens_mask, strict=True)
    cut = max(len(found) - used, 0)
    own = [Piece(number, *written.typed(*span)) for number, span, framing in rows if not framing]
    return own[: len(own) - cut]


def padded(
    rows: Sequence[Tokens],
    pad: int,
    *,
    length: int = 0,
    side: Literal["left", "right"] = "right",
    device: str = "cpu",
) -> tuple[torch.Tensor, torch.Tensor]:
    """Put texts into a batch.

    They were read one by one, for several callers perhaps, so no tokenizer can do that.

    Args:
        rows: n texts.
        pad: what fills up the shorter ones.
        length: that of the batch, where it is more than that of the longest text.
        side: where to fill up.
        device: where to.

    Returns:
        Ids int64 [n, length], and a bool mask of the same shape, False for what only fills up.
    """
    texts = [torch.tensor(row, dtype=torch.long) for row in rows]
    ids = pad_sequence(texts, batch_first=True, padding_value=pad, padding_side=side)
    there = [torch.ones_like(text, dtype=torch.bool) for text in texts]
    mask = pad_sequence(there, batch_first=True, padding_side=side)
    more = max(length - ids.shape[1], 0)
    around = (more, 0) if side == "left" else (0, more)
    return F.pad(ids, around, value=pad).to(device), F.pad(mask, around).to(device)
