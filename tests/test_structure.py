"""The direction of dependence, checked on the source itself."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

MAY_USE = {
    "torch": ("mmdemo/encoders", "training", "bench"),
    "gradio": ("mmdemo/ui", "app.py"),
    "mmdemo.ui": ("mmdemo/ui", "app.py", "mmdemo/__main__.py"),
    "mmdemo.plots": ("mmdemo/ui",),
}


def imports(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def sources() -> list[Path]:
    folders = [ROOT / name for name in ("mmdemo", "training", "bench")]
    return [ROOT / "app.py", *(path for folder in folders for path in folder.rglob("*.py"))]


@pytest.mark.parametrize("package", MAY_USE)
def test_only_its_own_folders_use(package: str) -> None:
    allowed = tuple(str(ROOT / place) for place in MAY_USE[package])
    users = {
        str(path.relative_to(ROOT))
        for path in sources()
        if any(name == package or name.startswith(package + ".") for name in imports(path))
        and not str(path).startswith(allowed)
    }
    assert not users


def test_importing_mmdemo_does_no_work() -> None:
    code = (
        "import sys, mmdemo; print([m for m in ('torch', 'gradio', 'plotly') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr


def test_what_is_known_to_be_unsafe_is_not_installed() -> None:
    """The floors are what is tested, and security notices: below them code runs from a config."""
    least = {"gradio": (6, 31), "pillow": (12, 3), "transformers": (5, 3)}
    told = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    for package, floor in least.items():
        found = re.search(rf"^{package}>=(\d+)\.(\d+)", told, re.MULTILINE)
        assert found
        assert (int(found[1]), int(found[2])) >= floor
