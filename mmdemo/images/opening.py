"""From the bytes of a file to pixels, or to the sentence that says why not."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from PIL import Image

from mmdemo.errors import PictureError
from mmdemo.images.formats import damaged, file_of, unknown_format
from mmdemo.images.seen import Seen, load, seen
from mmdemo.images.sparing import drop_long_metadata, spared
from mmdemo.settings import Limits

SIDE = 640
"""Pixels that a large JPEG's short side keeps at least.

The largest published input of a model has 600, mini's has 224. A photo of 12 megapixels is read at
1000 x 750: mini's vector is then as a rule 1e-4 (1 - cosine) from that of all pixels. At 500 x 375
it would be 1e-3, and the time a sixth less.
"""

Read: TypeAlias = Callable[[Image.Image], Seen]
"""What is taken of an opened picture."""


def opened(data: bytes, bounds: Limits, read: Read) -> Seen:
    """Open the bytes of a file.

    Args:
        data: the file.
        bounds: limits on size.
        read: what is taken of it, `as_seen` or `as_stored`.

    Raises:
        PictureError: not a picture that can be read, damaged, or over a limit.
    """
    data, notes = spared(data)
    _check_canvas(data, bounds)
    try:
        with file_of(data) as picture:
            _check_size(*picture.size, bounds)
            notes += drop_long_metadata(picture)
            found = read(picture)
            return Seen(found.image, tuple(dict.fromkeys(notes + found.notes)))
    except PictureError:
        raise
    except MemoryError as error:
        raise _too_little_memory() from error
    except Image.UnidentifiedImageError as error:
        raise unknown_format(data) from error
    except Image.DecompressionBombError as error:
        raise _too_many_pixels("far too many", bounds) from error
    except Exception as error:
        # Decoders of damaged files raise almost anything (OSError, SyntaxError, struct.error, ...).
        raise damaged() from error


def as_seen(picture: Image.Image) -> Seen:
    """Return an opened picture as a person sees it; a large JPEG smaller."""
    # Only JPEG can do this: its decoder leaves out what a smaller picture does not show.
    picture.draft(None, (SIDE, SIDE))
    found = seen(picture)
    return Seen(_of_its_own(found.image) if found.image is picture else found.image, found.notes)


def as_stored(picture: Image.Image) -> Seen:
    """Return an opened picture in the mode and the size that it has in its file."""
    load(picture)
    return Seen(_of_its_own(picture))


def _of_its_own(picture: Image.Image) -> Image.Image:
    """Return a loaded picture without the file that it came from, which is closed at the end.

    The pixels are the same: a copy of them would double what the largest picture takes.
    """
    return picture._new(picture.im)


def _check_canvas(data: bytes, bounds: Limits) -> None:
    """Check the size of an extended WebP: its decoder takes memory for all when it is opened."""
    if data.startswith(b"RIFF") and data[8:16] == b"WEBPVP8X":
        width, height = (1 + int.from_bytes(data[at : at + 3], "little") for at in (24, 27))
        _check_size(width, height, bounds)


def _check_size(width: int, height: int, bounds: Limits) -> None:
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


def _too_little_memory() -> PictureError:
    return PictureError(
        "This picture needs more memory to decode than there is for it. Open it in a picture "
        "viewer and save it again, smaller, as a plain JPEG or PNG.",
        "decoding_memory",
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
