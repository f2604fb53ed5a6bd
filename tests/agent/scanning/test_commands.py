"""The programs: ``shieldwall-scan`` and ``shieldwall-agent quarantine``, as they are started."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.clamd import MARKER, Clamd, running_clamd

from shieldwall.agent.scanning import policy

pytestmark = pytest.mark.clamav


@pytest.fixture
def clamd() -> Iterator[Clamd]:
    with running_clamd() as running:
        yield running


def scan(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", "-m", "shieldwall.agent.scanning", "--root", str(root), *words]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)


def agent(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-I", "-c", "from shieldwall.cli.shieldwall_agent import main; main()"]
    command = [*program, "--root", str(root), "--state", str(root / "state"), *words]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)


def policy_of(clamd: Clamd, **values: object) -> None:
    names = {"level": policy.ENFORCEMENT_LEVEL, "disallowed": policy.DISALLOWED_ACTIONS}
    clamd.host.write_file(policy.FILE, policy.encode({names[name]: value for name, value in values.items()}))


def test_from_a_scan_over_quarantine_and_back(clamd: Clamd) -> None:
    bad = clamd.infected("home/bad")
    policy_of(clamd, level="on_demand")

    found = scan(clamd.root, "paths", str(clamd.root / "srv"))
    assert (found.returncode, found.stderr) == (1, "")
    assert "1 threats, 1 moved to quarantine" in found.stdout
    assert scan(clamd.root, "paths", str(clamd.root / "srv")).returncode == 0

    listed = json.loads(agent(clamd.root, "quarantine", "list", "--json").stdout)["items"]
    assert [item["shownPath"] for item in listed] == [str(bad)]
    assert "Test.Marker" in agent(clamd.root, "quarantine", "list").stdout

    back = agent(clamd.root, "quarantine", "restore", listed[0]["id"])
    assert back.returncode == 0, back.stderr
    assert MARKER in bad.read_bytes()
    assert "Nothing lies in quarantine" in agent(clamd.root, "quarantine", "list").stdout


def test_a_quick_scan_finds_what_lies_in_its_places_and_a_full_one_everything(clamd: Clamd) -> None:
    places = [clamd.root / "tmp/one", clamd.root / "home/me/two", clamd.root / "somewhere/else/three"]
    for place in places:
        place.parent.mkdir(parents=True)
        place.write_bytes(MARKER)
    policy_of(clamd, level="real_time")

    quick = scan(clamd.root, "--scheduled", "quick")
    assert (quick.returncode, [place.exists() for place in places]) == (1, [False, False, True])
    full = scan(clamd.root, "--scheduled", "full")
    assert (full.returncode, [place.exists() for place in places]) == (1, [False, False, False])

    results = [json.loads(line) for line in scan(clamd.root, "history").stdout.splitlines()]
    assert [(each["kind"], each["source"], each["detections"]) for each in results] == [
        ("quick", "scheduledScan", 2),
        ("full", "scheduledScan", 1),
    ]


def test_a_policy_keeps_users_from_giving_back_but_not_from_destroying(clamd: Clamd) -> None:
    bad = clamd.infected("bad")
    policy_of(clamd, level="on_demand", disallowed=["restore"])
    scan(clamd.root, "paths", str(bad))
    (item,) = json.loads(agent(clamd.root, "quarantine", "list", "--json").stdout)["items"]

    refused = agent(clamd.root, "quarantine", "restore", item["id"])
    assert refused.returncode == 1
    assert "threatActionDisallowed" in refused.stderr
    assert not bad.exists()

    assert agent(clamd.root, "quarantine", "delete", item["id"]).returncode == 0
    missing = agent(clamd.root, "quarantine", "delete", item["id"])
    assert missing.returncode == 1
    assert "unknownQuarantineItem" in missing.stderr


def test_a_scan_that_cannot_be_done_says_so_in_its_exit_code(clamd: Clamd) -> None:
    clamd.stop()

    failed = scan(clamd.root, "paths", str(clamd.root))

    assert failed.returncode == 2
    assert "No clamd answers" in failed.stdout
    assert scan(clamd.root, "sideways").returncode == 2
