"""All routes on the public port: health and metrics, and the front doors for administrators.

They hold nothing of a server, whose parts come with each request (``server.admin.parts``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Any, Final, TypeAlias

import structlog
from litestar import Litestar, Request, Response, get
from litestar.exceptions import HTTPException
from litestar.types import ControllerRouterHandler
from prometheus_client import CollectorRegistry

from shieldwall.contract import strict_json
from shieldwall.contract.messages import Problem
from shieldwall.server.access.authorization import PUBLIC
from shieldwall.server.admin.declared_routes import require_declarations
from shieldwall.server.admin.gates import require_gates
from shieldwall.server.admin.parts import part_of
from shieldwall.server.listening.admin_front import MAX_BODY_BYTES
from shieldwall.server.listening.admin_requests import allowed_methods
from shieldwall.server.observing.observability import METRICS_TYPE, metrics_text
from shieldwall.server.observing.readiness import Readiness
from shieldwall.server.openapi import publishing
from shieldwall.server.openapi.description import described_routes
from shieldwall.server.openapi.own import ALIVE, NUMBERS, PREPARED, tells

READY: Final = 200
NOT_READY: Final = 503

AnyRequest: TypeAlias = Request[Any, Any, Any]
ErrorHandler: TypeAlias = Callable[[AnyRequest, Exception], Response[bytes]]


def answer_problem(_request: AnyRequest, error: Exception) -> Response[bytes]:
    """Write as a problem document what no front door answered: mostly that there is nothing under the path."""
    status = HTTPStatus.INTERNAL_SERVER_ERROR
    headers: dict[str, str] = {}
    if isinstance(error, HTTPException):
        status = HTTPStatus(error.status_code)
        headers = allowed_methods(error)
    else:
        structlog.get_logger().error("request_failed", exc_info=error)
    code = {404: "notFound", 405: "methodNotAllowed", 500: "failed"}.get(status, "badRequest")
    problem = Problem(
        type=f"shieldwall:{code}",
        title=status.phrase,
        status=status,
        code=code,
        detail=status.description or status.phrase,
        remedy="Check method and path; the log of the server says more.",
    )
    return Response(
        strict_json.encode(problem), status_code=status, media_type="application/problem+json", headers=headers
    )


@get("/healthz", opt={**PUBLIC, **tells(ALIVE)}, sync_to_thread=False)
def get_health() -> dict[str, str]:
    """Answer as long as the loop turns."""
    return {"status": "alive"}


@get("/readyz", opt={**PUBLIC, **tells(*PREPARED)})
async def get_readiness(request: AnyRequest) -> Response[dict[str, str]]:
    """Say whether database and signer answer."""
    report = await part_of(request.scope, Readiness).check()
    return Response(report.shown(), status_code=READY if report.is_ready else NOT_READY)


@get("/metrics", opt={**PUBLIC, **tells(NUMBERS)})
async def get_metrics(request: AnyRequest) -> Response[bytes]:
    """Write all numbers for Prometheus."""
    # Beside the threads of requests: when all of these wait for the database, the numbers are wanted most.
    text = await asyncio.to_thread(metrics_text, part_of(request.scope, CollectorRegistry))
    return Response(text, media_type=METRICS_TYPE)


def create_admin_application(
    routes: Sequence[ControllerRouterHandler], unrouted: ErrorHandler = answer_problem
) -> Litestar:
    """Put the routes together. ``unrouted`` answers where no route of a front door took the request.

    Raises:
        UndeclaredRouteError: A route does not say who may call it.
        UndescribedRouteError: A route of an API does not say what it takes and answers.
    """
    application = Litestar(
        route_handlers=[get_health, get_readiness, get_metrics, *publishing.HANDLERS, *routes],
        request_max_body_size=MAX_BODY_BYTES,
        exception_handlers={HTTPException: unrouted, Exception: unrouted},
        openapi_config=None,
        logging_config=None,
    )
    require_declarations(application)
    require_gates(application)
    described_routes(application.routes)
    return application
