"""The probe of the firewall by real packets: what it proves, what it finds out, and what it leaves behind."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from ipaddress import ip_address
from pathlib import Path

import pytest
from tests.support.firewall_profiles import everywhere, zone
from tests.support.firewall_rules import firewall_rule
from tests.support.firewall_scene import ON, PORT, Scene
from tests.support.firewalling import Firewall
from tests.support.namespaces import Namespace, NamespaceHost

from shieldwall.agent.firewall_probe.device import DEVICE
from shieldwall.agent.firewall_probe.packets import Packet, packet_bytes
from shieldwall.agent.host.ports import Completed
from shieldwall.agent.providers.base import Desired, Observation
from shieldwall.agent.providers.nftables import NftablesProvider
from shieldwall.agent.providers.nftables.interfaces import interfaces_of
from shieldwall.agent.providers.nftables.rules import FIREWALL_RULES, parse_rule
from shieldwall.agent.providers.nftables.trials import SOURCE
from shieldwall.agent.providers.nftables.zones import AUDIT_MODE, zone_setting
from shieldwall.contract.ids import SettingId

pytestmark = [pytest.mark.root, pytest.mark.nftables]

CLOSED = zone("public", defaultinboundaction="block", stealthmode="true", **ON)
DEFAULT = zone_setting("public", "defaultinboundaction")
STEALTH = zone_setting("public", "stealthmode")
PROVEN = Observation(effective=True)
WITHOUT_TUN = 'mount --bind /dev/null /dev/net/tun && exec "$@"'


class HostWithoutTun(NamespaceHost):
    """A machine that has no tunnels, as in many containers."""

    def run(self, command: Sequence[str], *, stdin: bytes = b"", timeout_seconds: float = 30.0) -> Completed:
        return super().run(
            ["unshare", "--mount", "sh", "-c", WITHOUT_TUN, "sh", *command],
            stdin=stdin,
            timeout_seconds=timeout_seconds,
        )


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def opening(port: int, action: str = "allow") -> Desired:
    return {FIREWALL_RULES: (firewall_rule("a rule", action=action, protocol="tcp", localports=(str(port),)),)}


def observed(firewall: Firewall, wanted: Desired) -> Mapping[SettingId, Observation]:
    firewall.enforce(wanted)
    return firewall.observed(wanted)


def counted(firewall: Firewall) -> int:
    return firewall.provider.hits(firewall.host).get("shieldwall default", 0)


def other_table(device: Namespace, chain: str) -> None:
    loaded = device.run("nft", "-f", "-", stdin=f"table ip other {{\n chain c {{\n{chain}\n }}\n}}\n".encode())
    assert loaded.returncode == 0, loaded.stderr


@pytest.mark.parametrize(
    "wanted",
    [
        {**CLOSED, **opening(PORT)},
        {**CLOSED, **opening(PORT, "block")},
        zone("public", defaultinboundaction="block", stealthmode="false", **ON),
        zone("public", defaultinboundaction="allow", icmpecho="block", dropinvalidpackets="true", **ON),
        zone("public", shielded="true", stealthmode="true", **ON),
        zone("public", shielded="true", stealthmode="false", **ON),
        zone("public", enablefirewall="false"),
        {**CLOSED, **opening(PORT, "block"), **everywhere(enableauditmode="true")},
    ],
    ids=["allow", "block", "told", "open", "shielded", "shielded and told", "off", "audit"],
)
@pytest.mark.parametrize("path_filter", [0, 1, 2])
def test_what_packets_can_prove_they_prove(firewall: Firewall, scene: Scene, wanted: Desired, path_filter: int) -> None:
    for name in ("all", "default"):
        scene.device.run("sysctl", "-q", "-w", f"net.ipv4.conf.{name}.rp_filter={path_filter}")

    audit = {STEALTH} if AUDIT_MODE in wanted else set()

    for setting, seen in observed(firewall, wanted).items():
        assert seen == PROVEN or setting in audit, setting


def test_the_packets_come_to_the_rules_and_nothing_is_left_of_the_device(firewall: Firewall, scene: Scene) -> None:
    before = scene.device.run("ip", "-json", "route", "show", "table", "all").stdout
    opened = firewall_rule("a rule", action="allow", protocol="tcp", localports=(str(PORT),))
    wanted = {**CLOSED, FIREWALL_RULES: (opened,)}
    firewall.enforce(wanted)

    begun = time.monotonic()
    firewall.observed(CLOSED)
    took = time.monotonic() - begun

    hits = firewall.provider.hits(firewall.host)
    rule = f"shieldwall {parse_rule(opened).id}"
    assert (hits["shieldwall default"], hits["shieldwall invalid"], hits[rule]) == (1, 1, 1)
    assert took < 2, "a fifth of a second where nobody else works"
    assert DEVICE.encode() not in scene.device.run("ip", "link").stdout
    assert scene.device.run("ip", "-json", "route", "show", "table", "all").stdout == before


def test_what_gets_in_beside_the_table_is_found_out(firewall: Firewall, scene: Scene) -> None:
    wanted = {**CLOSED, **opening(PORT)}
    firewall.enforce(wanted)
    # The line of every rule is as it must be, and yet any port leads to the one that is open.
    other_table(
        scene.device,
        f"  type nat hook prerouting priority -100; policy accept;\n  tcp dport != {PORT} dnat to 10.99.0.1:{PORT}",
    )

    seen = firewall.observed(wanted)

    assert (seen[DEFAULT].effective, seen[DEFAULT].code) == (False, "packetPassed")
    assert seen[FIREWALL_RULES] == PROVEN


@pytest.mark.parametrize("verdict", ["drop", "reject with tcp reset", "reject"])
def test_what_another_table_stops_before_is_no_proof_and_no_failure(
    firewall: Firewall, scene: Scene, verdict: str
) -> None:
    wanted = {**CLOSED, **opening(PORT)}
    firewall.enforce(wanted)
    other_table(scene.device, f"  type filter hook input priority -10; policy accept;\n  ip protocol tcp {verdict}")

    seen = firewall.observed(wanted)

    assert (seen[DEFAULT].effective, seen[DEFAULT].code) == (True, "stoppedBefore"), "closed it is"
    assert (seen[FIREWALL_RULES].effective, seen[FIREWALL_RULES].code) == (None, "stoppedBefore")
    assert zone_setting("public", "enablefirewall") in seen


def test_what_another_table_lets_in_is_still_stopped_by_ours(firewall: Firewall, scene: Scene) -> None:
    wanted = {**CLOSED, **opening(PORT)}
    firewall.enforce(wanted)
    other_table(scene.device, "  type filter hook input priority -10; policy accept;\n  accept")

    assert set(firewall.observed(wanted).values()) == {PROVEN}


def test_a_table_that_sleeps_is_not_in_effect(firewall: Firewall, scene: Scene) -> None:
    firewall.enforce(CLOSED)
    put = scene.device.run("nft", "-f", "-", stdin=b"table inet shieldwall {\n flags dormant\n}\n")
    assert put.returncode == 0, put.stderr
    assert scene.arriving() == "accept"

    assert {(seen.effective, seen.code) for seen in firewall.observed(CLOSED).values()} == {(False, "tableFlagged")}

    firewall.provider.activate(firewall.host)
    assert set(firewall.observed(CLOSED).values()) == {PROVEN}
    assert scene.arriving() == "drop"


def test_who_listens_never_hears_of_the_probe(firewall: Firewall, scene: Scene) -> None:
    listening = (
        "import socket\n"
        "server = socket.create_server(('10.99.0.1', 8111))\n"
        "print('ready', flush=True)\n"
        "server.settimeout(1.5)\n"
        "try:\n    server.accept()\n    print('heard')\nexcept TimeoutError:\n    print('nothing')\n"
    )
    wanted = {**CLOSED, **opening(8111)}
    command = ["ip", "netns", "exec", scene.device.name, sys.executable, "-c", listening]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as listener:
        assert listener.stdout is not None
        assert listener.stdout.readline() == "ready\n"

        assert observed(firewall, wanted)[FIREWALL_RULES] == PROVEN

        assert listener.stdout.readline() == "nothing\n"
    half_open = scene.device.run("ss", "--tcp", "--numeric", "state", "syn-recv").stdout
    assert b"8111" not in half_open


def test_without_tunnels_the_table_is_compared_and_the_reason_said(scene: Scene, tmp_path: Path) -> None:
    firewall = Firewall(HostWithoutTun(tmp_path, scene.device))

    seen = observed(firewall, CLOSED)

    assert {each.code for each in seen.values()} == {"comparedOnly"}
    assert all(each.effective and "cannot be made" in each.reason for each in seen.values())


@pytest.mark.parametrize("program", ["/usr/bin/false", "/usr/bin/echo", "/nonexistent"])
def test_a_program_that_does_not_do_its_work_is_no_proof(scene: Scene, tmp_path: Path, program: str) -> None:
    firewall = Firewall(NamespaceHost(tmp_path, scene.device), NftablesProvider(python=program))

    seen = observed(firewall, CLOSED)

    assert {(each.effective, each.code) for each in seen.values()} == {(True, "comparedOnly")}
    assert "ended with" in seen[DEFAULT].reason


def test_a_device_of_that_name_is_left_alone(firewall: Firewall, scene: Scene) -> None:
    scene.device.run("ip", "tuntap", "add", DEVICE, "mode", "tun")
    scene.device.run("ip", "address", "add", "10.95.0.1/24", "dev", DEVICE)
    try:
        seen = observed(firewall, CLOSED)
        found = [each.name for each in interfaces_of(firewall.host)]
        there = scene.device.run("ip", "address", "show", DEVICE).stdout
    finally:
        scene.device.run("ip", "link", "delete", DEVICE)

    assert {(each.effective, each.code) for each in seen.values()} == {(True, "comparedOnly")}
    assert "busy" in seen[DEFAULT].reason
    assert found == ["cable"], "no policy is about it"
    assert b"10.95.0.1" in there


def test_where_answers_would_go_elsewhere_nothing_is_sent(firewall: Firewall, scene: Scene) -> None:
    scene.device.run("ip", "route", "add", "default", "via", scene.other.ipv4, "table", "77")
    scene.device.run("ip", "rule", "add", "from", scene.device.ipv4, "lookup", "77", "priority", "10")
    try:
        seen = observed(firewall, CLOSED)
    finally:
        scene.device.run("ip", "rule", "delete", "priority", "10")
        scene.device.run("ip", "route", "flush", "table", "77")

    assert {(each.effective, each.code) for each in seen.values()} == {(True, "comparedOnly")}
    assert "routing rule" in seen[DEFAULT].reason
    assert counted(firewall) == 0


@pytest.fixture
def addressless(scene: Scene) -> Iterator[None]:
    scene.device.run("ip", "-4", "address", "flush", "dev", "cable")
    yield
    scene.device.run("ip", "address", "add", f"{scene.device.ipv4}/24", "dev", "cable")


@pytest.mark.usefixtures("addressless")
def test_before_there_is_a_network_it_waits_for_one(firewall: Firewall, scene: Scene) -> None:
    seen = observed(firewall, CLOSED)
    assert "no address" in seen[DEFAULT].reason

    scene.device.run("ip", "address", "add", f"{scene.device.ipv4}/24", "dev", "cable")
    assert firewall.observed(CLOSED)[DEFAULT] == PROVEN


def test_only_what_is_new_is_probed_and_the_rest_once_an_hour(scene: Scene, tmp_path: Path) -> None:
    clock = Clock()
    provider = NftablesProvider(monotonic=clock)
    firewall = Firewall(NamespaceHost(tmp_path, scene.device), provider)
    firewall.enforce(CLOSED)

    counts = []
    for seconds in (0, 60, 3000, 600):
        clock.now += seconds
        firewall.observed(CLOSED)
        counts.append(counted(firewall))
    assert counts == [1, 1, 1, 2]

    provider.activate(firewall.host)
    assert counted(firewall) == 0
    firewall.observed(CLOSED)
    assert counted(firewall) == 1, "loaded anew"

    scene.device.run("nft", "insert", "rule", "inet", "shieldwall", "input", "accept")
    assert not firewall.observed(CLOSED)[DEFAULT].effective
    assert counted(firewall) == 1, "what is not as it must be needs no packet"


def test_killed_in_the_middle_it_leaves_no_device_behind(scene: Scene) -> None:
    local = int(ip_address(scene.device.ipv4))
    stray = Packet(kind="stray", source=SOURCE, destination=local, source_port=40_000, destination_port=PORT)
    asked = {"source": SOURCE, "local": local, "packets": [packet_bytes(stray).hex()], "seconds": 60}
    command = ["ip", "netns", "exec", scene.device.name, sys.executable, "-I", "-m", "shieldwall.agent.firewall_probe"]

    for end in ("kill", "wait"):
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as program:
            assert program.stdin is not None
            program.stdin.write(json.dumps(asked).encode())
            program.stdin.close()
            while DEVICE.encode() not in scene.device.run("ip", "link").stdout:
                assert program.poll() is None
                time.sleep(0.01)
            if end == "kill":
                program.kill()
            assert program.wait(timeout=10) != 0, "it ends itself after two seconds"
        assert DEVICE.encode() not in scene.device.run("ip", "link").stdout
