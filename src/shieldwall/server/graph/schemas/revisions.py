"""The revisions of a policy, and sets of changes (``graph.policy_shapes``, ``graph.change_set_bodies``)."""

from __future__ import annotations

from typing import Final

from shieldwall.policy.classify import ChangeClass
from shieldwall.server.graph.schemas.definitions import PLATFORM, TECHNOLOGIES
from shieldwall.server.graph.schemas.policies import (
    ASSIGNMENTS_SENT,
    HASH,
    NEW_POLICY,
    POLICY,
    POLICY_CHANGES,
    PRIORITY,
    TEMPLATE_REFERENCE,
)
from shieldwall.server.graph.schemas.resource import ANNOTATION, body, resource
from shieldwall.server.graph.schemas.settings import SETTING
from shieldwall.server.openapi.shapes import (
    COUNT,
    ID,
    MOMENT,
    TEXT,
    Component,
    constant,
    list_of,
    nullable,
    number,
    open_record,
    record,
    said,
    tagged,
    text,
    word,
)

CLASS: Final = said(word(ChangeClass), "What the change does to the protection.")
REVISION: Final = resource(
    "PolicyRevision",
    {
        "id": TEXT,
        "revision": COUNT,
        "createdDateTime": MOMENT,
        "createdBy": TEXT,
        "reason": TEXT,
        "digest": HASH,
        "name": TEXT,
        "settingCount": COUNT,
        "class": {"anyOf": [CLASS, {"type": "null"}], "description": "Null for the first revision."},
    },
    meaning="One immutable publish of a policy.",
)
REVISION_CONTENT: Final = resource(
    "PolicyRevisionContent",
    {
        "id": ID,
        "name": TEXT,
        "description": TEXT,
        "platforms": PLATFORM,
        "technologies": TECHNOLOGIES,
        "settingCount": COUNT,
        "priorityMetaData": PRIORITY,
        "templateReference": {
            "anyOf": [TEMPLATE_REFERENCE, record({"templateId": TEXT})],
            "description": "The id alone where the catalog has no such template any more.",
        },
        "settings": list_of(SETTING),
        "shieldwall": record(
            {
                "revision": COUNT,
                "digest": HASH,
                "createdDateTime": MOMENT,
                "createdBy": TEXT,
                "reason": TEXT,
                "catalogVersion": TEXT,
            }
        ),
    },
    meaning="A policy as it was in one revision.",
)
CHANGE: Final = resource(
    "SettingChange",
    {
        "settingDefinitionId": TEXT,
        "displayName": TEXT,
        "before": nullable(text("The value in words; null where the setting was not set.")),
        "after": nullable(TEXT),
        "class": CLASS,
    },
    key=None,
    meaning="What one setting was and became.",
)
_KEY: Final = text("A name of the set's own for a policy that it creates.")
_REVISION: Final = nullable(number("Refuse the change unless this is the newest revision."))


def _change(kind: str, members: dict[str, object], required: tuple[str, ...]) -> Component:
    schema = open_record({"kind": constant(kind), **members}, required=("kind", *required))  # type: ignore[dict-item]
    schema |= {"patternProperties": {ANNOTATION: {}}, "additionalProperties": False}
    return Component(f"Change{kind.title()}", schema)


CHANGE_SET: Final = body(
    "ChangeSet",
    {
        "reason": TEXT,
        "expectedDeletes": number("How many of the changes delete; another number is refused.", minimum=0),
        "changes": list_of(
            Component(
                "ChangeOfPolicy",
                tagged(
                    "kind",
                    {
                        "create": _change(
                            "create",
                            {"key": _KEY, "policy": NEW_POLICY, "assignments": ASSIGNMENTS_SENT},
                            ("policy",),
                        ),
                        "update": _change(
                            "update",
                            {
                                "id": ID,
                                "key": _KEY,
                                "revision": _REVISION,
                                "policy": POLICY_CHANGES,
                                "assignments": ASSIGNMENTS_SENT,
                            },
                            (),
                        ),
                        "delete": _change("delete", {"id": ID, "revision": _REVISION}, ("id",)),
                    },
                ),
            )
        ),
    },
    required=["changes"],
)
CHANGED: Final = Component(
    "ChangedPolicies",
    record(
        {
            "value": list_of(
                {
                    "anyOf": [
                        POLICY,
                        Component(
                            "DeletedPolicy",
                            record({"id": ID, "name": TEXT, "@removed": record({"reason": word("deleted")})}),
                        ),
                    ]
                }
            )
        },
        meaning="The policies as they are after the changes, in the order of the changes.",
    ),
)
