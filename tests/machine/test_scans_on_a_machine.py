"""Scans, definitions and quarantine where systemd runs the machine: timers start them, real units with real rights."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.machine.conftest import eventually
from tests.support.clamd import MARKER
from tests.support.machine import REPOSITORY, Machine, base_tree
from tests.support.namespaces import joined_namespaces

pytestmark = [pytest.mark.machine, pytest.mark.root, pytest.mark.timeout(600)]

PYTHON = "/usr/bin/python3"
SCAN = "linux_mdatp_managed_antivirusengine_scheduledscan_"
ENGINE = "linux_mdatp_managed_antivirusengine_"
CLOUD = "linux_mdatp_managed_cloudservice_"
SPOOL = "/var/lib/shieldwall-applier/events/detections.jsonl"
HISTORY = "/var/lib/shieldwall-applier/scans/history.jsonl"

_ENFORCE = """
import json, sys
from pathlib import Path
from shieldwall.agent.host.local import LocalHost
from shieldwall.agent.providers.freshclam import FreshclamProvider
from shieldwall.agent.providers.packages import PackagesProvider
from shieldwall.agent.providers.scans import ScansProvider
from shieldwall.catalog.loader import load
asked = json.load(sys.stdin)
catalog, host = load(), LocalHost(Path("/"))
kept_file = Path("/root/kept.json")
kept = json.loads(kept_file.read_text()) if kept_file.exists() else {}
answer = {}
for provider in (FreshclamProvider(catalog), ScansProvider(catalog), PackagesProvider(catalog)):
    desired = {}
    for name, value in asked["desired"].items():
        support = provider.support(host, name)
        if support is not None:
            assert support.applicable, (name, support.reason)
            desired[name] = tuple(value) if isinstance(value, list) else value
    before = {path: host.read_file(path) for path in provider.files()}
    if not asked.get("look"):
        rendered = provider.render(before, desired, kept.get(provider.name, {}))
        for path, content in rendered.files.items():
            host.write_file(path, content)
        provider.activate(host)
        kept[provider.name] = dict(rendered.kept)
    found = provider.read({path: host.read_file(path) for path in provider.files()})
    assert {name: found.get(name) for name in desired} == desired, found
    for name, seen in provider.observe(host, desired).items():
        answer[name] = [seen.effective, seen.code, seen.reason]
kept_file.write_text(json.dumps(kept))
print(json.dumps(answer))
"""


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A machine with a clamd that knows one harmless threat, and with our programs."""
    home = tmp_path_factory.mktemp("scans")
    with ExitStack() as stack:
        device, _ = stack.enter_context(joined_namespaces())
        machine = Machine(home, network=device.name, name=f"shieldwall-scans-{os.getpid()}")
        stack.enter_context(machine.laid_out(base_tree()))
        packages = machine.root / "usr/local/lib/python3.11/dist-packages"
        shutil.copytree(REPOSITORY / "src/shieldwall", packages / "shieldwall", ignore=shutil.ignore_patterns("server"))
        shutil.copytree(Path(msgspec.__file__).parent, packages / "msgspec")
        machine.boot()
        machine.write("/var/lib/clamav/site.ndb", f"Test.Marker:0:*:{MARKER.hex()}\n")
        machine.write("/etc/systemd/system/clamav-daemon.service.d/site.conf", "[Unit]\nConditionPathExistsGlob=\n")
        machine.run("systemctl", "daemon-reload", check=True)
        machine.run("systemctl", "restart", "clamav-daemon.service", check=True)
        eventually(lambda: machine.succeeds("clamdscan", "--ping", "1"), what="clamd answers")
        yield machine


def enforce(machine: Machine, desired: dict[str, Any], *, look: bool = False) -> dict[str, list[Any]]:
    """Do what the applier does with the three providers; or look alone."""
    asked = json.dumps({"desired": desired, "look": look})
    done = machine.run(PYTHON, "-I", "-c", _ENFORCE, stdin=asked, check=True)
    answer: dict[str, list[Any]] = json.loads(done.stdout)
    return answer


def lines(machine: Machine, path: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (machine.read(path) or "").splitlines()]


def listing(machine: Machine) -> str:
    """Every file of configuration and every unit that is active, to be compared."""
    files = machine.run(
        "sh", "-c", "find /etc /var/lib/clamav -type f -not -name freshclam.dat -exec sha256sum {} + | sort -k2"
    ).stdout
    units = machine.run("systemctl", "list-units", "--plain", "--no-legend", "shieldwall-*", "clamav-*").stdout
    return files + "\n".join(sorted(line.split()[0] for line in units.splitlines() if line.split()))


@pytest.fixture(autouse=True)
def nothing_before(machine: Machine) -> None:
    """Let every test find what it made itself, in whatever order they come."""
    kept = ("events", "quarantine", "scans")
    machine.run("rm", "-rf", *(f"/var/lib/shieldwall-applier/{name}" for name in kept), "/var/lib/clamav/freshclam.dat")
    machine.run("sh", "-c", "rm -rf /home/somebody /opt/tool /var/lib/somewhere /tmp/newer", check=True)


