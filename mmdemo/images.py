"""From bytes or a path to a safe RGB picture that looks the way a person sees it.

The page, the endpoints and the command line open every picture here, so all of them see the same
pixels: orientation applied, transparency on white, palette, grey, 16-bit and CMYK turned into RGB,
and the first frame of an animation. Whatever cannot be read raises a `PictureError` that says why.
"""

from __future__ import annotations

import base64
import hashlib
import io
import os
import re
import threading
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

import numpy as np
from PIL import Image, ImageCms, ImageOps

from mmdemo.errors import MMDemoError, PictureError
from mmdemo.settings import Limits, limits

ImageSource: TypeAlias = "Image.Image | Picture | str | Path | bytes"
"""A picture in memory, a path to one, the bytes of a file, or a `Picture` of either."""

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


_SIDE = 640
"""Pixels that a large JPEG's short side keeps at least.

The largest published input of a model has 600, mini's has 224. A photo of 12 megapixels is read at
1000 x 750: mini's vector is then as a rule 1e-4 (1 - cosine) from that of all pixels. At 500 x 375
it would be 1e-3, and the time a sixth less.
"""

# What a digest of a file says beside its bytes: how they are read. At most 16 bytes.
_AS_SEEN = f"seen {_SIDE}".encode()
_AS_STORED = b"stored"
_PIXELS = b"pixels"
_MOST_KNOWN = 4096

_Place: TypeAlias = tuple[str, int, int, int, int]


class Picture:
    """A picture file: named by its content, opened when its pixels are wanted. For many threads.

    What was read once is known for the life of the process, so that the next `Picture` of an
    unchanged file has its name without reading it.
    """

    def __init__(
        self,
        source: str | Path | bytes,
        bounds: Limits | None = None,
        *,
        unchanged: bool = False,
    ) -> None:
        """Take note of a file; nothing is read.

        Args:
            source: a path, or the bytes of the file.
            bounds: limits on size; by default those of the environment at the time of reading.
            unchanged: whether to read it in the mode it is stored in, neither turned nor put on
                white: for numbers that others computed without any of that.
        """
        self._source = source
        self._bounds = bounds
        self._reading = _AS_STORED if unchanged else _AS_SEEN
        self._lock = threading.Lock()
        self._digest: bytes | None = None
        self._pixels: Image.Image | None = None

    @property
    def digest(self) -> bytes:
        """Return 20 bytes that name the picture: equal for equal files that are read alike.

        Whatever has a digest can be opened: a file that is not known yet is opened here, and one
        that was changed since counts as another.

        Raises:
            PictureError: as `open_image`.
        """
        with self._lock:
            if self._digest is None:
                bounds = self._bounds or limits()
                known = _known.get((self._reading, _place(self._source), bounds))
                self._digest = known or self._read(bounds)
            return self._digest

    def open(self) -> Image.Image:
        """Return the picture as `open_image` does; it is kept, so that a second call costs nothing.

        Raises:
            PictureError: as `open_image`; or the file is another than it was at `digest`.
        """
        with self._lock:
            if self._pixels is None:
                self._digest = self._read(self._bounds or limits(), wanted=True)
            assert self._pixels is not None
            return self._pixels

    def close(self) -> None:
        """Let go of the pixels; opened again, the file is read again."""
        with self._lock:
            self._pixels = None

    def _read(self, bounds: Limits, *, wanted: bool = False) -> bytes:
        """Read the file and return its digest; decode it where that is wanted or was never done."""
        data, place = _read(self._source, bounds)
        digest = hashlib.blake2b(data, digest_size=20, person=self._reading).digest()
        if self._digest not in (None, digest):
            # What is computed from the pixels would be kept under the name of others.
            raise PictureError(
                "This picture file was changed while it was in use. Try again.", "file_changed"
            )
        if wanted or _known.get((self._reading, digest, bounds)) is None:
            read = _as_stored if self._reading == _AS_STORED else _as_seen
            self._pixels = _opened(data, bounds, read)
            _known.put((self._reading, digest, bounds), digest)
        if place is not None:
            _known.put((self._reading, place, bounds), digest)
        return digest


