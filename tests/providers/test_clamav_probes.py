"""Asking a clamd that is alive and does not answer."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from shieldwall.agent.providers.clamav import client, landings, probes


def test_a_scanner_that_keeps_us_waiting_is_asked_about_one_exclusion(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "TIMEOUT_SECONDS", 0.05)
    excluded = [tmp_path / str(number) for number in range(20)]
    for path in excluded:
        path.touch()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "clamd.sock"))
        listener.listen(len(excluded))  # the kernel takes the calls, and nobody answers one

        items = [{"$type": "excludedPath", "path": str(path)} for path in excluded]
        seen = probes.setting(tmp_path / "clamd.sock", landings.EXCLUSIONS, items)

        assert (seen.effective, seen.code) == (None, "notProvable")
        assert _calls(listener) == 1


def _calls(listener: socket.socket) -> int:
    listener.setblocking(False)
    count = 0
    while True:
        try:
            connection, _ = listener.accept()
        except BlockingIOError:
            return count
        connection.close()
        count += 1
