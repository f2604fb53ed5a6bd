"""Who may call what, over the table of all routes, so that no route is forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from litestar import get
from litestar.routes import HTTPRoute
from tests.support.admin import AdminWorld, Client
from tests.support.graph_bodies import FILTERS, GROUPS, MANAGED_DEVICES, PACKAGES, POLICIES, a_filter, a_group, a_policy
from tests.support.samples import a_device, a_tenant, counted_id

from shieldwall.server.authorization import Authorization, authorization_of
from shieldwall.server.graph.app import is_graph_path
from shieldwall.server.main import compose_admin
from shieldwall.server.permissions import PERMISSIONS
from shieldwall.server.storage import devices, schema, tenants

SOMETHING = counted_id("c", 1)


@dataclass(frozen=True)
class Route:
    method: str
    template: str
    authorization: Authorization

    @property
    def path(self) -> str:
        return "/".join(SOMETHING if part.startswith("{") else part for part in self.template.split("/"))


def routes_of(world: AdminWorld) -> Iterator[Route]:
    for route in world.framework.routes:
        assert isinstance(route, HTTPRoute)
        for method, (handler, _) in route.route_handler_map.items():
            if method != "OPTIONS" and is_graph_path(route.path):
                yield Route(str(method), route.path_format, authorization_of(handler.opt))


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


def test_what_changes_something_asks_for_more_than_to_read(embedded: AdminWorld) -> None:
    for route in routes_of(embedded):
        assert not route.authorization.public, route
        if route.method != "GET":
            assert not any(".Read." in permission for permission in route.authorization.permissions), route


def test_every_permission_that_can_be_given_is_asked_for_and_no_other(embedded: AdminWorld) -> None:
    asked = {permission for route in routes_of(embedded) for permission in route.authorization.permissions}

    assert asked == set(PERMISSIONS)


def test_a_server_with_an_undeclared_route_does_not_start(
    embedded: AdminWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    from shieldwall.server.authorization import UndeclaredRouteError  # noqa: PLC0415 - beside its only use
    from shieldwall.server.graph import app  # noqa: PLC0415 - as above

    @get("/surprise", sync_to_thread=False)
    def surprise() -> str:
        return "open to all"

    monkeypatch.setattr(app, "HANDLERS", (*app.HANDLERS, surprise))
    with pytest.raises(UndeclaredRouteError, match="surprise"):
        compose_admin(embedded.services, monotonic=lambda: 0.0)


def test_what_another_tenant_owns_is_not_there(world: AdminWorld, graph: Client) -> None:
    policy = graph.post(POLICIES, json=a_policy()).json()["id"]
    group = graph.post(GROUPS, json=a_group()).json()["id"]
    package = graph.post(PACKAGES, json={"displayName": "x"}).json()["id"]
    narrowing = graph.post(FILTERS, json=a_filter()).json()["id"]
    change_set = {"changes": [{"kind": "update", "id": policy, "policy": {"name": "x"}}]}
    device = a_device()
    other = a_tenant(id=counted_id("9", 1), domain="fabrikam.example")
    with world.writing() as connection:
        tenants.add(connection, other)
        devices.add(connection, a_device(tenant_id=other.id))
        for table in (schema.policies, schema.groups, schema.onboarding_packages, schema.assignment_filters):
            connection.execute(table.update().values(tenant_id=other.id))

    calls: list[tuple[str, str, Any]] = [
        ("GET", f"{POLICIES}/{policy}", None),
        ("GET", f"{POLICIES}/{policy}/settings", None),
        ("GET", f"{POLICIES}/{policy}/assignments", None),
        ("GET", f"{POLICIES}/{policy}/statusSummary", None),
        ("GET", f"{POLICIES}/{policy}/deviceStates", None),
        ("PATCH", f"{POLICIES}/{policy}", {"name": "x"}),
        ("PUT", f"{POLICIES}/{policy}", a_policy()),
        ("POST", f"{POLICIES}/{policy}/assign", {"assignments": []}),
        ("POST", f"{POLICIES}/{policy}/createCopy", {"displayName": "x"}),
        ("POST", f"{POLICIES}/{policy}/reorder", {"priority": 1}),
        ("POST", f"{POLICIES}/{policy}/rollback", {"revision": 1}),
        ("POST", f"{POLICIES}/{policy}/preview", {"name": "x"}),
        ("POST", f"{POLICIES}/changeSet", change_set),
        ("POST", f"{POLICIES}/changeSet/preview", change_set),
        ("GET", f"{POLICIES}/{policy}/revisions", None),
        ("GET", f"{POLICIES}/{policy}/revisions/1", None),
        ("GET", f"{POLICIES}/{policy}/revisions/1/changes", None),
        ("DELETE", f"{POLICIES}/{policy}", None),
        ("GET", f"{FILTERS}/{narrowing}", None),
        ("PATCH", f"{FILTERS}/{narrowing}", {"displayName": "x"}),
        ("POST", f"{FILTERS}/{narrowing}/preview", {"rule": a_filter()["rule"]}),
        ("DELETE", f"{FILTERS}/{narrowing}", None),
        ("POST", f"{GROUPS}/{group}/preview", {"delete": True}),
        ("GET", f"{GROUPS}/{group}", None),
        ("GET", f"{GROUPS}/{group}/members", None),
        ("PATCH", f"{GROUPS}/{group}", {"displayName": "x"}),
        ("POST", f"{GROUPS}/{group}/members/$ref", {"@odata.id": f"https://x/devices/{device.id}"}),
        ("DELETE", f"{GROUPS}/{group}/members/{device.id}/$ref", None),
        ("DELETE", f"{GROUPS}/{group}", None),
        ("GET", f"/v1.0/devices/{device.object_id}", None),
        ("GET", f"/v1.0/devices/{device.id}", None),
        ("GET", f"{MANAGED_DEVICES}/{device.id}", None),
        ("GET", f"{MANAGED_DEVICES}/{device.id}/effectiveSettings", None),
        ("POST", f"{MANAGED_DEVICES}/{device.id}/syncDevice", None),
        ("POST", f"{MANAGED_DEVICES}/{device.id}/changeTags", {"add": ["x"]}),
        ("DELETE", f"{MANAGED_DEVICES}/{device.id}", None),
        ("POST", f"{PACKAGES}/{package}/revoke", None),
    ]
    for method, path, body in calls:
        assert graph.request(method, path, json=body).status_code == 404, (method, path)
    for listing in (POLICIES, GROUPS, "/v1.0/devices", MANAGED_DEVICES, PACKAGES, FILTERS):
        assert graph.get(listing).json()["value"] == []
