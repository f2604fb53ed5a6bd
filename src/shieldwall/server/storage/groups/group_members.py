"""Which devices belong to which groups: pairs of numbers, which nobody outside of storage sees (decision 0091)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from sqlalchemy import ColumnElement, Connection, Text, cast, delete, exists, func, select

from shieldwall.contract.ids import DeviceId, GroupId
from shieldwall.server.storage.engine.database import insert_ignoring
from shieldwall.server.storage.groups.membership_conditions import (
    ids_of_members,
    number_of_device,
    number_of_group,
    numbers_of_members,
    of_group,
)
from shieldwall.server.storage.records import Page
from shieldwall.server.storage.statements import paging
from shieldwall.server.storage.statements.bounds import bounded
from shieldwall.server.storage.statements.bulk import MOST_AT_ONCE, apart, is_named, is_one_of, together, unsought
from shieldwall.server.storage.statements.rows import portions
from shieldwall.server.storage.tables.schema import devices, group_members, groups, inventory

FEW: Final = 5_000
"""Members that are put in the order of their ids; of more, the devices are gone through in that order."""

_OF_EACH: Final = (
    select(devices.c.id, devices.c.number, together(cast(group_members.c.group_number, Text)).label("groups"))
    .join(group_members, group_members.c.device_number == devices.c.number)
    .where(is_named(devices.c.id))
    .group_by(devices.c.id, devices.c.number)
    .subquery()
)
_ALIKE: Final = (
    select(func.min(_OF_EACH.c.number).label("one"), together(_OF_EACH.c.id).label("ids"))
    .group_by(_OF_EACH.c.groups)
    .subquery()
)
_MEMBERSHIPS: Final = select(
    select(together(groups.c.id))
    .join(group_members, group_members.c.group_number == groups.c.number)
    .where(group_members.c.device_number == _ALIKE.c.one)
    .scalar_subquery(),
    _ALIKE.c.ids,
)


def add_members(connection: Connection, group_id: GroupId, device_ids: Iterable[DeviceId]) -> None:
    """Let devices of the group's tenant belong to it; those that do already stay."""
    columns = ["group_number", "device_number"]
    for joining in portions(sorted(set(device_ids)), MOST_AT_ONCE):
        of_one_tenant = select(groups.c.number, devices.c.number).where(
            groups.c.id == group_id,
            is_one_of(connection, devices.c.id, joining),
            unsought(devices.c.tenant_id) == groups.c.tenant_id,
        )
        connection.execute(insert_ignoring(connection, group_members).from_select(columns, of_one_tenant))


def remove_members(connection: Connection, group_id: GroupId, device_ids: Iterable[DeviceId]) -> None:
    """Let devices belong to a group no more."""
    for leaving in portions(sorted(set(device_ids)), MOST_AT_ONCE):
        theirs = select(devices.c.number).where(is_one_of(connection, devices.c.id, leaving))
        connection.execute(
            delete(group_members).where(
                group_members.c.group_number == number_of_group(group_id), group_members.c.device_number.in_(theirs)
            )
        )


def remove_from_all(connection: Connection, device_id: DeviceId) -> None:
    """Take a device out of every group."""
    connection.execute(delete(group_members).where(group_members.c.device_number == number_of_device(device_id)))


def is_member(connection: Connection, group_id: GroupId, device_id: DeviceId) -> bool:
    """Whether a device belongs to a group."""
    query = select(group_members.c.device_number).where(
        group_members.c.group_number == number_of_group(group_id),
        group_members.c.device_number == number_of_device(device_id),
    )
    return connection.execute(query).first() is not None


