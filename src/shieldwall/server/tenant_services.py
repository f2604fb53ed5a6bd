"""Which tenant a request is for, and the services at work for it, handed to the handlers by the framework."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from litestar import Request
from litestar.datastructures import State

from shieldwall.server.admin_front import address_of
from shieldwall.server.authorization import Principal
from shieldwall.server.services import AdminServices


def services_of_caller(services: AdminServices, caller: object) -> AdminServices:
    """Return the services of the tenant of whoever the guard let in; of the server's own where anybody may come."""
    if not isinstance(caller, Principal) or caller.tenant_id == services.tenant.id:
        return services
    return services.of(services.tenancy.get(caller.tenant_id))


def serving_tenant_of_caller(services: AdminServices) -> Callable[..., AdminServices]:
    """Make the dependency of every handler that knows its caller: nothing in it can reach another tenant."""

    def provide(request: Request[Any, Any, State]) -> AdminServices:
        here = services.reached_at(address_of(request.scope, services.settings.public_url))
        return services_of_caller(here, request.scope.get("user"))

    return provide


def serving_tenant_named(services: AdminServices) -> Callable[..., AdminServices]:
    """Make the dependency of handlers whose path names a tenant; of one that is not there they say so themselves."""

    def provide(request: Request[Any, Any, State]) -> AdminServices:
        here = services.reached_at(address_of(request.scope, services.settings.public_url))
        tenant = services.tenancy.named(request.path_params["tenant"])
        return here if tenant is None else here.of(tenant)

    return provide
