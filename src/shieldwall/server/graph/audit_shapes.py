"""Audit events in Graph's shape: what of ours becomes which of the published members. Pure.

Our activities are ``object.verb`` (``policy.created``); they stand in ``activityType`` as they are, so that they can be
asked for. Components and resource types are the names that Intune's trail gives to what we have too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Text, case, func, literal, null

from shieldwall.contract.strict_json import encode
from shieldwall.server.directory.audit_trail import Change, changes_in, details_of, in_words, name_in
from shieldwall.server.graph.odata.fields import FieldMap, Many, guid, shown, text, within
from shieldwall.server.graph.odata.fields import moment as moment_field
from shieldwall.server.graph.resources import Json, moment
from shieldwall.server.storage.records import AuditEvent
from shieldwall.server.storage.tables.schema import audit_events

_LONGEST_VALUE: Final = 4_096


@dataclass(frozen=True, slots=True)
class Subject:
    """How the trail names a kind of objects."""

    component: str
    category: str
    resource_type: str


SUBJECTS: Final[Mapping[str, Subject]] = {
    "administrator": Subject("RoleBasedAccessControl", "Role", "User"),
    "alert": Subject("SecurityAlert", "Security", "Alert"),
    "app": Subject("RoleBasedAccessControl", "Role", "Application"),
    "assignmentFilter": Subject("AssignmentFilter", "AssignmentFilter", "DeviceAndAppManagementAssignmentFilter"),
    "changeSet": Subject("DeviceConfiguration", "DeviceConfiguration", "ChangeSet"),
    "device": Subject("ManagedDevices", "Device", "ManagedDevice"),
    "directoryAuthority": Subject("Enrollment", "Enrollment", "DirectoryAuthority"),
    "endorsement": Subject("Enrollment", "Enrollment", "Endorsement"),
    "group": Subject("Group", "Group", "Group"),
    "identityProvider": Subject("RoleBasedAccessControl", "Role", "IdentityProvider"),
    "offboardingPackage": Subject("Enrollment", "Enrollment", "OffboardingPackage"),
    "package": Subject("Enrollment", "Enrollment", "OnboardingPackage"),
    "person": Subject("RoleBasedAccessControl", "Role", "User"),
    "policy": Subject("DeviceConfiguration", "DeviceConfiguration", "DeviceManagementConfigurationPolicy"),
    "reusableSetting": Subject("DeviceConfiguration", "DeviceConfiguration", "DeviceManagementReusablePolicySetting"),
    "roleAssignment": Subject("RoleBasedAccessControl", "Role", "RoleAssignment"),
    "roleDefinition": Subject("RoleBasedAccessControl", "Role", "RoleDefinition"),
    "scopeTag": Subject("RoleBasedAccessControl", "Role", "RoleScopeTag"),
    "tenant": Subject("DeviceManagementSettings", "Setting", "DeviceManagementSettings"),
}
"""By the kind of the object; what is not named here is ``OTHER``."""
OTHER: Final = Subject("Other", "Other", "Other")
CATEGORIES: Final = tuple(sorted({each.category for each in (*SUBJECTS.values(), OTHER)}))

_OPERATIONS: Final[Mapping[str, str]] = {
    "created": "Create",
    "added": "Create",
    "registered": "Create",
    "deleted": "Delete",
    "removed": "Delete",
    "changed": "Patch",
    "renamed": "Patch",
    "detailsChanged": "Patch",
}
"""By the verb of an activity; every other verb is an action."""
_ACTION: Final = "Action"
_SUCCESS: Final = "Success"
"""What failed changed nothing, and is in the log and not in the trail."""
_ACTORS: Final[Mapping[str, str]] = {"app": "Application", "person": "ItPro"}
_SYSTEM: Final = "System"
"""The server by itself, somebody at its console, or a device."""


def _of_kind(names: Mapping[str, str], otherwise: str) -> ColumnElement[str]:
    return case(names, value=audit_events.c.object_kind, else_=otherwise)


def _is_by(kind: str) -> ColumnElement[bool]:
    return audit_events.c.actor.startswith(f"{kind}:", autoescape=True)


def _name_of(kind: str) -> ColumnElement[Any]:
    """Return the name of whoever acted where it is of this kind."""
    return case((_is_by(kind), func.substr(audit_events.c.actor, len(kind) + 2)), else_=null())


def _id_of(kind: str) -> ColumnElement[Any]:
    return case((_is_by(kind), audit_events.c.actor_id), else_=null())


_PROGRAM: Final = case(
    (_is_by("person"), null()),
    (_is_by("app"), func.substr(audit_events.c.actor, len("app") + 2)),
    else_=audit_events.c.actor,
)
"""The name of the program that acted: of an application, or of the server and its devices as it stands."""
CATEGORY: Final = _of_kind({kind: subject.category for kind, subject in SUBJECTS.items()}, OTHER.category)
"""The category of an event, as SQL; and so on."""
_COMPONENT: Final = _of_kind({kind: subject.component for kind, subject in SUBJECTS.items()}, OTHER.component)
_RESOURCE_TYPE: Final = _of_kind(
    {kind: subject.resource_type for kind, subject in SUBJECTS.items()}, OTHER.resource_type
)
_OPERATION: Final = case(
    *((audit_events.c.activity.endswith(f".{verb}", autoescape=True), name) for verb, name in _OPERATIONS.items()),
    else_=_ACTION,
)
_ACTOR_TYPE: Final = case(*((_is_by(kind), name) for kind, name in _ACTORS.items()), else_=_SYSTEM)
FIELDS: Final = FieldMap(
    (
        guid("id", audit_events.c.id),
        moment_field("activityDateTime", audit_events.c.at),
        text("activityType", audit_events.c.activity),
        text("category", CATEGORY),
        text("componentName", _COMPONENT),
        text("activityOperationType", _OPERATION),
        text("activityResult", literal(_SUCCESS, Text())),
        guid("correlationId", func.coalesce(audit_events.c.correlation_id, audit_events.c.id)),
        within(
            "actor",
            text("auditActorType", _ACTOR_TYPE),
            text("type", _ACTOR_TYPE),
            text("userPrincipalName", _name_of("person"), nullable=True),
            text("applicationDisplayName", _PROGRAM, nullable=True),
            text("applicationId", _id_of("app"), nullable=True),
            text("servicePrincipalName", _id_of("app"), nullable=True),
            text("userId", _id_of("person"), nullable=True),
            text("ipAddress", audit_events.c.ip_address, nullable=True),
        ),
        Many(
            name="resources",
            single=True,
            element=FieldMap(
                (
                    text("resourceId", audit_events.c.object_id),
                    text("auditResourceType", _RESOURCE_TYPE),
                    text("type", _RESOURCE_TYPE),
                    *shown("displayName", "modifiedProperties"),
                )
            ),
        ),
        *shown("displayName", "activity"),
    )
)
"""What the trail may be asked about."""


def audit_event_resource(event: AuditEvent) -> Json:
    """Shape an auditEvent."""
    subject = SUBJECTS.get(event.object_kind, OTHER)
    details = details_of(event)
    return {
        "id": event.id,
        "displayName": in_words(event.activity),
        "componentName": subject.component,
        "activity": in_words(event.activity),
        "activityDateTime": moment(event.at),
        "activityType": event.activity,
        "activityOperationType": operation_of(event.activity),
        "activityResult": _SUCCESS,
        "category": subject.category,
        "correlationId": event.correlation_id or event.id,
        "actor": _actor(event),
        "resources": [
            {
                "displayName": name_in(details) or event.object_id,
                "resourceId": event.object_id,
                "auditResourceType": subject.resource_type,
                "type": subject.resource_type,
                "modifiedProperties": list(map(_property, changes_in(details))),
            }
        ],
    }


def operation_of(activity: str) -> str:
    """Say whether an activity creates, changes or deletes, or is another action."""
    return _OPERATIONS.get(activity.rpartition(".")[2], _ACTION)


def _actor(event: AuditEvent) -> Json:
    kind, _, name = event.actor.partition(":")
    kind, name = (kind, name) if kind in _ACTORS else ("", event.actor)
    is_person, is_app = kind == "person", kind == "app"
    return {
        "auditActorType": _ACTORS.get(kind, _SYSTEM),
        "type": _ACTORS.get(kind, _SYSTEM),
        "userPrincipalName": name if is_person else None,
        "userId": event.actor_id if is_person else None,
        "applicationDisplayName": None if is_person else name,
        "applicationId": event.actor_id if is_app else None,
        "servicePrincipalName": event.actor_id if is_app else None,
        "ipAddress": event.ip_address,
        "userPermissions": [],
        "userRoleScopeTags": [],
        "remoteTenantId": None,
        "remoteUserId": None,
    }


def _property(change: Change) -> Json:
    return {"displayName": change.name, "oldValue": _text(change.before), "newValue": _text(change.after)}


def _text(value: object) -> str | None:
    if value is None:
        return None
    return (value if isinstance(value, str) else encode(value).decode())[:_LONGEST_VALUE]
