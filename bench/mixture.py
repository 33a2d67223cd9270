"""What visitors ask for: new texts most of the time, else new pictures, labels or passages."""

from __future__ import annotations

import functools
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from PIL import Image

from bench.callers import Caller
from bench.checkout import EXAMPLES

Kind = Literal["text", "pictures", "classify", "rank"]
KINDS: tuple[Kind, ...] = ("text", "pictures", "classify", "rank")
SHIPPED = ("raccoon.jpg", "dogs.jpg")
"""Pictures of 640 pixels."""

TEMPLATES = "openai-7"
_TEN: tuple[Kind, ...] = ("text",) * 7 + ("pictures", "classify", "rank")
_LABELS, _PASSAGES, _PASSAGE = 20, 9, 40  # labels, passages, words of a passage

_WORDS = """
a red green old small large quiet broken wooden silver street river bridge house garden window
table chair lamp book paper letter picture mirror clock bottle glass plate knife spoon bread apple
cherry lemon onion carrot soup coffee winter summer morning night rain snow cloud storm mountain
valley forest island harbour ship sail train bicycle tram engine wheel tower church market school
teacher doctor farmer singer child woman man crowd dog cat horse sheep fox bear raccoon whale bird
owl bee spider leaf flower dandelion grass stone sand metal wool paint brush song drum guitar
dance game ball flag gate wall roof stair door key coin map
"""
WORDS = _WORDS.split()


@dataclass(frozen=True)
class Request:
    """One thing that a visitor asks for.

    Attributes:
        kind: a comparison with a new `text`; one with two new `pictures` too; labels to
            `classify`; passages to `rank`.
        text: to be compared, or the query.
        texts: labels or passages.
        pictures: two new JPEG files where they are compared, else none: the shipped ones are meant.
    """

    kind: Kind
    text: str = ""
    texts: tuple[str, ...] = ()
    pictures: tuple[bytes, ...] = ()


def requests(seed: int, visitor: int = 0) -> Iterator[Request]:
    """Yield a visitor's requests without end; the same seed and visitor make the same sequence."""
    random = np.random.default_rng([seed, visitor])
    while True:
        for position in random.permutation(len(_TEN)):
            yield _request(_TEN[position], random)


def texts(random: np.random.Generator, count: int, words: int) -> tuple[str, ...]:
    """Return new texts of so many words, each of them different."""
    made: dict[str, None] = {}
    while len(made) < count:
        made[" ".join(random.choice(WORDS, words))] = None
    return tuple(made)


def changed(name: str, random: np.random.Generator) -> bytes:
    """Return a shipped picture with one pixel changed, as a JPEG file that no cache has seen."""
    picture = decoded(name).copy()
    place = int(random.integers(picture.width)), int(random.integers(picture.height))
    picture.putpixel(place, tuple(map(int, random.integers(256, size=3))))
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=90)
    return file.getvalue()


@functools.cache
def decoded(name: str) -> Image.Image:
    """Return a shipped picture, RGB; shared, so not to be changed."""
    return Image.open(EXAMPLES / name).convert("RGB")


def _request(kind: Kind, random: np.random.Generator) -> Request:
    [text] = texts(random, 1, 6)
    if kind == "classify":
        return Request(kind, texts=texts(random, _LABELS, 3))
    if kind == "rank":
        return Request(kind, text, texts(random, _PASSAGES, _PASSAGE))
    new = tuple(changed(name, random) for name in SHIPPED) if kind == "pictures" else ()
    return Request(kind, text, pictures=new)


def call(request: Request, pictures: list[Any], model: str = "mini") -> tuple[str, list[Any]]:
    """Return the endpoint and what it is given.

    Args:
        request: what is asked for.
        pictures: two that were uploaded.
        model: a name of `/models`.
    """
    if request.kind == "classify":
        return "classify", [pictures, "\n".join(request.texts), TEMPLATES, False, model]
    if request.kind == "rank":
        return "rank", [request.text, "\n\n".join(request.texts), model, 1, 1, 1]
    return "compare", [*pictures, request.text, model]


def upload_shipped(caller: Caller) -> list[dict[str, Any]]:
    """Upload the two shipped pictures."""
    return [caller.upload(name, (EXAMPLES / name).read_bytes()) for name in SHIPPED]
