"""The admin center, put together: pages, the guard before them, errors as pages."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl

import structlog
from litestar import Request, Response, Router, get
from litestar.concurrency import sync_to_thread
from litestar.connection import ASGIConnection
from litestar.di import Provide
from litestar.exceptions import HTTPException
from litestar.handlers import BaseRouteHandler
from litestar.response import Redirect
from litestar.types import AsyncAnyCallable

from shieldwall.contract.errors import ShieldwallError
from shieldwall.server.authorization import PUBLIC, UnauthenticatedError, authorization_of
from shieldwall.server.portal import pages, signing_in
from shieldwall.server.portal.rendering import HEADERS, Rendering, create_rendering
from shieldwall.server.portal.sessions import ForgedFormError, principal_of
from shieldwall.server.services import AdminServices
from shieldwall.server.storage.errors import NotFoundError

_STATIC: Final = Path(__file__).parent / "static"
_MEDIA_TYPES: Final = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8"}
_MOST_FIELDS: Final = 20


def create_routes(services: AdminServices) -> Router:
    """Make the routes of the admin center."""
    rendering = create_rendering(services)
    return Router(
        path="/",
        route_handlers=[
            signing_in.sign_in_page,
            signing_in.sign_in,
            signing_in.sign_out,
            pages.overview,
            pages.list_policies,
            pages.show_policy,
            pages.list_devices,
            pages.show_device,
            pages.sync_device,
            pages.list_groups,
            pages.list_packages,
            static_file,
        ],
        dependencies={
            "services": Provide(lambda: services, sync_to_thread=False),
            "rendering": Provide(lambda: rendering, sync_to_thread=False),
            "form": Provide(_form),
        },
        guards=[_guarding(services)],
        exception_handlers={
            UnauthenticatedError: lambda _request, _error: Redirect("/sign-in", status_code=303),
            ShieldwallError: lambda request, error: _problem(rendering, request, error),
            HTTPException: lambda request, error: _http_problem(rendering, request, error),
            Exception: lambda request, error: _failure(rendering, request, error),
        },
    )


@get("/static/{name:str}", opt=PUBLIC, sync_to_thread=True)
def static_file(name: str) -> Response[bytes]:
    """Serve the style sheet and the script: the files that are there by name, no others."""
    known = {file.name: file for file in _STATIC.iterdir()}
    if name not in known:
        raise NotFoundError("There is no such file.")
    headers = {**HEADERS, "Cache-Control": "max-age=300"}
    return Response(known[name].read_bytes(), media_type=_MEDIA_TYPES[known[name].suffix], headers=headers)


def _guarding(services: AdminServices) -> AsyncAnyCallable:
    # A function and not an object: the framework copies what it is given, and services cannot be copied.
    async def guard(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
        authorization = authorization_of(handler.opt)
        principal = None if authorization.public else await sync_to_thread(principal_of, services, connection)
        authorization.admit(principal)
        connection.scope["user"] = principal

    return guard


async def _form(request: Request[Any, Any, Any]) -> Mapping[str, str]:
    try:
        pairs = parse_qsl((await request.body()).decode(), keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise ForgedFormError("The form cannot be read.") from None
    return dict(pairs)


def _problem(rendering: Rendering, request: Request[Any, Any, Any], error: ShieldwallError) -> Response[str]:
    status, title = (404, "Not found") if isinstance(error, NotFoundError) else (400, "That did not work")
    return _page(rendering, request, error, status, title)


def _http_problem(rendering: Rendering, request: Request[Any, Any, Any], error: HTTPException) -> Response[str]:
    shown = ShieldwallError("There is nothing here.", remedy="Go back to the overview.")
    return _page(rendering, request, shown, error.status_code, "Not found")


def _failure(rendering: Rendering, request: Request[Any, Any, Any], error: Exception) -> Response[str]:
    structlog.get_logger().error("page_failed", path=request.url.path, exc_info=error)
    shown = ShieldwallError("Something went wrong inside the server.", remedy="Its log says what.")
    return _page(rendering, request, shown, 500, "Something went wrong")


def _page(
    rendering: Rendering, request: Request[Any, Any, Any], error: ShieldwallError, status: int, title: str
) -> Response[str]:
    request_id = rendering.services.new_id()
    return rendering.page(
        request,
        "problem.html",
        status=status,
        title=title,
        cause=error.cause,
        advice=error.advice,
        request_id=request_id,
    )
