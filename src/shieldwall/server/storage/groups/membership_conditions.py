"""Who belongs to which groups, as conditions for queries about devices.

Queries may read the same tables themselves: what is looked up here are aliases, so that it stays what it is wherever
it is put. Sets of devices are ids on SQLite: there a number is part of every index, and two sets in one query, one of
ids and one of numbers, may be looked up each by each.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from sqlalchemy import BindParameter, ColumnElement, Connection, ScalarSelect, Select, exists, select

from shieldwall.contract.ids import DeviceId, GroupId, TenantId
from shieldwall.server.storage.tables.schema import devices, group_members, groups, inventory

_GROUPS: Final = groups.alias("named_groups")
_DEVICES: Final = devices.alias("named_devices")
_LISTED: Final = inventory.alias("named_rows")
_MEMBERS: Final = group_members.alias("named_members")
_BESIDE: Final[dict[Any, ColumnElement[int]]] = {
    inventory.c.device_id: inventory.c.number,
    devices.c.id: devices.c.number,
}


def number_of_group(group_id: GroupId | BindParameter[Any]) -> ScalarSelect[int]:
    """Look up the number of a group; nothing is equal to that of one that is not there."""
    return select(_GROUPS.c.number).where(_GROUPS.c.id == group_id).scalar_subquery()


def number_of_device(device_id: DeviceId) -> ScalarSelect[int]:
    """Look up the number of a device; nothing is equal to that of one that is not there."""
    return select(_DEVICES.c.number).where(_DEVICES.c.id == device_id).scalar_subquery()


def of_group(connection: Connection, group_id: GroupId) -> ColumnElement[bool]:
    """Say that a membership is one of a group: by its number itself, of which PostgreSQL knows how many there are."""
    return _MEMBERS.c.group_number == connection.scalars(select(number_of_group(group_id))).one()


def of_groups(group_ids: Collection[GroupId] | Select[Any], tenant_id: TenantId | None = None) -> ColumnElement[bool]:
    """Say that a membership is one of these groups, or of those of them that are a tenant's."""
    wanted = group_ids if isinstance(group_ids, Select) else sorted(group_ids)
    numbers = select(_GROUPS.c.number).where(_GROUPS.c.id.in_(wanted))
    return _MEMBERS.c.group_number.in_(
        numbers if tenant_id is None else numbers.where(_GROUPS.c.tenant_id == tenant_id)
    )


def numbers_of_members(membership: ColumnElement[bool]) -> Select[int]:
    """Select the numbers of the devices whose memberships are so; on SQLite for what no index is taken for."""
    return select(_MEMBERS.c.device_number).where(membership)


def ids_of_members(membership: ColumnElement[bool]) -> Select[str]:
    """Select the ids of the devices whose memberships are so; a device may come several times.

    They are read from the list of devices, whose rows have them too and are a third as long.
    """
    joined = _MEMBERS.join(_LISTED, _LISTED.c.number == _MEMBERS.c.device_number)
    return select(_LISTED.c.device_id).select_from(joined).where(membership)


def belongs(device_id: ColumnElement[Any], membership: ColumnElement[bool]) -> ColumnElement[bool]:
    """Say that the device which a column of the query names by its id has a membership that is so: row by row.

    Where its number stands beside that, nothing else is looked up.
    """
    number = _BESIDE.get(device_id)
    if number is not None:
        return exists().where(_MEMBERS.c.device_number == number, membership)
    return exists().where(_DEVICES.c.id == device_id, _MEMBERS.c.device_number == _DEVICES.c.number, membership)
