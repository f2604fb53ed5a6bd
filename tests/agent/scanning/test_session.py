"""Scans with a real clamd: what is found, what becomes of it, and what is noted."""

from __future__ import annotations

import os
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.clamd import MARKER, Clamd, running_clamd
from tests.support.scanning import ACTING, SetClock, session_of

from shieldwall.agent.detections import spool
from shieldwall.agent.detections.model import Action, Detection, Source
from shieldwall.agent.scanning import history, policy
from shieldwall.agent.scanning.history import Ended
from shieldwall.agent.scanning.session import Kind, Session

pytestmark = pytest.mark.clamav


@pytest.fixture
def clamd() -> Iterator[Clamd]:
    with running_clamd() as running:
        yield running


def scan(session: Session, clamd: Clamd, *, scheduled: bool = False) -> history.ScanResult:
    source = Source.SCHEDULED_SCAN if scheduled else Source.ON_DEMAND_SCAN
    return session.scan(Kind.PATHS, source, [str(clamd.root / "srv")])


def detections(clamd: Clamd) -> tuple[Detection, ...]:
    return spool.read(clamd.host.locate(spool.DIRECTORY))


def test_a_file_that_only_root_may_read_is_found_and_moved_to_quarantine(clamd: Clamd) -> None:
    bad, clean = clamd.infected("private/bad"), clamd.root / "srv/private/clean"
    clean.write_bytes(b"nothing")
    bad.chmod(0o600)
    session = session_of(clamd, ACTING)

    result = scan(session, clamd)

    (item,) = session.quarantine.items()
    (event,) = detections(clamd)
    assert (result.ended, result.files, result.detections, result.quarantined) == (Ended.COMPLETED, 2, 1, 1)
    assert not bad.exists()
    assert clean.exists()
    assert (event.action, event.path, event.quarantine, event.scan) == (
        Action.QUARANTINED,
        str(bad),
        item.id,
        result.id,
    )
    assert event.threat == item.threat == "Test.Marker.UNOFFICIAL"
    assert event.sha256 == item.sha256
    assert history.read(clamd.host.locate(history.DIRECTORY)) == (result,)
    assert result.engine.startswith("ClamAV ")


@pytest.mark.parametrize(
    "values",
    [
        {},
        {policy.ENFORCEMENT_LEVEL: "passive"},
        {policy.ENFORCEMENT_LEVEL: "audit"},
        {policy.PASSIVE_MODE: True},
        {policy.ENFORCEMENT_LEVEL: "passive", policy.PASSIVE_MODE: False},
    ],
)
def test_a_passive_device_reports_and_moves_nothing(clamd: Clamd, values: dict[str, object]) -> None:
    bad = clamd.infected("bad")

    result = scan(session_of(clamd, values), clamd)

    assert (result.detections, result.quarantined) == (1, 0)
    assert [event.action for event in detections(clamd)] == [Action.REPORTED]
    assert bad.exists()


def test_many_files_at_several_at_a_time_are_each_judged_once(clamd: Clamd) -> None:
    bad = {str(clamd.infected(f"{number % 7}/bad{number}")) for number in range(60)}
    for number in range(200):
        (clamd.root / f"srv/{number % 7}/clean{number}").write_bytes(b"clean")

    result = scan(session_of(clamd, {**ACTING, policy.THREADS: 8}), clamd)

    assert (result.files, result.detections, result.quarantined) == (260, 60, 60)
    assert {event.path for event in detections(clamd)} == bad


def test_exclusions_hold_unless_the_schedule_is_told_to_ignore_them() -> None:
    with running_clamd("ExcludePath \\.skip$\nExcludePath ^/nowhere/\n") as clamd:
        clamd.infected("one.skip")
        clamd.infected("two")
        session = session_of(clamd, {policy.IGNORE_EXCLUSIONS: True})

        by_hand, on_schedule = scan(session, clamd), scan(session, clamd, scheduled=True)

        assert (by_hand.detections, by_hand.excluded) == (1, 1)
        assert (on_schedule.detections, on_schedule.excluded) == (2, 0)


def test_an_allowed_threat_is_left_alone(clamd: Clamd) -> None:
    clamd.infected("bad")

    for name in ("Test.Marker", "Test.Marker.UNOFFICIAL"):
        result = scan(session_of(clamd, {**ACTING, policy.ALLOWED_THREATS: [name]}), clamd)
        assert (result.ended, result.detections) == (Ended.COMPLETED, 0)


def test_without_an_engine_a_scan_fails_and_says_so(clamd: Clamd) -> None:
    clamd.infected("bad")
    clamd.stop()

    result = scan(session_of(clamd, ACTING), clamd)

    assert (result.ended, result.files) == (Ended.FAILED, 0)
    assert "No clamd answers" in result.reasons[0]


