"""Who sees which devices is the same by every column that names them, and whatever else the query reads."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import ColumnElement, Connection, select
from tests.support.samples import NOON, TENANT_ID, a_device, a_group, device_id, group_id

from shieldwall.server.access.grants import DEFAULT_TAG, Scope
from shieldwall.server.storage.access import scope_tags, scoping
from shieldwall.server.storage.access_records import ScopeTag
from shieldwall.server.storage.check_ins import check_ins
from shieldwall.server.storage.devices import devices
from shieldwall.server.storage.engine.database import Database
from shieldwall.server.storage.groups import group_members, groups
from shieldwall.server.storage.tables.schema import check_ins as check_in_table
from shieldwall.server.storage.tables.schema import devices as device_table
from shieldwall.server.storage.tables.schema import inventory

OWN, OF_GROUP = "1", "2"
UNTAGGED = {device_id(1), device_id(4)}
COLUMNS = (device_table.c.id, inventory.c.device_id, check_in_table.c.device_id)


@pytest.fixture
def tagged(tenant_database: Database) -> Database:
    """Four devices: two in a group of which one is tagged by it, one that has a tag itself, and one with nothing."""
    with tenant_database.write() as connection:
        for number in range(1, 5):
            devices.add(connection, a_device(number))
            check_ins.add(connection, device_id(number))
        for number, members in ((1, [1, 2]), (2, [2])):
            groups.add(connection, a_group(number))
            group_members.add_members(connection, group_id(number), map(device_id, members))
        for tag in (OWN, OF_GROUP):
            made = ScopeTag(id=tag, tenant_id=TENANT_ID, display_name=tag, description="", created_at=NOON)
            scope_tags.add(connection, made)
        scope_tags.set_groups(connection, TENANT_ID, OF_GROUP, [group_id(2)])
        scope_tags.set_of_device(connection, TENANT_ID, device_id(3), [OWN])
    return tenant_database


def seen(connection: Connection, column: ColumnElement[Any], condition: ColumnElement[bool]) -> set[str]:
    found = set(connection.scalars(select(column).where(condition)))
    return found & set(map(device_id, range(1, 5)))


@pytest.mark.parametrize("column", COLUMNS, ids=str)
def test_devices_are_seen_by_their_tags(tagged: Database, column: ColumnElement[Any]) -> None:
    ways = (
        ({OWN}, {device_id(3)}),
        ({OF_GROUP}, {device_id(2)}),
        ({DEFAULT_TAG}, UNTAGGED),
        ({DEFAULT_TAG, OF_GROUP}, UNTAGGED | {device_id(2)}),
    )
    with tagged.read() as connection:
        for tags, expected in ways:
            condition = scoping.sees_device(TENANT_ID, [Scope(tags=frozenset(tags))], column)
            assert seen(connection, column, condition) == expected


@pytest.mark.parametrize("column", COLUMNS, ids=str)
def test_devices_are_acted_on_within_groups(tagged: Database, column: ColumnElement[Any]) -> None:
    scope = Scope(tags=frozenset({DEFAULT_TAG}), groups=frozenset({group_id(1)}))
    with tagged.read() as connection:
        assert seen(connection, column, scoping.acts_on_device(TENANT_ID, [scope], column)) == {device_id(1)}


def test_members_are_counted_and_found_as_far_as_they_are_seen(tagged: Database) -> None:
    scope = [Scope(tags=frozenset({DEFAULT_TAG}))]
    with tagged.read() as connection:
        counted = (scoping.sees_device(TENANT_ID, scope, device_table.c.id),)
        assert group_members.count_members(connection, group_id(1), counted) == 1
        listed = (scoping.sees_device(TENANT_ID, scope, inventory.c.device_id),)
        found = group_members.find_members(connection, group_id(1), listed, 10)
        assert [each.device_id for each in found] == [device_id(1)]
