"""What a route says of itself beyond its docstring, path and permissions: what it takes, asks for and answers.

A route carries it in ``opt`` beside its authorisation: ``opt=READ | lists(POLICY)``. The words for it are those of its
front door (``graph.describing``); here is what they all come to. A route without a description stops the start-up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Self, TypeAlias

from litestar.handlers import HTTPRouteHandler
from litestar.routes import BaseRoute, HTTPRoute

from shieldwall.contract.errors import ShieldwallError
from shieldwall.server.openapi.shapes import Component, Schema

DESCRIPTION: Final = "description"
_NO_API: Final = "none"
_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
JSON: Final = "application/json"
PROBLEM: Final = "application/problem+json"

AnySchema: TypeAlias = Schema | Component | type
"""Where a schema is expected: written out, a component, or the struct that a body is read into."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """What a request may say in its query or headers. ``statuses``: answers that come of it alone."""

    name: str
    place: Literal["query", "header"]
    meaning: str
    schema: Schema
    statuses: tuple[int, ...] = ()
    required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """What a request carries."""

    schema: AnySchema
    media_type: str = JSON
    required: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer: its body by media type, if there is one, and its ``headers`` beside those that all answers have."""

    status: int
    meaning: str = ""
    content: Mapping[str, AnySchema] = field(default_factory=dict)
    headers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontDoor:
    """What all routes of one API have in common.

    ``name`` is what its refusals are filed under, ``error`` their body. ``always``, ``guarded``, ``with_body`` and
    ``with_path`` are the statuses of the refusals that every route has, those that know their caller, those that take
    a body, and those whose path names something. ``passed_over`` is the pattern of members that any body may have
    beside its own. ``group_of`` names the resource that a path is about; ``parameters`` say what may stand in paths.
    """

    name: str
    error: AnySchema
    error_type: str
    always: frozenset[int]
    guarded: frozenset[int] = frozenset()
    with_body: frozenset[int] = frozenset()
    with_path: frozenset[int] = frozenset()
    passed_over: str | None = None
    group_of: Callable[[str], str]
    parameters: Mapping[str, Schema] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What one route takes and answers. ``fails`` are the statuses that this route adds to those of its front door."""

    door: FrontDoor
    answers: tuple[Answer, ...]
    takes: Body | None = None
    asks: tuple[Parameter, ...] = ()
    fails: frozenset[int] = frozenset()

    def __deepcopy__(self, _memo: object) -> Self:
        """Return this one: the framework copies what a route carries, several times each, and this never changes."""
        return self


class UndescribedRouteError(ShieldwallError):
    """A route of an API does not say what it takes and answers; the server does not start with it."""

    code = "undescribedRoute"
    remedy = "Add its description to opt, with a word of graph.describing: opt=READ | lists(RESOURCE)."


PAGES: Final[Mapping[str, Any]] = {DESCRIPTION: _NO_API}
"""Declares routes that are for people and no part of an API: pages, forms, files."""


def described(description: Description) -> dict[str, Any]:
    """Put a description where the framework keeps what a route says of itself."""
    return {DESCRIPTION: description}


def description_of(opt: Mapping[str, Any]) -> Description | None:
    """Read a route's description; ``None`` where it is for people. Raises: UndescribedRouteError."""
    description = opt.get(DESCRIPTION)
    if description == _NO_API:
        return None
    if not isinstance(description, Description):
        raise UndescribedRouteError("A route does not describe itself.")
    return description


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """One method of one path of an API, with its handler and what that says."""

    method: str
    path: str
    handler: HTTPRouteHandler
    description: Description

    @property
    def function(self) -> Callable[..., Any]:
        """The function as it was written; the framework wraps it, some of them twice."""
        function: Callable[..., Any] = self.handler.fn
        while hasattr(function, "func"):
            function = function.func
        return function


def described_routes(routes: Iterable[BaseRoute]) -> list[Described]:
    """Return every route of the APIs, in the order of their paths and methods, whatever order the framework has.

    Raises:
        UndescribedRouteError: Names the method and path of one that says nothing.
    """
    found = []
    for route in routes:
        assert isinstance(route, HTTPRoute), "nothing else is served"
        for method, (handler, _) in route.route_handler_map.items():
            if method == "OPTIONS":
                continue
            try:
                description = description_of(handler.opt)
            except UndescribedRouteError:
                raise UndescribedRouteError(f"{method} {route.path_format} does not describe itself.") from None
            if description is not None:
                found.append(
                    Described(method=str(method), path=route.path_format, handler=handler, description=description)
                )
    return sorted(found, key=lambda each: (each.path, _METHODS.index(each.method)))
