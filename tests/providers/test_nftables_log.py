"""What the firewall notes: over netlink into a log, for each zone, within its rate and size."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.firewall_profiles import everywhere, zone
from tests.support.firewall_rules import firewall_rule
from tests.support.firewalling import Firewall
from tests.support.namespaces import Namespace, NamespaceHost, joined_namespaces
from tests.support.probing import Probe, answering, prober

from shieldwall.agent.firewall_log.__main__ import main
from shieldwall.agent.firewall_log.entries import names_in
from shieldwall.agent.firewall_log.files import BoundedLog
from shieldwall.agent.firewall_log.netlink import parse_notes
from shieldwall.agent.firewall_log.packets import described
from shieldwall.agent.providers.nftables.rules import FIREWALL_RULES, parse_rule
from shieldwall.agent.providers.nftables.script import Asked, script_of
from shieldwall.agent.providers.nftables.units import SCRIPT, log_command
from shieldwall.agent.providers.nftables.zones import Profile

ON = {"enablefirewall": "true"}
PORT = 8000
KIB = 1024
kernel = [pytest.mark.root, pytest.mark.nftables]


class Log:
    """The log of the zone public while the program writes it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def lines(self, number: int) -> list[dict[str, Any]]:
        """Wait for so many lines, and a little for more."""
        end = time.monotonic() + 5
        while time.monotonic() < end and len(self._lines()) < number:
            time.sleep(0.05)
        time.sleep(0.4)
        return self._lines()

    def _lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._path.read_text().splitlines()]


@contextlib.contextmanager
def logging(device: Namespace, directory: Path) -> Iterator[Log]:
    command = log_command(sys.executable, Profile()).replace("/var/log/shieldwall", str(directory))
    command = command.replace(str(SCRIPT), str(directory.parent / SCRIPT.relative_to("/")))
    program = ["ip", "netns", "exec", device.name, *command.split()]
    with subprocess.Popen(program, stderr=subprocess.PIPE) as process:
        try:
            assert process.stderr is not None
            assert process.stderr.readline() == b"listening\n"
            yield Log(directory / "firewall-public.log")
        finally:
            process.terminate()


@pytest.fixture
def ends() -> Iterator[tuple[Namespace, Namespace]]:
    with joined_namespaces() as ends:
        yield ends


class TestRealPackets:
    pytestmark = kernel

    def test_a_dropped_packet_is_one_line_that_says_all_about_it(
        self, ends: tuple[Namespace, Namespace], tmp_path: Path
    ) -> None:
        device, other = ends
        Firewall(NamespaceHost(tmp_path, device)).enforce(zone("public", enablelogdroppedpackets="true", **ON))
        with logging(device, tmp_path / "log") as log, prober(other) as sender:
            sender.send([Probe("tcp", device.ipv4, PORT), Probe("udp", device.ipv6, PORT)])
            lines = log.lines(2)

        tcp, udp = sorted(lines, key=lambda line: line["protocol"])
        place = {"zone": "public", "direction": "in", "action": "drop", "cause": "default", "in": "cable"}
        assert place.items() <= tcp.items()
        assert (tcp["source"], tcp["destination"], tcp["destinationPort"]) == (other.ipv4, device.ipv4, PORT)
        assert (udp["protocol"], udp["source"], udp["destinationPort"]) == ("udp", other.ipv6, PORT)

    def test_an_accepted_connection_is_one_line_however_much_is_said(
        self, ends: tuple[Namespace, Namespace], tmp_path: Path
    ) -> None:
        device, other = ends
        rule = firewall_rule("open", action="allow", protocol="tcp", localports=(str(PORT),))
        wanted = {**zone("public", enablelogsuccessconnections="true", **ON), FIREWALL_RULES: (rule,)}
        Firewall(NamespaceHost(tmp_path, device)).enforce(wanted)
        with logging(device, tmp_path / "log") as log, answering(device, [PORT]), prober(other) as sender:
            assert sender.send([Probe("tcp", device.ipv4, PORT)]) == ["accept"]
            (line,) = log.lines(1)

        assert (line["action"], line["cause"], line["rule"]) == ("accept", parse_rule(rule).id, "open")

    def test_only_the_rule_that_asks_for_it_is_logged_and_with_the_user_that_sent(
        self, ends: tuple[Namespace, Namespace], tmp_path: Path
    ) -> None:
        device, other = ends
        logged = firewall_rule("one", direction="out", protocol="tcp", remoteports=("8000",), log="true")
        silent = firewall_rule("two", direction="out", protocol="tcp", remoteports=("8001",))
        Firewall(NamespaceHost(tmp_path, device)).enforce({FIREWALL_RULES: (logged, silent)})
        with logging(device, tmp_path / "log") as log, prober(device) as sender:
            sender.send([Probe("tcp", other.ipv4, 8001), Probe("tcp", other.ipv4, 8000, user=65_534)])
            (line,) = log.lines(1)

        assert (line["cause"], line["out"], line["user"]) == (parse_rule(logged).id, "cable", 65_534)

    def test_in_audit_mode_the_log_says_what_would_have_been_stopped(
        self, ends: tuple[Namespace, Namespace], tmp_path: Path
    ) -> None:
        device, other = ends
        Firewall(NamespaceHost(tmp_path, device)).enforce(
            {**zone("public", **ON), **everywhere(enableauditmode="true")}
        )
        with logging(device, tmp_path / "log") as log, answering(device, [PORT]), prober(other) as sender:
            assert sender.send([Probe("tcp", device.ipv4, PORT)]) == ["accept"]
            (line,) = log.lines(1)

        assert (line["action"], line["cause"]) == ("audit", "default")

    def test_a_flood_writes_no_more_lines_than_the_rate(
        self, ends: tuple[Namespace, Namespace], tmp_path: Path
    ) -> None:
        device, other = ends
        wanted = zone("public", enablelogdroppedpackets="true", lograte=5, **ON)
        firewall = Firewall(NamespaceHost(tmp_path, device))
        firewall.enforce(wanted)
        with logging(device, tmp_path / "log") as log, prober(other) as sender:
            sender.send([Probe("udp", device.ipv4, port) for port in range(2000, 2200)])
            lines = log.lines(5)

        assert 5 <= len(lines) <= 12
        assert firewall.holds(wanted)


