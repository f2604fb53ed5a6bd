"""Who may call which route of the administrators' front doors.

Default-deny: a route that does not declare its audience stops the start-up.

A route carries its declaration in ``opt``: either ``PUBLIC`` or ``allow(...)`` with the application permissions of
which one suffices. The guard runs before the handler, on every route.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from litestar import Litestar
from litestar.routes import HTTPRoute

from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import TenantId

_DECLARATION: Final = "authorization"


class UnauthenticatedError(ShieldwallError):
    """The request carries no token or session that we issued and that is still good."""

    code = "unauthenticated"
    remedy = "Ask the token endpoint for a new access token and send it as 'Authorization: Bearer …'."


class ForbiddenError(ShieldwallError):
    """The caller is known and may not do this."""

    code = "forbidden"
    remedy = "Ask an administrator for one of the permissions named."


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Whoever a token or a session speaks for."""

    kind: str
    id: str
    display_name: str
    tenant_id: TenantId
    permissions: frozenset[str]

    @property
    def actor(self) -> str:
        """How the audit trail names this principal."""
        return f"{self.kind}:{self.display_name}"


@dataclass(frozen=True, slots=True)
class Authorization:
    """What a route asks of its caller: one of ``permissions``, or nothing when it is public."""

    permissions: frozenset[str]
    public: bool = False

    def admit(self, principal: Principal | None) -> None:
        """Let the caller pass.

        Raises:
            UnauthenticatedError: There is no caller and the route is not public.
            ForbiddenError: The caller holds none of the permissions.
        """
        if self.public:
            return
        if principal is None:
            raise UnauthenticatedError("The request carries no access token.")
        if not self.permissions & principal.permissions:
            wanted = " or ".join(sorted(self.permissions))
            raise ForbiddenError(f"{principal.display_name} lacks the permission for this: {wanted}.")


class UndeclaredRouteError(ShieldwallError):
    """A route does not say who may call it; the server does not start with it."""

    code = "undeclaredRoute"
    remedy = "Give the route opt=allow(...) or opt=PUBLIC."


PUBLIC: Final[Mapping[str, Any]] = {_DECLARATION: Authorization(frozenset(), public=True)}


def allow(*permissions: str) -> dict[str, Any]:
    """Declare the permissions of which one lets a caller in."""
    assert permissions
    return {_DECLARATION: Authorization(frozenset(permissions))}


def authorization_of(opt: Mapping[str, Any]) -> Authorization:
    """Read a route's declaration. Raises: UndeclaredRouteError."""
    declaration = opt.get(_DECLARATION)
    if not isinstance(declaration, Authorization):
        raise UndeclaredRouteError("A route does not declare its authorisation.")
    return declaration


def require_declarations(app: Litestar) -> None:
    """Refuse to start while a route is without a declaration.

    Raises:
        UndeclaredRouteError: Names the method and path.
    """
    for route in app.routes:
        if not isinstance(route, HTTPRoute):
            raise UndeclaredRouteError(f"{route.path} is not an HTTP route; nothing else is served.")
        for method, (handler, _) in route.route_handler_map.items():
            if method != "OPTIONS" and not isinstance(handler.opt.get(_DECLARATION), Authorization):
                raise UndeclaredRouteError(f"{method} {route.path} does not declare its authorisation.")
