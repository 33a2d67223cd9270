"""From bytes or a path to a safe RGB picture that looks the way a person sees it.

The page, the endpoints and the command line open every picture here, so all of them see the same
pixels: orientation applied, transparency on white, palette, grey, 16-bit and CMYK turned into RGB,
and the first frame of an animation. Whatever cannot be read raises a `PictureError` that says why.
"""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import numpy as np
from PIL import Image, ImageCms, ImageOps

from mmdemo.errors import PictureError
from mmdemo.settings import Limits, limits

ImageSource: TypeAlias = Image.Image | str | Path | bytes
"""A picture in memory, a path to one, or the bytes of a file."""

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "PPM")
ACCEPTED = "JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF"

_NOT_IN_BROWSERS = ("TIFF", "PPM")

# A few first bytes that people send often enough to deserve their own advice: code, sentence.
_NOT_PICTURES: tuple[tuple[bytes, str, str], ...] = (
    (b"<svg", "svg", "This is an SVG drawing; export it as PNG."),
    (b"<?xml", "svg", "This is an SVG or XML file; export it as PNG."),
    (b"%pdf", "pdf", "This is a PDF; take a screenshot of the page, or export it as PNG."),
    (b"<!doctype", "html", "This is a web page; save the picture itself."),
    (b"<html", "html", "This is a web page; save the picture itself."),
    (b"pk\x03\x04", "zip", "This is a ZIP or Office file; take the picture out of it."),
)


_MOST_EXIF = 20
_MOST_SCANS = 100
# A scan's mark, and its length, which follows from the number of its components. The mark alone is
# met by chance in what phones append to a photo.
_SCAN = re.compile(rb"\xff\xda\x00(?:\x08\x01|\x0a\x02|\x0c\x03|\x0e\x04)")


def as_image(source: ImageSource) -> Image.Image:
    """Return a picture: one in memory as it is, a path or bytes through `open_image`.

    Raises:
        PictureError: no picture, or one that `open_image` refuses.
    """
    if isinstance(source, Image.Image):
        return source
    return open_image(source)


def open_image(source: str | Path | bytes, bounds: Limits | None = None) -> Image.Image:
    """Open a picture file as the RGB picture that a person would see.

    Args:
        source: a path, or the bytes of the file.
        bounds: limits on size; by default those of the environment.

    Returns:
        A loaded picture of mode RGB.

    Raises:
        PictureError: not a picture that can be read, damaged, or over a limit.
    """
    # A copy, because the opened picture loses its file, and with it its metadata.
    return _opened(source, bounds, lambda picture: to_rgb(picture).copy())


def open_unchanged(source: str | Path | bytes, bounds: Limits | None = None) -> Image.Image:
    """Open a picture file in the mode it is stored in, neither turned nor put on white.

    For numbers that others computed without any of that. The limits and errors of `open_image`.
    """
    return _opened(source, bounds, Image.Image.copy)


def _opened(
    source: str | Path | bytes,
    bounds: Limits | None,
    read: Callable[[Image.Image], Image.Image],
) -> Image.Image:
    bounds = bounds or limits()
    data = _read(source, bounds)
    if _costs_without_end(data):
        raise _damaged()
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
            _check_size(picture, bounds)
            picture.seek(0)
            picture.load()
            return read(picture)
    except PictureError:
        raise
    except Image.UnidentifiedImageError as error:
        raise _unknown_format(data) from error
    except Image.DecompressionBombError as error:
        raise _too_many_pixels("far too many", bounds) from error
    except Exception as error:
        # Decoders of damaged files raise almost anything (OSError, SyntaxError, struct.error, ...).
        raise _damaged() from error


def _costs_without_end(data: bytes) -> bool:
    """Say whether a file is made to keep a decoder busy, as its bytes and pixels do not tell.

    Pillow takes the headers of EXIF data off one by one, and copies the rest each time: 2 MB of
    them take 17 seconds. A scan of a JPEG goes over all its pixels even where it changes none, and
    is 10 bytes. A camera's picture has two such headers at most, a progressive one some ten scans.
    """
    return data.count(b"Exif\0\0") > _MOST_EXIF or (
        data.startswith(b"\xff\xd8") and len(_SCAN.findall(data)) > _MOST_SCANS
    )


