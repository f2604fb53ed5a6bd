"""Fields of alerts, of packages, and of what else belongs to how devices come and go."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Text, case, func, literal

from shieldwall.contract.events import EventSeverity
from shieldwall.server.graph.fields.described import described
from shieldwall.server.graph.odata import fields
from shieldwall.server.graph.schemas.account import ONBOARDING_STATE
from shieldwall.server.graph.schemas.alerts import ALERT, DEVICE_EVENT, MANAGED_TENANT
from shieldwall.server.graph.schemas.directory import AUTHORITY
from shieldwall.server.graph.schemas.events import WEBHOOK
from shieldwall.server.graph.schemas.packages import ENDORSEMENT, OFFBOARDING_PACKAGE, PACKAGE
from shieldwall.server.graph.schemas.protection import CLEAN_UP_RULE
from shieldwall.server.storage.events.alerts import Severity
from shieldwall.server.storage.tables.device_schema import alerts, device_events
from shieldwall.server.storage.tables.events_schema import receivers
from shieldwall.server.storage.tables.schema import devices, inventory, offboarding_packages, onboarding_packages

_alert, _package, _leaving, _receiver = alerts.c, onboarding_packages.c, offboarding_packages.c, receivers.c
_event = device_events.c
_STATUSES: Final = ("unknown", "new", "inProgress", "resolved", "unknownFutureValue")
_SEVERITIES: Final = ("unknown", "informational", *(severity.value for severity in Severity), "unknownFutureValue")
_NAMED: Final = {"displayName": "displayName"}

ALERT_FIELDS: Final = described(
    ALERT,
    fields.guid("id", _alert.id),
    fields.guid("tenantId", _alert.tenant_id),
    fields.text("title", _alert.title),
    fields.text("category", _alert.kind),
    fields.choice("severity", _SEVERITIES, _alert.severity),
    fields.choice("status", _STATUSES, case((_alert.resolved_at.is_(None), literal("new")), else_=literal("resolved"))),
    fields.text("serviceSource", literal("shieldwall", Text())),
    fields.moment("createdDateTime", _alert.first_at),
    fields.moment("firstActivityDateTime", _alert.first_at),
    fields.moment("lastActivityDateTime", _alert.last_at),
    fields.moment("lastUpdateDateTime", func.coalesce(_alert.resolved_at, _alert.last_at, type_=_alert.last_at.type)),
    fields.moment("resolvedDateTime", _alert.resolved_at, nullable=True),
    searched={"title": "title"},
)
DEVICE_EVENT_FIELDS: Final = described(
    DEVICE_EVENT,
    fields.guid("id", _event.id),
    fields.guid("tenantId", _event.tenant_id),
    fields.guid("deviceId", _event.device_id),
    fields.moment("eventDateTime", _event.at),
    fields.moment("receivedDateTime", _event.received_at),
    fields.text("category", _event.kind),
    fields.choice("severity", [severity.value for severity in EventSeverity], _event.severity),
    fields.text("title", _event.title),
    fields.text("subject", _event.subject),
    fields.number("times", _event.times),
    searched={"title": "title", "subject": "subject"},
)
PACKAGE_FIELDS: Final = described(
    PACKAGE,
    fields.guid("id", _package.id),
    fields.text("displayName", _package.display_name),
    fields.moment("notBeforeDateTime", _package.not_before),
    fields.moment("expirationDateTime", _package.not_after),
    fields.number("maxUses", _package.max_uses),
    fields.number("uses", _package.uses),
    fields.texts("allowedPlatforms", _package.platforms),
    fields.texts("tags", _package.tags),
    fields.text("approval", _package.approval),
    fields.text("attestation", _package.attestation),
    fields.text("joinType", _package.join_type),
    fields.text("createdBy", _package.created_by),
    fields.moment("createdDateTime", _package.created_at),
    fields.moment("revokedDateTime", _package.revoked_at, nullable=True),
    searched=_NAMED,
)
OFFBOARDING_PACKAGE_FIELDS: Final = described(
    OFFBOARDING_PACKAGE,
    fields.guid("id", _leaving.id),
    fields.text("displayName", _leaving.display_name),
    fields.texts("platforms", _leaving.platforms),
    fields.moment("expirationDateTime", _leaving.not_after),
    fields.moment("createdDateTime", _leaving.created_at),
    fields.text("createdBy", _leaving.created_by),
    searched=_NAMED,
)
WEBHOOK_FIELDS: Final = described(
    WEBHOOK,
    fields.guid("id", _receiver.id),
    fields.text("displayName", _receiver.display_name),
    fields.text("url", _receiver.url),
    fields.texts("eventTypes", _receiver.event_kinds),
    fields.boolean("enabled", _receiver.enabled),
    fields.text("switchedOffBecause", _receiver.switched_off_because),
    fields.text("createdBy", _receiver.created_by),
    fields.moment("createdDateTime", _receiver.created_at),
    fields.moment("lastModifiedDateTime", _receiver.modified_at),
    fields.number("failures", _receiver.failures),
    fields.moment("failingSinceDateTime", _receiver.failing_since, nullable=True),
    searched=_NAMED,
)
ONBOARDING_STATE_FIELDS: Final = described(
    ONBOARDING_STATE,
    fields.guid("id", inventory.c.device_id),
    fields.guid("deviceId", inventory.c.device_id),
    fields.text("deviceName", devices.c.display_name),
    fields.text("deviceModel", devices.c.model),
    searched={"deviceName": "deviceName"},
)
ENDORSEMENT_FIELDS: Final = described(ENDORSEMENT, searched=_NAMED)
AUTHORITY_FIELDS: Final = described(AUTHORITY, searched=_NAMED)
CLEAN_UP_RULE_FIELDS: Final = described(CLEAN_UP_RULE)
MANAGED_TENANT_FIELDS: Final = described(MANAGED_TENANT, searched=_NAMED)