def list_members(connection: Connection, group_id: GroupId, page: Page) -> tuple[DeviceId, ...]:
    """Return one page of the ids of a group's members, ordered by id; for a page that asks more, ``members_among``."""
    if page.tally is not None:
        page.tally.total = count_members(connection, group_id)
        page = replace(page, tally=None)
    number = connection.scalars(select(number_of_group(group_id))).one()
    identity: ColumnElement[str] = devices.c.id
    if count_members(connection, group_id, most=FEW + 1) > FEW:
        belongs = exists().where(
            group_members.c.group_number == number, group_members.c.device_number == devices.c.number
        )
        query = select(devices.c.id).where(belongs)
    else:
        members = select(group_members.c.device_number).where(group_members.c.group_number == number)
        query = select(devices.c.id).where(devices.c.number.in_(members))
        identity = unsought(devices.c.id)
    return tuple(DeviceId(row[0]) for row in paging.rows(connection, query, page, identity))


def members_among(connection: Connection, group_id: GroupId) -> ColumnElement[bool]:
    """Say that a device of a listing belongs to a group."""
    membership = of_group(connection, group_id)
    if connection.dialect.name == "sqlite":
        return inventory.c.device_id.in_(ids_of_members(membership))
    return inventory.c.number.in_(numbers_of_members(membership))


def member_ids(connection: Connection, group_id: GroupId, most: int | None = None) -> frozenset[DeviceId]:
    """Return the ids of all members of a group, or of so many of them."""
    return frozenset(map(DeviceId, connection.scalars(ids_of_members(of_group(connection, group_id)).limit(most))))


def members_of_these(
    connection: Connection, group_id: GroupId, device_ids: Collection[DeviceId]
) -> frozenset[DeviceId]:
    """Return those of these devices that belong to a group."""
    query = (
        select(devices.c.id)
        .join(group_members, group_members.c.device_number == devices.c.number)
        .where(
            group_members.c.group_number == number_of_group(group_id), is_one_of(connection, devices.c.id, device_ids)
        )
    )
    return frozenset(map(DeviceId, connection.scalars(query)))


def member_pairs(
    connection: Connection, group_ids: Collection[GroupId], among: Collection[DeviceId] | None = None
) -> tuple[tuple[DeviceId, GroupId], ...]:
    """Return who belongs to which of these groups, one group after the other; of all devices, or those ``among``."""
    query = (
        select(devices.c.id, groups.c.id)
        .select_from(group_members)
        .join(groups, groups.c.number == group_members.c.group_number)
        .join(devices, devices.c.number == group_members.c.device_number)
        .where(is_one_of(connection, groups.c.id, group_ids))
        .order_by(group_members.c.group_number)
    )
    if among is not None:
        query = query.where(is_one_of(connection, devices.c.id, among))
    return tuple((DeviceId(device_id), GroupId(group_id)) for device_id, group_id in connection.execute(query))


class Member(NamedTuple):
    """A device in a group, and its directory object."""

    group_id: GroupId
    device_id: DeviceId
    object_id: str


def members_after(
    connection: Connection, group_ids: Collection[GroupId], after: tuple[GroupId, DeviceId], size: int
) -> tuple[Member, ...]:
    """Return the members of these groups behind a place, at most so many: by the groups' ids, then as devices came.

    Where the device of that place is gone meanwhile, its group begins anew: nobody is left out.
    """
    wanted = (
        select(groups.c.id, groups.c.number)
        .where(
            is_one_of(connection, groups.c.id, sorted(each for each in group_ids if each >= after[0])),
            exists().where(group_members.c.group_number == groups.c.number),
        )
        .order_by(groups.c.id)
    )
    found: list[Member] = []
    for group_id, number in connection.execute(wanted).all():
        query = (
            select(devices.c.id, devices.c.object_id)
            .join(group_members, group_members.c.device_number == devices.c.number)
            .where(group_members.c.group_number == number)
            .order_by(group_members.c.device_number)
            .limit(size - len(found))
        )
        if group_id == after[0]:
            query = query.where(group_members.c.device_number > place_of(connection, after[1]))
        found += (Member(GroupId(group_id), DeviceId(device), one) for device, one in connection.execute(query))
        if len(found) >= size:
            break
    return tuple(found)


