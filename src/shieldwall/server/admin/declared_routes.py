"""Every route of an application with what handles it, and whether each of them says who may call it."""

from __future__ import annotations

from collections.abc import Iterator

from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute

from shieldwall.server.access.authorization import UndeclaredRouteError, authorization_of


def require_declarations(app: Litestar) -> None:
    """Refuse to start while a route is without a declaration.

    Raises:
        UndeclaredRouteError: Names the method and path.
    """
    for method, route, handler in handlers_of(app):
        try:
            authorization_of(handler.opt)
        except UndeclaredRouteError:
            raise UndeclaredRouteError(f"{method} {route.path} does not declare its authorisation.") from None


def handlers_of(app: Litestar) -> Iterator[tuple[str, HTTPRoute, HTTPRouteHandler]]:
    """Yield every method of every path with what handles it. Raises: UndeclaredRouteError."""
    for route in app.routes:
        if not isinstance(route, HTTPRoute):
            raise UndeclaredRouteError(f"{route.path} is not an HTTP route; nothing else is served.")
        for method, (handler, _) in route.route_handler_map.items():
            if method != "OPTIONS":
                yield str(method), route, handler
