"""Which pages and forms are open to somebody: asked of the declarations of the routes, so that links tell the truth."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from litestar import Litestar, Request

from shieldwall.server.access.authorization import Authorization, Principal, authorization_of
from shieldwall.server.admin.declared_routes import handlers_of

_DECLARED: Final = "shieldwall.portal.declared"
"""Where an application keeps what its routes declare: with itself, so that it can be forgotten with it."""


def openings(request: Request[Any, Any, Any], principal: Principal | None) -> Callable[[str, str], bool]:
    """Make the function that templates ask whether a route, by method and path as declared, lets this person in.

    What a path names is not looked at: for people who are narrowed a page may say more than their scope lets them do,
    and the route refuses.
    """
    declared = _declared(request.app)

    def may(path: str, method: str = "GET") -> bool:
        found = declared.get((method, path))
        if found is None or principal is None:
            return False
        return bool(found.permissions & principal.permissions) and found.demand.is_met_by(principal.access)

    return may


def _declared(app: Litestar) -> Mapping[tuple[str, str], Authorization]:
    known: Mapping[tuple[str, str], Authorization] | None = app.state.get(_DECLARED)
    if known is None:
        known = {
            (method, route.path_format): authorization_of(handler.opt) for method, route, handler in handlers_of(app)
        }
        app.state[_DECLARED] = known
    return known
