"""A protected machine: what its root may and may not do, an upgrade, and the way out until nothing is left."""

from __future__ import annotations

import json

import pytest
from tests.machine import policies
from tests.machine.conftest import ONBOARDING, PACKAGE, World, eventually

pytestmark = [pytest.mark.root, pytest.mark.machine, pytest.mark.timeout(900)]

AGENT, APPLIER = "shieldwall-agent.service", "shieldwall-applier.service"
SNAPSHOT = "find /etc /usr/lib/systemd /var/lib/clamav -type f -not -name freshclam.dat -exec sha256sum {} +"
"""``freshclam.dat`` is what freshclam itself keeps of its downloads."""
LINUX = (
    "linux-antivirus",
    "linux-exclusions",
    "linux-global-exclusions",
    "linux-edr",
    "linux-edr-audit-rules",
    "linux-firewall",
    "linux-firewall-zones",
    "linux-firewall-services",
    "linux-attack-surface-reduction",
)


def test_a_protected_machine_from_onboarding_to_removal(world: World) -> None:
    machine, office = world.machine, world.office
    before = machine.run("sh", "-c", SNAPSHOT, check=True).stdout
    machine.run("shieldwall-agent", "onboard", ONBOARDING, "--wait", check=True)
    eventually(lambda: machine.is_active(AGENT), what="the agent runs")

    # Every sample policy for Linux at once: each setting is enforced, or says why it is not.
    for stem in LINUX:
        body = json.loads((policies.SAMPLES / f"{stem}.json").read_text())
        office.make_policy(body)
    world.sync()
    statuses = world.statuses()
    assert len(statuses) > 60
    for setting, status in statuses.items():
        assert status["state"] == "succeeded" or status["reason"], setting
    # No mirror that this machine could reach, and one rule about a user whom it does not have; the others hold.
    errors = {setting: status["code"] for setting, status in statuses.items() if status["state"] == "error"}
    assert errors.items() <= {policies.UPDATES: "notEffective", policies.RULES: "unknownUser"}.items()
    assert errors[policies.RULES] == "unknownUser"
    # What this machine's kernel cannot do is said, instead of praising a file.
    modules = statuses[f"{policies.HARDENING}_blockraremodules"]
    assert modules["state"] == "succeeded" or "Engine unavailable" in modules["reason"], modules

    office.shieldwall("protection", "set", "--tenant", "on", "--yes")
    world.sync()
    refusal = f"/etc/systemd/system/{APPLIER}.d/shieldwall-protected.conf"
    eventually(lambda: machine.succeeds("test", "-e", refusal), what="stopping is refused")
    assert not machine.succeeds("systemctl", "stop", APPLIER)

    # Root at the machine tries what comes to mind; all of it goes back, and the server hears of it.
    assert machine.run("shieldwall-agent", "offboard").returncode != 0
    assert machine.run("dpkg", "--remove", "shieldwall-agent").returncode != 0
    assert machine.is_active(AGENT)
    machine.run("systemctl", "mask", AGENT)
    machine.run("systemctl", "kill", "--signal=KILL", AGENT, APPLIER)
    eventually(lambda: machine.is_active(AGENT) and machine.is_active(APPLIER), what="both are back", seconds=150)
    eventually(lambda: not machine.succeeds("test", "-L", f"/etc/systemd/system/{AGENT}"), what="unmasked", seconds=90)
    eventually(lambda: {"offboardRefused", "agentFileChanged"} <= alerts(world), what="the server heard", seconds=150)

    # An upgrade is no tampering, and leaves a protected machine.
    machine.run("dpkg", "--install", PACKAGE, seconds=300, check=True)
    eventually(lambda: machine.is_active(AGENT) and machine.is_active(APPLIER), what="both run", seconds=90)
    world.sync()
    assert "protectionChanged" not in alerts(world)

    # Out by the server's order: everything as it was before.
    office.shieldwall("device", "offboard", world.name, "--yes")
    eventually(lambda: not machine.is_active(AGENT), what="the agent has left", seconds=150)
    eventually(
        lambda: not machine.succeeds("test", "-e", "/var/lib/shieldwall-agent/identity.json"), what="it is forgotten"
    )
    assert machine.run("dpkg", "--remove", "shieldwall-agent", seconds=180).returncode == 0
    assert without_package(machine.run("sh", "-c", SNAPSHOT, check=True).stdout) == without_package(before)
    assert machine.run("nft", "list", "ruleset").stdout == ""
    machine.run("dpkg", "--purge", "shieldwall-agent", check=True)
    assert not machine.run("sh", "-c", "ls -d /var/lib/shieldwall-* /usr/lib/shieldwall-agent /etc/shieldwall").stdout


def alerts(world: World) -> set[str]:
    return {
        word for alert in world.office.listed("alert", "list") for word in json.dumps(alert).replace('"', " ").split()
    }


def without_package(listing: str) -> dict[str, str]:
    """Read digests by path, without what the package itself brings."""
    digests = (line.split(maxsplit=1) for line in listing.splitlines())
    return {path: digest for digest, path in digests if "/shieldwall-" not in path}
