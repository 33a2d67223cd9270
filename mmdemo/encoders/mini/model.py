"""`mini`, the embedded model: Visualized-BGE in small, on a MiniLM text tower.

Three parts, described with their training and their measures in `assets/mini/README.md`:

* A text tower, all-MiniLM-L6-v2 with a Chinese vocabulary added at its input.
* A vision tower, EfficientNet-Lite0, which is read at several depths.
* A head between the two. It makes the image embedding, and `TOKENS` image tokens that enter the
  text tower after [CLS] for a fused embedding (Zhou et al. 2024, arXiv 2406.04292).

Quirks that matter:

* Centring. Sentence vectors of one tower point in similar directions (mean cosine well above 0).
  The mean vector `mu` is subtracted from both sides before normalising, which lets unrelated pairs
  fall to a cosine around 0.
* A text's multi-vector is the tower's token states at unit length, without [CLS] and [SEP], which
  stand for no word: it was never trained for that, and two frames would match whatever they frame.
  Not centred: `mu` is a mean of texts, and subtracting it from tokens makes unrelated ones alike.
* The image embedding has two sources: the mean of the text vectors of the ImageNet classes that the
  picture may show, weighted by probability (ConSE: Norouzi et al. 2013, arXiv 1312.5650), which
  knows photos, and a trained projection, which knows drawings, icons and logos.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import timm
import torch
from numpy.typing import NDArray
from PIL import Image
from tokenizers import Tokenizer
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval
from transformers import BertConfig, BertModel

from mmdemo.assets import package_files, read_config
from mmdemo.encoders.base import Features, Model, Prepared, Tell, Tokens
from mmdemo.encoders.mini.reading import MiniTokenizer
from mmdemo.encoders.parts.checkpoint import check_filled, fill, fill_counters
from mmdemo.encoders.parts.packed import load_packed
from mmdemo.encoders.parts.text_tower import FastPass, run_layers
from mmdemo.errors import ModelError
from mmdemo.images import to_rgb
from mmdemo.types import Match, TextEncoding, Token, TokenUsage

MEAN = STD = 0.5
"""Pixel statistics of this checkpoint: not ImageNet's (.625 against .582 top-1 in our tests)."""


class VisionOutput(NamedTuple):
    """What the vision tower says about n pictures.

    Attributes:
        pooled: float32 [n, 2024], channel means of the last stages, from strokes to objects.
        grid: float32 [n, 9, 320], the last stage's means over a grid of 3 x 3 patches, by rows.
        probabilities: float32 [n, 1000], of the ImageNet classes.
    """

    pooled: torch.Tensor
    grid: torch.Tensor
    probabilities: torch.Tensor


