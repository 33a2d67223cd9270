"""`mini`, first version: ConSE over EfficientNet-Lite0 in the space of a centred MiniLM tower.

A picture becomes the mean of the text vectors of the ImageNet classes it may show, weighted by the
classifier's probabilities (ConSE: Norouzi et al. 2013, arXiv 1312.5650). So pictures and texts
share the text tower's space without any joint training. Two quirks matter:

* Centring. Sentence vectors of one tower point in similar directions (mean cosine well above 0).
  The mean vector `mu` is subtracted from both sides before normalising, which lets unrelated pairs
  fall to a cosine around 0.
* Late fusion. A fused embedding is a weighted sum. With equal weights the cosine of image and fused
  would equal that of text and fused by algebra, so the weights differ: `FUSION_V1`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from numpy.typing import NDArray
from PIL import Image
from tokenizers import Tokenizer
from torch.nn import functional as F
from transformers import BertConfig, BertModel

from mmdemo.encoders.base import Encoder
from mmdemo.similarity import unit_rows
from mmdemo.types import TokenUsage
from mmdemo.weights import load_packed, package_files, read_config

FUSION_V1 = {"image": 0.6, "text": 0.4}
"""Late-fusion weights of the first version; a fused embedding of the model's own replaces them."""


class MiniEncoder(Encoder):
    """The embedded model. Loads from `assets/mini`, needs no network."""

    modalities = frozenset({"text", "image", "fused"})
    fusion = "weighted"
    fusion_weights = (FUSION_V1["image"], FUSION_V1["text"])

    def __init__(self, name: str = "mini", path: Path | None = None) -> None:
        """Load the weights.

        Args:
            name: the name in the registry.
            path: folder with `config.json`, tokenizer and safetensors; by default the packaged one.

        Raises:
            ModelError: files are missing or cut off.
        """
        super().__init__()
        path = path or package_files("mini")
        config = read_config(path)
        self.name = name
        self.dim = config["dim"]
        self.languages = tuple(config["languages"])
        self.logit_scale = config["logit_scale"]
        self._top_t = config["top_t"]
        self._max_tokens = config["max_text_tokens"]
        self._views = TwoViews(config["image_size"], config["mean"], config["std"])
        self._tokenizer = Tokenizer.from_file(str(path / "tokenizer.json"))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._text_tower = _load_text_tower(path, config)
        self._vision_tower = _load_vision_tower(path, config)
        concepts = load_packed(path, "concepts.safetensors")
        self._class_vectors = concepts["class_vectors"]  # [1000, dim]
        self._mu = concepts["mu"]  # [dim]

    def token_usage(self, text: str, *, with_image: bool = False) -> TokenUsage:
        """Say how much of a text is read; beside a picture as much as alone."""
        total = len(self._tokenizer.encode(text).ids)
        return TokenUsage(used=min(total, self._max_tokens), total=total)

    @torch.inference_mode()
    def _text_vectors(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return (self.sentence_vectors(texts) - self._mu).numpy()

    def sentence_vectors(self, texts: Sequence[str]) -> torch.Tensor:
        """Return the text tower's own unit vectors, before centring: float32 [n, dim].

        Mean over the token states, as the tower was trained (sentence-transformers' pooling).
        """
        ids, mask = self._tokenise(texts)
        with torch.inference_mode():
            states = self._text_tower(input_ids=ids, attention_mask=mask).last_hidden_state
            pooled = (states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
            return F.normalize(pooled, dim=-1)

    @torch.inference_mode()
    def _image_features(self, images: Sequence[Image.Image]) -> Sequence[NDArray[np.float32]]:
        pixels = torch.stack([view for image in images for view in self._views(image)])
        probabilities = self._vision_tower(pixels).softmax(-1)
        probabilities = probabilities.view(len(images), TwoViews.COUNT, -1).mean(1)  # [n, 1000]
        top, classes = probabilities.topk(self._top_t, dim=-1)
        weights = top / top.sum(-1, keepdim=True)  # ConSE's normaliser Z
        vectors = (weights[..., None] * self._class_vectors[classes]).sum(1) - self._mu
        return list(unit_rows(vectors.numpy()))

    def _tokenise(self, texts: Sequence[str]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return ids and mask, both [n, longest], padded on the right and cut to the maximum."""
        rows = [encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))]
        # A cut keeps the final [SEP], which every text ends with.
        limit = self._max_tokens
        rows = [row if len(row) <= limit else [*row[: limit - 1], row[-1]] for row in rows]
        longest = max(map(len, rows))
        ids = torch.zeros(len(rows), longest, dtype=torch.long)
        mask = torch.zeros(len(rows), longest, dtype=torch.long)
        for index, row in enumerate(rows):
            ids[index, : len(row)] = torch.tensor(row)
            mask[index, : len(row)] = 1
        return ids, mask


class TwoViews:
    """A picture seen twice: whole, on a neutral ground, and its centre square.

    Their mean beats either: the whole keeps what sits at the edge, the centre keeps detail.
    """

    COUNT = 2

    def __init__(self, size: int, mean: float, std: float) -> None:
        """Prepare the two views.

        Args:
            size: edge of the model's input in pixels.
            mean: subtracted from values in 0..1.
            std: divides them afterwards.
        """
        self._size, self._mean, self._std = size, mean, std

    def __call__(self, image: Image.Image) -> list[torch.Tensor]:
        """Return two float32 tensors [3, size, size]."""
        return [self._tensor(self._whole(image)), self._tensor(self._centre(image))]

    def _whole(self, image: Image.Image) -> Image.Image:
        scaled = _resize(image, self._size / max(image.size))
        # 127 is the value that normalisation maps to about 0, where convolution padding sits too.
        ground = Image.new("RGB", (self._size, self._size), (127, 127, 127))
        offset = ((self._size - scaled.width) // 2, (self._size - scaled.height) // 2)
        ground.paste(scaled, offset)
        return ground

    def _centre(self, image: Image.Image) -> Image.Image:
        # Cropped before scaling: a long strip must not grow to gigabytes on its way to a square.
        side = min(image.size)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        return image.resize(
            (self._size, self._size),
            Image.Resampling.BICUBIC,
            box=(left, top, left + side, top + side),
            reducing_gap=3.0,
        )

    def _tensor(self, image: Image.Image) -> torch.Tensor:
        values = torch.from_numpy(np.asarray(image, dtype=np.float32) / 255.0)
        return values.permute(2, 0, 1).sub(self._mean).div(self._std)


def _resize(image: Image.Image, factor: float) -> Image.Image:
    width, height = (max(1, round(side * factor)) for side in image.size)
    return image.resize((width, height), Image.Resampling.BICUBIC, reducing_gap=3.0)


def _load_text_tower(path: Path, config: dict[str, Any]) -> torch.nn.Module:
    with torch.device("meta"):
        tower = BertModel(BertConfig(**config["bert"]), add_pooling_layer=False)
    return _filled(tower, load_packed(path, "text-*.safetensors"))


def _load_vision_tower(path: Path, config: dict[str, Any]) -> torch.nn.Module:
    with torch.device("meta"):
        tower = timm.create_model(config["timm_model"], pretrained=False)
    return _filled(tower, load_packed(path, "vision.safetensors"))


def _filled(module: torch.nn.Module, weights: dict[str, torch.Tensor]) -> torch.nn.Module:
    """Put weights into a module that was built without memory, and make sure none is left empty."""
    module.load_state_dict(weights, strict=True, assign=True)
    for name, buffer in module.named_buffers():
        if buffer.is_meta:
            # Not saved with the weights, because they are plain counters: BERT's index buffers.
            owner, _, leaf = name.rpartition(".")
            setattr(module.get_submodule(owner), leaf, _index_buffer(leaf, buffer))
    return module.eval().requires_grad_(False)


def _index_buffer(leaf: str, shape_of: torch.Tensor) -> torch.Tensor:
    if leaf == "position_ids":
        return torch.arange(shape_of.shape[-1]).expand(shape_of.shape).clone()
    return torch.zeros(shape_of.shape, dtype=shape_of.dtype)
