"""``/tenantRelationships/managedTenants``: all tenants of the server, for those who run it; the one view across them.

The shape is Graph's, with counts of ours. Nothing here names a device, a policy or a person of another tenant.
"""

from __future__ import annotations

from typing import Final

from litestar import Response, get
from litestar.params import FromPath
from litestar.types import ControllerRouterHandler

from shieldwall.contract.ids import parse_tenant_id
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import ForbiddenError, allow, needs
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.graph.describing import lists, shows
from shieldwall.server.graph.fields.security import MANAGED_TENANT_FIELDS
from shieldwall.server.graph.requests import GraphRequest, Services, answer, list_answer, query_of
from shieldwall.server.graph.resources import Json, moment
from shieldwall.server.graph.schemas.alerts import MANAGED_TENANT
from shieldwall.server.inventory.tenant_overview import TenantOverview, overview, overview_of
from shieldwall.server.storage.device_records import DeviceState
from shieldwall.server.storage.events.alerts import Severity
from shieldwall.server.storage.inventory.inventory_queries import Health

PATH: Final = "/tenantRelationships/managedTenants/tenants"
_READ: Final = allow("ManagedTenants.Read.All")


@get(PATH, opt=_READ | needs(ResourceAction.READ_TENANTS) | lists(MANAGED_TENANT), sync_to_thread=True)
def list_tenants(services: Services, request: GraphRequest) -> Response[bytes]:
    """List all tenants of the server with their counts; for callers of the server's own tenant alone."""
    _require_home(services)
    query = query_of(request)
    with services.database.read() as connection:
        found = overview(connection, services.clock.now())
    return list_answer(services, request, query, [tenant_resource(each) for each in found], MANAGED_TENANT_FIELDS)


@get(
    PATH + "/{tenant_id:str}",
    opt=_READ | needs(ResourceAction.READ_TENANTS) | shows(MANAGED_TENANT),
    sync_to_thread=True,
)
def get_tenant(services: Services, request: GraphRequest, tenant_id: FromPath[str]) -> Response[bytes]:
    """Return one tenant of the server with its counts; for callers of the server's own tenant alone."""
    _require_home(services)
    query, wanted = query_of(request), parse_tenant_id(tenant_id)
    with services.database.read() as connection:
        found = overview_of(connection, wanted, services.clock.now())
    return answer(query.shape(tenant_resource(found)))


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (list_tenants, get_tenant)


def tenant_resource(found: TenantOverview) -> Json:
    """Shape a tenant as a managed tenant; ``devices`` and ``openAlerts`` are ours."""
    tenant, figures = found.tenant, found.figures
    return {
        "id": tenant.id,
        "tenantId": tenant.id,
        "displayName": tenant.display_name,
        "createdDateTime": moment(tenant.created_at),
        "contract": {"displayName": tenant.display_name, "defaultDomainName": tenant.domain},
        "tenantStatusInformation": {
            "onboardingStatus": "active",
            "onboardedDateTime": moment(tenant.created_at),
            "tenantOnboardingEligibilityReason": "none",
        },
        "devices": {
            "count": figures.devices,
            "states": {state.value: figures.states.get(state, 0) for state in _STATES},
            "health": {health.value: figures.health.get(health, 0) for health in Health},
            "enrollmentCodes": [
                {"code": code, "count": count} for code, count in sorted(figures.enrollment_codes.items())
            ],
            "lastCheckInDateTime": moment(figures.last_check_in),
        },
        "openAlerts": {severity.value: figures.open_alerts.get(severity, 0) for severity in Severity},
    }


_STATES: Final = tuple(state for state in DeviceState if state is not DeviceState.RETIRED)


def _require_home(services: AdminServices) -> None:
    if not services.serves_home:
        raise ForbiddenError(
            "Only applications of the tenant that the server was made with see other tenants.",
            remedy="Ask whoever runs the server.",
        )
