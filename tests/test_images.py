from __future__ import annotations

import io
import os
import struct
import threading
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from mmdemo.errors import PictureError
from mmdemo.examples import FOLDER
from mmdemo.images import (
    Picture,
    as_image,
    as_sources,
    digest_of,
    open_image,
    shown_by_browsers,
    thumbnail_uri,
    to_rgb,
)
from mmdemo.images import files as picture_files
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
        opened = Picture(file_bytes(picture, format), unchanged=True).open()
        assert opened.mode == picture.mode
        assert opened.tobytes() == picture.tobytes()
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = Picture(file_bytes(gradient, "JPEG", exif=exif), unchanged=True)
    assert turned.open().size == gradient.size
    with pytest.raises(PictureError, match="at most"):
        Picture(file_bytes(gradient, "PNG"), Limits(pixels=100), unchanged=True).open()


def test_what_browsers_cannot_show(gradient: Image.Image, file_bytes: Encode) -> None:
    assert not shown_by_browsers(file_bytes(gradient, "TIFF"))
    assert not shown_by_browsers(file_bytes(gradient, "PPM"))
    assert shown_by_browsers(file_bytes(gradient, "PNG"))
    assert shown_by_browsers(b"no picture")
    assert shown_by_browsers("gone.tif")
    for start in (b"MM\0*", b"II+\0", b"MM\0+", b"P5\n", b"P3 "):
        assert not shown_by_browsers(start)


