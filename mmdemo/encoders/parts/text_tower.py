"""BERT and XLM-R as the BGE models run them: transformers' weights, layers of our own.

transformers builds the modules and their names; the layers are run here, so that only what is read
is computed, attention takes memory in proportion to the length of a text and not to its square, and
whoever waits for a long text learns how far it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional as F

from mmdemo.encoders.base import Tell, Tokens
from mmdemo.encoders.parts.bounds import check_sizes
from mmdemo.encoders.parts.linear import Kernel, fastest_kernel, multiplying, pack
from mmdemo.encoders.parts.tokens import FastTokenizer, padded
from mmdemo.encoders.parts.vocabulary import load_tokenizer
from mmdemo.errors import ModelError

TOKENS_AT_ONCE = 16_384
"""Padded tokens in one pass: the widest activation of a base model then has 200 MB."""


# Layers.


def run_layers(
    encoder: Any,
    states: torch.Tensor,
    mask: torch.Tensor,
    count: int | None = None,
    step: Tell | None = None,
) -> torch.Tensor:
    """Run all layers.

    Args:
        encoder: of transformers' BERT or XLM-R.
        states: [n, length, hidden], of the embeddings.
        mask: bool [n, length], False for padding.
        count: how many states of the last layer are read; by default all.
        step: told after each layer.

    Returns:
        [n, count, hidden].
    """
    # One mask for all heads and queries; none where nothing is padded.
    keys = None if mask.all() else mask[:, None, None, :]
    *layers, last = encoder.layer
    for index, layer in enumerate(layers):
        states = _layer(layer, states, keys, states.shape[1])
        if step is not None:
            step((index + 1) / (len(layers) + 1))
    # Of the last layer, only what is read is computed.
    return _layer(last, states, keys, count or states.shape[1])


def _layer(layer: Any, states: torch.Tensor, keys: torch.Tensor | None, count: int) -> torch.Tensor:
    """Run a layer of BERT or XLM-R for the first `count` states, which attend to all `keys`."""
    attention = layer.attention.self

    def heads(values: torch.Tensor) -> torch.Tensor:
        return values.unflatten(-1, (attention.num_attention_heads, -1)).transpose(1, 2)

    asking = states[:, :count]
    context = F.scaled_dot_product_attention(
        heads(attention.query(asking)),
        heads(attention.key(states)),
        heads(attention.value(states)),
        attn_mask=keys,
    )
    context = context.transpose(1, 2).flatten(2)  # [n, count, hidden]
    return layer.feed_forward_chunk(layer.attention.output(context, asking))


class FastPass:
    """Part of a model: runs its networks with the fastest matrix multiplication.

    Attributes:
        device: where they are.
        _kernel: None until the first pass, because a packed layer reads its weights.
    """

    device: str
    _kernel: Kernel | None = None

    def multiplying(self) -> Sequence[Any]:
        """Return the networks whose linear layers may be packed."""
        raise NotImplementedError

    @contextmanager
    def _fast_pass(self, config: Any) -> Iterator[None]:
        """Run what is inside without gradients and with the fastest matrix multiplication.

        Args:
            config: of the text tower, whose layers are typical of the network.
        """
        if self._kernel is None:
            self._kernel = "plain"  # what the others are faster than, on a processor
            if self.device == "cpu":
                self._kernel = fastest_kernel(config.hidden_size, config.intermediate_size)
            if self._kernel == "packed":
                for network in self.multiplying():
                    pack(network)
        with torch.inference_mode(), multiplying(self._kernel):
            yield


# Tokens.


class Tokenizer(FastTokenizer):
    """The tokenizer of a text tower, from the files of its folder.

    Attributes:
        unused: ids of the tokens that stand for no word: first, last, padding, unknown.
    """

    def __init__(self, folder: Path, config: Any, longest: int) -> None:
        """Load it.

        Args:
            folder: with the tokenizer's files.
            config: of the text tower that reads the ids.
            longest: most tokens of a text, special ones included.

        Raises:
            ModelError: files are missing or damaged, or of another model.
        """
        loaded = load_tokenizer(folder, config)
        # The fast tokenizer itself: what is around it changes shared settings on every call.
        super().__init__(loaded.backend_tokenizer, longest, loaded.unk_token_id)
        special = (
            loaded.cls_token_id,
            loaded.eos_token_id,
            loaded.pad_token_id,
            loaded.unk_token_id,
        )
        self.unused = frozenset(number for number in special if number is not None)
        self._pad = config.pad_token_id
        if config.model_type == "xlm-roberta" and loaded.pad_token_id not in (None, self._pad):
            raise ModelError(
                f"The tokenizer in '{folder.name}' fills up with token {loaded.pad_token_id}, the "
                f"config.json with {self._pad} (pad_token_id), from which positions are counted: "
                "they belong to different models.",
                "tokenizer_pad",
                name=folder.name,
                value=loaded.pad_token_id,
                known=self._pad,
            )

    def padded(
        self, rows: Sequence[Tokens], device: str = "cpu"
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return ids and a bool mask, both [n, longest], padded on the right."""
        return padded(rows, self._pad, device=device)


# Configuration.


def build(config: Mapping[str, Any], kind: Any, model: Any) -> Any:
    """Build transformers' BERT or XLM-R without the pooler.

    Args:
        config: of its `config.json`.
        kind: transformers' class for that configuration.
        model: transformers' class for the model.

    Raises:
        ModelError: the configuration describes no such model.
    """
    check_sizes(config)
    try:
        known = kind.from_dict(dict(config))
        # transformers builds with a padding below 0 too, and fails at the first text.
        if not 0 <= known.pad_token_id < min(known.vocab_size, known.max_position_embeddings - 2):
            raise ValueError("no position is left for a text")
        # Not the file's to say: it could name code that is then fetched and run.
        known._attn_implementation = "sdpa"
        return model(known, add_pooling_layer=False)
    except Exception as error:  # transformers checks a configuration in many ways
        raise ModelError(
            "The config.json describes no text encoder that can be built. Fetch it again from "
            "where it was published.",
            "no_text_encoder",
        ) from error


def longest_text(config: Any, *, counts_from_pad: bool) -> int:
    """Return the most tokens of a text, special ones included, by the positions there are.

    Args:
        config: of the text tower.
        counts_from_pad: XLM-R's positions start behind that of the padding, BERT's at 0.
    """
    return config.max_position_embeddings - (config.pad_token_id + 1 if counts_from_pad else 0)
