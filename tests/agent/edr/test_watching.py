"""From messages to findings: little is read, repeats are counted, and nothing is without a limit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.agent.edr.test_records import RECORDED
from tests.agent.edr.test_rules import happened

from shieldwall.agent.edr.__main__ import EXIT_UNAVAILABLE, is_own
from shieldwall.agent.edr.findings import AGAIN_SECONDS, PER_MINUTE, Counter, Finding, clean, finding_of
from shieldwall.agent.edr.rules import KEY, Surroundings, load_rules
from shieldwall.agent.edr.watching import BURST, Watch
from shieldwall.contract.events import EventSeverity

NOW: Final = "2026-11-26T06:00:00Z"


def a_watch() -> Watch:
    return Watch(rules=load_rules(), around=Surroundings(web_users={33}), name_of=str, now=lambda: NOW)


def messages(done: str) -> list[tuple[int, bytes]]:
    return [(kind, text.encode("latin-1")) for kind, text in RECORDED[done]]


def a_finding(number: int = 0) -> Finding:
    return Finding(at=NOW, rule="r", kind="edr.test", severity=EventSeverity.HIGH, title="t", subject=str(number))


def test_what_happens_again_is_told_at_once_and_then_counted() -> None:
    watch = a_watch()
    first = watch.take(messages("sshKeyChanged"), 100.0)
    again = [watch.take(messages("sshKeyChanged"), 101.0 + number) for number in range(5)]
    later = watch.tick(100.0 + AGAIN_SECONDS)
    anew = watch.take(messages("sshKeyChanged"), 101.0 + AGAIN_SECONDS)

    assert [finding.rule for finding in first] == ["sshKeyChanged"]
    assert not any(again)
    assert [(finding.rule, finding.times) for finding in later] == [("sshKeyChanged", 5)]
    assert [finding.times for finding in anew] == [1]


def test_records_of_other_rules_are_hardly_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        pytest.fail("a record that is nothing to us was read")

    monkeypatch.setattr("shieldwall.agent.edr.watching.read_message", never)
    foreign = [(kind, text.replace(KEY.encode(), b"theirs_")) for kind, text in messages("reverseShell")]

    assert not a_watch().take(foreign, 1.0)


def test_more_than_can_be_read_is_left_out_and_told_of_once() -> None:
    watch = a_watch()
    many = messages("reverseShell") * 200
    assert len(many) > BURST
    watch.take(many, 1.0)

    said, told = watch.notices(3, 2.0)
    assert told
    counts = {notice.kind: notice.count for notice in said}
    assert counts.keys() == {"overflow", "overload"}
    assert counts["overflow"] == 3
    assert 0 < counts["overload"] <= len(many) - BURST
    assert watch.notices(1, 3.0) == ([], False), "the kernel's count is kept until the next time"
    assert watch.take(messages("sshKeyChanged"), 60.0), "after a while it reads on"


def test_only_so_many_findings_are_told_and_the_rest_is_counted() -> None:
    counter = Counter()
    told = [counter.take(a_finding(number), 1.0) for number in range(PER_MINUTE * 3)]

    assert sum(finding is not None for finding in told) == PER_MINUTE
    assert counter.left_out == PER_MINUTE * 2
    assert counter.take(a_finding(10_000), 62.0) is not None


@given(st.lists(st.tuples(st.integers(0, 5), st.floats(0, 100)), max_size=200))
def test_nothing_is_lost_but_what_is_counted_as_left_out(taken: list[tuple[int, float]]) -> None:
    counter, now, times = Counter(), 0.0, 0
    for number, later in taken:
        now += later
        times += sum(finding.times for finding in counter.due(now))
        times += 0 if counter.take(a_finding(number), now) is None else 1
    times += sum(finding.times for finding in counter.due(now + 10_000))

    assert times + counter.left_out == len(taken)


@given(st.text())
def test_any_text_can_be_told(text: str) -> None:
    encoded = clean(text).encode()
    assert b"\0" not in encoded
    assert json.loads(json.dumps(clean(text))) == clean(text)


def test_what_the_agent_does_itself_is_known_by_its_control_group(tmp_path: Path) -> None:
    for pid, group in ((1, "/system.slice/shieldwall-applier.service"), (2, "/system.slice/ssh.service")):
        (tmp_path / str(pid)).mkdir()
        (tmp_path / str(pid) / "cgroup").write_text(f"0::{group}\n")

    (tmp_path / "3").mkdir()
    (tmp_path / "3" / "cgroup").write_text("0::/system.slice/auditd.service\n")
    loads = happened("x", pid=9, parent=3, kinds=frozenset({"CONFIG_CHANGE", "SYSCALL"}))
    assert is_own(loads, tmp_path), "auditd loads all rules anew when it starts"
    assert not is_own(happened("x", pid=3, parent=3), tmp_path), "of anything else it does, somebody hears"
    assert is_own(happened("x", pid=9, parent=1), tmp_path)
    assert is_own(happened("x", pid=1, parent=2), tmp_path)
    assert not is_own(happened("x", pid=2, parent=2), tmp_path)
    assert not is_own(happened("x", pid=9, parent=None), tmp_path)


@pytest.mark.parametrize(
    "group",
    [
        "/user.slice/user-1000.slice/user@1000.service/app.slice/shieldwall-applier.service",
        "/user.slice/user-1000.slice/user@1000.service/system.slice/shieldwall-applier.service",
        "/user.slice/user-1000.slice/user@1000.service/a\r0::/system.slice/shieldwall-applier.service",
        "/system.slice/other.service/system.slice/shieldwall-applier.service",
        "/system.slice/shieldwall-applier.service/below",
    ],
)
def test_nobody_is_the_agent_by_a_control_group_of_the_same_name(tmp_path: Path, group: str) -> None:
    for pid, its in ((1, "/init.scope"), (2, group)):
        (tmp_path / str(pid)).mkdir()
        (tmp_path / str(pid) / "cgroup").write_text(f"12:memory:/system.slice/shieldwall-applier.service\n0::{its}\n")

    assert not is_own(happened("x", pid=2, parent=2), tmp_path)


@pytest.mark.parametrize("tree", ["0:", "1:name=systemd"])
def test_the_agent_is_known_in_a_container_and_in_both_kinds_of_control_groups(tmp_path: Path, tree: str) -> None:
    for pid, group in ((1, "/docker/1f/init.scope"), (2, "/docker/1f/system.slice/shieldwall-applier.service")):
        (tmp_path / str(pid)).mkdir()
        (tmp_path / str(pid) / "cgroup").write_text(f"{tree}:{group}\n")

    assert is_own(happened("x", pid=2, parent=2), tmp_path)


def test_a_finding_survives_the_spool() -> None:
    rule = load_rules()[0]
    finding = finding_of(rule, happened("identity", arguments=("a\0b", "\ud800x"), program="\x1b[31m"), str)

    assert msgspec.json.decode(msgspec.json.encode(finding), type=Finding) == finding


@pytest.fixture
def kernel() -> Iterator[None]:
    """Leave the kernel's audit as it was."""
    before = auditctl("-s"), auditctl("-l")
    yield
    auditctl("-D", "-k", f"{KEY}execution")
    status = dict(line.split(" ", 1) for line in before[0].splitlines() if " " in line)
    auditctl("-e", status["enabled"])
    assert auditctl("-l") == before[1]


