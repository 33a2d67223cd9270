"""A small random BGE-M3 in the layout of the official files, made on the spot."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import XLMRobertaConfig, XLMRobertaModel

from tests.conftest import TINY

TOKENIZER = TINY.parent / "xlmr-bge-m3"

CONFIG: dict[str, Any] = {
    "vocab_size": 160,
    "hidden_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 96,
    "max_position_embeddings": 66,  # 64 tokens: XLM-R counts from 2
    "type_vocab_size": 1,
    "pad_token_id": 1,
    "bos_token_id": 0,
    "eos_token_id": 2,
    "layer_norm_eps": 1e-5,
    # Wider than usual, so that random states differ enough for a mistake to show.
    "initializer_range": 0.3,
}


def save(folder: Path, *, safetensors: bool = False, **changes: Any) -> Path:
    """Write a model into a new folder, and return the folder.

    Args:
        folder: where to.
        safetensors: the tower as transformers writes it; else as `pytorch_model.bin`, like the
            official repository.
        changes: of `CONFIG`.
    """
    torch.manual_seed(0)
    folder.mkdir(parents=True)
    tower = XLMRobertaModel(XLMRobertaConfig(**(CONFIG | changes)))
    for layer in tower.modules():  # else all biases would be 0
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.bias, std=0.1)
    tower.save_pretrained(folder)
    if not safetensors:
        (folder / "model.safetensors").unlink()
        torch.save(tower.state_dict(), folder / "pytorch_model.bin")
    hidden = tower.config.hidden_size
    torch.save(nn.Linear(hidden, 1).state_dict(), folder / "sparse_linear.pt")
    torch.save(nn.Linear(hidden, hidden).state_dict(), folder / "colbert_linear.pt")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(TOKENIZER / name, folder)
    return folder
