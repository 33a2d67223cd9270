"""Formats of weights that are not read here, known by the names of files and of weights.

So that whoever hands one over learns what it is, and not only that something is missing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple


class Foreign(NamedTuple):
    """A format that is not read here.

    Attributes:
        format: its name, the same in all languages.
        seen: what it was known by: the name of a file or of a weight.
    """

    format: str
    seen: str


_FILES = (
    (r"open_clip_(config\.json|(pytorch_)?model\b.*)", "open_clip"),
    (r"flax_model.*\.msgpack", "Flax"),
    (r"tf_model.*\.h5|saved_model\.pb|.*\.ckpt\.index", "TensorFlow"),
    (r".*\.onnx(_data)?|onnx", "ONNX"),
    (r".*\.(gguf|ggml)", "GGUF"),
    (r"openvino.*|openvino_model\.(xml|bin)", "OpenVINO"),
    (r".*\.tflite", "TensorFlow Lite"),
    (r".*\.(mlpackage|mlmodelc?)", "Core ML"),
    (r".*\.(engine|plan)", "TensorRT"),
    (r".*\.npz", "NumPy (big_vision)"),
    (r".*\.ckpt", "PyTorch Lightning (.ckpt)"),
    (r"consolidated.*\.(pth|safetensors)", "original checkpoint (consolidated)"),
    (r"(model|pytorch_model)\.\w+\.(safetensors|bin)", "transformers variant"),
)
"""Files by patterns of their names, the most telling first."""

_HALF = r"(.+)\.(incomplete|part|partial|crdownload|aria2|download|!qb)"

ADAPTER = "PEFT (LoRA)"

_KEYS = (
    (r"base_model\.model\..*|(.*\.)?(lora|hada|lokr|ia3|oft|boft|vera)_\w+(\..*)?", ADAPTER),
    (r".*\.(qweight|qzeros|g_idx)", "GPTQ / AWQ"),
    (r".*\.(SCB|absmax|quant_map|quant_state.*)", "bitsandbytes"),
    (r".*_?weight_(scale|packed|zero_point)", "compressed-tensors"),
    (r"(model_visual|bge_embeddings|bge_encoder|visual_proj)\..*", "Visualized-BGE"),
    (r"visual\.trunk\..*|text\.transformer\.resblocks.*", "open_clip"),
    (r"visual\.(transformer|conv1|class_embedding|layer\d|attnpool|proj).*", "OpenAI CLIP"),
    (r"(visual_encoder\.blocks|text_encoder\.(encoder|embeddings|bert)|itm_head_m).*", "LAVIS"),
    (r"\d+\.(model|auto_model|linear)\..*|auto_model\..*", "sentence-transformers"),
    (r"params[./].*|.*[./]kernel", "Flax"),
    (r"(language_model|vlm|llm)\..*|model\.layers\..*", "language model"),
    (r"(text|vision)_model\..*", "CLIP / SigLIP (transformers)"),
    (r"(bert\.|roberta\.|mpnet\.)?(embeddings\.word_embeddings|encoder\.layer\.).*", "BERT"),
)
"""Weights by patterns of their names, the most telling first."""


def of_files(names: Iterable[str]) -> Foreign | None:
    """Return the format that some files are in, by their names, and one of them; else None."""
    return _first(_FILES, sorted(names))


def of_keys(keys: Iterable[str]) -> Foreign | None:
    """Return the format that a state dict has, by the names of its weights, and one; else None."""
    return _first(_KEYS, sorted(keys))


def half_fetched(names: Iterable[str]) -> str:
    """Return the name of a download that is not complete; empty where there is none."""
    return next((name for name in sorted(names) if re.fullmatch(_HALF, name)), "")


def _first(table: Iterable[tuple[str, str]], names: list[str]) -> Foreign | None:
    for pattern, format_name in table:
        for name in names:
            if re.fullmatch(pattern, name):
                return Foreign(format_name, name)
    return None
