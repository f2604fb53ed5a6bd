"""Groups, who belongs to them and why (``graph.resources.group_resource``, ``graph.memberships``)."""

from __future__ import annotations

from typing import Final

from shieldwall.server.graph.schemas.resource import body, resource
from shieldwall.server.openapi.shapes import (
    FLAG,
    ID,
    MOMENT,
    NOTHING,
    TEXT,
    Component,
    Schema,
    list_of,
    nullable,
    read_only,
    record,
    said,
    text,
    word,
)
from shieldwall.server.storage.records import MembershipCause, ProcessingState

_RULE: Final = said(TEXT, 'Who belongs, as a rule: `(device.deviceOSType -eq "Linux")`.')
_TYPES: Final = list_of(word("DynamicMembership"))
_STATUS: Final = said(
    record(
        {
            "status": said(word("Running", "Succeeded"), "`Running`: devices may still join or leave by a change."),
            "lastMembershipUpdated": NOTHING,
            "errorMessage": NOTHING,
        }
    ),
    "How far the rule has got; told of one group, by `$select` alone. In a large fleet a change takes minutes.",
)
GROUP: Final = resource(
    "Group",
    {
        "id": read_only(ID),
        "displayName": TEXT,
        "description": TEXT,
        "mailEnabled": {"const": False},
        "mailNickname": TEXT,
        "securityEnabled": {"const": True},
        "groupTypes": _TYPES,
        "membershipRule": nullable(_RULE),
        "membershipRuleProcessingState": nullable(word(ProcessingState)),
        "membershipRuleProcessingStatus": nullable(_STATUS),
        "createdDateTime": read_only(MOMENT),
        "deletedDateTime": read_only(NOTHING),
    },
    sometimes=["membershipRuleProcessingStatus"],
    meaning="A set of devices, with assigned members or a membership rule.",
)
_SENT: Final[dict[str, Schema]] = {
    "displayName": nullable(TEXT),
    "description": nullable(TEXT),
    "mailNickname": nullable(TEXT),
    "membershipRule": nullable(_RULE),
    "membershipRuleProcessingState": nullable(word(ProcessingState)),
}
NEW_GROUP: Final = body(
    "NewGroup",
    {
        **_SENT,
        "displayName": text(minLength=1, maxLength=256),
        "mailNickname": text(minLength=1, maxLength=64),
        "mailEnabled": {"const": False},
        "securityEnabled": {"const": True},
        "groupTypes": _TYPES,
    },
    required=["displayName", "mailNickname", "mailEnabled", "securityEnabled"],
    passed_over=["id", "createdDateTime", "deletedDateTime", "visibility"],
)
GROUP_CHANGES: Final = body(
    "GroupChanges",
    _SENT,
    passed_over=[
        "id",
        "createdDateTime",
        "deletedDateTime",
        "mailEnabled",
        "securityEnabled",
        "groupTypes",
        "visibility",
    ],
)
REFERENCE: Final = Component(
    "ReferenceCreate",
    {
        "type": "object",
        "properties": {
            "@odata.id": text(
                "Who it is, by an address that ends in `/directoryObjects/ID`, `/devices/ID` or `/users/ID`.",
                pattern=r"/(?:directoryObjects|devices|users)(?:/|\('?)[0-9a-fA-F-]{36}(?:'\))?$",
            )
        },
        "required": ["@odata.id"],
    },
)
MEMBER_REFERENCE: Final = Component(
    "MemberReference", {"type": "object", "properties": {"@odata.id": TEXT}, "required": ["@odata.id"]}
)
_DETAILS: Final = Component(
    "MembershipRuleEvaluation",
    record(
        {
            "expression": said(TEXT, "The part of the rule."),
            "expressionResult": nullable(FLAG),
            "expressionEvaluationDetails": list_of({"$ref": "#/components/schemas/MembershipRuleEvaluation"}),
            "propertyToEvaluate": nullable(record({"propertyName": nullable(TEXT), "propertyValue": nullable(TEXT)})),
        }
    ),
)
EVALUATION: Final = Component(
    "EvaluateDynamicMembershipResult",
    record(
        {
            "@odata.context": TEXT,
            "membershipRule": _RULE,
            "membershipRuleEvaluationResult": nullable(FLAG),
            "membershipRuleEvaluationDetails": _DETAILS,
        },
        meaning="Whether a device belongs, and what every part of the rule says of it.",
    ),
)
MEMBERSHIP_EVENT: Final = resource(
    "MembershipEvent",
    {
        "id": ID,
        "activityDateTime": MOMENT,
        "activity": word("joined", "left"),
        "cause": word(MembershipCause),
        "initiatedBy": TEXT,
        "groupId": ID,
        "groupDisplayName": nullable(TEXT),
        "deviceId": ID,
        "deviceDisplayName": nullable(TEXT),
    },
    meaning="A device joined a group or left it.",
)