def test_an_engine_that_dies_ends_the_scan_as_failed(clamd: Clamd) -> None:
    for number in range(3000):
        (clamd.root / f"srv/{number}").parent.mkdir(exist_ok=True)
        (clamd.root / f"srv/{number}").write_bytes(b"x")
    session = session_of(clamd, {policy.THREADS: 1})
    threading.Timer(0.05, clamd.stop).start()

    result = scan(session, clamd)

    assert result.ended is Ended.FAILED
    assert result.files < 3000
    assert any("does not answer" in reason for reason in result.reasons)


def test_two_scans_never_run_at_once(clamd: Clamd) -> None:
    session = session_of(clamd, {policy.WHEN_IDLE: True}, load=lambda: 0.0)
    inner: list[history.ScanResult] = []

    def busy() -> float:
        inner.append(scan(session_of(clamd, {}), clamd))
        return 0.0

    outer = scan(session_of(clamd, {policy.WHEN_IDLE: True}, load=busy), clamd, scheduled=True)

    assert outer.ended is Ended.COMPLETED
    assert [each.ended for each in inner] == [Ended.SKIPPED]
    assert scan(session, clamd).ended is Ended.COMPLETED


def test_a_scan_waits_until_the_device_is_idle_and_gives_up_some_time(clamd: Clamd) -> None:
    clock, loads = SetClock(), iter([3.0, 1.0, 0.1])
    waited = scan(session_of(clamd, {policy.WHEN_IDLE: True}, clock, lambda: next(loads)), clamd, scheduled=True)
    never = scan(session_of(clamd, {policy.WHEN_IDLE: True}, SetClock(), lambda: 3.0), clamd, scheduled=True)

    assert (waited.ended, clock.slept) == (Ended.COMPLETED, [60.0, 60.0])
    assert (never.ended, never.reasons) == (Ended.SKIPPED, ("The device was never idle.",))


def test_a_low_priority_scan_looks_at_one_file_after_the_other_and_rests_between(clamd: Clamd) -> None:
    for number in range(5):
        clamd.infected(str(number))
    clock = SetClock()
    session = session_of(clamd, {policy.LOW_PRIORITY: True, policy.THREADS: 16}, clock)

    scan(session, clamd)

    assert session.policy.workers == 1
    assert len(clock.slept) == 5


def test_a_link_leads_no_scan_anywhere(clamd: Clamd, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "bad").write_bytes(MARKER)
    (clamd.root / "srv").mkdir()
    (clamd.root / "srv/directory").symlink_to(outside)
    (clamd.root / "srv/file").symlink_to(outside / "bad")
    os.mkfifo(clamd.root / "srv/pipe")

    result = scan(session_of(clamd, ACTING), clamd)

    assert (result.ended, result.files, result.detections) == (Ended.COMPLETED, 0, 0)
    assert (outside / "bad").exists()


def test_new_definitions_have_running_programs_scanned_once(clamd: Clamd) -> None:
    clock = SetClock()
    session = Session(
        host=clamd.host, clock=clock, monotonic=time.monotonic, sleep=time.sleep, cancelled=threading.Event()
    )
    assert session.scan_after_update() is not None
    assert session.scan_after_update() is None

    late = clamd.root / "srv/late"
    late.parent.mkdir()
    late.write_bytes(b"only the newer definitions know this")
    assert not clamd.detects(late)
    database = clamd.root / "var/lib/clamav"
    (database / "newer.ndb").write_text(f"Test.Newer:0:*:{b'newer definitions'.hex()}\n")
    result = session.scan_after_update()

    assert result is not None
    assert (result.kind, result.source, result.ended) == ("programs", Source.DEFINITION_UPDATE, Ended.COMPLETED)
    assert clamd.detects(late), "the scan began once clamd had loaded them"
    assert sorted(path.name for path in database.iterdir()) == ["newer.ndb", "test.ndb"]
    assert session.scan_after_update() is None


def test_results_are_kept_as_many_and_as_long_as_the_policy_says(clamd: Clamd) -> None:
    (clamd.root / "srv").mkdir()
    clock = SetClock()
    session = session_of(clamd, {policy.HISTORY_ITEMS: 3, policy.RETENTION_DAYS: 2}, clock)
    directory = clamd.host.locate(history.DIRECTORY)

    for _ in range(5):
        scan(session, clamd)
        clock.sleep(60)
    assert len(history.read(directory)) == 3

    clock.sleep(3 * 86_400)
    newest = scan(session, clamd)
    assert history.read(directory) == (newest,)


def test_what_lies_in_quarantine_is_let_go_with_its_time(clamd: Clamd) -> None:
    clamd.infected("bad")
    clock = SetClock()
    session = session_of(clamd, {**ACTING, policy.RETENTION_DAYS: 2}, clock)
    scan(session, clamd)
    assert len(session.quarantine.items()) == 1

    clock.sleep(3 * 86_400)
    scan(session, clamd)

    assert not session.quarantine.items()
    assert not [path for path in session.quarantine.directory.iterdir() if stat.S_ISREG(path.stat().st_mode)]
