"""Scope tags, the groups that give them to devices, and the devices that have them by themselves."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, delete, exists, func, insert, select, union, update

from shieldwall.contract.ids import DeviceId, GroupId, TenantId
from shieldwall.server.storage.access_records import ScopeTag
from shieldwall.server.storage.statements.bulk import is_one_of
from shieldwall.server.storage.statements.json_lists import values_of
from shieldwall.server.storage.statements.rows import columns_of
from shieldwall.server.storage.tables.access_schema import (
    device_scope_tags,
    role_definitions,
    scope_tag_groups,
    scope_tags,
)
from shieldwall.server.storage.tables.schema import assignment_filters, devices, group_members, groups, policies

_TAGGED = (policies, assignment_filters, role_definitions)
MOST_CARRIERS: Final = 100


def add(connection: Connection, tag: ScopeTag) -> None:
    """Keep a new tag."""
    connection.execute(insert(scope_tags).values(columns_of(tag)))


def put(connection: Connection, tag: ScopeTag) -> None:
    """Write a tag anew."""
    connection.execute(update(scope_tags).where(*_one(tag.tenant_id, tag.id)).values(columns_of(tag)))


def remove(connection: Connection, tenant_id: TenantId, tag_id: str) -> None:
    """Remove a tag from groups and devices, and itself."""
    for table in (scope_tag_groups, device_scope_tags):
        connection.execute(delete(table).where(table.c.tenant_id == tenant_id, table.c.tag_id == tag_id))
    connection.execute(delete(scope_tags).where(*_one(tenant_id, tag_id)))


def find(connection: Connection, tenant_id: TenantId, tag_id: str) -> ScopeTag | None:
    """Return a tag, or ``None``; the tag ``0`` is no row."""
    row = connection.execute(select(scope_tags).where(*_one(tenant_id, tag_id))).one_or_none()
    return None if row is None else _tag(row)


def all_of_tenant(connection: Connection, tenant_id: TenantId) -> tuple[ScopeTag, ...]:
    """Return all tags of a tenant but the tag ``0``, oldest first."""
    query = (
        select(scope_tags).where(scope_tags.c.tenant_id == tenant_id).order_by(scope_tags.c.created_at, scope_tags.c.id)
    )
    return tuple(map(_tag, connection.execute(query)))


def known(connection: Connection, tenant_id: TenantId, tag_ids: Collection[str]) -> frozenset[str]:
    """Return those of these tags that a tenant has as rows."""
    query = select(scope_tags.c.id).where(scope_tags.c.tenant_id == tenant_id, scope_tags.c.id.in_(sorted(tag_ids)))
    return frozenset(connection.scalars(query))


def groups_of(connection: Connection, tenant_id: TenantId, tag_id: str) -> tuple[GroupId, ...]:
    """Return the groups whose members have a tag."""
    query = (
        select(scope_tag_groups.c.group_id)
        .where(scope_tag_groups.c.tenant_id == tenant_id, scope_tag_groups.c.tag_id == tag_id)
        .order_by(scope_tag_groups.c.group_id)
    )
    return tuple(map(GroupId, connection.scalars(query)))


def set_groups(connection: Connection, tenant_id: TenantId, tag_id: str, groups: Collection[GroupId]) -> None:
    """Let the members of these groups, and of no others, have a tag."""
    connection.execute(
        delete(scope_tag_groups).where(scope_tag_groups.c.tenant_id == tenant_id, scope_tag_groups.c.tag_id == tag_id)
    )
    if groups:
        rows = [{"tenant_id": tenant_id, "tag_id": tag_id, "group_id": group} for group in sorted(groups)]
        connection.execute(insert(scope_tag_groups), rows)


def has_group(connection: Connection, tenant_id: TenantId, group_id: GroupId) -> bool:
    """Tell whether a group gives its members a tag."""
    query = select(scope_tag_groups.c.tag_id).where(
        scope_tag_groups.c.tenant_id == tenant_id, scope_tag_groups.c.group_id == group_id
    )
    return connection.execute(query.limit(1)).first() is not None


def set_of_device(connection: Connection, tenant_id: TenantId, device_id: DeviceId, tag_ids: Collection[str]) -> None:
    """Let a device have these tags by itself, and no others."""
    connection.execute(delete(device_scope_tags).where(device_scope_tags.c.device_id == device_id))
    if tag_ids:
        rows = [{"tenant_id": tenant_id, "device_id": device_id, "tag_id": tag_id} for tag_id in sorted(tag_ids)]
        connection.execute(insert(device_scope_tags), rows)


def of_devices(
    connection: Connection, tenant_id: TenantId, device_ids: Collection[DeviceId]
) -> Mapping[DeviceId, frozenset[str]]:
    """Return the tags of devices, their own and those of their groups; a device without any is not among them."""
    own = select(device_scope_tags.c.device_id, device_scope_tags.c.tag_id).where(
        device_scope_tags.c.tenant_id == tenant_id, is_one_of(connection, device_scope_tags.c.device_id, device_ids)
    )
    by_group = (
        select(devices.c.id, scope_tag_groups.c.tag_id)
        .join(group_members, group_members.c.device_number == devices.c.number)
        .join(groups, groups.c.number == group_members.c.group_number)
        .join(scope_tag_groups, scope_tag_groups.c.group_id == groups.c.id)
        .where(scope_tag_groups.c.tenant_id == tenant_id, is_one_of(connection, devices.c.id, device_ids))
    )
    found: defaultdict[DeviceId, set[str]] = defaultdict(set)
    for device_id, tag_id in connection.execute(union(own, by_group)):
        found[DeviceId(device_id)].add(tag_id)
    return {device_id: frozenset(tags) for device_id, tags in found.items()}


def is_used(connection: Connection, tenant_id: TenantId, tag_id: str) -> bool:
    """Tell whether a policy, a filter or a role carries a tag."""
    for table in _TAGGED:
        listed = values_of(table.c.role_scope_tag_ids)
        carries = exists().select_from(listed).where(listed.c.value == tag_id)
        query = select(table.c.id).where(table.c.tenant_id == tenant_id, carries).limit(1)
        if connection.execute(query).first() is not None:
            return True
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Carriers:
    """What carries a tag: the first of each kind, as pairs of id and name, and devices marked by themselves."""

    policies: tuple[tuple[str, str], ...]
    filters: tuple[tuple[str, str], ...]
    roles: tuple[tuple[str, str], ...]
    devices: int
    """Counted up to ``MOST_CARRIERS``."""


def carriers(connection: Connection, tenant_id: TenantId, tag_id: str) -> Carriers:
    """Return what carries a tag, at most ``MOST_CARRIERS`` of each kind."""
    found = []
    for table in _TAGGED:
        listed = values_of(table.c.role_scope_tag_ids)
        carries = exists().select_from(listed).where(listed.c.value == tag_id)
        name = table.c.name if "name" in table.c else table.c.display_name
        query = select(table.c.id, name).where(table.c.tenant_id == tenant_id, carries).order_by(name, table.c.id)
        rows = connection.execute(query.limit(MOST_CARRIERS))
        found.append(tuple((str(row_id), str(called)) for row_id, called in rows))
    marked = select(device_scope_tags.c.device_id).where(
        device_scope_tags.c.tenant_id == tenant_id, device_scope_tags.c.tag_id == tag_id
    )
    counted = select(func.count()).select_from(marked.limit(MOST_CARRIERS).subquery())
    policies_, filters, roles = found
    return Carriers(policies=policies_, filters=filters, roles=roles, devices=connection.scalars(counted).one())


def _one(tenant_id: TenantId, tag_id: str) -> tuple[Any, Any]:
    return scope_tags.c.tenant_id == tenant_id, scope_tags.c.id == tag_id


def _tag(row: Row[Any]) -> ScopeTag:
    return ScopeTag(**row._asdict())
