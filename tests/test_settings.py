from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields

import pytest

from mmdemo.errors import SettingError, did_you_mean
from mmdemo.settings import (
    Limits,
    cache_folder,
    default_model,
    hub_ids_accepted,
    limit_variable,
    limits,
    log_level,
    offered_models,
    passwords,
    paths_accepted,
    proxies,
)
from tests.conftest import ROOT


def test_defaults() -> None:
    assert limits() == Limits()
    assert default_model() == "mini"
    assert offered_models() == []


def test_the_environment_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MMDEMO_LIMITS_UPLOAD_MB", "3")
    monkeypatch.setenv("MMDEMO_LIMITS_TEXT", "12")
    monkeypatch.setenv("MMDEMO_MODELS", " mini , other,")
    assert (limits().upload_mb, limits().text) == (3, 12)
    assert offered_models() == ["mini", "other"]


def test_every_limit_has_its_variable_and_stands_in_the_readme(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for limit in fields(Limits):
        assert f"| `{limit_variable(limit.name)}` | {limit.default} |" in readme
        assert f"        {limit.name}: " in (Limits.__doc__ or "")
        monkeypatch.setenv(limit_variable(limit.name), "7")
    assert limits() == Limits(*[7] * len(fields(Limits)))


@pytest.mark.parametrize("value", ["0", "-1", "many", "1.5"])
def test_a_senseless_limit_is_explained(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("MMDEMO_LIMITS_PIXELS", value)
    with pytest.raises(SettingError, match=f"MMDEMO_LIMITS_PIXELS is '{value}'.*such as"):
        limits()


@pytest.mark.parametrize(
    ("variables", "accepted"),
    [
        ({}, True),
        ({"GRADIO_SERVER_NAME": "127.0.0.1"}, True),
        ({"GRADIO_SERVER_NAME": "localhost"}, True),
        ({"GRADIO_SERVER_NAME": "::1"}, True),
        ({"GRADIO_SERVER_NAME": "0.0.0.0"}, False),
        ({"GRADIO_SERVER_NAME": "::"}, False),
        ({"GRADIO_SERVER_NAME": "192.168.0.7"}, False),
        ({"GRADIO_SERVER_NAME": "example.org"}, False),
        ({"SPACE_ID": "owner/space"}, False),
        ({"GRADIO_SHARE": "True"}, False),
        ({"GRADIO_ROOT_PATH": "/demo"}, False),
        ({"MMDEMO_PATHS": "0"}, False),
        ({"MMDEMO_PATHS": "1", "GRADIO_SERVER_NAME": "0.0.0.0"}, True),
    ],
)
def test_paths_are_for_a_page_that_only_this_machine_sees(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], accepted: bool
) -> None:
    for name in ("GRADIO_SERVER_NAME", "GRADIO_SHARE", "GRADIO_ROOT_PATH", "SPACE_ID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert paths_accepted() is accepted


@pytest.mark.parametrize(
    ("variables", "accepted"),
    [
        ({}, True),
        ({"GRADIO_SERVER_NAME": "0.0.0.0"}, False),
        ({"SPACE_ID": "owner/space"}, False),
        ({"MMDEMO_PATHS": "0"}, False),
        ({"MMDEMO_PATHS": "1", "GRADIO_SERVER_NAME": "0.0.0.0"}, True),
        ({"MMDEMO_HUB_IDS": "0"}, False),
        ({"MMDEMO_HUB_IDS": "1", "GRADIO_SERVER_NAME": "0.0.0.0"}, True),
        ({"MMDEMO_HUB_IDS": "1", "MMDEMO_PATHS": "0"}, True),
    ],
)
def test_ids_of_the_hub_are_for_the_same_page_or_as_the_owner_says(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], accepted: bool
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert hub_ids_accepted() is accepted


@pytest.mark.parametrize(
    ("variable", "read"), [("MMDEMO_PATHS", paths_accepted), ("MMDEMO_HUB_IDS", hub_ids_accepted)]
)
def test_a_senseless_switch_is_explained(
    variable: str, read: Callable[[], bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "yes")
    with pytest.raises(SettingError, match=rf"{variable} is 'yes'; it takes 1 .* or 0"):
        read()


def test_whose_word_is_taken_for_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPACE_ID", raising=False)
    assert proxies() == ()
    monkeypatch.setenv("SPACE_ID", "owner/space")
    assert "10.0.0.0/8" in map(str, proxies())
    monkeypatch.setenv("MMDEMO_PROXY", "127.0.0.1, 2001:db8::/32")
    assert list(map(str, proxies())) == ["127.0.0.1/32", "2001:db8::/32"]
    for wrong in ("here", "*", "127.0.0.1,"):
        monkeypatch.setenv("MMDEMO_PROXY", wrong)
        with pytest.raises(SettingError, match=r"MMDEMO_PROXY is .*such as 127\.0\.0\.1"):
            proxies()


def test_a_password_is_never_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    assert passwords() == []
    monkeypatch.setenv("MMDEMO_PASSWORD", "ann:a:b, bob:c")
    assert passwords() == [("ann", "a:b"), ("bob", "c")]
    for wrong in ("hunter2", ":hunter2", "ann:hunter2,", "ann:hunter2,bob:", "ann:,hunter2"):
        monkeypatch.setenv("MMDEMO_PASSWORD", wrong)
        with pytest.raises(SettingError, match="name:secret") as told:
            passwords()
        assert "hunter2" not in str(told.value)
        assert "ann" not in str(told.value)


def test_what_the_log_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    assert log_level() == "INFO"
    for given, level in (("0", "WARNING"), ("1", "INFO"), ("debug", "DEBUG")):
        monkeypatch.setenv("MMDEMO_LOG", given)
        assert log_level() == level
    monkeypatch.setenv("MMDEMO_LOG", "loud")
    with pytest.raises(SettingError, match=r"MMDEMO_LOG is 'LOUD'.*such as DEBUG"):
        log_level()


def test_where_measurements_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    monkeypatch.setenv("MMDEMO_CACHE", "~/other")
    assert str(cache_folder()) == "/home/somebody/other"
    monkeypatch.delenv("MMDEMO_CACHE")
    assert str(cache_folder()) == "/home/somebody/.cache/mmdemo"


def test_did_you_mean() -> None:
    assert did_you_mean("mimi", ["mini", "bge-m3"]) == " Did you mean 'mini'?"
    assert did_you_mean("xyz", ["mini", "bge-m3"]) == ""
