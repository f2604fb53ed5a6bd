"""What the firewall finds out about a machine: tables of others, kinds of interfaces, units, what the kernel lacks."""

from __future__ import annotations

import os
import select
import subprocess
import time
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
from shieldwall.agent.providers.base import Surroundings
from shieldwall.agent.providers.nftables import NftablesProvider
from shieldwall.agent.providers.nftables.checking import Accepted
from shieldwall.agent.providers.nftables.foreign import foreign_tables, legacy_tables
from shieldwall.agent.providers.nftables.interfaces import kind_of
from shieldwall.agent.providers.nftables.machine import ForeignTable, Service
from shieldwall.agent.providers.nftables.rules import FIREWALL_RULES
from shieldwall.agent.providers.nftables.survey import survey
from shieldwall.agent.providers.nftables.zones import zone_setting
from shieldwall.contract.status import SettingState

pytestmark = [pytest.mark.root, pytest.mark.nftables]

PROVIDER = NftablesProvider()
ON = {"enablefirewall": "true"}
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


def test_tables_of_others_are_a_conflict_by_name_and_stay_as_they_are(host: SystemdHost, device: Namespace) -> None:
    loaded = device.run("nft", "-f", "-", stdin=FOREIGN)
    assert loaded.returncode == 0, loaded.stderr
    before = device.run("nft", "--stateless", "list", "ruleset").stdout
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
    assert device.run("nft", "--stateless", "list", "ruleset").stdout == before


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

    kept = survey(
        host,
        {FIREWALL_RULES: (firewall_rule(servicename="dbus.service"),)},
        Surroundings(),
        Accepted(monotonic=time.monotonic),
    )

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
