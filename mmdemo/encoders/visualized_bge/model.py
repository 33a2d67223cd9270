"""Visualized-BGE: a text encoder that reads a picture as if it were more tokens.

Zhou et al. 2024 (arXiv 2406.04292). An EVA02-CLIP vision tower turns a picture into patch tokens,
one projection brings them into the space of a BGE text encoder, and that encoder reads

    [CLS]  image tokens  text tokens  [SEP]

and embeds the picture, or the picture together with the text, in its first state. The quirks, found
by comparing with the reference implementation:

* Image tokens are taken before the vision tower's final norm and without its class token. They get
  the text encoder's position embeddings and its embedding norm, but no token-type embedding.
* Positions of a sequence with a picture count from 0 in both text families. A text alone follows
  its family's own rule, by which XLM-R counts from `pad_token_id + 1`.
* A picture alone is the picture with the empty text. Nothing goes through the pooler.
* A PIL picture is resized in its own mode and only then converted to RGB, as the reference does: a
  palette is sampled without interpolation, transparency is dropped. Pictures that come as a path,
  and everything in the page, are opened by `mmdemo.images` first, which makes them upright, RGB and
  on white: the better reading, and the usual one. For a PIL picture, `encode(to_rgb(picture))`
  chooses it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import timm
import torch
from numpy.typing import NDArray
from PIL import Image
from timm.data.constants import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD
from torch import nn
from torch.nn import functional as F
from transformers import BertConfig, BertModel, XLMRobertaConfig, XLMRobertaModel

from mmdemo.encoders.base import Features, Model, Prepared, Tokens
from mmdemo.encoders.parts import text_tower
from mmdemo.encoders.parts.bounds import check_sizes
from mmdemo.encoders.parts.checkpoint import (
    check_filled,
    fill,
    fill_counters,
    read_checkpoint,
)
from mmdemo.encoders.parts.saved_files import read_json
from mmdemo.encoders.parts.text_tower import TOKENS_AT_ONCE, FastPass, Tokenizer
from mmdemo.encoders.visualized_bge import LANGUAGES, VISION_CONFIG, only_checkpoint
from mmdemo.errors import ModelError
from mmdemo.files import is_there
from mmdemo.images import centre_strip, to_rgb
from mmdemo.types import TokenUsage


class _Family(NamedTuple):
    """What depends on the kind of text encoder."""

    config: Any
    model: Any
    vision: str  # timm's name of the official vision tower; its sizes are the official ones
    counts_from_pad: bool  # positions of a text alone
    languages: tuple[str, ...]


_FAMILIES = {
    "bert": _Family(BertConfig, BertModel, "eva02_base_patch16_clip_224", False, LANGUAGES["bert"]),
    "xlm-roberta": _Family(
        XLMRobertaConfig,
        XLMRobertaModel,
        "eva02_large_patch14_clip_224",
        True,
        LANGUAGES["xlm-roberta"],
    ),
}

_VISION_SIZES = ("img_size", "patch_size", "embed_dim", "depth", "num_heads", "mlp_ratio")

_RENAMES = (
    ("bge_embeddings.", "text.embeddings."),
    ("bge_encoder.", "text.encoder."),
    ("visual_proj.", "projection."),
    ("model_visual.visual.", "vision."),
    # Inside the vision tower.
    (".attn.q_bias", ".attn.q_proj.bias"),
    (".attn.v_bias", ".attn.v_proj.bias"),
    (".attn.inner_attn_ln.", ".attn.norm."),
    (".mlp.w1.", ".mlp.fc1_g."),
    (".mlp.w2.", ".mlp.fc1_x."),
    (".mlp.w3.", ".mlp.fc2."),
    (".mlp.ffn_ln.", ".mlp.norm."),
)
"""Pieces of official keys and of ours. Each occurs on one side only, so it also reads backwards."""

_DROPPED = (
    (r"bge_pooler\..+", "an embedding is the first state itself, the pooler is never called"),
    (r"model_visual\.logit_scale", "a temperature of the vision tower's own pre-training"),
    (r"model_visual\.text\..+", "the text tower of the vision tower's own pre-training"),
    (r"model_visual\.visual\.(norm|head)\..+", "image tokens are taken before these"),
    (r"model_visual\.visual\.(.+\.)?rope\.freqs_(cos|sin)", "tables that follow from the sizes"),
    (r"bge_embeddings\.(position|token_type)_ids", "counters that older transformers saved"),
)
"""Official keys that have no place here, as regular expressions, each with its reason."""

_LONGEST_STRIP = 64
"""Ratio of sides up to which a picture is resized whole; `settings.py` accepts up to 50."""


class VisualizedBGE(FastPass, Model):
    """Visualized-BGE base-en or m3, or a model of the same layout and other sizes."""

    modalities = frozenset({"text", "image", "fused"})
    fusion = "native"
    logit_scale = 50.0  # 1 / 0.02, the temperature that the reference was trained with
    batch_tokens = TOKENS_AT_ONCE

    def __init__(self, name: str, folder: Path, checkpoint: Path | None = None) -> None:
        """Load the weights; their bytes are read from disk at the first pass.

        Args:
            name: the name in the catalogue.
            folder: has `config.json` and tokenizer files of the text encoder, and where the vision
                tower's sizes are not the official ones, `vision_config.json` with `timm_model`,
                `img_size`, `embed_dim`, `depth` and `num_heads`.
            checkpoint: the state dict in the official layout, `.pth` or `.safetensors`; by default
                the only one in `folder`.

        Raises:
            ModelError: a file is missing, of another architecture, or damaged.
        """
        self.name = name
        checkpoint = checkpoint or only_checkpoint(folder)
        if checkpoint is None:
            raise ModelError(
                f"'{folder.name}' has no checkpoint: one Visualized_*.pth or "
                "Visualized_*.safetensors.",
                "no_checkpoint",
                name=folder.name,
            )
        self._network = _load(folder, checkpoint)
        alone, self._longest_beside = self._network.longest_texts()
        self._tokenizer = Tokenizer(folder, self._network.text.config, alone)
        self.dim = self._network.text.config.hidden_size
        self.languages = self._network.family.languages
        self._no_text = self._tokenizer.ids([""], self._longest_beside)[0]

    def networks(self) -> list[nn.Module]:
        """Return the one network."""
        return [self._network]

    multiplying = networks

    def read_texts(self, texts: Sequence[str], *, beside: bool = False) -> list[list[int]]:
        """Return the tokens of texts; a picture's tokens take room away from them."""
        return self._tokenizer.ids(texts, self._longest_beside if beside else None)

    def read_picture(self, image: Image.Image) -> torch.Tensor:
        """Return what the vision tower sees, float32 [3, size, size]: scaled in its own mode.

        But for modes that the reference stops at, or clips to black and white: those of wide greys,
        and of colours that were multiplied with their opacity.
        """
        if image.mode not in _OWN_MODES:
            image = to_rgb(image)
        return _pixels(_centre_square(image, self._network.image_size))

    def length(self, item: Prepared) -> int:
        """Return how many states of the text encoder an item has."""
        words = len(self._no_text if item.tokens is None else item.tokens)
        return words + (0 if item.features is None else len(item.features))

    def token_usage(self, text: str, *, with_image: bool = False) -> TokenUsage:
        """Say how much of a text is read; a picture's tokens take room away from it."""
        return self._tokenizer.usage(text, self._longest_beside if with_image else None)

    def image_features(self, pictures: Sequence[torch.Tensor]) -> list[Features]:
        """Return image tokens, float32 [tokens, dim] each: what the text encoder reads.

        Those of a base-en picture have 0.6 MB, of m3 1 MB.
        """
        with self._fast_pass(self._network.text.config):
            tokens = self._network.image_tokens(torch.stack(list(pictures)).to(self.device))
            return [row.copy() for row in tokens.cpu().numpy()]

    def text_vectors(self, texts: Sequence[Tokens]) -> NDArray[np.float32]:
        """Return [n, dim], each from its first state."""
        words = self._tokenizer.padded(texts, self.device)
        with self._fast_pass(self._network.text.config):
            return self._network.embed_texts(*words).cpu().numpy()

    def embed(self, items: Sequence[Prepared]) -> NDArray[np.float32]:
        """Return [n, dim]: pictures alone are pairs with the empty text, and run with them."""
        vectors = np.empty((len(items), self.dim), dtype=np.float32)
        texts = [place for place, item in enumerate(items) if item.features is None]
        pictured = {
            place: item.features for place, item in enumerate(items) if item.features is not None
        }
        if texts:
            vectors[texts] = self.text_vectors([items[place].tokens or () for place in texts])
        if pictured:
            rows = [items[place].tokens for place in pictured]
            words = self._tokenizer.padded(
                [self._no_text if row is None else row for row in rows], self.device
            )
            tokens = torch.from_numpy(np.stack(list(pictured.values()))).to(self.device)
            with self._fast_pass(self._network.text.config):
                found = self._network.embed_pictures(tokens, *words)
                vectors[list(pictured)] = found.cpu().numpy()
        return vectors


