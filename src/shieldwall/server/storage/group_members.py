"""Which devices belong to which groups."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from sqlalchemy import ColumnElement, Connection, delete, func, literal, select, tuple_

from shieldwall.contract.ids import DeviceId, GroupId
from shieldwall.server.storage import paging
from shieldwall.server.storage.bulk import MOST_AT_ONCE, apart, is_named, is_one_of, together, unsought
from shieldwall.server.storage.database import insert_ignoring
from shieldwall.server.storage.records import Page
from shieldwall.server.storage.rows import portions
from shieldwall.server.storage.schema import devices, group_members, groups, inventory

_OF_EACH: Final = (
    select(group_members.c.device_id, together(group_members.c.group_id).label("group_ids"))
    .where(is_named(group_members.c.device_id))
    .group_by(group_members.c.device_id)
    .subquery()
)
_MEMBERSHIPS: Final = select(_OF_EACH.c.group_ids, together(_OF_EACH.c.device_id)).group_by(_OF_EACH.c.group_ids)


def add_members(connection: Connection, group_id: GroupId, device_ids: Iterable[DeviceId]) -> None:
    """Let devices of the group's tenant belong to it; those that do already stay."""
    columns = ["group_id", "device_id", "tenant_id"]
    for joining in portions(sorted(set(device_ids)), MOST_AT_ONCE):
        of_one_tenant = select(groups.c.id, devices.c.id, groups.c.tenant_id).where(
            groups.c.id == group_id,
            is_one_of(connection, devices.c.id, joining),
            unsought(devices.c.tenant_id) == groups.c.tenant_id,
        )
        connection.execute(insert_ignoring(connection, group_members).from_select(columns, of_one_tenant))


def remove_members(connection: Connection, group_id: GroupId, device_ids: Iterable[DeviceId]) -> None:
    """Let devices belong to a group no more."""
    for leaving in portions(sorted(set(device_ids)), MOST_AT_ONCE):
        theirs = is_one_of(connection, group_members.c.device_id, leaving)
        connection.execute(delete(group_members).where(group_members.c.group_id == group_id, theirs))


def remove_from_all(connection: Connection, device_id: DeviceId) -> None:
    """Take a device out of every group."""
    connection.execute(delete(group_members).where(group_members.c.device_id == device_id))


def is_member(connection: Connection, group_id: GroupId, device_id: DeviceId) -> bool:
    """Whether a device belongs to a group."""
    query = select(group_members.c.device_id).where(
        group_members.c.group_id == group_id, group_members.c.device_id == device_id
    )
    return connection.execute(query).first() is not None


def list_members(connection: Connection, group_id: GroupId, page: Page) -> tuple[DeviceId, ...]:
    """Return one page of the ids of a group's members, ordered by id; for a page that asks more, ``members_among``."""
    query = select(group_members.c.device_id).where(group_members.c.group_id == group_id)
    return tuple(DeviceId(row[0]) for row in paging.rows(connection, query, page, group_members.c.device_id))


def members_among(group_id: GroupId) -> ColumnElement[bool]:
    """Say that a device of a listing belongs to a group."""
    return inventory.c.device_id.in_(select(group_members.c.device_id).where(group_members.c.group_id == group_id))


def member_ids(connection: Connection, group_id: GroupId, most: int | None = None) -> frozenset[DeviceId]:
    """Return the ids of all members of a group, or of so many of them."""
    query = select(group_members.c.device_id).where(group_members.c.group_id == group_id)
    return frozenset(map(DeviceId, connection.scalars(query.limit(most))))


def members_of_these(
    connection: Connection, group_id: GroupId, device_ids: Collection[DeviceId]
) -> frozenset[DeviceId]:
    """Return those of these devices that belong to a group."""
    query = select(group_members.c.device_id).where(
        group_members.c.group_id == group_id, is_one_of(connection, group_members.c.device_id, device_ids)
    )
    return frozenset(map(DeviceId, connection.scalars(query)))


