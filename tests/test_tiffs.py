"""TIFF files of numbers that Pillow does not read: any kind of number, any order of bytes."""

from __future__ import annotations

import io
import itertools
import re
import tracemalloc
from collections.abc import Iterator
from contextlib import suppress

import numpy as np
import pytest
from PIL import Image

from mmdemo.errors import PictureError
from mmdemo.images import Picture, open_image, shown_by_browsers
from mmdemo.images import tiffs as module
from mmdemo.settings import Limits
from mmdemo.ui.parts.markup import error_message
from tests.tiff_files import Stored, tiff

RED, GREEN = np.mgrid[0:255:23j, 0:255:37j]
COLOURS = np.rint(np.stack([RED, GREEN, 255 - RED], axis=-1)).astype(int)
"""A picture of 37 x 23 that uses all of a scale."""


def stored_as(kind: str) -> np.ndarray:
    whole = {"u1": 1, "u2": 257, "u4": 16_843_009}
    if kind in whole:
        return (COLOURS * whole[kind]).astype(kind)
    return (COLOURS / 255).astype(kind)


def seen(data: bytes) -> np.ndarray:
    return np.asarray(open_image(data)).astype(int)


def notes(data: bytes) -> list[str]:
    return [note.message for note in Picture(data).notes]


def ways() -> Iterator[tuple[str, Stored]]:
    for kind in ("u1", "u2", "u4", "f2", "f4", "f8"):
        predictors = (1, 2) if kind[0] == "u" else (1, 3)
        for big_endian, big, planar, tiled in itertools.product((False, True), repeat=4):
            for predictor in predictors:
                packed = predictor > 1
                tile = 16 * tiled
                yield kind, Stored(big_endian, big, planar, tile, packed, predictor, photo=2)


@pytest.mark.parametrize("kind", ["u1", "u2", "u4", "f2", "f4", "f8"])
def test_colours_of_any_numbers_are_read(kind: str) -> None:
    for one, stored in ways():
        if one == kind:
            data = tiff(stored_as(kind), stored)
            assert np.abs(seen(data) - COLOURS).max() <= (kind == "f2"), stored
            assert notes(data) == []


@pytest.mark.parametrize("packing", ["tiff_adobe_deflate", "tiff_lzw", "zstd", "lzma", "packbits"])
@pytest.mark.parametrize(("kind", "predictor"), [("u2", 2), ("f4", 3)])
def test_what_libtiff_packs_is_unpacked(packing: str, kind: str, predictor: int) -> None:
    tags = {} if packing == "packbits" else {317: predictor}
    buffer = io.BytesIO()
    one = Image.fromarray(np.ascontiguousarray(stored_as(kind)[..., 0]))
    one.save(buffer, "TIFF", compression=packing, tiffinfo=tags)
    assert (seen(buffer.getvalue())[..., 0] == COLOURS[..., 0]).all()


def test_twelve_bits_in_sixteen_are_spread_and_keep_their_colours() -> None:
    data = tiff((COLOURS * 16).astype("u2"), Stored(photo=2))
    assert (seen(data) == COLOURS).all()
    spread = "Values 0 to 4,080 were spread over black to white: they use no known scale."
    assert notes(data) == [spread]
    # Spread from its least each channel would lose its own colour: there is no pure black.
    warm = tiff((COLOURS * 8 + 1000).astype("u2"), Stored(photo=2))
    assert (seen(warm) == np.rint((COLOURS * 8 + 1000) * 255 / 3040)).all()


def test_opacity_is_put_on_white() -> None:
    half = np.full((23, 37, 1), 32_768)
    numbers = np.concatenate([COLOURS * 257, half], axis=2).astype("u2")
    expected = np.rint((COLOURS + 255) / 2)
    assert np.abs(seen(tiff(numbers, Stored(photo=2, extra=(2,)))) - expected).max() <= 1
    weighed = numbers.astype(float)
    weighed[..., :3] *= 32_768 / 65_535
    data = tiff(weighed.astype("u2"), Stored(photo=2, extra=(1,), planar=True))
    assert np.abs(seen(data) - expected).max() <= 1


@pytest.mark.parametrize("kind", ["u1", "u2", "f4"])
@pytest.mark.parametrize("planar", [False, True])
def test_of_many_bands_three_are_shown_and_that_is_said(kind: str, planar: bool) -> None:
    bands = np.concatenate([stored_as(kind)] * 2, axis=2)[..., :5]
    for photo, extra in ((1, (0,) * 4), (2, (0, 0))):
        data = tiff(bands, Stored(photo=photo, extra=extra, planar=planar))
        assert (seen(data) == COLOURS).all()
        of = "Of 5 channels only the first three are shown, as red, green and blue."
        assert notes(data) == [of]


