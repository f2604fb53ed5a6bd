"""The devices of a tenant as reports hold them in memory: read in bulk, and again where the fleet feed names them.

Rows are read by the driver itself: an object per row and column would make a million of them slow. They are read in
portions, each a view of its own, so that no long transaction keeps the database from tidying up; whatever changes
meanwhile is in the feed, from before the first portion on. Members are read as the numbers that came with the devices:
an id of each would have to be looked up again for every group that it is in.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Select, bindparam, exists, select

from shieldwall.contract.ids import DeviceId, GroupId, TenantId
from shieldwall.server.storage.device_records import DeviceState
from shieldwall.server.storage.engine.database import Database
from shieldwall.server.storage.fleets.image_rows import LISTED, ImageRow
from shieldwall.server.storage.groups.membership_conditions import number_of_group
from shieldwall.server.storage.statements.raw_rows import raw_rows
from shieldwall.server.storage.statements.rows import portions
from shieldwall.server.storage.tables.access_schema import device_scope_tags, scope_tag_groups
from shieldwall.server.storage.tables.schema import check_ins, devices, group_members, groups, inventory

PORTION: Final = 20_000
_FIRST: Final = ""


_ACTIVE: Final = DeviceState.ACTIVE.value
_STATE: Final = 1 + LISTED.index("state")
_OS: Final = 1 + LISTED.index("os_type")
_BOOL: Final = 1 + LISTED.index("impaired")
_WIDTH: Final = 1 + len(LISTED)
_CATALOG, _TARGET, _STATUS, _NUMBER = range(_WIDTH, _WIDTH + 4)


def _rows() -> Select[Any]:
    return (
        select(
            inventory.c.device_id,
            *(inventory.c[name] for name in LISTED),
            devices.c.catalog_version,
            check_ins.c.target_digest,
            check_ins.c.status_digest,
        )
        .select_from(inventory)
        .join(devices, devices.c.id == inventory.c.device_id)
        .outerjoin(check_ins, check_ins.c.device_id == inventory.c.device_id)
        .where(inventory.c.tenant_id == bindparam("tenant"))
    )


_PORTION: Final = (
    _rows()
    .add_columns(inventory.c.number)
    .where(inventory.c.device_id > bindparam("after"))
    .order_by(inventory.c.device_id)
)
_THESE: Final = _rows().where(inventory.c.device_id.in_(bindparam("these", expanding=True)))
_GROUPS: Final = select(groups.c.id).where(
    groups.c.tenant_id == bindparam("tenant"), exists().where(group_members.c.group_number == groups.c.number)
)
_MEMBERS: Final = (
    select(group_members.c.device_number)
    .where(
        group_members.c.group_number == number_of_group(bindparam("group")),
        group_members.c.device_number > bindparam("after"),
    )
    .order_by(group_members.c.device_number)
)
_MEMBERSHIPS: Final = (
    select(devices.c.id, groups.c.id)
    .select_from(devices)
    .join(group_members, group_members.c.device_number == devices.c.number)
    .join(groups, groups.c.number == group_members.c.group_number)
    .where(groups.c.tenant_id == bindparam("tenant"), devices.c.id.in_(bindparam("these", expanding=True)))
)


_TAGGED: Final = select(device_scope_tags.c.tag_id, device_scope_tags.c.device_id).where(
    device_scope_tags.c.tenant_id == bindparam("tenant")
)
_TAGS: Final = _TAGGED.where(device_scope_tags.c.device_id.in_(bindparam("these", expanding=True)))


def all_devices(database: Database, tenant_id: TenantId) -> Iterator[tuple[list[ImageRow], list[int]]]:
    """Yield every device in the order of ids, in portions, and beside them the numbers that ``members`` names."""
    after = _FIRST
    while True:
        with database.read() as connection:
            rows = raw_rows(connection, _PORTION.limit(PORTION), {"tenant": tenant_id, "after": after})
        if rows:
            yield _raw(rows), [row[_NUMBER] for row in rows]
            after = rows[-1][0]
        if len(rows) < PORTION:
            return


def some_devices(
    connection: Connection, tenant_id: TenantId, device_ids: Collection[DeviceId]
) -> dict[DeviceId, ImageRow]:
    """Return those of these devices that are there."""
    return {
        row[0]: _row(row)
        for few in portions(sorted(device_ids))
        for row in connection.execute(_THESE, {"tenant": tenant_id, "these": few})
    }


def groups_with_members(database: Database, tenant_id: TenantId) -> list[GroupId]:
    """Return the groups of a tenant that have a device."""
    with database.read() as connection:
        return sorted(map(GroupId, connection.scalars(_GROUPS, {"tenant": tenant_id})))


def members(database: Database, group_id: GroupId, portion: int = 10 * PORTION) -> Iterator[list[int]]:
    """Yield the numbers of the devices of a group, in portions."""
    after = 0
    while True:
        with database.read() as connection:
            rows = raw_rows(connection, _MEMBERS.limit(portion), {"group": group_id, "after": after})
            found = [device for (device,) in rows]
        if found:
            yield found
            after = found[-1]
        if len(found) < portion:
            return


def memberships(
    connection: Connection, tenant_id: TenantId, device_ids: Collection[DeviceId]
) -> dict[DeviceId, list[GroupId]]:
    """Return the groups of each of these devices."""
    found: dict[DeviceId, list[GroupId]] = {device: [] for device in device_ids}
    for few in portions(sorted(device_ids)):
        for device, group in connection.execute(_MEMBERSHIPS, {"tenant": tenant_id, "these": few}):
            found[device].append(GroupId(group))
    return found


def inactive(connection: Connection, tenant_id: TenantId, before: datetime) -> list[str]:
    """Return the ids of devices that were not in touch since a moment, or never though they joined before it."""
    mine = check_ins.c.tenant_id == tenant_id
    silent = select(check_ins.c.device_id).where(mine, check_ins.c.last_check_in < before)
    never = (
        select(check_ins.c.device_id)
        .join(devices, devices.c.id == check_ins.c.device_id)
        .where(mine, check_ins.c.last_check_in.is_(None), devices.c.registered_at < before)
    )
    return list(connection.scalars(silent.union_all(never)))


def in_touch(connection: Connection, tenant_id: TenantId, since: datetime, until: datetime) -> list[str]:
    """Return the ids of the devices whose last check-in lies between two moments."""
    query = select(check_ins.c.device_id).where(
        check_ins.c.tenant_id == tenant_id, check_ins.c.last_check_in >= since, check_ins.c.last_check_in < until
    )
    return list(connection.scalars(query))


def groups_by_tag(connection: Connection, tenant_id: TenantId) -> dict[str, list[GroupId]]:
    """Return the groups that are listed under each scope tag."""
    found: dict[str, list[GroupId]] = {}
    query = select(scope_tag_groups.c.tag_id, scope_tag_groups.c.group_id).where(
        scope_tag_groups.c.tenant_id == tenant_id
    )
    for tag, group in connection.execute(query):
        found.setdefault(tag, []).append(GroupId(group))
    return found


def tagged(connection: Connection, tenant_id: TenantId) -> dict[str, list[str]]:
    """Return the devices that have scope tags of their own, by tag."""
    found: dict[str, list[str]] = {}
    for tag, device in connection.execute(_TAGGED, {"tenant": tenant_id}):
        found.setdefault(tag, []).append(device)
    return found


def tags_of(connection: Connection, tenant_id: TenantId, device_ids: Collection[DeviceId]) -> dict[DeviceId, list[str]]:
    """Return the scope tags that each of these devices has itself."""
    found: dict[DeviceId, list[str]] = {device: [] for device in device_ids}
    for few in portions(sorted(device_ids)):
        for tag, device in connection.execute(_TAGS, {"tenant": tenant_id, "these": few}):
            found[device].append(tag)
    return found


def _raw(rows: Iterable[tuple[Any, ...]]) -> list[ImageRow]:
    """Read rows as the driver has them. Few of their digests differ: each is written as a text once."""
    texts = _Texts()
    return [_image(row, texts[row[_TARGET]], texts[row[_STATUS]]) for row in rows]


class _Texts(dict[bytes | None, str | None]):
    def __missing__(self, kept: bytes | None) -> str | None:
        text = self[kept] = None if kept is None else kept.hex()
        return text


def _row(row: Any) -> ImageRow:
    return _image(row, row[_TARGET], row[_STATUS])


def _image(row: Any, target: str | None, status: str | None) -> ImageRow:
    stands = target is not None and row[_STATE] == _ACTIVE
    return ImageRow(row[0], tuple(row[1:_WIDTH]), (target, status, row[_OS], row[_CATALOG]) if stands else None)
