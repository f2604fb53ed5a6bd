"""The audit trail (``graph.audit_shapes``)."""

from __future__ import annotations

from typing import Final

from shieldwall.server.graph.audit_shapes import CATEGORIES
from shieldwall.server.graph.schemas.resource import resource
from shieldwall.server.openapi.shapes import (
    ANYTHING,
    ID,
    MOMENT,
    NOTHING,
    TEXT,
    Component,
    list_of,
    nullable,
    record,
    said,
    word,
)

_KIND: Final = word("Application", "ItPro", "System")
_ACTOR: Final = Component(
    "AuditActor",
    record(
        {
            "auditActorType": _KIND,
            "type": _KIND,
            "userPrincipalName": nullable(TEXT),
            "userId": nullable(TEXT),
            "applicationDisplayName": nullable(TEXT),
            "applicationId": nullable(TEXT),
            "servicePrincipalName": nullable(TEXT),
            "ipAddress": nullable(TEXT),
            "userPermissions": list_of(TEXT),
            "userRoleScopeTags": list_of(ANYTHING),
            "remoteTenantId": NOTHING,
            "remoteUserId": NOTHING,
        },
        meaning="Who did it.",
    ),
)
_RESOURCE: Final = Component(
    "AuditResource",
    record(
        {
            "displayName": TEXT,
            "resourceId": TEXT,
            "auditResourceType": TEXT,
            "type": TEXT,
            "modifiedProperties": list_of(
                record({"displayName": TEXT, "oldValue": nullable(TEXT), "newValue": nullable(TEXT)})
            ),
        },
        meaning="To what, and what is different since.",
    ),
)
AUDIT_EVENT: Final = resource(
    "AuditEvent",
    {
        "id": ID,
        "displayName": said(TEXT, "The activity in words."),
        "componentName": TEXT,
        "activity": TEXT,
        "activityDateTime": MOMENT,
        "activityType": said(TEXT, "Our own stable name: `policy.created`."),
        "activityOperationType": word("Create", "Delete", "Patch", "Action"),
        "activityResult": word("Success"),
        "category": word(CATEGORIES),
        "correlationId": ID,
        "actor": _ACTOR,
        "resources": list_of(_RESOURCE),
    },
    meaning="Who did what to what, and when.",
)
WORDS: Final = Component("AuditWords", record({"value": list_of(TEXT)}))
