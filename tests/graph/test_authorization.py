"""Who may call what, over the table of all routes, so that no route is forgotten."""

from __future__ import annotations

import pytest
from litestar import get
from tests.support.admin import AdminWorld
from tests.support.graph_routes import defender_routes_of, routes_of

from shieldwall.server.access.permissions import PERMISSIONS
from shieldwall.server.main import create_admin_routes


def test_every_route_asks_for_a_token(embedded: AdminWorld) -> None:
    client = embedded.client()
    for route in routes_of(embedded):
        answer = client.request(route.method, route.path)
        assert answer.status_code == 401, route
        assert answer.json()["error"]["innerError"]["code"] == "unauthenticated"


def test_a_token_lets_in_exactly_where_its_permission_is_asked_for(embedded: AdminWorld) -> None:
    clients = {permission: embedded.application_client(permission) for permission in PERMISSIONS}
    clients["none"] = embedded.application_client()
    for route in routes_of(embedded):
        if not route.template.startswith("/beta/"):
            continue  # both versions have the same handlers
        for permission, client in clients.items():
            status = client.request(route.method, route.path).status_code
            if permission in route.authorization.permissions:
                assert status not in {401, 403, 500}, (route, permission)
            else:
                assert status == 403, (route, permission)


_ASKED_BY_POST = (
    "/evaluateDynamicMembership",
    "/checkMemberGroups",
    "/checkMemberObjects",
    "/getMemberGroups",
    "/getMemberObjects",
    "/getByIds",
    "/$batch",
)
"""Graph asks by POST whether a rule names a device, for groups and objects, and for reports, and admits those who may
read. A batch has no rights of its own."""
_REPORTS = "/deviceManagement/reports/"


def test_what_changes_something_asks_for_more_than_to_read(embedded: AdminWorld) -> None:
    for route in routes_of(embedded):
        assert not route.authorization.public, route
        if "/subscriptions" in route.template:
            continue  # whoever may read groups may follow them, as with Graph, and each caller has its own alone
        if route.method != "GET" and _REPORTS not in route.template and not route.template.endswith(_ASKED_BY_POST):
            assert not any(".Read." in permission for permission in route.authorization.permissions), route


def test_every_permission_that_can_be_given_is_asked_for_and_no_other(embedded: AdminWorld) -> None:
    routes = [*routes_of(embedded), *defender_routes_of(embedded)]
    asked = {permission for route in routes for permission in route.authorization.permissions}

    assert asked == set(PERMISSIONS)


def test_a_server_with_an_undeclared_route_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    from shieldwall.server.access.authorization import UndeclaredRouteError  # noqa: PLC0415 - beside its only use
    from shieldwall.server.graph import app  # noqa: PLC0415 - as above

    @get("/surprise", sync_to_thread=False)
    def surprise() -> str:
        return "open to all"

    monkeypatch.setattr(app, "HANDLERS", (*app.HANDLERS, surprise))
    with pytest.raises(UndeclaredRouteError, match="surprise"):
        create_admin_routes()
