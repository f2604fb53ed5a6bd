"""Devices on a machine that boots, from the package to its removal: what an administrator would see, story by story."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.machine import policies
from tests.machine.conftest import ONBOARDING, World, eventually
from tests.machine.policies import MARKER, SIGNATURE

pytestmark = [pytest.mark.root, pytest.mark.machine, pytest.mark.timeout(900)]

LEVEL = policies.policies.LEVEL
DEVICE = "server-01"


@pytest.fixture(scope="module")
def office_with_a_device(world: World) -> World:
    """A device that is onboarded, with a virus database of the site's own."""
    machine = world.machine
    machine.write("/var/lib/clamav/site.ndb", f"{SIGNATURE}:0:*:{MARKER.encode().hex()}\n")
    # Debian starts clamd only where the official databases are, which cannot be had in a test.
    machine.write("/etc/systemd/system/clamav-daemon.service.d/site.conf", "[Unit]\nConditionPathExistsGlob=\n")
    machine.run("systemctl", "daemon-reload", check=True)
    machine.run("systemctl", "restart", "clamav-daemon.service", check=True)
    machine.run("shieldwall-agent", "onboard", ONBOARDING, "--wait", check=True)
    eventually(lambda: machine.is_active("shieldwall-agent.service"), what="the agent runs")
    eventually(lambda: [each["deviceName"] for each in world.office.listed("device", "list")] == [DEVICE], what="known")
    return world


@pytest.fixture
def managed(office_with_a_device: World) -> Iterator[World]:
    """The device with nothing assigned; afterwards nothing is assigned any more, and /etc is as it was."""
    world = office_with_a_device
    before = files(world)
    yield world
    for name in world.office.policies:
        world.office.unassign(name)
    world.office.policies.clear()
    world.sync()
    assert files(world) == before


def files(world: World) -> str:
    """Every file below /etc with its digest, and the firewall."""
    listing = "find /etc /var/lib/clamav -type f -not -name .updated -exec sha256sum {} + | sort -k2; nft list ruleset"
    return world.machine.run("sh", "-c", listing, check=True).stdout


def opens(world: World, path: str) -> bool:
    return world.machine.succeeds("timeout", "--signal=KILL", "20", "cat", path)


def test_the_two_services_run_with_what_they_need_and_no_more(managed: World) -> None:
    machine = managed.machine
    owner = machine.run("stat", "--format=%U %a", "/var/lib/shieldwall-agent", "/var/lib/shieldwall-applier").stdout
    processes = machine.run("ps", "-ww", "-eo", "user:32,args").stdout

    assert owner.split() == ["shieldwall-agent", "700", "root", "700"]
    (agent,) = [line for line in processes.splitlines() if "shieldwall.agent.main" in line]
    (applier,) = [line for line in processes.splitlines() if "shieldwall.agent.applier_main" in line]
    assert agent.startswith("shieldwall-agent ")
    assert applier.startswith("root ")
    assert not machine.run("find", "/var/lib/shieldwall-agent", "-user", "root").stdout
    for unit in ("shieldwall-agent.service", "shieldwall-applier.service"):
        assert "status=" not in machine.journal(unit), machine.journal(unit)


def test_a_virus_is_blocked_when_it_is_opened_and_the_engine_comes_back(managed: World) -> None:
    machine = managed.machine
    machine.write("/srv/bad", f"x{MARKER}x")
    machine.write("/srv/good", "nothing to see")
    assert opens(managed, "/srv/bad")

    managed.office.make_policy(policies.antivirus("On access", "_0"))
    managed.sync()

    status = managed.statuses()[LEVEL]
    assert (status["state"], status["effective"]) == ("succeeded", True), status
    assert not opens(managed, "/srv/bad")
    assert opens(managed, "/srv/good")

    for _ in range(2):
        machine.run("sh", "-c", "kill -9 $(pidof clamd clamonacc) $(pgrep -f shieldwall.agent.broker)")
        eventually(lambda: not opens(managed, "/srv/bad"), what="it is blocked again", seconds=150)
    assert opens(managed, "/srv/good")
