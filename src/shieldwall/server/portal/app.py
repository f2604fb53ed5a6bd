"""The admin center, put together: pages, the guard before them, errors as pages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias
from urllib.parse import parse_qsl

import structlog
from jinja2 import Environment
from litestar import Request, Response, Router
from litestar.concurrency import sync_to_thread
from litestar.connection import ASGIConnection
from litestar.di import Provide
from litestar.exceptions import HTTPException
from litestar.handlers import BaseRouteHandler

from shieldwall.contract.errors import ShieldwallError
from shieldwall.server.access.authorization import (
    ForbiddenError,
    StepUpRequiredError,
    UnauthenticatedError,
    authorization_of,
)
from shieldwall.server.access.giving import EscalationError
from shieldwall.server.access.tagging import ScopeTagRefusedError
from shieldwall.server.access.throttling import TooManyRequestsError
from shieldwall.server.access.verdicts import OutOfScopeError
from shieldwall.server.admin.gates import is_narrowed, pass_gates
from shieldwall.server.admin.parts import part_of, providing
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.admin.tenant_services import services_here, serving_tenant_of_caller
from shieldwall.server.directory.passkeys import LastPasskeyError
from shieldwall.server.directory.people import LastAdministratorError, OutrankedError
from shieldwall.server.listening.admin_requests import record_of
from shieldwall.server.openapi.description import PAGES
from shieldwall.server.portal import appearance
from shieldwall.server.portal.assets import static_file
from shieldwall.server.portal.devices import routes as devices
from shieldwall.server.portal.first_run import routes as first_run
from shieldwall.server.portal.forms import MOST_FIELDS, SentForm
from shieldwall.server.portal.groups import routes as groups
from shieldwall.server.portal.live import routes as live
from shieldwall.server.portal.live.watching import TooManyStreamsError, Watching
from shieldwall.server.portal.meanwhile import ChangedMeanwhileError
from shieldwall.server.portal.overview import routes as overview
from shieldwall.server.portal.policies import routes as policies
from shieldwall.server.portal.policies.wizard import routes as wizard
from shieldwall.server.portal.rendering import Rendering, redirect
from shieldwall.server.portal.reports import routes as reports
from shieldwall.server.portal.sessions import UNNOTED, ForgedFormError, check_form, principal_of
from shieldwall.server.portal.settings import routes as settings
from shieldwall.server.portal.sign_in import routes as sign_in
from shieldwall.server.portal.sign_in.confirming import FORM, ask_again
from shieldwall.server.portal.sign_in.limits import SignInLimits
from shieldwall.server.portal.sign_in.provider_client import ProviderClient
from shieldwall.server.portal.sign_in.returning import safe_return, with_return
from shieldwall.server.portal.work import routes as work
from shieldwall.server.portal.work.works import TooMuchWorkError, Works
from shieldwall.server.storage.errors import NotFoundError

_MOST_FIELDS: Final = 20
_SIGN_IN: Final = "/sign-in"
_TITLES: Final = {
    400: "That did not work",
    403: "Refused",
    404: "Not found",
    405: "Not possible here",
    413: "Too large",
    429: "Too often",
    500: "Something went wrong",
    503: "Too much at once",
}
_STATUSES: Final[Mapping[type[ShieldwallError], int]] = {
    NotFoundError: 404,
    ForgedFormError: 403,
    ForbiddenError: 403,
    OutrankedError: 403,
    EscalationError: 403,
    OutOfScopeError: 403,
    ScopeTagRefusedError: 403,
    LastAdministratorError: 409,
    LastPasskeyError: 409,
    ChangedMeanwhileError: 409,
    TooManyRequestsError: 429,
    TooMuchWorkError: 429,
    TooManyStreamsError: 503,
}


AnyRequest: TypeAlias = Request[Any, Any, Any]
Answer: TypeAlias = Callable[[AnyRequest, Exception], Response[Any]]


def create_routes(templates: Environment) -> Router:
    """Make the routes of the admin center, which show what they find with these templates."""

    def rendering_for(request: AnyRequest) -> Rendering:
        return Rendering(part_of(request.scope, AdminServices), templates)

    return Router(
        path="/",
        opt=dict(PAGES),
        route_handlers=[
            *sign_in.HANDLERS,
            *first_run.HANDLERS,
            *overview.HANDLERS,
            *devices.HANDLERS,
            *policies.HANDLERS,
            *wizard.HANDLERS,
            *groups.HANDLERS,
            *reports.HANDLERS,
            *settings.HANDLERS,
            *work.HANDLERS,
            *live.HANDLERS,
            *appearance.HANDLERS,
            static_file,
        ],
        dependencies={
            "services": Provide(serving_tenant_of_caller, sync_to_thread=False),
            "rendering": Provide(rendering_for, sync_to_thread=False),
            "form": Provide(_form),
            "limits": providing(SignInLimits),
            "client": providing(ProviderClient),
            "works": providing(Works),
            "watching": providing(Watching),
        },
        guards=[_guard],
        exception_handlers={
            UnauthenticatedError: lambda request, _error: redirect(_to_sign_in(request)),
            StepUpRequiredError: lambda request, _error: ask_again(rendering_for(request), request),
            ShieldwallError: lambda request, error: _problem(rendering_for(request), request, error),
            HTTPException: lambda request, error: _http_problem(rendering_for(request), request, error),
            Exception: lambda request, error: _failure(rendering_for(request), request, error),
        },
    )


def answering_unrouted(templates: Environment, otherwise: Answer) -> Answer:
    """Make what answers requests that no route takes: people get a page, programs what they get ``otherwise``."""

    def answer(request: AnyRequest, error: Exception) -> Response[Any]:
        if isinstance(error, HTTPException) and "text/html" in request.headers.get("accept", ""):
            rendering = Rendering(part_of(request.scope, AdminServices), templates)
            return _http_problem(rendering, request, error)
        return otherwise(request, error)

    return answer


def _to_sign_in(request: AnyRequest) -> str:
    """Say where to sign in, and from there go back to the page that was asked for; no form is sent a second time."""
    if request.method != "GET":
        return _SIGN_IN
    query = request.url.query
    return with_return(_SIGN_IN, safe_return(request.url.path + (f"?{query}" if query else "")))


async def _guard(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Find out who is signed in, and ask whether they may do this; keep what a form said that has to come again."""
    if connection.scope.get("method") == "OPTIONS":
        return  # the framework answers, with the header Allow that a 405 tells anybody as well
    services = part_of(connection.scope, AdminServices)
    authorization = authorization_of(handler.opt)
    principal = None
    if not authorization.public:
        unnoted = handler.opt.items() >= UNNOTED.items()
        principal = await sync_to_thread(principal_of, services, connection, unnoted=unnoted)
    connection.scope["user"] = principal
    try:
        authorization.admit(principal, services.clock.now())
    except StepUpRequiredError:
        if connection.scope.get("method") == "POST":
            said = await _form(Request(connection.scope, connection.receive))
            # Before it is kept: it is sent again with a token of ours, whoever wrote it.
            check_form(services_here(connection.scope), connection, said)
            connection.scope[FORM] = said  # type: ignore[typeddict-unknown-key]  # ASGI lets us
        raise
    if principal is not None and is_narrowed(authorization, principal):
        await sync_to_thread(pass_gates, services, authorization, principal, connection.path_params)


