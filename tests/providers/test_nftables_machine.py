"""The firewall on a whole machine: loaded at boot, logged by a unit, beside the tables of others."""

from __future__ import annotations

import json
import os
import select
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.firewall_profiles import everywhere, zone
from tests.support.firewall_rules import firewall_rule
from tests.support.firewalling import Firewall
from tests.support.memory_host import MemoryHost
from tests.support.namespaces import Namespace, NamespaceHost, joined_namespaces
from tests.support.pretend_systemd import SystemdHost

from shieldwall.agent.host.ports import Completed
from shieldwall.agent.providers.base import Monitored, ShowsLocal, Supervised, Surroundings, Surveys
from shieldwall.agent.providers.nftables import NftablesProvider
from shieldwall.agent.providers.nftables.foreign import foreign_tables, legacy_tables
from shieldwall.agent.providers.nftables.interfaces import kind_of
from shieldwall.agent.providers.nftables.machine import ForeignTable, Service
from shieldwall.agent.providers.nftables.rules import FIREWALL_RULES
from shieldwall.agent.providers.nftables.running import UnitError
from shieldwall.agent.providers.nftables.survey import survey
from shieldwall.agent.providers.nftables.units import (
    BOOT_SCRIPT,
    BOOT_UNIT,
    BOOT_WANTED,
    LOG_UNIT,
    LOG_WANTED,
    SCRIPT,
)
from shieldwall.agent.providers.nftables.zones import AUDIT_MODE, LOAD_AT_BOOT, zone_setting
from shieldwall.contract.status import SettingState

pytestmark = [pytest.mark.root, pytest.mark.nftables]

PROVIDER = NftablesProvider()
ON = {"enablefirewall": "true"}
LOGGED = zone("public", enablelogdroppedpackets="true", **ON)
FOREIGN = b"""
table inet firewalld {
  chain filter_INPUT {
    type filter hook input priority 10; policy accept;
    tcp dport 1 accept
  }
}
table ip filter {
  chain INPUT {
    type filter hook input priority 0; policy accept;
    jump ufw-before-input
  }
  chain FORWARD {
    type filter hook forward priority 0; policy drop;
    jump DOCKER-USER
  }
  chain ufw-before-input {
  }
  chain DOCKER-USER {
  }
}
table ip mine {
  chain out {
    type filter hook output priority 5; policy accept;
    counter
  }
}
table ip harmless {
  chain out {
    type filter hook output priority 6; policy accept;
  }
}
table ip unhooked {
  chain out {
    counter drop
  }
}
"""


@pytest.fixture
def device() -> Iterator[Namespace]:
    with joined_namespaces() as (device, _):
        yield device


@pytest.fixture
def host(device: Namespace, tmp_path: Path) -> SystemdHost:
    return SystemdHost(tmp_path, device)


def test_the_table_of_the_boot_script_is_the_table_but_for_services(host: SystemdHost, device: Namespace) -> None:
    about_nginx = firewall_rule("nginx", servicename="-.slice", protocol="tcp", localports=("80",))
    wanted = {**zone("public", **ON), FIREWALL_RULES: (about_nginx,)}
    firewall = Firewall(host)
    firewall.enforce(wanted)
    before = _listing(device)

    device.run("nft", "flush", "ruleset")
    loaded = device.run("nft", "-f", "-", stdin=host.read_file(BOOT_SCRIPT) or b"")

    assert loaded.returncode == 0, loaded.stderr
    assert _listing(device) == before
    assert firewall.holds({FIREWALL_RULES: wanted[FIREWALL_RULES]})


def test_no_service_runs_yet_when_the_boot_script_is_loaded(host: SystemdHost) -> None:
    desired = {
        FIREWALL_RULES: (firewall_rule("nginx", servicename="nginx.service"), firewall_rule("other", protocol="tcp"))
    }
    kept = survey(host, desired, Surroundings())
    machine = {**kept["machine"], "services": {"nginx.service": {"path": "system.slice/nginx.service", "inode": 7}}}

    files = PROVIDER.render(dict.fromkeys(PROVIDER.files()), desired, {"machine": machine}).files

    assert b"system.slice/nginx.service" in (files[SCRIPT] or b"")
    assert b"socket" not in (files[BOOT_SCRIPT] or b"")
    assert b"meta l4proto { 6 } counter drop" in (files[BOOT_SCRIPT] or b"")


