"""Pictures as the page shows them."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path

from PIL import Image, ImageOps

from mmdemo.images.formats import is_heif
from mmdemo.images.seen import to_rgb
from mmdemo.images.sparing.tiff import is_tiff

_PPM = re.compile(rb"P[1-6fF]\s")
_HEAD = 1024


def shown_by_browsers(source: str | Path | bytes) -> bool:
    """Say whether a browser can show the file itself; a TIFF, PPM or HEIC needs a rendition.

    By its first bytes: opening it would cost what `open_image` takes care of, which is also the one
    to explain what cannot be identified.
    """
    try:
        head = source[:_HEAD] if isinstance(source, bytes) else _head(source)
    except (OSError, ValueError):
        return True
    return not (is_tiff(head) or is_heif(head) or _PPM.match(head))


def _head(path: str | Path) -> bytes:
    with Path(path).open("rb") as file:
        return file.read(_HEAD)


def thumbnail_uri(picture: Image.Image, side: int = 96) -> str:
    """Return a square thumbnail as a `data:` address, so that no file of a visitor is served.

    Args:
        picture: any mode.
        side: edge in pixels; the whole picture is shown, on white.
    """
    # First in whole steps: a large picture costs much less so, and looks the same.
    whole = to_rgb(picture)
    whole = whole.reduce(max(1, max(whole.size) // (4 * side)))
    square = ImageOps.pad(whole, (side, side), Image.Resampling.LANCZOS, color=(255, 255, 255))
    buffer = io.BytesIO()
    square.save(buffer, "WEBP", quality=80)  # half of what a JPEG has
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
