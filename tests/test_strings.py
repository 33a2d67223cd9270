"""The strings of the page: all of them in every language, in the files of those who show them."""

from __future__ import annotations

import ast
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from mmdemo.errors import MMDemoError
from mmdemo.images import open_image
from mmdemo.ui import page
from mmdemo.ui.parts.markup import error_message
from mmdemo.ui.strings import CODES, ERRORS, FIRST, LANGUAGES, TEXT, check, say
from mmdemo.ui.strings import files as string_files
from mmdemo.ui.strings.files import fields
from tests.conftest import ROOT

UI = ROOT / "mmdemo/ui"


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """Copy the files of strings, to be damaged."""
    for path in UI.rglob("*.toml"):
        if path.name != "ruff.toml":
            copy = tmp_path / path.relative_to(UI)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, copy)
    return tmp_path


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_what_ships_has_no_slip() -> None:
    check()
    assert {language for text in TEXT.values() for language in text} == set(CODES)
    assert [code for _, code in LANGUAGES] == list(CODES)
    assert say("en", "work_background", done="5", total="9").endswith("5 of 9\u00a0%")


def test_a_new_language_is_told_all_that_it_lacks(copied: Path) -> None:
    edit(copied / "strings/common.toml", 'zh = "中文"\n', 'zh = "中文"\nxx = "X"\n')
    with pytest.raises(ValueError, match="have faults") as caught:
        check(string_files.read(copied))
    told = str(caught.value)
    for key in (*TEXT, *ERRORS):
        assert f"'{key}' is missing in: xx" in told
    assert told.count("missing in: xx") == len(TEXT) + len(ERRORS) + 1  # and the one part


COMMON = """
[languages]
en = "English"
zh = "中文"
[title]
en = "Title"
zh = "标题"
"""
TAB = """
[title]
en = ""
zh = ""
[short]
en = "{count} left"
[long]
en = "{count} of {total}"
zh = "{count}"
[foreign]
en = "Stop"
zh = "停止"
de = "Halt"
[broken]
en = "{"
zh = "{"
[number]
en = 1
[nameless]
en = "{} and {0}"
zh = "{} {0}"
"""
OF_ERRORS = """
[parts.either]
zh = "甲或乙"
[lost]
zh = "{name}：{either}。"
[english]
en = "Lost."
"""


def test_every_slip_is_told_at_once(tmp_path: Path) -> None:
    for name, text in (("strings/common", COMMON), ("tabs/a/strings", TAB)):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / f"{name}.toml").write_text(text, encoding="utf-8")
    (tmp_path / "strings/errors.toml").write_text(OF_ERRORS, encoding="utf-8")
    strings = string_files.read(tmp_path)
    assert strings.errors["lost"] == {"zh": "{name}：甲或乙。"}
    assert strings.faults == (
        "tabs/a/strings.toml: 'title' is in strings/common.toml already",
        "tabs/a/strings.toml: 'short' is missing in: zh",
        "tabs/a/strings.toml: 'long' has values that only some languages mention: total",
        "tabs/a/strings.toml: 'foreign' has languages that are not expected here: de",
        "tabs/a/strings.toml: 'broken' has braces that do not match: "
        "Single '{' encountered in format string",
        "tabs/a/strings.toml: 'number' is no table of strings",
        "tabs/a/strings.toml: 'nameless' has values without a name: {}, {0}",
        "strings/errors.toml: 'english' is missing in: zh",
        "strings/errors.toml: 'english' has languages that are not expected here: en",
    )


def test_the_page_does_not_start_with_a_slip(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    edit(copied / "tabs/text/strings.toml", 'zh = "排序"\n', "")
    slipped = string_files.read(copied)
    monkeypatch.setattr(page, "check", lambda: check(slipped))
    with pytest.raises(ValueError, match="'rank_button' is missing in: zh"):
        page.build()


def test_a_file_that_is_none_is_named(copied: Path) -> None:
    (copied / "tabs/text/strings.toml").write_text("[rank_button\n")
    with pytest.raises(ValueError, match=r"tabs/text/strings\.toml: .*line 1"):
        string_files.read(copied)


def said(path: Path) -> Iterator[str]:
    """Yield the keys that a file of code says in so many words."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "").startswith("say"):
            key = node.args[1] if len(node.args) > 1 else None
            if isinstance(key, ast.Constant):
                yield str(key.value)


def test_a_tab_says_what_is_in_its_own_file_or_in_a_shared_one() -> None:
    of_tab = {
        key: path.parent
        for path in UI.glob("tabs/*/strings.toml")
        for key in re.findall(r"^\[\"?(.+?)\"?\]$", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert len(of_tab) > 100
    for path in UI.rglob("*.py"):
        for key in said(path):
            assert key in TEXT, f"{path}: {key}"
            own = of_tab.get(key) in (None, path.parent)
            assert own or path.name in ("api.py", "page.py"), f"{path} says {key} of another tab"


def named(folder: Path) -> re.Pattern[str]:
    """Return a pattern of every key or code that code names, whole or put together."""
    parts: set[str] = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                parts |= {re.escape(node.value), *re.findall(r"\{(\w+)\}", node.value)}
            elif isinstance(node, ast.JoinedStr):
                pieces = [
                    re.escape(str(piece.value).strip("{}"))
                    if isinstance(piece, ast.Constant)
                    else ".*"
                    for piece in node.values
                ]
                if any(re.fullmatch(r"\w+_|_\w+", piece) for piece in pieces):
                    parts.add("".join(pieces))
    return re.compile("|".join(parts))


def test_no_string_is_left_over() -> None:
    names = named(UI)
    assert not [key for key in TEXT if not names.fullmatch(key)]


def test_an_error_is_told_in_the_language_of_the_page() -> None:
    with pytest.raises(MMDemoError) as caught:
        open_image(b"no picture")
    sentence = ERRORS["text_file"]["zh"].format(**caught.value.values)
    assert sentence == error_message(caught.value, "zh")
    assert error_message(caught.value, FIRST) == str(caught.value)


def test_what_several_errors_say_stands_in_each() -> None:
    assert "ALIGN" in ERRORS["no_config"]["zh"]
    assert fields(ERRORS["no_config"]["zh"]) == {"name"}