async def _form(request: AnyRequest) -> Mapping[str, str]:
    most = request.route_handler.opt.get(MOST_FIELDS, _MOST_FIELDS)
    try:
        pairs = parse_qsl((await request.body()).decode(), keep_blank_values=True, max_num_fields=most)
    except ValueError:
        raise ForgedFormError("The form cannot be read.") from None
    return SentForm(pairs)


def _problem(rendering: Rendering, request: AnyRequest, error: ShieldwallError) -> Response[str]:
    page = _page(rendering, request, error, _STATUSES.get(type(error), 400))
    if isinstance(error, TooManyRequestsError):
        page.headers["Retry-After"] = str(error.retry_after)
    return page


def _http_problem(rendering: Rendering, request: AnyRequest, error: HTTPException) -> Response[str]:
    # What the framework says stays inside: it is about our code, not about what the person did.
    cause = "There is nothing here." if error.status_code == 404 else "The server does not take this request."
    shown = ShieldwallError(cause, remedy="Go back to the overview.")
    page = _page(rendering, request, shown, error.status_code)
    page.headers.update(error.headers or {})  # a method that is not allowed names those that are
    return page


def _failure(rendering: Rendering, request: AnyRequest, error: Exception) -> Response[str]:
    structlog.get_logger().error("page_failed", path=request.url.path, exc_info=error)
    shown = ShieldwallError("Something went wrong inside the server.", remedy="Its log says what.")
    return _page(rendering, request, shown, 500)


def _page(rendering: Rendering, request: AnyRequest, error: ShieldwallError, status: int) -> Response[str]:
    return rendering.page(
        request,
        "problem.html",
        status=status,
        title=_title(status),
        cause=error.cause,
        advice=error.advice,
        request_id=record_of(request.scope).request_id,
    )


def _title(status: int) -> str:
    return _TITLES.get(status, "That did not work")
