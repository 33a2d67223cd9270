"""Errors: each has a code, is told in every language, and says nothing of what is inside."""

from __future__ import annotations

import ast
import copy
import json
import pickle
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

from mmdemo import errors
from mmdemo.errors import MMDemoError, ModelError, SettingError, StoppedError, TextError
from mmdemo.images import formats
from mmdemo.models.encoder import Encoder
from mmdemo.ui.parts.markup import error_message
from mmdemo.ui.strings import CODES, ERRORS
from mmdemo.ui.strings.files import fields
from mmdemo.ui.tabs.text import handlers as text_handlers
from mmdemo.work import Current
from tests import bge_m3
from tests.conftest import ROOT, TINY
from tests.held import ask
from tests.waiting import last_of

CLASSES = {
    name: one
    for name, one in vars(errors).items()
    if isinstance(one, type) and issubclass(one, MMDemoError)
}

TABLES = {"mmdemo/images/formats.py": [other.code for other in formats.NOT_PICTURES]}
"""Codes that a module chooses while it runs: there may be no other code that cannot be read off."""

OWNERS = (SettingError, StoppedError)
"""What the owner reads on the terminal, and what nobody reads, need not be translated."""


@dataclass(frozen=True)
class Site:
    """A place in the source that makes an error, or says where one happened.

    Attributes:
        where: file and line.
        kind: the class; None for `within`.
        codes: it may have.
        fields: what it hands to the sentence.
    """

    where: str
    kind: type[MMDemoError] | None
    codes: tuple[str, ...]
    fields: frozenset[str]


def codes_of(given: ast.expr | None, file: str) -> tuple[str, ...]:
    if isinstance(given, ast.Constant) and isinstance(given.value, str):
        return (given.value,) if given.value else ()
    return tuple(TABLES.get(file, ())) if isinstance(given, ast.Name) else ()


def sites_in(source: str, file: str) -> Iterator[Site]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Name):
            node = ast.Call(node.exc, [], [], lineno=node.lineno)
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "id", getattr(node.func, "attr", ""))
        if name not in CLASSES and name != "within":
            continue
        named = {one.arg: one.value for one in node.keywords}
        given = node.args[1] if len(node.args) > 1 else named.pop("code", None)
        codes = codes_of(given, file)
        if name == "StoppedError" and given is None:
            codes = (StoppedError().code,)
        fields = frozenset(str(one) for one in named)
        yield Site(f"{file}:{node.lineno}", CLASSES.get(name), codes, fields)


@cache
def sites() -> tuple[Site, ...]:
    return tuple(
        site
        for path in sorted((ROOT / "mmdemo").rglob("*.py"))
        for site in sites_in(path.read_text(encoding="utf-8"), path.relative_to(ROOT).as_posix())
    )


def fields_of(code: str) -> set[str]:
    return set[str]().union(*map(fields, ERRORS.get(code, {}).values()))


def test_every_error_has_a_code() -> None:
    assert not [one.where for one in sites() if not one.codes]
    assert len(sites()) > 100


def test_every_code_has_a_sentence_in_other_languages() -> None:
    untold = {
        f"{code} ({one.where})"
        for one in sites()
        for code in one.codes
        if one.kind not in OWNERS and ERRORS.get(code, {}).keys() != set(CODES[1:])
    }
    assert not untold


def test_no_sentence_is_left_over() -> None:
    assert not ERRORS.keys() - {code for one in sites() for code in one.codes}


def test_no_sentence_mentions_what_it_is_not_given() -> None:
    lacking = {
        f"{code} ({one.where}): {', '.join(missing)}"
        for one in sites()
        for code in one.codes
        if (missing := fields_of(code) - one.fields)
    }
    assert not lacking


def test_a_code_means_one_thing() -> None:
    """Several places may raise it where they hand over the same values."""
    known: dict[str, frozenset[str]] = {}
    for one in sites():
        for code in one.codes:
            assert known.setdefault(code, one.fields) == one.fields, one


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ('raise ModelError("It failed.")', "codes"),
        ('raise ModelError("It failed.", "")', "codes"),
        ('raise ModelError("It failed.", f"{name}_failed")', "codes"),
        ('raise ModelError("It failed.", code)', "codes"),
        ("raise ModelError", "codes"),
        ('raise errors.ModelError("It failed.")', "codes"),
        ('raise error.within("Item 1", number=1)', "codes"),
        ('raise ModelError("It failed.", "load_failed")', "name"),
        ('raise ModelError("It failed.", code="load_failed", title="x")', "name"),
    ],
)
def test_what_the_check_is_for_would_not_pass(source: str, fault: str) -> None:
    (site,) = sites_in(source, "mmdemo/models/find.py")
    if fault == "codes":
        assert not site.codes
    else:
        assert fields_of(site.codes[0]) - site.fields == {fault}


# Where it happened.


