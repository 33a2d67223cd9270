"""The style sheets: each tab's own, without a rule for nothing, and heights said once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from mmdemo.plots import bars, matrix, strips
from mmdemo.ui.theme import STYLE_SHEETS, figure_heights
from tests.conftest import ROOT

UI = ROOT / "mmdemo/ui"
SHELL, PARTS = UI / "style.css", UI / "parts/style.css"
TABS = sorted(path.parent for path in UI.glob("tabs/*/style.css"))  # a tab may do without

# Classes that gradio and plotly give, and the mode of the page.
FOREIGN = {
    *("annotation-text", "bartext", "block", "container", "dark", "gradio-container"),
    *("html-container", "js-plotly-plot", "legendtext", "or", "plot-container", "tab-container"),
    *("tab-wrapper", "table-wrap", "tabs", "wrap", "xtick", "ytick"),
}


def rules(path: Path) -> Iterator[str]:
    """Yield the selectors of a sheet, one by one; of nested rules with those around them."""
    css = re.sub(r"/\*.*?\*/", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    css = re.sub(r"@keyframes [\w-]+ \{.*?\n\}", "", css, flags=re.DOTALL)
    around: list[str] = []
    for before, brace in re.findall(r"([^{};]*)([{};])", css):
        if brace == "{":
            around.append("" if before.strip().startswith("@") else before.strip())
            # A comma in brackets parts nothing.
            for part in re.split(r",(?![^()]*\))", around[-1]):
                if part:
                    yield " ".join([*filter(None, around[:-1]), part.strip()])
        elif brace == "}":
            around.pop()


def classes(path: Path) -> set[str]:
    """Return the classes that a sheet has rules for, but for the root of its tab."""
    found = {name for rule in rules(path) for name in re.findall(r"\.([a-zA-Z][\w-]*)", rule)}
    return {name for name in found if not name.startswith("mm-tab-")} - FOREIGN


def code(folder: Path) -> str:
    """Return the code of a folder, comments and docstrings included."""
    return "".join(path.read_text(encoding="utf-8") for path in sorted(folder.rglob("*.py")))


def given(folder: Path) -> set[str]:
    """Return the classes that the code of a folder gives, as far as it spells them out."""
    spelt = re.findall(r"class=\\?[\"']([^\"'>]*)|elem_classes=\[?\"([^\"]*)", code(folder))
    return {
        name for one in spelt for name in re.findall(r"(?<![\w{.])[a-z][\w-]*\b", " ".join(one))
    }


def own(tab: Path) -> set[str]:
    """Return the classes of a tab's sheet that are no shared ones, which it may set differently."""
    return classes(tab / "style.css") - classes(SHELL) - classes(PARTS)


def test_the_page_gets_every_sheet() -> None:
    assert TABS
    assert set(STYLE_SHEETS) == {SHELL, PARTS, *(tab / "style.css" for tab in TABS)}
    assert STYLE_SHEETS[:2] == (SHELL, PARTS)  # what a tab sets differently comes later


def test_every_rule_of_a_tab_is_for_that_tab_alone() -> None:
    for tab in TABS:
        root = f".mm-tab-{tab.name.replace('_', '-')}"
        for rule in rules(tab / "style.css"):
            assert re.match(rf"(\.dark )?{re.escape(root)}(?![\w-])", rule), f"{tab.name}: {rule}"


def test_no_class_means_two_things() -> None:
    assert not classes(SHELL) & classes(PARTS)
    for tab in TABS:
        assert len(own(tab)) > 5
        for other in TABS:
            if other != tab:
                assert not own(tab) & (own(other) | given(other)), (tab.name, other.name)
        assert not own(tab) & given(UI / "parts")


def test_every_rule_is_for_something_that_is_there() -> None:
    plotted = {"mm-figure-bars", "mm-figure-matrix", "mm-figure-strips"}
    for sheet in STYLE_SHEETS:
        shared = sheet in (SHELL, PARTS)
        # Verdicts are classes as well.
        source = code(UI if shared else sheet.parent) + (ROOT / "mmdemo/types.py").read_text()
        names = classes(sheet) if shared else own(sheet.parent) - plotted
        for name in names:
            assert re.search(rf"(?<![\w-]){name}\b", source), f"{sheet}: .{name}"
        for name in {name for rule in rules(sheet) for name in re.findall(r"#([a-z][\w-]*)", rule)}:
            # The last part of an id may come from elsewhere.
            begun = re.sub(r"-\w+$", "-{", name)
            assert re.search(rf"[\"}}]({name}\"|{re.escape(begun)})", code(UI)), f"{sheet}: #{name}"


def test_every_class_of_ours_that_is_given_has_a_rule() -> None:
    styled = set[str]().union(*map(classes, STYLE_SHEETS))
    ours = {name for name in given(UI) if name.startswith("mm-")}
    assert len(ours) > 20
    assert {name for name in ours if not name.endswith("-")} <= styled


def test_the_height_of_a_figure_is_said_once() -> None:
    exported = figure_heights()
    for plot in (bars, matrix, strips):
        kind = plot.__name__.rpartition(".")[2]
        assert f".mm-figure-{kind} {{ --mm-figure-height: {plot.HEIGHT}px; }}" in exported
        twin = rf"\b({plot.HEIGHT}|{plot.HEIGHT + 18})px"
        assert not any(re.search(twin, path.read_text()) for path in STYLE_SHEETS)
    assert "tokens" not in exported  # each is as high as its rows
    assert "var(--mm-figure-height" in PARTS.read_text()
