"""The budget: from a setting, or from what the container allows."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmdemo.errors import SettingError
from mmdemo.models import memory


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the root of a system that says nothing, on a machine of 16 GB."""
    monkeypatch.setattr(memory, "_PROC", tmp_path / "proc")
    monkeypatch.setattr(memory, "_CGROUPS", tmp_path / "groups")
    monkeypatch.setattr(memory, "_of_machine", lambda: 16_000)
    return tmp_path


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_without_a_container_it_is_the_machine(system: Path) -> None:
    assert memory.allowed() == 16_000


@pytest.mark.parametrize(
    ("file", "groups"),
    [
        ("memory.max", "0::/"),
        ("memory/memory.limit_in_bytes", "3:memory:/\n0::/"),
        ("app/memory.max", "0::/app/worker"),
        ("memory/app/memory.limit_in_bytes", "7:cpu,cpuacct:/x\n3:memory:/app"),
    ],
)
def test_a_container_s_limit_holds(system: Path, file: str, groups: str) -> None:
    write(system / "proc/self/cgroup", groups)
    write(system / "groups" / file, "4000\n")
    assert memory.allowed() == 4000


def test_no_limit_is_none(system: Path) -> None:
    write(system / "groups/memory.max", "max\n")
    write(system / "groups/memory/memory.limit_in_bytes", "9223372036854771712\n")
    assert memory.allowed() == 16_000


def test_the_setting_comes_first(system: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert memory.budget() == 9600
    monkeypatch.setenv("MMDEMO_MEMORY", "300")
    assert memory.budget() == 300_000_000
    monkeypatch.setenv("MMDEMO_MEMORY", "plenty")
    with pytest.raises(SettingError, match="MMDEMO_MEMORY"):
        memory.budget()


def test_what_is_resident_is_known_here() -> None:
    assert memory.resident() > 1e7
    memory.give_back()
