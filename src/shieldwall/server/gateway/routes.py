"""Which requests there are. Whatever is not declared here does not exist, and nothing is open by omission."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from shieldwall.contract.errors import ShieldwallError
from shieldwall.server.gateway.calls import Answer, Call
from shieldwall.server.gateway.lanes import Lane
from shieldwall.server.gateway.problems import MethodNotAllowedError, NoSuchPathError

METHODS: Final = frozenset({"GET", "POST"})

Handler = Callable[[Call], Awaitable[Answer]]


class Access(StrEnum):
    """Who may call a route."""

    ANYONE = "anyone"
    NEW_KEY = "newKey"
    """Signed by the key that the body asks to register; the handler verifies it, for only the body names the key."""
    DEVICE = "device"
    """Signed by the key of a registered device."""
    DEVICE_AMONG_OTHERS = "deviceAmongOthers"
    """As ``DEVICE``, but those who come one after the other wait for each other first (``gathering.Company``), and the
    handler has them verified together."""


class UndeclaredAccessError(ShieldwallError):
    """A route does not say who may call it."""

    code = "undeclaredAccess"
    remedy = "Give the route an Access; the gateway does not start without."


class DuplicateRouteError(ShieldwallError):
    """Two routes answer to the same method and path."""

    code = "duplicateRoute"
    remedy = "Remove one of them."


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One thing that can be asked: ``{name}`` in ``path`` stands for one segment."""

    method: str
    path: str
    handler: Handler
    access: Access | None = None
    lane: Lane = Lane.REST
    """How soon it gives way when there is too much to do."""
    body_limit: int = 0
    query: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """The route of a request and what its path says."""

    route: Route
    parameters: Mapping[str, str]


class Router:
    """Finds the route of a request: by one look-up for fixed paths, by pattern for the few others."""

    def __init__(self, routes: Iterable[Route]) -> None:
        """Check and take the routes. Raises: UndeclaredAccessError, DuplicateRouteError."""
        self._fixed: dict[str, dict[str, Match]] = {}
        self._patterns: dict[str, tuple[re.Pattern[str], dict[str, Route]]] = {}
        self.routes: Final = tuple(routes)
        for route in self.routes:
            self._add(route)

    def match(self, method: str, path: str) -> Match:
        """Return the route for a request. Raises: MethodNotAllowedError, NoSuchPathError."""
        if method not in METHODS:
            raise MethodNotAllowedError(f"The method {method[:16]!r} is not known here.")
        if (fixed := self._fixed.get(path)) is not None:
            if (match := fixed.get(method)) is None:
                raise MethodNotAllowedError(f"This path does not take {method}.")
            return match
        for pattern, by_method in self._patterns.values():
            if found := pattern.fullmatch(path):
                if (route := by_method.get(method)) is None:
                    raise MethodNotAllowedError(f"This path does not take {method}.")
                return Match(route=route, parameters=found.groupdict())
        raise NoSuchPathError("There is nothing at this path.")

    def _add(self, route: Route) -> None:
        if route.access is None:
            raise UndeclaredAccessError(f"The route {route.method} {route.path} does not say who may call it.")
        if "{" in route.path:
            _, by_method = self._patterns.setdefault(route.path, (_pattern(route.path), {}))
            taken = by_method.setdefault(route.method, route) is not route
        else:
            match = Match(route=route, parameters={})
            taken = self._fixed.setdefault(route.path, {}).setdefault(route.method, match) is not match
        if taken:
            raise DuplicateRouteError(f"Two routes answer to {route.method} {route.path}.")


def _pattern(path: str) -> re.Pattern[str]:
    parts = re.split(r"\{([a-z_]+)\}", path)
    literal, names = parts[::2], parts[1::2]
    text = re.escape(literal[0])
    for name, following in zip(names, literal[1:], strict=True):
        text += rf"(?P<{name}>[A-Za-z0-9._-]{{1,128}})" + re.escape(following)
    return re.compile(text)
