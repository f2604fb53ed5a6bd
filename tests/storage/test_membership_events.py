"""The history of groups, and the lists behind it, on both engines."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select
from tests.support.samples import NOON, TENANT_ID, a_tenant, counted_id, device_id, group_id

from shieldwall.contract.ids import TenantId
from shieldwall.server.storage.engine.database import Database
from shieldwall.server.storage.groups import membership_events
from shieldwall.server.storage.groups.membership_events import Change
from shieldwall.server.storage.records import MembershipCause, MembershipEvent, Page
from shieldwall.server.storage.statements.bulk import is_one_of, listed
from shieldwall.server.storage.tables.schema import tenants as tenants_table
from shieldwall.server.storage.tenants import tenants

OTHER = TenantId(counted_id("1", 1))


def a_change(number: int, **changes: object) -> Change:
    known = {
        "id": counted_id("f", number),
        "tenant_id": TENANT_ID,
        "group_id": group_id(1),
        "at": NOON + timedelta(minutes=number),
        "joined": True,
        "cause": MembershipCause.ADDED,
        "actor": "Ada Lovelace",
    }
    return Change(**(known | changes))  # type: ignore[arg-type]  # as the keys say


def test_events_are_listed_newest_first_by_group_and_by_device(database: Database) -> None:
    with database.write() as connection:
        tenants.add(connection, a_tenant())
        tenants.add(connection, a_tenant(id=OTHER, domain="other.example"))
        membership_events.add(connection, a_change(1), [device_id(1), device_id(2)])
        membership_events.add(connection, a_change(2, joined=False), [device_id(1)])
        membership_events.add(connection, a_change(3, group_id=group_id(2), actor=""), [device_id(1)])
        membership_events.add(connection, a_change(4, tenant_id=OTHER), [device_id(1)])
        membership_events.add(connection, a_change(5), [])

        of_group = membership_events.list_events(connection, TENANT_ID, Page(), group_id=group_id(1))
        of_device = membership_events.list_events(connection, TENANT_ID, Page(), device_id=device_id(1))

    assert [(event.device_id, event.joined) for event in of_group] == [
        (device_id(1), False),
        (device_id(2), True),
        (device_id(1), True),
    ]
    assert [(event.group_id, event.actor) for event in of_device] == [
        (group_id(2), ""),
        (group_id(1), "Ada Lovelace"),
        (group_id(1), "Ada Lovelace"),
    ]
    assert of_group[0].at == NOON + timedelta(minutes=2)
    assert of_group[0].cause is MembershipCause.ADDED


def test_a_change_of_many_devices_is_written_in_portions(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(membership_events, "MOST_AT_ONCE", 3)
    everyone = [device_id(number) for number in range(1, 11)]
    with database.write() as connection:
        tenants.add(connection, a_tenant())
        membership_events.add(connection, a_change(1), everyone)
        read: list[MembershipEvent] = []
        after: str | None = None
        while page := membership_events.list_events(connection, TENANT_ID, Page(size=4, after=after)):
            read += page
            after = page[-1].id

    assert [event.device_id for event in read] == everyone[::-1]
    assert len({event.id for event in read}) == len(everyone)
    assert {event.id[8:] for event in read} == {counted_id("f", 1)[8:]}


def test_a_list_of_any_texts_travels_as_one_parameter(database: Database) -> None:
    texts = ["b", "a", 'with "quotes"', "it's", "{,}", "straße", "", "NULL", *(f"text {n}" for n in range(40_000))]
    with database.write() as connection:
        tenants.add(connection, a_tenant())
        rows = listed(connection, texts, start=16)
        found = connection.execute(select(rows.place, rows.value).order_by(rows.place)).all()
        here = connection.execute(
            select(tenants_table.c.id).where(is_one_of(connection, tenants_table.c.id, [*texts, TENANT_ID]))
        ).all()
        nowhere = connection.execute(
            select(tenants_table.c.id).where(is_one_of(connection, tenants_table.c.id, []))
        ).all()

    assert [tuple(row) for row in found] == [(f"{place:08x}", text) for place, text in enumerate(texts, start=16)]
    assert [row[0] for row in here] == [TENANT_ID]
    assert nowhere == []
