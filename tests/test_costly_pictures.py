"""Pictures that are made to cost: read without what costs, or refused before they are opened."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image

from mmdemo.errors import PictureError
from mmdemo.images import Picture, open_image, opening
from mmdemo.images.sparing import jpeg
from mmdemo.ui.parts.markup import note_sentence
from tests.costly_pictures import (
    EMPTY,
    HEADER,
    behind_the_pixels,
    chunk,
    directory,
    headers,
    saved,
    with_chunks,
    with_comments,
    with_profile,
    with_scans,
    with_segments,
)

MILLIONS = 350_000  # headers of EXIF data: 2.1 MB
LONG = HEADER + EMPTY + bytes(2_000_000)


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the lengths of EXIF data that Pillow reads from now on."""
    lengths: list[int] = []
    load = Image.Exif.load

    def noted(exif: Image.Exif, data: bytes) -> None:
        lengths.append(len(data))
        load(exif, data)

    monkeypatch.setattr(Image.Exif, "load", noted)
    return lengths


def in_segments(said: bytes) -> bytes:
    pieces = (said[start : start + 60_000] for start in range(0, len(said), 60_000))
    return with_segments(*((0xE1, HEADER + piece) for piece in pieces))


@pytest.mark.parametrize(
    "file",
    [
        pytest.param(lambda: saved("PNG", exif=headers(MILLIONS)), id="eXIf"),
        pytest.param(lambda: saved("WEBP", exif=headers(MILLIONS)), id="WebP"),
        pytest.param(lambda: in_segments(LONG[:1_000_000]), id="APP1"),
        pytest.param(
            lambda: behind_the_pixels(saved("PNG", exif=headers(MILLIONS)), "eXIf"),
            id="eXIf at the end",
        ),
        *(
            pytest.param(lambda kind=kind: with_profile(kind, headers(MILLIONS)), id=kind)
            for kind in ("tEXt", "zTXt", "iTXt", "iTXt packed")
        ),
        *(
            pytest.param(
                lambda kind=kind: behind_the_pixels(with_profile(kind, headers(MILLIONS)), kind),
                id=f"{kind} at the end",
            )
            for kind in ("tEXt", "zTXt", "iTXt")
        ),
        pytest.param(
            lambda: with_chunks(chunk(b"tEXt", b"exif\0" + headers(MILLIONS))), id="tEXt exif"
        ),
        pytest.param(lambda: with_chunks(chunk(b"zTXt", b"exif\0\0x")), id="no bytes"),
        pytest.param(
            lambda: with_segments((0xE1, HEADER + directory(1000, 50_000)[:65_000])),
            id="entries of one place",
        ),
        pytest.param(lambda: saved("WEBP", exif=directory(1000, 40_000)), id="entries in WebP"),
    ],
)
def test_metadata_that_would_cost_is_not_read_and_the_picture_is(
    file: Callable[[], bytes], parsed: list[int]
) -> None:
    picture = Picture(file())
    parsed.clear()  # what saving it took
    assert picture.open().size == (10, 10)
    assert all(length < 70_000 for length in parsed)
    assert picture.open().getexif().get(0x0112) is None


@pytest.mark.parametrize(
    "data",
    [saved("PNG", exif=LONG), saved("WEBP", exif=LONG), in_segments(LONG[:500_000])],
    ids=["PNG", "WebP", "JPEG"],
)
def test_it_is_said_that_metadata_was_not_read(data: bytes) -> None:
    picture = Picture(data)
    assert picture.open().size == (10, 10)
    [note] = picture.notes
    assert note.code == "metadata_unread"
    assert note_sentence(note, "en") == note.message
    assert "元数据" in note_sentence(note, "zh")
    assert Picture(data).notes == (note,)  # known, and not opened again


def test_pillow_reads_no_metadata_of_an_avif(parsed: list[int]) -> None:
    file = saved("AVIF", exif=HEADER + EMPTY)
    parsed.clear()
    assert open_image(file).size == (10, 10)
    assert parsed == []


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF"])
def test_a_cameras_metadata_turns_the_picture(format: str) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "maker" * 5000
    picture = Picture(saved(format, Image.new("RGB", (30, 20)), exif=exif))
    assert picture.open().size == (20, 30)
    assert picture.notes == ()


