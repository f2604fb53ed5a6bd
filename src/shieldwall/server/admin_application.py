"""The application on the public port: health and metrics, and the front doors for administrators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from litestar import Litestar, Response, get
from litestar.types import ControllerRouterHandler
from prometheus_client import CollectorRegistry

from shieldwall.server.admin_front import MAX_BODY_BYTES
from shieldwall.server.authorization import PUBLIC, require_declarations
from shieldwall.server.observability import METRICS_TYPE, metrics_text
from shieldwall.server.readiness import Readiness

READY: Final = 200
NOT_READY: Final = 503


def create_admin_application(
    *, readiness: Readiness, registry: CollectorRegistry, routes: Sequence[ControllerRouterHandler]
) -> Litestar:
    """Put the application together.

    Raises:
        UndeclaredRouteError: A route does not say who may call it.
    """

    @get("/healthz", opt=PUBLIC, sync_to_thread=False)
    def get_health() -> dict[str, str]:
        """Answer as long as the loop turns."""
        return {"status": "alive"}

    @get("/readyz", opt=PUBLIC, sync_to_thread=True)
    def get_readiness() -> Response[dict[str, str]]:
        """Say whether database and signer answer."""
        report = readiness.check()
        return Response(report.shown(), status_code=READY if report.is_ready else NOT_READY)

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
    return application