class _Known:
    """Digests of what was opened without an error: by reading, file or content, and limits."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._digests: OrderedDict[_Key, bytes] = OrderedDict()

    def get(self, key: _Key) -> bytes | None:
        with self._lock:
            if key in self._digests:
                self._digests.move_to_end(key)
            return self._digests.get(key)

    def put(self, key: _Key, digest: bytes) -> None:
        with self._lock:
            self._digests[key] = digest
            self._digests.move_to_end(key)
            if len(self._digests) > _MOST_KNOWN:
                self._digests.popitem(last=False)


_Key: TypeAlias = tuple[bytes, _Place | bytes | None, Limits]
_known = _Known()


def _place(source: object) -> _Place | None:
    """Return what tells a file from others and from its later selves; None where there is none."""
    if not isinstance(source, str | Path):
        return None
    try:
        return _placed(source, Path(source).stat())
    except (OSError, ValueError):
        return None  # reading it says what is wrong


def _placed(path: str | Path, status: os.stat_result) -> _Place:
    return (
        os.path.realpath(path),
        status.st_ino,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
    )


def digest_of(image: Image.Image) -> bytes:
    """Return 20 bytes that name a picture in memory: equal for equal mode, size and pixels.

    Never equal to the digest of a file, which is read in its own way.

    Args:
        image: any mode; colours of a palette and what it says of transparency count too.
    """
    digest = hashlib.blake2b(digest_size=20, person=_PIXELS)
    digest.update(f"{image.mode}\0{image.size}\0".encode())
    if image.mode in ("P", "PA"):
        digest.update(bytes(image.getpalette("RGBA") or ()))
    digest.update(repr(image.info.get("transparency")).encode())
    digest.update(image.tobytes())
    return digest.digest()


def as_source(source: ImageSource) -> Image.Image | Picture:
    """Return a picture that is not opened before its pixels are wanted, where it is a file.

    Raises:
        PictureError: it is none of the accepted types, or a file that cannot be read.
    """
    return as_sources(source)[0]


def as_sources(*sources: ImageSource) -> list[Image.Image | Picture]:
    """Return several pictures likewise; files that are new are looked at all at the same time.

    A decoder lets other threads run, so two large photos take the time of one.

    Raises:
        PictureError: of the first that is none of the accepted types, or cannot be read.
    """
    found = [one if isinstance(one, Image.Image | Picture) else Picture(one) for one in sources]
    files = [one for one in found if isinstance(one, Picture)]
    threads = [threading.Thread(target=_try, args=(file,)) for file in files[1:]]
    for thread in threads:
        thread.start()
    for file in files[:1]:
        _try(file)
    for thread in threads:
        thread.join()
    for file in files:
        _ = file.digest  # what could not be read says so here
    return found


def _try(picture: Picture) -> None:
    with suppress(MMDemoError):
        _ = picture.digest


def as_image(source: ImageSource) -> Image.Image:
    """Return a picture: one in memory as it is, a file through `open_image`.

    Raises:
        PictureError: no picture, or one that `open_image` refuses.
    """
    if isinstance(source, Image.Image):
        return source
    if isinstance(source, Picture):
        return source.open()
    return open_image(source)


def open_image(source: str | Path | bytes, bounds: Limits | None = None) -> Image.Image:
    """Open a picture file as the RGB picture that a person would see.

    A JPEG whose short side is 1280 pixels or more comes smaller, by 1/2, 1/4 or 1/8: as small as
    its short side keeps 640. The limits are on what the file holds.

    Args:
        source: a path, or the bytes of the file.
        bounds: limits on size; by default those of the environment.

    Returns:
        A loaded picture of mode RGB.

    Raises:
        PictureError: not a picture that can be read, damaged, or over a limit.
    """
    bounds = bounds or limits()
    return _opened(_read(source, bounds)[0], bounds, _as_seen)


def _as_stored(picture: Image.Image) -> Image.Image:
    return picture.copy()


def _as_seen(picture: Image.Image) -> Image.Image:
    # Only JPEG can do this: its decoder leaves out what a smaller picture does not show.
    picture.draft(None, (_SIDE, _SIDE))
    picture.load()
    seen = to_rgb(picture)
    # An opened picture loses its file, and with it its metadata; a copy does not.
    return seen.copy() if seen is picture else seen


def _opened(data: bytes, bounds: Limits, read: Callable[[Image.Image], Image.Image]) -> Image.Image:
    if _costs_without_end(data):
        raise _damaged()
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
            _check_size(picture, bounds)
            picture.seek(0)
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
    # First in whole steps: a large picture costs much less so, and looks the same.
    whole = to_rgb(picture)
    whole = whole.reduce(max(1, max(whole.size) // (4 * side)))
    square = ImageOps.pad(whole, (side, side), Image.Resampling.LANCZOS, color=(255, 255, 255))
    buffer = io.BytesIO()
    square.save(buffer, "WEBP", quality=80)  # half of what a JPEG has
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def _read(source: str | Path | bytes, bounds: Limits) -> tuple[bytes, _Place | None]:
    """Return the bytes of a file, and its place where that held still meanwhile."""
    limit, place = bounds.upload_mb * 1_000_000, None
    if isinstance(source, bytes):
        size, data = len(source), source
    elif isinstance(source, str | Path):
        path = Path(source)
        try:
            with path.open("rb") as file:
                before = os.fstat(file.fileno())
                data = file.read(limit + 1) if before.st_size <= limit else b""
                places = {_placed(path, status) for status in (before, os.fstat(file.fileno()))}
        except (OSError, ValueError) as error:
            # Only the name: the folders of this machine are nobody's business.
            raise PictureError(
                f"There is no readable picture file '{path.name}'. Check the name and try again.",
                "no_file",
                name=path.name,
            ) from error
        size = max(before.st_size, len(data))
        place = places.pop() if len(places) == 1 else None
    else:
        raise PictureError(
            f"A picture was expected, not {type(source).__name__}. "
            "Give a PIL picture, a path, or the bytes of a file.",
            "no_picture",
            given=type(source).__name__,
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
    return data, place


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
        return PictureError(
            f"This is a HEIC photo; export or share it as JPEG. Accepted are {ACCEPTED}.",
            "heic",
            accepted=ACCEPTED,
        )
    return PictureError(
        f"This file is not a picture that can be read. Accepted are {ACCEPTED}.",
        "not_picture",
        accepted=ACCEPTED,
    )


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
