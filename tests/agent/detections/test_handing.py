"""The spool is handed over whole: the same event by the same id, nothing lost but what is counted."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import Final

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shieldwall.agent.detections import notices, spool
from shieldwall.agent.detections.handing import TOLD, Batch, Handing
from shieldwall.agent.detections.model import Action, Detection, Opener, Source
from shieldwall.agent.detections.notices import Notice
from shieldwall.agent.detections.spool import append, append_lines
from shieldwall.agent.detections.telling import event_of
from shieldwall.agent.edr import findings
from shieldwall.agent.edr.findings import Finding
from shieldwall.contract import strict_json
from shieldwall.contract.events import MAX_EVENTS, MAX_EVENTS_BYTES, DeviceEvent, EventSeverity, EventsRequest
from shieldwall.contract.ids import TenantId

TENANT: Final = TenantId("0563bf7f-9a18-4f7b-8c26-fd7e917803f8")
OTHER: Final = TenantId("1563bf7f-9a18-4f7b-8c26-fd7e917803f8")
AT: Final = "2026-11-26T06:00:00Z"


def a_handing(directory: Path) -> Handing:
    numbers = count(1)
    return Handing(directory=directory, new_name=lambda: f"batch-{next(numbers)}")


def a_detection(number: int = 0, action: Action = Action.BLOCKED, threat: str = "Test.Marker") -> Detection:
    return Detection(
        at=AT,
        source=Source.ON_ACCESS,
        threat=threat,
        path=f"/srv/{number}",
        action=action,
        opener=Opener(pid=number + 1, uid=1000, executable="/usr/bin/cat"),
    )


def a_finding(number: int = 0, **members: str) -> Finding:
    return Finding(
        at=AT,
        rule="reverseShell",
        kind="edr.reverseShell",
        severity=EventSeverity.HIGH,
        title="A shell",
        subject=str(number),
        details={"command": "bash", **members},
    )


def add_findings(directory: Path, *found: Finding, maximum_bytes: int = spool.MAXIMUM_BYTES) -> None:
    append_lines(directory, findings.STEM, map(msgspec.json.encode, found), maximum_bytes=maximum_bytes)


def drained(handing: Handing, *, most: int = MAX_EVENTS) -> tuple[list[DeviceEvent], int]:
    """Everything that is handed over when each batch is acknowledged."""
    found: list[DeviceEvent] = []
    lost, name = 0, None
    for _ in range(10_000):
        batch = handing.hand_over(TENANT, name, most=most)
        found += batch.events
        lost += batch.lost
        name = batch.name or None
        if not batch.name and not batch.more:
            return found, lost
    pytest.fail("it never ends")


def test_what_everybody_found_is_handed_over_until_it_is_acknowledged(tmp_path: Path) -> None:
    append(tmp_path, [a_detection()])
    add_findings(tmp_path, a_finding())
    append_lines(
        tmp_path, notices.STEM, [msgspec.json.encode(Notice(at=AT, source="broker", kind="engineDown", reason="gone"))]
    )
    handing = a_handing(tmp_path)

    first = handing.hand_over(TENANT, None)
    again = handing.hand_over(TENANT, None)
    assert [event.kind for event in first.events] == ["edr.reverseShell", "malware.blocked", "engine.engineDown"]
    assert again.events == first.events
    assert handing.hand_over(TENANT, first.name).events == first.events, "that name is not the last one given"
    last = handing.hand_over(TENANT, None)
    assert handing.hand_over(TENANT, last.name) == Batch()
    assert handing.hand_over(TENANT, last.name) == Batch()
    append(tmp_path, [a_detection(2)])
    assert [event.details["path"] for event in handing.hand_over(TENANT, None).events] == ["/srv/2"]


def test_a_restart_tells_again_what_was_not_acknowledged_by_the_same_ids(tmp_path: Path) -> None:
    append(tmp_path, [a_detection(number) for number in range(3)])
    before = a_handing(tmp_path).hand_over(TENANT, None)
    after = a_handing(tmp_path).hand_over(TENANT, before.name)

    assert after.events == before.events
    assert len({event.id for event in before.events}) == 3


@pytest.mark.parametrize("made_up", ["batch-2", "", "batch-1x"])
def test_whoever_makes_up_a_name_changes_nothing(tmp_path: Path, made_up: str) -> None:
    append(tmp_path, [a_detection()])
    handing = a_handing(tmp_path)
    handing.hand_over(TENANT, None)

    assert len(handing.hand_over(TENANT, made_up).events) == 1
    assert not (tmp_path / TOLD).exists()


def test_what_happened_under_another_tenant_is_not_told_to_this_one(tmp_path: Path) -> None:
    append(tmp_path, [a_detection(1)])
    handing = a_handing(tmp_path)
    handing.hand_over(TENANT, handing.hand_over(TENANT, None).name)
    append(tmp_path, [a_detection(2)])

    assert handing.hand_over(OTHER, None) == Batch()
    append(tmp_path, [a_detection(3)])
    assert [event.details["path"] for event in handing.hand_over(OTHER, None).events] == ["/srv/3"]


def test_a_spool_that_turned_over_is_said_to_have_lost_something(tmp_path: Path) -> None:
    handing = a_handing(tmp_path)
    add_findings(tmp_path, a_finding(0), maximum_bytes=600)
    handing.hand_over(TENANT, handing.hand_over(TENANT, None).name)
    for number in range(1, 20):
        add_findings(tmp_path, a_finding(number), maximum_bytes=600)

    events, lost = drained(handing)
    assert lost == 1
    assert [event.subject for event in events] == [str(number) for number in range(20 - len(events), 20)]


@settings(max_examples=60, deadline=None)
@given(steps=st.lists(st.tuples(st.integers(1, 6), st.booleans()), min_size=1, max_size=25), most=st.integers(1, 5))
def test_nothing_is_lost_as_long_as_it_is_told_before_the_spool_turns_over_twice(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, bool]], most: int
) -> None:
    directory = tmp_path_factory.mktemp("spool")
    handing, told, number = a_handing(directory), [], 0
    for many, restarts in steps:
        for _ in range(many):
            add_findings(directory, a_finding(number), maximum_bytes=2_000)
            number += 1
        if restarts:
            handing = a_handing(directory)
        events, lost = drained(handing, most=most)
        assert lost == 0
        told += events

    assert [event.subject for event in told] == [str(each) for each in range(number)]


def test_a_line_that_a_crash_cut_off_holds_up_nothing(tmp_path: Path) -> None:
    append(tmp_path, [a_detection(1)])
    with (tmp_path / spool.CURRENT).open("ab") as stream:
        stream.write(b'{"at":"2026-11-26T06:00:00Z","thre')
    handing = a_handing(tmp_path)
    assert len(drained(handing)[0]) == 1
    with (tmp_path / spool.CURRENT).open("ab") as stream:
        stream.write(b"\nnonsense\n[]\n")
    append(tmp_path, [a_detection(2)])

    assert [event.details["path"] for event in drained(handing)[0]] == ["/srv/2"]


def test_every_batch_fits_into_a_request(tmp_path: Path) -> None:
    add_findings(tmp_path, *(a_finding(number, path="ä" * 2_000, more="\x01" * 1_000) for number in range(700)))
    handing, name, found = a_handing(tmp_path), None, 0
    while (batch := handing.hand_over(TENANT, name)).name:
        request = EventsRequest(seq=2**53 - 1, epoch=2**53 - 1, events=batch.events, lost=2**31 - 1)
        assert len(strict_json.encode(request)) <= MAX_EVENTS_BYTES
        assert strict_json.decode(strict_json.encode(request), EventsRequest) == request
        found += len(batch.events)
        name = batch.name

    assert found == 700


def test_nothing_there_is_nothing_to_hand_over(tmp_path: Path) -> None:
    assert a_handing(tmp_path / "nowhere").hand_over(TENANT, None) == Batch()
    assert a_handing(tmp_path).hand_over(TENANT, None) == Batch()


@pytest.mark.parametrize("content", [b"", b"{}", b"nonsense", b'{"tenant":1}'])
def test_a_note_that_is_broken_lets_everything_be_told_again(tmp_path: Path, content: bytes) -> None:
    append(tmp_path, [a_detection()])
    (tmp_path / TOLD).write_bytes(content)

    assert len(a_handing(tmp_path).hand_over(TENANT, None).events) == 1


def test_a_link_in_the_place_of_the_note_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("kept")
    spooled = tmp_path / "spool"
    append(spooled, [a_detection()])
    (spooled / f".{TOLD}").symlink_to(tmp_path / "victim")
    handing = a_handing(spooled)
    batch = handing.hand_over(TENANT, None)
    with pytest.raises(OSError, match="symbolic"):
        handing.hand_over(TENANT, batch.name)

    assert (tmp_path / "victim").read_text() == "kept"
    assert not (spooled / TOLD).exists()


def test_the_newest_are_shown_first_whether_or_not_they_were_told(tmp_path: Path) -> None:
    append(tmp_path, [a_detection(number) for number in range(5)])
    handing = a_handing(tmp_path)
    drained(handing)

    assert len(handing.newest(3)) == 3
    assert {event.kind for event in handing.newest(100)} == {"malware.blocked"}


@pytest.mark.parametrize(
    ("action", "threat", "kind", "severity"),
    [
        (Action.REPORTED, "Win.Test", "malware.found", "high"),
        (Action.BLOCKED, "Win.Test", "malware.blocked", "high"),
        (Action.QUARANTINED, "Win.Test", "malware.quarantined", "medium"),
        (Action.FAILED, "Win.Test", "malware.notRemediated", "high"),
        (Action.QUARANTINED, "PUA.Win.Tool", "malware.quarantined", "low"),
    ],
)
def test_a_detection_is_told_by_what_became_of_it(action: Action, threat: str, kind: str, severity: str) -> None:
    event = event_of(spool.STEM, msgspec.json.encode(a_detection(action=action, threat=threat)))

    assert event is not None
    assert (event.kind, event.severity.value, event.subject) == (kind, severity, threat)
    assert event.details["path"] == "/srv/0"
    assert event.details["executable"] == "/usr/bin/cat"


@given(st.binary(max_size=80), st.sampled_from([findings.STEM, spool.STEM, notices.STEM, "other"]))
def test_no_line_makes_it_fail(line: bytes, stem: str) -> None:
    event = event_of(stem, line)
    assert event is None or isinstance(event, DeviceEvent)


@given(text=st.text(max_size=3_000), at=st.sampled_from([AT, "yesterday", "2026-11-26T06:00:00.123456Z"]))
def test_what_is_told_is_what_the_server_takes_or_nothing(text: str, at: str) -> None:
    found = Finding(
        at=at,
        rule="r",
        kind="edr.test",
        severity=EventSeverity.LOW,
        title=text.encode("utf-8", "backslashreplace").decode() or "x",
        subject=text.encode("utf-8", "backslashreplace").decode(),
        details={"command": text.encode("utf-8", "backslashreplace").decode()},
    )
    event = event_of(findings.STEM, msgspec.json.encode(found))

    assert (event is None) == (at == "yesterday")
    if event is not None:
        assert strict_json.decode(strict_json.encode(event), DeviceEvent) == event
