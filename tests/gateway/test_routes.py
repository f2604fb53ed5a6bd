from __future__ import annotations

import pytest

from shieldwall.server.gateway.calls import Answer, Call
from shieldwall.server.gateway.problems import MethodNotAllowedError, NoSuchPathError
from shieldwall.server.gateway.routes import Access, DuplicateRouteError, Route, Router, UndeclaredAccessError


async def answer(_call: Call) -> Answer:
    return Answer(status=204)


def route(method: str = "POST", path: str = "/a", access: Access | None = Access.DEVICE) -> Route:
    return Route(method=method, path=path, access=access, handler=answer)


@pytest.mark.parametrize("path", ["/a", "/{tenant}/a"])
def test_a_route_that_does_not_say_who_may_call_it_stops_the_start(path: str) -> None:
    with pytest.raises(UndeclaredAccessError, match="does not say who may call it"):
        Router([route(), route(path=path, method="GET", access=None)])


@pytest.mark.parametrize("path", ["/a", "/{tenant}/a"])
def test_two_routes_for_the_same_request_stop_the_start(path: str) -> None:
    with pytest.raises(DuplicateRouteError):
        Router([route(path=path), route(path=path)])


def test_a_fixed_path_is_found_for_its_method_alone() -> None:
    router = Router([route("GET", "/a"), route("POST", "/b")])

    assert router.match("GET", "/a").route.path == "/a"
    with pytest.raises(MethodNotAllowedError):
        router.match("POST", "/a")


def test_the_segments_of_a_path_are_handed_over_by_name() -> None:
    router = Router([route(path="/{tenant}/device/{id}/offboard")])

    found = router.match("POST", "/t-1/device/d.2/offboard")

    assert found.parameters == {"tenant": "t-1", "id": "d.2"}


@pytest.mark.parametrize(
    "path",
    ["", "*", "/", "//a", "/a/", "/A", "/a;x", "/a\x00", "/../a", "/./a", "/t/b", "/t//c", "/t/t/c", "/t\n/c", "/é/c"],
)
def test_any_path_that_is_not_declared_does_not_exist(path: str) -> None:
    with pytest.raises(NoSuchPathError):
        Router([route(path="/a"), route(path="/{tenant}/c")]).match("POST", path)


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PUT", "DELETE", "OPTIONS", "HEAD", "get", "BREW"])
def test_an_unknown_method_is_refused_whatever_the_path(method: str) -> None:
    with pytest.raises(MethodNotAllowedError):
        Router([route()]).match(method, "/nowhere")
