"""The package: what is in it, what it asks for, and that it is of use without the page."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from mmdemo.examples import FOLDER
from tests.conftest import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PINNED = {"torch", "torchvision"}


def packaged() -> set[str]:
    """Return what goes into the wheel, by the paths that it has there."""
    builder = WheelBuilder(str(ROOT))
    with builder.config.set_build_data({"artifacts": [], "force_include": {}}):
        files = [
            *builder.recurse_included_files(),
            *builder.recurse_forced_files(builder.config.get_force_include()),
        ]
    return {Path(file.distribution_path).as_posix() for file in files}


@pytest.fixture(scope="module")
def wheel() -> set[str]:
    return packaged()


def test_all_of_the_program_is_in_the_package(wheel: set[str]) -> None:
    folder = ROOT / "mmdemo"
    there = {path.relative_to(ROOT).as_posix() for path in folder.rglob("*") if path.is_file()}
    wanted = {path for path in there if "cache" not in path and not path.endswith("ruff.toml")}
    assert wanted <= wheel
    assert {Path(path).suffix for path in wanted} >= {".py", ".css", ".toml"}


def test_all_assets_are_in_the_package(wheel: set[str]) -> None:
    assets = ROOT / "assets"
    wanted = {
        f"mmdemo/{path.relative_to(ROOT).as_posix()}"
        for path in assets.rglob("*")
        if path.is_file()
    }
    assert wanted <= wheel
    assert "mmdemo/assets/mini/config.json" in wanted


def test_nothing_else_is_in_the_package(wheel: set[str]) -> None:
    assert all(path.startswith("mmdemo/") for path in wheel)
    assert not [path for path in wheel if "__pycache__" in path or path.endswith("ruff.toml")]


# What it asks for.


def requirements(lines: list[str]) -> dict[str, Requirement]:
    given = [Requirement(line) for line in lines if line and line[0] not in "#-"]
    return {canonicalize_name(one.name): one for one in given}


TESTED = requirements((ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines())
BASE = requirements(PROJECT["dependencies"])
EXTRAS = {name: requirements(lines) for name, lines in PROJECT["optional-dependencies"].items()}


def test_the_package_asks_for_what_is_tested() -> None:
    assert TESTED.keys() == BASE.keys() | EXTRAS["page"].keys()
    for name, asked in (BASE | EXTRAS["page"]).items():
        tested = TESTED[name].specifier
        if name in PINNED:
            (pin,) = tested
            assert pin.operator == "=="
            assert asked.specifier.contains(pin.version), name
        else:
            assert asked.specifier == tested, name


def test_the_package_pins_nothing_and_has_a_floor_for_everything() -> None:
    for asked in (*BASE.values(), *EXTRAS["page"].values()):
        operators = {one.operator for one in asked.specifier}
        assert ">=" in operators
        assert operators <= {">=", "<"}, asked


def test_the_extra_for_programs_holds_that_of_the_page() -> None:
    assert EXTRAS["mcp"]["mmdemo"].extras == {"page"}
    gradio = EXTRAS["mcp"]["gradio"]
    assert gradio.extras == {"mcp"}
    assert gradio.specifier == EXTRAS["page"]["gradio"].specifier


# Without the page.

_WITHOUT = """
import sys
for name in ("gradio", "plotly", "fastapi"):
    sys.modules[name] = None  # as if it were not installed
from mmdemo.cli import main
sys.exit(main(sys.argv[1:]))
"""


def without_page(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", _WITHOUT, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def test_the_library_needs_nothing_of_the_page() -> None:
    pictures = [str(FOLDER / name) for name in ("bee.jpg", "dogs.jpg")]
    done = without_page("compare", *pictures, "a bee")
    assert done.returncode == 0, done.stderr
    assert "mini (384-d)" in done.stdout


def test_a_page_that_is_not_installed_says_what_to_run() -> None:
    done = without_page("serve")
    assert done.returncode == 1
    assert done.stderr == (
        "mmdemo: The page needs packages of its own, and gradio is not installed. Run: pip "
        'install "mmdemo[page]"\n'
    )
