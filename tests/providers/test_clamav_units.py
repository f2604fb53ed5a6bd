"""The files by which opens are looked at: which of the two is used, and units that systemd takes."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from shieldwall.agent.broker import settings as broker
from shieldwall.agent.providers.base import ProviderError
from shieldwall.agent.providers.clamav import landings, levels, onaccess

PYTHON = ("/usr/bin/python3", "-I", "-m")
CLAMD = b"LocalSocket /run/clamav/clamd.ctl\nUser clamav\nMaxThreads 3\nMaxFileSize 25M\n"
CLAMONACC = onaccess.Local(backend="clamonacc")
REAL_TIME = {levels.ENFORCEMENT_LEVEL: "real_time"}


def folder(path: str) -> dict[str, Any]:
    return {"$type": "excludedPath", "path": path, "isDirectory": True}


@pytest.mark.parametrize(
    "more",
    [
        {levels.ENFORCEMENT_LEVEL: "audit"},
        {landings.EXCLUSIONS: [{"$type": "excludedFileName", "name": "cat"}]},
        {landings.EXCLUSIONS: [{"$type": "excludedFileExtension", "extension": "log"}]},
        {landings.EXCLUSIONS: [folder("/srv/*/x")]},
        {landings.GLOBAL_EXCLUSIONS: [{"$type": "excludedPath", "path": "/srv/file", "isDirectory": False}]},
        {landings.THREAT_TYPES: [{"key": landings.PUA, "value": "audit"}]},
        {landings.HASHES: True},
        {landings.NONEXEC: "mute"},
        {landings.UNMONITORED: ["nfs"]},
    ],
)
def test_clamonacc_is_used_where_it_was_chosen_unless_it_cannot_do_what_is_asked(more: dict[str, Any]) -> None:
    plain = {**REAL_TIME, landings.EXCLUSIONS: [folder("/srv/free")], landings.HASHES: False}

    assert onaccess.backend(plain, CLAMONACC, CLAMD) == "clamonacc"
    assert onaccess.backend({**plain, **more}, CLAMONACC, CLAMD) == "broker"
    assert onaccess.backend(plain, onaccess.Local(), CLAMD) == "broker"


@pytest.mark.parametrize("user", [b"", b"User root\n"])
def test_clamonacc_is_not_used_for_a_clamd_that_it_would_hold_for_ever(user: bytes) -> None:
    assert onaccess.backend(REAL_TIME, CLAMONACC, b"LocalSocket /run/x\n" + user) == "broker"


def test_nothing_looks_below_real_time_and_audit_or_without_a_socket() -> None:
    for level in ("on_demand", "passive"):
        assert onaccess.backend({levels.ENFORCEMENT_LEVEL: level}, onaccess.Local(), CLAMD) is None
    assert onaccess.backend({}, onaccess.Local(), CLAMD) is None
    assert onaccess.backend(REAL_TIME, onaccess.Local(), b"TCPSocket 3310\n") is None
    assert set(onaccess.files({}, onaccess.Local(), CLAMD, PYTHON).values()) == {None}


def test_the_gate_is_told_what_clamd_can_do() -> None:
    content = onaccess.files(REAL_TIME, onaccess.Local(), CLAMD, PYTHON)[broker.CONFIGURATION]
    assert content is not None
    told = broker.read(content)

    assert (told.maximum_file_bytes, told.concurrency, told.engine_user) == (25 << 20, 2, "clamav")
    assert (told.unwanted_applications, told.archive_bombs) == ("audit", "audit")
    for line in (b"MaxFileSize 0\n", b"MaxFileSize 9999999M\n"):
        unlimited = onaccess.files(REAL_TIME, onaccess.Local(), line + CLAMD, PYTHON)[broker.CONFIGURATION]
        assert unlimited is not None
        assert broker.read(unlimited).maximum_file_bytes == (1 << 31) - 1


def test_clamonacc_never_holds_the_scanner_itself() -> None:
    content = onaccess.files(REAL_TIME, CLAMONACC, CLAMD, PYTHON)[onaccess.CLAMONACC]

    assert content is not None
    assert b"OnAccessExcludeUname clamav\n" in content
    assert b"OnAccessPrevention yes\n" in content


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"backend":"x"}', b'{"unknown":1}', b"\xff"])
def test_local_choices_that_make_no_sense_are_refused(content: bytes) -> None:
    with pytest.raises(ProviderError):
        onaccess.local(content)


@pytest.mark.parametrize("chosen", [onaccess.Local(), CLAMONACC])
def test_systemd_takes_the_units(chosen: onaccess.Local, tmp_path: Path) -> None:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("needs systemd-analyze: apt-get install systemd")
    written = onaccess.files(REAL_TIME, chosen, CLAMD, PYTHON)
    units = {path.name: content for path, content in written.items() if content and path.suffix == ".service"}
    (name,) = units
    (tmp_path / name).write_bytes(units[name])

    done = subprocess.run(
        [program, "verify", "--man=no", tmp_path / name], check=False, capture_output=True, timeout=60
    )

    complaints = [line for line in done.stderr.splitlines() if name.encode() in line]
    assert complaints == []
    wanted = next(
        content for path, content in written.items() if content and path.suffix == ".conf" and "target" in str(path)
    )
    assert name.encode() in wanted