class _Network(nn.Module):
    """The three parts and how they are joined; knows tensors, not pictures and texts."""

    def __init__(self, config: Mapping[str, Any], vision: Mapping[str, Any]) -> None:
        super().__init__()
        self.family = _family(config)
        self.text = text_tower.build(config, self.family.config, self.family.model)
        self.vision = _vision_tower(vision)
        self.projection = nn.Linear(self.vision.embed_dim, self.text.config.hidden_size)

    @property
    def image_size(self) -> int:
        return self.vision.patch_embed.img_size[0]

    def longest_texts(self) -> tuple[int, int]:
        """Return the most tokens of a text alone and beside a picture, special ones included."""
        config = self.text.config
        alone = text_tower.longest_text(config, counts_from_pad=self.family.counts_from_pad)
        beside = config.max_position_embeddings - self.vision.patch_embed.num_patches
        return alone, beside

    def image_tokens(self, pixels: torch.Tensor) -> torch.Tensor:
        """Pixels [n, 3, size, size] -> what the text encoder reads of them, [n, tokens, hidden]."""
        embeddings = self.text.embeddings
        positions = embeddings.position_embeddings.weight
        patches = self.vision(pixels)[:, self.vision.num_prefix_tokens :]
        # Position 0 is that of [CLS].
        return embeddings.LayerNorm(self.projection(patches) + positions[1 : patches.shape[1] + 1])

    def embed_texts(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Ids and mask [n, length] -> [n, hidden]."""
        states = self.text.embeddings(input_ids=ids, token_type_ids=torch.zeros_like(ids))
        return self._first_state(states, mask)

    def embed_pictures(
        self, tokens: torch.Tensor, ids: torch.Tensor, mask: torch.Tensor
    ) -> torch.Tensor:
        """Image tokens [n, tokens, hidden], ids and mask [n, length] -> [n, hidden]."""
        count = tokens.shape[1]
        positions = torch.arange(count, count + ids.shape[1], device=ids.device)[None]
        positions[:, 0] = 0  # [CLS] stands before the picture
        words = self.text.embeddings(
            input_ids=ids, position_ids=positions, token_type_ids=torch.zeros_like(ids)
        )
        states = torch.cat([words[:, :1], tokens, words[:, 1:]], dim=1)
        return self._first_state(states, F.pad(mask, (count, 0), value=True))

    def _first_state(self, states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """States [n, length, hidden], bool mask [n, length] -> the encoder's first, [n, hidden]."""
        return text_tower.run_layers(self.text.encoder, states, mask, count=1)[:, 0]


# Pictures.


_OWN_MODES = ("RGB", "RGBA", "RGBX", "P", "L", "LA", "PA", "1", "CMYK", "YCbCr", "HSV")


def _centre_square(image: Image.Image, size: int) -> Image.Image:
    """Scale the short side to `size` and cut the centre out, in the picture's own mode.

    Roundings are the reference's, which are those of torchvision's `Resize` and `CenterCrop`: the
    long side is truncated, the offset rounded with halves to even.
    """
    image = centre_strip(image, _LONGEST_STRIP)
    short = min(image.size)
    width, height = (int(size * side / short) for side in image.size)
    left, top = round((width - size) / 2), round((height - size) / 2)
    scaled = image.resize((width, height), Image.Resampling.BICUBIC)
    return scaled.crop((left, top, left + size, top + size))


def _pixels(image: Image.Image) -> torch.Tensor:
    """Return float32 [3, size, size], normalised as CLIP was trained."""
    values = torch.from_numpy(np.array(image.convert("RGB"), dtype=np.float32)) / 255.0
    mean, deviation = torch.tensor(OPENAI_CLIP_MEAN), torch.tensor(OPENAI_CLIP_STD)
    return ((values - mean) / deviation).permute(2, 0, 1)


# Loading.


def _load(folder: Path, checkpoint: Path) -> _Network:
    """Build the network without memory and fill it from the checkpoint."""
    config = read_json(folder, "config.json")
    vision: dict[str, Any] = {"timm_model": _family(config).vision}
    if is_there(folder / VISION_CONFIG):
        vision = read_json(folder, VISION_CONFIG)
    with torch.device("meta"):
        network = _Network(config, vision)
    weights = _ours(read_checkpoint(checkpoint))
    fill(network, weights, checkpoint.name, lambda key: _renamed(key, back=True))
    fill_counters(network.text.embeddings, network.text.config.max_position_embeddings)
    # A tower without blocks takes milliseconds, and has timm's own tables of rotary positions.
    network.vision.rope = _vision_tower(vision | {"depth": 0}).rope
    check_filled(network)
    if network.longest_texts()[1] < 2:
        raise ModelError(
            "A picture leaves no room for a text: the config.json and vision_config.json of this "
            "model do not belong together.",
            "no_room_for_text",
        )
    return network


def _ours(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the tensors that have a place here, by our names."""
    return {
        _renamed(key): tensor
        for key, tensor in weights.items()
        if not any(re.fullmatch(pattern, key) for pattern, _ in _DROPPED)
    }


def _renamed(key: str, *, back: bool = False) -> str:
    """Return our name of an official key, or the other way round."""
    for official, ours in _RENAMES:
        old, new = (ours, official) if back else (official, ours)
        if old.startswith(".") or key.startswith(old):
            key = key.replace(old, new)
    return key


def _vision_tower(config: Mapping[str, Any]) -> Any:
    """Build timm's EVA02-CLIP tower without head and final norm: pixels -> all tokens."""
    sizes = {key: value for key, value in config.items() if key != "timm_model"}
    if unknown := sorted(set(sizes) - set(_VISION_SIZES)):
        raise ModelError(
            f"The vision_config.json has the unknown entries {', '.join(unknown)[:80]}; it takes "
            f"timm_model, {', '.join(_VISION_SIZES)}.",
            "unknown_vision_entries",
            entries=", ".join(unknown)[:80],
            known=", ".join(("timm_model", *_VISION_SIZES)),
        )
    name = config.get("timm_model")
    if not isinstance(name, str) or not re.fullmatch(r"eva02_\w+_clip_\w+", name):
        raise ModelError(
            f"The vision_config.json names '{str(name)[:40]}', which is no EVA02-CLIP of timm.",
            "other_vision_tower",
            tower=str(name)[:40],
        )
    check_sizes(config)
    try:
        # In evaluation mode: the published configuration drops half of the patches in training.
        tower: Any = timm.create_model(name, num_classes=0, global_pool="", **sizes).eval()
    except (ArithmeticError, AssertionError, RuntimeError, TypeError, ValueError) as error:
        raise ModelError(
            "The vision_config.json describes no vision tower that can be built. Fetch it again "
            "from where it was published.",
            "no_vision_tower",
        ) from error
    tower.norm = nn.Identity()
    return tower


def _family(config: Mapping[str, Any]) -> _Family:
    kind = config.get("model_type")
    if kind not in _FAMILIES:
        raise ModelError(
            f"The config.json names the text encoder '{str(kind)[:40]}'; a Visualized-BGE has one "
            f"of: {', '.join(_FAMILIES)}.",
            "other_text_encoder",
            kind=str(kind)[:40],
            known=", ".join(_FAMILIES),
        )
    return _FAMILIES[kind]
