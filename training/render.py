"""Draw training pictures: shapes in named colours, cut-outs on grounds, two things side by side."""

from __future__ import annotations

import io
import random
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import resvg_py
from PIL import Image, ImageFilter

from training.captioned import Captioned, icon_park_svg

SIDE = 224
_RASTER = 192
_PIXELS = 12_000_000  # clip art of hundreds of megapixels takes seconds and shows no more

COLOURS: dict[str, tuple[str, tuple[int, int, int]]] = {
    "red": ("红色", (222, 48, 44)),
    "orange": ("橙色", (250, 140, 16)),
    "yellow": ("黄色", (250, 214, 40)),
    "green": ("绿色", (52, 160, 66)),
    "blue": ("蓝色", (30, 104, 220)),
    "light blue": ("浅蓝色", (120, 205, 250)),
    "purple": ("紫色", (140, 44, 168)),
    "pink": ("粉色", (244, 120, 170)),
    "brown": ("棕色", (122, 78, 52)),
    "black": ("黑色", (18, 18, 18)),
    "grey": ("灰色", (140, 140, 140)),
    "white": ("白色", (250, 250, 250)),
}
"""Chinese name and sRGB value of each colour that shapes are drawn in."""

_GROUNDS = ("white", "light", "solid", "dark", "gradient", "scene")
_SHARES = (0.5, 0.14, 0.1, 0.06, 0.08, 0.12)


@lru_cache(maxsize=256)
def raster(row: Captioned) -> Image.Image:
    """Return a picture with its transparency, RGBA, its longest side `_RASTER` pixels.

    Raises:
        ValueError: a drawing that cannot be rendered, or is empty.
    """
    if row.file.suffix == ".png":
        image = _opened(row.file)
    else:
        drawing = (
            icon_park_svg(row.file) if row.file.suffix == ".js" else row.file.read_text("utf-8")
        )
        data = resvg_py.svg_to_bytes(
            svg_string=drawing.replace("currentColor", "#000000"),
            width=_RASTER,
            skip_system_fonts=True,
        )
        image = Image.open(io.BytesIO(data)).convert("RGBA")
    box = image.getchannel("A").getbbox()
    if box is None:
        raise ValueError(f"{row.file} draws nothing.")
    image = image.crop(box)
    factor = _RASTER / max(image.size)
    return _scaled(image, factor)


def _scaled(image: Image.Image, factor: float) -> Image.Image:
    width, height = (max(1, round(side * factor)) for side in image.size)
    return image.resize((width, height), Image.Resampling.BICUBIC)


def _opened(file: Path) -> Image.Image:
    try:
        with Image.open(file) as opened:
            if opened.width * opened.height > _PIXELS:
                raise ValueError(f"{file} is too large.")
            return opened.convert("RGBA")
    except Image.DecompressionBombError as error:
        raise ValueError(f"{file} is too large.") from error


def tinted(shape: Image.Image, colour: str, draw: random.Random) -> Image.Image:
    """Return a shape filled with a named colour, a little off its exact value."""
    exact = COLOURS[colour][1]
    value = tuple(max(0, min(255, part + draw.randint(-14, 14))) for part in exact)
    return _filled(shape, value)


def exactly_tinted(shape: Image.Image, colour: str) -> Image.Image:
    """Return a shape filled with a named colour."""
    return _filled(shape, COLOURS[colour][1])


def _filled(shape: Image.Image, value: tuple[int, ...]) -> Image.Image:
    filled = Image.new("RGBA", shape.size, (*value, 255))
    filled.putalpha(shape.getchannel("A"))
    return filled


def on_ground(things: Sequence[Image.Image], draw: random.Random, *, plain: bool) -> Image.Image:
    """Return one or two things on a ground, RGB [224, 224].

    Args:
        things: RGBA; the second of two stands right of the first.
        draw: source of chance.
        plain: large, in the middle, on white, unless the thing would vanish there.
    """
    lightness = [_lightness(thing) for thing in things]
    name = "white" if plain else draw.choices(_GROUNDS, _SHARES)[0]
    if min(abs(lightness[0] - 1.0), abs(lightness[-1] - 1.0)) < 0.12 and name in ("white", "light"):
        name = "dark"
    ground = _ground(name, draw)
    if abs(float(np.asarray(ground.convert("L")).mean()) / 255 - lightness[0]) < 0.12:
        ground = _ground("dark" if lightness[0] > 0.5 else "white", draw)
    share = 0.9 if plain else draw.uniform(0.45, 0.98)
    if len(things) == 2:
        share = min(share, 0.9) / 2
    for index, thing in enumerate(things):
        factor = share * SIDE / max(thing.size)
        small = _scaled(thing, factor)
        ground.paste(small, _place(small, index, len(things), draw, plain), small)
    return ground


def _place(
    small: Image.Image, index: int, count: int, draw: random.Random, plain: bool
) -> tuple[int, int]:
    width = SIDE // count
    spare = [max(0, width - small.width), max(0, SIDE - small.height)]
    at = [part // 2 if plain else draw.randint(0, part) for part in spare]
    return index * width + at[0], at[1]


def _lightness(thing: Image.Image) -> float:
    pixels = np.asarray(thing.convert("LA"), dtype=np.float32)
    alpha = pixels[..., 1]
    return float((pixels[..., 0] * alpha).sum() / max(alpha.sum(), 1.0) / 255)


def _ground(name: str, draw: random.Random) -> Image.Image:
    if name == "white":
        return Image.new("RGB", (SIDE, SIDE), (255, 255, 255))
    if name == "scene":
        return _scene(draw)
    low, high = {"light": (205, 250), "dark": (0, 60)}.get(name, (0, 255))
    colours = [tuple(draw.randint(low, high) for _ in range(3)) for _ in range(2)]
    if name != "gradient":
        return Image.new("RGB", (SIDE, SIDE), colours[0])
    corners = np.array([colours[0], colours[0], colours[1], colours[1]], dtype=np.uint8)
    return Image.fromarray(corners.reshape(2, 2, 3)).resize((SIDE, SIDE), Image.Resampling.BILINEAR)


def _scene(draw: random.Random) -> Image.Image:
    """Return soft patches of related colours, as a photo's ground out of focus has them."""
    random_of = np.random.default_rng(draw.randint(0, 2**31))
    base = random_of.uniform(30, 225, 3)
    image = np.zeros((SIDE, SIDE, 3), dtype=np.float32)
    for cells, strength in ((3, 60), (8, 35), (24, 18)):
        noise = random_of.normal(0, strength, (cells, cells, 3)).astype(np.float32)
        # Patches differ more in lightness than in hue.
        noise = noise.mean(2, keepdims=True) + 0.3 * noise
        planes = [
            np.asarray(
                Image.fromarray(noise[..., c]).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
            )
            for c in range(3)
        ]
        image += np.stack(planes, axis=2)
    pixels = np.clip(image + base, 0, 255).astype(np.uint8)
    return Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(draw.uniform(0, 3)))
