"""The history of groups: who joined and left, when and why. Events are added, never changed; they outlive groups."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, insert, literal, select

from shieldwall.contract.ids import DeviceId, GroupId, TenantId
from shieldwall.server.storage.engine import outbox
from shieldwall.server.storage.records import MembershipCause, MembershipEvent, Page
from shieldwall.server.storage.statements import paging
from shieldwall.server.storage.statements.bulk import MOST_AT_ONCE, listed
from shieldwall.server.storage.statements.rows import portions
from shieldwall.server.storage.tables.schema import membership_events

_PLACE: Final = 8
"""Digits of an event's id that count the devices of one change."""


_MOST_NAMED: Final = 100
"""Devices that are named to those who follow events."""
_TOLD_ELSEWHERE: Final = {MembershipCause.ADDED, MembershipCause.REMOVED, MembershipCause.GROUP_DELETED}
"""What an administrator did stands in the audit trail."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What happened to one group in one moment. Its id names its events, each with a number of its own."""

    id: str
    tenant_id: TenantId
    group_id: GroupId
    at: datetime
    joined: bool
    cause: MembershipCause
    actor: str


def add(connection: Connection, change: Change, device_ids: Collection[DeviceId]) -> None:
    """Add the events of a change, one a device. Those who follow events hear of all of them at once."""
    columns = membership_events.c
    alike = {
        "tenant_id": change.tenant_id,
        "group_id": change.group_id,
        "at": change.at,
        "joined": change.joined,
        "cause": f"{change.cause} {change.actor}",
    }
    chosen = [literal(value, columns[name].type).label(name) for name, value in alike.items()]
    for start, devices in enumerate(portions(sorted(device_ids), MOST_AT_ONCE)):
        rows = listed(connection, devices, start=start * MOST_AT_ONCE)
        source = select((rows.place + change.id[_PLACE:]).label("id"), rows.value, *chosen)
        connection.execute(insert(membership_events).from_select(["id", "device_id", *alike], source))
    if device_ids and change.cause not in _TOLD_ELSEWHERE:
        outbox.note(connection, _told(change, device_ids))


def list_events(
    connection: Connection,
    tenant_id: TenantId,
    page: Page,
    *,
    group_id: GroupId | None = None,
    device_id: DeviceId | None = None,
) -> tuple[MembershipEvent, ...]:
    """Return one page of the events of a group, of a device, or of both together; newest first unless told."""
    columns = membership_events.c
    query = select(membership_events).where(columns.tenant_id == tenant_id)
    if group_id is not None:
        query = query.where(columns.group_id == group_id)
    if device_id is not None:
        query = query.where(columns.device_id == device_id)
    return tuple(map(_event, paging.newest_first(connection, query, page, columns.at, columns.id)))


def _event(row: Row[Any]) -> MembershipEvent:
    columns = row._asdict()
    cause, _, actor = columns["cause"].partition(" ")
    return MembershipEvent(**(columns | {"cause": MembershipCause(cause), "actor": actor}))


def _told(change: Change, device_ids: Collection[DeviceId]) -> outbox.Event:
    named = sorted(device_ids)[:_MOST_NAMED]
    details = {"cause": change.cause.value, "count": len(device_ids), "devices": named}
    told = outbox.told(actor=change.actor or "server", kind="group", object_id=change.group_id, details=details)
    kind = "group.membersJoined" if change.joined else "group.membersLeft"
    return outbox.Event(id=change.id, tenant_id=change.tenant_id, at=change.at, kind=kind, details=told)
