"""What the files of a model are called, where several families agree on it."""

from __future__ import annotations

CHECKPOINTS = (".safetensors", ".pth", ".bin")
"""Endings of a file with weights, the better one first: safetensors cannot hold code."""

TEXT_ENCODER = ("config.json", "tokenizer.json", "tokenizer_config.json")
"""Configuration and tokenizer of a text encoder, without its weights."""

SETTINGS = ("config.json", "preprocessor_config.json", "tokenizer_config.json")
"""What transformers saves of a model with its processor, without vocabulary and weights.

A repository may hold the weights in several formats; a `ModelSpec` takes safetensors where they are
certain to be there.
"""
