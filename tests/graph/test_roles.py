"""The whole table of roles, routes, scopes and tenants, asked of the real application.

What each route has to answer is computed from its declaration by ``tests.support.authorization_oracle``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest
from tests.support.admin import AdminWorld, Client
from tests.support.authorization_oracle import Outcome, Somebody, expected, fits
from tests.support.graph_routes import Route, routes_of
from tests.support.people import a_person, token_client
from tests.support.samples import a_tenant, counted_id

from shieldwall.contract.ids import TenantId
from shieldwall.server.access.actions import EVERYTHING, ResourceAction
from shieldwall.server.access.permissions import PERMISSIONS
from shieldwall.server.access.roles import BUILT_IN, Role
from shieldwall.server.storage.tenants import tenants

CUSTOM = Role(
    id=counted_id("9", 77),
    display_name="Policy readers who sync",
    description="",
    actions=frozenset({ResourceAction.READ_POLICIES, ResourceAction.READ_DEVICES, ResourceAction.SYNC_DEVICES}),
)
ROLES = (*BUILT_IN.values(), CUSTOM)
EVERY_ACTION = Role(id=counted_id("9", 78), display_name="Everything", description="", actions=EVERYTHING)
SCOPES = frozenset(PERMISSIONS) - {"ManagedTenants.Read.All"}
"""What people use: that one is for those alone who were invited to see all tenants."""
ELSEWHERE = EVERYTHING - {ResourceAction.READ_TENANTS}
"""Only people of the server's own tenant see the figures of all."""


def routes(world: AdminWorld) -> Iterator[Route]:
    """Every route once: both versions have the same handlers."""
    return (route for route in routes_of(world) if route.template.startswith("/beta/") or route.template == "/beta")


def walk(world: AdminWorld, client: Client, caller: Somebody) -> list[tuple[str, str, Outcome, int]]:
    """Ask every route, and return where the answer is another than expected."""
    wrong = []
    for route in routes(world):
        wanted = expected(route.template, route.authorization, caller)
        status = client.request(route.method, route.path).status_code
        if not fits(wanted, status):
            wrong.append((route.method, route.template, wanted, status))
    return wrong


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.display_name)
@pytest.mark.parametrize("narrowed", [False, True], ids=["whole", "narrowed"])
def test_every_route_answers_a_role_as_it_declares(embedded: AdminWorld, role: Role, narrowed: bool) -> None:
    person = a_person(embedded, role, tags=["7"] if narrowed else [])
    caller = Somebody(role.actions, is_narrowed=narrowed, permissions=SCOPES)

    with closing(token_client(embedded, person)) as client:
        assert walk(embedded, client, caller) == []


def test_somebody_without_a_role_gets_nowhere(embedded: AdminWorld) -> None:
    person = a_person(embedded, None)

    with closing(token_client(embedded, person)) as client:
        assert walk(embedded, client, Somebody(frozenset(), permissions=SCOPES)) == []


def test_scope_groups_narrow_as_scope_tags_do(embedded: AdminWorld) -> None:
    person = a_person(embedded, EVERY_ACTION, groups=[])

    with closing(token_client(embedded, person)) as client:
        assert walk(embedded, client, Somebody(EVERYTHING, is_narrowed=True, permissions=SCOPES)) == []


def test_an_old_proof_is_not_enough_for_what_is_sensitive(embedded: AdminWorld) -> None:
    person = a_person(embedded)
    caller = Somebody(EVERYTHING, is_fresh=False, permissions=SCOPES)
    sensitive = [route for route in routes(embedded) if route.authorization.demand.sensitive]

    with closing(token_client(embedded, person, proof_age=11)) as client:
        assert walk(embedded, client, caller) == []
    assert len(sensitive) > 10


def test_an_administrator_of_another_tenant_finds_none_of_the_ids(embedded: AdminWorld) -> None:
    adatum = a_tenant(id=TenantId(counted_id("9", 1)), domain="adatum.example", display_name="Adatum")
    with embedded.writing() as connection:
        tenants.add(connection, adatum)
    stranger, ours = a_person(embedded, tenant=adatum), a_person(embedded)

    with closing(token_client(embedded, stranger, tenant=adatum)) as client:
        assert walk(embedded, client, Somebody(ELSEWHERE, permissions=SCOPES)) == []
        assert client.get("/beta/deviceManagement/roleAssignments").json()["value"] != []
        with closing(token_client(embedded, ours)) as own:
            found = own.get("/beta/deviceManagement/roleAssignments").json()["value"]
        for each in found:
            assert client.get(f"/beta/deviceManagement/roleAssignments/{each['id']}").status_code == 404
