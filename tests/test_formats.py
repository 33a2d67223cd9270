"""Which formats are read, what is said of others, and of pages, frames and pictures in memory."""

from __future__ import annotations

import builtins
import gzip
import io
import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from mmdemo import classify, compare
from mmdemo.errors import MMDemoError, PictureError
from mmdemo.images import (
    FORMATS,
    Picture,
    as_sources,
    digest_of,
    notes_of,
    open_image,
    shown_by_browsers,
)
from mmdemo.images import formats as module
from mmdemo.models.encoder import Encoder
from mmdemo.settings import Limits
from mmdemo.tasks.embed import EmbedRequest
from mmdemo.ui.parts.markup import error_message, note_sentence
from mmdemo.ui.tabs.similarity import handlers as similarity
from mmdemo.ui.tabs.zero_shot import handlers as zero_shot
from mmdemo.work import Current
from tests.conftest import Command
from tests.held import ask
from tests.test_colours import PROFILES, apart, meant
from tests.tool_client import data_uri
from tests.waiting import last_of

Encode = Callable[..., bytes]


def notes(data: bytes) -> list[str]:
    return [note.message for note in Picture(data).notes]


# HEIC.


def heic(picture: Image.Image, *others: Image.Image) -> bytes:
    buffer, file = io.BytesIO(), pillow_heif.from_pillow(picture)
    for other in others:
        file.add_from_pillow(other)
    file.save(buffer, quality=95)
    return buffer.getvalue()


