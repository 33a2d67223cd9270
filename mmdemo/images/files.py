"""Picture files: named by their content, opened when their pixels are wanted."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from pathlib import Path
from typing import Generic, TypeAlias, TypeVar

from PIL import Image

from mmdemo.errors import MMDemoError, PictureError
from mmdemo.images.apart import opened
from mmdemo.images.opening import SIDE, as_seen, as_stored
from mmdemo.images.reading import Place, place_of, read_source
from mmdemo.images.seen import load, meaning, seen
from mmdemo.settings import Limits, limits
from mmdemo.types import Note

ImageSource: TypeAlias = "Image.Image | Picture | str | Path | bytes"
"""A picture in memory, a path to one, the bytes of a file, or a `Picture` of either.

A `str` may also be a `file:` address of this machine, or a data URI.
"""

# What a digest of a file says beside its bytes: how they are read. At most 16 bytes.
_AS_SEEN = f"seen {SIDE}".encode()
_AS_STORED = b"stored"
_PIXELS = b"pixels"
_MOST_KNOWN = 4096
_AT_ONCE = 2  # each may take as much memory as the largest that is allowed

_K = TypeVar("_K")
_V = TypeVar("_V")

_Told: TypeAlias = tuple[bytes, tuple[Note, ...]]
"""What is known of a file: its digest, and what is to be said of its picture."""


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
                white: for numbers that others computed without any of that. TIFF files of more than
                8 bits are shades nevertheless.
        """
        self._source = source
        self._bounds = bounds
        self._reading = _AS_STORED if unchanged else _AS_SEEN
        self._lock = threading.Lock()
        self._digest: bytes | None = None
        self._notes: tuple[Note, ...] = ()
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
                known = _known.get((self._reading, place_of(self._source), bounds))
                self._digest, self._notes = known or self._read(bounds)
            return self._digest

    @property
    def notes(self) -> tuple[Note, ...]:
        """Return what a reader of numbers of this picture should know; asked for, it has a digest.

        Raises:
            PictureError: as `open_image`.
        """
        _ = self.digest
        return self._notes

    def open(self) -> Image.Image:
        """Return the picture as `open_image` does; it is kept, so that a second call costs nothing.

        Raises:
            PictureError: as `open_image`; or the file is another than it was at `digest`.
        """
        with self._lock:
            if self._pixels is None:
                self._digest, self._notes = self._read(self._bounds or limits(), wanted=True)
            assert self._pixels is not None
            return self._pixels

    def rendition(self) -> Image.Image:
        """Return the picture for a file that stands in the place of this one.

        Whatever file has these pixels from now on, and says nothing else of them, has these notes.

        Raises:
            PictureError: as `open`.
        """
        picture = self.open()
        if self._notes:
            _renditions.put((picture.size, digest_of(picture)), self._notes)
        return picture

    def close(self) -> None:
        """Let go of the pixels; opened again, the file is read again."""
        with self._lock:
            self._pixels = None

    def _read(self, bounds: Limits, *, wanted: bool = False) -> _Told:
        """Read the file and name it; decode it where that is wanted or was never done."""
        data, place = read_source(self._source, bounds)
        digest = hashlib.blake2b(data, digest_size=20, person=self._reading).digest()
        if self._digest not in (None, digest):
            # What is computed from the pixels would be kept under the name of others.
            raise PictureError(
                "This picture file was changed while it was in use. Try again.", "file_changed"
            )
        told = _known.get((self._reading, digest, bounds))
        if wanted or told is None:
            read = as_stored if self._reading == _AS_STORED else as_seen
            self._pixels, notes = opened(data, bounds, read)
            told = (digest, notes or _notes_of_rendition(self._pixels))
            _known.put((self._reading, digest, bounds), told)
        if place is not None:
            _known.put((self._reading, place, bounds), told)
        return told


class _Known(Generic[_K, _V]):
    """What is known of so many things at most; what was not asked for longest is forgotten."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._told: OrderedDict[_K, _V] = OrderedDict()

    def __iter__(self) -> Iterator[_K]:
        with self._lock:
            return iter(list(self._told))

    def get(self, key: _K) -> _V | None:
        with self._lock:
            if key in self._told:
                self._told.move_to_end(key)
            return self._told.get(key)

    def put(self, key: _K, told: _V) -> None:
        with self._lock:
            self._told[key] = told
            self._told.move_to_end(key)
            if len(self._told) > _MOST_KNOWN:
                self._told.popitem(last=False)


_known: _Known[tuple[bytes, Place | bytes | None, Limits], _Told] = _Known()
"""What was opened without an error: by reading, file or content, and limits."""

_renditions: _Known[tuple[tuple[int, int], bytes], tuple[Note, ...]] = _Known()
"""The notes of pictures that were put in the place of what browsers do not show: by size, which
costs nothing to ask for, and digest."""


def _notes_of_rendition(picture: Image.Image) -> tuple[Note, ...]:
    if not any(size == picture.size for size, _ in _renditions):
        return ()
    return _renditions.get((picture.size, digest_of(picture))) or ()


def digest_of(image: Image.Image) -> bytes:
    """Return 20 bytes that name a picture in memory: equal for equal mode, size and pixels.

    Never equal to the digest of a file, which is read in its own way.

    Args:
        image: any mode; colours of a palette, and what it says of transparency, of its colours and
            of what is up, count too.

    Raises:
        PictureError: its pixels cannot be read.
    """
    load(image)
    digest = hashlib.blake2b(digest_size=20, person=_PIXELS)
    digest.update(f"{image.mode}\0{image.size}\0".encode())
    if image.mode in ("P", "PA"):
        digest.update(bytes(image.getpalette("RGBA") or ()))
    digest.update(meaning(image).encode())
    digest.update(image.tobytes())
    return digest.digest()


def notes_of(source: ImageSource) -> tuple[Note, ...]:
    """Return what a reader of numbers of a picture should know, a file's or one in memory.

    Raises:
        PictureError: it cannot be read.
    """
    if isinstance(source, Image.Image):
        return seen(source).notes
    return (source if isinstance(source, Picture) else Picture(source)).notes


def as_source(source: ImageSource) -> Image.Image | Picture:
    """Return a picture that is not opened before its pixels are wanted, where it is a file.

    Raises:
        PictureError: it is none of the accepted types, or a file that cannot be read.
    """
    return as_sources(source)[0]


def as_sources(*sources: ImageSource) -> list[Image.Image | Picture]:
    """Return several pictures likewise; files that are new are looked at two at the same time.

    A decoder lets other threads run, so two large photos take the time of one.

    Raises:
        PictureError: of the first that is none of the accepted types, or cannot be read.
    """
    found = [one if isinstance(one, Image.Image | Picture) else Picture(one) for one in sources]
    for one in found:
        if isinstance(one, Image.Image):
            load(one)
    files = [one for one in found if isinstance(one, Picture)]
    if len(files) > 1:
        with ThreadPoolExecutor(_AT_ONCE, "picture") as pool:
            for file in files:  # whoever asks here, asks there
                pool.submit(copy_context().run, _try, file)
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
    return opened(read_source(source, bounds).data, bounds, as_seen).image
