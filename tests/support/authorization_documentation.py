"""``docs/authorization.md``: of every route what a person's roles must grant, and which built-in roles do."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from tests.support.admin import admin_routes
from tests.support.documentation import table

from shieldwall.server.access.authorization import Authorization, authorization_of
from shieldwall.server.access.roles import BUILT_IN, Role
from shieldwall.server.admin.declared_routes import handlers_of

_REACHES = {
    "OPEN": "the same for all",
    "TENANT": "the whole tenant",
    "OBJECT": "what the path names",
    "LISTED": "what is seen",
    "NAMED": "what the body names",
}


def authorization_tables() -> dict[str, str]:
    """Write the table of roles and routes."""
    roles = tuple(BUILT_IN.values())
    heading = ("Route", "Action", "Reaches", *(role.display_name for role in roles))
    return {"authorization": table(heading, [_row(route, declared, roles) for route, declared in _routes()])}


def _row(route: str, declared: Authorization, roles: tuple[Role, ...]) -> tuple[str, ...]:
    demand = declared.demand
    if demand.everybody:
        return (f"`{route}`", _sensitive("whoever is signed in", declared), "themselves", *("yes" for _ in roles))
    assert demand.action is not None
    granted = ("yes" if demand.action in role.actions else "" for role in roles)
    return (f"`{route}`", _sensitive(f"`{demand.action.value}`", declared), _REACHES[demand.reach.name], *granted)


def _sensitive(text: str, declared: Authorization) -> str:
    return f"{text}, with a fresh proof" if declared.demand.sensitive else text


@cache
def _routes() -> tuple[tuple[str, Authorization], ...]:
    return tuple(sorted(_declared(), key=lambda found: found[0].split(" ", 1)[::-1]))


def _declared() -> Iterator[tuple[str, Authorization]]:
    """Yield every route that is not public, once: both versions of Graph have the same handlers."""
    for method, route, handler in handlers_of(admin_routes()):
        declared = authorization_of(handler.opt)
        if not declared.public and not route.path_format.startswith("/v1.0"):
            path = route.path_format.removeprefix("/beta")
            yield f"{method} {'…' if path != route.path_format else ''}{path}", declared