def test_an_error_says_where_it_happened_and_keeps_all_else() -> None:
    error = TextError("The text has 9 characters.", "text_length", length="9", limit="8")
    inner = error.within("Item 2", "item_at", number=2)
    outer = inner.within("图片 1", "field", name="图片 1")
    for one in (outer, copy.copy(outer), pickle.loads(pickle.dumps(outer)), outer.again()):
        assert type(one) is TextError
        assert (one.code, one.values) == (error.code, error.values)
        assert str(one) == "图片 1: Item 2: The text has 9 characters."
    told = ERRORS["text_length"]["zh"].format(length="9", limit="8")
    assert error_message(outer, "zh") == f"图片 1：第 2 项：{told}"
    assert error_message(outer, "en") == str(outer)
    assert (str(error), error.places) == ("The text has 9 characters.", ())


def test_a_copy_has_no_trace_of_its_own() -> None:
    try:
        raise ModelError("It failed.", "load_failed", name="x") from OSError("inside")
    except ModelError as error:
        again = error.again()
    assert again.__traceback__ is None
    assert again.__cause__ is None


def test_what_no_language_has_is_said_in_english() -> None:
    error = SettingError("MMDEMO_LOG is '{x}'.", "setting_log", value="{x}")
    assert error_message(error, "zh") == "MMDEMO_LOG is '{x}'."


@pytest.mark.parametrize("given", [["a", 5], ["a", "b" * 2001]])
def test_positions_are_translated(
    given: list[Any], mini: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MMDEMO_LIMITS_TEXT", "2000")
    monkeypatch.setenv("MMDEMO_LIMITS_DOCUMENT", "2000")
    with pytest.raises(TextError) as caught:
        mini.encode(given)
    assert error_message(caught.value, "zh").startswith("第 2 项：")
    with pytest.raises(TextError) as caught:
        list(mini.read_texts(given))
    assert error_message(caught.value, "zh").startswith("第 2 段文本：")


# Nothing of the server or of a library is told.


def no_json(folder: Path) -> None:
    (folder / "config.json").write_text("{")


def no_network(folder: Path) -> None:
    """Have transformers and torch complain, in words of their own."""
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"num_attention_heads": 5}))


def no_weights(folder: Path) -> None:
    path = next(iter([*folder.glob("*.pth"), *folder.glob("pytorch_model.bin")]))
    path.write_bytes(path.read_bytes()[:5000])


def other_weights(folder: Path) -> None:
    torch.save({"x": torch.zeros(1)}, next(iter([*folder.glob("*.pth"), *folder.glob("py*.bin")])))


def no_tokenizer(folder: Path) -> None:
    for name in ("tokenizer.json", "vocab.txt"):
        (folder / name).unlink(missing_ok=True)


def no_head(folder: Path) -> None:
    (folder / "colbert_linear.pt").write_bytes(b"")


DAMAGES = [
    (no_json, "没有可读取的 config.json"),
    (no_network, "描述的文本编码器无法构建"),
    (no_weights, "已损坏或不完整"),
    (other_weights, "与该模型不符：缺少"),
    (no_tokenizer, "的分词器文件缺失或已损坏"),
]

INTERNAL = ("Error", "Traceback", "torch.", "pickle", "Config", "heads", "Expecting", "/tmp")
"""Words of libraries that these damages make them say."""


def ranked(folder: Path) -> str:
    """Return what the page says to a ranking with the model in a folder, in Chinese."""
    given = text_handlers.Given(
        query="a",
        passages="b\nc",
        whole=False,
        model=str(folder),
        weights=(1, 1, 1),
        picked=None,
        language="zh",
        document=text_handlers.Dropped(),
        shown=text_handlers.Shown(),
        current=Current(),
    )
    return last_of(text_handlers.run(given)).message


@pytest.mark.parametrize(("damage", "says"), DAMAGES)
@pytest.mark.parametrize("family", ["visualized_bge", "bge_m3"])
def test_a_damaged_directory_is_explained(
    damage: Any, says: str, family: str, tmp_path: Path, app_url: str
) -> None:
    folder = tmp_path / "private" / "model"
    if family == "bge_m3":
        bge_m3.save(folder)
    else:
        shutil.copytree(TINY, folder)
    damage(folder)
    page = ranked(folder)
    _, told = ask(app_url, "rank", ["a", "b\nc", str(folder), 1, 1, 1])
    assert says in page
    for said in (page, told["error"]):
        assert said
        assert not [word for word in ("private", *INTERNAL) if word in said]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("sparse_linear.pt", "包括 sparse_linear.pt 与 colbert_linear.pt"),
        ("pytorch_model.bin", "没有权重。可接受 model.safetensors"),
        ("tokenizer.json", "的分词器文件缺失或已损坏"),
        ("config.json", "没有可读取的 config.json"),
    ],
)
def test_a_bge_m3_without_one_of_its_files(
    name: str, says: str, tmp_path: Path, app_url: str
) -> None:
    folder = bge_m3.save(tmp_path / "private" / "model")
    (folder / name).unlink()
    assert says in ranked(folder)
    _, told = ask(app_url, "rank", ["a", "b\nc", str(folder), 1, 1, 1])
    assert "model" in told["error"]
    assert "private" not in json.dumps(told)


def test_what_a_library_says_is_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "mmdemo")  # as on a page
    folder = shutil.copytree(TINY, tmp_path / "model")
    no_network(folder)
    assert "num" not in ranked(folder)
    assert "attention heads" in caplog.text
