"""Markup is made of literal patterns: what is put into one cannot bring markup along."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import gradio as gr
import pytest
from markupsafe import Markup

from mmdemo.progress import Progress
from mmdemo.ui.parts import long_work, markup
from mmdemo.ui.parts.localise import Localiser
from mmdemo.ui.strings import CODES, TEXT, say, say_markup
from tests.conftest import ROOT

HOSTILE = '<img src=x onerror="alert(1)"> & {0.__class__}'
SAFE = "&lt;img src=x onerror=&#34;alert(1)&#34;&gt; &amp; {0.__class__}"

FILES = sorted((ROOT / "mmdemo/ui").rglob("*.py"))
TAG = re.compile(r"</?[a-z!]", re.IGNORECASE)


def slips(code: str) -> Iterator[int]:
    """Yield the lines of code where a tag stands outside of a pattern of markup.

    And those where something that is no literal is taken for such a pattern.
    """
    nodes = [node for node in ast.walk(ast.parse(code)) if isinstance(node, (ast.expr, ast.Expr))]
    allowed: set[ast.AST] = {node.value for node in nodes if isinstance(node, ast.Expr)}
    for node in nodes:
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Markup":
            allowed.update(node.args)
            if node.keywords or not all(isinstance(one, ast.Constant) for one in node.args):
                yield node.lineno
    for node in nodes:
        text = node.value if isinstance(node, ast.Constant) and node not in allowed else None
        if isinstance(text, str) and TAG.search(text):
            yield node.lineno


@pytest.mark.parametrize(
    ("code", "count"),
    [
        ("y = f'<b>{x}'", 1),
        ("y = '<p>' + x", 1),
        ("y = '%s</p>' % x", 1),
        ("y = '<p>{}</p>'.format(x)", 1),
        ("y = Markup(x)", 1),
        ("y = Markup(f'{x}')", 1),
        ("y = Markup('<p>{}</p>').format(Markup())", 0),
        ("'Returns <p>.'\ny = 'less < more'", 0),
    ],
)
def test_what_is_looked_for_is_found(code: str, count: int) -> None:
    assert len(list(slips(code))) == count


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_code_of_the_page_puts_markup_together_otherwise(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert not list(slips(source))
    assert not re.search(r"^(from|import) html\b", source, re.MULTILINE)


def test_a_message_escapes_text_and_keeps_markup() -> None:
    box = markup.message([HOSTILE, Markup("<b>so</b>"), ""], stale=True)
    assert box == Markup(
        f'<div class="mm-message stale" role="status"><p>{SAFE}</p><p><b>so</b></p></div>'
    )
    assert markup.message(HOSTILE).count(f"<p>{SAFE}</p>") == 1
    assert [markup.message(nothing) for nothing in ("", [], [""])] == ["", "", ""]


def test_small_pieces_escape_what_they_hold() -> None:
    for piece in (
        markup.caption(HOSTILE),
        markup.titled(HOSTILE, HOSTILE),
        long_work.bar(Progress(1, 2, stage="pictures"), "en", HOSTILE),
        markup.joined("en", HOSTILE, HOSTILE),
    ):
        assert isinstance(piece, Markup)
        assert "<img" not in piece
        assert SAFE in piece
    assert markup.joined("en", "A.", Markup("<i>B</i>.")) == "A. <i>B</i>."
    assert markup.joined("zh", "甲。", "乙。") == "甲。乙。"


def test_a_sentence_escapes_itself_and_its_values(monkeypatch: pytest.MonkeyPatch) -> None:
    odd = dict.fromkeys(CODES, "<i>{text}</i> 5 % & {kind}")
    monkeypatch.setitem(TEXT, "moved", odd)
    for language in CODES:
        values = {"text": HOSTILE, "kind": Markup("<b>k</b>")}
        said = say_markup(language, "moved", **values)
        assert said == f"&lt;i&gt;{SAFE}&lt;/i&gt; 5\u00a0% &amp; <b>k</b>"
        assert say(language, "moved", **values) == f"<i>{HOSTILE}</i> 5\u00a0% & <b>k</b>"


def test_a_pattern_of_strings_escapes_them(monkeypatch: pytest.MonkeyPatch) -> None:
    string = HOSTILE.replace("{", "{{").replace("}", "}}")
    monkeypatch.setitem(TEXT, "tagline", dict.fromkeys(CODES, string))
    localiser = Localiser()
    with gr.Blocks():
        place, label = gr.HTML(), gr.Textbox()
    localiser.add_html(place, Markup("<h1>{tagline}</h1>"))
    localiser.add(label, label="tagline")
    assert place.value == f"<h1>{SAFE}</h1>"
    assert label.label == HOSTILE  # plain text, which gradio shows as it is
    assert localiser.switch("zh")[0]["value"] == f"<h1>{SAFE}</h1>"
