"""A picture as a person sees it: upright, on white, RGB."""

from __future__ import annotations

import io
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageCms, ImageOps

from mmdemo.types import Note


class Seen(NamedTuple):
    """A picture as it is shown, and what a reader of numbers of it should know.

    Attributes:
        image: loaded.
        notes: such as that only the first of its pages is looked at.
    """

    image: Image.Image
    notes: tuple[Note, ...] = ()


def to_rgb(picture: Image.Image) -> Image.Image:
    """Return the picture as a person sees it: upright, on white, RGB.

    An RGB picture without orientation is returned as it is, so calling this twice is harmless.

    Args:
        picture: any mode that Pillow can hold.

    Returns:
        Mode RGB. Transparency is composited on white. 16-bit grey is scaled by 1/257; floats
        within 0..1 by 255, other floats from their range to 0..255. CMYK goes through its embedded
        colour profile where there is one.
    """
    picture = _upright(picture)
    if picture.mode == "RGB" and not picture.has_transparency_data:
        return picture
    if picture.mode.startswith(("I", "F")):
        return _wide_grey(picture)
    if picture.has_transparency_data:
        layer = picture.convert("RGBA")
        white = Image.new("RGBA", layer.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, layer).convert("RGB")
    if picture.mode == "CMYK":
        return _cmyk(picture)
    return picture.convert("RGB")


def _upright(picture: Image.Image) -> Image.Image:
    try:
        # 0x0112 is the orientation tag of EXIF 2.3, section 4.6.4; 1 means upright.
        turned = picture.getexif().get(0x0112, 1) != 1
        return ImageOps.exif_transpose(picture) if turned else picture
    except (OSError, SyntaxError, ValueError, KeyError, TypeError, EOFError):
        # Metadata that cannot be read says nothing about the orientation; the pixels are good.
        return picture


def _wide_grey(picture: Image.Image) -> Image.Image:
    """Turn 16-bit, 32-bit integer or float grey into RGB."""
    grey = np.asarray(picture).astype(np.float64)
    if picture.mode.startswith("I"):
        # Pillow hands 16-bit grey over as I;16 or I; files with a true 32-bit range are rare.
        grey = grey / 257.0 if grey.max(initial=0) > 255 or picture.mode != "I" else grey
    else:
        grey = np.nan_to_num(grey, nan=0.0, posinf=0.0, neginf=0.0)
        low, high = min(0.0, float(grey.min())), max(1.0, float(grey.max()))
        grey = (grey - low) * (255.0 / (high - low))
    return Image.fromarray(np.clip(np.rint(grey), 0, 255).astype(np.uint8), "L").convert("RGB")


def _cmyk(picture: Image.Image) -> Image.Image:
    """Turn CMYK into RGB, by the embedded profile where it is there and can be read."""
    profile = picture.info.get("icc_profile")
    if profile:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            converted = ImageCms.profileToProfile(
                picture, source, ImageCms.createProfile("sRGB"), outputMode="RGB"
            )
            if converted is not None:
                return converted
        except (ImageCms.PyCMSError, OSError):
            pass  # a broken profile: the plain formula below is still a fair picture
    return picture.convert("RGB")


def centre_strip(picture: Image.Image, ratio: int) -> Image.Image:
    """Return the middle of a very long picture, which would grow to gigabytes when resized.

    Args:
        picture: any mode; returned as it is where its sides are within the ratio.
        ratio: the most that the long side may be of the short one.
    """
    most = ratio * min(picture.size)
    if max(picture.size) <= most:
        return picture
    # As even or as odd as the long side, so that the centre stays where it is.
    width, height = (min(side, most - (most - side) % 2) for side in picture.size)
    left, top = (picture.width - width) // 2, (picture.height - height) // 2
    return picture.crop((left, top, left + width, top + height))
