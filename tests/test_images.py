from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from mmdemo.errors import PictureError
from mmdemo.images import (
    as_image,
    open_image,
    open_unchanged,
    shown_by_browsers,
    thumbnail_uri,
    to_rgb,
)
from mmdemo.settings import Limits

Encode = Callable[..., bytes]


def pixels(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture).astype(int)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(
    gradient: Image.Image, file_bytes: Encode, orientation: int
) -> None:
    # Store the picture the way a camera held at that angle would, and expect it upright again.
    undo = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    stored = gradient if undo is None else gradient.transpose(undo)
    exif = Image.Exif()
    exif[0x0112] = orientation
    opened = open_image(file_bytes(stored, "PNG", exif=exif))
    assert opened.size == gradient.size
    np.testing.assert_array_equal(pixels(opened), pixels(gradient))


def test_alpha_is_composited_on_white(file_bytes: Encode) -> None:
    layer = Image.new("RGBA", (4, 4), (255, 0, 0, 0))
    layer.putpixel((0, 0), (255, 0, 0, 255))
    layer.putpixel((1, 0), (0, 0, 0, 128))
    opened = open_image(file_bytes(layer, "PNG"))
    assert opened.mode == "RGB"
    assert opened.getpixel((3, 3)) == (255, 255, 255)
    assert opened.getpixel((0, 0)) == (255, 0, 0)
    assert opened.getpixel((1, 0)) == (127, 127, 127)


def test_grey_with_alpha_is_composited_on_white(file_bytes: Encode) -> None:
    opened = open_image(file_bytes(Image.new("LA", (3, 3), (0, 0)), "PNG"))
    assert opened.getpixel((1, 1)) == (255, 255, 255)


def test_palette_keeps_its_colours(gradient: Image.Image, file_bytes: Encode) -> None:
    palette = gradient.quantize(64)
    opened = open_image(file_bytes(palette, "PNG"))
    np.testing.assert_array_equal(pixels(opened), pixels(palette.convert("RGB")))


def test_transparent_palette_is_composited_on_white(file_bytes: Encode) -> None:
    palette = Image.new("P", (4, 4), 0)
    palette.putpalette([0, 0, 0, 10, 200, 30])
    palette.putpixel((1, 1), 1)
    opened = open_image(file_bytes(palette, "PNG", transparency=0))
    assert opened.getpixel((0, 0)) == (255, 255, 255)
    assert opened.getpixel((1, 1)) == (10, 200, 30)


def test_sixteen_bit_grey_is_scaled(file_bytes: Encode) -> None:
    ramp = np.array([[0, 257, 32896, 65535]], dtype=np.uint16)
    opened = open_image(file_bytes(Image.fromarray(ramp), "PNG"))
    assert pixels(opened)[0, :, 0].tolist() == [0, 1, 128, 255]


def test_a_dark_sixteen_bit_picture_stays_dark(file_bytes: Encode) -> None:
    dark = Image.fromarray(np.full((4, 4), 200, dtype=np.uint16))
    assert pixels(open_image(file_bytes(dark, "TIFF"))).max() <= 1


def test_float_tiff_is_scaled(file_bytes: Encode) -> None:
    ramp = Image.fromarray(np.array([[0.0, 0.5, 1.0]], dtype=np.float32))
    assert pixels(open_image(file_bytes(ramp, "TIFF")))[0, :, 0].tolist() == [0, 128, 255]


def test_cmyk_comes_out_in_the_right_colours(file_bytes: Encode) -> None:
    # No ink is white, full yellow is yellow, full black is black.
    inks = Image.new("CMYK", (48, 16), (0, 0, 0, 0))
    inks.paste((0, 0, 255, 0), (16, 0, 32, 16))
    inks.paste((0, 0, 0, 255), (32, 0, 48, 16))
    opened = open_image(file_bytes(inks, "JPEG", quality=95))
    for x, expected in ((8, (255, 255, 255)), (24, (255, 255, 0)), (40, (0, 0, 0))):
        got = pixels(opened)[8, x]
        assert np.abs(got - expected).max() <= 12, (x, got)


def test_a_broken_colour_profile_does_not_stop_a_cmyk_picture(file_bytes: Encode) -> None:
    inks = Image.new("CMYK", (16, 16), (0, 0, 255, 0))
    opened = open_image(file_bytes(inks, "JPEG", icc_profile=b"not a profile"))
    assert np.abs(pixels(opened)[8, 8] - (255, 255, 0)).max() <= 12


def test_an_rgb_profile_changes_nothing(gradient: Image.Image, file_bytes: Encode) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    opened = open_image(file_bytes(gradient, "PNG", icc_profile=profile))
    np.testing.assert_array_equal(pixels(opened), pixels(gradient))


@pytest.mark.parametrize("format", ["GIF", "PNG", "WEBP"])
def test_first_frame_of_an_animation(file_bytes: Encode, format: str) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue", "lime")]
    options = {"lossless": True} if format == "WEBP" else {}
    data = file_bytes(frames[0], format, save_all=True, append_images=frames[1:], **options)
    assert open_image(data).getpixel((4, 4)) == (255, 0, 0)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "BMP", "TIFF", "AVIF", "PPM"])
