"""An export that is written over an earlier one takes its place as a whole, or leaves it as it was."""

from __future__ import annotations

import errno
from pathlib import Path, PurePath

import pytest

from shieldwall.cli.declared.writing import replace_files


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "policies").mkdir()
    for name in ("kept", "gone"):
        (tmp_path / "policies" / f"{name}.json").write_bytes(b"old")
    return tmp_path


def contents(directory: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in directory.rglob("*") if file.is_file()}


NEW = {PurePath("policies/kept.json"): b"new", PurePath("policies/more.json"): b"more"}


def test_new_files_take_the_places_of_old_ones_and_the_rest_goes(directory: Path) -> None:
    replace_files(directory, list(directory.rglob("*.json")), NEW)

    assert contents(directory) == {"kept.json": b"new", "more.json": b"more"}
    assert [entry.name for entry in directory.iterdir()] == ["policies"]


def test_a_full_disk_leaves_what_was_there(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, write = contents(directory), Path.write_bytes

    def full(file: Path, data: bytes) -> int:
        if data == b"more":
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(file, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space"):
        replace_files(directory, list(directory.rglob("*.json")), NEW)

    assert contents(directory) == before
    assert [entry.name for entry in directory.iterdir()] == ["policies"]
