"""The firewall on a whole machine: loaded at boot, logged by a unit, beside the tables of others."""

from __future__ import annotations

import json
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

from shieldwall.agent.providers.base import Monitored, ShowsLocal, Supervised, Surroundings, Surveys
from shieldwall.agent.providers.nftables import NftablesProvider
from shieldwall.agent.providers.nftables.checking import Accepted
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

pytestmark = [pytest.mark.root, pytest.mark.nftables]

PROVIDER = NftablesProvider()
ON = {"enablefirewall": "true"}
LOGGED = zone("public", enablelogdroppedpackets="true", **ON)


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
    kept = survey(host, desired, Surroundings(), Accepted(monotonic=time.monotonic))
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


def test_a_systemd_that_reads_nothing_again_is_asked_once_more(host: SystemdHost) -> None:
    firewall, wanted = Firewall(host), {**zone("public", **ON), **everywhere(loadatboot="true")}
    host.refuse("daemon-reload")
    with pytest.raises(UnitError, match="does not read its units again"):
        firewall.enforce(wanted)

    host.refuse("")
    firewall.provider.activate(host)
    assert "daemon-reload" in host.asked


def test_a_log_that_does_not_end_is_a_failure(host: SystemdHost) -> None:
    firewall = Firewall(host)
    firewall.enforce(LOGGED)
    host.refuse("stop")

    with pytest.raises(UnitError, match="does not end"):
        firewall.enforce(zone("public", **ON))

    host.refuse("")
    firewall.provider.activate(host)
    assert "stop shieldwall-firewall-log.service" in host.asked


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


def test_what_it_offers_beyond_files(host: SystemdHost) -> None:
    assert isinstance(PROVIDER, Monitored)
    assert isinstance(PROVIDER, Supervised)
    assert isinstance(PROVIDER, ShowsLocal)
    assert isinstance(PROVIDER, Surveys)
    assert PROVIDER.monitor(host) == ("/usr/sbin/nft", "-j", "monitor")
    assert PROVIDER.monitor(MemoryHost()) is None
    assert PROVIDER.local({}, {}) == {}


def _listing(device: Namespace) -> list[Any]:
    done = device.run("nft", "-j", "--stateless", "list", "table", "inet", "shieldwall")
    listing = json.loads(done.stdout)["nftables"]
    return [[entry["rule"]["chain"], entry["rule"]["expr"]] for entry in listing if "rule" in entry]
