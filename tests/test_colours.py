"""Colours as their profile means them, and pictures of every mode."""

from __future__ import annotations

import io
import struct
import threading
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageCms

from mmdemo import load_encoder
from mmdemo.errors import PictureError
from mmdemo.examples import FOLDER
from mmdemo.images import Picture, digest_of, notes_of, open_image, to_rgb
from mmdemo.images.profiles import described
from tests.conftest import TINY
from tests.tiff_files import Stored, tiff

Encode = Callable[..., bytes]

D65 = (0.3127, 0.3290)
PROFILES = {
    "Adobe RGB": described(2.2, (*D65, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06)),
    "Display P3": described(2.2, (*D65, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06)),
    "Rec. 2020": described(2.2, (*D65, 0.708, 0.292, 0.17, 0.797, 0.131, 0.046)),
    "ProPhoto": described(1.8, (0.3457, 0.3585, 0.7347, 0.2653, 0.1596, 0.8404, 0.0366, 0.0001)),
}
GREY = described(1.0)  # linear light
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


def opened_profile(profile: bytes) -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(io.BytesIO(profile))


@pytest.fixture
def photo() -> Image.Image:
    """Return a photo of many colours."""
    return open_image(FOLDER / "bee.jpg").reduce(4)


def meant(photo: Image.Image, profile: bytes) -> Image.Image:
    """Return the same colours, as numbers of a profile."""
    found = ImageCms.profileToProfile(photo, SRGB, opened_profile(profile))
    assert found is not None
    return found


def apart(one: Image.Image, other: Image.Image) -> float:
    """Return the mean difference of two pictures, of 255."""
    return float(np.abs(np.asarray(one).astype(int) - np.asarray(other).astype(int)).mean())


@pytest.mark.parametrize("name", PROFILES)
@pytest.mark.parametrize("format", ["PNG", "TIFF", "WEBP", "JPEG", "AVIF"])
def test_colours_of_a_profile_are_those_of_a_screen(
    photo: Image.Image, file_bytes: Encode, name: str, format: str
) -> None:
    stored = meant(photo, PROFILES[name])
    options: dict[str, object] = {
        "WEBP": {"lossless": True},
        "JPEG": {"quality": 95, "subsampling": 0},
        "AVIF": {"quality": 95, "subsampling": "4:4:4"},
    }.get(format, {})
    data = file_bytes(stored, format, icc_profile=PROFILES[name], **options)
    found = open_image(data)
    least = apart(stored, photo)
    assert least > 3
    assert apart(found, photo) < (1 if format not in ("JPEG", "AVIF") else 3)
    assert Picture(data).notes == ()
    # To the same numbers through the other doors, and never twice.
    for other in (to_rgb(found), to_rgb(Image.open(io.BytesIO(data)))):
        assert apart(other, found) == 0


@pytest.mark.parametrize("mode", ["RGBA", "P", "PA", "RGBX", "RGBa"])
def test_a_profile_goes_with_every_mode_of_colours(photo: Image.Image, mode: str) -> None:
    stored = meant(photo, PROFILES["ProPhoto"])
    if mode in ("P", "PA"):
        stored = stored.quantize(256)
    picture = stored.convert("RGBA").convert(mode) if mode == "RGBa" else stored.convert(mode)
    without = to_rgb(strip(picture))
    picture.info["icc_profile"] = PROFILES["ProPhoto"]
    assert apart(to_rgb(picture), photo) < apart(without, photo) - 3
    assert digest_of(picture) != digest_of(strip(picture))


def strip(picture: Image.Image) -> Image.Image:
    found = picture.copy()
    found.info = {}
    return found


def test_opacity_is_kept_while_colours_change(photo: Image.Image) -> None:
    picture = meant(photo, PROFILES["Rec. 2020"]).convert("RGBA")
    picture.putalpha(Image.linear_gradient("L").resize(picture.size))
    picture.info["icc_profile"] = PROFILES["Rec. 2020"]
    expected = photo.convert("RGBA")
    expected.putalpha(picture.getchannel("A"))
    assert apart(to_rgb(picture), to_rgb(expected)) < 1


@pytest.mark.parametrize("mode", ["L", "LA", "I;16"])
def test_greys_have_profiles_too(photo: Image.Image, mode: str) -> None:
    grey = photo.convert("L")
    light = np.asarray(ImageCms.profileToProfile(photo, SRGB, opened_profile(GREY), outputMode="L"))
    picture = Image.fromarray(light)
    if mode == "LA":
        picture.putalpha(255)
    if mode == "I;16":
        picture = Image.fromarray(light.astype(np.uint16) * 257)
    picture.info["icc_profile"] = GREY
    assert apart(picture.convert("L") if mode != "I;16" else Image.fromarray(light), grey) > 30
    assert apart(to_rgb(picture).convert("L"), grey) < 6


