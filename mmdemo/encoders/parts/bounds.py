"""How large a model may be that a stranger's configuration describes.

Whoever may name a repository of the hub decides what its `config.json` says. Most sizes are those
of tensors, which the checkpoint must hold; but a network is built before its weights are compared,
and some sizes cost time or memory without having a tensor. So they are bounded before anything is
built, well above the largest published models of these architectures.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmdemo.errors import ModelError

LARGEST_PICTURE = 1024
"""Pixels a side of what a vision tower reads; the largest published take 600."""

_LARGEST: dict[str, int] = {
    # Layers are built one by one, whether there are weights for them or not.
    **dict.fromkeys(("num_hidden_layers", "depth"), 128),
    "num_block_repeats": 16,
    "depth_coefficient": 4,
    "num_attention_heads": 256,
    "num_heads": 256,
    "kernel_sizes": 31,
    **dict.fromkeys(("hidden_size", "intermediate_size", "projection_dim", "embed_dim"), 65_536),
    **dict.fromkeys(("projection_size", "image_text_hidden_size"), 65_536),
    "max_position_embeddings": 16_384,
    **dict.fromkeys(("image_size", "img_size"), LARGEST_PICTURE),
    "logit_scale_init_value": 100,
}
_AT_LEAST_ONE = frozenset(
    {"num_hidden_layers", "num_attention_heads", "hidden_size"}
    | {"intermediate_size", "image_size", "img_size", "patch_size"}
)
"""Of these, libraries take 0 or less too, and build something else, or fail at the first text."""

_LARGEST_OTHER = 1_000_000  # vocabularies have up to 256,000 tokens
_LONGEST_LIST = 32
_PATCHES_A_SIDE = 64  # attention grows with the fourth power of it; published are up to 32


def size_of(config: Mapping[str, Any], name: str, fallback: int) -> int:
    """Return a size of a configuration, or the fallback where it is not there.

    Raises:
        ModelError: it is no whole number above 0, or too large.
    """
    value = config.get(name)
    if value is None:
        return fallback
    check_sizes({name: value})
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise _no_size(name)
    return value


def _no_size(name: str) -> ModelError:
    return ModelError(
        f"The config.json has no size where '{name}' stands: it takes a whole number above 0. "
        "Fetch it again from where it was published.",
        "broken_sizes",
        entry=name,
    )


def check_sizes(config: Mapping[str, Any], largest_other: int = _LARGEST_OTHER) -> None:
    """Make sure that nothing in a configuration is larger than any model that is shown here.

    Nor smaller: a model has a layer at least.

    Args:
        config: a JSON object; all levels are looked at.
        largest_other: the bound on numbers that have none of their own.

    Raises:
        ModelError: something is; the message names it.
    """
    rest: list[tuple[str, Any]] = [("", config)]
    while rest:  # no recursion: a file may be nested as deeply as it likes
        name, value = rest.pop()
        if isinstance(value, Mapping):
            _check_patches(value)
            rest += value.items()
        elif isinstance(value, list | tuple):
            _check(name, len(value), _LONGEST_LIST)
            rest += [(name, entry) for entry in value]
        elif isinstance(value, int | float):
            _check(name, value, _LARGEST.get(name, largest_other))
            if name in _AT_LEAST_ONE and value < 1:
                raise _no_size(name)


def _check_patches(config: Mapping[str, Any]) -> None:
    picture = config.get("image_size", config.get("img_size", 224))
    patch = config.get("patch_size")
    if isinstance(picture, int) and isinstance(patch, int) and picture > 0:
        _check("image_size / patch_size", picture // max(patch, 1), _PATCHES_A_SIDE)


def _check(name: str, value: float, largest: int) -> None:
    if not -largest <= value <= largest:  # so that NaN is refused too
        told = _short(value)
        raise ModelError(
            f"The configuration of this model asks for more than can be shown here: {name[:40]} is "
            f"{told}, the most is {largest}. Fetch it again from where it was published, or "
            "take a smaller model.",
            "sizes_too_large",
            entry=name[:40],
            value=told,
            largest=largest,
        )


def _short(value: float) -> str:
    """Return a number in a few signs; a whole one may be too large for any float."""
    try:
        return f"{value:.6g}"
    except OverflowError:
        return f"{'-' if value < 0 else ''}1e{len(str(abs(value))) - 1}"
