"""Fields of applications and of those whom tokens speak for."""

from __future__ import annotations

from typing import Final

from shieldwall.server.graph.fields.described import described
from shieldwall.server.graph.odata import fields
from shieldwall.server.graph.schemas.applications import APP_ROLE_ASSIGNMENT, APPLICATION, SERVICE_PRINCIPAL
from shieldwall.server.storage.tables.schema import apps

_app = apps.c
_NAMED: Final = {"displayName": "displayName"}
APPLICATION_FIELDS: Final = described(
    APPLICATION,
    fields.guid("id", _app.object_id),
    fields.guid("appId", _app.client_id),
    fields.text("displayName", _app.display_name),
    fields.moment("createdDateTime", _app.created_at),
    fields.boolean("isFallbackPublicClient", _app.is_public),
    searched=_NAMED,
)
SERVICE_PRINCIPAL_FIELDS: Final = described(SERVICE_PRINCIPAL, searched=_NAMED)
APP_ROLE_ASSIGNMENT_FIELDS: Final = described(APP_ROLE_ASSIGNMENT)
