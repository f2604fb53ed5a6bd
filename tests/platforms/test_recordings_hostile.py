"""A recording comes from somebody else's machine: it stays in its directory, and what is wrong in it is said."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest

from shieldwall.agent.selftest.recording import FORMAT, FileAnswer, Recording, RecordingError
from shieldwall.testing.recordings import RecordedHost


def recording(present: list[str], base64: str = "") -> Recording:
    return Recording(
        format=FORMAT,
        platform="windows10",
        agent_version="1",
        catalog_version="1",
        present=present,
        files=[FileAnswer(path="/x", base64=base64)],
    )


@pytest.mark.parametrize("path", ["/../../escaped", "/a/../../../escaped", "/a\0b"])
def test_no_path_leads_out(tmp_path: Path, path: str) -> None:
    root = tmp_path / "deep/root"
    with pytest.raises(RecordingError):
        RecordedHost(recording(["/fine", path]), root)
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_base64_is_refused(tmp_path: Path) -> None:
    host = RecordedHost(recording([], "not of it!"), tmp_path)
    with pytest.raises(RecordingError):
        host.read_file(PurePosixPath("/x"))
