"""Devices that are alike in what a list is sorted by: they come in one order, whoever goes away between two pages."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import Connection, delete, update
from tests.support.samples import NOON, TENANT_ID, a_device, a_group, device_id, group_id

from shieldwall.contract.ids import DeviceId
from shieldwall.server.storage.check_ins import check_ins
from shieldwall.server.storage.device_records import DeviceState
from shieldwall.server.storage.devices import devices
from shieldwall.server.storage.engine.database import Database
from shieldwall.server.storage.groups import group_members, groups
from shieldwall.server.storage.inventory import inventory, inventory_windows
from shieldwall.server.storage.inventory.inventory_queries import BY_ID, Cut, Filter, Health, Order, Position, Sort
from shieldwall.server.storage.tables.schema import check_ins as check_in_rows
from shieldwall.server.storage.tables.schema import devices as device_rows

EVERYBODY = Filter(inactive_before=NOON - timedelta(days=7), states=frozenset(DeviceState))
CAME = (7, 3, 9, 1, 8, 2, 6, 4, 5)
"""Numbers in the ids of devices, in the order in which they were registered."""
NAMES = {number: f"web-{number % 2}" for number in CAME}
SILENT = frozenset({1, 2, 9})
MEMBERS = frozenset({1, 3, 4, 7, 8})
ORDERS = [Order(by=by, descending=descending) for by in Sort for descending in (False, True)]
FILTERS = {
    "everybody": (EVERYBODY, frozenset(CAME)),
    "silent": (replace(EVERYBODY, health=frozenset({Health.INACTIVE})), SILENT),
    "searched": (replace(EVERYBODY, search="web-1"), frozenset({7, 3, 9, 1, 5})),
    "members": (replace(EVERYBODY, group=group_id(1)), MEMBERS),
}


@pytest.fixture
def fleet(tenant_database: Database) -> Database:
    """Devices that are alike but for their names, of which there are two, and for when they were in touch."""
    with tenant_database.write() as connection:
        groups.add(connection, a_group(1))
        for number in CAME:
            devices.add(connection, a_device(number, display_name=NAMES[number]))
            check_ins.add(connection, device_id(number))
            ago = timedelta(days=30 if number in SILENT else 0)
            connection.execute(
                update(check_in_rows)
                .where(check_in_rows.c.device_id == device_id(number))
                .values(last_check_in=NOON - ago)
            )
        group_members.add_members(connection, group_id(1), [device_id(number) for number in MEMBERS])
    return tenant_database


def in_order(numbers: frozenset[int], order: Order) -> list[DeviceId]:
    """What going through the devices one by one says: they are sorted, then as they came, or by their ids."""

    def place(number: int) -> tuple[str | bool, int]:
        key: str | bool = ""
        match order.by:
            case Sort.NAME | Sort.POLICY_STATE:
                key = NAMES[number]
            case Sort.LAST_CHECK_IN:
                key = number not in SILENT
        return key, number if order.by in BY_ID else CAME.index(number)

    found = sorted(numbers, key=place, reverse=order.descending)
    if order.by is Sort.HEALTH:
        found = sorted(numbers, key=lambda number: (NAMES[number], CAME.index(number)), reverse=order.descending)
        found.sort(key=lambda number: number not in SILENT, reverse=order.descending)
    return [device_id(number) for number in found]


def portion(
    connection: Connection, asked: Filter, cut: Cut, looks: int | None
) -> tuple[list[DeviceId], Position | None]:
    """Read a part of a list and where the next begins; of a large fleet so many rows at a time."""
    if looks is not None:
        window = inventory_windows.look_through(connection, TENANT_ID, asked, cut, looks)
        return [each.device_id for each in window.found], window.further
    found = inventory.portion(connection, TENANT_ID, asked, cut)
    return [each.device_id for each in found], found[-1].position if len(found) == cut.size else None


def rest(connection: Connection, asked: Filter, cut: Cut, looks: int | None = None) -> list[DeviceId]:
    """Read what a list has from there on, page by page."""
    whole: list[DeviceId] = []
    while True:
        found, after = portion(connection, asked, cut, looks)
        whole += found
        if after is None:
            return whole
        cut = replace(cut, after=after)


def test_they_come_in_the_order_of_the_list_on_every_page(fleet: Database) -> None:
    with fleet.read() as connection:
        for asked, fitting in FILTERS.values():
            for order in ORDERS:
                for size in (1, 4, 20):
                    assert rest(connection, asked, Cut(order=order, size=size)) == in_order(fitting, order), (
                        asked,
                        order,
                        size,
                    )


def test_a_large_fleet_looked_through_in_parts_has_them_in_the_same_order(fleet: Database) -> None:
    with fleet.read() as connection:
        for asked, fitting in FILTERS.values():
            for order in ORDERS:
                for looks in (1, 4):
                    found = rest(connection, asked, Cut(order=order, size=2), looks)
                    assert found == in_order(fitting, order), (asked, order, looks)


@pytest.mark.parametrize("looks", [None, 3])
def test_the_page_after_a_device_that_is_gone_begins_where_it_would_have(fleet: Database, looks: int | None) -> None:
    for order in ORDERS:
        expected = in_order(frozenset(CAME), order)
        with fleet.write() as connection:
            untouched = connection.begin_nested()
            found: list[DeviceId] = []
            after: Position | None = None
            while len(found) < 3:
                some, after = portion(connection, EVERYBODY, Cut(order=order, after=after, size=3 - len(found)), looks)
                found += some
            connection.execute(delete(check_in_rows).where(check_in_rows.c.device_id == found[-1]))
            connection.execute(delete(device_rows).where(device_rows.c.id == found[-1]))
            found += rest(connection, EVERYBODY, Cut(order=order, after=after, size=2), looks)
            untouched.rollback()
        assert found == expected, order