@settings(deadline=None)
@given(lengths=st.lists(st.integers(1, 400), max_size=60))
def test_a_log_never_grows_beyond_its_size_and_keeps_the_newest(
    tmp_path_factory: pytest.TempPathFactory, lengths: list[int]
) -> None:
    path = tmp_path_factory.mktemp("log") / "zone.log"
    log = BoundedLog(path, KIB)
    lines = [b"%03d" % number + b"x" * length + b"\n" for number, length in enumerate(lengths)]
    for line in lines:
        log.write(line)
        older = path.with_name("zone.log.1")
        assert path.stat().st_size + (older.stat().st_size if older.exists() else 0) <= KIB
    log.close()

    older = path.with_name("zone.log.1")
    kept = (older.read_bytes() if older.exists() else b"") + path.read_bytes()
    assert b"".join(lines).endswith(kept)
    assert not lines or lines[-1] in kept


def test_a_log_goes_on_where_an_earlier_run_ended(tmp_path: Path) -> None:
    for text in (b"first\n", b"second\n"):
        log = BoundedLog(tmp_path / "zone.log", KIB)
        log.write(text)
        log.close()

    assert (tmp_path / "zone.log").read_bytes() == b"first\nsecond\n"
    assert (tmp_path / "zone.log").stat().st_mode & 0o777 == 0o640


def test_a_log_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "zone.log").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(OSError, match="symbolic"):
        BoundedLog(tmp_path / "zone.log", KIB)


@given(data=st.binary(max_size=200))
def test_no_message_breaks_the_reader(data: bytes) -> None:
    list(parse_notes(data))


@given(packet=st.binary(max_size=120))
def test_no_packet_breaks_the_description(packet: bytes) -> None:
    said = described(packet)

    if said:
        assert ip_address(said["source"]).version == packet[0] >> 4


@given(name=st.text(), noise=st.text())
def test_names_of_rules_are_read_as_they_were_written_and_what_is_odd_is_left_out(name: str, noise: str) -> None:
    rule = firewall_rule(name or "x", protocol="tcp")
    script = script_of(Asked(rules=(rule,))).decode()

    assert names_in(script) == {parse_rule(rule).id: parse_rule(rule).name}
    names_in(noise)
    names_in(f"# name {noise}")


@pytest.mark.parametrize(
    "arguments", [[], ["/nowhere"], ["/nowhere", "/none", "public"], ["/nowhere", "/none", "public:x:y"]]
)
def test_words_that_make_no_sense_end_the_program(arguments: list[str]) -> None:
    assert main(arguments) == 2
