"""What goes through a pipe: JSON, bytes and pixels, each with its length before it.

Nothing is unpickled: what comes out of a decoder that was taken over is numbers and texts at worst.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import IO, Any

from PIL import Image

from mmdemo.errors import MMDemoError, PictureError, Place
from mmdemo.images.seen import Seen
from mmdemo.images.strips import lines_of_strips, strips
from mmdemo.settings import Limits
from mmdemo.types import Note

_WIDTH = 8  # of a length, in bytes
_LONGEST_TOLD = 16_000_000  # bytes of JSON
_LONGEST_ENTRY = 1_000_000  # of what a picture says of itself


class WireError(Exception):
    """What came is not what was agreed on, or nothing came."""


def send_bytes(pipe: IO[bytes], data: bytes) -> None:
    """Send bytes."""
    pipe.write(len(data).to_bytes(_WIDTH, "big"))
    pipe.write(data)
    pipe.flush()


def receive_bytes(pipe: IO[bytes], most: int) -> bytes:
    """Return bytes that were sent, at most so many.

    Raises:
        EOFError: there are none any more.
        WireError: they are cut off, or too many.
    """
    start = pipe.read(_WIDTH)
    if not start:
        raise EOFError
    length = int.from_bytes(start, "big")
    if len(start) < _WIDTH or length > most:
        raise WireError
    data = pipe.read(length)
    if len(data) < length:
        raise WireError
    return data


def send(pipe: IO[bytes], told: Mapping[str, Any]) -> None:
    """Send a JSON object."""
    send_bytes(pipe, json.dumps(told).encode())


def receive(pipe: IO[bytes]) -> dict[str, Any]:
    """Return a JSON object that was sent.

    Raises:
        EOFError: there is none any more.
        WireError: it is none.
    """
    try:
        told = json.loads(receive_bytes(pipe, _LONGEST_TOLD))
    except (ValueError, RecursionError) as error:
        raise WireError from error
    if not isinstance(told, dict):
        raise WireError
    return told


def send_seen(pipe: IO[bytes], seen: Seen) -> None:
    """Send a picture and its notes."""
    image = seen.image
    palette = image.palette and [image.palette.mode, image.getpalette(image.palette.mode)]
    send(
        pipe,
        {
            "mode": image.mode,
            "size": image.size,
            "palette": palette,
            "info": {key: _packed(value) for key, value in image.info.items() if _simple(value)},
            "notes": [asdict(note) for note in seen.notes],
        },
    )
    for strip in strips(image):
        send_bytes(pipe, strip.image.tobytes())


def receive_seen(pipe: IO[bytes], told: Mapping[str, Any], bounds: Limits) -> Seen:
    """Return a picture that was sent, of which all but the pixels is there.

    Raises:
        EOFError: its pixels do not come.
        WireError: it is none that the limits allow.
    """
    try:
        return _received(pipe, told, bounds)
    except (KeyError, TypeError, ValueError, AttributeError, MemoryError) as error:
        raise WireError from error


def _received(pipe: IO[bytes], told: Mapping[str, Any], bounds: Limits) -> Seen:
    width, height = told["size"]
    if not 0 < width * height <= bounds.pixels:
        raise WireError
    image = Image.new(told["mode"], (width, height), None)
    lines = lines_of_strips(width)
    for top in range(0, height, lines):
        size = (width, min(lines, height - top))
        pixels = receive_bytes(pipe, 16 * size[0] * size[1])
        image.paste(Image.frombytes(image.mode, size, pixels), (0, top))
    if told["palette"]:
        mode, colours = told["palette"]
        image.putpalette(colours, mode)
    image.info = {key: _unpacked(value) for key, value in told["info"].items()}
    return Seen(image, tuple(_note(one) for one in told["notes"]))


def send_error(pipe: IO[bytes], error: MMDemoError) -> None:
    """Send why a picture cannot be read."""
    told = {"message": error.message, "code": error.code, "values": dict(error.values)}
    send(pipe, {"error": told | {"places": error.places}})


def error_told(told: Mapping[str, Any]) -> MMDemoError:
    """Return an error that was sent.

    Raises:
        WireError: it is none.
    """
    try:
        places = _places(told["places"])
        return PictureError.told(str(told["message"]), str(told["code"]), told["values"], places)
    except (KeyError, TypeError, ValueError) as error:
        raise WireError from error


def _note(told: Mapping[str, Any]) -> Note:
    return Note(told["code"], told["values"], told["sentence"], _places(told["places"]))


def _places(told: Sequence[Sequence[Any]]) -> tuple[Place, ...]:
    return tuple(Place(*one) for one in told)


def _simple(value: object) -> bool:
    """Say whether an entry of a picture's `info` can be sent; others say nothing of pixels."""
    if isinstance(value, tuple):
        return len(value) < 1000 and all(map(_simple, value))
    if isinstance(value, str | bytes):
        return len(value) < _LONGEST_ENTRY
    return value is None or isinstance(value, int | float)


def _packed(value: Any) -> Any:
    if isinstance(value, bytes):
        return {"bytes": base64.b64encode(value).decode()}
    return {"tuple": [_packed(one) for one in value]} if isinstance(value, tuple) else value


def _unpacked(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if "bytes" in value:
        return base64.b64decode(value["bytes"])
    return tuple(_unpacked(one) for one in value["tuple"])
