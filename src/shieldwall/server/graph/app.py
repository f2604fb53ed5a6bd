"""The Graph front door, put together: routes, the guard before them, errors in Graph's shape."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

import structlog
from litestar import Response, Router
from litestar.concurrency import sync_to_thread
from litestar.di import Provide
from litestar.exceptions import HTTPException
from litestar.handlers import BaseRouteHandler
from litestar.types import ControllerRouterHandler

from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.strict_json import encode
from shieldwall.server.access.authorization import Authorization, Principal, authorization_of
from shieldwall.server.access.throttling import Call, Throttle, TooManyRequestsError
from shieldwall.server.admin.callers import Callers, Connection, issuer_of
from shieldwall.server.admin.claims_challenges import challenge_headers
from shieldwall.server.admin.gates import is_narrowed, pass_gates
from shieldwall.server.admin.parts import part_of
from shieldwall.server.admin.possession_of_requests import by_proof
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.admin.tenant_services import services_here, serving_tenant_of_caller
from shieldwall.server.graph import (
    absent_collections,
    alerts,
    applications,
    assignment_filters,
    audit_events,
    authentication_methods,
    batch,
    catalog,
    change_sets,
    clean_up,
    conflict_rules,
    counting,
    delta,
    device_actions,
    device_events,
    device_management,
    device_states,
    devices,
    directory_authorities,
    directory_devices,
    directory_objects,
    endorsements,
    enforcement_scope,
    filter_functions,
    group_members,
    groups,
    identity_providers,
    machines,
    managed_tenants,
    memberships,
    offboarding,
    onboarding_summary,
    packages,
    pending_devices,
    policies,
    policy_assignments,
    policy_history,
    policy_import,
    policy_parts,
    policy_states,
    previews,
    protection,
    reusable_settings,
    role_assignments,
    role_definitions,
    role_scope_tags,
    service_principals,
    sign_in_sessions,
    subscriptions,
    threat_connectors,
    users,
    webhooks,
)
from shieldwall.server.graph.defender import actions
from shieldwall.server.graph.defender import machines as defender_machines
from shieldwall.server.graph.defender.errors import defender_error, is_defender_path
from shieldwall.server.graph.errors import FailedError, error_body, error_of_http, status_of
from shieldwall.server.graph.reports import cached, exports, fleet_reports, history_reports
from shieldwall.server.graph.reports import handlers as reports
from shieldwall.server.graph.requests import JSON, GraphRequest
from shieldwall.server.listening.admin_requests import allowed_methods, record_of
from shieldwall.server.listening.one_thread import InOneThread, called_there, is_in_thread

VERSIONS: Final = ("/v1.0", "/beta")
HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (
    *policies.HANDLERS,
    *policy_assignments.HANDLERS,
    *policy_states.HANDLERS,
    *change_sets.HANDLERS,
    *policy_history.HANDLERS,
    *policy_import.HANDLERS,
    *policy_parts.HANDLERS,
    *previews.HANDLERS,
    *assignment_filters.HANDLERS,
    *filter_functions.HANDLERS,
    *reusable_settings.HANDLERS,
    *conflict_rules.HANDLERS,
    *enforcement_scope.HANDLERS,
    *catalog.HANDLERS,
    *counting.HANDLERS,
    *groups.HANDLERS,
    *group_members.HANDLERS,
    *memberships.HANDLERS,
    *delta.HANDLERS,
    *batch.HANDLERS,
    *devices.HANDLERS,
    *device_states.HANDLERS,
    *device_actions.HANDLERS,
    *machines.HANDLERS,
    *clean_up.HANDLERS,
    *directory_devices.HANDLERS,
    *directory_objects.HANDLERS,
    *directory_authorities.HANDLERS,
    *pending_devices.HANDLERS,
    *packages.HANDLERS,
    *offboarding.HANDLERS,
    *protection.HANDLERS,
    *alerts.HANDLERS,
    *device_events.HANDLERS,
    *endorsements.HANDLERS,
    *managed_tenants.HANDLERS,
    *audit_events.HANDLERS,
    *device_management.HANDLERS,
    *onboarding_summary.HANDLERS,
    *threat_connectors.HANDLERS,
    *users.HANDLERS,
    *sign_in_sessions.HANDLERS,
    *applications.HANDLERS,
    *service_principals.HANDLERS,
    *authentication_methods.HANDLERS,
    *identity_providers.HANDLERS,
    *role_definitions.HANDLERS,
    *role_assignments.HANDLERS,
    *role_scope_tags.HANDLERS,
    *absent_collections.HANDLERS,
    *reports.HANDLERS,
    *fleet_reports.HANDLERS,
    *history_reports.HANDLERS,
    *cached.HANDLERS,
    *exports.HANDLERS,
    *webhooks.HANDLERS,
    *subscriptions.HANDLERS,
)
RETRY_SECONDS: Final = 30
DEFENDER: Final = "/api/"
_READING: Final = frozenset({"GET", "HEAD"})

ErrorHandler: TypeAlias = Callable[[GraphRequest, Exception], Response[bytes]]


def create_routes() -> tuple[Router, ...]:
    """Make the routes of Graph (``/v1.0`` and ``/beta``) and of Defender for Endpoint (``/api``).

    They stand side by side: the framework copies every route once for each router around it.
    """
    handlers_by_path = (
        *((version, HANDLERS) for version in VERSIONS),
        ("/", exports.DOWNLOAD_HANDLERS),
        ("/api", (*defender_machines.HANDLERS, *actions.HANDLERS)),
    )
    return tuple(
        Router(
            path=path,
            route_handlers=called_there(handlers),
            dependencies={"services": Provide(serving_tenant_of_caller, sync_to_thread=False)},
            guards=[_guard],
            middleware=[InOneThread],
            exception_handlers={ShieldwallError: answer_error, HTTPException: answer_error, Exception: answer_error},
        )
        for path, handlers in handlers_by_path
    )


def answer_error(request: GraphRequest, error: Exception) -> Response[bytes]:
    """Write any error, expected or not, in Graph's shape."""
    services = services_here(request.scope)
    headers: dict[str, str] = {}
    match error:
        case ShieldwallError():
            expected = error
        case HTTPException():
            expected = error_of_http(error)
            headers |= allowed_methods(error)
        case _:
            expected = FailedError("Something went wrong inside the server.")
    status = status_of(expected)
    record = record_of(request.scope)
    if status == 500:
        structlog.get_logger().error("request_failed", request_id=record.request_id, exc_info=error)
        expected = FailedError("Something went wrong inside the server.")
    if status == 401:
        issuer = issuer_of(services).issuer
        headers |= challenge_headers(expected, issuer, by_proof=by_proof(request))
    if status == 410:  # where to begin anew
        headers["Location"] = f"{services.settings.public_url}{request.scope['path']}?$deltatoken="
    if status == 503:
        headers["Retry-After"] = str(RETRY_SECONDS)
    if isinstance(expected, TooManyRequestsError):
        headers["Retry-After"] = str(expected.retry_after)
    record.error = expected.code
    if is_defender_path(request.scope["path"]):
        body = defender_error(expected, request_id=record.request_id)
    else:
        body = error_body(
            expected,
            request_id=record.request_id,
            client_request_id=record.client_request_id,
            now=services.clock.now(),
        )
    return Response(encode(body), status_code=status, media_type=JSON, headers=headers)