def auditctl(*words: str) -> str:
    return subprocess.run(["auditctl", *words], check=False, capture_output=True, text=True).stdout


@pytest.mark.root
@pytest.mark.audit
@pytest.mark.usefixtures("kernel")
def test_the_program_reads_the_real_kernel_and_writes_the_spool(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "shieldwall.agent.edr", "--spool", str(tmp_path), "--no-own"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as reader:
        assert reader.stderr is not None
        assert reader.stderr.readline() == "listening\n"
        try:
            auditctl("-e", "1")
            auditctl("-a", "always,exit", "-F", "arch=b64", "-S", "execve", "-F", f"key={KEY}execution")
            script = "exec bash -c 'exit 0; : /dev/tcp/203.0.113.9/4444'"
            subprocess.run(["setsid", "sh", "-c", script], check=False)
            deadline = time.monotonic() + 20
            while not (found := spooled(tmp_path)) and time.monotonic() < deadline:
                time.sleep(0.1)
        finally:
            reader.terminate()
        assert reader.wait(10) == 0
    assert [finding.rule for finding in found] == ["reverseShell"] * len(found)
    assert found
    assert "/dev/tcp/203.0.113.9/4444" in found[0].details["command"]
    assert found[0].details["user"].startswith("root")


def spooled(directory: Path) -> list[Finding]:
    path = directory / "edr.jsonl"
    if not path.exists():
        return []
    return [
        finding
        for line in path.read_bytes().splitlines()
        if (finding := msgspec.json.decode(line, type=Finding)).rule == "reverseShell"
    ]


@pytest.mark.root
def test_without_the_right_to_read_it_says_so_and_ends(tmp_path: Path) -> None:
    command = ["setpriv", "--bounding-set=-audit_read", "--inh-caps=-audit_read", sys.executable, "-m"]
    done = subprocess.run(
        [*command, "shieldwall.agent.edr", "--spool", str(tmp_path)],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        env={"PATH": os.environ["PATH"]},
    )

    assert done.returncode == EXIT_UNAVAILABLE
    assert "cannot be read" in done.stderr
