"""What a checkpoint says its temperature is, and what of that can be computed with."""

from __future__ import annotations

from mmdemo.errors import ModelError

CLIP_MOST = 100.0
"""The training of CLIP never lets its scale exceed this (Radford et al. 2021, section 2.5)."""

_RANGE = (1.0, 1000.0)
"""Published scales lie between 10 (where training begins) and 120 (SigLIP). Below 1, all labels
come out as likely as each other, whatever is in the picture."""

_MOST_BIAS = 100.0
"""Published are -10 (where training begins) to -17. Far below, nothing ever matches."""


def checked_scale(scale: float, name: str, most: float = _RANGE[1]) -> float:
    """Return a scale, the inverse of a temperature, if probabilities can come of it.

    Args:
        scale: what cosines are multiplied with.
        name: of the model's folder, for the message.
        most: where the scale would be larger, it is this.

    Raises:
        ModelError: it is no number, or so large or small that it says nothing: written as itself
            where its logarithm belongs, perhaps.
    """
    capped = most if most < scale else scale
    if not _RANGE[0] <= capped <= _RANGE[1]:
        raise ModelError(
            f"The weights in '{name}' have a logit_scale (or temperature) of which no "
            f"probabilities come: cosines would be multiplied with {scale:.3g}. It takes a number "
            f"from {_RANGE[0]:g} to {_RANGE[1]:g}; CLIP and SigLIP save its logarithm. Fetch the "
            "weights again from where they were published.",
            "senseless_scale",
            name=name,
            scale=f"{scale:.3g}",
            least=f"{_RANGE[0]:g}",
            most=f"{_RANGE[1]:g}",
        )
    return capped


def checked_bias(bias: float, name: str) -> float:
    """Return what SigLIP adds to its scaled cosines, if probabilities can come of it.

    Raises:
        ModelError: it is no number, or a huge one.
    """
    if not abs(bias) <= _MOST_BIAS:
        raise ModelError(
            f"The weights in '{name}' have a logit_bias of {bias:.3g}, of which no probabilities "
            "come. Fetch them again from where they were published.",
            "senseless_bias",
            name=name,
            bias=f"{bias:.3g}",
        )
    return bias
