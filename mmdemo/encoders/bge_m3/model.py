"""BGE-M3: one XLM-R that makes of a text a vector, lexical weights, and a vector for each token.

Chen et al. 2024 (arXiv 2402.03216). The tower's last states go three ways, as in FlagEmbedding's
`BGEM3FlagModel`:

* dense: the first state, that of [CLS], at unit length;
* sparse: `relu(sparse_linear(state))` of each token is its weight. A token that occurs more often
  keeps its largest weight; the special tokens (first, last, padding, unknown) have none;
* multi-vector: `colbert_linear(state)` of each token but the first, at unit length. The last one,
  </s>, stays: the reference keeps it too, and it leaves an empty text with one row.

The pooler of the checkpoint is never called. A text has up to 8192 tokens; attention never lays out
a matrix of all tokens by all tokens.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from transformers import XLMRobertaConfig, XLMRobertaModel

from mmdemo.encoders.base import Model, Tell, Tokens
from mmdemo.encoders.bge_m3 import MULTI_VECTOR_HEAD, SPARSE_HEAD
from mmdemo.encoders.parts import text_tower
from mmdemo.encoders.parts.checkpoint import (
    check_filled,
    fill,
    fill_counters,
    read_checkpoint,
    read_weights,
)
from mmdemo.encoders.parts.saved_files import read_json
from mmdemo.encoders.parts.text_tower import FastPass, Tokenizer
from mmdemo.errors import ModelError
from mmdemo.types import SparseEmbedding, TextEncoding, Token, TokenUsage

_DROPPED = (
    (r"pooler\..+", "an embedding is the first state itself, the pooler is never called"),
    (r"embeddings\.(position|token_type)_ids", "counters that older transformers saved"),
)
"""Official keys that have no place here, as regular expressions, each with its reason."""


class BGEM3(FastPass, Model):
    """BGE-M3, or a model of the same layout and other sizes. Reads texts alone."""

    modalities = frozenset({"text"})
    representations = frozenset({"dense", "sparse", "multi_vector"})
    fusion = "none"
    languages = ("multilingual",)
    logit_scale = 50.0  # 1 / 0.02, the temperature of its training (section 4.1 of the paper)
    reads_documents = True
    whole_pass = True

    def __init__(self, name: str, folder: Path) -> None:
        """Load the weights; their bytes are read from disk at the first text.

        Args:
            name: the name in the catalogue.
            folder: has `config.json`, tokenizer files, `pytorch_model.bin` or `model.safetensors`,
                `sparse_linear.pt` and `colbert_linear.pt`, as BAAI/bge-m3 has them.

        Raises:
            ModelError: a file is missing, of another architecture, or damaged.
        """
        self.name = name
        self._network = _load(folder)
        self._config = self._network.text.config
        longest = text_tower.longest_text(self._config, counts_from_pad=True)
        self._tokenizer = Tokenizer(folder, self._config, longest)
        self.dim = self._config.hidden_size

    def networks(self) -> list[nn.Module]:
        """Return the one network."""
        return [self._network]

    multiplying = networks

    def read_texts(self, texts: Sequence[str], *, beside: bool = False) -> list[list[int]]:
        """Return the tokens of texts, cut to the maximum."""
        return self._tokenizer.ids(texts)

    def token_usage(self, text: str, *, with_image: bool = False) -> TokenUsage:
        """Say how much of a text is read."""
        return self._tokenizer.usage(text)

    def tokens(self, text: str) -> list[Token]:
        """Return what the model reads of a text; every token but the first has a row."""
        pieces = self._tokenizer.pieces(text)
        return [
            Token(*piece, row=index - 1 if index else None) for index, piece in enumerate(pieces)
        ]

    def text_vectors(self, texts: Sequence[Tokens]) -> NDArray[np.float32]:
        """Return [n, dim], of the same pass as the rest."""
        return np.stack([one.dense for one in self.text_encodings(texts, lambda share: None)])

    def text_encodings(self, texts: Sequence[Tokens], tell: Tell) -> list[TextEncoding]:
        """Return dense vectors, lexical weights and a vector a token."""
        with self._fast_pass(self._config):
            words = self._tokenizer.padded(texts, self.device)
            dense, weights, matrix = (part.cpu().numpy() for part in self._network(*words, tell))
        return [
            TextEncoding(
                dense=dense[index],
                sparse=_kept(row, weights[index, : len(row)], self._tokenizer.unused),
                multi_vector=matrix[index, : len(row) - 1],
            )
            for index, row in enumerate(texts)
        ]


class _Network(nn.Module):
    """The tower and its two heads; knows tensors, not texts."""

    def __init__(self, config: Mapping[str, Any], rows: int) -> None:
        super().__init__()
        self.text = text_tower.build(config, XLMRobertaConfig, XLMRobertaModel)
        hidden = self.text.config.hidden_size
        self.sparse = nn.Linear(hidden, 1)
        self.multi_vector = nn.Linear(hidden, rows)

    def forward(
        self, ids: torch.Tensor, mask: torch.Tensor, tell: Tell
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Run n texts.

        Args:
            ids: [n, length], padded on the right.
            mask: bool [n, length].
            tell: told after each layer.

        Returns:
            First states [n, hidden], token weights [n, length], and token vectors without the
            first token's [n, length - 1, rows]; of any length, padding not removed.
        """
        states = self.text.embeddings(input_ids=ids, token_type_ids=torch.zeros_like(ids))
        states = text_tower.run_layers(self.text.encoder, states, mask, step=tell)
        weights = torch.relu(self.sparse(states)).squeeze(-1)
        return states[:, 0], weights, self.multi_vector(states[:, 1:])


