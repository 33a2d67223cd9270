from __future__ import annotations

import pytest

from mmdemo.errors import SettingError, did_you_mean
from mmdemo.settings import Limits, default_model, limits, offered_models


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


@pytest.mark.parametrize("value", ["0", "-1", "many", "1.5"])
def test_a_senseless_limit_is_explained(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("MMDEMO_LIMITS_PIXELS", value)
    with pytest.raises(SettingError, match=f"MMDEMO_LIMITS_PIXELS is '{value}'.*such as"):
        limits()


def test_did_you_mean() -> None:
    assert did_you_mean("mimi", ["mini", "bge-m3"]) == " Did you mean 'mini'?"
    assert did_you_mean("xyz", ["mini", "bge-m3"]) == ""