@pytest.mark.parametrize(
    ("file", "code"),
    [
        (lambda: with_segments((0xE1, HEADER * 30 + EMPTY)), "exif_headers"),
        (lambda: with_segments(*[(0xE1, HEADER)] * 30), "exif_headers"),
        (lambda: with_scans(150), "scans"),
        (lambda: with_scans(150).replace(b"\xff\xda", b"\xff\xff\xff\xda"), "scans"),
        (lambda: with_segments(*[(0xFE, b"")] * 20_000), "pieces"),
        (lambda: b"\xff\xd8" + b"\xff" * 100_000 + saved("JPEG")[2:], "pieces"),
        (lambda: with_chunks(chunk(b"prVt") * 150_000), "pieces"),
        (lambda: with_chunks(chunk(b"IDAT", b"x") * 150_000), "pieces"),
        (lambda: with_comments(0)[:-1] + b"!\xf9\x01x\0" * 200_000, "pieces"),
        (lambda: directory(200, 100_000), "tiff_entries"),
    ],
)
def test_what_keeps_a_decoder_busy_is_not_opened(
    file: Callable[[], bytes], code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Any] = []
    data = file()
    monkeypatch.setattr(opening.Image, "open", lambda *given, **_: opened.append(given))
    with pytest.raises(PictureError, match="save it again") as refused:
        open_image(data)
    assert refused.value.code == code
    assert not opened


def test_entries_count_in_every_file_that_pillow_takes_for_tiff() -> None:
    small = directory(200, 100_000)
    rows = [
        b"".join(
            (40_000 + number).to_bytes(2, "little")
            + b"\x07\0"
            + (100_000).to_bytes(8, "little")
            + (16).to_bytes(8, "little")
            for number in range(200)
        )
    ]
    start = b"II+\0\x08\0\0\0" + (100_016).to_bytes(8, "little")
    big = start + bytes(100_000) + (200).to_bytes(8, "little") + b"".join(rows) + bytes(8)
    odd = b"II\0*" + small[4:]  # the mark in the wrong order, which Pillow reads as well
    for data in (small, big, odd):
        with pytest.raises(PictureError, match="entries of this TIFF"):
            open_image(data)


def test_what_is_appended_to_a_photo_is_no_scan() -> None:
    photo = with_scans(1)
    last = photo[photo.rindex(b"\xff\xda") : -2]
    for more in (b"\xff\xda\x12\x34" * 1000, last * 200, photo * 150):
        assert open_image(photo + more).size == (64, 64)


def test_every_scan_counts_that_a_decoder_reads() -> None:
    for count in (1, 7):
        data = with_scans(count)
        assert jpeg._scans(data) == data.count(b"\xff\xda")
    # Segments between scans, and scans of which a segment only speaks.
    data = with_scans(3)
    last = data.rindex(b"\xff\xda")
    said = data[:last] + b"\xff\xfe\x00\x0c" + b"\xff\xda\x00\x08\x01xxxxx" + data[last:]
    assert jpeg._scans(said) == jpeg._scans(data)


def test_long_texts_say_nothing_of_pixels() -> None:
    texts = [chunk(b"zTXt", b"Comment%d\0\0" % number + b"x" * 900_000) for number in range(3)]
    picture = Picture(with_chunks(*texts))
    assert picture.open().size == (10, 10)
    assert picture.notes == ()
    packed = io.BytesIO()
    Image.new("RGB", (10, 10)).save(packed, "PNG", icc_profile=bytes(5_000_000))
    assert [note.code for note in Picture(packed.getvalue()).notes] == ["metadata_unread"]


def test_long_comments_are_not_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bytes] = []
    look = opening.seen
    monkeypatch.setattr(
        opening,
        "seen",
        lambda picture: (seen.append(picture.info.get("comment", b"")), look(picture))[1],
    )
    assert open_image(with_comments(2, 1)).size == (10, 10)
    assert len(seen[0]) == 3 * 255 + 1
    for comments in ((5000,), (200, 200, 200)):
        assert open_image(with_comments(*comments)).size == (10, 10)
        assert seen.pop() == b""
