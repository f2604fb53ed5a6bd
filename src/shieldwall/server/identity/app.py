"""The identity platform, put together: routes, errors in OAuth's shape."""

from __future__ import annotations

from litestar import Router
from litestar.di import Provide
from litestar.exceptions import HTTPException

from shieldwall.contract.errors import ShieldwallError
from shieldwall.server.identity import device_code, discovery, token
from shieldwall.server.identity.errors import answering_errors
from shieldwall.server.identity.user_info import user_info_handler
from shieldwall.server.services import AdminServices
from shieldwall.server.tenant_services import serving_tenant_named
from shieldwall.server.throttling import Attempts


def create_routes(services: AdminServices, attempts: Attempts) -> Router:
    """Make the routes of the identity platform. All are public: what a client shows is looked at by the handlers."""
    answering = answering_errors(services)
    return Router(
        path="/",
        route_handlers=[*discovery.HANDLERS, *token.HANDLERS, *device_code.HANDLERS, user_info_handler(services)],
        dependencies={
            "services": Provide(serving_tenant_named(services), sync_to_thread=True),
            "attempts": Provide(lambda: attempts, sync_to_thread=False),
        },
        exception_handlers={ShieldwallError: answering, HTTPException: answering, Exception: answering},
    )
