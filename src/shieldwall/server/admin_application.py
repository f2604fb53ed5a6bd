"""The application on the public port: health and metrics, and whatever the front doors for administrators mount."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from litestar import Litestar, Response, get
from litestar.enums import ScopeType
from litestar.types import ASGIApp, ControllerRouterHandler, Receive, Scope, Send
from prometheus_client import CollectorRegistry

from shieldwall.contract import strict_json
from shieldwall.contract.messages import Problem
from shieldwall.server.authorization import PUBLIC, require_declarations
from shieldwall.server.graph.paths import NormalPaths
from shieldwall.server.observability import METRICS_TYPE, metrics_text
from shieldwall.server.readiness import Readiness

MAX_BODY_BYTES: Final = 4 * 1024 * 1024


def create_admin_application(
    *,
    authority: str,
    readiness: Readiness,
    registry: CollectorRegistry,
    routes: Sequence[ControllerRouterHandler] = (),
) -> ASGIApp:
    """Put the application together. ``authority`` is the host and port that every request must name."""

    @get("/healthz", opt=PUBLIC, sync_to_thread=False)
    def get_health() -> dict[str, str]:
        """Answer as long as the loop turns."""
        return {"status": "alive"}

    @get("/readyz", opt=PUBLIC, sync_to_thread=True)
    def get_readiness() -> Response[dict[str, str]]:
        """Say whether database and signer answer."""
        report = readiness.check()
        return Response(report.shown(), status_code=200 if report.is_ready else 503)

    @get("/metrics", opt=PUBLIC, sync_to_thread=True)
    def get_metrics() -> Response[bytes]:
        """Write all numbers for Prometheus."""
        return Response(metrics_text(registry), media_type=METRICS_TYPE)

    application = Litestar(
        route_handlers=[get_health, get_readiness, get_metrics, *routes],
        request_max_body_size=MAX_BODY_BYTES,
        openapi_config=None,
        logging_config=None,
    )
    require_declarations(application)
    return OwnHostOnly(application=NormalPaths(application), authority=authority)


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnHostOnly:
    """Refuses requests that name another host, before anything reads them: no link of ours can point elsewhere."""

    application: ASGIApp
    authority: str

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or one lifespan."""
        if scope["type"] == ScopeType.HTTP and not self._is_ours(scope):
            await _misdirected(send)
            return
        await self.application(scope, receive, send)

    def _is_ours(self, scope: Any) -> bool:
        hosts = [value for name, value in scope["headers"] if name == b"host"]
        return [host.decode("latin-1").lower().removesuffix(":443") for host in hosts] == [self.authority]


async def _misdirected(send: Send) -> None:
    problem = Problem(
        type="shieldwall:misdirected",
        title="Misdirected Request",
        status=421,
        code="misdirected",
        detail="This server does not answer for the host the request names.",
        remedy="Use the public URL of the server; a proxy in front must keep the Host header.",
    )
    headers = [(b"content-type", b"application/problem+json")]
    await send({"type": "http.response.start", "status": 421, "headers": headers})
    await send({"type": "http.response.body", "body": strict_json.encode(problem), "more_body": False})