def belonging(connection: Connection, pairs: Collection[tuple[GroupId, str]]) -> frozenset[tuple[GroupId, str]]:
    """Return those of these pairs of a group and a directory object that belong together now."""
    found: set[tuple[GroupId, str]] = set()
    for portion in portions(sorted(pairs)):
        query = (
            select(groups.c.id, devices.c.object_id)
            .select_from(group_members)
            .join(groups, groups.c.number == group_members.c.group_number)
            .join(devices, devices.c.number == group_members.c.device_number)
            .where(
                is_one_of(connection, devices.c.object_id, sorted({each for _, each in portion})),
                is_one_of(connection, groups.c.id, sorted({group for group, _ in portion})),
            )
        )
        found |= {(GroupId(group_id), object_id) for group_id, object_id in connection.execute(query)}
    return frozenset(found.intersection(pairs))


def count_members(
    connection: Connection, group_id: GroupId, only: Sequence[ColumnElement[bool]] = (), *, most: int | None = None
) -> int:
    """Return how many members a group has, counted no further than ``most``; ``only`` speaks of ``devices``."""
    query = select(group_members.c.device_number).where(group_members.c.group_number == number_of_group(group_id))
    if only:
        query = query.join(devices, devices.c.number == group_members.c.device_number).where(*only)
    return connection.scalars(select(func.count()).select_from(query.limit(most).subquery())).one()


class Placed(NamedTuple):
    """A member, and its place among those of its group: as devices came."""

    device_id: DeviceId
    place: int


def find_members(
    connection: Connection, group_id: GroupId, where: Sequence[ColumnElement[bool]], size: int, *, behind: int = 0
) -> tuple[Placed, ...]:
    """Return the next members of a group behind a place, as they came; ``where`` speaks of ``inventory``.

    The group is gone through, and not the fleet: a few members are found soon, however many devices there are.
    """
    query = (
        select(inventory.c.device_id, group_members.c.device_number)
        .join(inventory, inventory.c.number == group_members.c.device_number)
        .where(
            group_members.c.group_number == number_of_group(group_id), group_members.c.device_number > behind, *where
        )
        .order_by(group_members.c.device_number)
        .limit(size)
    )
    with bounded(connection):
        return tuple(Placed(DeviceId(device), place) for device, place in connection.execute(query))


def place_behind(connection: Connection, group_id: GroupId, behind: int, members: int) -> Placed | None:
    """Return the member so many places behind a place; ``None`` where there are not as many.

    Who searches a large group looks so far at a time, and says so by ``up_to``.
    """
    last = (
        select(group_members.c.device_number)
        .where(group_members.c.group_number == number_of_group(group_id), group_members.c.device_number > behind)
        .order_by(group_members.c.device_number)
        .offset(members - 1)
        .limit(1)
        .scalar_subquery()
    )
    found = connection.execute(select(devices.c.id, devices.c.number).where(devices.c.number == last)).one_or_none()
    return None if found is None else Placed(DeviceId(found[0]), found[1])


def up_to(last: Placed) -> ColumnElement[bool]:
    """Say that a device of a listing has the place of a member, or one before it."""
    return inventory.c.number <= last.place


def place_of(connection: Connection, device_id: DeviceId | None) -> int:
    """Return the place of a device among those of any group; before the first where there is no such device."""
    return connection.scalars(select(devices.c.number).where(devices.c.id == device_id)).one_or_none() or 0


def memberships(connection: Connection, device_ids: Iterable[DeviceId]) -> Mapping[DeviceId, frozenset[GroupId]]:
    """Return the groups of each of these devices; a device without groups has an empty set."""
    found: dict[DeviceId, frozenset[GroupId]] = dict.fromkeys(device_ids, frozenset())
    for group_ids, ids in connection.execute(_MEMBERSHIPS, {"ids": sorted(found)}):  # who is in the same shares one set
        found.update(dict.fromkeys(map(DeviceId, apart(ids)), frozenset(map(GroupId, apart(group_ids)))))
    return found
