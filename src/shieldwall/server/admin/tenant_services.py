"""Which tenant a request is for, and the services at work for it, handed to the handlers by the framework."""

from __future__ import annotations

from typing import Any

from litestar import Request
from litestar.datastructures import State

from shieldwall.server.access.authorization import Principal
from shieldwall.server.admin.parts import part_of
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.listening.admin_front import address_of


def services_of_caller(services: AdminServices, caller: object) -> AdminServices:
    """Return the services of the tenant of whoever the guard let in; of the server's own where anybody may come."""
    if not isinstance(caller, Principal) or caller.tenant_id == services.tenant.id:
        return services
    return services.of(services.tenancy.get(caller.tenant_id))


def services_here(scope: Any) -> AdminServices:
    """Return the services as they are seen at the address that the request with this scope was sent to."""
    services = part_of(scope, AdminServices)
    return services.reached_at(address_of(scope, services.settings.public_url))


def serving_tenant_of_caller(request: Request[Any, Any, State]) -> AdminServices:
    """Serve every handler that knows its caller, as a dependency: nothing in it can reach another tenant."""
    return services_of_caller(services_here(request.scope), request.scope.get("user"))


def serving_tenant_named(request: Request[Any, Any, State]) -> AdminServices:
    """Serve handlers whose path names a tenant, as a dependency; of one that is not there they say so themselves."""
    here = services_here(request.scope)
    tenant = here.tenancy.named(request.path_params["tenant"])
    return here if tenant is None else here.of(tenant)