def test_nothing_is_opened_to_know_what_browsers_show(
    gradient: Image.Image, file_bytes: Encode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.tif").write_bytes(file_bytes(gradient, "TIFF"))
    monkeypatch.setattr(Image, "open", None)
    assert not shown_by_browsers(tmp_path / "a.tif")
    assert not shown_by_browsers(str(tmp_path / "a.tif"))


def test_thumbnail_is_a_square_jpeg(gradient: Image.Image) -> None:
    with_alpha = gradient.convert("RGBA")
    head, _, body = thumbnail_uri(with_alpha, 32).partition(",")
    assert head == "data:image/webp;base64"
    import base64

    assert Image.open(io.BytesIO(base64.b64decode(body))).size == (32, 32)


@pytest.fixture
def photo(gradient: Image.Image) -> Image.Image:
    """Return a picture whose short side is twice what a large JPEG keeps at least."""
    return gradient.resize((1920, 1280), Image.Resampling.BICUBIC)


def test_a_large_jpeg_is_read_smaller_through_every_door(
    photo: Image.Image, file_bytes: Encode, tmp_path: Path
) -> None:
    data, path = file_bytes(photo, "JPEG", quality=95), tmp_path / "photo.jpg"
    path.write_bytes(data)
    opened = open_image(path)
    assert opened.size == (960, 640)
    assert np.abs(pixels(opened) - pixels(photo.resize((960, 640)))).mean() < 2
    for other in (
        open_image(data),
        as_image(str(path)),
        Picture(path).open(),
        Picture(data).open(),
    ):
        np.testing.assert_array_equal(pixels(other), pixels(opened))
    large = file_bytes(photo.resize((5121, 5120)), "JPEG")
    assert open_image(large).size == (641, 640)
    assert open_image(file_bytes(photo, "JPEG", progressive=True)).size == (960, 640)


def test_a_jpeg_below_twice_that_is_read_whole(photo: Image.Image, file_bytes: Encode) -> None:
    data = file_bytes(photo.crop((0, 0, 1920, 1279)), "JPEG")
    np.testing.assert_array_equal(
        pixels(open_image(data)), pixels(Image.open(io.BytesIO(data)).convert("RGB"))
    )
    for path in FOLDER.glob("*.jpg"):
        np.testing.assert_array_equal(pixels(open_image(path)), pixels(Image.open(path)))


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_a_large_jpeg_of_any_kind_is_turned_and_in_colour(
    photo: Image.Image, file_bytes: Encode, mode: str
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = photo.transpose(Image.Transpose.ROTATE_90).convert(mode)
    opened = open_image(file_bytes(stored, "JPEG", exif=exif, quality=95))
    assert (opened.mode, opened.size) == ("RGB", (960, 640))
    expected = photo.convert(mode).convert("RGB").resize((960, 640))
    assert np.abs(pixels(opened) - pixels(expected)).mean() < 4


def test_several_pictures_in_one_jpeg_count_as_the_first(
    photo: Image.Image, file_bytes: Encode
) -> None:
    data = file_bytes(photo, "MPO", save_all=True, append_images=[Image.new("RGB", (9, 9))])
    assert open_image(data).size == (960, 640)


def test_a_large_jpeg_is_unchanged_where_that_is_asked_for(
    photo: Image.Image, file_bytes: Encode
) -> None:
    data = file_bytes(photo, "JPEG")
    stored = Image.open(io.BytesIO(data))
    opened = Picture(data, unchanged=True).open()
    np.testing.assert_array_equal(pixels(opened), pixels(stored))
    assert Picture(data, unchanged=True).digest != Picture(data).digest
    # PIL's own are taken as they are.
    assert as_image(stored).size == photo.size


def test_limits_are_on_the_file_not_on_what_is_read_of_it(
    photo: Image.Image, file_bytes: Encode
) -> None:
    data = file_bytes(photo, "JPEG")
    assert open_image(data, Limits(pixels=1920 * 1280)).size == (960, 640)
    for read in (open_image, lambda *given: Picture(*given).digest):
        with pytest.raises(PictureError, match="1920 x 1280"):
            read(data, Limits(pixels=1920 * 1280 - 1))


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Return a list of what is decoded from now on."""
    files: list[bytes] = []
    decode = picture_files.opened

    def noted(data: bytes, *rest: Any) -> Any:
        files.append(data)
        return decode(data, *rest)

    monkeypatch.setattr(picture_files, "opened", noted)
    return files


def test_a_picture_is_decoded_once_and_a_known_file_not_at_all(
    gradient: Image.Image, file_bytes: Encode, tmp_path: Path, decoded: list[bytes]
) -> None:
    path = tmp_path / "one.png"
    path.write_bytes(file_bytes(gradient, "PNG"))
    picture = Picture(path)
    assert decoded == []
    digest = picture.digest
    assert len(digest) == 20
    assert picture.open() is picture.open()
    np.testing.assert_array_equal(pixels(picture.open()), pixels(gradient))
    assert as_image(picture) is picture.open()
    assert len(decoded) == 1
    (tmp_path / "link.png").symlink_to(path)
    for source in (path, str(path), path.read_bytes(), tmp_path / "link.png"):
        assert Picture(source).digest == digest
    assert len(decoded) == 1
    picture.close()
    assert picture.open().size == gradient.size
    assert len(decoded) == 2


def test_a_known_file_is_not_read(
    gradient: Image.Image, file_bytes: Encode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "one.png"
    path.write_bytes(file_bytes(gradient, "PNG"))
    digest = Picture(path).digest
    with monkeypatch.context() as closed:
        closed.setattr(picture_files, "read_source", None)
        assert Picture(path).digest == digest


def test_a_file_that_was_replaced_is_another_picture(
    gradient: Image.Image, file_bytes: Encode, tmp_path: Path
) -> None:
    path = tmp_path / "one.bmp"
    path.write_bytes(file_bytes(gradient, "BMP"))
    before, status = Picture(path), path.stat()
    assert before.digest
    # Of the same size, and as old as the other.
    other = tmp_path / "other.bmp"
    other.write_bytes(file_bytes(gradient.transpose(Image.Transpose.FLIP_LEFT_RIGHT), "BMP"))
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    other.replace(path)
    after = Picture(path)
    assert after.digest != before.digest
    np.testing.assert_array_equal(pixels(after.open())[:, ::-1], pixels(gradient))
    # Pixels never stand under the name of others.
    assert before.open().getpixel((0, 0)) == gradient.getpixel((0, 0))
    before.close()
    with pytest.raises(PictureError, match="changed"):
        before.open()


def test_what_cannot_be_read_has_no_digest(
    gradient: Image.Image, file_bytes: Encode, tmp_path: Path
) -> None:
    whole = file_bytes(gradient, "PNG")
    path = tmp_path / "one.png"
    for data in (whole[: len(whole) // 2], b"", b"no picture"):
        path.write_bytes(data)
        for source in (path, data):
            picture = Picture(source)
            for _ in range(2):
                with pytest.raises(PictureError):
                    _ = picture.digest
                with pytest.raises(PictureError):
                    picture.open()
    for source in (tmp_path / "gone.png", "nul\0.png", tmp_path, 3):
        with pytest.raises(PictureError):
            _ = Picture(source).digest  # pyright: ignore[reportArgumentType]


def test_other_limits_are_looked_at_again(
    gradient: Image.Image, file_bytes: Encode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "one.png"
    path.write_bytes(file_bytes(gradient, "PNG"))
    digest = Picture(path).digest
    for source in (path, path.read_bytes()):
        with pytest.raises(PictureError, match="60 x 40"):
            _ = Picture(source, Limits(pixels=2399)).digest
        with monkeypatch.context() as environment:
            environment.setenv("MMDEMO_LIMITS_PIXELS", "2399")
            with pytest.raises(PictureError, match="60 x 40"):
                _ = Picture(source).digest
        assert Picture(source, Limits(pixels=2400)).digest == digest


def test_many_threads_decode_one_picture_once(
    gradient: Image.Image, file_bytes: Encode, decoded: list[bytes]
) -> None:
    picture = Picture(file_bytes(gradient.resize((61, 41)), "PNG"))
    together, opened = threading.Barrier(8), []

    def ask() -> None:
        together.wait()
        opened.append((picture.digest, picture.open()))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(opened) == 8
    assert len({digest for digest, _ in opened}) == len({id(one) for _, one in opened}) == 1
    assert len(decoded) == 1


def test_several_pictures_are_opened_at_the_same_time(
    gradient: Image.Image, file_bytes: Encode, monkeypatch: pytest.MonkeyPatch
) -> None:
    together, decode = threading.Barrier(2, timeout=60), picture_files.opened

    def held(*given: Any) -> Any:
        together.wait()
        return decode(*given)

    monkeypatch.setattr(picture_files, "opened", held)
    one, two = (Picture(file_bytes(gradient.resize((side, 9)), "PNG")) for side in (7, 8))
    as_sources(one, two)
    assert one.open().size != two.open().size


def test_looking_at_pictures_tells_of_the_first_that_cannot_be_read(
    gradient: Image.Image, file_bytes: Encode, decoded: list[bytes]
) -> None:
    whole, broken = Picture(file_bytes(gradient, "PNG")), Picture(b"no picture")
    with pytest.raises(PictureError, match="not a picture"):
        as_sources(gradient, whole, broken, b"")
    assert as_sources(gradient, whole) == [gradient, whole]
    assert decoded.count(b"no picture") == 2
    assert len(decoded) == 3


def test_what_is_known_of_files_is_bounded(
    gradient: Image.Image, file_bytes: Encode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(picture_files, "_MOST_KNOWN", 3)
    for side in range(1, 9):
        assert Picture(file_bytes(gradient.resize((side, side)), "PNG")).digest
    assert len(picture_files._known._told) == 3


def test_a_picture_in_memory_is_no_file(gradient: Image.Image, file_bytes: Encode) -> None:
    data = file_bytes(gradient, "PNG")
    assert digest_of(gradient) == digest_of(open_image(data)) == digest_of(gradient.copy())
    assert digest_of(gradient) != digest_of(gradient.convert("L"))
    assert digest_of(gradient) != Picture(data).digest
