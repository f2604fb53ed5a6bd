"""The main job over real processes, firewalls and a virus scanner: what a newcomer sees after ``make run``."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from samples.device import LOCAL_MDATP, MARKER
from tests.e2e.conftest import EVERYBODY, FIREWALL, SampleSystem, eventually

from shieldwall.agent.providers.clamav import client
from shieldwall.contract.status import SettingState, gravest

RULES = "linux_shieldwall_firewall_rules"
EXCLUSIONS = "linux_mdatp_managed_antivirusengine_exclusions"
THREADS = "linux_mdatp_managed_antivirusengine_maximumondemandscanthreads"

pytestmark = [pytest.mark.root, pytest.mark.nftables, pytest.mark.clamav, pytest.mark.timeout(400)]


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, timeout=20)


@pytest.fixture
def neighbour(system: SampleSystem) -> Iterator[str]:
    """Another machine on a cable to web-01."""
    device, other = system.device("web-01").namespace, f"shieldwall-neighbour-{os.getpid()}"
    ip("netns", "add", other)
    ip("-n", device, "link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", other)
    for namespace, address in ((device, "10.98.0.1/24"), (other, "10.98.0.2/24")):
        ip("-n", namespace, "address", "add", address, "dev", "cable")
        ip("-n", namespace, "link", "set", "cable", "up")
    yield other
    ip("-n", other, "link", "delete", "cable")
    ip("netns", "delete", other)


@pytest.fixture
def listening_port(system: SampleSystem, neighbour: str) -> Iterator[int]:
    """A Redis that web-01 should not have, on its port; its neighbour can knock there."""
    assert neighbour
    listen = "import socket; s = socket.create_server(('10.98.0.1', 6379)); print(flush=True)\nwhile 1: s.accept()"
    command = ["ip", "netns", "exec", system.device("web-01").namespace, sys.executable, "-c", listen]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield 6379
        process.kill()


def verdict(scanner: Path, path: Path) -> str:
    """What clamd says of a file, asked again for as long as a new configuration keeps ending it."""
    said = ""

    def answers() -> bool:
        nonlocal said
        with contextlib.suppress(OSError):
            said = client.ask(scanner, f"SCAN {path}")
        return bool(said)

    eventually(answers)
    return said


def reaches(namespace: str, port: int) -> bool:
    knock = f"import socket; socket.create_connection(('10.98.0.1', {port}), 1)"
    command = ["ip", "netns", "exec", namespace, sys.executable, "-c", knock]
    return subprocess.run(command, check=False, capture_output=True, timeout=20).returncode == 0


def test_every_sample_device_enforces_what_it_can(system: SampleSystem) -> None:
    devices = {each["deviceName"]: each["shieldwall"] for each in system.listed("device", "list")}

    assert set(devices) == {"web-01", "db-01", "build-01"}
    assert {each["state"] for each in devices.values()} == {"succeeded"}
    assert {each["registration"] for each in devices.values()} == {"synthetic"}
    assert system.states("web-01")[RULES] == "succeeded"
    assert system.states("build-01")[EXCLUSIONS] == "succeeded"


def test_server_and_device_tell_the_same_story(system: SampleSystem) -> None:
    effective = json.loads(system.agent("web-01", "effective", "--json"))

    on_device: dict[str, list[SettingState]] = {}
    for each in effective[
        "settings"
    ]:  # several providers may have to do with one setting; the server shows the gravest
        on_device.setdefault(each["setting"], []).append(SettingState(each["state"]))
    assert {setting: gravest(states).value for setting, states in on_device.items()} == system.states("web-01")


def test_policies_for_different_groups_meet_on_one_device(system: SampleSystem) -> None:
    settings = {each["settingDefinitionId"]: each for each in system.listed("device", "effective", "build-01")}

    united = settings[EXCLUSIONS]
    assert {policy["name"] for policy in united["policies"]} == {
        "Linux servers: exclusions",
        "Build servers: exclusions",
    }
    assert settings[THREADS]["losers"], "two policies set the number of threads, and one of them lost"


def test_a_blocked_port_opens_when_the_policy_goes_and_closes_when_it_comes(
    system: SampleSystem, neighbour: str, listening_port: int
) -> None:
    assert not reaches(neighbour, listening_port)

    system.assign(FIREWALL)
    eventually(lambda: reaches(neighbour, listening_port))
    eventually(lambda: RULES not in system.states("web-01"))

    system.assign(FIREWALL, EVERYBODY)
    eventually(lambda: not reaches(neighbour, listening_port))
    eventually(lambda: system.states("web-01").get(RULES) == "succeeded")


def test_the_scanner_finds_the_marker_but_not_where_a_policy_excludes_it(system: SampleSystem) -> None:
    device = system.device("build-01")
    scanner = device.root / "run/clamav/clamd.ctl"

    def finds(path: Path) -> bool:
        path.write_text(f"before {MARKER} after")
        return verdict(scanner, path).endswith("FOUND")

    assert finds(device.root / "found.bin")
    assert not finds(device.root / "excluded.qcow2")

    system.assign("Linux servers: exclusions")
    eventually(lambda: finds(device.root / "excluded.qcow2"))
    system.assign("Linux servers: exclusions", EVERYBODY)
    eventually(lambda: not finds(device.root / "excluded.qcow2"))


def test_a_flushed_firewall_is_repaired_and_said_to_be(
    system: SampleSystem, neighbour: str, listening_port: int
) -> None:
    subprocess.run(
        ["ip", "netns", "exec", system.device("web-01").namespace, "nft", "flush", "ruleset"], check=True, timeout=20
    )

    eventually(lambda: not reaches(neighbour, listening_port), seconds=90)

    settings = {each["settingDefinitionId"]: each for each in system.listed("device", "effective", "web-01")}
    assert settings[RULES]["state"] == "succeeded"


def test_running_it_again_continues_where_it_ended(system: SampleSystem) -> None:
    before = {each["deviceName"]: each["id"] for each in system.listed("device", "list")}
    assert system.stop() == 0

    again = system.start()

    assert "sign-in?code=" in again
    assert {each["deviceName"]: each["id"] for each in system.listed("device", "list")} == before


def test_a_killed_server_loses_nothing_and_takes_everybody_back(system: SampleSystem) -> None:
    policies = {each["id"] for each in system.listed("policy", "list")}
    server = _process_of(system, "server run")
    os.kill(server, signal.SIGKILL)
    assert system.ended() == 1

    system.start()

    assert {each["id"] for each in system.listed("policy", "list")} == policies
    eventually(lambda: all(each["shieldwall"]["upToDate"] for each in system.listed("device", "list")))


def test_without_policies_the_machine_is_as_it_was_before(system: SampleSystem) -> None:
    managed = system.device("db-01").root / "etc/opt/microsoft/mdatp/managed/mdatp_managed.json"
    assert "networkProtection" in managed.read_text()

    for policy in system.listed("policy", "list"):
        system.assign(policy["name"])

    # One policy is let go after the other, and each leaves what it alone had brought.
    eventually(lambda: managed.read_text() == LOCAL_MDATP)


def _process_of(system: SampleSystem, words: str) -> int:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            line = ""
            with contextlib.suppress(OSError):  # it ended while we looked
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if words in line and str(system.home) in line:
                return int(entry.name)
    raise AssertionError(f"nothing runs that was called with {words}")
