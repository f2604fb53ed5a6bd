"""The identity platform, put together: routes, errors in OAuth's shape."""

from __future__ import annotations

from litestar import Router
from litestar.di import Provide
from litestar.exceptions import HTTPException

from shieldwall.contract.errors import ShieldwallError
from shieldwall.server.access.throttling import Attempts
from shieldwall.server.admin.parts import providing
from shieldwall.server.admin.tenant_services import serving_tenant_named
from shieldwall.server.identity import device_code, discovery, token
from shieldwall.server.identity.errors import answer_error
from shieldwall.server.identity.user_info import user_info


def create_routes() -> Router:
    """Make the routes of the identity platform. All are public: what a client shows is looked at by the handlers."""
    return Router(
        path="/",
        route_handlers=[*discovery.HANDLERS, *token.HANDLERS, *device_code.HANDLERS, user_info],
        dependencies={
            "services": Provide(serving_tenant_named, sync_to_thread=True),
            "attempts": providing(Attempts),
        },
        exception_handlers={ShieldwallError: answer_error, HTTPException: answer_error, Exception: answer_error},
    )
