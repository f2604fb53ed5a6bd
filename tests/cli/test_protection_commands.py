"""Tamper protection, alerts and offboarding: the commands against a real server, and the scripts in a real shell."""

from __future__ import annotations

import stat
import subprocess
from pathlib import Path

import pytest
from tests.support.command_line import CommandLine, add_devices
from tests.support.samples import NOON, device_id
from tests.support.simulated_gateway import SimulatedGateway

from shieldwall.contract.messages import Envelope
from shieldwall.contract.strict_json import decode
from shieldwall.server.configuration.settings import load
from shieldwall.server.main import open_services
from shieldwall.server.storage.events import alerts
from shieldwall.server.storage.events.alerts import Alert, Severity
from shieldwall.trust import strict_base64
from shieldwall.trust.offboarding import OffboardingPackage, PackageNotForDeviceError
from shieldwall.trust.offboarding_scripts import make_offboarding_script

ALERT = "aaaaaaaa-1111-4000-8000-000000000001"


def opened(envelope: bytes) -> OffboardingPackage:
    return decode(strict_base64.decode(decode(envelope, Envelope).payload), OffboardingPackage)


@pytest.fixture(scope="module", autouse=True)
def web(shieldwall: CommandLine) -> None:
    """Two devices, and an alert about the first."""
    add_devices(shieldwall, 2)
    with open_services(load(shieldwall.data)) as services, services.database.write() as connection:
        alert = Alert(
            id=ALERT,
            tenant_id=services.tenant.id,
            device_id=device_id(1),
            kind="tamper.settingChanged",
            severity=Severity.MEDIUM,
            title="A managed setting was changed",
            details="{}",
            first_at=NOON,
            last_at=NOON,
        )
        alerts.raise_alert(connection, alert)


def test_protection_is_set_after_saying_what_it_does(shieldwall: CommandLine) -> None:
    said = shieldwall("protection", "set", "--tenant", "on", "--dry-run").stdout
    assert "2 of 2 devices" in said
    assert shieldwall.json("protection", "show", "--json")["enabled"] is False

    shieldwall("protection", "set", "--tenant", "on", "--yes")
    assert "strengthens" in said
    shieldwall("group", "create", "Lab")
    assert (
        "Lab"
        in shieldwall("protection", "set", "--group", "Lab=off", "--yes").stdout
        + shieldwall("protection", "show").stdout
    )
    assert "weakens" in shieldwall("protection", "exclude", "web-01").stdout
    assert "strengthens" in shieldwall("protection", "exclude", "web-01", "--undo").stdout
    shieldwall("protection", "set", "--group", "Lab=none", "--yes")
    assert shieldwall.json("protection", "show", "--json")["groups"] == []
    for wrong in (("--tenant", "maybe"), ("--group", "Lab"), ("--group", "nobody=on")):
        assert shieldwall("protection", "set", *wrong, "--yes", status=None).returncode != 0
    assert shieldwall("protection", "set", "--tenant", "off", stdin="n\n", status=None).returncode != 0
    assert shieldwall.json("protection", "show", "--json")["enabled"] is True


def test_time_for_troubleshooting_is_given_and_ended(shieldwall: CommandLine) -> None:
    assert "all goes back by itself" in shieldwall("protection", "troubleshoot", "web-01", "--hours", "2").stdout
    assert "Ended" in shieldwall("protection", "troubleshoot", "web-01", "--stop").stdout
    assert shieldwall("protection", "troubleshoot", "web-01", "--hours", "25", status=None).returncode == 2


def test_alerts_are_listed_and_resolved(shieldwall: CommandLine) -> None:
    assert "web-01" in shieldwall("alert", "list").stdout
    shieldwall("alert", "resolve", ALERT)
    assert shieldwall.json("alert", "list", "--json") == []
    assert [each["status"] for each in shieldwall.json("alert", "list", "--all", "--json")] == ["resolved"]


def test_an_offboarding_package_is_written_and_never_over_another_file(shieldwall: CommandLine, tmp_path: Path) -> None:
    out = tmp_path / "offboarding.json"

    shieldwall("package", "offboarding", "--out", str(out), "--days", "2", "--device", "web-01")

    assert opened(out.read_bytes()).device_ids == (device_id(1),)
    assert stat.S_IMODE(out.stat().st_mode) == 0o644
    before = out.read_bytes()
    assert shieldwall("package", "offboarding", "--out", str(out), status=None).returncode != 0
    assert out.read_bytes() == before
    script = tmp_path / "offboard.sh"
    shieldwall("package", "offboarding", "--out", str(script), "--script", "linux")
    assert script.read_text().startswith("#!/bin/sh")
    assert stat.S_IMODE(script.stat().st_mode) == 0o755


def test_a_device_is_told_to_leave_and_can_be_forced(shieldwall: CommandLine) -> None:
    add_devices(shieldwall, 1, first=3)  # one of its own: other tests count the two that stay
    assert "with its next check-in" in shieldwall("device", "offboard", "web-03", "--yes").stdout
    assert shieldwall.json("device", "show", "web-03", "--json")["shieldwall"]["deviceState"] == "leaving"
    assert "Retired" in shieldwall("device", "offboard", "web-03", "--yes", "--force").stdout
    assert shieldwall.json("device", "show", "web-03", "--json")["shieldwall"]["deviceState"] == "retired"


@pytest.mark.parametrize(("answers", "status"), [(0, 0), (4, 0), (6, 6), (8, 8)])
def test_the_script_hands_the_package_to_the_agent(tmp_path: Path, answers: int, status: int) -> None:
    content = SimulatedGateway().offboarding_bytes()
    script = tmp_path / "offboard.sh"
    script.write_text(make_offboarding_script("linux", opened(content), content))
    agent = tmp_path / "root/opt/shieldwall/bin/shieldwall-agent"
    agent.parent.mkdir(parents=True)
    agent.write_text(
        f'#!/bin/sh\necho "$@" > {tmp_path}/words\nstat -c %a "$3" > {tmp_path}/mode\n'
        f'cp "$3" {tmp_path}/seen\nexit {answers}\n'
    )
    agent.chmod(0o755)

    done = subprocess.run(
        ["/bin/sh", str(script), "--root", str(tmp_path / "root"), "--without-server"], capture_output=True, check=False
    )

    assert done.returncode == status, done.stderr
    assert (tmp_path / "seen").read_bytes() == content
    assert (tmp_path / "mode").read_text() == "600\n"
    words = (tmp_path / "words").read_text().split()
    assert [*words[:2], *words[3:]] == ["offboard", "--package", "--without-server", "--root", str(tmp_path / "root")]
    assert not Path(words[2]).exists(), "nothing is left behind"


def test_without_an_agent_nothing_happens(tmp_path: Path) -> None:
    content = SimulatedGateway().offboarding_bytes()
    script = tmp_path / "offboard.sh"
    script.write_text(make_offboarding_script("linux", opened(content), content))

    done = subprocess.run(
        ["/bin/sh", str(script), "--root", str(tmp_path)],
        capture_output=True,
        check=False,
        env={"PATH": "/usr/bin:/bin"},
    )

    assert done.returncode == 3
    assert b"no shieldwall-agent" in done.stderr


def test_a_script_is_made_only_for_what_the_package_is_for() -> None:
    content = SimulatedGateway().offboarding_bytes(platforms=("windows",))

    with pytest.raises(PackageNotForDeviceError):
        make_offboarding_script("linux", opened(content), content)
    made = make_offboarding_script("windows", opened(content), content)
    assert "\r\n" in made
    assert "@" not in made.replace("@'", "").replace("'@", "").replace("@(", "").replace("@arguments", "")
