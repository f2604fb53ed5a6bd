"""The page of all tenants, for those who run the server for several organisations."""

from __future__ import annotations

from typing import Final

from litestar import Response, get
from litestar.types import ControllerRouterHandler

from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import allow, needs
from shieldwall.server.inventory.tenant_overview import overview
from shieldwall.server.portal.handling import PageRequest, Renderer, Services
from shieldwall.server.portal.language import marked
from shieldwall.server.portal.sessions import TENANTS
from shieldwall.server.storage.device_records import DeviceState
from shieldwall.server.storage.events.alerts import Severity
from shieldwall.server.storage.inventory.inventory_queries import Health

_SEVERITIES: Final = {
    Severity.HIGH: marked("%(num)s high"),
    Severity.MEDIUM: marked("%(num)s medium"),
    Severity.LOW: marked("%(num)s low"),
}
_SEES_TENANTS: Final = allow(TENANTS)


@get("/tenants", opt=_SEES_TENANTS | needs(ResourceAction.READ_TENANTS), sync_to_thread=True)
def list_tenants(services: Services, rendering: Renderer, request: PageRequest) -> Response[str]:
    """Show every tenant with its devices, their health and what needs to be looked at."""
    with services.database.read() as connection:
        found = overview(connection, services.clock.now())
    return rendering.page(
        request,
        "settings/tenants.html",
        section="/tenants",
        tenants=found,
        home=services.tenant.id,
        health=Health,
        severity=Severity,
        state=DeviceState,
        severity_words=_SEVERITIES,
    )


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (list_tenants,)
