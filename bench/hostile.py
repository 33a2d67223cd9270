"""What pictures that are made to cost cost another caller's comparisons."""

from __future__ import annotations

import argparse
import io
import struct
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from PIL import Image

from bench.callers import Answer, Caller
from bench.mixture import SHIPPED, changed, upload_shipped
from bench.served import Served, serving
from bench.tables import Spread, line, spread, table

_SIDE = 7000
_SCANS = 90  # of 100 that are accepted
_HEADERS = 160_000  # of EXIF data: a megabyte
_COMPARISONS = 15
_PATIENCE = 120.0


def measure(given: argparse.Namespace) -> None:
    """Measure comparisons beside four pictures made to cost, sent again and again."""
    with serving(given.app, MMDEMO_PATHS="0", MMDEMO_DECODER=given.decoder) as served:
        _measure(served)


def _measure(served: Served) -> None:
    other = Caller(served.place, "127.0.0.3")
    known = upload_shipped(other)
    random = np.random.default_rng(0)
    with_known = _Comparisons(other, lambda: known)
    with_new = _Comparisons(
        other, lambda: [other.upload("new.jpg", changed(name, random)) for name in SHIPPED]
    )
    with_new.seconds(3)
    kinds = (("known pictures", with_known), ("new pictures", with_new))
    alone = [spread(kind.seconds(_COMPARISONS)) for _, kind in kinds]
    with _sending(served, files()) as told:
        beside = [spread(kind.seconds(_COMPARISONS)) for _, kind in kinds]
    for (name, _), one, two in zip(kinds, alone, beside, strict=True):
        _print(name, one, two)
    for (name, kind, said), count in sorted(told.items()):
        line(f"- {name}: {count} x {kind}{said and f': {said}'}")
    line("")


class _Comparisons:
    """Comparisons of one caller, each with a text of its own."""

    def __init__(self, caller: Caller, pictures: Callable[[], list[Any]]) -> None:
        self._caller, self._pictures, self._made = caller, pictures, 0

    def seconds(self, count: int) -> list[float]:
        """Return how long so many took; infinity for one without an answer."""
        found: list[float] = []
        for _ in range(count):
            self._made += 1
            asked = [*self._pictures(), f"a small boat, number {self._made}", "mini"]
            found.append(self._caller.ask("compare", asked, _PATIENCE).waited)
        return found


@contextmanager
def _sending(served: Served, pictures: dict[str, bytes]) -> Iterator[Counter[tuple[str, str, str]]]:
    """Have a visitor send pictures all at once, again and again, and count what is answered."""
    told: Counter[tuple[str, str, str]] = Counter()
    end = threading.Event()
    caller = Caller(served.place, "127.0.0.2")

    def send(name: str, data: bytes) -> None:
        number = 0
        while not end.is_set():
            number += 1  # behind the end of the picture: another file, so that none is known
            given = caller.upload(name, data + struct.pack(">I", number))
            told[
                name, *_said(caller.ask("compare", [given, given, "a bee", "mini"], _PATIENCE))
            ] += 1

    threads = [threading.Thread(target=send, args=one) for one in pictures.items()]
    for thread in threads:
        thread.start()
    try:
        yield told
    finally:
        end.set()
        for thread in threads:
            thread.join()


def _said(answer: Answer) -> tuple[str, str]:
    return answer.kind, "" if answer.good else str(answer.told)[:150]


def _print(name: str, alone: Spread, beside: Spread) -> None:
    rows = [
        (which, *(f"{seconds:.3f}" for seconds in one))
        for which, one in (("alone", alone), ("beside them", beside))
    ]
    ratios = (f"{b / a:.1f} x" for a, b in zip(alone, beside, strict=True))
    line(f"/compare with mini and {name}, {_COMPARISONS} times\n")
    table(("", "p50 s", "p95 s", "max s"), [*rows, ("beside / alone (aim 3)", *ratios)])


def files() -> dict[str, bytes]:
    """Return the pictures by the names of their files: each small, and costly in its own way."""
    return {
        "headers.jpg": _headers(),
        "scans.jpg": _scans(),
        "wide.png": _saved("PNG", _wide(np.uint16)),
        "float.tif": _saved("TIFF", _wide(np.float32), compression="tiff_adobe_deflate"),
    }


def _saved(format: str, picture: Image.Image, **options: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, format, **options)
    return file.getvalue()


def _wide(kind: type[np.generic]) -> Image.Image:
    return Image.fromarray(np.full((_SIDE, _SIDE), 9, dtype=kind))


def _headers() -> bytes:
    """Return a JPEG whose EXIF data begins over and over."""
    plain = _saved("JPEG", Image.new("RGB", (10, 10)))
    said = b"Exif\0\0" + b"Exif\0\0" * 10_000
    segment = b"\xff\xe1" + struct.pack(">H", len(said) + 2) + said
    return plain[:2] + segment * (_HEADERS // 10_000) + plain[20:]


def _scans() -> bytes:
    """Return a progressive JPEG whose last scan, which changes no pixel, comes over and over."""
    whole = _saved("JPEG", Image.new("RGB", (_SIDE, _SIDE)), progressive=True)
    last = whole.rindex(b"\xff\xda")
    return whole[:last] + whole[last:-2] * (_SCANS - 9) + whole[-2:]