def answering_unrouted(otherwise: ErrorHandler) -> ErrorHandler:
    """Make the function that answers where no route is: in Graph's shape under its paths, as others do elsewhere."""

    def answer(request: GraphRequest, error: Exception) -> Response[bytes]:
        path = request.scope["path"]
        return (answer_error if is_graph_path(path) or is_defender_path(path) else otherwise)(request, error)

    return answer


def is_graph_path(path: str) -> bool:
    """Tell whether a path belongs to Graph, whether or not anything is there."""
    return any(path == version or path.startswith(f"{version}/") for version in VERSIONS)


async def _guard(connection: Connection, handler: BaseRouteHandler) -> None:
    """Find out who calls, and ask whether they may: in a thread, where nearly every request is already."""
    if connection.scope.get("method") == "OPTIONS":
        return  # the framework answers, with the header Allow that a 405 tells anybody as well
    if is_in_thread(handler):
        _admit(connection, authorization_of(handler.opt))
    else:
        await sync_to_thread(_admit, connection, authorization_of(handler.opt))


def _admit(connection: Connection, authorization: Authorization) -> None:
    """Find out who calls, from the bearer token, and ask whether they may: so much, this, on what the path names."""
    services = part_of(connection.scope, AdminServices)
    principal = None if authorization.public else part_of(connection.scope, Callers).principal_of(connection)
    if principal is not None:
        part_of(connection.scope, Throttle).admit(_call_of(connection, principal))
    authorization.admit(principal, services.clock.now())
    connection.scope["user"] = principal
    if principal is not None and is_narrowed(authorization, principal):
        pass_gates(services, authorization, principal, connection.path_params)


def _call_of(connection: Connection, principal: Principal) -> Call:
    """Say what a request is to the limits of its caller and tenant."""
    return Call(
        tenant=principal.tenant_id,
        caller=f"{principal.kind}:{principal.id}",
        writes=connection.scope.get("method") not in _READING,
        of_defender=connection.scope["path"].startswith(DEFENDER),
    )