def test_of_two_bands_one_is_shown() -> None:
    data = tiff(stored_as("f4")[..., :2], Stored(extra=(0,)))
    assert (seen(data)[..., 1] == COLOURS[..., 0]).all()
    assert notes(data) == ["Of 2 channels only the first is shown."]


@pytest.mark.parametrize("kind", ["u1", "f4"])
def test_pages_are_told_from_smaller_versions_of_the_first(kind: str) -> None:
    first = "Of several pages only the first is looked at."
    for subfile, said in (((0,), []), ((0, 0), [first]), ((0, 1, 4), []), ((0, 1, 0), [first])):
        assert notes(tiff(stored_as(kind), Stored(photo=2, subfile=subfile))) == said


def test_an_orientation_is_applied() -> None:
    data = bytearray(tiff(stored_as("f4"), Stored(photo=2), t274=b"\6"))
    # Written as a text of two bytes; a number of 16 bits has the same two.
    entry = data.index(b"\x12\x01\x02\0\2\0\0\0")
    data[entry : entry + 8] = b"\x12\x01\x03\0\1\0\0\0"
    assert (seen(bytes(data)) == np.rot90(COLOURS, -1)).all()


KIND = "This is a TIFF with {} (compression: {}), which is not read. Save it as a TIFF with 8 or 16"


@pytest.mark.parametrize(
    ("data", "kind", "packed"),
    [
        (tiff(stored_as("f4")[..., :1].astype("c8")), "1 channel of 64-bit complex numbers", "raw"),
        (tiff(stored_as("u2"), Stored(photo=8)), "3 channels of 16-bit integers", "raw"),
        (
            tiff(stored_as("f4"), Stored(photo=2)).replace(b"\x20\0" * 3, b"\x18\0" * 3),
            "3 channels of 24-bit floats",
            "raw",
        ),
        (
            tiff(stored_as("f4"), Stored(photo=2)).replace(
                b"\x03\x01\x03\0\1\0\0\0\1\0", b"\x03\x01\x03\0\1\0\0\0\x47\x88"
            ),
            "3 channels of 32-bit floats",
            "34887",
        ),
    ],
)
def test_a_kind_that_is_not_read_is_named(data: bytes, kind: str, packed: str) -> None:
    with pytest.raises(PictureError) as caught:
        open_image(data)
    assert str(caught.value).startswith(KIND.format(kind, packed))
    told = re.search(r"数值为 ([a-z]+)(\d+)（压缩：(\w+)）", error_message(caught.value, "zh"))
    assert told is not None
    assert told[2] in kind
    assert told[3] == packed
    assert {"uint": "integers", "float": "floats", "complex": "complex numbers"}[told[1]] in kind


def test_limits_are_on_its_pixels_and_its_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    data = tiff(stored_as("f4"), Stored(photo=2))
    assert open_image(data, Limits(pixels=37 * 23)).size == (37, 23)
    with pytest.raises(PictureError, match="37 x 23"):
        open_image(data, Limits(pixels=37 * 23 - 1))
    monkeypatch.setattr(module, "_MOST_BYTES", 37 * 23 * 12 - 1)
    with pytest.raises(PictureError, match=r"MB of numbers.*8 bits"):
        open_image(data)


@pytest.mark.parametrize("edge", [2**31 - 16, 65_536, 0])
def test_tiles_that_are_larger_than_any_picture_take_no_memory(edge: int) -> None:
    whole = tiff(stored_as("f4"), Stored(photo=2, packed=True, tile=16))
    for tag in (b"\x42\x01", b"\x43\x01"):  # width and length
        entry = tag + b"\4\0\1\0\0\0"
        whole = whole.replace(entry + b"\x10\0\0\0", entry + edge.to_bytes(4, "little"))
    tracemalloc.start()
    try:
        with pytest.raises(PictureError, match="damaged"):
            open_image(whole)
        assert tracemalloc.get_traced_memory()[1] < 10**6
    finally:
        tracemalloc.stop()


def test_a_damaged_file_is_never_another_picture() -> None:
    """Cut anywhere it is refused: tags that are lost would be taken for their defaults."""
    whole = tiff(stored_as("f4"), Stored(photo=2, packed=True, predictor=3, tile=16))
    for end in (3, 8, 30, len(whole) // 2, len(whole) - 30, len(whole) - 5):
        with pytest.raises(PictureError):
            open_image(whole[:end])
    random = np.random.default_rng(0)
    good = np.frombuffer(whole, dtype=np.uint8)
    for _ in range(60):
        bad = good.copy()
        bad[random.integers(len(bad) - 300, len(bad), 4)] = random.integers(0, 256, 4)
        with suppress(PictureError):
            assert open_image(bad.tobytes()).mode == "RGB"


def test_browsers_show_none_of_them() -> None:
    assert not shown_by_browsers(tiff(stored_as("f4"), Stored(photo=2)))
