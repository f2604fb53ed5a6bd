"""The first page: how the tenant stands, what needs somebody, how it was before, and what changed today."""

from __future__ import annotations

from typing import Final

from litestar import Response, get
from litestar.types import ControllerRouterHandler

from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import everybody
from shieldwall.server.admin.sight import sight_of
from shieldwall.server.manager.figures import Figures
from shieldwall.server.manager.standing import TROUBLES
from shieldwall.server.portal.figures import figures_for, sees_everything
from shieldwall.server.portal.handling import SIGNED_IN, PageRequest, Renderer, Services
from shieldwall.server.portal.overview import shares
from shieldwall.server.portal.overview.needing import devices_in_trouble, policies_in_trouble
from shieldwall.server.portal.overview.today import changed_today
from shieldwall.server.portal.overview.trends import PERIODS, trends
from shieldwall.server.storage.device_records import DeviceState
from shieldwall.server.storage.events import alerts

_AWAITING: Final = (DeviceState.PENDING, DeviceState.QUARANTINED)


@get("/", opt=SIGNED_IN | everybody(), sync_to_thread=True)
def overview(services: Services, rendering: Renderer, request: PageRequest) -> Response[str]:
    """Show how the tenant stands."""
    sight, tenant, now = sight_of(request), services.tenant.id, services.clock.now()
    figures = figures_for(services, request)
    may_audit = sight.access.may_everywhere(ResourceAction.READ_AUDIT)
    with services.database.read() as connection:
        in_trouble = () if figures is None else devices_in_trouble(connection, sight, figures)
        at_odds = () if figures is None else policies_in_trouble(connection, sight, figures)
        alert_count = alerts.count_open(connection, tenant, sight.alerts())
        today = changed_today(connection, tenant, now) if may_audit else None
        drawn = None
        if sees_everything(request):
            drawn = trends(connection, tenant, now, request.query_params.get("period", ""))
    return rendering.page(
        request,
        "overview/overview.html",
        section="/",
        figures=figures,
        troubled=in_trouble,
        trouble_count=0 if figures is None else sum(figures.protection.get(state, 0) for state in TROUBLES),
        policies=at_odds,
        alert_count=alert_count,
        awaiting={} if figures is None else _awaiting(figures),
        today=today,
        trends=drawn,
        periods=PERIODS,
        sees_reports=sight.access.may(ResourceAction.VIEW_REPORTS),
        divisions=None if figures is None else _divisions(figures),
        live=("overview",),
    )


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (overview,)


def _divisions(figures: Figures) -> dict[str, shares.Division]:
    return {
        "platform": shares.by_platform(figures),
        "manager": shares.by_manager(figures),
        "health": shares.by_health(figures),
        "enrollment": shares.by_enrollment(figures),
        "protection": shares.by_protection(figures),
    }


def _awaiting(figures: Figures) -> dict[str, int]:
    """Count the devices that wait for somebody's decision, by their state."""
    found = {state.value: figures.states.get(state, 0) for state in _AWAITING}
    return found if any(found.values()) else {}
