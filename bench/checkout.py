"""Which checkout is measured: this one, or another with `--app FOLDER`, for a comparison of two.

What is measured is reached by HTTP, or by `import mmdemo`; so the same measurements hold for
every commit that has the same public interface.
"""

from __future__ import annotations

import argparse
import importlib
import subprocess
import sys
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "assets/examples"
"""Pictures come from this checkout, whichever is measured."""


def parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser that has `--app`."""
    made = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument(
        "--app", type=Path, default=ROOT, metavar="FOLDER", help="the checkout that is measured"
    )
    return made


def library(app: Path) -> ModuleType:
    """Import `mmdemo` of a checkout: for a process that has not imported it yet.

    Raises:
        RuntimeError: another checkout's has been imported.
    """
    sys.path.insert(0, str(app.resolve()))
    mmdemo = importlib.import_module("mmdemo")
    if not Path(str(mmdemo.__file__)).is_relative_to(app.resolve()):
        raise RuntimeError(f"mmdemo was imported from {mmdemo.__file__}, not from {app}.")
    return mmdemo


def run(module: str, app: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a module of this folder in a process of its own, with a checkout's library."""
    command = [sys.executable, "-m", module, "--app", str(app.resolve()), *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def output(module: str, app: Path, *arguments: object) -> str:
    """Do the same; return what it printed.

    Raises:
        RuntimeError: it failed; with what it wrote about that.
    """
    done = run(module, app, *arguments)
    if done.returncode:
        raise RuntimeError(f"{module} failed:\n{done.stderr[-2000:]}")
    return done.stdout