def test_accepted_formats(gradient: Image.Image, file_bytes: Encode, format: str) -> None:
    opened = open_image(file_bytes(gradient, format))
    assert (opened.mode, opened.size) == ("RGB", gradient.size)
    assert np.abs(pixels(opened) - pixels(gradient)).mean() < 6


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "empty"),
        (b"hello, I am not a picture", "not a picture.*JPEG, PNG"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG.*export it as PNG"),
        (b"%PDF-1.7 ...", "PDF"),
        (b"<!DOCTYPE html><html></html>", "web page"),
        (b"PK\x03\x04rest", "ZIP"),
        (b"\x00\x00\x00\x18ftypheic\x00\x00", "HEIC.*JPEG"),
    ],
)
def test_what_is_not_a_picture_is_named(data: bytes, says: str) -> None:
    with pytest.raises(PictureError, match=f"(?s){says}"):
        open_image(data)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF"])
def test_a_file_cut_off_in_the_middle_is_explained(file_bytes: Encode, format: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    data = file_bytes(Image.fromarray(noise), format)
    with pytest.raises(PictureError, match=r"damaged|not a picture"):
        open_image(data[: len(data) // 2])


def test_flipped_bits_never_escape_as_another_error(
    gradient: Image.Image, file_bytes: Encode
) -> None:
    random = np.random.default_rng(0)
    refused = 0
    for format in ("JPEG", "PNG", "GIF", "WEBP", "TIFF"):
        good = np.frombuffer(file_bytes(gradient, format), dtype=np.uint8)
        for _ in range(40):
            bad = good.copy()
            bad[random.integers(0, len(bad), 8)] = random.integers(0, 256, 8)
            try:
                assert open_image(bad.tobytes()).mode == "RGB"
            except PictureError:
                refused += 1
    assert refused > 0


def test_a_pixel_bomb_is_refused_before_it_is_decoded() -> None:
    # A PNG header that claims 60,000 x 60,000 pixels and holds none.
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    data = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk
    data += struct.pack(">I", zlib.crc32(chunk)) + struct.pack(">I", 0) + b"IDAT"
    with pytest.raises(PictureError, match="million"):
        open_image(data)


def test_pixel_limit(gradient: Image.Image, file_bytes: Encode) -> None:
    data = file_bytes(gradient, "PNG")
    assert open_image(data, Limits(pixels=2400)).size == (60, 40)
    with pytest.raises(PictureError, match=r"60 x 40 pixels; at most 0\.002399 million"):
        open_image(data, Limits(pixels=2399))


def test_aspect_limit(file_bytes: Encode) -> None:
    with pytest.raises(PictureError, match=r"20000 x 1 pixels.*50 times.*Crop"):
        open_image(file_bytes(Image.new("L", (20000, 1)), "PNG"))


def test_byte_limit(tmp_path: Path) -> None:
    big = bytes(1_200_000)
    (tmp_path / "big.png").write_bytes(big)
    for source in (big, tmp_path / "big.png", str(tmp_path / "big.png")):
        with pytest.raises(PictureError, match=r"1\.2 MB; at most 1 MB"):
            open_image(source, Limits(upload_mb=1))


def test_a_missing_file_is_named_without_its_folder(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match=r"'gone\.png'") as caught:
        open_image(tmp_path / "gone.png")
    assert str(tmp_path) not in str(caught.value)


def test_something_else_entirely() -> None:
    with pytest.raises(PictureError, match="not int"):
        as_image(3)  # pyright: ignore[reportArgumentType]


def test_a_picture_in_memory_is_taken_as_it_is(gradient: Image.Image) -> None:
    assert as_image(gradient) is gradient
    assert to_rgb(gradient) is gradient


def test_unchanged_is_in_the_mode_of_the_file(file_bytes: Encode, gradient: Image.Image) -> None:
    layer = gradient.convert("RGBA")
    layer.putalpha(90)
    for picture, format in ((layer, "PNG"), (gradient.quantize(8), "PNG"), (gradient, "PNG")):
        opened = open_unchanged(file_bytes(picture, format))
        assert opened.mode == picture.mode
        assert opened.tobytes() == picture.tobytes()
    exif = Image.Exif()
    exif[0x0112] = 6
    assert open_unchanged(file_bytes(gradient, "JPEG", exif=exif)).size == gradient.size
    with pytest.raises(PictureError, match="at most"):
        open_unchanged(file_bytes(gradient, "PNG"), Limits(pixels=100))


def test_what_browsers_cannot_show(gradient: Image.Image, file_bytes: Encode) -> None:
    assert not shown_by_browsers(file_bytes(gradient, "TIFF"))
    assert not shown_by_browsers(file_bytes(gradient, "PPM"))
    assert shown_by_browsers(file_bytes(gradient, "PNG"))
    assert shown_by_browsers(b"no picture")


def test_thumbnail_is_a_square_jpeg(gradient: Image.Image) -> None:
    with_alpha = gradient.convert("RGBA")
    head, _, body = thumbnail_uri(with_alpha, 32).partition(",")
    assert head == "data:image/jpeg;base64"
    import base64

    assert Image.open(io.BytesIO(base64.b64decode(body))).size == (32, 32)
