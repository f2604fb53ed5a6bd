"""Devices, packages and clean-up on the command line, against a real server."""

from __future__ import annotations

import csv
import stat
from pathlib import Path
from typing import Any, get_args

import pytest
from tests.support.command_line import CommandLine
from tests.support.samples import a_device

from shieldwall.cli.machine_queries import address
from shieldwall.cli.package_commands import Kind
from shieldwall.server.main import open_services
from shieldwall.server.settings import load
from shieldwall.server.storage import check_ins, devices
from shieldwall.trust.onboarding_scripts import KINDS

HOSTILE = ("\x1b[31mred\x1b[0m", "\u202egnp.exe", "=cmd()", "'; DROP TABLE devices; --", "<script>", "😀", "   ")


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, "/x"),
        ({"search": None, "tag": []}, "/x"),
        ({"drifted": False, "includeRetired": True}, "/x?drifted=false&includeRetired=true"),
        ({"os": ["Linux", "Windows Server"]}, "/x?os=Linux&os=Windows+Server"),
        ({"search": "a&b=c"}, "/x?search=a%26b%3Dc"),
    ],
)
def test_what_is_not_asked_stands_nowhere(asked: dict[str, Any], expected: str) -> None:
    assert address(asked, path="/x") == expected


def test_the_kinds_of_scripts_are_those_there_are() -> None:
    assert get_args(Kind) == KINDS


@pytest.fixture(scope="module")
def fleet(shieldwall: CommandLine) -> CommandLine:
    """Devices with names that nobody would choose."""
    with open_services(load(shieldwall.data)) as services, services.database.write() as connection:
        for number, name in enumerate(HOSTILE, start=101):
            device = a_device(
                number,
                tenant_id=services.tenant.id,
                display_name=name,
                tags=("odd",),
                registered_at=services.clock.now(),
                providers={"clamav": "notRunning"} if number == 101 else {},
            )
            devices.add(connection, device)
            check_ins.add(connection, device.id)
    return shieldwall


def test_devices_are_found_and_no_name_reaches_the_terminal_as_it_is(fleet: CommandLine) -> None:
    shown = fleet("device", "list", "--tag", "odd").stdout
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert len(fleet.json("device", "list", "--tag", "odd", "--json")) == len(HOSTILE)
    (impaired,) = fleet.json("device", "list", "--health", "impaired", "--json")
    assert impaired["deviceName"] == HOSTILE[0]
    assert len(fleet.json("device", "list", "--tag", "odd", "--most", "2", "--json")) == 2
    assert fleet("device", "list", "--health", "well", status=1).stderr.startswith("Could not list the devices.")
    one = fleet("device", "show", impaired["id"]).stdout
    assert "\x1b" not in one
    assert "impaired" in one
    assert fleet.json("device", "count", "--json")["facets"]["tag"]["odd"] == len(HOSTILE)


def test_an_export_is_a_file_with_every_device_and_no_formula(fleet: CommandLine, tmp_path: Path) -> None:
    out = tmp_path / "devices.csv"
    fleet("device", "export", "--out", str(out), "--tag", "odd")
    with out.open(encoding="utf-8-sig", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == len(HOSTILE)
    assert "'=cmd()" in {row["name"] for row in rows}
    assert fleet("device", "export", "--out", str(out), status=1).stderr.startswith("Could not export")
    other = tmp_path / "other.csv"
    fleet("device", "export", "--out", str(other), "--health", "well", status=1)
    assert not other.exists()


def test_two_devices_become_one(fleet: CommandLine) -> None:
    former, stays = (a_device(number).id for number in (102, 103))
    fleet("device", "merge", former, stays, "--yes")
    assert former not in fleet("device", "list").stdout
    assert former in fleet("device", "list", "--include-retired").stdout


def test_a_package_is_made_shown_and_turned_into_scripts(shieldwall: CommandLine, tmp_path: Path) -> None:
    file = tmp_path / "package.json"
    words = ("--platform", "linux", "--platform", "macos", "--tag", "edge", "--approval", "manual")
    shieldwall("package", "create", "--out", str(file), "--name", "Edge", *words, "--attestation", "none")
    (made,) = [each for each in shieldwall.json("package", "list", "--json") if each["displayName"] == "Edge"]
    assert (made["approval"], made["attestation"], made["joinType"]) == ("manual", "none", "synthetic")
    assert "app:Console" in shieldwall("package", "show", made["id"]).stdout
    assert shieldwall.json("package", "devices", made["id"], "--json") == []

    script = tmp_path / "onboard.sh"
    shieldwall("package", "script", str(file), "--kind", "linux", "--out", str(script))
    assert script.read_text().startswith("#!/bin/sh")
    assert stat.S_IMODE(script.stat().st_mode) == 0o600
    refused = shieldwall("package", "script", str(file), "--kind", "windows", "--out", str(script) + "1", status=1)
    assert "scriptPlatform" in refused.stderr


def test_clean_up_is_chosen_and_previewed(shieldwall: CommandLine) -> None:
    assert "never" in shieldwall("clean-up", "show").stdout
    assert "after 90 days" in shieldwall("clean-up", "set", "--inactive-days", "90").stdout
    assert "Devices retired" in shieldwall("clean-up", "preview", "--inactive-days", "30").stdout
    assert "dry run" in shieldwall("server", "clean-up", "--data", str(shieldwall.data), "--dry-run").stdout
    assert shieldwall("clean-up", "set", "--inactive-days", "5", status=1).stderr
    shieldwall("clean-up", "set", "--inactive-days", "0")
