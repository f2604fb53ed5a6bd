"""Policies, their assignments and what devices make of them (``graph.policy_shapes``, ``graph.policy_bodies``)."""

from __future__ import annotations

from typing import Final

from shieldwall.contract.settings import LOWEST_PRIORITY
from shieldwall.contract.status import SettingState
from shieldwall.server.graph.policy_bodies import (
    MAX_DESCRIPTION_LENGTH,
    MAX_SCOPE_TAG_LENGTH,
    MAX_SCOPE_TAGS,
    READ_ONLY,
)
from shieldwall.server.graph.schemas.definitions import PLATFORM, TECHNOLOGIES
from shieldwall.server.graph.schemas.resource import ANNOTATION, PASSED_OVER, SCOPE_TAGS, body, resource
from shieldwall.server.graph.schemas.settings import SETTING, SETTING_SENT
from shieldwall.server.manager.drafts import MAX_NAME_LENGTH
from shieldwall.server.openapi.shapes import (
    COUNT,
    FLAG,
    ID,
    MOMENT,
    NOTHING,
    NUMBER,
    TEXT,
    Component,
    Schema,
    constant,
    list_of,
    nullable,
    number,
    open_record,
    read_only,
    record,
    said,
    tagged,
    text,
    word,
)

HASH: Final[Schema] = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
_FILTER: Final[dict[str, Schema]] = {
    "deviceAndAppManagementAssignmentFilterId": nullable(ID),
    "deviceAndAppManagementAssignmentFilterType": word("none", "include", "exclude"),
}
_GROUP_TARGETS: Final = ("groupAssignmentTarget", "exclusionGroupAssignmentTarget")
_ALL_DEVICES: Final = "allDevicesAssignmentTarget"


def _target(suffix: str, *, sent: bool) -> Component:
    """Whom an assignment names, as it is read or sent."""
    filtering = {name: nullable(schema) for name, schema in _FILTER.items()} if sent else _FILTER
    kinds = {}
    for name in (*_GROUP_TARGETS, _ALL_DEVICES):
        kind = f"#microsoft.graph.{name}"
        group: dict[str, Schema] = {} if name == _ALL_DEVICES else {"groupId": ID}
        schema = record({"@odata.type": constant(kind), **group, **filtering}, optional=filtering if sent else ())
        if sent:
            schema["patternProperties"] = {ANNOTATION: {}}
        kinds[kind] = Component(name[0].upper() + name[1:] + suffix, schema)
    return Component(f"AssignmentTarget{suffix}", tagged("@odata.type", kinds))


ASSIGNMENT: Final = resource(
    "Assignment",
    {
        "id": text("The id of the policy, and the group's or `allDevices`."),
        "source": word("direct"),
        "sourceId": ID,
        "target": _target("", sent=False),
    },
    meaning="Whom a policy is for.",
)
ASSIGNMENTS_SENT: Final = list_of(open_record({"target": _target("Sent", sent=True)}, required=["target"]))
ASSIGN: Final = body("AssignRequest", {"assignments": ASSIGNMENTS_SENT}, required=["assignments"])
ASSIGNED: Final = Component("Assigned", record({"value": list_of(ASSIGNMENT)}))

