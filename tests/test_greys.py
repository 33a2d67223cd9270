"""Numbers of more than 8 bits, as shades: by a known scale, or spread and said so."""

from __future__ import annotations

import io
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mmdemo.images import Picture, digest_of, greys, notes_of, open_image, to_rgb
from mmdemo.images.greys import Numbers
from tests.tiff_files import STRIPS, Stored, tiff

Encode = Callable[..., bytes]

RAMP = np.linspace(0.0, 1.0, 60 * 40).reshape(40, 60)
"""Every shade from black to white."""

SHADES = np.rint(RAMP * 255).astype(int)
SPREAD = "Grey values {} to {} were spread over black to white: they use no known scale."


def png(numbers: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(numbers).save(buffer, "PNG")
    return buffer.getvalue()


def tif(numbers: np.ndarray, stored: Stored = STRIPS, **tags: bytes) -> bytes:
    return tiff(numbers[..., None], stored, **tags)


def seen(data: bytes) -> tuple[np.ndarray, list[str]]:
    """Return the shades of a file, and what is said of them."""
    picture = Picture(data)
    shades = np.asarray(picture.open()).astype(int)
    assert (shades == shades[..., :1]).all()
    return shades[..., 0], [note.message for note in picture.notes]


def between(low: float, high: float, kind: str) -> np.ndarray:
    return np.rint(low + RAMP * (high - low)).astype(kind)


@pytest.mark.parametrize(
    ("data", "low", "high"),
    [
        (tif(between(-1024, 1016, "i2")), "-1,024", "1,016"),
        (tif(between(-1024, 1016, "i2"), Stored(big_endian=True)), "-1,024", "1,016"),
        (tif(between(-50_000, 2_000_000, "i4")), "-50,000", "2,000,000"),
        (tif(between(-100, 100, "i1")), "-100", "100"),
        (tif(between(0, 4095, "u2")), "0", "4,095"),
        (png(between(0, 4095, "u2")), "0", "4,095"),
        (b"P5 60 40 65535\n" + between(0, 4095, ">u2").tobytes(), "0", "4,095"),
        (tif(between(200, 2000, "u2"), Stored(big_endian=True)), "200", "2,000"),
        (png(between(40_000, 41_000, "u2")), "40,000", "41,000"),
        (tif(between(3_000_000_000, 3_000_100_000, "u4")), "3,000,000,000", "3,000,100,000"),
        (tif((RAMP * 5000 - 430).astype("f4")), "-430", "4,570"),
        (tif((RAMP * 0.02).astype("f4")), "0", "0.02"),
        (tif(RAMP.astype("f8") * 1e9), "0", "1,000,000,000"),
        (tif((RAMP * 300).astype("f2")), "0", "300"),
    ],
)
def test_values_without_a_known_scale_are_spread_and_that_is_said(
    data: bytes, low: str, high: str
) -> None:
    shades, notes = seen(data)
    assert np.abs(shades - SHADES).max() <= 1
    assert notes == [SPREAD.format(low, high)]


@pytest.mark.parametrize(
    "data",
    [
        png(between(0, 65535, "u2")),
        tif(between(0, 65535, "u2")),
        tif(between(0, 65535, "u2"), Stored(big_endian=True, packed=True, predictor=2)),
        tif(between(0, 2**32 - 1, "u4")),
        tif(RAMP.astype("f4")),
        tif(RAMP.astype("f2")),
        tif((RAMP * 255).astype("f4")),
        b"P5 60 40 4095\n" + between(0, 4095, ">u2").tobytes(),
    ],
)
def test_values_that_use_their_scale_are_shades_by_it(data: bytes) -> None:
    shades, notes = seen(data)
    assert np.abs(shades - SHADES).max() <= 1
    assert notes == []


def test_what_is_dark_by_a_scale_that_is_used_stays_dark() -> None:
    dim = between(0, 30_000, "u2")
    shades, notes = seen(png(dim))
    assert shades.max() == round(30_000 / 257)
    assert notes == []


@pytest.mark.parametrize(
    ("value", "kind", "shade", "said"),
    [
        (-5, "f4", 128, ["All grey values are -5, on no known scale"]),
        (-5, "i2", 128, ["All grey values are -5, on no known scale"]),
        (5000, "f4", 128, ["All grey values are 5,000, on no known scale"]),
        (0.5, "f4", 128, []),
        (0, "u2", 0, []),
        (200, "u2", 1, []),
        (65535, "u2", 255, []),
    ],
)
def test_a_plain_picture_has_a_shade(value: float, kind: str, shade: int, said: list[str]) -> None:
    shades, notes = seen(tif(np.full((9, 9), value, kind)))
    assert (shades == shade).all()
    assert [note.split(":")[0] for note in notes] == said


# No data.

GAP = slice(0, 10)  # rows of no data: a quarter


@pytest.mark.parametrize(
    ("gap", "kind", "tags"),
    [
        (-9999, "f4", {"t42113": b"-9999"}),
        (-9999, "f4", {"t42113": b"-9999.0 "}),
        (-9999, "i2", {"t42113": b"-9999"}),
        (-9999, "f4", {}),
        (-32768, "i2", {}),
        (-3.4028234663852886e38, "f4", {"t42113": b"-3.4028234663852886e+38"}),
        (-3.4028234663852886e38, "f4", {}),
        (1e20, "f4", {"t42113": b"1e+20"}),
        (np.nan, "f4", {"t42113": b"nan"}),
        (np.nan, "f4", {}),
        (np.inf, "f8", {}),
        (-np.inf, "f4", {}),
        (0, "u2", {"t42113": b"0"}),
        (65535, "u2", {"t42113": b"65535"}),
    ],
)
def test_no_data_is_left_out_and_white(gap: float, kind: str, tags: dict[str, Any]) -> None:
    heights = between(100, 3000, kind)
    heights[GAP] = gap
    shades, notes = seen(tif(heights, STRIPS, **tags))
    assert (shades[GAP] == 255).all()
    least = RAMP[10, 0]
    assert np.abs(shades[10:] - (RAMP[10:] - least) / (1 - least) * 255).max() <= 1
    assert [note[:11] for note in notes] == ["Grey values", "There is no"]
    assert "825 to 3,000" in notes[0]
    assert "25 %" in notes[1]


def test_a_low_value_among_others_is_data() -> None:
    depths = between(-9999, -1000, "i2")
    shades, notes = seen(tif(depths))
    assert np.abs(shades - SHADES).max() <= 1
    assert notes == [SPREAD.format("-9,999", "-1,000")]


@pytest.mark.parametrize("others", [(0,), (0, 30_000)])
def test_white_among_others_is_white_and_data(others: tuple[int, ...]) -> None:
    mask = np.full((9, 9), 65535, "u2")
    mask[:4] = np.resize(others, (4, 9))
    shades, notes = seen(tif(mask))
    assert set(shades.flat) == {255, *(round(one / 257) for one in others)}
    assert notes == []


def test_nothing_but_no_data_is_white() -> None:
    shades, notes = seen(tif(np.full((9, 9), np.nan, "f4")))
    assert (shades == 255).all()
    assert "100 %" in notes[0]


def test_a_transparent_value_of_a_png_is_white(file_bytes: Encode) -> None:
    heights = between(0, 65535, "u2")
    heights[GAP] = 0
    shades, _ = seen(file_bytes(Image.fromarray(heights), "PNG", transparency=0))
    assert (shades[GAP] == 255).all()
    assert shades[11].max() < 128


@pytest.mark.parametrize("kind", ["u2", "f4"])
def test_where_zero_is_white_it_is(kind: str) -> None:
    numbers = between(0, 65535, "u2") if kind == "u2" else RAMP.astype("f4")
    shades, _ = seen(tif(numbers, Stored(photo=0)))
    assert np.abs(shades - (255 - SHADES)).max() <= 1


# In memory, as a program hands it over.


@pytest.mark.parametrize(
    "picture",
    [
        Image.fromarray(between(-1024, 1016, "i4")),
        Image.fromarray(between(0, 4095, "u2")),
        Image.frombytes("I;16B", (60, 40), between(0, 4095, ">u2").tobytes()),
        Image.fromarray((RAMP * 5000 - 430).astype("f4")),
    ],
)
def test_a_picture_in_memory_is_seen_alike(picture: Image.Image) -> None:
    assert np.abs(np.asarray(to_rgb(picture))[..., 0].astype(int) - SHADES).max() <= 1
    [note] = notes_of(picture)
    assert note.code == "grey_range"


@pytest.mark.parametrize(
    "data",
    [
        tif(between(-1024, 1016, "i2")),
        tif(between(1, 65535, "u2"), t42113=b"1"),
        tif(between(0, 65535, "u2"), Stored(photo=0)),
        tif(between(0, 2**32 - 1, "u4")),
        tif((RAMP * 9000).astype("f4"), t42113=b"0"),
    ],
)
def test_a_file_that_a_program_has_opened_is_seen_as_the_file_is(data: bytes) -> None:
    opened = Image.open(io.BytesIO(data))
    assert notes_of(opened) == Picture(data).notes
    np.testing.assert_array_equal(np.asarray(to_rgb(opened)), np.asarray(open_image(data)))


def test_what_a_file_says_of_its_numbers_tells_pictures_in_memory_apart() -> None:
    heights = between(1, 65535, "u2")
    files = [tif(heights), tif(heights, t42113=b"1"), tif(heights, Stored(photo=0))]
    assert len({digest_of(Image.open(io.BytesIO(data))) for data in files}) == 3


@pytest.mark.parametrize("kind", ["png", "tiff", "colours"])
def test_a_wide_picture_is_never_whole_in_wider_numbers(kind: str) -> None:
    """Of its 2 or 4 bytes a pixel there is one copy more at most: numpy tells of its memory."""
    side = 1500
    data = {
        "png": lambda: png(np.zeros((side, side), "u2")),
        "tiff": lambda: tif(np.zeros((side, side), "f4"), Stored(packed=True)),
        "colours": lambda: tiff(
            np.zeros((side, side, 3), "f4"), Stored(photo=2, packed=True, tile=256)
        ),
    }[kind]()
    tracemalloc.start()
    try:
        open_image(data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 12 * 2**20  # of 9, 4.5 and 27 million bytes: strips


@pytest.mark.parametrize(
    ("values", "shades"),
    [
        ([1.5e16] * 3, [128, 128, 128]),
        ([-9e29] * 3, [128, 128, 128]),
        ([0.0, 1.4e-45, 2.8e-45], [0, 128, 255]),
        ([0.0, 1e-320, 0.0], [128, 128, 128]),
        ([-8e29, 0.0, 8e29], [0, 128, 255]),
    ],
)
def test_numbers_of_any_greatness_are_shades(values: list[float], shades: list[int]) -> None:
    kind = np.float64 if 1e-320 in values else np.float32
    numbers = Numbers((3, 1), lambda *_: np.array(values, dtype=kind)[None, :, None])
    drawn, notes = greys.shades(numbers)
    assert np.abs(np.asarray(drawn)[0, :, 0].astype(int) - shades).max() <= 1
    assert notes