def _damaged() -> PictureError:
    return PictureError(
        "This picture is damaged or cut off and cannot be read to its end. "
        f"Open it in a picture viewer and save it again, as {ACCEPTED}.",
        "damaged",
        accepted=ACCEPTED,
    )


def shown_by_browsers(source: str | Path | bytes) -> bool:
    """Say whether a browser can show the file itself; a TIFF or PPM needs a rendition.

    What cannot be identified counts as shown: `open_image` is the one to explain it.
    """
    stream = io.BytesIO(source) if isinstance(source, bytes) else source
    try:
        with Image.open(stream, formats=_NOT_IN_BROWSERS):
            return False
    except (OSError, Image.DecompressionBombError):
        return True


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


def thumbnail_uri(picture: Image.Image, side: int = 96) -> str:
    """Return a square thumbnail as a `data:` address, so that no file of a visitor is served.

    Args:
        picture: any mode.
        side: edge in pixels; the whole picture is shown, on white.
    """
    whole = to_rgb(picture)
    square = ImageOps.pad(whole, (side, side), Image.Resampling.LANCZOS, color=(255, 255, 255))
    buffer = io.BytesIO()
    square.save(buffer, "JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def _read(source: str | Path | bytes, bounds: Limits) -> bytes:
    limit = bounds.upload_mb * 1_000_000
    if isinstance(source, bytes):
        size, data = len(source), source
    elif isinstance(source, str | Path):
        path = Path(source)
        try:
            size = path.stat().st_size
            data = path.read_bytes() if size <= limit else b""
        except (OSError, ValueError) as error:
            # Only the name: the folders of this machine are nobody's business.
            raise PictureError(
                f"There is no readable picture file '{path.name}'. Check the name and try again.",
                "no_file",
                name=path.name,
            ) from error
    else:
        raise PictureError(
            f"A picture was expected, not {type(source).__name__}. "
            "Give a PIL picture, a path, or the bytes of a file."
        )
    if size > limit:
        raise PictureError(
            f"This file has {size / 1e6:.1f} MB; at most {bounds.upload_mb} MB are accepted. "
            "Save it smaller, for example as a JPEG of 2000 pixels on its long side.",
            "file_size",
            size=f"{size / 1e6:.1f}",
            limit=bounds.upload_mb,
        )
    if size == 0:
        raise PictureError(
            f"This file is empty. Choose a picture: {ACCEPTED}.", "file_empty", accepted=ACCEPTED
        )
    return data


def _check_size(picture: Image.Image, bounds: Limits) -> None:
    width, height = picture.size
    if width < 1 or height < 1:
        raise PictureError("This picture has no pixels. Choose another.", "no_pixels")
    if width * height > bounds.pixels:
        raise _too_many_pixels(f"{width} x {height}", bounds)
    if max(width, height) > bounds.aspect * min(width, height):
        raise PictureError(
            f"This picture is {width} x {height} pixels: one side is more than {bounds.aspect} "
            "times the other. Crop it to the part that matters.",
            "aspect",
            width=width,
            height=height,
            limit=bounds.aspect,
        )


def _too_many_pixels(size: str, bounds: Limits) -> PictureError:
    limit = f"{bounds.pixels / 1e6:g}"
    return PictureError(
        f"This picture has {size} pixels; at most {limit} million are accepted. "
        "Scale it down, for example to 2000 pixels on its long side.",
        "pixels",
        size=size,
        limit=limit,
    )


def _unknown_format(data: bytes) -> PictureError:
    head = data[:64].lstrip().lower()
    for start, code, sentence in _NOT_PICTURES:
        if head.startswith(start):
            return PictureError(f"{sentence} Accepted are {ACCEPTED}.", code, accepted=ACCEPTED)
    if data[4:8] == b"ftyp" and data[8:12] in (b"heic", b"heix", b"mif1", b"hevc"):
        sentence, code = "This is a HEIC photo; export or share it as JPEG.", "heic"
    else:
        sentence, code = "This file is not a picture that can be read.", "not_picture"
    return PictureError(f"{sentence} Accepted are {ACCEPTED}.", code, accepted=ACCEPTED)


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