def test_a_timer_starts_a_scan_that_finds_and_moves_what_root_alone_may_read(machine: Machine) -> None:
    machine.write("/home/somebody/secret", MARKER.decode(), mode="0600")
    machine.write("/home/somebody/clean", "clean")
    machine.write("/opt/tool/bad", MARKER.decode(), mode="0755")
    before = listing(machine)
    desired = {
        SCAN + "timeofday": 60,
        SCAN + "interval": 12,
        SCAN + "dayofweek": SCAN + "dayofweek_7",
        SCAN + "scantype": SCAN + "scantype_full",
        SCAN + "randomizescanstarttime": 1,
        SCAN + "lowpriorityscheduledscan": SCAN + "lowpriorityscheduledscan_true",
        ENGINE + "enforcementlevel": ENGINE + "enforcementlevel_1",
        ENGINE + "allowedthreats": [],
    }

    seen = enforce(machine, desired)
    assert {name: each for name, each in seen.items() if each[0] is not True} == {}
    assert machine.is_active("shieldwall-scan-quick.timer")
    assert machine.is_active("shieldwall-scan-full.timer")

    machine.run("systemctl", "start", "shieldwall-scan-quick.service", check=True, seconds=180)
    assert machine.read("/home/somebody/secret") is None
    assert machine.read("/opt/tool/bad") is None
    assert machine.read("/home/somebody/clean") == "clean"
    events = lines(machine, SPOOL)
    assert sorted((event["path"], event["action"], event["source"]) for event in events) == [
        ("/home/somebody/secret", "quarantined", "scheduledScan"),
        ("/opt/tool/bad", "quarantined", "scheduledScan"),
    ]
    (result,) = lines(machine, HISTORY)
    assert (result["kind"], result["ended"], result["detections"], result["quarantined"]) == (
        "quick",
        "completed",
        2,
        2,
    )

    machine.write("/var/lib/somewhere/bad", MARKER.decode(), mode="0600")
    machine.run("systemctl", "start", "shieldwall-scan-full.service", check=True, seconds=300)
    assert machine.read("/var/lib/somewhere/bad") is None

    machine.run("systemctl", "stop", "shieldwall-scan-quick.timer", check=True)
    assert enforce(machine, desired, look=True)[SCAN + "timeofday"][1] == "timerNotActive"
    enforce(machine, {})
    assert listing(machine) == before


def test_timers_come_back_with_the_machine_and_start_at_their_moment(machine: Machine) -> None:
    now = machine.run("date", "+%H %M").stdout.split()
    minutes = (int(now[0]) * 60 + int(now[1]) + 2) % 1381
    machine.write("/home/somebody/later", MARKER.decode(), mode="0600")
    enforce(machine, {SCAN + "timeofday": minutes, ENGINE + "enforcementlevel": ENGINE + "enforcementlevel_0"})

    before = len(lines(machine, HISTORY))

    machine.reboot()

    assert machine.is_active("shieldwall-scan-quick.timer")
    eventually(lambda: len(lines(machine, HISTORY)) > before, what="the timer starts the scan", seconds=240)
    newest = lines(machine, HISTORY)[-1]
    assert (newest["source"], newest["ended"], newest["detections"]) == ("scheduledScan", "completed", 1), newest
    assert machine.read("/home/somebody/later") is None
    enforce(machine, {})


def test_definitions_come_by_the_timer_from_a_mirror_and_running_programs_are_scanned(machine: Machine) -> None:
    machine.write("/srv/mirror/own.ndb", "Test.Newer:0:*:" + b"newer definitions know this".hex() + "\n")
    machine.run("systemctl", "enable", "--now", "clamav-freshclam.service", check=True)
    before = listing(machine)
    desired: dict[str, Any] = {
        CLOUD + "automaticdefinitionupdateenabled": CLOUD + "automaticdefinitionupdateenabled_true",
        CLOUD + "definitionupdatesinterval": 60,
        ENGINE + "offlinedefinitionupdate": ENGINE + "offlinedefinitionupdate_enabled",
        ENGINE + "offlinedefinitionupdateurl": "/srv/mirror/own.ndb",
        ENGINE + "scanafterdefinitionupdate": ENGINE + "scanafterdefinitionupdate_true",
    }

    enforce(machine, desired)
    assert not machine.is_active("clamav-freshclam.service")
    eventually(lambda: machine.read("/var/lib/clamav/own.ndb") is not None, what="definitions come", seconds=60)
    eventually(
        lambda: any(each["source"] == "definitionUpdate" for each in lines(machine, HISTORY)),
        what="running programs are scanned",
        seconds=120,
    )
    seen = enforce(machine, desired, look=True)
    assert {name: each for name, each in seen.items() if each[0] is not True} == {}, machine.journal(
        "shieldwall-definitions.service"
    )
    machine.write("/tmp/newer", "newer definitions know this")
    assert "FOUND" in machine.run("clamdscan", "--fdpass", "/tmp/newer").stdout

    enforce(machine, {})
    assert machine.is_active("clamav-freshclam.service")
    machine.run("rm", "-f", "/var/lib/clamav/own.ndb", "/var/lib/clamav/freshclam.dat", "/tmp/newer")
    assert listing(machine) == before


def test_the_platform_is_held_outside_its_window_and_let_go(machine: Machine) -> None:
    feature = "linux_features_platformupdatecontrols"
    seen = enforce(machine, {feature: f"{feature}_enabled"})

    assert seen[feature][0] is True, seen
    assert machine.is_active("shieldwall-platform-update.timer")
    candidate = machine.run("apt-cache", "policy", "clamav-daemon").stdout
    assert "Candidate: (none)" in candidate
    inside = [
        *("systemd-run", "--wait", "--pipe", "--quiet"),
        "--property=BindReadOnlyPaths=/etc/shieldwall/packages/not-held:/etc/apt/preferences.d/shieldwall-hold",
        *("apt-cache", "policy", "clamav-daemon"),
    ]
    assert "Candidate: (none)" not in machine.run(*inside, check=True).stdout

    enforce(machine, {})
    assert "Candidate: (none)" not in machine.run("apt-cache", "policy", "clamav-daemon").stdout
