"""Roles, role assignments and scope tags as Graph resources, and their bodies."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from shieldwall.contract.errors import InvalidJsonError
from shieldwall.contract.ids import GroupId, parse_group_id
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.roles import Role
from shieldwall.server.directory.invalid_role import InvalidRoleError
from shieldwall.server.directory.role_assigning import AssignmentDraft
from shieldwall.server.directory.roles import RoleDraft
from shieldwall.server.graph.requests import is_annotation
from shieldwall.server.graph.resources import Json
from shieldwall.server.storage.access_records import RoleAssignment, ScopeTag, ScopeType

_BOUND: Final = re.compile(r"/(roleDefinitions|roleScopeTags)(?:/|\(')([0-9A-Za-z-]{1,64})(?:'\))?\Z")
_ROLE: Final = "#microsoft.graph.deviceAndAppManagementRoleDefinition"
_ASSIGNMENT: Final = "#microsoft.graph.deviceAndAppManagementRoleAssignment"


class ResourceActions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """What a part of a role allows, and what it takes away from that."""

    allowed_resource_actions: tuple[str, ...] = ()
    not_allowed_resource_actions: tuple[str, ...] = ()


class RolePermission(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """A part of a role. ``actions`` is an older form of the allowed actions."""

    resource_actions: tuple[ResourceActions, ...] = ()
    actions: tuple[str, ...] = ()


class RoleRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """A role as somebody wants it; ``permissions`` is the older name of ``rolePermissions``."""

    display_name: str | None = None
    description: str | None = None
    role_permissions: tuple[RolePermission, ...] | None = None
    permissions: tuple[RolePermission, ...] | None = None
    role_scope_tag_ids: tuple[str, ...] | None = None
    is_built_in: bool | None = None
    is_built_in_role_definition: bool | None = None
    id: str | None = None

    def draft(self, before: RoleDraft | None) -> RoleDraft:
        """Lay what is given over what is there. Raises: InvalidRoleError."""
        if self.is_built_in or self.is_built_in_role_definition:
            raise InvalidRoleError("Built-in roles come with the server and are not made.", member="isBuiltIn")
        if self.display_name is None and before is None:
            raise InvalidRoleError("A role has a displayName.", member="displayName")
        given = self.role_permissions if self.role_permissions is not None else self.permissions
        kept = before or RoleDraft(display_name=self.display_name or "")
        return RoleDraft(
            display_name=kept.display_name if self.display_name is None else self.display_name,
            description=kept.description if self.description is None else self.description,
            actions=kept.actions if given is None else _actions(given),
            scope_tag_ids=self.role_scope_tag_ids or kept.scope_tag_ids,
        )


class AssignmentRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """A role assignment as somebody wants it; ``resourceScopes`` and ``scopeMembers`` are one and the same."""

    display_name: str | None = None
    description: str | None = None
    members: tuple[str, ...] | None = None
    resource_scopes: tuple[str, ...] | None = None
    scope_members: tuple[str, ...] | None = None
    scope_type: ScopeType | None = None
    role_scope_tag_ids: tuple[str, ...] | None = None
    role_definition_id: str | None = None
    id: str | None = None

    def draft(self, before: AssignmentDraft | None, bound_tags: tuple[str, ...] | None) -> AssignmentDraft:
        """Lay what is given over what is there. Raises: InvalidRoleError, InvalidIdError."""
        if self.display_name is None and before is None:
            raise InvalidRoleError("A role assignment has a displayName.", member="displayName")
        kept = before or AssignmentDraft(display_name=self.display_name or "")
        groups = self.resource_scopes if self.resource_scopes is not None else self.scope_members
        tags = self.role_scope_tag_ids if self.role_scope_tag_ids is not None else bound_tags
        return AssignmentDraft(
            display_name=kept.display_name if self.display_name is None else self.display_name,
            description=kept.description if self.description is None else self.description,
            members=kept.members if self.members is None else _once(each.lower() for each in self.members),
            scope_type=kept.scope_type if self.scope_type is None else self.scope_type,
            scope_groups=kept.scope_groups if groups is None else _groups(groups),
            role_scope_tag_ids=kept.role_scope_tag_ids if tags is None else _once(tags),
        )


def plain(value: Any) -> Any:
    """Leave out annotations at every depth: clients say of each part of which type it is."""
    if isinstance(value, dict):
        return {name: plain(member) for name, member in value.items() if not is_annotation(name)}
    return [plain(each) for each in value] if isinstance(value, list) else value


def bound(members: dict[str, Any], name: str) -> tuple[str, ...] | None:
    """Read the ids that ``name@odata.bind`` names, one or a list; ``None`` where it does not stand there.

    Raises:
        InvalidJsonError: It names something else.
    """
    value = members.get(f"{name}@odata.bind")
    if value is None:
        return None
    found = []
    for each in value if isinstance(value, list) else [value]:
        match = _BOUND.search(each) if isinstance(each, str) else None
        if match is None:
            raise InvalidJsonError(f"{name}@odata.bind does not name one of {name}.")
        found.append(match[2])
    return tuple(found)


def role_resource(role: Role) -> Json:
    """Shape a role; ``permissions`` mirrors ``rolePermissions``."""
    allowed = sorted(action.value for action in role.actions)
    granted = [
        {
            "actions": allowed,
            "resourceActions": [{"allowedResourceActions": allowed, "notAllowedResourceActions": []}],
        }
    ]
    return {
        "@odata.type": _ROLE,
        "id": role.id,
        "displayName": role.display_name,
        "description": role.description,
        "isBuiltIn": role.is_built_in,
        "isBuiltInRoleDefinition": role.is_built_in,
        "rolePermissions": granted,
        "permissions": granted,
        "roleScopeTagIds": list(role.scope_tag_ids),
    }


def assignment_resource(assignment: RoleAssignment) -> Json:
    """Shape a role assignment."""
    groups = list(assignment.scope_groups)
    return {
        "@odata.type": _ASSIGNMENT,
        "id": assignment.id,
        "displayName": assignment.display_name,
        "description": assignment.description,
        "members": list(assignment.members),
        "scopeMembers": groups,
        "resourceScopes": groups,
        "scopeType": assignment.scope_type.value,
        "roleScopeTagIds": list(assignment.role_scope_tag_ids),
        "roleDefinitionId": assignment.role_id,
    }


def tag_resource(tag: ScopeTag) -> Json:
    """Shape a scope tag."""
    return {
        "id": tag.id,
        "displayName": tag.display_name,
        "description": tag.description,
        "isBuiltIn": tag.id == "0",
    }


def tag_assignments_resource(tag_id: str, groups: Iterable[GroupId]) -> list[Json]:
    """Shape the groups whose members have a tag."""
    return [
        {
            "id": f"{tag_id}_{group}",
            "target": {
                "@odata.type": "#microsoft.graph.groupAssignmentTarget",
                "deviceAndAppManagementAssignmentFilterId": None,
                "deviceAndAppManagementAssignmentFilterType": "none",
                "groupId": group,
            },
        }
        for group in groups
    ]


def _actions(given: Iterable[RolePermission]) -> frozenset[ResourceAction]:
    allowed: set[str] = set()
    refused: set[str] = set()
    for each in given:
        allowed |= set(each.actions)
        for part in each.resource_actions:
            allowed |= set(part.allowed_resource_actions)
            refused |= set(part.not_allowed_resource_actions)
    known = {action.value.lower(): action for action in ResourceAction}
    unknown = {name for name in allowed if name.lower() not in known}
    if unknown:
        cause = f"{min(unknown)[:128]!r} is not one of /deviceManagement/resourceOperations."
        raise InvalidRoleError(cause, member="rolePermissions")
    taken = {name.lower() for name in refused}
    return frozenset(known[name.lower()] for name in allowed if name.lower() not in taken)


def _groups(ids: Iterable[str]) -> tuple[GroupId, ...]:
    return tuple(dict.fromkeys(parse_group_id(each) for each in ids))


def _once(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))