PRIORITY: Final = nullable(
    Component("PriorityMetaData", record({"priority": number("1 is the best.", minimum=1, maximum=LOWEST_PRIORITY)}))
)
TEMPLATE_REFERENCE: Final = Component(
    "TemplateReference",
    record({"templateId": TEXT, "templateFamily": TEXT, "templateDisplayName": TEXT, "templateDisplayVersion": TEXT}),
)
POLICY: Final = resource(
    "Policy",
    {
        "id": read_only(ID),
        "name": TEXT,
        "description": TEXT,
        "platforms": PLATFORM,
        "technologies": TECHNOLOGIES,
        "createdDateTime": read_only(MOMENT),
        "lastModifiedDateTime": read_only(MOMENT),
        "settingCount": read_only(COUNT),
        "isAssigned": read_only(FLAG),
        "creationSource": read_only(NOTHING),
        "disableEntraGroupPolicyAssignment": read_only(FLAG),
        "roleScopeTagIds": SCOPE_TAGS,
        "priorityMetaData": PRIORITY,
        "templateReference": TEMPLATE_REFERENCE,
    },
    expands={
        "settings": list_of(SETTING),
        "assignments": list_of(ASSIGNMENT),
        "shieldwall": read_only(record({"revision": COUNT, "digest": HASH})),
    },
    meaning="A deviceManagementConfigurationPolicy: named settings, and whom they are for.",
)
_NAME: Final = text(minLength=1, maxLength=MAX_NAME_LENGTH)
_DESCRIPTION: Final = nullable(text(maxLength=MAX_DESCRIPTION_LENGTH))
_TEMPLATE_SENT: Final = {
    **record(
        {
            "templateId": TEXT,
            "templateFamily": PASSED_OVER,
            "templateDisplayName": PASSED_OVER,
            "templateDisplayVersion": PASSED_OVER,
        },
        optional=["templateFamily", "templateDisplayName", "templateDisplayVersion"],
    ),
    "patternProperties": {ANNOTATION: {}},
}
_PRIORITY_SENT: Final = nullable({**record({"priority": NUMBER}), "patternProperties": {ANNOTATION: {}}})
AUTHORED: Final = {
    "name": _NAME,
    "description": _DESCRIPTION,
    "platforms": PLATFORM,
    "technologies": TECHNOLOGIES,
    "templateReference": _TEMPLATE_SENT,
    "roleScopeTagIds": list_of(text(minLength=1, maxLength=MAX_SCOPE_TAG_LENGTH), maxItems=MAX_SCOPE_TAGS),
    "priorityMetaData": _PRIORITY_SENT,
    "settings": list_of(SETTING_SENT),
}
"""What an author decides, as it is sent."""
NEEDED: Final = ("name", "platforms", "technologies", "templateReference", "settings")
NEW_POLICY: Final = body("NewPolicy", AUTHORED, required=NEEDED, passed_over=READ_ONLY)
POLICY_CHANGES: Final = body("PolicyChanges", AUTHORED, passed_over=READ_ONLY)
DRAFT: Final = Component(
    "PolicyDraft",
    record(
        {
            "name": TEXT,
            "description": TEXT,
            "platforms": PLATFORM,
            "technologies": TECHNOLOGIES,
            "settingCount": COUNT,
            "roleScopeTagIds": SCOPE_TAGS,
            "priorityMetaData": PRIORITY,
            "templateReference": TEMPLATE_REFERENCE,
            "settings": list_of(SETTING),
        },
        meaning="A policy that is not there, as it would be created.",
    ),
)
STATUS_SUMMARY: Final = resource(
    "PolicyStatusSummary", {state.value: COUNT for state in SettingState}, key=None, meaning="Devices by state."
)
POLICY_DEVICE: Final = resource(
    "PolicyDevice",
    {
        "deviceId": ID,
        "deviceName": TEXT,
        "state": word(SettingState),
        "lastSyncDateTime": nullable(MOMENT),
        "lastReportDateTime": nullable(MOMENT),
    },
    key=None,
    meaning="How one device stands with a policy.",
)
_PART: Final = Component("PartLeftOut", record({"path": TEXT, "code": TEXT, "message": TEXT, "allowed": TEXT}))
IMPORTED: Final = Component(
    "ImportedPolicy",
    record(
        {
            "policy": nullable(POLICY),
            "leftOut": said(list_of(_PART), "Every part that has no place here, and why."),
            "ignored": said(list_of(TEXT), "Members that say nothing."),
        }
    ),
)
CHECKED_IMPORT: Final = Component(
    "CheckedImport",
    record({"policy": nullable(DRAFT), "leftOut": list_of(_PART), "ignored": list_of(TEXT)}),
)
EXPORT: Final = Component(
    "ExportedPolicy", open_record({}, meaning="A policy as another server or tool exported it, whatever is in it.")
)
