"""From the colours that a picture's profile means to those of a screen, sRGB.

A picture of a camera or a phone may mean other colours by its numbers than a screen does: read as
sRGB, those of ProPhoto are pale, by 17 to 24 of 255.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from PIL import Image, ImageCms

_SPACES = {"RGB": "RGB ", "L": "GRAY", "CMYK": "CMYK", "LAB": "Lab "}
"""Which profiles go with a mode, by the colour space that they are of."""

_INTENT = ImageCms.Intent.PERCEPTUAL
"""What viewers take. Cameras' and screens' profiles are matrices, for which all intents are one; of
those for print this is the one that is made for pictures."""

# Colours are sRGB already where they change by no more than roundings do.
_SAME = 2
_STEPS = 9

# Of PNG's gAMA and cHRM, which mean sRGB where they are about its own.
_GAMMA = 1 / 2.2
_PRIMARIES = (0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
_NEAR = 0.01

TOLD_BY = ("icc_profile", "gamma", "chromaticity", "srgb")
"""Keys of `Image.info` that say what colours are meant."""


def in_srgb(picture: Image.Image) -> Image.Image:
    """Return a picture in sRGB by what it says of its colours.

    One that means sRGB anyway is returned as it is, and so is one whose profile is broken, or is
    of another colour space than its mode.

    Args:
        picture: loaded; of mode RGB, L, CMYK or LAB, which have nothing transparent.

    Returns:
        The picture, or one of mode RGB.
    """
    profile = _profile(picture)
    if profile is None or not _changes(profile, picture.mode):
        return picture
    try:
        # One for each picture: threads share nothing.
        converted = _transform(profile, picture.mode).apply(picture)
    except (ImageCms.PyCMSError, OSError, ValueError):
        return picture
    converted.info.pop("icc_profile", None)
    return converted


def _profile(picture: Image.Image) -> bytes | None:
    """Return the profile of a picture: its own, or what a PNG says in numbers."""
    profile = picture.info.get("icc_profile")
    if profile:
        return profile if isinstance(profile, bytes) else None
    if picture.info.get("srgb") is not None:
        return None
    gamma = picture.info.get("gamma")
    corners = picture.info.get("chromaticity") if picture.mode == "RGB" else None
    try:
        return _by_numbers(gamma, corners or _PRIMARIES, picture.mode)
    except (ValueError, TypeError, ZeroDivisionError, np.linalg.LinAlgError, struct.error):
        return None


def _by_numbers(gamma: Any, corners: Sequence[float], mode: str) -> bytes | None:
    if gamma is None or gamma <= 0 or mode not in ("RGB", "L"):
        return None
    if abs(gamma - _GAMMA) < _NEAR and _near(corners, _PRIMARIES):
        return None
    return described(1 / gamma, corners if mode == "RGB" else None)


def _near(some: Sequence[float], others: Sequence[float]) -> bool:
    return all(abs(one - other) < _NEAR for one, other in zip(some, others, strict=False))


def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform:
    return ImageCms.ImageCmsTransform(
        ImageCms.ImageCmsProfile(io.BytesIO(profile)),
        ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")),
        mode,
        "RGB",
        _INTENT,
    )


@lru_cache(maxsize=32)
def _changes(profile: bytes, mode: str) -> bool:
    """Say whether a profile can be used for a mode, and moves any of its colours."""
    try:
        known: Any = ImageCms.ImageCmsProfile(io.BytesIO(profile)).profile
        if known.xcolor_space != _SPACES.get(mode):
            return False
        colours = _colours(mode)
        found = _transform(profile, mode).apply(colours)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return False
    if mode not in ("RGB", "L"):
        return True
    before = np.asarray(colours.convert("RGB")).astype(np.int16)
    return bool(np.abs(np.asarray(found).astype(np.int16) - before).max() > _SAME)


def _colours(mode: str) -> Image.Image:
    """Return a picture of colours from everywhere in a mode."""
    if mode == "L":
        return Image.fromarray(np.arange(256, dtype=np.uint8)[None])
    steps = np.linspace(0, 255, _STEPS).astype(np.uint8)
    bands = len(Image.new(mode, (1, 1)).getbands())
    grid = np.stack(np.meshgrid(*[steps] * bands), axis=-1).reshape(1, -1, bands)
    bands_of = [Image.fromarray(np.ascontiguousarray(grid[..., band])) for band in range(bands)]
    return Image.merge(mode, bands_of)


# Profiles from numbers.


def described(exponent: float, corners: Sequence[float] | None = None) -> bytes:
    """Return a profile by numbers: ICC.1:2001-04, a matrix and a curve.

    Args:
        exponent: light is the number to this power.
        corners: CIE 1931 x and y of white, red, green and blue; None for grey.

    Raises:
        ValueError: no such colours exist.
    """
    curve = b"curv" + struct.pack(">IIH2x", 0, 1, min(round(exponent * 256), 65535))
    tags = {b"wtpt": _xyz(_D50)}
    if corners is None:
        space = b"GRAY"
        tags[b"kTRC"] = curve
    else:
        space = b"RGB "
        for name, column in zip((b"r", b"g", b"b"), _columns(corners).T, strict=True):
            tags |= {name + b"XYZ": _xyz(column), name + b"TRC": curve}
    start, body, table = 128 + 4 + 12 * len(tags), b"", struct.pack(">I", len(tags))
    for name, value in tags.items():
        table += name + struct.pack(">II", start + len(body), len(value))
        body += value
    head = struct.pack(">I4xI4s4s4s", start + len(body), 0x02400000, b"mntr", space, b"XYZ ")
    head += bytes(12) + b"acsp" + bytes(28) + struct.pack(">3i", *_fixed(_D50))
    return head.ljust(128, b"\0") + table + body


_D50 = np.array([0.9642, 1.0, 0.8249])
# From cones' answers to the light of one white to those of another (Bradford: Lam 1985).
_CONES = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


def _columns(corners: Sequence[float]) -> np.ndarray:
    """Return XYZ of red, green and blue as columns, [3, 3], under the white of profiles, D50."""
    white, *colours = (
        np.array([x / y, 1.0, (1 - x - y) / y])
        for x, y in zip(corners[::2], corners[1::2], strict=True)
    )
    primaries = np.stack(colours, axis=1)
    columns = primaries * np.linalg.solve(primaries, white)
    gains = (_CONES @ _D50) / (_CONES @ white)
    adapted = np.linalg.inv(_CONES) @ np.diag(gains) @ _CONES @ columns
    if not np.isfinite(adapted).all() or np.abs(adapted).max() > 4:
        raise ValueError("no colours of any screen")
    return adapted


def _fixed(values: Sequence[float] | np.ndarray) -> list[int]:
    return [round(float(value) * 65536) for value in values]


def _xyz(values: np.ndarray) -> bytes:
    return b"XYZ " + struct.pack(">I3i", 0, *_fixed(values))
