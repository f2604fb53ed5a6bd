from __future__ import annotations

from datetime import timedelta

from tests.support.samples import NOON, TENANT_ID, counted_id

from shieldwall.server.storage.engine.database import Database
from shieldwall.server.storage.events import audit
from shieldwall.server.storage.records import AuditEvent, Page


def an_event(number: int, *, minutes: int, object_id: str = "x") -> AuditEvent:
    return AuditEvent(
        id=counted_id("7", number),
        tenant_id=TENANT_ID,
        at=NOON + timedelta(minutes=minutes),
        actor="Ada",
        activity="group.created",
        object_kind="group",
        object_id=object_id,
        details="{}",
    )


def test_events_are_read_newest_first_page_by_page(tenant_database: Database) -> None:
    events = [an_event(number, minutes=minutes) for number, minutes in ((1, 0), (2, 5), (3, 5), (4, 2), (5, 9))]
    with tenant_database.write() as connection:
        for event in events:
            audit.add(connection, event)
        seen: list[AuditEvent] = []
        while page := audit.list_events(connection, TENANT_ID, Page(size=2, after=seen[-1].id if seen else None)):
            seen += page
    assert [event.id[-1] for event in seen] == ["5", "3", "2", "4", "1"]
    assert seen[0] == events[4]


def test_the_events_of_one_object_stand_alone(tenant_database: Database) -> None:
    with tenant_database.write() as connection:
        audit.add(connection, an_event(1, minutes=0, object_id="x"))
        audit.add(connection, an_event(2, minutes=1, object_id="y"))
        assert audit.list_events(connection, TENANT_ID, Page(), object_id="x") == (an_event(1, minutes=0),)