def test_a_profile_of_srgb_changes_no_pixel(photo: Image.Image, file_bytes: Encode) -> None:
    assert to_rgb(photo) is photo
    photo.info["icc_profile"] = SRGB.tobytes()
    assert to_rgb(photo) is photo
    assert apart(open_image(file_bytes(photo, "PNG", icc_profile=SRGB.tobytes())), photo) == 0


@pytest.mark.parametrize(
    "profile",
    [
        b"",
        b"not a profile",
        PROFILES["ProPhoto"][:200],
        PROFILES["ProPhoto"][:-30],
        bytes(500),
        GREY,
        ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes(),
        ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes(),
        "text",
        7,
    ],
)
def test_a_broken_profile_leaves_the_picture_as_it_is(photo: Image.Image, profile: object) -> None:
    plain = strip(photo)
    photo.info["icc_profile"] = profile
    assert to_rgb(photo) is photo
    for mode in ("RGBA", "LA", "P", "CMYK", "L"):
        other = photo.convert(mode)
        other.info["icc_profile"] = profile if profile is not GREY else b"x"
        assert apart(to_rgb(other), to_rgb(strip(other))) == 0
    assert apart(plain, photo) == 0


def test_a_grey_picture_with_a_profile_of_colours_stays(photo: Image.Image) -> None:
    grey = photo.convert("L")
    grey.info["icc_profile"] = PROFILES["ProPhoto"]
    found = to_rgb(grey)
    assert apart(found, grey.convert("RGB")) == 0
    assert to_rgb(found) is found


def test_lab_is_shown_in_its_colours(photo: Image.Image, file_bytes: Encode) -> None:
    lab = ImageCms.profileToProfile(photo, SRGB, ImageCms.createProfile("LAB"), outputMode="LAB")
    assert lab is not None
    assert apart(to_rgb(lab), photo) < 2
    assert apart(open_image(file_bytes(lab, "TIFF")), photo) < 2


def with_chunks(data: bytes, **chunks: bytes) -> bytes:
    """Return a PNG file with more chunks behind its header."""
    for name, body in chunks.items():
        chunk = name.encode() + body
        packed = struct.pack(">I", len(body)) + chunk + struct.pack(">I", zlib.crc32(chunk))
        data = data[:33] + packed + data[33:]
    return data


def gamma(value: float) -> bytes:
    return struct.pack(">I", round(value * 100_000))


P3_CORNERS = struct.pack(">8I", 31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)


def test_a_png_says_its_gamma_and_its_colours_in_numbers(
    photo: Image.Image, file_bytes: Encode
) -> None:
    light = np.rint(255 * (np.asarray(photo) / 255.0) ** 2.2).astype(np.uint8)
    linear = file_bytes(Image.fromarray(light), "PNG")
    assert apart(open_image(linear), photo) > 30
    assert apart(open_image(with_chunks(linear, gAMA=gamma(1.0))), photo) < 4
    grey = file_bytes(Image.fromarray(light).convert("L"), "PNG")
    brighter = open_image(with_chunks(grey, gAMA=gamma(1.0)))
    assert np.asarray(brighter).mean() > np.asarray(open_image(grey)).mean() + 20
    p3 = file_bytes(meant(photo, PROFILES["Display P3"]), "PNG", icc_profile=None)
    told = with_chunks(p3, cHRM=P3_CORNERS, gAMA=gamma(1 / 2.2))
    assert apart(open_image(told), photo) < 1


@pytest.mark.parametrize(
    "chunks",
    [
        {"gAMA": gamma(0.45455)},
        {"gAMA": gamma(0)},
        {"gAMA": gamma(40_000)},
        {"sRGB": b"\0", "gAMA": gamma(1.0)},
        {"cHRM": bytes(32), "gAMA": gamma(1 / 2.2)},
        {"cHRM": struct.pack(">8I", *[30_000] * 8), "gAMA": gamma(1 / 2.2)},
    ],
)
def test_what_means_srgb_or_nothing_changes_no_pixel(
    photo: Image.Image, file_bytes: Encode, chunks: dict[str, bytes]
) -> None:
    data = with_chunks(file_bytes(photo, "PNG"), **chunks)
    if chunks == {"gAMA": gamma(40_000)}:
        assert open_image(data).mode == "RGB"  # an exponent of nothing: any picture will do
    else:
        assert apart(open_image(data), photo) == 0


