"""What is said to be a picture: names, addresses, data URIs, and files that are none."""

from __future__ import annotations

import base64
import os
import socket
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from gradio.data_classes import ImageData
from PIL import Image

from mmdemo.cli import main
from mmdemo.errors import PictureError
from mmdemo.images import Picture, data_uri_bytes, open_image, reading
from mmdemo.models.encoder import Encoder
from mmdemo.settings import Limits
from mmdemo.ui.parts.inputs import PictureInput
from mmdemo.ui.parts.markup import error_message
from tests.costly_pictures import saved

WHOLE = saved("PNG", Image.new("RGB", (7, 5), "teal"))
WRITTEN = base64.b64encode(WHOLE).decode()


def refused(source: Any) -> PictureError:
    with pytest.raises(PictureError) as caught:
        open_image(source)
    with pytest.raises(PictureError, match=r"."):
        _ = Picture(source).digest
    assert error_message(caught.value, "zh") != str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    "uri",
    [
        f"data:image/png;base64,{WRITTEN}",
        f"data:;base64,{WRITTEN}",
        f"DATA:image/jpeg;charset=utf-8;BASE64,{WRITTEN}",
        f"\n data:image/png;base64,{WRITTEN.rstrip('=')}",
        f"data:text/html;base64,{WRITTEN[:40]}\r\n {WRITTEN[40:]}\n",
        f"data:image/png;base64,{WRITTEN.replace('+', '-').replace('/', '_')}",
        f"data:image/png;base64,{quote(WRITTEN, safe='')}",
        f"data:image/png,{quote(WHOLE)}",
    ],
)
def test_a_data_uri_is_read_in_every_spelling(uri: str) -> None:
    assert open_image(uri).size == (7, 5)
    assert Picture(uri).digest == Picture(WHOLE).digest


@pytest.mark.parametrize(
    ("uri", "says"),
    [
        ("data:image/png;base64,@@@", "not base64"),
        ("data:image/png;base64,a", "not base64"),
        ("data:image/png;base64,iVBORw0…", "not base64"),
        (f"data:image/png;base64,{WRITTEN}!", "not base64"),
        (f"data:image/png;base64,{WRITTEN[:9]}={WRITTEN[9:]}", "not base64"),
        ("data:image/png;base64", "no comma"),
        ("data:", "no comma"),
        ("data:image/png;base64,", "file is empty"),
        ("data:,", "file is empty"),
        ("data:image/png,hello%20there", "not a picture"),
    ],
)
def test_a_data_uri_that_is_none_is_explained(uri: str, says: str) -> None:
    assert says in str(refused(uri))


def test_a_data_uri_is_not_copied_where_it_is_too_large() -> None:
    uri = "data:image/png;base64," + "@" * 2_000_000
    with pytest.raises(PictureError, match="at most 1 MB"):
        open_image(uri, Limits(upload_mb=1))
    assert data_uri_bytes("data:,a%20b") == b"a b"


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("https://somebody:secret@example.org/bee.jpg", "picture_address"),
        (Path("https://example.org/bee.jpg"), "picture_address"),
        ("HTTP://example.org/bee.jpg", "picture_address"),
        ("s3://bucket/bee.jpg", "picture_address"),
        ("blob:null/1234", "picture_address"),
        ("www.example.org/bee.jpg", "picture_address"),
        ("file://elsewhere/bee.jpg", "picture_address"),
        ("", "picture_name"),
        (" ", "picture_name"),
        (".", "picture_folder"),
        ("..", "picture_folder"),
        ("/", "picture_folder"),
        ("~", "picture_folder"),
        ("nul\0.png", "picture_name"),
        ("\ud83d.png", "picture_name"),
        ("x" * 5000, "picture_name"),
        (WRITTEN * 50, "picture_name"),
        ("*.jpg", "picture_pattern"),
        ("holiday/bee-[0-9].jpg", "picture_pattern"),
        ("bee?.jpg", "picture_pattern"),
        ("~/no/such/bee.jpg", "no_file"),
        ("~nobody-of-that-name/bee.jpg", "no_file"),
        ("file:///no/such/bee.jpg", "no_file"),
    ],
)
def test_what_is_no_file_is_named(
    source: str | Path, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    error = refused(source)
    assert error.code == code
    for secret in ("secret", str(tmp_path), "no/such"):
        assert secret not in str(error)


def test_home_and_file_addresses_are_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a bee.png").write_bytes(WHOLE)
    monkeypatch.setenv("HOME", str(tmp_path))
    named = Picture(tmp_path / "a bee.png").digest
    for source in (
        "~/a bee.png",
        Path("~/a bee.png"),
        f"file://{quote(str(tmp_path))}/a%20bee.png",
        f"file://localhost{tmp_path}/a%20bee.png",
        f"FILE:{tmp_path}/a%20bee.png",
    ):
        assert open_image(source).size == (7, 5)
        assert Picture(source).digest == named
    # What is really called so is meant.
    monkeypatch.chdir(tmp_path)
    for name in ("~", "[1].png", "x*.png", "www.a.png"):
        Path(name).write_bytes(WHOLE)
        assert open_image(name).size == (7, 5)


@pytest.fixture
def listening(tmp_path: Path) -> Iterator[Path]:
    """Yield the path of a socket."""
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(tmp_path / "s"))
        yield tmp_path / "s"


