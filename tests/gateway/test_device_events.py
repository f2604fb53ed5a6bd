"""Events over real sockets, on both engines: kept once, made into alerts, bounded, and of one's own device alone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select
from tests.support.databases import database_url
from tests.support.gateway_device import GatewayDevice
from tests.support.gateway_requests import registered
from tests.support.gateway_world import GatewayWorld, Reply, gateway_world

from shieldwall.contract import strict_json
from shieldwall.contract.events import MAX_EVENTS, MAX_EVENTS_BYTES, DeviceEvent
from shieldwall.server.inventory.cleaning import EVENTS_KEPT, Cleaning
from shieldwall.server.manager import device_events as kept
from shieldwall.server.manager.device_events import LOST, MOST_OPEN
from shieldwall.server.storage.devices import device_events
from shieldwall.server.storage.devices.device_events import MOST_KEPT, ROOM, EventRecord
from shieldwall.server.storage.events import alerts
from shieldwall.server.storage.events.alerts import Alert
from shieldwall.server.storage.records import Page
from shieldwall.server.storage.tables.device_schema import device_events as table

__all__ = ["database_url"]
PATH = "/device/v1/events"


@pytest.fixture
def world(tmp_path: Path, database_url: str) -> Iterator[GatewayWorld]:
    url = None if database_url.startswith("sqlite") else database_url
    with gateway_world(tmp_path / "data", url) as made:
        yield made


@pytest.fixture
def device(world: GatewayWorld) -> GatewayDevice:
    return registered(world)


def happened(number: int = 1, **members: Any) -> dict[str, Any]:
    return {
        "id": f"{number:032x}",
        "at": "2026-11-20T11:00:00.25Z",
        "kind": "malware.blocked",
        "severity": "high",
        "title": "Malware was blocked",
        "subject": "Test.Marker",
    } | members


def tell(device: GatewayDevice, *events: dict[str, Any], **members: Any) -> Reply:
    return device.send(PATH, device.numbered(events=list(events), **members))


def all_of(world: GatewayWorld) -> tuple[EventRecord, ...]:
    with world.services.database.read() as connection:
        return device_events.list_events(connection, world.services.tenant.id, Page(size=5_000))


def bounded(monkeypatch: pytest.MonkeyPatch, **bounds: int) -> None:
    """Keep less of a device than is kept else."""
    monkeypatch.setattr(device_events.add_new, "__kwdefaults__", {"most": MOST_KEPT, "room": ROOM} | bounds)


def alerts_of(world: GatewayWorld) -> tuple[Alert, ...]:
    with world.services.database.read() as connection:
        return alerts.newest_open(connection, world.services.tenant.id, 500)


def test_what_is_told_is_kept_once_and_raises_one_alert_that_counts(world: GatewayWorld, device: GatewayDevice) -> None:
    assert tell(device, happened(1, details={"path": "/tmp/a"}), happened(2, times=3)).status == 204
    assert tell(device, happened(2, times=3), happened(3, details={"path": "/tmp/b"})).status == 204

    told = all_of(world)
    assert len(told) == 3
    assert {(each.device_id, each.kind, each.severity, each.subject) for each in told} == {
        (device.device_id, "malware.blocked", "high", "Test.Marker")
    }
    assert {each.at.isoformat() for each in told} == {"2026-11-20T11:00:00.250000+00:00"}
    (alert,) = alerts_of(world)
    assert (alert.kind, alert.title) == ("malware.blocked", "Malware was blocked: Test.Marker")
    assert (alert.device_id, alert.severity.value, alert.times) == (device.device_id, "high", 5)
    assert strict_json.decode_any(alert.details.encode())["details"] == {"path": "/tmp/b"}


def test_what_happened_more_often_than_can_be_counted_is_told_all_the_same(
    world: GatewayWorld, device: GatewayDevice
) -> None:
    often = 2**31 - 1

    assert [tell(device, happened(number, times=often), lost=often).status for number in (1, 2, 3)] == [204, 204, 204]

    assert {(alert.kind, alert.times) for alert in alerts_of(world)} == {("malware.blocked", often), (LOST, often)}


def test_the_same_request_again_is_answered_again_and_adds_nothing(world: GatewayWorld, device: GatewayDevice) -> None:
    body = strict_json.encode(device.numbered(events=[happened()], lost=4))

    assert [device.send(PATH, body).status for _ in range(2)] == [204, 204]

    assert sorted(each.kind for each in all_of(world)) == [LOST, "malware.blocked"]
    assert {alert.kind: alert.times for alert in alerts_of(world)} == {LOST: 4, "malware.blocked": 1}


def test_what_nobody_has_to_look_at_is_kept_without_an_alert(world: GatewayWorld, device: GatewayDevice) -> None:
    quiet = happened(1, kind="edr.execution", severity="low")
    medium = happened(2, kind="edr.persistence", severity="medium")
    found = happened(3, kind="malware.found", severity="low")
    assert tell(device, quiet, medium, found).status == 204

    assert len(all_of(world)) == 3
    assert {alert.kind for alert in alerts_of(world)} == {"edr.persistence", "malware.found"}


def test_two_devices_may_use_the_same_ids(world: GatewayWorld, device: GatewayDevice) -> None:
    other = registered(world)
    assert tell(device, happened()).status == tell(other, happened()).status == 204

    assert {each.device_id for each in all_of(world)} == {device.device_id, other.device_id}
    assert len(alerts_of(world)) == 2


def test_a_device_cannot_fill_the_server(
    world: GatewayWorld, device: GatewayDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    bounded(monkeypatch, most=250)
    quiet = registered(world)
    assert tell(quiet, happened(1, kind="edr.execution", severity="low")).status == 204
    for batch in range(3):
        many = [happened(number, subject=f"{number}") for number in range(batch * 200, batch * 200 + 200)]
        assert tell(device, *many).status == 204

    with world.services.database.read() as connection:
        rows = connection.execute(select(table.c.device_id, func.count()).group_by(table.c.device_id))
        counted = {row[0]: row[1] for row in rows if row[0] in {device.device_id, quiet.device_id}}
    assert counted == {device.device_id: 250, quiet.device_id: 1}
    opened = alerts_of(world)
    assert len(opened) == MOST_OPEN + 1
    assert sum(alert.times for alert in opened) == 600


@pytest.mark.parametrize("newest_come_last", [True, False])
def test_a_device_cannot_fill_the_server_with_long_events_either(
    world: GatewayWorld, device: GatewayDevice, newest_come_last: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = {f"part{number}": "€" * 2_000 for number in range(20)}
    bounded(monkeypatch, room=5 * len(strict_json.encode(long).decode()))
    quiet = registered(world)
    assert tell(quiet, happened(1, details=long)).status == 204
    minutes = list(range(8) if newest_come_last else reversed(range(8)))
    for minute in minutes:
        told = happened(minute, details=long, at=f"2026-11-20T10:{minute:02}:00Z")
        assert tell(device, told).status == 204
    short = [happened(number, at=f"2026-11-20T09:{number:02}:00Z") for number in range(10, 40)]
    assert tell(device, *short).status == 204

    kept = [each for each in all_of(world) if each.device_id == device.device_id]
    assert sorted(each.at.minute for each in kept if each.at.hour == 10) == [3, 4, 5, 6, 7]
    assert len(kept) == 5 + len(short), "what is short is not weighed"
    assert len([each for each in all_of(world) if each.device_id == quiet.device_id]) == 1


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"events": []}, "invalidJson"),
        ({"events": [happened(number) for number in range(MAX_EVENTS + 1)]}, "invalidJson"),
        ({"events": [happened(severity="critical")]}, "invalidJson"),
        ({"events": [happened(kind="Malware")]}, "invalidJson"),
        ({"events": [happened(title="")]}, "invalidJson"),
        ({"events": [happened(at="yesterday")]}, "invalidJson"),
        ({"events": [happened(times=0)]}, "invalidJson"),
        ({"events": [happened(details={"a": 1})]}, "invalidJson"),
        ({"events": [happened(surprise=1)]}, "invalidJson"),
    ],
)
def test_what_is_no_event_is_refused_whole(
    world: GatewayWorld, device: GatewayDevice, changed: dict[str, Any], code: str
) -> None:
    assert device.send(PATH, device.numbered(**changed)).code == code
    assert not all_of(world)


def test_more_than_may_be_told_at_once_is_refused_unread(world: GatewayWorld, device: GatewayDevice) -> None:
    body = device.numbered(events=[happened()], padding="x" * MAX_EVENTS_BYTES)
    data = strict_json.encode(body)
    lines = "".join(f"{name}: {value}\r\n" for name, value in device.sign(PATH, data).items())
    head = f"POST {PATH} HTTP/1.1\r\nHost: {world.authority}\r\nContent-Length: {len(data)}\r\n{lines}\r\n"
    reply = world.raw(head.encode())
    assert (reply.status, reply.code) == (413, "contentTooLarge")
    assert not all_of(world)


def test_a_clock_that_is_ahead_or_a_date_of_no_calendar_counts_as_now(
    world: GatewayWorld, device: GatewayDevice
) -> None:
    assert tell(device, happened(1, at="2126-01-01T00:00:00Z"), happened(2, at="2026-02-31T25:00:00Z")).status == 204
    now = world.clock.now()
    assert all(abs(each.at - now) < timedelta(seconds=60) for each in all_of(world))


def test_what_is_old_goes_and_a_device_takes_its_events_along(world: GatewayWorld, device: GatewayDevice) -> None:
    tell(device, happened(1, kind="edr.execution", severity="low"))
    tell(device, happened(2, kind="edr.execution", severity="low", at="2026-11-23T11:00:00Z"))
    services = world.services
    world.clock.forward(days=EVENTS_KEPT.days - 1)
    Cleaning(database=services.database, acting=services.acting("test"), signer=services.signer)()
    left = all_of(world)
    assert len(left) <= 2
    world.clock.forward(days=30)
    Cleaning(database=services.database, acting=services.acting("test"), signer=services.signer)()
    assert all_of(world) == ()


words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=60)


@settings(max_examples=60)
@given(title=words.filter(bool), subject=words, details=st.dictionaries(words.filter(bool), words, max_size=5))
def test_any_words_survive_the_journey(title: str, subject: str, details: dict[str, str]) -> None:
    event = DeviceEvent(
        id="0" * 32,
        at="2026-11-20T11:00:00Z",
        kind="edr.test",
        severity="high",  # type: ignore[arg-type]
        title=title,
        subject=subject,
        details=details,
    )
    there = strict_json.decode(strict_json.encode(event), DeviceEvent)
    assert (there.title, there.subject, there.details) == (title, subject, details)
    assert 0 < len(kept._title(there)) <= 256