def test_threads_convert_at_the_same_time(photo: Image.Image) -> None:
    pictures = [meant(photo, profile) for profile in PROFILES.values()] * 3
    expected = [to_rgb(picture) for picture in pictures]
    together, found = threading.Barrier(len(pictures)), [photo] * len(pictures)

    def convert(place: int) -> None:
        together.wait()
        found[place] = to_rgb(pictures[place])

    threads = [threading.Thread(target=convert, args=(at,)) for at in range(len(pictures))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [apart(one, other) for one, other in zip(found, expected, strict=True)] == [0] * 12


MODES = (
    *("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "LAB"),
    *("HSV", "I", "F", "I;16", "I;16L", "I;16B", "I;16N"),
)


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_of_pillow_is_seen(mode: str) -> None:
    told: tuple[dict[str, object], ...] = (
        {},
        {"icc_profile": PROFILES["ProPhoto"]},
        {"icc_profile": GREY},
        {"transparency": 0},
        {"transparency": (1, 2, 3)},
        {"transparency": b"\0\1"},
        {"gamma": 1.0},
        {"chromaticity": "none", "gamma": 0.1},
    )
    for info in told:
        picture = Image.new(mode, (6, 5))
        picture.info.update(info)
        try:
            found = to_rgb(picture)
        except PictureError:
            assert isinstance(info.get("transparency"), tuple | bytes)
            continue
        assert (found.mode, found.size) == ("RGB", (6, 5))
        assert apart(to_rgb(found), found) == 0
        assert notes_of(picture) == notes_of(picture.copy())
        assert len(digest_of(picture)) == 20


def test_colours_that_were_weighed_with_their_opacity_come_back() -> None:
    grey = Image.new("LA", (4, 4), (100, 128))
    assert apart(to_rgb(grey.convert("La")), to_rgb(grey)) <= 1
    red = Image.new("RGBA", (4, 4), (200, 50, 0, 128))
    assert apart(to_rgb(red.convert("RGBa")), to_rgb(red)) <= 1


@pytest.mark.parametrize("name", ["mini", str(TINY)])
def test_models_take_pictures_of_every_mode(name: str) -> None:
    encoder = load_encoder(name)
    for mode in MODES:
        vectors = encoder.encode(Image.new(mode, (30, 20)))
        assert np.isfinite(vectors).all(), mode


def deep(numbers: np.ndarray) -> bytes:
    """Return a PNG file of 16 bits a channel: Pillow writes none of colours."""
    height, width, channels = numbers.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in numbers)
    kind = struct.pack(">IIBBBBB", width, height, 16, {2: 4, 3: 2, 4: 6}[channels], 0, 0, 0)
    end = with_chunks(bytes(33), IEND=b"")[33:]
    data = with_chunks(bytes(33), IHDR=kind)[33:]
    return (
        with_chunks(b"\x89PNG\r\n\x1a\n".ljust(33, b"\0"), IDAT=zlib.compress(rows)).replace(
            bytes(25), data, 1
        )
        + end
    )


def test_colours_of_twelve_bits_in_sixteen_are_spread(photo: Image.Image) -> None:
    colours = np.asarray(photo).astype(int)
    lightest = colours.max()
    data = deep(colours * 16)
    assert apart(open_image(data), Image.fromarray((colours * 255 // lightest).astype("u1"))) <= 1
    [note] = Picture(data).notes
    assert note.message.startswith(f"Values 0 to {lightest * 16:,} were spread")
    clear = np.concatenate([colours * 16, np.zeros_like(colours[..., :1])], axis=2)
    assert open_image(deep(clear)).getextrema() == ((255, 255),) * 3
    whole = deep(colours * 257)
    assert apart(open_image(whole), photo) == 0
    assert Picture(whole).notes == ()
    for end in range(0, len(data) - 20, len(data) // 9):
        with pytest.raises(PictureError):
            open_image(data[:end])


def test_grey_of_twelve_bits_in_sixteen_with_opacity_is_spread(photo: Image.Image) -> None:
    grey = np.asarray(photo.convert("L")).astype(int)
    opaque = np.full_like(grey, 65535)
    opaque[:3] = 0
    data = deep(np.stack([grey * 16, opaque], axis=2))
    low, high = grey.min(), grey.max()
    spread = (grey - low) * 255 // (high - low)
    spread[:3] = 255
    assert apart(open_image(data), Image.fromarray(spread.astype("u1")).convert("RGB")) <= 1
    [note] = Picture(data).notes
    assert note.message.startswith(f"Grey values {low * 16:,} to {high * 16:,} were spread")
    whole = deep(np.stack([grey * 257, np.full_like(grey, 65535)], axis=2))
    assert apart(open_image(whole), photo.convert("L").convert("RGB")) == 0
    assert Picture(whole).notes == ()


@pytest.mark.parametrize("kind", ["png", "tiff"])
def test_sixteen_bits_a_channel_have_profiles_too(photo: Image.Image, kind: str) -> None:
    stored = np.asarray(meant(photo, PROFILES["ProPhoto"])).astype(int) * 257
    if kind == "png":
        packed = zlib.compress(PROFILES["ProPhoto"])
        data = with_chunks(deep(stored), iCCP=b"ProPhoto\0\0" + packed)
    else:
        data = tiff(stored.astype("u2"), Stored(photo=2), t34675=PROFILES["ProPhoto"])
        data = data.replace(b"\x73\x87\2\0", b"\x73\x87\7\0")  # bytes, not a text
    assert apart(open_image(data), photo) < 1