def test_loading_at_boot_is_a_unit_that_a_target_wants(host: SystemdHost) -> None:
    firewall, wanted = Firewall(host), {**zone("public", **ON), **everywhere(loadatboot="true")}
    firewall.enforce(wanted)

    unit = (host.read_file(BOOT_UNIT) or b"").decode()
    assert f"ExecStart=/usr/sbin/nft -f {BOOT_SCRIPT}" in unit
    assert "Before=network-pre.target" in unit
    assert b"Wants=shieldwall-firewall.service" in (host.read_file(BOOT_WANTED) or b"")
    assert "daemon-reload" in host.asked
    assert firewall.observed(wanted)[LOAD_AT_BOOT].code == "notWanted"
    host.wanted("sysinit.target")
    assert firewall.observed(wanted)[LOAD_AT_BOOT].effective is True

    firewall.enforce({**zone("public", **ON), **everywhere(loadatboot="false")})
    assert host.read_file(BOOT_UNIT) is host.read_file(BOOT_SCRIPT) is host.read_file(BOOT_WANTED) is None

    firewall.let_go()
    host.write_file(BOOT_WANTED, b"somebody else's\n")
    firewall.enforce(wanted)
    firewall.let_go()
    assert {path: text for path, text in firewall.files().items() if text} == {BOOT_WANTED: b"somebody else's\n"}


def test_systemd_itself_finds_nothing_wrong_with_the_units(host: SystemdHost, tmp_path: Path) -> None:
    Firewall(host).enforce(LOGGED)
    units = tmp_path / "units"
    units.mkdir()
    for path in (BOOT_UNIT, LOG_UNIT):
        (units / path.name).write_bytes(host.read_file(path) or b"")

    verified = subprocess.run(
        ["systemd-analyze", "verify", *map(str, units.iterdir())],
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
    )

    assert (verified.returncode, verified.stderr) == (0, "")


def test_the_log_is_written_by_a_unit_that_is_started_watched_and_stopped(host: SystemdHost) -> None:
    firewall = Firewall(host)
    logging = zone_setting("public", "enablelogdroppedpackets")
    firewall.enforce(LOGGED)
    assert "restart shieldwall-firewall-log.service" in host.asked
    assert b"-m shieldwall.agent.firewall_log /var/log/shieldwall" in (host.read_file(LOG_UNIT) or b"")
    assert firewall.observed(LOGGED)[logging].effective is True

    host.die()
    assert firewall.observed(LOGGED)[logging].code == "logDown"
    assert "was started" in " ".join(firewall.provider.supervise(host, LOGGED))
    assert firewall.observed(LOGGED)[logging].effective is True
    assert firewall.provider.supervise(host, LOGGED) == ()

    firewall.enforce(zone("public", **ON))
    assert "stop shieldwall-firewall-log.service" in host.asked
    assert host.read_file(LOG_UNIT) is host.read_file(LOG_WANTED) is None


def test_systemd_is_told_of_units_only_when_they_are_others(host: SystemdHost) -> None:
    firewall = Firewall(host)
    firewall.enforce(LOGGED)
    assert "daemon-reload" in host.asked

    firewall.enforce({**LOGGED, FIREWALL_RULES: (firewall_rule("another", protocol="tcp"),)})
    assert host.asked == ["start shieldwall-firewall-log.service"]

    firewall.enforce({**LOGGED, **zone("public", logmaxfilesize=64)})
    assert {"daemon-reload", "restart shieldwall-firewall-log.service"} <= set(host.asked)


def test_a_log_that_does_not_start_is_a_failure_that_the_engine_undoes(host: SystemdHost) -> None:
    host.fail()

    with pytest.raises(UnitError, match="does not start"):
        Firewall(host).enforce(LOGGED)


