"""Alerts as administrators see and close them."""

from __future__ import annotations

from sqlalchemy import Connection

from shieldwall.contract.ids import TenantId
from shieldwall.server.directory.acting import Acting
from shieldwall.server.storage.errors import NotFoundError
from shieldwall.server.storage.events import alerts
from shieldwall.server.storage.events.alerts import Alert
from shieldwall.server.storage.records import Page


def list_alerts(
    connection: Connection, tenant_id: TenantId, page: Page, *, is_open: bool | None = None
) -> tuple[Alert, ...]:
    """Return one page of a tenant's alerts, ordered by id: all, or only those that are open, or that are not."""
    return alerts.list_alerts(connection, tenant_id, page, is_open=is_open)


def get_alert(connection: Connection, tenant_id: TenantId, alert_id: str) -> Alert:
    """Return an alert of this tenant. Raises: NotFoundError."""
    alert = alerts.find(connection, tenant_id, alert_id)
    if alert is None:  # the same answer for another tenant's, so that nobody learns of it
        raise NotFoundError(f"There is no alert {alert_id[:64]}.")
    return alert


def resolve(connection: Connection, acting: Acting, alert_id: str) -> Alert:
    """Close an alert. Twice is once. Raises: NotFoundError."""
    alert = get_alert(connection, acting.tenant_id, alert_id)
    if alerts.resolve(connection, alert.id, by=acting.actor, at=acting.clock.now()):
        acting.record(connection, "alert.resolved", "alert", alert.id, title=alert.title, device=alert.device_id)
    return get_alert(connection, acting.tenant_id, alert_id)