class Mini(FastPass, Model):
    """The embedded model. Loads from `assets/mini`, needs no network."""

    modalities = frozenset({"text", "image", "fused"})
    representations = frozenset({"dense", "multi_vector"})
    fusion = "native"

    def __init__(self, name: str = "mini", path: Path | None = None) -> None:
        """Load the weights.

        Args:
            name: the name in the catalogue.
            path: folder with `config.json`, tokenizer and safetensors; by default the packaged one.

        Raises:
            ModelError: files are missing or damaged.
        """
        self.name = name
        try:
            self._load(path or package_files("mini"))
        except ModelError:
            raise
        except Exception as error:  # whatever a damaged file of the right size makes of itself
            raise ModelError(
                "The files of 'mini' that ship with the app are damaged. Clone the repository "
                "again (with its LFS files, where used).",
                "shipped_damaged",
                name="mini",
            ) from error

    def _load(self, path: Path) -> None:
        config = read_config(path)
        self.dim = config["dim"]
        self.languages = tuple(config["languages"])
        self.logit_scale = config["logit_scale"]
        self.match = Match(*(config["match"][key] for key in ("slope", "offset", "sure")))
        self.image_size = config["image_size"]
        self._tokenizer = MiniTokenizer(
            Tokenizer.from_file(str(path / "tokenizer.json")), config["max_text_tokens"], path
        )
        self.text_tower: Any = _load_text_tower(path, config)
        self.vision_tower = _load_vision_tower(path, config)
        self.head = _load_head(path, config)

    def networks(self) -> list[nn.Module]:
        """Return both towers and the head."""
        return [self.text_tower, self.vision_tower, self.head]

    def multiplying(self) -> list[nn.Module]:
        """Return the text tower: the rest is convolutions, and small."""
        return [self.text_tower]

    def read_texts(self, texts: Sequence[str], *, beside: bool = False) -> list[list[int]]:
        """Return the tokens of texts, cut to the maximum, which a picture leaves as it is."""
        return self._tokenizer.ids(texts)

    def read_picture(self, image: Image.Image) -> torch.Tensor:
        """Return a picture's views, float32 [views, 3, side, side]."""
        return torch.stack(views_of(to_rgb(image), self.image_size))

    def length(self, item: Prepared) -> int:
        """Return how many states of the text tower an item has."""
        if item.tokens is None:
            return 1
        return len(item.tokens) + (0 if item.features is None else Head.TOKENS)

    def token_usage(self, text: str, *, with_image: bool = False) -> TokenUsage:
        """Say how much of a text is read; beside a picture as much as alone."""
        return self._tokenizer.usage(text)

    def tokens(self, text: str) -> list[Token]:
        """Return what the model reads of a text; every token but [CLS] and [SEP] has a row."""
        pieces = self._tokenizer.pieces(text)
        last = len(pieces) - 1
        return [
            Token(*piece, row=index - 1 if 0 < index < last else None)
            for index, piece in enumerate(pieces)
        ]

    @torch.inference_mode()
    def image_features(self, pictures: Sequence[torch.Tensor]) -> list[Features]:
        """Return for each picture what the head reads, in one row."""
        seen = self.vision_tower(torch.cat(list(pictures)).to(self.device))
        rows = self.head.features(seen, [len(views) for views in pictures])
        return [row.copy() for row in rows.cpu().numpy()]

    def text_vectors(self, texts: Sequence[Tokens]) -> NDArray[np.float32]:
        """Return unit vectors, [n, dim]."""
        return self.embed([Prepared(tokens) for tokens in texts])

    def embed(self, items: Sequence[Prepared]) -> NDArray[np.float32]:
        """Return unit vectors, [n, dim]: texts and pairs are one kind of sequence, and one pass.

        A pair's vector is partly that of its text alone: where that is not known, it runs too.
        """
        pairs = [place for place, item in enumerate(items) if item.modality == "fused"]
        seen = [place for place, item in enumerate(items) if item.features is not None]
        texts = {
            tuple(item.tokens): None
            for item in items
            if item.tokens is not None and (item.features is None or item.text_vector is None)
        }
        with self._fast_pass(self.text_tower.config):
            rows = torch.empty(len(items), self.dim, device=self.device)
            features = _stacked([items[place].features for place in seen], self.device)
            if seen:
                rows[seen] = self.head.image_vectors(features)
            of_pairs = features[[row for row, place in enumerate(seen) if place in set(pairs)]]
            sequences = [*texts, *(items[place].tokens or () for place in pairs)]
            if sequences:
                tokens = self.head.tokens(of_pairs) if pairs else None
                states = self.head.centred(_means(self.text_tower, sequences, tokens))
                own = dict(zip(texts, states[: len(texts)], strict=True))
                for place, item in enumerate(items):
                    if item.modality == "text":
                        rows[place] = own[tuple(item.tokens or ())]
                if pairs:
                    words = torch.stack([self._words(items[place], own) for place in pairs])
                    rows[pairs] = self.head.mixed(states[len(texts) :], rows[pairs], words)
            return rows.cpu().numpy()

    def _words(self, item: Prepared, own: dict[tuple[int, ...], torch.Tensor]) -> torch.Tensor:
        """Return the unit vector of a pair's text alone, [dim]."""
        if item.text_vector is None:
            return own[tuple(item.tokens or ())]
        return torch.tensor(item.text_vector, device=self.device)

    def text_encodings(self, texts: Sequence[Tokens], tell: Tell) -> list[TextEncoding]:
        """Return vectors and token states; [CLS] and [SEP] have none."""
        with self._fast_pass(self.text_tower.config):
            states, mask = _states(self.text_tower, texts, None, tell)
            dense = self.head.centred(_mean(states, mask)).cpu().numpy()
            rows = states.cpu().numpy()
        return [
            TextEncoding(dense[index], multi_vector=rows[index, 1 : len(tokens) - 1])
            for index, tokens in enumerate(texts)
        ]

    def fuse(
        self, head: Head, features: torch.Tensor, texts: Sequence[str], words: torch.Tensor
    ) -> torch.Tensor:
        """Return the fused vectors of n pictures with their texts under some head, [n, dim].

        Args:
            head: this model's own, or another of the same shape, as measurements have them.
            features: rows of `Head.features`.
            texts: n texts.
            words: their unit vectors, [n, dim].
        """
        states = _means(self.text_tower, self.read_texts(texts), head.tokens(features))
        return head.fused_vectors(states, head.image_vectors(features), words)


