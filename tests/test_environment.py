"""Settings as a whole: what is wrong with them is told at the start, all at once."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator

import pytest

from mmdemo import versions
from mmdemo.environment import VARIABLES, check_settings
from mmdemo.errors import SettingError
from mmdemo.settings import server_port
from tests.conftest import ROOT, Command


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("MMDEMO_PATHS", "yes", "takes 1 where visitors"),
        ("MMDEMO_HUB_IDS", "true", "takes 1 where visitors"),
        ("MMDEMO_MCP", "on", "takes 1 where"),
        ("MMDEMO_LOG", "loud", "such as DEBUG"),
        ("MMDEMO_DEVICE", "gpu", "takes cpu, cuda"),
        ("MMDEMO_MEMORY", "2 GB", "whole number of at least 1"),
        ("MMDEMO_PROXY", "nginx", "takes addresses or networks"),
        ("MMDEMO_PASSWORD", "secret", "name:secret"),
        ("MMDEMO_LIMITS_TEXT", "0", "whole number of at least 1"),
        ("MMDEMO_LIMITS_PIXELS", "9" * 5000, "whole number of at least 1"),
        ("MMDEMO_LIMIT_TEXT", "10", "Did you mean MMDEMO_LIMITS_TEXT?"),
        ("MMDEMO_PASWORD", "ann:secret", "Did you mean MMDEMO_PASSWORD?"),
        ("MMDEMO_PATH", "0", "Did you mean MMDEMO_PATHS?"),
        ("GRADIO_SERVER_PORT", "abc", "a whole number from 1 to 65535"),
        ("GRADIO_SERVER_PORT", "70000", "a whole number from 1 to 65535"),
        ("GRADIO_SERVER_PORT", "0", "a whole number from 1 to 65535"),
        ("GRADIO_SERVER_PORT", "-1", "a whole number from 1 to 65535"),
        ("GRADIO_SERVER_NAME", "http://0.0.0.0", "an address of this machine"),
        ("GRADIO_SERVER_NAME", "localhost/x", "an address of this machine"),
        ("GRADIO_ROOT_PATH", "demo", "the path below which a proxy shows"),
        ("GRADIO_ROOT_PATH", "ftp://example.org/x", "the path below which a proxy shows"),
    ],
)
def test_a_wrong_setting_is_told_at_the_start(
    variable: str, value: str, says: str, command: Command
) -> None:
    done = command("serve", **{variable: value})
    assert done.status == 1
    assert done.err.startswith("mmdemo: ")
    assert done.err.count("\n") == 1
    assert variable in done.err
    assert says in done.err
    assert "secret" not in done.err.replace("name:secret", "").replace("no secret can", "")


def test_all_are_told_at_once(command: Command) -> None:
    wrong = {"MMDEMO_PATHS": "yes", "MMDEMO_LIMITS_JOBS": "-1", "GRADIO_SERVER_PORT": "x"}
    done = command("serve", **wrong)
    assert done.err.startswith("mmdemo: 3 settings make no sense.\n- ")
    assert all(done.err.count(name) == 1 for name in wrong)


def test_settings_that_make_sense(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    check_settings()
    for name, value in {
        "MMDEMO_PATHS": "0",
        "MMDEMO_LIMITS_TEXT": "7",
        "GRADIO_SERVER_PORT": "8000",
        "MMDEMO_ELSEWHERE": "anything",
    }.items():
        monkeypatch.setenv(name, value)
    for host in ("127.0.0.1", "0.0.0.0", "::1", "[::]", "localhost", "my-host.example.org"):
        monkeypatch.setenv("GRADIO_SERVER_NAME", host)
        check_settings()
    for root in ("/", "/demo", "/a/b/", "https://example.org/demo", "http://example.org:8000"):
        monkeypatch.setenv("GRADIO_ROOT_PATH", root)
        check_settings()
    assert server_port() == 8000
    assert "There is no setting MMDEMO_ELSEWHERE" in caplog.text


def test_every_setting_of_the_readme_is_known() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(MMDEMO_[A-Z_]+[A-Z])`", readme))
    assert named - {"MMDEMO_PUBLISHED_PICTURES"} <= VARIABLES
    assert named >= VARIABLES


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


def test_a_port_that_is_taken_is_not_replaced(
    taken_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Here and not at the top: importing gradio takes seconds.
    import gradio as gr

    from mmdemo.ui.app import serve

    monkeypatch.setenv("GRADIO_SERVER_PORT", str(taken_port))
    with gr.Blocks() as page:
        pass
    with pytest.raises(SettingError, match=f"cannot be served at port {taken_port} of 127.0.0.1"):
        serve(page, wait=False)


def test_a_port_can_be_named(command: Command) -> None:
    done = command("serve", "--port", "99999")
    os.environ.pop("GRADIO_SERVER_PORT")
    assert "GRADIO_SERVER_PORT is '99999'" in done.err


@pytest.mark.parametrize("package", versions.LEAST)
def test_an_old_package_is_refused(
    package: str, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = versions.version
    monkeypatch.setattr(versions, "version", lambda one: "1.0" if one == package else real(one))
    done = command("serve")
    assert done.status == 1
    assert f"{package} 1.0 is installed" in done.err
    assert "Run: pip install" in done.err
