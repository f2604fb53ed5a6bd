"""The Graph front door, put together: routes, the guard before them, errors in Graph's shape."""

from __future__ import annotations

import re
from functools import cache
from typing import Any, Final, TypeAlias

import structlog
from joserfc.jwk import KeySet
from litestar import Response, Router
from litestar.concurrency import sync_to_thread
from litestar.connection import ASGIConnection
from litestar.di import Provide
from litestar.exceptions import HTTPException
from litestar.handlers import BaseRouteHandler
from litestar.types import AsyncAnyCallable

from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.strict_json import encode
from shieldwall.server.authorization import Principal, UnauthenticatedError, authorization_of
from shieldwall.server.graph import catalog, devices, groups, identity, packages, policies
from shieldwall.server.graph.errors import error_body, error_of_http, status_of
from shieldwall.server.graph.requests import JSON, GraphRequest
from shieldwall.server.services import AdminServices

_HANDLERS: Final = (
    policies.list_policies,
    policies.create_policy,
    policies.get_policy,
    policies.patch_policy,
    policies.put_policy,
    policies.delete_policy,
    policies.list_settings,
    policies.list_assignments,
    policies.assign_policy,
    policies.status_summary,
    policies.device_states,
    catalog.list_templates,
    catalog.get_template,
    catalog.list_definitions,
    catalog.get_definition,
    groups.list_groups,
    groups.create_group,
    groups.get_group,
    groups.patch_group,
    groups.delete_group,
    groups.list_members,
    groups.add_member,
    groups.remove_member,
    devices.list_directory_devices,
    devices.get_directory_device,
    devices.list_managed_devices,
    devices.get_managed_device,
    devices.retire_device,
    devices.sync_device,
    devices.effective_settings,
    devices.list_organizations,
    packages.list_packages,
    packages.create_package,
    packages.revoke_package,
)
Connection: TypeAlias = ASGIConnection[Any, Any, Any, Any]

_CLIENT_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}\Z")


def create_routes(services: AdminServices) -> Router:
    """Make the routes of Graph (``/v1.0`` and ``/beta``) and of the identity platform."""
    return Router(
        path="/",
        route_handlers=[
            Router(path="/v1.0", route_handlers=list(_HANDLERS)),
            Router(path="/beta", route_handlers=list(_HANDLERS)),
            identity.discovery,
            identity.keys,
            identity.token,
        ],
        dependencies={"services": Provide(lambda: services, sync_to_thread=False)},
        guards=[_guarding(services)],
        exception_handlers={
            ShieldwallError: lambda request, error: _refusal(services, request, error),
            HTTPException: lambda request, error: _refusal(services, request, error_of_http(error)),
            Exception: lambda request, error: _failure(services, request, error),
        },
    )


def _guarding(services: AdminServices) -> AsyncAnyCallable:
    """Make the guard that finds out who calls, from the bearer token, and asks the route whether they may."""
    keys = cache(lambda: KeySet.import_key_set({"keys": services.signer.jwks()["keys"]}))

    def principal_of(connection: Connection) -> Principal:
        scheme, _, token = connection.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise UnauthenticatedError("The request carries no access token.")
        return identity.issuer_of(services).principal_of(token, keys(), services.clock.now())

    # A function and not an object: the framework copies what it is given, and services cannot be copied.
    async def guard(connection: Connection, handler: BaseRouteHandler) -> None:
        authorization = authorization_of(handler.opt)
        principal = None if authorization.public else await sync_to_thread(principal_of, connection)
        authorization.admit(principal)
        connection.scope["user"] = principal

    return guard


def _refusal(services: AdminServices, request: GraphRequest, error: ShieldwallError) -> Response[bytes]:
    return _written(services, request, error, status_of(error))


def _failure(services: AdminServices, request: GraphRequest, error: Exception) -> Response[bytes]:
    structlog.get_logger().error("request_failed", path=request.url.path, exc_info=error)
    hidden = ShieldwallError("Something went wrong inside the server.", remedy="Look for the request id in its log.")
    return _written(services, request, hidden, 500)


def _written(services: AdminServices, request: GraphRequest, error: ShieldwallError, status: int) -> Response[bytes]:
    request_id = services.new_id()
    client_id = request.headers.get("client-request-id", "")
    client_id = client_id if _CLIENT_REQUEST_ID.match(client_id) else ""
    body = error_body(error, request_id=request_id, client_request_id=client_id, now=services.clock.now())
    headers = {"request-id": request_id, "client-request-id": client_id or request_id}
    if status == 401:
        headers["WWW-Authenticate"] = f'Bearer realm="", authorization_uri="{identity.issuer_of(services).issuer}"'
    if status == 503:
        headers["Retry-After"] = "30"
    return Response(encode(body), status_code=status, media_type=JSON, headers=headers)
