"""What happened in a large tenant: audit trail of three months, alerts, what devices told, who came to which group."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from tests.support.manager_world import ACTOR
from tests.support.samples import NOON, TENANT_ID, counted_id, group_id

from benchmarks.bulk_filling import Filling
from shieldwall.server.storage.events.alerts import Severity
from shieldwall.server.storage.tables.device_schema import alerts, device_events
from shieldwall.server.storage.tables.schema import audit_events, membership_events

GROUPS: Final = 80
_PEOPLE: Final = ("person:Ada", "person:Grace", "person:Edsger", "app:Automation")
_ACTS: Final = (
    ("policy.published", "policy"),
    ("group.changed", "group"),
    ("device.tagged", "device"),
    ("package.created", "package"),
    ("alert.resolved", "alert"),
)


def add_what_happened(tables: Filling, chance: random.Random, fleet: int, some: Sequence[str]) -> None:
    """Write it, about some of the devices."""
    many = fleet // 5
    tables.write(audit_events, [_event(chance, number, some) for number in range(many)])
    alert_rows = [_alert(chance, number, chance.choice(some)) for number in range(max(20, fleet // 40))]
    tables.write(alerts, alert_rows)
    tables.write(device_events, [_told(chance, number, chance.choice(some)) for number in range(many // 2)])
    tables.write(membership_events, [_moved(chance, number, chance.choice(some)) for number in range(many // 2)])


def _at(chance: random.Random) -> Any:
    return NOON - timedelta(seconds=chance.randint(0, 7_776_000))


def _event(chance: random.Random, number: int, some: Sequence[str]) -> dict[str, Any]:
    activity, kind = chance.choice(_ACTS)
    return {
        "id": counted_id("1", number),
        "tenant_id": TENANT_ID,
        "at": _at(chance),
        "actor": chance.choice((*_PEOPLE, ACTOR)),
        "activity": activity,
        "object_kind": kind,
        "object_id": chance.choice(some),
        "details": '{"name":"something"}',
    }


def _alert(chance: random.Random, number: int, device: str) -> dict[str, Any]:
    at = _at(chance)
    closed = number % 5 != 0
    return {
        "id": counted_id("2", number),
        "tenant_id": TENANT_ID,
        "device_id": device,
        "kind": chance.choice(("tampering", "clonedIdentity", "settingContested", "malwareFound")),
        "severity": chance.choice(list(Severity)).value,
        "title": f"Something happened {number % 12}",
        "details": "{}",
        "first_at": at,
        "last_at": at,
        "times": chance.randint(1, 9),
        "resolved_at": at if closed else None,
        "resolved_by": "person:Ada" if closed else None,
    }


def _told(chance: random.Random, number: int, device: str) -> dict[str, Any]:
    at = _at(chance)
    return {
        "id": counted_id("3", number),
        "tenant_id": TENANT_ID,
        "device_id": device,
        "at": at,
        "received_at": at,
        "kind": "malwareFound",
        "severity": "high",
        "title": "A file was found",
        "subject": f"/srv/data/{number}",
        "details": "{}",
        "times": 1,
    }


def _moved(chance: random.Random, number: int, device: str) -> dict[str, Any]:
    return {
        "id": counted_id("4", number),
        "tenant_id": TENANT_ID,
        "group_id": group_id(chance.randrange(GROUPS)),
        "device_id": device,
        "at": _at(chance),
        "joined": True,
        "cause": "ruleChanged person:Ada",
    }
