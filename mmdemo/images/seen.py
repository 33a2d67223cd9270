"""A picture as a person sees it: upright, in the colours of a screen, on white, RGB."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from PIL.TiffImagePlugin import TiffImageFile

from mmdemo.errors import PictureError
from mmdemo.images.formats import damaged
from mmdemo.images.greys import Numbers, shades
from mmdemo.images.pngs import DeepPng
from mmdemo.images.profiles import TOLD_BY, in_srgb
from mmdemo.images.sparing import drop_long_metadata
from mmdemo.images.strips import in_strips
from mmdemo.images.tiff_tags import further_pages_of, no_data_of
from mmdemo.images.tiffs import WideTiff
from mmdemo.types import Note

_MOVING = ("GIF", "PNG", "WEBP", "AVIF")
"""Formats of animations. A JPEG with several pictures is a phone's photo with appendages."""


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
        Mode RGB. Colours are those of sRGB, by the picture's profile or by what a PNG says of its
        gamma. Transparency is composited on white. 16-bit grey is scaled by 1/257, floats within
        0..1 by 255; greys that do not use such a scale are spread from the least to the greatest,
        and what stands for no data is white.

    Raises:
        PictureError: its pixels cannot be read, or it was closed.
    """
    return seen(picture).image


def seen(picture: Image.Image) -> Seen:
    """Return the same as `to_rgb`, and what is to be said of it.

    Raises:
        PictureError: as `to_rgb`.
    """
    notes = further(picture)
    load(picture)
    spared, dropped = _spared(picture)
    try:
        found = _in_colour(_upright(spared))
    except MemoryError:
        raise
    except Exception as error:  # what a program has put into `info` may be anything
        raise damaged() from error
    own = picture.notes if isinstance(picture, WideTiff | DeepPng) else ()
    image = picture if found.image is spared else found.image
    return Seen(image, (*notes, *own, *dropped, *found.notes))


def _spared(picture: Image.Image) -> tuple[Image.Image, tuple[Note, ...]]:
    """Return a loaded picture whose metadata costs little to read; that of others stays whole."""
    plain = picture._new(picture.im)  # the same pixels
    dropped = drop_long_metadata(plain)
    return (plain, dropped) if dropped else (picture, ())


def load(picture: Image.Image) -> None:
    """Read the pixels of a picture that may have been opened only.

    Raises:
        PictureError: they cannot be read, there are none, or it was closed.
    """
    if min(picture.size) < 1:
        raise PictureError("This picture has no pixels. Choose another.", "no_pixels")
    try:
        picture.load()
        _ = picture.im
    except (PictureError, MemoryError):
        raise
    except Exception as error:  # as of a file: decoders raise almost anything
        if isinstance(error, ValueError | AttributeError | AssertionError) and _closed(
            picture, error
        ):
            raise PictureError(
                "This picture was closed before its pixels were read. Call its load() while it is "
                "open, or give its path.",
                "picture_closed",
            ) from error
        raise damaged() from error


def _closed(picture: Image.Image, error: Exception) -> bool:
    return "closed" in str(error) or getattr(picture, "fp", picture) is None


def further(picture: Image.Image) -> tuple[Note, ...]:
    """Say so where only the first of several pages or frames is looked at; it is opened only."""
    try:
        if isinstance(picture, WideTiff):
            pages = picture.more_pages
        elif isinstance(picture, TiffImageFile):
            pages = picture.tell() == 0 and further_pages_of(picture)
        else:
            pages = picture.format == "HEIF" and getattr(picture, "is_animated", False)
        moving = picture.format in _MOVING and getattr(picture, "is_animated", False)
        moving = moving and picture.tell() == 0
    except Exception:  # whatever is wrong with the file is said when its pixels are read
        return ()
    if pages:
        return (Note("first_page", {}, "Of several pages only the first is looked at."),)
    if moving:
        return (Note("first_frame", {}, "Of an animation only the first frame is looked at."),)
    return ()


def meaning(picture: Image.Image) -> str:
    """Return what else than mode, size and pixels decides how a picture in memory is seen."""
    told = [picture.info.get(key) for key in ("transparency", *TOLD_BY)]
    tags = _tags(picture)
    kind = [tags.get(tag) for tag in (258, 262, 339)] if tags else []
    return repr((told, _orientation(picture), kind, no_data_of(tags) if tags else None))


def _orientation(picture: Image.Image) -> int:
    try:
        # 0x0112 is the orientation tag of EXIF 2.3, section 4.6.4; 1 means upright.
        return picture.getexif().get(0x0112, 1)
    except (OSError, SyntaxError, ValueError, KeyError, TypeError, EOFError):
        # Metadata that cannot be read says nothing about the orientation; the pixels are good.
        return 1


def _upright(picture: Image.Image) -> Image.Image:
    try:
        turned = _orientation(picture) != 1
        return ImageOps.exif_transpose(picture) if turned else picture
    except (OSError, SyntaxError, ValueError, KeyError, TypeError, EOFError):
        return picture


def _in_colour(picture: Image.Image) -> Seen:
    if picture.mode.startswith(("I", "F")):
        return _wide_grey(picture)
    if picture.has_transparency_data:
        return _on_white(picture)
    if picture.mode not in ("RGB", "L", "CMYK", "LAB"):
        picture = picture.convert("RGB")
    found = in_srgb(picture)
    if found.mode != "RGB":
        found = found.convert("RGB")
        _forget(found)
    return Seen(found)


def _on_white(picture: Image.Image) -> Seen:
    """Put what is transparent on white; colours become those of a screen before."""
    found = in_strips(picture, _strip_on_white, "RGB")
    if all(lowest == 255 for lowest, _ in found.getextrema()):  # pyright: ignore
        return Seen(found, (_NOTHING,))
    return Seen(found)


def _strip_on_white(picture: Image.Image) -> Image.Image:
    if picture.mode == "La":  # of the two-banded modes alone
        picture = picture.convert("LA")
    if picture.mode not in _LAYERS:
        picture = picture.convert("RGB")
    layer = picture.convert("RGBA")
    if any(key in picture.info for key in TOLD_BY):
        grey = picture.mode in ("L", "LA")
        plain = layer.getchannel("R") if grey else layer.convert("RGB")
        plain.info = {key: value for key, value in picture.info.items() if key in TOLD_BY}
        colours = in_srgb(plain)
        if colours is not plain:
            colours.putalpha(layer.getchannel("A"))
            layer = colours
    white = Image.new("RGBA", layer.size, (255, 255, 255, 255))
    return Image.alpha_composite(white, layer).convert("RGB")


_LAYERS = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBa")
"""Modes that something may be transparent in, by their own or by what a file says beside."""

_NOTHING = Note(
    "nothing_on_white", {}, "What is not transparent is white: on white there is nothing to see."
)


def _forget(picture: Image.Image) -> None:
    """Take away what was said of colours that are others now."""
    for key in TOLD_BY:
        picture.info.pop(key, None)


def _wide_grey(picture: Image.Image) -> Seen:
    """Turn grey of 16 or 32 bits, or of floats, into shades."""
    # With a profile of its own first into plain grey: in shades that were spread it means nothing.
    mode = "L" if picture.info.get("icc_profile") else "RGB"
    found, notes = shades(_numbers_of(picture), mode)
    if mode == "L":
        if not notes:
            found.info["icc_profile"] = picture.info["icc_profile"]
        found = in_srgb(found).convert("RGB")
        _forget(found)
    return Seen(found, notes)


def _numbers_of(picture: Image.Image) -> Numbers:
    tags = _tags(picture)
    bits, photo, kind = (_first(tags.get(tag)) if tags else 0 for tag in (258, 262, 339))
    dtype, scales = np.dtype("f4"), (1.0, 255.0)
    if picture.mode.startswith("I;16"):
        dtype, scales = np.dtype("u2"), (4095.0 if bits == 12 else 65535.0,)
    elif picture.mode == "I" and bits:
        unsigned = kind != 2
        dtype, scales = (np.dtype("u4"), (2.0**32 - 1,)) if unsigned else (np.dtype("i4"), ())
    elif picture.mode == "I":
        # Pillow's own, and what it makes of other files: of 8 bits or of 16.
        dtype, scales = np.dtype("i4"), (255.0, 65535.0)
    clear = picture.info.get("transparency")
    return Numbers(
        size=picture.size,
        rows=partial(_rows, picture, dtype),
        scales=scales,
        fixed=bits == 12,
        no_data=float(clear) if isinstance(clear, int) else no_data_of(tags) if tags else None,
        inverted=bool(tags) and photo == 0,
    )


def _rows(picture: Image.Image, kind: np.dtype[Any], top: int, bottom: int) -> NDArray[np.generic]:
    strip = np.asarray(picture.crop((0, top, picture.width, bottom)))
    same = strip.dtype.kind == kind.kind
    return (strip.astype(kind) if same else strip.view(kind))[..., None]


def _tags(picture: Image.Image) -> Any:
    """Return the tags of a TIFF file that Pillow has opened; None for any other picture."""
    return picture.tag_v2 if isinstance(picture, TiffImageFile) else None


def _first(value: Any) -> int:
    return int((value if isinstance(value, tuple) else (value,))[0] or 0)


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
