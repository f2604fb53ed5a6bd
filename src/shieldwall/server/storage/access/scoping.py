"""Scope tags and scope groups as conditions and facts: which rows of a listing somebody sees.

A device has the tags that it was given itself and those of the groups it belongs to. A group has the tags that it is
listed under. Policies, filters and roles carry their tags in a column, as a JSON list. What has no tag has the tag
``0``. The conditions speak of a column with the ids of the rows, so they fit every query that reads such a column, and
ask the small tables of tags first: who sees few devices finds them by index, however large the fleet is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, exists, false, or_, select, true, union_all

from shieldwall.contract.ids import DeviceId, GroupId, TenantId
from shieldwall.server.access.grants import DEFAULT_TAG, Scope
from shieldwall.server.storage.groups.membership_conditions import (
    belongs,
    ids_of_members,
    number_of_device,
    of_groups,
)
from shieldwall.server.storage.statements.json_lists import values_of
from shieldwall.server.storage.tables.access_schema import device_scope_tags, scope_tag_groups
from shieldwall.server.storage.tables.schema import devices, group_members
from shieldwall.server.storage.tables.schema import groups as groups_table


def sees_device(tenant_id: TenantId, scopes: Sequence[Scope], device_id: ColumnElement[Any]) -> ColumnElement[bool]:
    """Say that a device is seen within one of these scopes; ``device_id`` is the column that names it."""
    return _any_of([_device_has(tenant_id, scope.tags, device_id) for scope in scopes])


def acts_on_device(tenant_id: TenantId, scopes: Sequence[Scope], device_id: ColumnElement[Any]) -> ColumnElement[bool]:
    """Say that a device is seen within one of these scopes, and is a member of one of its groups where it has some."""
    return _any_of(
        [
            and_(_device_has(tenant_id, scope.tags, device_id), _device_in(tenant_id, scope.groups, device_id))
            for scope in scopes
        ]
    )


def sees_group(tenant_id: TenantId, scopes: Sequence[Scope], group_id: ColumnElement[Any]) -> ColumnElement[bool]:
    """Say that a group is seen within one of these scopes: by its tags, or as one of the scope's own groups."""
    return _any_of([_group_has(tenant_id, scope, group_id) for scope in scopes])


def sees_tagged(scopes: Sequence[Scope], tags: ColumnElement[Any]) -> ColumnElement[bool]:
    """Say that a row is seen whose scope tags stand in the column ``tags``, as a JSON list."""
    return _any_of([true() if scope.tags is None else _lists(scope.tags, tags) for scope in scopes])


def tags_of_device(connection: Connection, tenant_id: TenantId, device_id: DeviceId) -> frozenset[str]:
    """Return the scope tags of a device; none stands for the default one."""
    own = select(device_scope_tags.c.tag_id).where(
        device_scope_tags.c.tenant_id == tenant_id, device_scope_tags.c.device_id == device_id
    )
    return frozenset(connection.scalars(own)) | group_tags_of_device(connection, tenant_id, device_id)


def group_tags_of_device(connection: Connection, tenant_id: TenantId, device_id: DeviceId) -> frozenset[str]:
    """Return the scope tags that a device has by its groups."""
    by_group = (
        select(scope_tag_groups.c.tag_id)
        .join(groups_table, groups_table.c.id == scope_tag_groups.c.group_id)
        .join(group_members, group_members.c.group_number == groups_table.c.number)
        .join(devices, devices.c.number == group_members.c.device_number)
        .where(scope_tag_groups.c.tenant_id == tenant_id, devices.c.id == device_id)
    )
    return frozenset(connection.scalars(by_group))


def groups_of_device(connection: Connection, tenant_id: TenantId, device_id: DeviceId) -> frozenset[GroupId]:
    """Return the groups that a device belongs to."""
    query = (
        select(groups_table.c.id)
        .join(group_members, group_members.c.group_number == groups_table.c.number)
        .where(groups_table.c.tenant_id == tenant_id, group_members.c.device_number == number_of_device(device_id))
    )
    return frozenset(map(GroupId, connection.scalars(query)))


def tags_of_group(connection: Connection, tenant_id: TenantId, group_id: GroupId) -> frozenset[str]:
    """Return the scope tags that a group is listed under; none stands for the default one."""
    query = select(scope_tag_groups.c.tag_id).where(
        scope_tag_groups.c.tenant_id == tenant_id, scope_tag_groups.c.group_id == group_id
    )
    return frozenset(connection.scalars(query))


def _any_of(conditions: Sequence[ColumnElement[bool]]) -> ColumnElement[bool]:
    return or_(false(), *conditions)


def _device_has(tenant_id: TenantId, tags: frozenset[str] | None, device_id: ColumnElement[Any]) -> ColumnElement[bool]:
    if tags is None:
        return true()
    own = select(device_scope_tags.c.device_id).where(
        device_scope_tags.c.tenant_id == tenant_id, device_scope_tags.c.tag_id.in_(sorted(tags))
    )
    by_group = ids_of_members(of_groups(_groups_with(tenant_id, tags)))
    tagged = device_id.in_(union_all(own, by_group))
    return or_(tagged, _device_has_none(tenant_id, device_id)) if DEFAULT_TAG in tags else tagged


def _device_has_none(tenant_id: TenantId, device_id: ColumnElement[Any]) -> ColumnElement[bool]:
    # Asked by the device alone, which is one tenant's: named beside it, the tenant would be looked up in its place.
    own = exists().where(device_scope_tags.c.device_id == device_id)
    members = of_groups(_groups_with(tenant_id, None))
    return and_(~own, ~belongs(device_id, members))


def _device_in(
    tenant_id: TenantId, groups: frozenset[GroupId] | None, device_id: ColumnElement[Any]
) -> ColumnElement[bool]:
    if groups is None:
        return true()
    return device_id.in_(ids_of_members(of_groups(groups, tenant_id)))


def _group_has(tenant_id: TenantId, scope: Scope, group_id: ColumnElement[Any]) -> ColumnElement[bool]:
    if scope.tags is None:
        return true()
    seen = [group_id.in_(_groups_with(tenant_id, scope.tags))]
    if DEFAULT_TAG in scope.tags:
        seen.append(group_id.not_in(_groups_with(tenant_id, None)))
    if scope.groups is not None:
        seen.append(group_id.in_(sorted(scope.groups)))
    return or_(*seen)


def _groups_with(tenant_id: TenantId, tags: frozenset[str] | None) -> Select[Any]:
    """Select the groups under one of these tags, or under any."""
    query = select(scope_tag_groups.c.group_id).where(scope_tag_groups.c.tenant_id == tenant_id)
    return query if tags is None else query.where(scope_tag_groups.c.tag_id.in_(sorted(tags)))


def _lists(wanted: frozenset[str], tags: ColumnElement[Any]) -> ColumnElement[bool]:
    listed = values_of(tags)
    has_one = exists().select_from(listed).where(listed.c.value.in_(sorted(wanted)))
    return or_(tags == "[]", has_one) if DEFAULT_TAG in wanted else has_one
