"""Events of devices: kept, and made into alerts where somebody should look.

A device says what it likes about itself, so nothing here trusts it: moments lie between the longest time that events
are kept and now, one device has a bounded number of events, and of open alerts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID, uuid5

from sqlalchemy import Connection

from shieldwall.contract import strict_json
from shieldwall.contract.events import DeviceEvent, EventSeverity, EventsRequest
from shieldwall.contract.ids import DeviceId, Digest, TenantId
from shieldwall.server.manager import turns
from shieldwall.server.manager.sequence import Numbered
from shieldwall.server.manager.turns import CallingDevice
from shieldwall.server.storage.devices import device_events
from shieldwall.server.storage.devices.device_events import EventRecord
from shieldwall.server.storage.errors import NotFoundError
from shieldwall.server.storage.events import alerts
from shieldwall.server.storage.events.alerts import Alert, Severity
from shieldwall.server.storage.records import Page
from shieldwall.trust import moments

ALWAYS_AN_ALERT: Final = frozenset({"malware", "tamper"})
"""Areas of which everything is one; elsewhere what is at least of medium severity."""
MOST_OPEN: Final = 50
"""Alerts of one device that are open at a time and came of events; more count on in one of them."""
MOST_SHOWN: Final = 10
"""Of the newest events so many stand in the details of an alert."""
MOST_SAID: Final = 512
"""Characters of a detail that an alert repeats; the event has all of it."""
LOST: Final = "events.lost"
_TOO_MANY: Final = ("events.more", "Much more happened on this device")
_LONGEST_TITLE: Final = 256
_OF: Final[Mapping[EventSeverity, Severity]] = {
    EventSeverity.INFORMATIONAL: Severity.LOW,
    EventSeverity.LOW: Severity.LOW,
    EventSeverity.MEDIUM: Severity.MEDIUM,
    EventSeverity.HIGH: Severity.HIGH,
}


def record(
    connection: Connection, caller: CallingDevice, request: EventsRequest, body_digest: Digest, now: datetime
) -> None:
    """Keep what a device tells, each event once, and raise what alerts they call for.

    Raises:
        SequenceConflictError: The number was used before.
        DeviceNotActiveError: The device may not speak any more, or not with this key.
        CertificateExpiredError: Its certificate has ended.
    """
    turns.take(connection, caller, Numbered(request.epoch, request.seq, body_digest), now)
    told = [*request.events, *_lost(request, body_digest, now)]
    by_id = {_row_id(caller.id, event.id): event for event in told}
    new = device_events.add_new(
        connection, caller.id, [_record(caller, row_id, event, now) for row_id, event in by_id.items()]
    )
    _raise_alerts(connection, caller, [(each.id, by_id[each.id]) for each in new], now)


def list_events(connection: Connection, tenant_id: TenantId, page: Page) -> tuple[EventRecord, ...]:
    """Return one page of what happened on a tenant's devices."""
    return device_events.list_events(connection, tenant_id, page)


def get_event(connection: Connection, tenant_id: TenantId, event_id: str) -> EventRecord:
    """Return an event of this tenant. Raises: NotFoundError."""
    event = device_events.find(connection, tenant_id, event_id)
    if event is None:
        raise NotFoundError(f"There is no event {event_id[:64]}.")
    return event


def _raise_alerts(
    connection: Connection, caller: CallingDevice, new: Sequence[tuple[str, DeviceEvent]], now: datetime
) -> None:
    by_subject: defaultdict[tuple[str, str], list[tuple[str, DeviceEvent]]] = defaultdict(list)
    for row_id, event in new:
        if _calls_for_one(event):
            by_subject[event.kind, _title(event)].append((row_id, event))
    if not by_subject:
        return
    is_open = set(alerts.open_of_device(connection, caller.tenant_id, caller.id))
    for wanted, about in by_subject.items():
        kind, title = wanted if wanted in is_open or len(is_open) < MOST_OPEN else _TOO_MANY
        is_open.add((kind, title))
        row_id, newest = about[-1]
        alerts.raise_alert(
            connection,
            Alert(
                id=str(uuid5(UUID(row_id), "alert")),
                tenant_id=caller.tenant_id,
                device_id=caller.id,
                kind=kind,
                severity=max((_OF[event.severity] for _, event in about), key=list(Severity).index),
                title=title,
                details=strict_json.encode(_evidence(newest, about)).decode(),
                first_at=now,
                last_at=now,
                times=min(sum(event.times for _, event in about), alerts.MOST_TIMES),
            ),
        )


def _calls_for_one(event: DeviceEvent) -> bool:
    area = event.kind.partition(".")[0]
    return area in ALWAYS_AN_ALERT or event.severity in {EventSeverity.MEDIUM, EventSeverity.HIGH}


def _title(event: DeviceEvent) -> str:
    return (f"{event.title}: {event.subject}" if event.subject else event.title)[:_LONGEST_TITLE]


def _evidence(newest: DeviceEvent, about: Sequence[tuple[str, DeviceEvent]]) -> Mapping[str, object]:
    return {
        "subject": newest.subject,
        "at": newest.at,
        "details": {name: text[:MOST_SAID] for name, text in newest.details.items()},
        "events": [row_id for row_id, _ in about[-MOST_SHOWN:]],
    }


def _lost(request: EventsRequest, body_digest: Digest, now: datetime) -> Sequence[DeviceEvent]:
    if not request.lost:
        return ()
    return (
        DeviceEvent(
            id=body_digest[:32],
            at=moments.write(now),
            kind=LOST,
            severity=EventSeverity.MEDIUM,
            title="More happened than the device could keep until it was told",
            times=request.lost,
        ),
    )


def _record(caller: CallingDevice, row_id: str, event: DeviceEvent, now: datetime) -> EventRecord:
    return EventRecord(
        id=row_id,
        tenant_id=caller.tenant_id,
        device_id=caller.id,
        at=_moment(event, now),
        received_at=now,
        kind=event.kind,
        severity=event.severity.value,
        title=event.title,
        subject=event.subject,
        details=strict_json.encode(event.details).decode(),
        times=event.times,
    )


def _moment(event: DeviceEvent, now: datetime) -> datetime:
    """Read when it happened; a clock that is ahead, or no date of any calendar, counts as now."""
    try:
        return min(moments.parse(event.at), now)
    except ValueError:
        return now


def _row_id(device_id: DeviceId, event_id: str) -> str:
    """Name an event for all devices together: no device can take the id of another one's."""
    return str(uuid5(UUID(device_id), event_id))