def _kept(
    ids: Sequence[int], weights: NDArray[np.float32], unused: frozenset[int]
) -> SparseEmbedding:
    """Return the largest weight of each token that has one; special tokens have none."""
    largest: dict[int, float] = {}
    for number, weight in zip(ids, weights.tolist(), strict=True):
        if number not in unused and weight > largest.get(number, 0.0):
            largest[number] = weight
    indices = sorted(largest)
    return SparseEmbedding(
        indices=np.array(indices, dtype=np.int64),
        values=np.array([largest[number] for number in indices], dtype=np.float32),
    )


# Loading.


def _load(folder: Path) -> _Network:
    """Build the network without memory and fill it from the files."""
    config = read_json(folder, "config.json")
    if config.get("model_type") != "xlm-roberta":
        raise ModelError(
            f"The config.json names the text encoder '{str(config.get('model_type'))[:40]}'; a "
            "BGE-M3 has an xlm-roberta.",
            "other_text_encoder",
            kind=str(config.get("model_type"))[:40],
            known="xlm-roberta",
        )
    heads = {
        "sparse": _head(folder, SPARSE_HEAD),
        "multi_vector": _head(folder, MULTI_VECTOR_HEAD),
    }
    tower = read_weights(folder)
    with torch.device("meta"):
        network = _Network(config, len(heads["multi_vector"]["weight"]))
    fill(network.text, _ours(tower.tensors), tower.name)
    fill(network.sparse, heads["sparse"], SPARSE_HEAD)
    fill(network.multi_vector, heads["multi_vector"], MULTI_VECTOR_HEAD)
    fill_counters(network.text.embeddings, network.text.config.max_position_embeddings)
    check_filled(network)
    return network.eval()


def _head(folder: Path, name: str) -> dict[str, torch.Tensor]:
    """Read the linear layer of one head."""
    weights = read_checkpoint(folder / name)
    if set(weights) != {"weight", "bias"} or weights["weight"].ndim != 2:
        raise ModelError(
            f"{name} is no linear layer: it takes a matrix 'weight' and a 'bias'. Fetch it again "
            "from where it was published.",
            "no_linear_layer",
            file=name,
        )
    return weights


def _ours(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the tower's tensors by transformers' names for the bare tower."""
    # A tower that was saved with a head of transformers has a prefix.
    bare = {key.removeprefix("roberta."): tensor for key, tensor in weights.items()}
    return {
        key: tensor
        for key, tensor in bare.items()
        if not any(re.fullmatch(pattern, key) for pattern, _ in _DROPPED)
    }
