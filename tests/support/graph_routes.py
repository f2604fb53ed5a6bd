"""The table of all routes of the Graph front door, to be walked: so that a test forgets none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from litestar.routes import HTTPRoute
from tests.support.admin import AdminWorld
from tests.support.samples import counted_id

from shieldwall.server.access.authorization import Authorization, authorization_of
from shieldwall.server.graph.app import is_graph_path
from shieldwall.server.graph.defender.errors import is_defender_path

SOMETHING = counted_id("c", 1)


@dataclass(frozen=True)
class Route:
    """One method of one path; ``template`` has a ``{name}`` for each segment that a caller fills in."""

    method: str
    template: str
    authorization: Authorization

    @property
    def path(self) -> str:
        """The path with ids that nothing has."""
        return "/".join(SOMETHING if part.startswith("{") else part for part in self.template.split("/"))


def defender_routes_of(world: AdminWorld) -> Iterator[Route]:
    """Every method of every path of Defender for Endpoint's API."""
    return _routes(world, is_defender_path)


def routes_of(world: AdminWorld) -> Iterator[Route]:
    """Every method of every path under Graph's versions."""
    return _routes(world, is_graph_path)


def _routes(world: AdminWorld, belongs: Callable[[str], bool]) -> Iterator[Route]:
    for route in world.framework.routes:
        assert isinstance(route, HTTPRoute)
        for method, (handler, _) in route.route_handler_map.items():
            if method != "OPTIONS" and belongs(route.path):
                yield Route(str(method), route.path_format, authorization_of(handler.opt))
