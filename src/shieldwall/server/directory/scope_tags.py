"""Scope tags: made by administrators, given to devices by groups or one by one. The tag ``0`` is always there."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import Connection

from shieldwall.contract.ids import DeviceId, GroupId, TenantId
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.grants import DEFAULT_TAG
from shieldwall.server.access.tagging import require_tags
from shieldwall.server.directory.acting import Acting
from shieldwall.server.directory.devices import hold_device
from shieldwall.server.directory.invalid_role import BuiltInRoleError, InvalidRoleError, UnknownScopeTagError
from shieldwall.server.directory.names import is_name, is_text
from shieldwall.server.storage.access import role_assignments, scope_tags, scoping
from shieldwall.server.storage.access_records import ScopeTag
from shieldwall.server.storage.check_ins import targets
from shieldwall.server.storage.errors import NotFoundError, StillReferencedError
from shieldwall.server.storage.groups import groups

MOST_TAGS: Final = 500
MOST_GROUPS: Final = 100
MOST_OF_DEVICE: Final = 64
"""Scope tags that a device is given by itself at most."""
_MOST_DESCRIPTION: Final = 1_024


def default_tag(tenant_id: TenantId) -> ScopeTag:
    """Return the tag that is built in."""
    return ScopeTag(
        tenant_id=tenant_id,
        id=DEFAULT_TAG,
        display_name="Default",
        description="Of everything that has no other scope tag.",
        created_at=datetime(2020, 1, 1, tzinfo=UTC),
    )


def all_tags(connection: Connection, tenant_id: TenantId) -> tuple[ScopeTag, ...]:
    """Return all tags of a tenant, the built-in one first."""
    return default_tag(tenant_id), *scope_tags.all_of_tenant(connection, tenant_id)


def get_tag(connection: Connection, tenant_id: TenantId, tag_id: str) -> ScopeTag:
    """Return a tag. Raises: NotFoundError."""
    if tag_id == DEFAULT_TAG:
        return default_tag(tenant_id)
    found = scope_tags.find(connection, tenant_id, tag_id) if _is_number(tag_id) else None
    if found is None:
        raise NotFoundError(f"There is no scope tag {tag_id[:64]}.")
    return found


def require_known(connection: Connection, tenant_id: TenantId, tag_ids: Collection[str]) -> None:
    """Refuse tags that a tenant does not have. Raises: UnknownScopeTagError."""
    asked = {tag_id for tag_id in tag_ids if tag_id != DEFAULT_TAG}
    numbers = {tag_id for tag_id in asked if _is_number(tag_id)}
    missing = asked - (scope_tags.known(connection, tenant_id, numbers) if numbers else frozenset())
    if missing:
        raise UnknownScopeTagError(f"There is no scope tag {min(missing)[:64]!r}.")


def create_tag(connection: Connection, acting: Acting, display_name: str, description: str) -> ScopeTag:
    """Make a tag; its id is the next number.

    Raises:
        InvalidRoleError: It cannot be called that, or there are as many as there can be.
    """
    _check(display_name, description)
    targets.lock(connection)  # so that no two tags get one number
    present = scope_tags.all_of_tenant(connection, acting.tenant_id)
    if len(present) >= MOST_TAGS:
        raise InvalidRoleError(f"A tenant has at most {MOST_TAGS} scope tags.", member="displayName")
    _require_free(present, display_name)
    tag = ScopeTag(
        tenant_id=acting.tenant_id,
        id=str(max((int(each.id) for each in present if _is_number(each.id)), default=0) + 1),
        display_name=display_name,
        description=description,
        created_at=acting.clock.now(),
    )
    scope_tags.add(connection, tag)
    acting.record(connection, "scopeTag.created", "scopeTag", tag.id, name=display_name)
    return tag


def update_tag(
    connection: Connection, acting: Acting, tag_id: str, display_name: str | None, description: str | None
) -> ScopeTag:
    """Rename a tag or describe it anew.

    Raises:
        BuiltInRoleError: It is built in.
        InvalidRoleError: It cannot be called that.
        NotFoundError: There is no such tag.
    """
    before = _own(connection, acting.tenant_id, tag_id)
    tag = ScopeTag(
        tenant_id=before.tenant_id,
        id=before.id,
        display_name=before.display_name if display_name is None else display_name,
        description=before.description if description is None else description,
        created_at=before.created_at,
    )
    _check(tag.display_name, tag.description)
    others = [each for each in scope_tags.all_of_tenant(connection, acting.tenant_id) if each.id != tag.id]
    _require_free(others, tag.display_name)
    scope_tags.put(connection, tag)
    acting.record(connection, "scopeTag.changed", "scopeTag", tag.id, name=tag.display_name)
    return tag


def delete_tag(connection: Connection, acting: Acting, tag_id: str) -> None:
    """Delete a tag that nothing carries; devices that had it by a group or by themselves lose it.

    Raises:
        BuiltInRoleError: It is built in.
        NotFoundError: There is no such tag.
        StillReferencedError: A policy, a filter, a role or a role assignment names it.
    """
    tag = _own(connection, acting.tenant_id, tag_id)
    assigned = role_assignments.all_of_tenant(connection, acting.tenant_id)
    if scope_tags.is_used(connection, acting.tenant_id, tag.id) or any(
        tag.id in each.role_scope_tag_ids for each in assigned
    ):
        raise StillReferencedError(f"The scope tag {tag.display_name} is in use.")
    scope_tags.remove(connection, acting.tenant_id, tag.id)
    acting.record(connection, "scopeTag.deleted", "scopeTag", tag.id, name=tag.display_name)


def assign_tag(
    connection: Connection, acting: Acting, tag_id: str, group_ids: Collection[GroupId]
) -> tuple[GroupId, ...]:
    """Let the members of these groups, and of no others, have a tag.

    Raises:
        BuiltInRoleError: It is built in.
        InvalidRoleError: A group is not there, or there are too many.
        NotFoundError: There is no such tag.
    """
    tag = _own(connection, acting.tenant_id, tag_id)
    if len(group_ids) > MOST_GROUPS:
        raise InvalidRoleError(f"A scope tag has at most {MOST_GROUPS} groups.", member="assignments")
    require_groups(connection, acting.tenant_id, group_ids, member="assignments")
    scope_tags.set_groups(connection, acting.tenant_id, tag.id, frozenset(group_ids))
    acting.record(connection, "scopeTag.assigned", "scopeTag", tag.id, name=tag.display_name, groups=sorted(group_ids))
    return scope_tags.groups_of(connection, acting.tenant_id, tag.id)


def tag_group(connection: Connection, acting: Acting, group_id: GroupId, wanted: Collection[str]) -> None:
    """Let the members of a group have these tags, and by this group no others.

    Raises:
        InvalidRoleError: The group is not there, or a tag has too many groups.
        UnknownScopeTagError: There is no such tag.
    """
    require_groups(connection, acting.tenant_id, [group_id], member="assignments")
    require_known(connection, acting.tenant_id, wanted)
    before = scoping.tags_of_group(connection, acting.tenant_id, group_id)
    after = frozenset(wanted) - {DEFAULT_TAG}
    for tag_id in sorted(before ^ after, key=_order):
        named = set(scope_tags.groups_of(connection, acting.tenant_id, tag_id))
        assign_tag(connection, acting, tag_id, named | {group_id} if tag_id in after else named - {group_id})


def require_groups(connection: Connection, tenant_id: TenantId, group_ids: Collection[GroupId], *, member: str) -> None:
    """Refuse groups that a tenant does not have. Raises: InvalidRoleError."""
    found = {each.id for each in groups.find_many(connection, set(group_ids)) if each.tenant_id == tenant_id}
    if missing := set(group_ids) - found:
        raise InvalidRoleError(f"There is no group {min(missing)}.", member=member)


def tags_of_devices(
    connection: Connection, tenant_id: TenantId, device_ids: Collection[DeviceId]
) -> Mapping[DeviceId, tuple[str, ...]]:
    """Return the tags of each of these devices, in order; the default one where it has no other."""
    found = scope_tags.of_devices(connection, tenant_id, device_ids)
    return {device_id: tuple(sorted(found.get(device_id) or {DEFAULT_TAG}, key=_order)) for device_id in device_ids}


def tag_device(connection: Connection, acting: Acting, device_id: DeviceId, wanted: Collection[str]) -> None:
    """Give a device tags of its own, and take away those it had; tags by groups stay whatever is wanted.

    Raises:
        NotFoundError: There is no such device.
        ScopeTagRefusedError: The caller is narrowed and does not hold a tag that changes.
        UnknownScopeTagError: There is no such tag.
    """
    device = hold_device(connection, acting, device_id)
    require_known(connection, acting.tenant_id, wanted)
    before = scoping.tags_of_device(connection, acting.tenant_id, device_id)
    by_group = scoping.group_tags_of_device(connection, acting.tenant_id, device_id)
    after = frozenset(wanted) - {DEFAULT_TAG} | by_group
    if after == before:
        return
    require_tags(acting.access, ResourceAction.UPDATE_DEVICES, before or {DEFAULT_TAG}, after or {DEFAULT_TAG})
    scope_tags.set_of_device(connection, acting.tenant_id, device_id, after - by_group)
    acting.record(
        connection, "device.scopeTagged", "device", device.id, name=device.display_name, scopeTags=sorted(after)
    )


def _own(connection: Connection, tenant_id: TenantId, tag_id: str) -> ScopeTag:
    if tag_id == DEFAULT_TAG:
        raise BuiltInRoleError("The default scope tag is built in.")
    return get_tag(connection, tenant_id, tag_id)


def _check(display_name: str, description: str) -> None:
    if not is_name(display_name, 128):
        raise InvalidRoleError("A scope tag's name has 1 to 128 plain characters.", member="displayName")
    if not is_text(description, _MOST_DESCRIPTION):
        cause = f"A scope tag's description has at most {_MOST_DESCRIPTION} plain characters."
        raise InvalidRoleError(cause, member="description")


def _require_free(present: Collection[ScopeTag], display_name: str) -> None:
    if any(each.display_name.casefold() == display_name.casefold() for each in present):
        raise InvalidRoleError(f"There is a scope tag {display_name} already.", member="displayName")


def _is_number(tag_id: str) -> bool:
    return tag_id.isascii() and tag_id.isdigit() and len(tag_id) <= 9


def _order(tag_id: str) -> tuple[int, str]:
    return len(tag_id), tag_id
