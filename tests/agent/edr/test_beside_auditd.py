"""Beside the real auditd: both get every record, and what auditd writes down reads as what the kernel told us."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.agent.edr.test_watching import auditctl
from tests.agent.edr.test_watching import kernel as kernel_fixture
from tests.support.hardening import catalog

from shieldwall.agent.edr.events import Assembler, AuditEvent
from shieldwall.agent.edr.netlink import Listener
from shieldwall.agent.edr.records import read_line, read_message
from shieldwall.agent.edr.rules import KEY, Surroundings, load_rules, matching
from shieldwall.agent.host.local import LocalHost
from shieldwall.agent.providers.audit import AuditProvider

kernel = kernel_fixture
SECONDS = 20
CONFIGURATION = """\
local_events = yes
write_logs = yes
log_file = {log}
log_format = ENRICHED
flush = SYNC
num_logs = 2
max_log_file = 8
space_left = 1
admin_space_left = 0
space_left_action = IGNORE
admin_space_left_action = IGNORE
disk_full_action = IGNORE
disk_error_action = IGNORE
verify_email = no
"""


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Path]:
    """The log of an auditd with a configuration of its own, in the foreground."""
    (tmp_path / "plugins.d").mkdir()
    log = tmp_path / "audit.log"
    (tmp_path / "auditd.conf").write_text(CONFIGURATION.format(log=log))
    (tmp_path / "auditd.conf").chmod(0o640)
    with subprocess.Popen(["auditd", "-n", "-c", str(tmp_path)], stderr=subprocess.DEVNULL) as daemon:
        deadline = time.monotonic() + SECONDS
        while f"pid {daemon.pid}" not in auditctl("-s"):
            assert daemon.poll() is None, "auditd does not run"
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield log
        daemon.terminate()
        daemon.wait(SECONDS)


@pytest.mark.root
@pytest.mark.audit
@pytest.mark.usefixtures("kernel")
def test_both_hear_the_same(log: Path) -> None:
    listener = Listener()
    auditctl("-e", "1")
    auditctl("-a", "always,exit", "-F", "arch=b64", "-S", "execve", "-F", f"key={KEY}execution")
    subprocess.run(["bash", "-c", "exec bash -c 'exit 0; : /dev/tcp/203.0.113.9/4444 ä'"], check=False)

    assembler = Assembler()
    ours = until(lambda: heard(listener, assembler))
    until(lambda: written(log))
    time.sleep(1)  # auditd may be in the middle of an event, whose end it does not write down
    theirs = written(log)
    listener.close()

    assert ours.keys() & theirs.keys(), "the same event, by its serial number"
    for serial in ours.keys() & theirs.keys():
        assert found(ours[serial]) == found(theirs[serial]) == {"reverseShell"}
        assert ours[serial].arguments == theirs[serial].arguments
        assert ours[serial].executable == theirs[serial].executable
        assert ours[serial].paths == theirs[serial].paths
    assert AuditProvider(catalog()).product_version(LocalHost(Path("/"))) == "auditd"


def found(event: AuditEvent) -> set[str]:
    return {rule.id for rule in matching(load_rules(), event, Surroundings())}


def until(look: object) -> dict[int, AuditEvent]:
    deadline = time.monotonic() + SECONDS
    assert callable(look)
    while not (seen := look()):
        assert time.monotonic() < deadline, "nothing was heard"
        time.sleep(0.1)
    assert isinstance(seen, dict)
    return seen


def heard(listener: Listener, assembler: Assembler) -> dict[int, AuditEvent]:
    """The events that ended: one whose records come in two readings is whole after the second."""
    events: list[AuditEvent] = []
    for kind, text in listener.messages(100_000):
        record = read_message(kind, text.decode("utf-8", "backslashreplace"))
        if record is not None:
            events += assembler.add(record, 0.0)
    return shells(events)


def written(log: Path) -> dict[int, AuditEvent]:
    assembler = Assembler()
    events: list[AuditEvent] = []
    for line in log.read_text(errors="backslashreplace").splitlines():
        record = read_line(line)
        if record is not None:
            events += assembler.add(record, 0.0)
    return shells([*events, *assembler.expired(9.0)])


def shells(events: list[AuditEvent]) -> dict[int, AuditEvent]:
    return {event.serial: event for event in events if event.arguments[:2] == ("bash", "-c") and "ä" in event.command}
