"""Tokenizers that cut by themselves: as one would cut what a whole text has, and counted whole."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer
from transformers import AutoTokenizer

from mmdemo.assets import ASSETS
from mmdemo.encoders.parts.tokens import FastTokenizer, padded
from tests.conftest import TINY

FOLDERS = {"mini": ASSETS / "mini", "bert": TINY, "xlmr": TINY.parent / "xlmr-bge-m3"}
TEXTS = [
    "",
    "a",
    "a red car",
    "蓝鲸以磷虾为食",
    "the dog near the river " * 9,
    "x" * 500,
    "\n 🐋 </s>",
]


def loaded(folder: Path) -> Tokenizer:
    if folder == FOLDERS["mini"]:
        return Tokenizer.from_file(str(folder / "tokenizer.json"))
    fast = AutoTokenizer.from_pretrained(folder).backend_tokenizer
    assert isinstance(fast, Tokenizer)
    return fast


@pytest.mark.parametrize("folder", FOLDERS.values(), ids=FOLDERS)
@pytest.mark.parametrize("longest", [2, 3, 7, 16, 1000])
def test_a_cut_keeps_the_first_words_and_the_frame(folder: Path, longest: int) -> None:
    whole = loaded(folder)
    whole.no_truncation()
    whole.no_padding()
    tokenizer = FastTokenizer(loaded(folder), longest)
    fewer = max(2, longest - 1)
    for text in TEXTS:
        ids = whole.encode(text).ids
        for wanted, most in ((None, longest), (fewer, fewer)):
            expected = ids if len(ids) <= most else [*ids[: most - 1], ids[-1]]
            assert tokenizer.ids([text, "b"], wanted)[0] == expected
            usage = tokenizer.usage(text, wanted)
            assert (usage.used, usage.total) == (len(expected), len(ids))
        pieces = tokenizer.pieces(text)
        assert [number for *_, number in pieces] == tokenizer.ids([text])[0]
        for _, start, end, _ in pieces[1:-1]:
            assert 0 <= start <= end <= len(text)
        assert pieces[-1][1:3] == (0, 0)


def test_threads_do_not_disturb_each_other() -> None:
    tokenizer = FastTokenizer(loaded(FOLDERS["mini"]), 16)
    expected = [(tokenizer.ids([text], 5), tokenizer.usage(text)) for text in TEXTS]
    with ThreadPoolExecutor(8) as threads:
        for _ in range(20):
            found = threads.map(lambda t: (tokenizer.ids([t], 5), tokenizer.usage(t)), TEXTS)
            assert list(found) == expected


@pytest.mark.parametrize(
    ("side", "length", "ids", "mask"),
    [
        ("right", 0, [[5, 6, 7], [8, 9, 9]], [[1, 1, 1], [1, 0, 0]]),
        ("left", 0, [[5, 6, 7], [9, 9, 8]], [[1, 1, 1], [0, 0, 1]]),
        ("right", 4, [[5, 6, 7, 9], [8, 9, 9, 9]], [[1, 1, 1, 0], [1, 0, 0, 0]]),
        ("left", 4, [[9, 5, 6, 7], [9, 9, 9, 8]], [[0, 1, 1, 1], [0, 0, 0, 1]]),
    ],
)
def test_a_batch_is_filled_up_on_one_side(
    side: str, length: int, ids: list[list[int]], mask: list[list[int]]
) -> None:
    found, there = padded([[5, 6, 7], (8,)], 9, length=length, side=side)  # pyright: ignore[reportArgumentType]
    assert (found.dtype, there.dtype) == (torch.int64, torch.bool)
    assert found.tolist() == ids
    assert there.long().tolist() == mask


def test_a_text_without_a_token_is_filling_alone() -> None:
    ids, mask = padded([[]], 1, length=1)
    assert (ids.tolist(), mask.tolist()) == ([[1]], [[False]])