def test_without_systemd_it_says_what_cannot_be(device: Namespace, tmp_path: Path) -> None:
    host = NamespaceHost(tmp_path, device)
    refused = [LOAD_AT_BOOT, zone_setting("public", "enablelogdroppedpackets"), zone_setting("internal", "lograte")]

    for setting in refused:
        support = PROVIDER.support(host, setting)
        assert support is not None
        assert not support.applicable
        assert "systemd" in support.reason
    for setting in (AUDIT_MODE, zone_setting("public", "enablefirewall"), FIREWALL_RULES):
        support = PROVIDER.support(host, setting)
        assert support is not None
        assert support.applicable
    Firewall(host).enforce(LOGGED)
    assert [path for path in PROVIDER.files() if host.read_file(path)] == [SCRIPT]


def test_tables_of_others_are_a_conflict_by_name_and_stay_as_they_are(host: SystemdHost, device: Namespace) -> None:
    loaded = device.run("nft", "-f", "-", stdin=FOREIGN)
    assert loaded.returncode == 0, loaded.stderr
    before = device.run("nft", "list", "ruleset").stdout
    setting = zone_setting("public", "allowlocalpolicymerge")
    alone, together = (zone("public", allowlocalpolicymerge=merge, **ON) for merge in ("false", "true"))
    firewall = Firewall(host)

    conflicts = firewall.enforce(alone).rejected[setting]

    assert {(status.item, status.state, status.code) for status in conflicts} == {
        ("inet firewalld", SettingState.CONFLICT, "foreignTable"),
        ("ip filter", SettingState.CONFLICT, "foreignTable"),
        ("ip mine", SettingState.CONFLICT, "foreignTable"),
    }
    reasons = {status.item: status.reason or "" for status in conflicts}
    assert "ufw and Docker" in reasons["ip filter"]
    assert "of firewalld" in reasons["inet firewalld"]
    assert "administrator" in reasons["ip mine"]
    assert firewall.provider.read(firewall.files()) == alone, "it holds all the same"
    assert not firewall.enforce(together).rejected
    firewall.let_go()
    assert device.run("nft", "list", "ruleset").stdout == before


def test_the_older_interface_of_the_kernel_is_looked_at_as_well() -> None:
    saved = b"*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -j DROP\n*nat\n:INPUT ACCEPT [0:0]\n*raw\n:OUTPUT DROP [0:0]\n"

    assert legacy_tables(None, None, "ip") == ()
    assert legacy_tables(b"nat\nfilter\n", None, "ip6") == (
        ForeignTable(family="ip6", name="filter (legacy)", manager="iptables-legacy"),
        ForeignTable(family="ip6", name="nat (legacy)", manager="iptables-legacy"),
    )
    assert [table.name for table in legacy_tables(b"filter\nnat\nraw\n", saved, "ip")] == [
        "filter (legacy)",
        "raw (legacy)",
    ]


@pytest.mark.parametrize(
    ("table", "chain", "manager"),
    [
        ("filter", "KUBE-FORWARD", "Kubernetes"),
        ("filter", "LIBVIRT_INP", "libvirt"),
        ("filter", "INPUT", "iptables"),
        ("f2b-table", "f2b-chain", "fail2ban"),
        ("netavark", "INPUT", "Podman"),
        ("home", "in", "an administrator"),
    ],
)
def test_who_made_a_table_is_told_by_its_name_or_its_chains(table: str, chain: str, manager: str) -> None:
    entry = {"family": "ip", "table": table, "name": chain, "hook": "input", "policy": "drop"}

    (found,) = foreign_tables([{"chain": entry}])

    assert found == ForeignTable(family="ip", name=table, manager=manager)


@pytest.mark.parametrize(
    ("entry", "device_type", "kind"),
    [
        ({"link_type": "ether"}, "", "lan"),
        ({"link_type": "ether"}, "wlan", "wireless"),
        ({"link_type": "ether", "linkinfo": {"info_kind": "vlan"}}, "vlan", "lan"),
        ({"link_type": "none"}, "wwan", "mobilebroadband"),
        ({"link_type": "none", "linkinfo": {"info_kind": "wireguard"}}, "wireguard", "remoteaccess"),
        ({"linkinfo": {"info_kind": "tun", "info_data": {"type": "tun"}}}, "", "remoteaccess"),
        ({"linkinfo": {"info_kind": "tun", "info_data": {"type": "tap"}}}, "", "virtual"),
        ({"link_type": "ppp"}, "", "remoteaccess"),
        ({"linkinfo": {"info_kind": "bridge"}}, "bridge", "virtual"),
        ({"linkinfo": {"info_kind": "veth"}}, "", "virtual"),
        ({"linkinfo": {"info_kind": "bond"}}, "bond", "lan"),
    ],
)
def test_the_kind_of_an_interface(entry: dict[str, Any], device_type: str, kind: str) -> None:
    assert kind_of(entry, device_type) == kind