def member_pairs(
    connection: Connection, group_ids: Collection[GroupId], among: Collection[DeviceId] | None = None
) -> tuple[tuple[DeviceId, GroupId], ...]:
    """Return who belongs to which of these groups, ordered by device and group; of all devices, or those ``among``."""
    query = (
        select(group_members.c.device_id, group_members.c.group_id)
        .where(is_one_of(connection, group_members.c.group_id, group_ids))
        .order_by(group_members.c.device_id, group_members.c.group_id)
    )
    if among is not None:
        query = query.where(is_one_of(connection, group_members.c.device_id, among))
    return tuple((DeviceId(device_id), GroupId(group_id)) for device_id, group_id in connection.execute(query))


class Member(NamedTuple):
    """A device in a group, and its directory object."""

    group_id: GroupId
    device_id: DeviceId
    object_id: str


def members_after(
    connection: Connection, group_ids: Collection[GroupId], after: tuple[GroupId, DeviceId], size: int
) -> tuple[Member, ...]:
    """Return the members of these groups behind a place, ordered by group and device, at most so many."""
    query = (
        select(group_members.c.group_id, group_members.c.device_id, devices.c.object_id)
        .join(devices, devices.c.id == group_members.c.device_id)
        .where(
            is_one_of(connection, group_members.c.group_id, sorted(group_ids)),
            tuple_(group_members.c.group_id, group_members.c.device_id) > tuple_(*map(literal, after)),
        )
        .order_by(group_members.c.group_id, group_members.c.device_id)
        .limit(size)
    )
    return tuple(Member(GroupId(group), DeviceId(device), found) for group, device, found in connection.execute(query))


def belonging(connection: Connection, pairs: Collection[tuple[GroupId, str]]) -> frozenset[tuple[GroupId, str]]:
    """Return those of these pairs of a group and a directory object that belong together now."""
    found: set[tuple[GroupId, str]] = set()
    for portion in portions(sorted(pairs)):
        query = (
            select(group_members.c.group_id, devices.c.object_id)
            .join(devices, devices.c.id == group_members.c.device_id)
            .where(
                is_one_of(connection, devices.c.object_id, sorted({each for _, each in portion})),
                is_one_of(connection, group_members.c.group_id, sorted({group for group, _ in portion})),
            )
        )
        found |= {(GroupId(group_id), object_id) for group_id, object_id in connection.execute(query)}
    return frozenset(found.intersection(pairs))


def count_members(
    connection: Connection, group_id: GroupId, only: Sequence[ColumnElement[bool]] = (), *, most: int | None = None
) -> int:
    """Return how many members a group has, counted no further than ``most``; ``only`` speaks of ``group_members``."""
    query = select(group_members.c.device_id).where(group_members.c.group_id == group_id, *only)
    return connection.scalars(select(func.count()).select_from(query.limit(most).subquery())).one()


def find_members(connection: Connection, group_id: GroupId, page: Page) -> tuple[DeviceId, ...]:
    """Return one page of the ids of a group's members, ordered by id; the page's conditions speak of ``inventory``.

    The group is gone through, and not the fleet: a few members are found soon, however many devices there are.
    """
    query = (
        select(group_members.c.device_id)
        .join(inventory, inventory.c.device_id == group_members.c.device_id)
        .where(group_members.c.group_id == group_id)
    )
    return tuple(DeviceId(row[0]) for row in paging.rows(connection, query, page, group_members.c.device_id))


def place_behind(connection: Connection, group_id: GroupId, after: DeviceId | None, members: int) -> DeviceId | None:
    """Return the member so many places behind another one, in the order of ids; ``None`` where there are not as many.

    Who searches a large group looks so far at a time.
    """
    query = select(group_members.c.device_id).where(group_members.c.group_id == group_id)
    if after is not None:
        query = query.where(group_members.c.device_id > after)
    found = connection.scalars(query.order_by(group_members.c.device_id).offset(members - 1).limit(1)).one_or_none()
    return None if found is None else DeviceId(found)


def memberships(connection: Connection, device_ids: Iterable[DeviceId]) -> Mapping[DeviceId, frozenset[GroupId]]:
    """Return the groups of each of these devices; a device without groups has an empty set."""
    found: dict[DeviceId, frozenset[GroupId]] = dict.fromkeys(device_ids, frozenset())
    for group_ids, ids in connection.execute(_MEMBERSHIPS, {"ids": sorted(found)}):  # who is in the same shares one set
        found.update(dict.fromkeys(map(DeviceId, apart(ids)), frozenset(map(GroupId, apart(group_ids)))))
    return found