# The text tower.


def text_states(tower: nn.Module, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Return the tower's own vector of each text, [n, dim]: the mean over its token states.

    That is how the tower was trained (sentence-transformers' pooling). Not centred, not unit.
    """
    states = tower(input_ids=ids, attention_mask=mask).last_hidden_state
    return _mean(states, mask)


def fused_states(
    tower: Any, tokens: torch.Tensor, ids: torch.Tensor, mask: torch.Tensor
) -> torch.Tensor:
    """Return the tower's vector of each text with image tokens after its [CLS].

    Args:
        tower: a BERT.
        tokens: float32 [n, TOKENS, dim], in the space of word vectors.
        ids: int64 [n, length], the text alone.
        mask: likewise, 1 for a token and 0 for padding.

    Returns:
        float32 [n, dim], the mean over all token states.
    """
    words = tower.embeddings.word_embeddings(ids)
    inputs = torch.cat([words[:, :1], tokens, words[:, 1:]], dim=1)
    count = tokens.shape[1]
    # The words keep the positions they have in the text alone: the tower's weights are frozen, and
    # a shift would change what they mean to it.
    text = torch.arange(ids.shape[1])
    positions = torch.cat([text[:1], torch.arange(1, count + 1), text[1:]])
    whole = torch.cat([mask[:, :1], mask.new_ones(len(mask), count), mask[:, 1:]], dim=1)
    states = tower(
        inputs_embeds=inputs, position_ids=positions[None], attention_mask=whole
    ).last_hidden_state
    return _mean(states, whole)


def _means(tower: Any, texts: Sequence[Tokens], tokens: torch.Tensor | None = None) -> torch.Tensor:
    """Return the tower's vector of each sequence, [n, dim]; arguments as of `_states`."""
    return _mean(*_states(tower, texts, tokens))


def _states(
    tower: Any,
    texts: Sequence[Tokens],
    tokens: torch.Tensor | None = None,
    tell: Tell | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Run texts, the last of them with image tokens after [CLS], as one batch.

    The same as `text_states` and `fused_states` before their means, without what transformers puts
    around its layers.

    Args:
        tower: a BERT.
        texts: n texts.
        tokens: float32 [k, TOKENS, dim], of the last k; None for no pictures at all.
        tell: told after each layer.

    Returns:
        States [n, length, dim], padded on the right, and a bool mask [n, length].
    """
    count = 0 if tokens is None else tokens.shape[1]
    pictured = 0 if tokens is None else len(tokens)
    alone = len(texts) - pictured
    lengths = [len(row) + (count if place >= alone else 0) for place, row in enumerate(texts)]
    longest = max(lengths)
    ids = torch.zeros(len(texts), longest, dtype=torch.long)
    positions = torch.arange(longest).repeat(len(texts), 1)
    for place, row in enumerate(texts):
        ids[place, lengths[place] - len(row) + 1 : lengths[place]] = torch.tensor(row[1:])
        ids[place, 0] = row[0]
    if pictured:
        # The words keep the positions they have in the text alone.
        positions[alone:, count + 1 :] -= count
    device = tower.embeddings.word_embeddings.weight.device
    inputs = tower.embeddings.word_embeddings(ids.to(device))
    if tokens is not None:
        inputs[alone:, 1 : count + 1] = tokens
    mask = torch.arange(longest) < torch.tensor(lengths)[:, None]
    mask = mask.to(device)
    states = tower.embeddings(inputs_embeds=inputs, position_ids=positions.to(device))
    return run_layers(tower.encoder, states, mask, step=tell), mask


def _mean(states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    return (states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)


# The vision tower.


def views_of(image: Image.Image, size: int) -> list[torch.Tensor]:
    """Return a picture as the vision tower sees it: whole, and, unless square, its centre.

    The mean of both beats either: the whole keeps what sits at the edge, the centre keeps detail.
    """
    views = [whole_view(image, size)]
    if max(image.size) > 1.05 * min(image.size):
        views.append(_centre_view(image, size))
    return views


def whole_view(image: Image.Image, size: int = 224) -> torch.Tensor:
    """Return a whole RGB picture on a neutral ground as normalised pixels, [3, size, size]."""
    factor = size / max(image.size)
    width, height = (max(1, round(side * factor)) for side in image.size)
    scaled = image.resize((width, height), Image.Resampling.BICUBIC, reducing_gap=3.0)
    # 127 is the value that normalisation maps to about 0, where convolution padding sits too.
    ground = Image.new("RGB", (size, size), (127, 127, 127))
    ground.paste(scaled, ((size - width) // 2, (size - height) // 2))
    return _normalised(ground)


def _centre_view(image: Image.Image, size: int) -> torch.Tensor:
    # Cropped before scaling: a long strip must not grow to gigabytes on its way to a square.
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    box = (left, top, left + side, top + side)
    cut = image.resize((size, size), Image.Resampling.BICUBIC, box=box, reducing_gap=3.0)
    return _normalised(cut)


def _normalised(image: Image.Image) -> torch.Tensor:
    values = torch.from_numpy(np.asarray(image, dtype=np.float32) / 255.0)
    return values.permute(2, 0, 1).sub(MEAN).div(STD)


class VisionTower(nn.Module):
    """EfficientNet-Lite0, read at several depths."""

    FIRST_LEVEL = 2  # stages before this one see only edges
    GRID = 3

    def __init__(self, trunk: nn.Module) -> None:
        """Take timm's `tf_efficientnet_lite0`, its weights loaded."""
        super().__init__()
        # Folded and with channels last, it answers in about half the time.
        self.trunk = fold_batch_norm(trunk.eval()).to(memory_format=torch.channels_last)

    def forward(self, pixels: torch.Tensor) -> VisionOutput:
        """Run normalised pixels, float32 [n, 3, side, side]."""
        trunk: Any = self.trunk
        state = trunk.bn1(trunk.conv_stem(pixels.contiguous(memory_format=torch.channels_last)))
        levels = []
        for depth, stage in enumerate(trunk.blocks):
            state = stage(state)
            if depth >= self.FIRST_LEVEL:
                levels.append(state.mean((2, 3)))
        top = trunk.bn2(trunk.conv_head(state)).mean((2, 3))  # [n, 1280]
        grid = F.adaptive_avg_pool2d(state, self.GRID).flatten(2).transpose(1, 2)
        probabilities = trunk.classifier(top).softmax(-1)
        return VisionOutput(torch.cat([*levels, top], dim=1), grid, probabilities)


def fold_batch_norm(module: nn.Module) -> nn.Module:
    """Multiply each batch normalisation into the convolution before it; changes the module."""
    children = dict(module.named_children())
    for child in children.values():
        fold_batch_norm(child)
    for (name, conv), (after, norm) in pairwise(children.items()):
        if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            setattr(module, name, fuse_conv_bn_eval(conv.eval(), norm.eval()))
            # timm's normalisation layers hold the activation that follows.
            setattr(module, after, getattr(norm, "act", nn.Identity()))
    return module


# The head.


class Head(nn.Module):
    """Everything of `mini` that we trained on pictures.

    A picture's features are one row: channel means [2024], the grid [9 * 320], and its ConSE vector
    [dim]. The image embedding adds two sources:

    * ConSE, the mean of centred class vectors by probability, at the length it comes out with: long
      where the classifier is sure, short where it hesitates, as it does before drawings;
    * a projection of the channel means, of length `project_weight`.

    A fused embedding adds three: the text tower's state with the image tokens among its words, the
    image embedding, and the text embedding, with learned weights.
    """

    POOLED = 2024
    PATCHES = VisionTower.GRID**2
    PATCH = 320
    GLOBAL = 3
    TOKENS = PATCHES + GLOBAL

    mu: torch.Tensor
    class_vectors: torch.Tensor
    pooled_mean: torch.Tensor
    pooled_scale: torch.Tensor
    project_weight: torch.Tensor

    def __init__(self, dim: int, hidden: int, top_t: int) -> None:
        """Lay out the parameters.

        Args:
            dim: length of an embedding, and of the text tower's word vectors.
            hidden: width of the projection's inner layer.
            top_t: how many classes ConSE averages.
        """
        super().__init__()
        self.dim, self.top_t = dim, top_t
        self.register_buffer("mu", torch.zeros(dim))
        self.register_buffer("class_vectors", torch.zeros(1000, dim))
        self.register_buffer("pooled_mean", torch.zeros(self.POOLED))
        self.register_buffer("pooled_scale", torch.ones(self.POOLED))
        self.register_buffer("project_weight", torch.tensor(1.0))
        self.inner = nn.Linear(self.POOLED, hidden)
        self.project = nn.Linear(hidden, dim)
        self.patch = nn.Linear(self.PATCH, dim)
        self.place = nn.Parameter(torch.zeros(self.PATCHES, dim))
        self.whole = nn.Linear(hidden, self.GLOBAL * dim)
        self.mix = nn.Parameter(torch.tensor([1.0, 1.0, 1.0]))

    def centred(self, states: torch.Tensor) -> torch.Tensor:
        """Take the mean text vector out of the tower's vectors: [n, dim] -> [n, dim]."""
        return F.normalize(F.normalize(states, dim=-1) - self.mu, dim=-1)

    def features(self, seen: VisionOutput, views: Sequence[int]) -> torch.Tensor:
        """Return one row a picture, [n, POOLED + PATCHES * PATCH + dim].

        Args:
            seen: the vision tower's output for all views of all pictures, in order.
            views: how many views each picture has; means are averaged, the grid is the first's.
        """
        rows = []
        starts = np.cumsum([0, *views])
        for start, end in pairwise(starts):
            conse = self.conse(seen.probabilities[start:end].mean(0, keepdim=True))[0]
            pooled = seen.pooled[start:end].mean(0)
            rows.append(torch.cat([pooled, seen.grid[start].flatten(), conse]))
        return torch.stack(rows)

    def conse(self, probabilities: torch.Tensor) -> torch.Tensor:
        """Return ConSE's vectors, not of unit length: [n, 1000] -> [n, dim]."""
        top, classes = probabilities.topk(self.top_t, dim=-1)
        weights = top / top.sum(-1, keepdim=True)  # the paper's normaliser Z
        return (weights[..., None] * self.class_vectors[classes]).sum(1)

    def hidden(self, features: torch.Tensor) -> torch.Tensor:
        """Return the projection's inner layer, [n, hidden]."""
        pooled = (features[:, : self.POOLED] - self.pooled_mean) / self.pooled_scale
        return F.gelu(self.inner(pooled))

    def image_vectors(self, features: torch.Tensor) -> torch.Tensor:
        """Return unit vectors of pictures, [n, dim]."""
        projected = F.normalize(self.project(self.hidden(features)), dim=-1)
        return F.normalize(features[:, -self.dim :] + self.project_weight * projected, dim=-1)

    def tokens(self, features: torch.Tensor) -> torch.Tensor:
        """Return image tokens in the space of word vectors, [n, TOKENS, dim].

        The first `PATCHES` are the picture's grid by rows, the rest are of the picture as a whole.
        """
        grid = features[:, self.POOLED : -self.dim].unflatten(1, (self.PATCHES, self.PATCH))
        whole = self.whole(self.hidden(features)).unflatten(1, (self.GLOBAL, self.dim))
        return torch.cat([self.patch(grid) + self.place, whole], dim=1)

    def fused_vectors(
        self, states: torch.Tensor, images: torch.Tensor, texts: torch.Tensor
    ) -> torch.Tensor:
        """Return unit vectors of pairs from the tower's states and both unit vectors: [n, dim]."""
        return self.mixed(self.centred(states), images, texts)

    def mixed(
        self, centred: torch.Tensor, images: torch.Tensor, texts: torch.Tensor
    ) -> torch.Tensor:
        """The same from states that are centred already."""
        weights = F.softplus(self.mix)
        sources = torch.stack([centred, images, texts])  # [3, n, dim]
        return F.normalize((weights[:, None, None] * sources).sum(0), dim=-1)


def _stacked(features: Sequence[Features | None], device: str) -> torch.Tensor:
    """Return rows of features as one tensor, [n, width]; [0, 0] of none."""
    rows = [torch.tensor(row) for row in features if row is not None]
    return (torch.stack(rows) if rows else torch.empty(0, 0)).to(device)


# Loading.


def _load_text_tower(path: Path, config: dict[str, Any]) -> nn.Module:
    with torch.device("meta"):
        tower = BertModel(BertConfig(**config["bert"]), add_pooling_layer=False)
    fill(tower, load_packed(path, "text-*.safetensors"), "text-*.safetensors")
    fill_counters(tower.embeddings, tower.config.max_position_embeddings)
    check_filled(tower)
    return tower


def _load_vision_tower(path: Path, config: dict[str, Any]) -> VisionTower:
    with torch.device("meta"):
        trunk = timm.create_model(config["timm_model"], pretrained=False)
    fill(trunk, load_packed(path, "vision.safetensors"), "vision.safetensors")
    check_filled(trunk)
    return VisionTower(trunk)


def _load_head(path: Path, config: dict[str, Any]) -> Head:
    with torch.device("meta"):
        head = Head(config["dim"], config["hidden"], config["top_t"])
    fill(head, load_packed(path, "head.safetensors"), "head.safetensors")
    check_filled(head)
    return head
