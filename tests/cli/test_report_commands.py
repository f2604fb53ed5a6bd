"""Reports and the audit trail on the command line, against a real server."""

from __future__ import annotations

import csv
import io
import stat
import zipfile
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from tests.support.command_line import CommandLine, add_devices, written
from tests.support.graph_bodies import a_policy

from shieldwall.cli.csv_files import cell
from shieldwall.cli.moments import moment_in_words
from shieldwall.cli.report_tables import Table, for_people

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.fixture(scope="module", autouse=True)
def fleet(shieldwall: CommandLine, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Three devices, and a policy that all of them get."""
    add_devices(shieldwall, 3)
    shieldwall("policy", "import", written(tmp_path_factory.mktemp("p") / "p.json", a_policy("Baseline")))
    shieldwall("policy", "assign", "Baseline", "--all-devices")


def test_every_report_is_a_table_and_json(shieldwall: CommandLine) -> None:
    devices = shieldwall.json("report", "policy-devices", "Baseline", "--json")
    assert {each["DeviceName"] for each in devices} == {"web-01", "web-02", "web-03"}
    assert {each["PolicyStatus_loc"] for each in devices} == {"Pending"}
    shown = shieldwall("report", "policy-devices", "Baseline", "--order", "DeviceName desc", "--top", "2")
    assert shown.stdout.index("web-03") < shown.stdout.index("web-02")
    assert "PolicyStatus" in shown.stdout
    assert "PolicyStatus_loc" not in shown.stdout
    assert "2 of 3 rows" in shown.stderr
    narrowed = shieldwall.json("report", "policy-devices", "Baseline", "--filter", "DeviceName eq 'web-02'", "--json")
    assert [each["DeviceName"] for each in narrowed] == ["web-02"]

    (summary,) = shieldwall.json("report", "policy-summary", "Baseline", "--json")
    assert (summary["NumberOfDevices"], summary["NumberOfPendingDevices"]) == (3, 3)
    assert "NumberOfPendingDevices" in shieldwall("report", "policy-summary", "Baseline").stdout
    (policy,) = shieldwall.json("report", "device-policies", "web-01", "--json")
    assert policy["PolicyName"] == "Baseline"
    assert "Baseline" in shieldwall("report", "device-policies", "web-01").stdout
    for words in ((), ("--device", "web-01")):
        rows = shieldwall.json("report", "settings", "Baseline", *words, "--json")
        assert rows
        assert rows[0]["SettingName_loc"] in shieldwall("report", "settings", "Baseline", *words).stdout
    narrowings: tuple[tuple[str, ...], ...] = ((), ("--settings",), ("--policy", "Baseline", "--device", "web-01"))
    for narrowing in narrowings:
        assert shieldwall.json("report", "non-compliance", *narrowing, "--json") == []
        assert "nothing to report" in shieldwall("report", "non-compliance", *narrowing).stdout
    assert "--policy" in shieldwall("report", "non-compliance", "--device", "web-01", status=2).stderr
    refused = shieldwall("report", "policy-devices", "Baseline", "--column", "Nonsense", status=1).stderr
    assert "DeviceName" in refused, "the columns there are"


def test_any_slice_of_the_fleet_is_counted(shieldwall: CommandLine) -> None:
    rows = shieldwall.json("report", "fleet", "--os", "Linux", "--json")
    found = {(row["Property"], row["Value"]): row["NumberOfDevices"] for row in rows}
    assert found["OS", "Linux"] == 3
    assert found["PolicyState", "pending"] == 3
    assert "Linux" in shieldwall("report", "fleet", "--state", "active").stdout
    assert shieldwall.json("report", "fleet", "--by", "policies", "--os", "BeOS", "--json") == []
    (policy,) = shieldwall.json("report", "fleet", "--by", "policies", "--os", "Linux", "--json")
    assert (policy["PolicyName"], policy["NumberOfDevices"], policy["OS"]) == ("Baseline", 3, "Linux")
    assert shieldwall.json("report", "fleet", "--by", "settings", "--json")
    assert "Nobody" in shieldwall("report", "fleet", "--group", "Nobody", status=1).stderr


def test_a_server_that_keeps_no_history_says_so(shieldwall: CommandLine) -> None:
    for words in (("fleet",), ("policy", "Baseline"), ("settings", "Baseline"), ("device", "web-01")):
        said = shieldwall("report", "history", *words, "--since", "2026-11-01", status=1).stderr
        assert "historyMissing" in said
        assert "shieldwall[history]" in said


def test_a_report_is_a_file(shieldwall: CommandLine, tmp_path: Path) -> None:
    out = tmp_path / "devices.csv"
    shieldwall("report", "policy-devices", "Baseline", "--column", "DeviceName", "--csv", str(out))
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    with out.open(encoding="utf-8-sig", newline="") as stream:
        assert {row["DeviceName"] for row in csv.DictReader(stream)} == {"web-01", "web-02", "web-03"}
    again = ("report", "policy-devices", "Baseline", "--csv", str(out))
    assert "[fileExists]" in shieldwall(*again, status=1).stderr

    archive = tmp_path / "report.zip"
    words = ("--report", "DeviceStatusesByConfigurationProfile", "--policy", "Baseline", "--column", "DeviceName")
    assert "bytes" in shieldwall("report", "export", *words, "--out", str(archive)).stdout
    assert stat.S_IMODE(archive.stat().st_mode) == 0o600
    with zipfile.ZipFile(archive) as opened:
        (name,) = opened.namelist()
        rows = list(csv.DictReader(io.StringIO(opened.read(name).decode("utf-8-sig"))))
    assert {row["DeviceName"] for row in rows} == {"web-01", "web-02", "web-03"}
    other = tmp_path / "other.zip"
    refused = shieldwall("report", "export", "--report", "Nonsense", "--out", str(other), status=1).stderr
    assert "PolicyNonComplianceReport" in refused, "the reports there are"
    assert not other.exists()


def test_the_trail_is_asked_by_who_what_when_and_about_what(shieldwall: CommandLine) -> None:
    (assigned,) = shieldwall.json("audit", "list", "--activity", "policy.assigned", "--since", "1h", "--json")
    assert assigned["actor"]["applicationDisplayName"] == "Console"
    about = assigned["resources"][0]["resourceId"]
    for words in (
        ("--object", about),
        ("--actor", "Console"),
        ("--activity", "policy.*"),
        ("--actor", assigned["actor"]["applicationId"], "--filter", "activityType eq 'policy.assigned'"),
    ):
        assert assigned["id"] in {each["id"] for each in shieldwall.json("audit", "list", *words, "--json")}, words
    for words in (("--until", "1h"), ("--since", "2126-01-01"), ("--actor", "O'Nobody"), ("--object", "x")):
        assert shieldwall.json("audit", "list", *words, "--json") == [], words
    everything = shieldwall.json("audit", "list", "--all", "--json")
    assert len(everything) > 2
    assert shieldwall.json("audit", "list", "--top", "2", "--json") == everything[:2]
    assert "policy.assigned" in shieldwall("audit", "list").stdout
    shown = shieldwall("audit", "show", assigned["id"]).stdout
    assert "Console" in shown
    assert about in shown
    assert shieldwall.json("audit", "show", assigned["id"], "--json") == assigned
    assert "no audit event" in shieldwall("audit", "show", "x", status=1).stderr
    assert "[invalidMoment]" in shieldwall("audit", "list", "--since", "lately", status=1).stderr


@pytest.mark.parametrize(
    ("at", "said"),
    [
        ("2026-11-23T11:30:00Z", "today 12:30:00"),
        ("2026-11-22T22:30:00.5Z", "yesterday 23:30:00"),
        ("2026-11-22T23:30:00Z", "today 00:30:00"),
        ("2026-11-01T00:00:00Z", "2026-11-01 01:00:00"),
        ("soon", "soon"),
        (None, "-"),
    ],
)
def test_a_moment_is_said_in_the_time_of_the_reader(at: str | None, said: str) -> None:
    assert moment_in_words(at, NOW, timezone(timedelta(hours=1))) == said


def test_people_see_words_in_the_order_wanted_and_no_empty_columns() -> None:
    found = Table()
    found.columns = ("State", "State_loc", "User", "Count")
    found.rows = [{"State": 5, "State_loc": "Error", "User": None, "Count": 0}]
    assert for_people(found, ("count", "User", "State", "Nonsense")) == ("Count", "State_loc")


@pytest.mark.parametrize("text", ["=cmd()", "+1", "-1", "@x", "  =x", "\t=x"])
def test_no_text_becomes_a_formula(text: str) -> None:
    assert cell(text).startswith("'")
    assert cell(-1) == "-1"
