"""Groups and who belongs to them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Connection, Row, and_, delete, func, insert, literal, select, tuple_, update
from sqlalchemy.exc import IntegrityError

from shieldwall.contract.ids import DeviceId, GroupId, TenantId
from shieldwall.server.storage import paging
from shieldwall.server.storage.bulk import MOST_AT_ONCE, apart, is_named, is_one_of, together, unsought
from shieldwall.server.storage.database import insert_ignoring
from shieldwall.server.storage.errors import AlreadyExistsError, NotFoundError, StillReferencedError
from shieldwall.server.storage.records import Group, Page, ProcessingState
from shieldwall.server.storage.rows import columns_of, portions
from shieldwall.server.storage.schema import devices, group_members, groups, inventory

_OF_EACH: Final = (
    select(group_members.c.device_id, together(group_members.c.group_id).label("group_ids"))
    .where(is_named(group_members.c.device_id))
    .group_by(group_members.c.device_id)
    .subquery()
)
_MEMBERSHIPS: Final = select(_OF_EACH.c.group_ids, together(_OF_EACH.c.device_id)).group_by(_OF_EACH.c.group_ids)


def get(connection: Connection, group_id: GroupId) -> Group:
    """Return a group. Raises: NotFoundError."""
    if (group := find(connection, group_id)) is None:
        raise NotFoundError(f"There is no group {group_id}.")
    return group


def find(connection: Connection, group_id: GroupId) -> Group | None:
    """Return a group, or ``None``."""
    row = connection.execute(select(groups).where(groups.c.id == group_id)).one_or_none()
    return None if row is None else _group(row)


def list_groups(connection: Connection, tenant_id: TenantId, page: Page) -> tuple[Group, ...]:
    """Return one page of a tenant's groups, ordered by id unless the page says otherwise."""
    query = select(groups).where(groups.c.tenant_id == tenant_id)
    return tuple(map(_group, paging.rows(connection, query, page, groups.c.id)))


def rules_in_force(connection: Connection, tenant_id: TenantId) -> tuple[tuple[GroupId, str], ...]:
    """Return the groups of a tenant that a rule decides, unless they are paused, with their rules; ordered by id."""
    query = (
        select(groups.c.id, groups.c.membership_rule)
        .where(
            groups.c.tenant_id == tenant_id,
            groups.c.membership_rule.is_not(None),
            groups.c.processing_state == ProcessingState.ON.value,
        )
        .order_by(groups.c.id)
    )
    return tuple((GroupId(group_id), rule) for group_id, rule in connection.execute(query))


def ids_of_tenant(connection: Connection, tenant_id: TenantId) -> tuple[GroupId, ...]:
    """Return all groups of a tenant, ordered by id."""
    query = select(groups.c.id).where(groups.c.tenant_id == tenant_id).order_by(groups.c.id)
    return tuple(map(GroupId, connection.scalars(query)))


def list_with_rule_like(connection: Connection, tenant_id: TenantId, word: str) -> tuple[Group, ...]:
    """Return the groups of a tenant in whose rule a word stands, in any case; ordered by id. No word is in each."""
    query = (
        select(groups)
        .where(groups.c.tenant_id == tenant_id, func.lower(groups.c.membership_rule).contains(word.lower()))
        .order_by(groups.c.id)
    )
    return tuple(map(_group, connection.execute(query)))


def called(connection: Connection, tenant_id: TenantId, name: str) -> tuple[Group, ...]:
    """Return the groups of a tenant that have exactly this name; several may."""
    query = select(groups).where(groups.c.tenant_id == tenant_id, groups.c.display_name == name).order_by(groups.c.id)
    return tuple(map(_group, connection.execute(query)))


def find_many(connection: Connection, group_ids: Collection[GroupId]) -> tuple[Group, ...]:
    """Return those of the groups that exist, ordered by id."""
    query = select(groups).where(is_one_of(connection, groups.c.id, sorted(group_ids))).order_by(groups.c.id)
    return tuple(map(_group, connection.execute(query)))


def names(connection: Connection, group_ids: Collection[GroupId]) -> Mapping[GroupId, str]:
    """Return the display names of those of these groups that are there."""
    query = select(groups.c.id, groups.c.display_name).where(is_one_of(connection, groups.c.id, group_ids))
    return {GroupId(group_id): name for group_id, name in connection.execute(query)}


def add(connection: Connection, group: Group) -> None:
    """Add a group. Raises: AlreadyExistsError."""
    try:
        connection.execute(insert(groups).values(_columns(group)))
    except IntegrityError as error:
        raise AlreadyExistsError(f"A group {group.id} is there already.") from error


def put(connection: Connection, group: Group) -> None:
    """Replace a group; its members stay. Raises: NotFoundError."""
    result = connection.execute(update(groups).where(groups.c.id == group.id).values(_columns(group)))
    if result.rowcount == 0:
        raise NotFoundError(f"There is no group {group.id}.")


def remove(connection: Connection, group_id: GroupId) -> None:
    """Remove a group and its memberships.

    Raises:
        NotFoundError: There is no such group.
        StillReferencedError: A policy is assigned to it.
    """
    try:
        result = connection.execute(delete(groups).where(groups.c.id == group_id))
    except IntegrityError as error:
        raise StillReferencedError(f"The group {group_id} is named by the assignments of a policy.") from error
    if result.rowcount == 0:
        raise NotFoundError(f"There is no group {group_id}.")


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


def named_like(text: str) -> ColumnElement[bool]:
    """Say that a group of a listing has a text in its name, in any case."""
    return func.lower(groups.c.display_name).contains(text.lower(), autoescape=True)


def of_kind(*, dynamic: bool, paused: bool | None = None) -> ColumnElement[bool]:
    """Say of a group of a listing whether a rule decides who belongs, and whether that is followed."""
    if not dynamic:
        return groups.c.membership_rule.is_(None)
    ruled = groups.c.membership_rule.is_not(None)
    if paused is None:
        return ruled
    state = ProcessingState.PAUSED if paused else ProcessingState.ON
    return and_(ruled, groups.c.processing_state == state.value)


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


def _columns(group: Group) -> dict[str, Any]:
    return columns_of(group, processing_state=group.processing_state.value)


def _group(row: Row[Any]) -> Group:
    columns = row._asdict()
    return Group(**(columns | {"processing_state": ProcessingState(columns["processing_state"])}))
