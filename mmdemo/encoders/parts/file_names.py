"""What the files of a model are called, where several families agree on it."""

from __future__ import annotations

import re

CHECKPOINTS = (".safetensors", ".pth", ".bin")
"""Endings of a file with weights, the better one first: safetensors cannot hold code."""

WHOLE_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
"""What transformers calls a file with all weights, the better one first."""

INDEX = ".index.json"
"""Ending of the file that says which of several parts has a weight."""

WEIGHTS = tuple(name for whole in WHOLE_WEIGHTS for name in (whole, whole + INDEX))
"""Where transformers looks for weights, in this order."""

TEXT_ENCODER = ("config.json", "tokenizer.json", "tokenizer_config.json")
"""Configuration and tokenizer of a text encoder, without its weights."""

SETTINGS = ("config.json", "preprocessor_config.json", "tokenizer_config.json")
"""What transformers saves of a model with its processor, without vocabulary and weights.

A repository may hold the weights in several formats; a `ModelSpec` takes safetensors where they are
certain to be there.
"""

READER_FILES = (
    "preprocessor_config.json",
    "processor_config.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "tokenizer.json",
    "vocab.json",
    "merges.txt",
    "vocab.txt",
    "spiece.model",
    "sentencepiece.bpe.model",
    "tokenizer.model",
)
"""What a library of transformers reads texts and pictures by, as far as it is there."""

QUANTISED = ("quantize_config.json", "quant_config.json")
"""Configurations that tools leave beside the weights that they have made integers of."""

ADAPTER_CONFIG = "adapter_config.json"
ADAPTERS = (ADAPTER_CONFIG, "adapter_model.safetensors", "adapter_model.bin")
"""What PEFT saves: changes to the weights of a model that is elsewhere."""

MODULES = "modules.json"
"""What sentence-transformers calls the list of a model's steps and their folders."""


def is_part(name: str) -> bool:
    """Say whether a file is called like one of the parts of a checkpoint.

    >>> is_part("model-00001-of-00002.safetensors"), is_part("model.safetensors")
    (True, False)
    """
    return re.fullmatch(r"[\w.-]+-\d+-of-\d+\.(safetensors|bin)", name) is not None
