"""Texts as the numbers of their tokens: cut to what a model reads, counted whole, in batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from mmdemo.encoders.base import Tokens
from mmdemo.types import TokenUsage


class FastTokenizer:
    """A tokenizer of the library `tokenizers`, which cuts by itself. Safe to use from many threads.

    How to cut is a setting that all its callers share, so it is made once. What was cut off is told
    as well, which a second tokenizer that leaves texts whole would only repeat: one of 250,000
    tokens takes 700 MB.
    """

    def __init__(self, tokenizer: Any, longest: int) -> None:
        """Take a tokenizer over.

        Args:
            tokenizer: a `tokenizers.Tokenizer`; nobody else may use it.
            longest: most tokens of a text, special ones included.
        """
        tokenizer.no_padding()
        tokenizer.enable_truncation(longest)
        self._tokenizer = tokenizer
        self._frame = tokenizer.num_special_tokens_to_add(is_pair=False)

    def ids(self, texts: Sequence[str], longest: int | None = None) -> list[list[int]]:
        """Return the ids of each text, special tokens included; a cut keeps those at the end.

        Args:
            texts: n of them.
            longest: fewer tokens than usual, where something else takes room away.
        """
        rows = [found.ids for found in self._tokenizer.encode_batch(list(texts))]
        if longest is None:
            return rows
        return [r if len(r) <= longest else [*r[: longest - 1], r[-1]] for r in rows]

    def usage(self, text: str, longest: int | None = None) -> TokenUsage:
        """Say how much of a text is read; arguments as of `ids`."""
        found = self._tokenizer.encode(text)
        # The library frames each piece that it cuts off as if it were a text.
        total = len(found) + sum(len(rest) - self._frame for rest in found.overflowing)
        return TokenUsage(used=min(len(found), longest or total), total=total)

    def pieces(self, text: str) -> list[tuple[str, int, int, int]]:
        """Return each token that is read, special ones included: as written, start, end, id.

        Start and end are in characters of the text; both are 0 for the tokens that frame it.
        """
        found = self._tokenizer.encode(text)
        spans = zip(found.tokens, found.offsets, found.ids, strict=True)
        return [(token, start, end, number) for token, (start, end), number in spans]


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
