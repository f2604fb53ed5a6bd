"""``shieldwall-agent events``: what happened here, for whoever may read it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.agent.detections.test_handing import a_detection, a_finding, add_findings
from typer.testing import CliRunner

from shieldwall.agent.detections.spool import append
from shieldwall.cli.shieldwall_agent import app


def run(tmp_path: Path, *words: str) -> tuple[int, str]:
    places = ["--root", str(tmp_path / "root"), "--state", str(tmp_path / "state")]
    done = CliRunner().invoke(app, ["events", *words, *places])
    return done.exit_code, done.output


def test_what_happened_is_shown_the_newest_first(tmp_path: Path) -> None:
    spool = tmp_path / "state/applier/events"
    append(spool, [a_detection(1)])
    add_findings(spool, a_finding(2, path="/srv/\x1b[31m"))

    status, shown = run(tmp_path)
    assert status == 0
    assert "Test.Marker" in shown
    assert "edr.reverseShell" in shown
    assert "\x1b" not in shown
    _, one = run(tmp_path, "--most", "1", "--json")
    assert len(json.loads(one)["events"]) == 1


def test_where_nothing_happened_it_says_so(tmp_path: Path) -> None:
    assert run(tmp_path) == (0, "Nothing happened.\n")


def test_what_cannot_be_read_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    append(tmp_path / "state/applier/events", [a_detection(1)])

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("shieldwall.agent.detections.handing.Handing.newest", refuse)
    status, shown = run(tmp_path)
    assert status != 0
    assert "root" in shown
