"""Assignment filters and reusable settings (``graph.assignment_filters``, ``graph.reusable_settings``)."""

from __future__ import annotations

from typing import Final

from shieldwall.server.graph.schemas.definitions import PLATFORM
from shieldwall.server.graph.schemas.resource import SCOPE_TAGS, body, resource
from shieldwall.server.graph.schemas.settings import INSTANCE, INSTANCE_SENT
from shieldwall.server.openapi.shapes import (
    ANYTHING,
    COUNT,
    ID,
    MOMENT,
    TEXT,
    Component,
    Schema,
    list_of,
    nullable,
    read_only,
    said,
    text,
    word,
)

FILTER: Final = resource(
    "AssignmentFilter",
    {
        "id": read_only(ID),
        "displayName": TEXT,
        "description": TEXT,
        "platform": PLATFORM,
        "rule": said(TEXT, 'A rule over devices: `(device.displayName -startsWith "web")`.'),
        "roleScopeTags": SCOPE_TAGS,
        "assignmentFilterManagementType": word("devices"),
        "payloads": read_only(list_of(ANYTHING)),
        "createdDateTime": read_only(MOMENT),
        "lastModifiedDateTime": read_only(MOMENT),
    },
    meaning="A rule that narrows whom an assignment reaches.",
)
_FILTER_SENT: Final = {
    "displayName": nullable(TEXT),
    "description": nullable(TEXT),
    "platform": nullable(TEXT),
    "rule": nullable(TEXT),
    "roleScopeTags": nullable(list_of(TEXT)),
    "assignmentFilterManagementType": {"enum": ["devices", None]},
}
_FILTER_READ_ONLY: Final = ("id", "createdDateTime", "lastModifiedDateTime", "payloads")
NEW_FILTER: Final = body(
    "NewAssignmentFilter",
    {**_FILTER_SENT, "displayName": text(minLength=1), "platform": TEXT, "rule": TEXT},
    required=["displayName", "platform", "rule"],
    passed_over=_FILTER_READ_ONLY,
)
FILTER_CHANGES: Final = body("AssignmentFilterChanges", _FILTER_SENT, passed_over=_FILTER_READ_ONLY)

REUSABLE: Final = resource(
    "ReusableSetting",
    {
        "id": read_only(ID),
        "displayName": TEXT,
        "description": TEXT,
        "settingDefinitionId": TEXT,
        "settingInstance": INSTANCE,
        "version": read_only(COUNT),
        "createdDateTime": read_only(MOMENT),
        "lastModifiedDateTime": read_only(MOMENT),
        "referencingConfigurationPolicyCount": read_only(COUNT),
    },
    meaning="A setting that several policies refer to.",
)
_REUSABLE_SENT: Final[dict[str, Schema | Component]] = {
    "displayName": nullable(TEXT),
    "description": nullable(TEXT),
    "settingDefinitionId": TEXT,
    "settingInstance": INSTANCE_SENT,
}
_REUSABLE_READ_ONLY: Final = (
    "id",
    "createdDateTime",
    "lastModifiedDateTime",
    "version",
    "referencingConfigurationPolicyCount",
    "settingDefinition",
)
NEW_REUSABLE: Final = body(
    "NewReusableSetting",
    {**_REUSABLE_SENT, "displayName": TEXT},
    required=["displayName", "settingInstance"],
    passed_over=_REUSABLE_READ_ONLY,
)
REUSABLE_CHANGES: Final = body("ReusableSettingChanges", _REUSABLE_SENT, passed_over=_REUSABLE_READ_ONLY)
