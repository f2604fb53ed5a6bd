"""Roles, role assignments, scope tags and resource operations (``graph.role_definitions`` and its siblings)."""

from __future__ import annotations

from typing import Final

from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.graph.schemas.resource import SCOPE_TAGS, body, resource
from shieldwall.server.openapi.shapes import (
    FLAG,
    ID,
    TEXT,
    Component,
    list_of,
    nullable,
    open_record,
    read_only,
    record,
    said,
    text,
    word,
)
from shieldwall.server.storage.access_records import ScopeType

_ACTION: Final = word(ResourceAction)
_PERMISSION: Final = Component(
    "RolePermission",
    record(
        {
            "actions": list_of(_ACTION),
            "resourceActions": list_of(
                record({"allowedResourceActions": list_of(_ACTION), "notAllowedResourceActions": list_of(_ACTION)})
            ),
        }
    ),
)
_PERMISSION_SENT: Final = body(
    "RolePermissionSent",
    {
        "actions": list_of(TEXT),
        "resourceActions": list_of(
            body(
                "ResourceActionsSent",
                {"allowedResourceActions": list_of(TEXT), "notAllowedResourceActions": list_of(TEXT)},
            )
        ),
    },
)
ASSIGNMENT: Final = resource(
    "RoleAssignment",
    {
        "id": read_only(ID),
        "displayName": TEXT,
        "description": TEXT,
        "members": said(list_of(ID), "Groups of people, and people."),
        "scopeMembers": said(list_of(ID), "The same as `resourceScopes`."),
        "resourceScopes": said(list_of(ID), "Groups of devices that members may act on; only for `resourceScope`."),
        "scopeType": word(ScopeType),
        "roleScopeTagIds": said(list_of(TEXT), "What members see; without any they see everything."),
        "roleDefinitionId": read_only(ID),
    },
    meaning="Who has a role, and within which scope.",
)
ROLE: Final = resource(
    "RoleDefinition",
    {
        "id": read_only(ID),
        "displayName": TEXT,
        "description": TEXT,
        "isBuiltIn": read_only(FLAG),
        "isBuiltInRoleDefinition": read_only(FLAG),
        "rolePermissions": list_of(_PERMISSION),
        "permissions": said(list_of(_PERMISSION), "The same as `rolePermissions`."),
        "roleScopeTagIds": SCOPE_TAGS,
    },
    expands={"roleAssignments": list_of(ASSIGNMENT)},
    meaning="A named set of actions.",
)
_ROLE_SENT: Final = {
    "displayName": nullable(text(minLength=1, maxLength=256)),
    "description": nullable(text(maxLength=1024)),
    "rolePermissions": nullable(list_of(_PERMISSION_SENT)),
    "permissions": nullable(list_of(_PERMISSION_SENT)),
    "roleScopeTagIds": nullable(list_of(TEXT)),
    "isBuiltIn": {"enum": [False, None]},
    "isBuiltInRoleDefinition": {"enum": [False, None]},
}
NEW_ROLE: Final = body("NewRoleDefinition", _ROLE_SENT, required=["displayName"], texts_passed_over=["id"])
ROLE_CHANGES: Final = body("RoleDefinitionChanges", _ROLE_SENT, texts_passed_over=["id"])
_ASSIGNMENT_SENT: Final = {
    "displayName": nullable(text(minLength=1, maxLength=256)),
    "description": nullable(text(maxLength=1024)),
    "members": nullable(list_of(ID)),
    "scopeMembers": nullable(list_of(ID)),
    "resourceScopes": nullable(list_of(ID)),
    "scopeType": nullable(word(ScopeType)),
    "roleScopeTagIds": nullable(list_of(TEXT)),
    "roleDefinitionId": nullable(ID),
}
NEW_ASSIGNMENT: Final = body("NewRoleAssignment", _ASSIGNMENT_SENT, required=["displayName"], texts_passed_over=["id"])
ASSIGNMENT_CHANGES: Final = body("RoleAssignmentChanges", _ASSIGNMENT_SENT, texts_passed_over=["id"])

TAG: Final = resource(
    "RoleScopeTag",
    {"id": read_only(TEXT), "displayName": TEXT, "description": TEXT, "isBuiltIn": read_only(FLAG)},
    meaning="A mark on policies and devices that role assignments are narrowed by.",
)
_TAG_SENT: Final = {
    "displayName": nullable(text(minLength=1, maxLength=128)),
    "description": nullable(text(maxLength=1024)),
    "isBuiltIn": {"enum": [False, None]},
}
NEW_TAG: Final = body("NewRoleScopeTag", _TAG_SENT, required=["displayName"], texts_passed_over=["id"])
TAG_CHANGES: Final = body("RoleScopeTagChanges", _TAG_SENT, texts_passed_over=["id"])
TAG_ASSIGNMENT: Final = resource(
    "RoleScopeTagAssignment",
    {
        "id": read_only(TEXT),
        "target": open_record({"groupId": ID}, required=["groupId"], meaning="The group whose members have the tag."),
    },
)
TAG_ASSIGNMENTS: Final = Component("RoleScopeTagAssignments", record({"value": list_of(TAG_ASSIGNMENT)}))
_TARGET_SENT: Final = body(
    "RoleScopeTagTargetSent",
    {"groupId": ID},
    required=["groupId"],
    texts_passed_over=[
        "deviceAndAppManagementAssignmentFilterId",
        "deviceAndAppManagementAssignmentFilterType",
    ],
    meaning="The group whose members have the tag.",
)
TAG_ASSIGNING: Final = body(
    "RoleScopeTagAssign",
    {
        "assignments": list_of(
            body("RoleScopeTagAssignmentSent", {"target": _TARGET_SENT}, required=["target"], texts_passed_over=["id"])
        )
    },
    required=["assignments"],
)
TAGS_ASKED: Final = body("RoleScopeTagsById", {"roleScopeTagIds": list_of(TEXT)}, required=["roleScopeTagIds"])
TAGS_FOUND: Final = Component("RoleScopeTags", record({"value": list_of(TAG)}))
HAS_CUSTOM_TAG: Final = Component("HasCustomRoleScopeTag", record({"value": FLAG}))

OPERATION: Final = resource(
    "ResourceOperation",
    {
        "id": _ACTION,
        "resource": TEXT,
        "resourceName": TEXT,
        "actionName": TEXT,
        "description": TEXT,
        "enabledForScopeValidation": FLAG,
    },
    meaning="One thing that roles may allow.",
)
EFFECTIVE: Final = Component("EffectivePermissions", record({"value": list_of(_PERMISSION)}))
