"""`mini`, and what it is measured against: its first version, ConSE alone, ablations, seeds.

All share the towers, so that a picture goes through the vision tower once for the whole table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from safetensors.torch import load_file
from timm.data.imagenet_info import ImageNetInfo
from torch.nn import functional as F

from mmdemo.encoders.mini.model import Head, Mini, VisionOutput, text_states, views_of
from mmdemo.encoders.parts.tokens import padded
from training.train_head import HIDDEN, SHIPPED_SEED, TOP_T

FIRST_VERSION_FUSION = (0.6, 0.4)
FIRST_VERSION_TOP_T = 10


@dataclass(frozen=True, eq=False)
class Seen:
    """What the vision tower said about n pictures, view by view."""

    output: VisionOutput
    views: list[int]


@dataclass(frozen=True, eq=False)
class Variant:
    """One row of the table.

    Attributes:
        name: what is different.
        encoder: for its towers and its tokenizer.
        head: the head in use.
        late: weights of image and text in a late fusion, or None for the head's own fusion.
        languages: what the text side reads.
    """

    name: str
    encoder: Mini
    head: Head
    late: tuple[float, float] | None = None
    languages: tuple[str, ...] = ("en", "zh")

    @torch.inference_mode()
    def images(self, seen: Seen) -> torch.Tensor:
        """Return unit vectors of pictures, [n, dim]."""
        return self.head.image_vectors(self._rows(seen))

    @torch.inference_mode()
    def texts(self, texts: Sequence[str]) -> torch.Tensor:
        """Return unit vectors of texts, [n, dim], in batches of similar length."""
        order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
        vectors = torch.empty(len(texts), self.head.dim)
        for start in range(0, len(order), 128):
            chosen = order[start : start + 128]
            states = states_of(self.encoder, [texts[index] for index in chosen])
            vectors[chosen] = self.head.centred(states)
        return vectors

    @torch.inference_mode()
    def fused(self, seen: Seen, chosen: Sequence[int], texts: Sequence[str]) -> torch.Tensor:
        """Return unit vectors of some of the pictures, each with a text, [len(chosen), dim]."""
        rows = self._rows(seen)[torch.tensor(chosen)]
        words = self.texts(texts)
        if self.late:
            pictures = self.images(seen)[torch.tensor(chosen)]
            return F.normalize(self.late[0] * pictures + self.late[1] * words, dim=-1)
        blocks = []
        for start in range(0, len(texts), 64):
            end = start + 64
            own = rows[start:end]
            blocks.append(self.encoder.fuse(self.head, own, texts[start:end], words[start:end]))
        return torch.cat(blocks)

    def _rows(self, seen: Seen) -> torch.Tensor:
        return self.head.features(seen.output, seen.views)


def states_of(encoder: Mini, texts: Sequence[str]) -> torch.Tensor:
    """Return the text tower's own vector of each text, [n, dim]."""
    return text_states(encoder.text_tower, *padded(encoder.read_texts(texts), 0))


@torch.inference_mode()
def look(encoder: Mini, pictures: Sequence[Image.Image]) -> Seen:
    """Run pictures through the vision tower, a few at a time."""
    views = [views_of(picture, encoder.image_size) for picture in pictures]
    pixels = [view for own in views for view in own]
    parts = [
        encoder.vision_tower(torch.stack(pixels[start : start + 4]))
        for start in range(0, len(pixels), 4)
    ]
    output = VisionOutput(*(torch.cat(column) for column in zip(*parts, strict=True)))
    return Seen(output, [len(own) for own in views])


def variants(encoder: Mini, work: Path | None) -> list[Variant]:
    """Return the rows of the table; those that were trained for it only where `work` has them."""
    shipped = encoder.head
    found = [
        Variant("first version", encoder, first_head(encoder), FIRST_VERSION_FUSION, ("en",)),
        Variant("ConSE alone", encoder, conse_head(shipped), FIRST_VERSION_FUSION),
        Variant("projection alone", encoder, projection_head(shipped), FIRST_VERSION_FUSION),
        Variant("mini", encoder, shipped),
        Variant("late fusion, 0.6 and 0.4", encoder, shipped, FIRST_VERSION_FUSION),
        Variant("late fusion, even", encoder, shipped, (0.5, 0.5)),
    ]
    names = {
        "sums": "tokens alone (seed 0)",
        "grounds": "without grounds (seed 0)",
        "chinese": "without Chinese captions (seed 0)",
    }
    if work:
        for part, name in names.items():
            file = work / f"head-0-{part}.safetensors"
            if file.is_file():
                found.append(Variant(name, encoder, read_head(file)))
        for seed in (0, 1, 2):
            file = work / f"head-{seed}.safetensors"
            if file.is_file() and seed != SHIPPED_SEED:
                found.append(Variant(f"mini, seed {seed}", encoder, read_head(file)))
    return found


def read_head(file: Path) -> Head:
    """Read a head that `training.train_head` wrote, at the precision that ships."""
    weights = {name: tensor.half().float() for name, tensor in load_file(file).items()}
    head = Head(weights["mu"].shape[0], HIDDEN, TOP_T)
    head.load_state_dict(weights)
    return head.eval().requires_grad_(requires_grad=False)


def conse_head(shipped: Head) -> Head:
    """Return a head with nothing but ConSE."""
    head = _copied(shipped)
    head.project_weight.zero_()
    return head


def projection_head(shipped: Head) -> Head:
    """Return a head without ConSE; the projection was trained without it anyway."""
    head = _copied(shipped)
    head.class_vectors.zero_()
    return head


def first_head(encoder: Mini) -> Head:
    """Return ConSE as the first version had it: plain means of class names, ten classes."""
    head = _copied(encoder.head)
    head.project_weight.zero_()
    head.top_t = FIRST_VERSION_TOP_T
    info = ImageNetInfo()
    rows = []
    for index in range(1000):
        names = [name.strip() for name in info.index_to_description(index).split(",")]
        with torch.inference_mode():
            states = states_of(encoder, names)
            rows.append(F.normalize(F.normalize(states, dim=-1).mean(0), dim=0))
    vectors = torch.stack(rows)
    head.mu = vectors.mean(0)
    head.class_vectors = vectors - head.mu
    return head


def _copied(head: Head) -> Head:
    state: dict[str, Any] = {name: tensor.clone() for name, tensor in head.state_dict().items()}
    copy = Head(head.dim, head.inner.out_features, head.top_t)
    copy.load_state_dict(state)
    return copy.eval().requires_grad_(requires_grad=False)
