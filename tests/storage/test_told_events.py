"""What storage tells those who follow events, besides what the audit trail holds."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Connection
from tests.support.samples import NOON, TENANT_ID, counted_id, device_id, group_id

from shieldwall.server.storage.engine import outbox
from shieldwall.server.storage.engine.database import Database
from shieldwall.server.storage.events import alerts
from shieldwall.server.storage.events.alerts import Alert, Severity
from shieldwall.server.storage.groups import membership_events
from shieldwall.server.storage.groups.membership_events import Change
from shieldwall.server.storage.records import MembershipCause


def an_alert(number: int) -> Alert:
    return Alert(
        id=counted_id("5", number),
        tenant_id=TENANT_ID,
        device_id=device_id(1),
        kind="clone",
        severity=Severity.HIGH,
        title="Two machines",
        details='{"places":2}',
        first_at=NOON,
        last_at=NOON,
    )


def told(database: Database) -> list[tuple[str, dict[str, Any]]]:
    with database.read() as connection:
        found = outbox.read(connection, 0, 100, tenant_id=TENANT_ID)
    return [(event.kind, json.loads(event.details)) for event in found]


def test_an_alert_is_told_when_it_is_new_and_when_it_is_settled(tenant_database: Database) -> None:
    with tenant_database.write() as connection:
        alerts.raise_alert(connection, an_alert(1))
    with tenant_database.write() as connection:
        alerts.raise_alert(connection, an_alert(2))  # the same again: the first one counts on
    with tenant_database.write() as connection:
        for _ in range(2):
            alerts.resolve_of_device(connection, TENANT_ID, device_id(1), "clone", by="person:Ada", at=NOON)

    (raised, first), (resolved, second) = told(tenant_database)
    assert (raised, resolved) == ("alert.raised", "alert.resolved")
    assert first["object"] == second["object"] == {"kind": "alert", "id": counted_id("5", 1)}
    assert first["details"] == {
        "category": "clone",
        "severity": "high",
        "title": "Two machines",
        "device": device_id(1),
        "evidence": {"places": 2},
    }
    assert second["actor"] == "person:Ada"


def change(connection: Connection, number: int, cause: MembershipCause, devices: int, *, joined: bool = True) -> None:
    membership_events.add(
        connection,
        Change(
            id=counted_id("6", number),
            tenant_id=TENANT_ID,
            group_id=group_id(1),
            at=NOON,
            joined=joined,
            cause=cause,
            actor="",
        ),
        [device_id(each) for each in range(devices)],
    )


def test_a_change_of_members_is_told_once_however_many_they_are(tenant_database: Database) -> None:
    with tenant_database.write() as connection:
        change(connection, 1, MembershipCause.RULE_CHANGED, 300)
        change(connection, 2, MembershipCause.DEVICE_CHANGED, 1, joined=False)
        change(connection, 3, MembershipCause.ADDED, 1)
        change(connection, 4, MembershipCause.GROUP_DELETED, 1, joined=False)
        change(connection, 5, MembershipCause.DEVICE_CHANGED, 0)

    (joined, first), (left, second) = told(tenant_database)
    assert (joined, left) == ("group.membersJoined", "group.membersLeft")
    assert (first["details"]["count"], len(first["details"]["devices"])) == (300, 100)
    assert second == {
        "actor": "server",
        "object": {"kind": "group", "id": group_id(1)},
        "details": {"cause": "deviceChanged", "count": 1, "devices": [device_id(0)]},
    }
