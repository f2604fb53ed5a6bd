"""What a change would do (``graph.preview_shapes``)."""

from __future__ import annotations

from typing import Final

from shieldwall.contract.conflicts import ConflictFamily, ConflictRule
from shieldwall.policy.outcomes import Reason
from shieldwall.server.graph.policy_bodies import READ_ONLY
from shieldwall.server.graph.schemas.policies import ASSIGNMENTS_SENT, AUTHORED, NEEDED
from shieldwall.server.graph.schemas.resource import body, resource
from shieldwall.server.graph.schemas.revisions import CLASS
from shieldwall.server.openapi.shapes import (
    COUNT,
    ID,
    TEXT,
    Component,
    Schema,
    list_of,
    nullable,
    record,
    said,
    text,
    word,
)

_SETTING: Final[dict[str, Schema]] = {"settingDefinitionId": TEXT, "displayName": TEXT}
_WHERE: Final[dict[str, Schema]] = {
    "devices": COUNT,
    "examples": said(list_of(TEXT), "The names of a few of them."),
}
_CHANGE: Final = Component(
    "PreviewedChange",
    record(
        {
            **_SETTING,
            "subject": nullable(text("Which item of a list it is about; null where it is the setting as a whole.")),
            "before": nullable(text("What the setting comes out as, in words; null where no policy sets it.")),
            "after": nullable(TEXT),
            "class": CLASS,
            **_WHERE,
        }
    ),
)
_CLASH: Final = Component(
    "PreviewedConflict",
    record({**_SETTING, **_WHERE, "policies": list_of(record({"id": ID, "name": TEXT}))}),
)
_PLACE: Final = Component("PreviewedRestart", record({**_SETTING, **_WHERE}))
PREVIEW: Final = Component(
    "Preview",
    record(
        {
            "devices": said(COUNT, "How many devices there are."),
            "devicesTargeted": COUNT,
            "devicesChanged": COUNT,
            "changes": said(list_of(_CHANGE), "The grave ones first."),
            "protectionLowered": list_of(_CHANGE),
            "connectivityRisk": list_of(_CHANGE),
            "conflictsMade": list_of(_CLASH),
            "conflictsSolved": list_of(_CLASH),
            "notApplicable": list_of(
                Component("PreviewedLapse", record({**_SETTING, "reason": word(Reason), **_WHERE}))
            ),
            "restart": said(list_of(_PLACE), "Settings that may take effect only after a restart."),
            "irreversible": said(
                list_of(_PLACE), "Settings that hold until the next restart, even if the policy is taken back."
            ),
        },
        meaning="What a change would do to the devices, before it is made.",
    ),
)
_PASSED_OVER: Final = READ_ONLY - {"assignments"}
NEW_POLICY_PREVIEW: Final = body(
    "NewPolicyPreview",
    {**AUTHORED, "assignments": ASSIGNMENTS_SENT},
    required=NEEDED,
    passed_over=_PASSED_OVER,
)
POLICY_PREVIEW: Final = Component(
    "PolicyPreview",
    {
        "anyOf": [
            body(
                "PolicyChangesPreview",
                {**AUTHORED, "assignments": ASSIGNMENTS_SENT},
                passed_over=_PASSED_OVER,
            ),
            body("PolicyDeletionPreview", {"delete": {"const": True}}, required=["delete"]),
        ]
    },
)
GROUP_PREVIEW: Final = Component(
    "GroupPreview",
    {
        "oneOf": [
            body("GroupRulePreview", {"membershipRule": TEXT}, required=["membershipRule"]),
            body("GroupDeletionPreview", {"delete": {"const": True}}, required=["delete"]),
            {
                **body("GroupMembersPreview", {"addMembers": list_of(TEXT), "removeMembers": list_of(TEXT)}).schema,
                "anyOf": [
                    {"required": [name], "properties": {name: {"type": "array", "minItems": 1}}}
                    for name in ("addMembers", "removeMembers")
                ],
            },
        ]
    },
)
_FAMILIES: Final[dict[str, Schema]] = {family.value: word("published", ConflictRule) for family in ConflictFamily}
CONFLICT_RULES: Final = resource(
    "ConflictRules",
    _FAMILIES,
    key=None,
    meaning="How policies are brought together that want different values, family by family.",
)
CONFLICT_RULES_SENT: Final = body("ConflictRulesRequest", _FAMILIES)
