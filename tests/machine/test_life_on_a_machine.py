"""Devices on a machine that boots, from the package to its removal: what an administrator would see, story by story."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from tests.machine import policies
from tests.machine.conftest import ONBOARDING, World, eventually
from tests.machine.policies import MARKER
from tests.support import policies as setting_instances

pytestmark = [pytest.mark.root, pytest.mark.machine, pytest.mark.timeout(900)]

LEVEL = setting_instances.LEVEL
DEVICE = "server-01"


@pytest.fixture(scope="module")
def office_with_a_device(world: World) -> World:
    """A device that is onboarded."""
    machine = world.machine
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


def test_a_port_is_closed_to_the_neighbour_and_opens_again(managed: World) -> None:
    device, neighbour = managed.device, managed.office.namespace
    with device.listening(6379):
        assert neighbour.reaches(device, 6379)

        managed.office.make_policy(policies.closed_port("Closed", 6379))
        managed.sync()
        status = managed.statuses()[policies.RULES]
        assert (status["effective"], status.get("code") or "") == (True, ""), "proven by a packet, from within its unit"
        assert not neighbour.reaches(device, 6379)

        managed.office.unassign("Closed")
        managed.sync()
        assert neighbour.reaches(device, 6379)


def test_a_flushed_table_and_an_edited_file_are_put_back_within_a_minute(managed: World) -> None:
    machine = managed.machine
    managed.office.make_policy(policies.closed_port("Closed", 6379))
    managed.office.make_policy(
        policies.antivirus("On demand", "_1", setting_instances.number(setting_instances.THREADS, 3))
    )
    managed.sync()
    rules, clamd = table(managed), machine.read("/etc/clamav/clamd.conf")
    assert rules
    assert clamd is not None
    assert "MaxThreads 3" in clamd

    machine.run("nft", "flush", "ruleset", check=True)
    eventually(lambda: table(managed) == rules, what="the table is back", seconds=60)
    machine.run("sed", "--in-place", "s/MaxThreads 3/MaxThreads 99/", "/etc/clamav/clamd.conf", check=True)
    eventually(lambda: machine.read("/etc/clamav/clamd.conf") == clamd, what="the file is back", seconds=60)

    def repaired() -> set[str]:
        return {each["code"] for each in managed.statuses().values() if each.get("code")}

    eventually(lambda: "repaired" in repaired(), what="the server hears of it", seconds=90)


DETOUR = 9443


THERE = """
table ip site {{
  chain output {{
    type nat hook output priority -100
    ip daddr {server} tcp dport 8444 dnat to :{port}
  }}
}}
"""
BACK = """
table ip site {{
  chain prerouting {{
    type nat hook prerouting priority -100
    tcp dport {port} redirect to :8444
  }}
}}
"""


@pytest.fixture
def detour(managed: World) -> Iterator[World]:
    """A site whose network carries everything for the server over another port, as transparent proxies do."""
    office, machine = managed.office.namespace, managed.machine
    machine.run("nft", "-f", "-", stdin=THERE.format(server=office.ipv4, port=DETOUR), check=True)
    assert office.run("nft", "-f", "-", stdin=BACK.format(port=DETOUR).encode()).returncode == 0
    yield managed
    machine.run("nft", "delete", "table", "ip", "site", check=True)
    office.run("nft", "delete", "table", "ip", "site")


def test_a_firewall_that_cuts_the_server_off_goes_back_by_itself(detour: World) -> None:
    detour.office.make_policy(policies.zones("Zones", policies.quick_confirmation(20)))
    detour.sync()
    assert detour.statuses()[policies.ZONE + "enablefirewall"]["state"] == "succeeded"
    before = table(detour)

    detour.office.make_policy(policies.lock_out("Lock out", DETOUR))
    eventually(lambda: str(DETOUR) in table(detour), what="the rule is there")
    eventually(lambda: rolled_back(detour), what="the device is back, and says why", seconds=240)

    assert table(detour) == before


def rolled_back(world: World) -> bool:
    return any(each.get("code") == "connectivityRollback" for each in world.statuses().values())


def test_the_firewall_is_there_after_a_power_cut_before_anybody_was_asked(managed: World) -> None:
    machine = managed.machine
    managed.office.make_policy(policies.closed_port("Closed", 6379))
    managed.sync()
    rules = table(managed)
    assert "6379" in rules

    managed.office.running.stop()  # nobody answers the device when it comes back
    machine.reboot(hard=True)

    eventually(lambda: table(managed) == rules, what="the table is there", seconds=30)
    managed.office.start()
    eventually(lambda: managed.office.succeeds("device", "list"), what="the server is back")
    eventually(lambda: machine.is_active("shieldwall-agent.service"), what="the agent is back")


def test_the_kernels_own_switches_are_set_and_given_back(managed: World) -> None:
    machine = managed.machine
    before = machine.read("/proc/sys/net/ipv4/conf/all/accept_redirects")
    rules = {"blockicmpredirects": "block", "blockraremodules": "block"}
    managed.office.make_policy(policies.hardening("Hardening", **rules))
    managed.sync()

    statuses = managed.statuses()
    redirects = statuses[f"{policies.HARDENING}_blockicmpredirects"]
    modules = statuses[f"{policies.HARDENING}_blockraremodules"]
    assert redirects["state"] == "succeeded", redirects
    # The kernel of this machine may take no modules at all; the status says so then, instead of praising a file.
    assert modules["state"] == "succeeded" or "Engine unavailable" in modules["reason"], modules
    assert machine.read("/proc/sys/net/ipv4/conf/all/accept_redirects") == "0\n"

    managed.office.unassign("Hardening")
    managed.sync()
    assert machine.read("/proc/sys/net/ipv4/conf/all/accept_redirects") == before


def table(world: World) -> str:
    return world.machine.run("nft", "--stateless", "list", "table", "inet", "shieldwall").stdout


def test_the_doctor_finds_what_is_broken_on_a_machine_and_changes_nothing(managed: World) -> None:
    machine = managed.machine
    managed.office.make_policy(policies.antivirus("On access", "_0"))
    managed.sync()
    before = files(managed)

    code, found = doctor(managed, "--bundle", "/root/bundle.zip")

    assert files(managed) == before
    for good in (
        "package",
        "ownFiles",
        "service",
        "sandbox",
        "pin",
        "signature",
        "onAccess",
        "process",
        "network.answer",
    ):
        assert found[good].keys() == {"ok"}, (good, found[good])
    assert found["engine.clamav"].keys() == {"ok"}, found["engine.clamav"]
    assert "unseen" not in found, found
    assert code in {0, 13}, found
    names = machine.run("python3", "-m", "zipfile", "-l", "/root/bundle.zip", check=True).stdout
    assert "journal/shieldwall-applier.service.txt" in names
    assert "journal/shieldwall-agent.service.txt" in names
    assert "engines/clamav/etc/clamav/clamd.conf" in names

    code_file = machine.run("sh", "-c", "find /usr/lib/shieldwall-agent/lib -name doctor -type d").stdout.strip()
    machine.run(
        "sh", "-c", f"echo '# changed' >> {code_file}/__init__.py; chmod o+w {code_file}/__init__.py", check=True
    )
    override = "/etc/systemd/system/shieldwall-agent.service.d/override.conf"
    machine.write(override, "[Service]\nPrivateTmp=no\n")
    machine.run("systemctl", "daemon-reload", check=True)
    code, found = doctor(managed)
    machine.run("sh", "-c", f"sed -i '$d' {code_file}/__init__.py; chmod o-w {code_file}/__init__.py", check=True)
    machine.run("rm", "-r", "/etc/systemd/system/shieldwall-agent.service.d", check=True)
    machine.run("systemctl", "daemon-reload", check=True)

    assert code == 10
    assert "error" in found["package"].keys() & found["ownFiles"].keys()
    assert "warning" in found["sandbox"]
    assert machine.run("runuser", "--user=nobody", "--", "shieldwall-agent", "doctor").returncode == 13


def doctor(world: World, *words: str) -> tuple[int, dict[str, dict[str, str]]]:
    """Examine the machine; returns the exit code, and by the id of the check and its severity what was found."""
    done = world.machine.run("shieldwall-agent", "doctor", "--json", *words, seconds=200)
    found: dict[str, dict[str, str]] = {}
    for check in json.loads(done.stdout)["checks"]:
        found.setdefault(check["id"], {})[check["severity"]] = f"{check['finding']} {check['evidence']}"
    return done.returncode, found