def test_names_of_units_are_found_as_they_are_written(tmp_path: Path) -> None:
    lines = (
        b"5 system.slice\n9 system.slice/dbus.service\n11 user.slice/a/dbus.service\n12 system.slice/nodbus.service\n"
    )
    host = MemoryHost(programs={"find": lambda _arguments, _stdin: Completed(returncode=1, stdout=lines, stderr=b"")})
    del tmp_path
    host.programs["nft"] = lambda _arguments, _stdin: Completed(returncode=0, stdout=b"", stderr=b"")

    kept = survey(host, {FIREWALL_RULES: (firewall_rule(servicename="dbus.service"),)}, Surroundings())

    found = Service(path="system.slice/dbus.service", inode=9)
    assert kept["machine"]["services"] == {"dbus.service": {"path": found.path, "inode": found.inode}}


def test_where_the_kernel_lacks_something_the_rest_is_applied_and_it_is_said(device: Namespace, tmp_path: Path) -> None:
    nft = tmp_path / "programs" / "nft"
    nft.parent.mkdir()
    nft.write_text(
        '#!/bin/sh\ncat > "$0.in"\nif grep -q "fib saddr" "$0.in"; then exit 1; fi\nexec /usr/sbin/nft "$@" < "$0.in"\n'
    )
    nft.chmod(0o755)
    host = NamespaceHost(tmp_path, device)
    host._program_directories = (nft.parent, *host._program_directories)
    wanted = zone("public", sourceaddressvalidation="strict", **ON)
    firewall = Firewall(host)

    firewall.enforce(wanted)

    seen = firewall.observed(wanted)
    assert seen[zone_setting("public", "sourceaddressvalidation")].code == "engineUnavailable"
    assert seen[zone_setting("public", "enablefirewall")].effective is True


def test_what_it_offers_beyond_files(host: SystemdHost) -> None:
    assert isinstance(PROVIDER, Monitored)
    assert isinstance(PROVIDER, Supervised)
    assert isinstance(PROVIDER, ShowsLocal)
    assert isinstance(PROVIDER, Surveys)
    assert PROVIDER.monitor(host) == ("/usr/sbin/nft", "-j", "monitor")
    assert PROVIDER.monitor(MemoryHost()) is None
    assert PROVIDER.local({}, {}) == {}


def _listing(device: Namespace) -> list[Any]:
    listing = json.loads(device.run("nft", "-j", "list", "table", "inet", "shieldwall").stdout)["nftables"]
    return [[entry["rule"]["chain"], entry["rule"]["expr"]] for entry in listing if "rule" in entry]


def test_looking_and_checking_changes_nothing_that_the_monitor_would_tell(host: SystemdHost, device: Namespace) -> None:
    wanted = {**zone("public", allowlocalpolicymerge="false", **ON), **everywhere(connectiontrackinghelpers="true")}
    firewall = Firewall(host)
    firewall.enforce(wanted)
    command = ["ip", "netns", "exec", device.name, *(PROVIDER.monitor(host) or ())]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as monitor:
        try:
            assert monitor.stdout is not None
            while not select.select([monitor.stdout], [], [], 0.2)[0]:  # until it listens
                device.run("nft", "add", "table", "ip", "noise")
                device.run("nft", "delete", "table", "ip", "noise")
            while select.select([monitor.stdout], [], [], 0.5)[0]:
                os.read(monitor.stdout.fileno(), 65_536)

            firewall.rendered(wanted)
            firewall.observed(wanted)
            assert not select.select([monitor.stdout], [], [], 0.5)[0], "each look would cause the next one"

            device.run("nft", "flush", "chain", "inet", "shieldwall", "input")
            assert select.select([monitor.stdout], [], [], 5)[0]
        finally:
            monitor.kill()
