"""The figures of the fleet as whoever asks for a page sees them."""

from __future__ import annotations

from typing import Final

from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.admin.sight import Sight, sight_of
from shieldwall.server.manager.figures import EVERYTHING, Eyes, Figures, Fleet
from shieldwall.server.portal.handling import PageRequest

_COUNTED: Final = (ResourceAction.READ_DEVICES, ResourceAction.VIEW_REPORTS, ResourceAction.READ_ALERTS)


def figures_for(services: AdminServices, request: PageRequest) -> Figures | None:
    """Return the figures of the caller's part of the fleet, as of a moment that they name.

    ``None`` while a large fleet is counted for the first time: say so, and let the page refresh itself.
    """
    fleet = Fleet(
        database=services.database,
        catalog=services.catalog,
        tenant_id=services.tenant.id,
        eyes=eyes_of(sight_of(request)),
    )
    return services.figures.of(fleet, services.clock.now())


def eyes_of(sight: Sight) -> Eyes:
    """Say which rows somebody's figures are counted from; those who see everything share theirs."""
    devices, reports, alerts = sight.listed_devices(), sight.reported_devices(), sight.alerts()
    if not (devices or reports or alerts):
        return EVERYTHING
    key = tuple(sight.access.scopes(action) for action in _COUNTED)
    device_scopes, report_scopes, _ = key
    return Eyes(
        key=key,
        device_scopes=device_scopes,
        report_scopes=report_scopes,
        devices=devices,
        reports=reports,
        alerts=alerts,
    )


def sees_everything(request: PageRequest) -> bool:
    """Whether the caller sees the whole fleet: what was counted over time is of all of it."""
    return eyes_of(sight_of(request)) is EVERYTHING
