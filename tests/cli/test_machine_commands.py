"""Devices, packages and clean-up on the command line, against a real server."""

from __future__ import annotations

import csv
import re
import stat
from pathlib import Path
from typing import Any, get_args

import pytest
from tests.support.command_line import CommandLine, written
from tests.support.graph_bodies import a_policy
from tests.support.samples import a_device

from shieldwall.cli.machine_queries import address
from shieldwall.cli.package_commands import Kind
from shieldwall.server.configuration.settings import load
from shieldwall.server.main import open_services
from shieldwall.server.storage.check_ins import check_ins
from shieldwall.server.storage.devices import devices
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


def added(line: CommandLine, number: int, name: str) -> str:
    """Put one device more into the directory, which is of no concern to tests of the others; return its id."""
    with open_services(load(line.data)) as services, services.database.write() as connection:
        device = a_device(number, tenant_id=services.tenant.id, display_name=name)
        devices.add(connection, device)
        check_ins.add(connection, device.id)
    return device.id


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


def test_two_devices_become_one(shieldwall: CommandLine) -> None:
    former, stays = (added(shieldwall, number, "twin") for number in (151, 152))
    shieldwall("device", "merge", former, stays, "--yes")
    assert former not in shieldwall("device", "list").stdout
    assert former in shieldwall("device", "list", "--include-retired").stdout


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


def test_an_order_to_leave_is_listed_shown_and_taken_back(shieldwall: CommandLine, tmp_path: Path) -> None:
    device = added(shieldwall, 150, "sold")
    assert "No machine" in shieldwall("machine-action", "list", "--status", "Failed").stdout
    machine = device.replace("-", "") + device[:8]
    reason = written(tmp_path / "reason.json", {"Comment": "Sold"})
    ordered = shieldwall.json("api", "POST", f"/api/machines/{machine}/offboard", "--body", reason)

    (found,) = shieldwall.json("machine-action", "list", "--device", "sold", "--status", "Pending", "--json")
    assert (found["id"], found["requestorComment"]) == (ordered["id"], "Sold")
    for words in (("list",), ("list", "--filter", "requestor ne 'x'", "--all"), ("show", ordered["id"])):
        assert "Sold" in shieldwall("machine-action", *words).stdout
    cancelled = shieldwall("machine-action", "cancel", ordered["id"], "--comment", "Not sold").stdout
    assert "sold: Offboard is Cancelled." in cancelled
    assert shieldwall.json("machine-action", "show", ordered["id"], "--json")["cancellationComment"] == "Not sold"
    again = shieldwall("machine-action", "cancel", ordered["id"], "--comment", "Again", status=1).stderr
    assert again.startswith("Could not take the order back.")


def test_devices_groups_and_policies_are_asked_in_odata(fleet: CommandLine) -> None:
    asked = ("--filter", "startswith(deviceName,'<scr')")
    (found,) = fleet.json("device", "list", *asked, "--order", "deviceName desc", "--json")
    assert found["deviceName"] == "<script>"
    assert "<script>" in fleet("device", "list", *asked).stdout
    assert "in one way" in fleet("device", "list", *asked, "--tag", "odd", status=1).stderr
    assert fleet("device", "list", "--filter", "deviceName eq", status=1).stderr.startswith("Could not list")

    for name in ("Web servers", "Web clients", "Others"):
        fleet("group", "create", name)
    in_order = ("--search", "web", "--order", "displayName")
    names = [each["displayName"] for each in fleet.json("group", "list", *in_order, "--json")]
    assert names == ["Web clients", "Web servers"]
    (one,) = fleet.json("group", "list", "--filter", "displayName eq 'Others'", "--json")
    assert one["id"] in fleet("group", "list", "--search", "other").stdout

    for name in ("Linux: A", "macOS: B"):
        fleet("policy", "import", written(fleet.config / f"{name[0]}.json", a_policy(name)))
    (policy,) = fleet.json("policy", "list", "--filter", "startswith(name,'Linux')", "--json")
    assert policy["name"] == "Linux: A"
    assert [each["name"] for each in fleet.json("policy", "list", "--search", "macos", "--json")] == ["macOS: B"]


def test_tables_have_moments_as_people_read_them(fleet: CommandLine, tmp_path: Path) -> None:
    as_sent = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d")
    fleet("package", "create", "--name", "Clock", "--out", str(tmp_path / "clock"))
    fleet("group", "create", "Clocks")
    fleet("policy", "import", written(tmp_path / "clock.json", a_policy("Clock")))
    for asked in (
        ("package", "list"),
        ("package", "show", fleet.json("package", "list", "--json")[0]["id"]),
        ("group", "show", "Clocks"),
        ("policy", "show", "Clock"),
        ("policy", "history", "Clock"),
        ("device", "show", fleet.json("device", "list", "--json")[0]["id"]),
    ):
        shown = fleet(*asked).stdout
        assert not as_sent.search(shown), asked
        assert re.search(r"(today|yesterday|\d{4}-\d\d-\d\d) \d\d:\d\d:\d\d", shown), asked
