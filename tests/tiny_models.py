"""Small random checkpoints of the architectures that transformers saves, built in milliseconds.

Each function writes a directory as `save_pretrained` does, with the tokenizer and image processor
of the published models in small, and returns its path.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import (
    AlignConfig,
    AlignModel,
    AlignProcessor,
    BertTokenizer,
    BlipConfig,
    BlipForImageTextRetrieval,
    BlipImageProcessor,
    BlipProcessor,
    CLIPConfig,
    CLIPImageProcessor,
    CLIPModel,
    CLIPProcessor,
    CLIPTokenizer,
    EfficientNetImageProcessor,
    GemmaTokenizer,
    SiglipConfig,
    SiglipImageProcessor,
    SiglipModel,
    SiglipProcessor,
)

_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_TEXT = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
_HEADS = {"num_attention_heads": 2}
_VISION = _TEXT | _HEADS | {"image_size": 32, "patch_size": 8}


def tiny_clip(path: Path) -> Path:
    """CLIP, 24-d, pictures of 32 pixels, texts of up to 20 tokens."""
    words = [*_LETTERS, *(f"{letter}</w>" for letter in _LETTERS), "an</w>", "ca", "re", "red</w>"]
    vocabulary = {word: i for i, word in enumerate(words)}
    vocabulary |= {"<|startoftext|>": len(words), "<|endoftext|>": len(words) + 1}
    merges: Any = [("a", "n</w>"), ("c", "a"), ("r", "e"), ("re", "d</w>")]
    tokenizer = CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=20)
    ends = {"bos_token_id": len(words), "eos_token_id": len(words) + 1}
    config = CLIPConfig(
        text_config=_TEXT
        | _HEADS
        | ends
        | {"vocab_size": len(vocabulary), "max_position_embeddings": 20},
        vision_config=_VISION,
        projection_dim=24,
    )
    pictures = CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    return _save(path, CLIPModel, config, CLIPProcessor(pictures, tokenizer), logit_scale=3.0)


def tiny_siglip(path: Path, **tokenizer: Any) -> Path:
    """SigLIP 2 of fixed resolution, 32-d, pictures of 32 pixels, always 16 tokens.

    Args:
        path: where to write it.
        tokenizer: what differs from the tokenizer's published settings.
    """
    specials = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]
    words = [*specials, "▁", *_LETTERS, *_LETTERS.upper(), "ca", "re", "red"]
    vocabulary = {word: i for i, word in enumerate(words)}
    settings: dict[str, Any] = {
        "add_bos_token": False,
        "add_eos_token": True,
        "padding_side": "right",
        "do_lower_case": True,
        "model_input_names": ["input_ids"],
    }
    merges: Any = [("c", "a"), ("r", "e"), ("re", "d")]
    reader = GemmaTokenizer(vocab=vocabulary, merges=merges, **settings | tokenizer)
    config = SiglipConfig(
        text_config=_TEXT
        | _HEADS
        | {"vocab_size": len(vocabulary), "max_position_embeddings": 16, "projection_size": 32}
        | {"bos_token_id": 2, "eos_token_id": 1},
        vision_config=_VISION,
    )
    pictures = SiglipImageProcessor(size={"height": 32, "width": 32}, resample=2)
    return _save(
        path,
        SiglipModel,
        config,
        SiglipProcessor(pictures, reader),
        logit_scale=2.0,
        logit_bias=-5.0,
    )


def tiny_align(path: Path) -> Path:
    """ALIGN, 16-d, pictures cropped to 33 pixels, texts of up to 24 tokens."""
    tokenizer = _bert_tokenizer(24)
    config = AlignConfig(
        text_config=_TEXT | _HEADS | {"vocab_size": len(tokenizer), "max_position_embeddings": 24},
        vision_config={
            "width_coefficient": 0.25,
            "depth_coefficient": 0.5,
            "kernel_sizes": [3, 5],
            "in_channels": [32, 16],
            "out_channels": [16, 64],
            "strides": [1, 2],
            "num_block_repeats": [1, 1],
            "expand_ratios": [1, 4],
            "depthwise_padding": [],
            "hidden_dim": 16,
        },
        projection_dim=16,
    )
    # The published settings: -1..1, and nothing else.
    pictures = EfficientNetImageProcessor(
        size={"height": 40, "width": 40},
        crop_size={"height": 33, "width": 33},
        do_center_crop=True,
        do_normalize=False,
        rescale_factor=1 / 127.5,
        rescale_offset=True,
        include_top=False,
        resample=2,
    )
    return _save(path, AlignModel, config, AlignProcessor(pictures, tokenizer), temperature=0.07)


def tiny_blip(path: Path) -> Path:
    """BLIP for retrieval, 24-d, pictures of 32 pixels, texts of up to 24 tokens."""
    tokenizer = _bert_tokenizer(24)
    # The published model's vocabulary has two more than its tokenizer, [DEC] and [ENC].
    vocabulary = len(tokenizer) + 2
    config = BlipConfig(
        text_config=_TEXT
        | _HEADS
        | {"vocab_size": vocabulary, "max_position_embeddings": 24}
        | {"bos_token_id": vocabulary - 2, "sep_token_id": 3},
        vision_config=_VISION | {"hidden_size": 48},
        image_text_hidden_size=24,
    )
    pictures = BlipImageProcessor(size={"height": 32, "width": 32})
    return _save(path, BlipForImageTextRetrieval, config, BlipProcessor(pictures, tokenizer))


TINY_MODELS = {
    "clip": tiny_clip,
    "siglip": tiny_siglip,
    "align": tiny_align,
    "blip": tiny_blip,
}


def _bert_tokenizer(longest: int) -> BertTokenizer:
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words = [*specials, *_LETTERS, *(f"##{letter}" for letter in _LETTERS), "red", "car", "cat"]
    vocabulary = {word: i for i, word in enumerate(words)}
    return BertTokenizer(vocab=vocabulary, do_lower_case=True, model_max_length=longest)


def _save(path: Path, network: Any, config: Any, processor: Any, **scalars: float) -> Path:
    """Make random weights and write everything down; `scalars` are weights with one number."""
    state = torch.random.get_rng_state()
    torch.manual_seed(0)
    model = network(config)
    with torch.no_grad():
        # Fresh ones are so small, or so regular, that nothing would tell two inputs apart.
        for values in model.state_dict().values():
            if values.ndim > 1:
                values.normal_(std=1.5 / values[0].numel() ** 0.5)
            elif values.is_floating_point():
                values.add_(torch.rand_like(values) * 0.4 - 0.2)
        for name, value in scalars.items():
            getattr(model, name).fill_(value)
    torch.random.set_rng_state(state)
    model.save_pretrained(path)
    processor.save_pretrained(path)
    return path
