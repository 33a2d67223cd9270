from __future__ import annotations

from pathlib import Path

from mmdemo.assets import ASSETS, fingerprint, missing_files, read_config


def test_the_packaged_weights_are_complete() -> None:
    folder = ASSETS / "mini"
    assert missing_files(folder) == []
    assert read_config(folder)["fingerprint"] == fingerprint(folder)


def test_a_file_cut_off_is_missed(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"files": {"a.bin": 3, "b.bin": 3}}')
    (tmp_path / "a.bin").write_bytes(b"abc")
    (tmp_path / "b.bin").write_bytes(b"ab")
    assert missing_files(tmp_path) == ["b.bin"]
    assert missing_files(tmp_path / "nowhere") == ["config.json"]