def test_nothing_but_a_file_is_opened(
    tmp_path: Path, listening: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "link.png").symlink_to("/dev/zero")
    opened: list[Any] = []
    really = os.open

    def noted(path: Any, *rest: Any, **named: Any) -> int:
        opened.append(path)
        return really(path, *rest, **named)

    monkeypatch.setattr(reading.os, "open", noted)
    for source in (tmp_path / "pipe.png", tmp_path / "link.png", listening, "/dev/zero"):
        assert refused(source).code == "picture_device"
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    assert refused(tmp_path / "loop.png").code == "no_file"
    assert refused(tmp_path).code == "picture_folder"
    assert opened == []


def test_what_becomes_a_pipe_meanwhile_holds_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "pipe.png"
    os.mkfifo(path)
    ordinary = Path(__file__).stat()
    monkeypatch.setattr(Path, "stat", lambda *_, **__: ordinary)
    assert refused(path).code == "picture_device"


def test_a_file_without_permission_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "bee.png"
    path.write_bytes(WHOLE)

    def forbidden(*_: Any, **__: Any) -> int:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(reading.os, "open", forbidden)
    error = refused(path)
    assert error.code == "picture_permission"
    assert "'bee.png' may not be read" in str(error)
    assert str(tmp_path) not in str(error)
    assert stat.S_ISREG(path.stat().st_mode)


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n"
ANSWER = b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>NoSuchKey</Code></Error>'


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (LFS, "lfs_pointer"),
        (LFS.replace(b"\n", b"\r\n"), "lfs_pointer"),
        (b"\xef\xbb\xbf" + LFS, "lfs_pointer"),
        (b"/annex/objects/SHA256E-s31390--f50d7ac4.jpg\n", "annex_pointer"),
        (
            b"../.git/annex/objects/xX/1/SHA256E-s31390--f5.jpg/SHA256E-s31390--f5.jpg",
            "annex_pointer",
        ),
        (b"  \r\n\t", "blank_file"),
        (bytes(5000), "blank_file"),
        (WRITTEN.encode(), "picture_in_text"),
        (base64.encodebytes(saved("JPEG")), "picture_in_text"),
        (f"data:image/png;base64,{WRITTEN}".encode(), "picture_in_text"),
        (b"403 Forbidden", "server_answer"),
        (b"HTTP/1.1 404 Not Found\r\n\r\n", "server_answer"),
        (b'{"error": "rate limit", "status": 429}', "server_answer"),
        (b'{"message": "' + b"x" * 5000, "server_answer"),
        (ANSWER, "server_answer"),
        (b"Not Found", "server_answer"),
        (b"Access Denied", "server_answer"),
        (b"a bee on a flower\n", "text_file"),
        ("一只蜜蜂停在花上，翅膀张开，背景是绿色的叶子".encode(), "text_file"),
        (b"<?xml version='1.0'?><svg/>", "svg"),
        (b"\n<html><body>403 Forbidden</body></html>", "html"),
        (b"%PDF-1.7 ...", "pdf"),
        (b"\x8b\x00\x01\x02" * 30, "not_picture"),
    ],
)
def test_what_was_saved_in_a_pictures_place_is_named(data: bytes, code: str) -> None:
    error = refused(data)
    assert error.code == code
    assert len(str(error)) < 300


def test_a_link_of_git_annex_without_its_content_is_named(tmp_path: Path) -> None:
    (tmp_path / "bee.jpg").symlink_to(".git/annex/objects/xX/1/SHA256E-s3--f5.jpg")
    assert refused(tmp_path / "bee.jpg").code == "annex_pointer"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("https://example.org/bee.jpg", "an address (https:…)"),
        ("*.jpg", "is a pattern"),
        (".", "is a folder"),
        ("data:image/png;base64,@@@", "not base64"),
        ("/dev/zero", "is a device"),
    ],
)
@pytest.mark.parametrize("command", ["classify", "compare", "embed"])
def test_the_command_line_says_the_same(
    command: str, given: str, says: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    arguments = {
        "classify": [given, "--labels", "bee"],
        "compare": [given, given, "a bee"],
        "embed": [given, "--out", str(tmp_path / "v.npy")],
    }[command]
    assert main([command, *arguments]) == 1
    assert says in capsys.readouterr().err


@pytest.mark.parametrize("ask", [lambda image: {"image": image}, lambda image: Path(image)])
def test_an_item_says_the_same(ask: Callable[[str], Any], mini: Encoder) -> None:
    with pytest.raises(PictureError, match=r"Item 1: This is an address \(https:…\)"):
        mini.encode(ask("https://example.org/bee.jpg"))


@pytest.mark.parametrize(
    ("url", "says"),
    [
        (f"data:image/png;base64,{WRITTEN}", None),
        (f"DATA:;base64,{WRITTEN.rstrip('=')}", None),
        ("data:image/png;base64,@@@", "not base64"),
        ("data:image/png;base64,", "is empty"),
    ],
)
def test_a_data_uri_in_a_field_of_the_page_says_the_same(url: str, says: str | None) -> None:
    given: Any = PictureInput().preprocess(ImageData(url=url))
    if says is None:
        assert open_image(given).size == (7, 5)
    else:
        assert says in str(refused(given))