@pytest.fixture
def without_pillow_heif(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the package missing."""
    found = builtins.__import__

    def missing(name: str, *rest: Any) -> Any:
        if name.startswith("pillow_heif"):
            raise ImportError(name)
        return found(name, *rest)

    monkeypatch.setattr(builtins, "__import__", missing)


def test_a_heic_photo_is_read_where_the_package_is(gradient: Image.Image) -> None:
    data = heic(gradient)
    assert apart(open_image(data), gradient) < 4
    assert notes(data) == []
    assert not shown_by_browsers(data)
    with pytest.raises(PictureError, match="60 x 40"):
        open_image(data, Limits(pixels=2399))
    # Whoever uses Pillow beside sees nothing of it.
    assert not {"HEIF", "HEIC"} & Image.OPEN.keys()
    with pytest.raises(Image.UnidentifiedImageError):
        Image.open(io.BytesIO(data))


def test_a_heic_photo_has_colours_and_opacity(gradient: Image.Image) -> None:
    p3 = PROFILES["Display P3"]
    stored = meant(gradient, p3)
    stored.info["icc_profile"] = p3
    assert apart(open_image(heic(stored)), gradient) < 4
    layer = gradient.convert("RGBA")
    layer.putalpha(0)
    assert open_image(heic(layer)).getextrema() == ((255, 255),) * 3


def test_of_several_pictures_in_a_heic_the_first_is_looked_at(gradient: Image.Image) -> None:
    data = heic(gradient, Image.new("RGB", (64, 64)))
    assert open_image(data).size == gradient.size
    assert notes(data) == ["Of several pages only the first is looked at."]


BRANDS = ["heic", "heix", "heim", "heis", "hevc", "hevx", "mif1", "msf1", "heif"]


@pytest.mark.usefixtures("without_pillow_heif")
@pytest.mark.parametrize("brand", BRANDS)
def test_without_the_package_it_is_named(brand: str) -> None:
    data = b"\0\0\0\x18ftyp" + brand.encode() + b"\0\0\0\0mif1heic"
    for source in (data, data + bytes(100)):
        with pytest.raises(PictureError, match=r"HEIC.*pillow-heif.*JPEG") as caught:
            open_image(source)
        assert "pip install pillow-heif" in error_message(caught.value, "zh")
    assert not shown_by_browsers(data)


@pytest.mark.parametrize("brand", BRANDS)
def test_a_heic_photo_that_cannot_be_read_is_named(brand: str) -> None:
    with pytest.raises(PictureError, match=r"HEIC.*damaged.*JPEG"):
        open_image(b"\0\0\0\x18ftyp" + brand.encode() + b"\0\0\0\0mif1heic" + bytes(50))


def test_an_avif_file_with_a_general_brand_is_an_avif_file(
    gradient: Image.Image, file_bytes: Encode
) -> None:
    data = bytearray(file_bytes(gradient, "AVIF"))
    data[8:12] = b"mif1"
    assert apart(open_image(bytes(data)), gradient) < 6
    with pytest.raises(PictureError, match="damaged or cut off"):
        open_image(bytes(data[:60]))


# Icons.


@pytest.mark.parametrize("inside", ["png", "bmp"])
def test_the_largest_picture_of_an_icon_is_taken(
    gradient: Image.Image, file_bytes: Encode, inside: str
) -> None:
    layer = gradient.resize((128, 128)).convert("RGBA")
    layer.paste((0, 0, 0, 0), (0, 0, 64, 128))
    sizes = [(16, 16), (128, 128), (32, 32)]
    data = file_bytes(layer, "ICO", sizes=sizes, bitmap_format=inside)
    found = open_image(data)
    assert found.size == (128, 128)
    assert found.getpixel((10, 64)) == (255, 255, 255)
    assert apart(found.crop((64, 0, 128, 128)), layer.convert("RGB").crop((64, 0, 128, 128))) < 1
    assert (notes(data), shown_by_browsers(data)) == ([], True)


def icon(body: bytes) -> bytes:
    return b"\0\0\1\0\1\0" + struct.pack("<BBBBHHII", 16, 16, 0, 0, 1, 32, len(body), 22) + body


def test_an_icon_hides_no_larger_picture(gradient: Image.Image, file_bytes: Encode) -> None:
    inside = icon(file_bytes(gradient, "PNG"))
    assert open_image(inside).size == gradient.size
    with pytest.raises(PictureError, match="60 x 40"):
        open_image(inside, Limits(pixels=2399))
    bitmap = struct.pack("<IiiHHIIiiII", 40, 40_000, 80_000, 1, 32, 0, 0, 0, 0, 0, 0)
    for body in (bitmap + bytes(100), b"", bytes(40)):
        with pytest.raises(PictureError, match="damaged"):
            open_image(icon(body))
    for end in range(0, len(inside) - 20, 3):  # nobody misses the last chunk
        with pytest.raises(PictureError):
            open_image(inside[:end])


# What else is sent in the place of a picture.

SVG = "<svg xmlns='http://www.w3.org/2000/svg'/>"
BOX = b"\0\0\0\x20ftyp"


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"\xef\xbb\xbf\n " + SVG.encode(), "SVG"),
        (f"<?xml version='1.0'?><!-- a > b --><!DOCTYPE svg PUBLIC 'x'>{SVG}".encode(), "SVG"),
        (f"<!DOCTYPE svg [<!ENTITY a 'b'>]>\n{SVG}".encode(), "SVG"),
        (SVG.encode("utf-16"), "SVG"),
        (b"<svg:svg xmlns:svg='x'/>", "SVG"),
        (gzip.compress(SVG.encode(), mtime=0), "SVG"),
        (b"<?xml version='1.0'?><feed/>", "XML"),
        (b"\n<!-- saved -->\n<HTML>", "web page"),
        (b"<!DOCTYPE html>\n<p>", "web page"),
        (gzip.compress(b"a,b", mtime=0), "gzip"),
        (b"7z\xbc\xaf\x27\x1c\0\4", "7z"),
        (b"Rar!\x1a\7", "RAR"),
        (bytes(257) + b"ustar", "tar"),
        (b"PK\3\4", "ZIP or Office"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "document"),
        (b"\xff\x0a\xfa\x7f", "JPEG XL"),
        (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(20), "JPEG XL"),
        (b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(20), "JPEG 2000"),
        (b"\xff\x4f\xff\x51" + bytes(20), "JPEG 2000"),
        (b"8BPS\0\1", "Photoshop"),
        (b"gimp xcf v011", "GIMP"),
        (b"%!PS-Adobe-3.0 EPSF-3.0", "PostScript"),
        (b"DDS |", "DDS"),
        (b"\0\0\2\0\1\0", "cursor"),
        (b"\0\0\2\0\0\0\0\0\0\0\0\0\1\0\1\0\x18\0", "TGA"),
        (bytes(60) + b"TRUEVISION-XFILE.\0", "TGA"),
        (b"\x76\x2f\x31\x01", "HDR.*OpenEXR"),
        (b"#?RADIANCE\n", "HDR.*Radiance"),
        (bytes(128) + b"DICM", "DICOM"),
        (b"SIMPLE  =                    T", "FITS"),
        (b"\x93NUMPY\1\0", "NumPy"),
        (BOX + b"isom" + bytes(20), r"video \(MP4\)"),
        (BOX + b"qt  " + bytes(20), r"video \(QuickTime\)"),
        (BOX + b"M4A " + bytes(20), "sound"),
        (BOX + b"crx " + bytes(20), "raw file.*CR3"),
        (b"\x1a\x45\xdf\xa3", "video.*WebM"),
        (b"RIFF\0\0\0\0AVI LIST", "video.*AVI"),
        (b"RIFF\0\0\0\0WAVEfmt ", "sound.*WAV"),
        (b"ID3\3\0", "sound.*MP3"),
        (b"FUJIFILMCCD-RAW 0201", "raw file.*Fujifilm"),
        (b"IIRO\x08\0", "raw file.*Olympus"),
        (b"\xff\xd8\xff\xe0\0\x10", "damaged"),
        (b"\x89PNG\r\n", "damaged"),
    ],
)
def test_what_is_no_picture_is_named(data: bytes, says: str) -> None:
    with pytest.raises(PictureError, match=rf"(?s){says}.*JPEG, PNG") as caught:
        open_image(data)
    told = error_message(caught.value, "zh")
    assert told != str(caught.value)
    assert "{" not in str(caught.value) + told


@pytest.mark.parametrize(
    ("tags", "says"),
    [
        ({50706: b"\1\4\0\0"}, "DNG"),
        ({271: "NIKON CORPORATION", 254: 1, 330: 8}, "Nikon NEF"),
        ({271: "SONY", 254: 1, 330: 8}, "Sony ARW"),
    ],
)
def test_a_cameras_raw_file_is_not_its_preview(
    gradient: Image.Image, file_bytes: Encode, tags: dict[int, Any], says: str
) -> None:
    with pytest.raises(PictureError, match=f"raw file.*{says}.*develop"):
        open_image(file_bytes(gradient, "TIFF", tiffinfo=tags))
    scan = file_bytes(gradient, "TIFF", tiffinfo={271: "NIKON CORPORATION"})
    assert apart(open_image(scan), gradient) == 0


def test_every_format_that_is_named_has_a_decoder() -> None:
    Image.init()
    assert set(FORMATS) <= set(Image.OPEN)
    assert len(module.NOT_PICTURES) == len({one.code for one in module.NOT_PICTURES})


# Pages, frames, and what nobody would see.

ANIMATION = "Of an animation only the first frame is looked at."
PAGES = "Of several pages only the first is looked at."


@pytest.mark.parametrize(
    ("format", "said"),
    [
        *((name, [ANIMATION]) for name in ("GIF", "PNG", "WEBP", "AVIF")),
        ("TIFF", [PAGES]),
        ("MPO", []),
    ],
)
def test_a_first_frame_is_said_to_be_one(
    gradient: Image.Image, file_bytes: Encode, format: str, said: list[str]
) -> None:
    other = Image.new("RGB", gradient.size, "red")
    data = file_bytes(gradient, format, save_all=True, append_images=[other])
    assert notes(data) == said
    assert [note.message for note in notes_of(Image.open(io.BytesIO(data)))] == said
    assert notes(file_bytes(gradient, "JPEG" if format == "MPO" else format)) == []


def test_what_is_white_on_white_is_said_to_be_nothing(file_bytes: Encode) -> None:
    nothing = ["What is not transparent is white: on white there is nothing to see."]
    clear = Image.new("RGBA", (9, 9), (200, 0, 0, 0))
    logo = Image.new("RGBA", (9, 9), "white")
    logo.putalpha(Image.linear_gradient("L").resize((9, 9)))
    for picture in (clear, logo, Image.new("LA", (9, 9), (0, 0))):
        assert notes(file_bytes(picture, "PNG")) == nothing
    assert notes(file_bytes(Image.new("RGBA", (9, 9), (200, 0, 0, 9)), "PNG")) == []
    assert notes(file_bytes(Image.new("RGB", (9, 9), "white"), "PNG")) == []


# Pictures in memory that cannot be read.


def unreadable(gradient: Image.Image, file_bytes: Encode, tmp_path: Path) -> list[Image.Image]:
    data = file_bytes(gradient.resize((600, 400)), "JPEG")
    cut = Image.open(io.BytesIO(data[: len(data) // 2]))
    closed = gradient.copy()
    closed.close()
    path = tmp_path / "one.png"
    gradient.save(path)
    with Image.open(path) as left:
        pass
    file = io.BytesIO(data)
    gone = Image.open(file)
    file.close()
    return [cut, closed, left, gone, Image.new("RGB", (0, 5))]


def test_a_picture_in_memory_that_cannot_be_read_says_which_it_is(
    gradient: Image.Image, file_bytes: Encode, tmp_path: Path, mini: Encoder
) -> None:
    says = ["damaged", "closed before", "closed before", "closed before", "no pixels"]
    for bad, said in zip(unreadable(gradient, file_bytes, tmp_path), says, strict=True):
        doors: list[tuple[Callable[[], Any], str]] = [
            (lambda bad=bad: mini.encode(bad), "Item 1: "),
            (lambda bad=bad: mini.encode(["a", {"image": bad, "text": "b"}]), "Item 2: "),
            (lambda bad=bad: compare(mini, gradient, bad, "a"), "Picture 2: "),
            (lambda bad=bad: classify(mini, [gradient, bad], ["a"]), "Picture 2: "),
            (lambda bad=bad: EmbedRequest.of([gradient, bad]).run(mini), "Item 2: "),
            (lambda bad=bad: as_sources(bad), ""),
            (lambda bad=bad: digest_of(bad), ""),
        ]
        for door, place in doors:
            with pytest.raises(MMDemoError, match=f"^{place}.*{said}") as caught:
                door()
            assert isinstance(caught.value, PictureError)


# Through the tasks.


def ct(tmp_path: Path, name: str = "ct.png", top: int = 4095) -> Path:
    path = tmp_path / name
    Image.fromarray(np.linspace(0, top, 1200).reshape(30, 40).astype(np.uint16)).save(path)
    return path


def test_results_say_which_picture_is_meant(
    tmp_path: Path, mini: Encoder, gradient: Image.Image
) -> None:
    scan, memory = ct(tmp_path), Image.open(ct(tmp_path))
    spread = "Grey values 0 to 4,095 were spread over black to white: they use no known scale."
    for second in (scan, memory, Picture(scan)):
        [*_, told] = compare(mini, gradient, second, "a bee").to_dict()["notes"]
        assert told == f"Picture 2: {spread}"
        [*_, told] = classify(mini, [gradient, second], ["a bee"]).to_dict()["notes"]
        assert told == f"Picture 2: {spread}"
        [*_, told] = EmbedRequest.of([gradient, second], ["a"]).run(mini).to_dict()["notes"]
        assert told == f"Item 2: {spread}"
    assert compare(mini, gradient, gradient, "a bee").notes == ()
    both = compare(mini, scan, scan, "a bee")
    [note] = both.notes
    assert note.message == f"Pictures 1, 2: {spread}"
    assert note_sentence(note, "zh").startswith("第 1, 2 张图片：灰度值 0 到 4,095")
    assert note_sentence(note, "en") == note.message


def test_many_alike_are_one_sentence(tmp_path: Path, mini: Encoder) -> None:
    scans = [ct(tmp_path, f"{top}.png", top) for top in range(1000, 1012)]
    [note] = classify(mini, scans, ["a bee"]).notes
    assert note.message == (
        "Pictures 1, 2, 3, 4, 5, 6, 7, 8, … (12): Grey values were spread over black to white, in "
        "each picture: they use no known scale."
    )
    assert "在每张图片中" in note_sentence(note, "zh")
    two = classify(mini, scans[:2], ["a bee"]).notes
    assert [note.message.split(":")[0] for note in two] == ["Picture 1", "Picture 2"]


# Through the doors.

SPREAD = "Grey values 0 to 4,095 were spread over black to white"
SPREAD_ZH = "第 2 张图片：灰度值 0 到 4,095 没有已知的标度"


def test_endpoints_say_it(tmp_path: Path, app_url: str, two_pictures: tuple[Path, Path]) -> None:
    scan, photo = data_uri(ct(tmp_path)), data_uri(two_pictures[0])
    _, told = ask(app_url, "compare", [photo, scan, "a bee", "mini"])
    assert told["notes"][-1].startswith(f"Picture 2: {SPREAD}")
    _, told = ask(app_url, "classify", [[photo, scan], "a bee", "{}", False, "mini"])
    assert told["notes"][-1].startswith(f"Picture 2: {SPREAD}")
    _, told = ask(app_url, "embed", [[photo, scan], [], False, "mini"])
    assert told["notes"][-1].startswith(f"Item 2: {SPREAD}")


def test_commands_say_it(tmp_path: Path, command: Command, two_pictures: tuple[Path, Path]) -> None:
    photo, scan = str(two_pictures[0]), str(ct(tmp_path))
    table = command("compare", photo, scan, "a bee").out
    assert f"Picture 2: {SPREAD}" in " ".join(table.split())
    told = json.loads(command("compare", photo, scan, "a bee", "--json").out)
    assert told["notes"][-1].startswith(f"Picture 2: {SPREAD}")
    table = command("classify", photo, scan, "--labels", "bee").out
    assert f"Picture 2: {SPREAD}" in " ".join(table.split())


@pytest.mark.parametrize("kind", ["ct.png", "ct.tiff"])
def test_the_page_says_it_and_goes_on_saying_it(
    tmp_path: Path, two_pictures: tuple[Path, Path], kind: str
) -> None:
    """A TIFF is replaced by what browsers show: of these pixels alone nobody could tell."""
    photo, scan = str(two_pictures[0]), ct(tmp_path, kind)
    replaced = similarity.rendition(str(scan))
    if kind == "ct.tiff":
        scan = tmp_path / "rendition.png"
        replaced.save(scan)
    for language, said in (("en", f"Picture 2: {SPREAD}"), ("zh", SPREAD_ZH)):
        given = similarity.Given(
            photo, str(scan), "a bee", "", "mini", (), language, similarity.Shown()
        )
        assert said in str(last_of(similarity.run(given)).message)
        labelled = zero_shot.Given(
            [photo, str(scan)],
            "bee",
            "{}",
            False,
            0,
            ("mini", "", ""),
            language,
            zero_shot.Shown(),
            Current(),
        )
        assert said in str(last_of(zero_shot.run(labelled)).message)
