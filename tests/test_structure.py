"""The direction of dependence, checked on the source itself."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mmdemo.versions import LEAST, check_version
from tests.conftest import ROOT

LAYERS = (
    # Plain things. What says nothing but what a folder is for imports nothing.
    ("encoders", "errors", "files", "models", "progress", "signs", "timings"),
    ("types", "versions"),
    ("assets", "settings", "similarity"),
    ("environment", "images.*"),
    # The one way for what takes long.
    ("work",),
    # Families of models, which do not know each other.
    ("encoders.base", "encoders.spec"),
    ("encoders.parts.*",),
    (
        "encoders.bge_m3.*",
        "encoders.blip.*",
        "encoders.dual_encoder.*",
        "encoders.mini.*",
        "encoders.visualized_bge.*",
    ),
    # A model in use: which there are and where their files are, then how they run.
    ("models.catalogue", "models.layouts"),
    ("models.local",),
    ("models.hub.*",),
    ("models.files",),
    ("models.find",),
    ("models.lane", "models.memory", "models.store"),
    ("models.items",),
    ("models.passes",),
    ("models.encoder",),
    ("models.pool",),
    # What models are used for.
    ("notes",),
    ("background.*",),
    ("tasks.encodings", "tasks.lists"),
    ("tasks.passages", "tasks.prompts"),
    ("examples",),
    ("tasks", "tasks.classify", "tasks.compare", "tasks.embed", "tasks.published", "tasks.rank"),
    # What people see.
    ("mmdemo", "plots.*"),
    ("ui.*",),
    ("cli.*",),
    ("__main__", "app"),
)
"""Modules below `mmdemo`, and `app`; with `.*` a folder and what is in it. Each imports from layers
above its own in this list, and inside its folder: not from its own layer, and not for types either.
"""

MAY_USE = {
    "torch": ("mmdemo/encoders", "training", "bench"),
    "gradio": ("mmdemo/ui", "app.py"),
    "plotly": ("mmdemo/plots", "mmdemo/ui"),
    "mmdemo.ui": ("mmdemo/ui", "app.py", "mmdemo/cli"),
    "mmdemo.plots": ("mmdemo/plots", "mmdemo/ui"),
}


def imports(path: Path) -> set[str]:
    """Return what a file imports, inside functions and for types too."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            names |= {node.module or ""} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def sources() -> list[Path]:
    folders = [ROOT / name for name in ("mmdemo", "training", "bench")]
    return [ROOT / "app.py", *(path for folder in folders for path in folder.rglob("*.py"))]


def modules() -> dict[str, Path]:
    """Return the files of the program by the module's name in `LAYERS`."""
    found = {"mmdemo": ROOT / "mmdemo/__init__.py", "app": ROOT / "app.py"}
    for path in (ROOT / "mmdemo").rglob("*.py"):
        parts = path.relative_to(ROOT / "mmdemo").with_suffix("").parts
        if name := ".".join(parts[:-1] if parts[-1] == "__init__" else parts):
            found[name] = path
    return found


def imported_modules(path: Path, known: dict[str, Path]) -> Iterator[str]:
    """Yield the modules of the program that a file imports, by their names in `LAYERS`."""
    names = imports(path)
    for name in names:
        module = name.removeprefix("mmdemo.")
        # `from mmdemo.models import cache` is of the file, and not of the folder around it.
        inside = any(
            other.startswith(name + ".") and other.removeprefix("mmdemo.") in known
            for other in names
        )
        if name.partition(".")[0] in ("mmdemo", "app") and module in known and not inside:
            yield module


def place(module: str) -> tuple[int, str]:
    """Return the number of a module's layer, and its entry there."""
    found = [
        (number, entry)
        for number, layer in enumerate(LAYERS)
        for entry in layer
        if entry == module or (entry.endswith(".*") and f"{module}.".startswith(entry[:-1]))
    ]
    assert len(found) == 1, f"{module} stands in {len(found)} layers: put it into one of LAYERS"
    return found[0]


def test_imports_go_one_way() -> None:
    known = modules()
    backwards = {
        f"{module} imports {other}"
        for module, path in known.items()
        for other in imported_modules(path, known)
        if place(other)[1] != place(module)[1] and place(other)[0] >= place(module)[0]
    }
    assert not backwards


def test_no_layer_names_what_is_not_there() -> None:
    there = {place(module)[1] for module in modules()}
    assert there == {entry for layer in LAYERS for entry in layer}


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
    heavy = ("torch", "transformers", "timm", "gradio", "plotly")
    code = f"import sys, mmdemo; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr


def test_what_is_known_to_be_unsafe_is_not_installed() -> None:
    """The floors are what is tested, and security notices: below them code runs from a config."""
    told = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    for package, floor in LEAST.items():
        found = re.search(rf"^{package}>=(\d+)\.(\d+)", told, re.MULTILINE)
        assert found
        assert (int(found[1]), int(found[2])) == floor
        check_version(package)


def test_each_defence_has_the_test_that_it_names() -> None:
    named = []
    for cell in re.findall(r"\| ([^|]*?) \|\n", (ROOT / "SECURITY.md").read_text("utf-8")):
        for one in re.findall(r"`([^`]+)`", cell):
            file, _, test = one.partition("::")
            named.append((file or named[-1][0], test))
    assert len(named) > 30
    for file, test in named:
        assert re.search(rf"^def {test}\(", (ROOT / file).read_text("utf-8"), re.M), (file, test)
