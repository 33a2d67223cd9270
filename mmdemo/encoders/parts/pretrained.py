"""A directory as transformers writes it: a network with its weights, a tokenizer, a picture reader.

`from_pretrained` is not used for the network: it only warns where weights are missing and goes on
with random ones, copies what it reads, and lets a configuration name code that is then fetched.
Here every weight comes from the file, memory-mapped, and nothing comes from a network.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch.nn import LayerNorm
from transformers import AutoImageProcessor

from mmdemo.encoders.base import Model, Prepared, Tokens
from mmdemo.encoders.parts.bounds import LARGEST_PICTURE, check_sizes
from mmdemo.encoders.parts.checkpoint import check_filled, fill, read_weights
from mmdemo.encoders.parts.saved_files import read_json, reader_files
from mmdemo.encoders.parts.tokens import Piece, Written, padded, typed_pieces, usage_of
from mmdemo.encoders.parts.vocabulary import load_tokenizer
from mmdemo.errors import ModelError
from mmdemo.images import centre_strip, to_rgb
from mmdemo.types import TokenUsage

_RANGE = (0.5, 6.0)
"""From black to white: 1 in models that do not normalise, 2 in SigLIP, 3.9 in CLIP."""

_LONGEST_STRIP = 64
"""Ratio of sides up to which a picture is resized whole; `settings.py` accepts up to 50."""


def load_network(network: Any, config: Any, folder: Path, checkpoint: Path | None = None) -> Any:
    """Build a network of transformers without memory and fill it from its checkpoint.

    Args:
        network: its class.
        config: the class of its configuration.
        folder: has `config.json`, and the weights where `checkpoint` does not say otherwise.
        checkpoint: a state dict.

    Raises:
        ModelError: a file is missing, damaged, or of another architecture, or a weight is missing.
    """
    described = read_json(folder, "config.json")
    check_sizes(described)
    try:
        known = config.from_dict(described)
        # Not the file's to say: it could name code that is then fetched and run.
        known._attn_implementation = "sdpa" if network._supports_sdpa else "eager"
        for part in (known, known.text_config, known.vision_config):
            part.return_dict = True  # what is read of an output is read by its name
        with torch.device("meta"):
            built = network(known)
        if not all(isinstance(n.eps, float) for n in built.modules() if isinstance(n, LayerNorm)):
            raise ValueError("no number is added to a variance")
    except Exception as error:  # transformers checks a configuration in many ways
        raise ModelError(
            f"The config.json in '{folder.name}' describes no model that can be built. Fetch it "
            "again from where it was published.",
            "no_such_network",
            name=folder.name,
        ) from error
    weights = read_weights(folder, checkpoint)
    # What else is there is left alone, as transformers does: older versions saved counters and
    # heads that have no place any more. What is missing is an error.
    fill(built, weights.tensors, weights.name, more=True)
    _fill_counters(built)
    check_filled(built)
    return built


def _fill_counters(network: Any) -> None:
    """Give embeddings their index buffers, which no checkpoint holds.

    Empty, they would raise no error and turn everything into garbage. A buffer of another name is
    left for `check_filled` to find.
    """
    for module in network.modules():
        for name in module._non_persistent_buffers_set & {"position_ids", "token_type_ids"}:
            count = module._buffers[name].shape[-1]
            counter = torch.arange(count) if name == "position_ids" else torch.zeros(count).long()
            module._buffers[name] = counter[None]


class TextReader:
    """Texts to ids and mask, cut to a maximum. Safe to use from many threads.

    Cut by hand: SigLIP's first generation has no fast tokenizer that would cut by itself, and the
    wrapper of transformers sets how to cut at each call, for all threads.

    Attributes:
        longest: most tokens of a text, special ones included.
    """

    def __init__(
        self, folder: Path, config: Any, *, fixed_length: bool = False, lower_case: bool = False
    ) -> None:
        """Load the tokenizer.

        Args:
            folder: with the tokenizer's files.
            config: of the text encoder.
            fixed_length: whether every text is padded to the maximum.
            lower_case: whether to heed `do_lower_case` of the tokenizer's configuration here.

        Raises:
            ModelError: the files are missing, damaged, or belong to another model.
        """
        self._tokenizer: Any = load_tokenizer(folder, config)
        self._specials = self._raw_ids([""])[0]
        # CLIP calls unknown what stands at the end of every text; that of the frame is not
        # counted, and its bytes make up any other.
        self._unknown: int | None = self._tokenizer.unk_token_id
        self.longest = self._longest(folder, config.max_position_embeddings)
        self._fixed_length = fixed_length
        self._lower_case = lower_case and bool(self._tokenizer.init_kwargs.get("do_lower_case"))

    def _longest(self, folder: Path, positions: int) -> int:
        """Return how many tokens a text has at most, of which some must be its own."""
        told = self._tokenizer.model_max_length
        least = len(self._specials) + 1
        if isinstance(told, int | float) and told >= least:
            return int(min(positions, told))
        raise ModelError(
            f"The tokenizer_config.json in '{folder.name}' has a model_max_length of "
            f"{str(told)[:20]}, in which no text fits: it takes a whole number of at least "
            f"{least}. Fetch it again from where it was published.",
            "tokenizer_length",
            name=folder.name,
            value=str(told)[:20],
            least=least,
        )

    def check_end(self, folder: Path, end: Any) -> None:
        """Make sure that texts end as the configuration says, for models that read there.

        Args:
            folder: the model's.
            end: `eos_token_id` of the configuration; of CLIP's first ones 2, which means the
                token with the highest number.

        Raises:
            ModelError: they do not; each would be read where it begins, and be like all others.
        """
        if type(end) is int and (end == 2 or end in self._specials):
            return
        raise ModelError(
            f"The config.json in '{folder.name}' names {str(end)[:20]} as eos_token_id, with which "
            "the tokenizer ends no text: they belong to different models.",
            "tokenizer_end",
            name=folder.name,
            value=str(end)[:20],
        )

    def usage(self, text: str) -> TokenUsage:
        """Say how much of a text is read, and what of it is known."""
        written = self._written(text)
        read = self._read([written])
        row = read.input_ids[0]
        used, total = min(len(row), self.longest), len(row)
        if read.encodings:
            pieces = typed_pieces(Written(written), read.encodings[0], used)
        else:
            pieces = self._by_word(written)
        typed = text if len(text) == len(written) else written
        return usage_of(typed, pieces, self._unknown, used, total)

    def read(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the tokens of texts, cut to the maximum."""
        return [self._cut(row) for row in self._ids(texts)]

    def length(self, tokens: Tokens) -> int:
        """Return how long a text is in a batch."""
        return self.longest if self._fixed_length else max(len(tokens), 1)

    def batch(self, rows: Sequence[Tokens], device: str) -> dict[str, torch.Tensor]:
        """Return what the text encoder is called with.

        Args:
            rows: from `read`.
            device: where the encoder is.

        Returns:
            `input_ids` int64 [n, length], and `attention_mask` of the same shape, 1 for a token and
            0 for padding; of texts of a fixed length, where the tokenizer says that the model
            takes one.
        """
        ids, mask = padded(
            rows,
            self._tokenizer.pad_token_id or 0,
            length=max(map(self.length, rows)),
            # Positions are counted from the left: elsewhere, a text would be another in each batch.
            side=self._tokenizer.padding_side if self._fixed_length else "right",
            device=device,
        )
        # Where texts are as long as the longest of a batch, what fills up must never be read.
        if self._fixed_length and "attention_mask" not in self._tokenizer.model_input_names:
            return {"input_ids": ids}
        return {"input_ids": ids, "attention_mask": mask.long()}

    def _by_word(self, text: str) -> list[Piece]:
        """Return tokens with the word that each is of: a slow tokenizer tells no more."""
        return [
            Piece(number, *word.span())
            for word in re.finditer(r"\S+", text)
            for number in self._raw_ids([word.group()])[0]
            if number not in self._specials
        ]

    def _written(self, text: str) -> str:
        return text.lower() if self._lower_case else text

    def _ids(self, texts: Sequence[str]) -> list[list[int]]:
        return self._raw_ids([self._written(text) for text in texts])

    def _raw_ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the ids of each text, special tokens included."""
        return self._read(texts).input_ids

    def _read(self, texts: Sequence[str]) -> Any:
        """Return what the tokenizer makes of texts.

        Always with the same arguments: others would change settings that all threads share.
        """
        return self._tokenizer(list(texts), padding=False, truncation=False, verbose=False)

    def _cut(self, row: list[int]) -> list[int]:
        """Cut as the tokenizer does: a final special token stays, and words before it go."""
        if len(row) <= self.longest:
            return row
        if self._specials and row[-1] == self._specials[-1]:
            return [*row[: self.longest - 1], row[-1]]
        return row[: self.longest]


class PictureReader:
    """Pictures to pixels, by the image processor of the checkpoint.

    With torchvision, which is what transformers takes by default; its other way, through Pillow,
    rounds differently when it resizes, and moves the embeddings of small random models by 1e-3.
    """

    def __init__(self, folder: Path, size: int | None = None) -> None:
        """Load the image processor.

        Args:
            folder: with `preprocessor_config.json` or `processor_config.json`.
            size: of the square that the vision tower takes; None where it takes any.

        Raises:
            ModelError: the file is missing, damaged, or belongs to another model.
        """
        try:
            with reader_files(folder) as place:
                self._processor: Any = AutoImageProcessor.from_pretrained(
                    place, local_files_only=True, trust_remote_code=False, backend="torchvision"
                )
            # Before it makes anything of a picture: it would make what it says, of any size. Many
            # processors resize to more than the tower takes, and cut out its centre.
            check_sizes(self._processor.to_dict(), min(2 * (size or 512), LARGEST_PICTURE))
            made = self.read(Image.new("RGB", (48, 32)))
            white = self.read(Image.new("RGB", (48, 32), "white"))
            if not (made.isfinite().all() and white.isfinite().all()):
                raise ValueError("divides by zero")
            shape = tuple(made.shape)
        except ModelError:
            raise
        except Exception as error:  # whatever a damaged or missing file makes of itself
            raise ModelError(
                f"'{folder.name}' has no readable preprocessor_config.json, which says how "
                "pictures are resized and normalised.",
                "no_picture_reader",
                name=folder.name,
            ) from error
        if len(shape) != 3 or (size and shape != (3, size, size)):
            made, wanted = " x ".join(map(str, shape)), f"3 x {size} x {size}"
            raise ModelError(
                f"The preprocessor_config.json in '{folder.name}' makes pictures of {made}, "
                f"config.json wants {wanted}: they belong to different models.",
                "picture_reader_of_another",
                name=folder.name,
                made=made,
                wanted=wanted,
            )
        _check_range(folder, white - made)

    def read(self, image: Image.Image) -> torch.Tensor:
        """Return float32 [3, height, width] for an RGB picture of any size.

        A very long one is cut where its short side decides the size: what is cut away is far
        outside of the square that is cut out after resizing.
        """
        by_short_side = getattr(self._processor.size, "shortest_edge", None) is not None
        whole = centre_strip(image, _LONGEST_STRIP) if by_short_side else image
        return self._processor(whole, return_tensors="pt").pixel_values[0]


def _check_range(folder: Path, range_: torch.Tensor) -> None:
    """Make sure that pictures become numbers of the size that a vision tower is trained with.

    Args:
        folder: the model's.
        range_: from black to white.

    Raises:
        ModelError: they do not: of another scale, or dark for light.
    """
    least, most = float(range_.min()), float(range_.max())
    if _RANGE[0] <= least and most <= _RANGE[1]:
        return
    told = f"{least:.3g}" if least == most else f"{least:.3g} … {most:.3g}"
    raise ModelError(
        f"The preprocessor_config.json in '{folder.name}' puts {told} between black and white, "
        f"where models have {_RANGE[0]:g} to {_RANGE[1]:g}: rescale_factor, image_mean and "
        "image_std do not go together. Fetch it again from where it was published.",
        "picture_reader_range",
        name=folder.name,
        range=told,
        least=f"{_RANGE[0]:g}",
        most=f"{_RANGE[1]:g}",
    )


class SavedModel(Model):
    """A model as transformers saves it: one network, which reads texts and pictures apart."""

    _network: Any
    _texts: TextReader
    _pictures: PictureReader

    def networks(self) -> list[torch.nn.Module]:
        """Return the one network, with all its towers and heads."""
        return [self._network]

    def read_texts(self, texts: Sequence[str], *, beside: bool = False) -> list[list[int]]:
        """Return the tokens of texts; a picture takes no room away from them."""
        return self._texts.read(texts)

    def read_picture(self, image: Image.Image) -> torch.Tensor:
        """Return what the vision tower takes, float32 [3, height, width]."""
        return self._pictures.read(to_rgb(image))

    def length(self, item: Prepared) -> int:
        """Return how long an item's text is in a batch."""
        return 1 if item.tokens is None else self._texts.length(item.tokens)

    def token_usage(self, text: str, *, with_image: bool = False) -> TokenUsage:
        """Say how much of a text is read; a picture takes no room away from it."""
        return self._texts.usage(text)
