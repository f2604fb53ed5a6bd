"""Groups that carry roles: to let somebody belong to one is to give them the roles, whoever asks for it."""

from __future__ import annotations

from contextlib import closing

import pytest
from tests.graph.test_role_giving_api import ASSIGNMENTS, ROLES, bound
from tests.support.admin import AdminWorld, Client
from tests.support.graph_bodies import GROUPS, a_group
from tests.support.people import a_person, token_client

from shieldwall.contract.ids import GroupId
from shieldwall.server.access.roles import ADMINISTRATOR, READ_ONLY_OPERATOR
from shieldwall.server.storage.identity_records import Person

RBAC = "DeviceManagementRBAC.ReadWrite.All"
MEMBERS = ("Group.ReadWrite.All", "GroupMember.ReadWrite.All")


def a_role_group(admin: Client, role: str = ADMINISTRATOR.id) -> GroupId:
    """Make a group whose members have a role."""
    group = GroupId(admin.post(GROUPS, json=a_group("Owners")).json()["id"])
    assert admin.post(ASSIGNMENTS, json=bound(role, members=[group])).status_code == 201
    return group


def reference(person: Person) -> dict[str, str]:
    return {"@odata.id": f"https://x/v1.0/users/{person.id}"}


@pytest.mark.parametrize("permission", MEMBERS)
def test_an_application_that_may_not_assign_roles_gives_none_by_a_group(world: AdminWorld, permission: str) -> None:
    somebody = a_person(world, None)
    with closing(token_client(world, a_person(world))) as admin:
        group = a_role_group(admin)
        plain = admin.post(GROUPS, json=a_group("Plain")).json()["id"]
        with closing(world.application_client(permission)) as app:
            refused = app.post(f"{GROUPS}/{group}/members/$ref", json=reference(somebody))
            assert app.post(f"{GROUPS}/{plain}/members/$ref", json=reference(somebody)).status_code == 204
        assert (refused.status_code, refused.json()["error"]["innerError"]["code"]) == (403, "forbidden")
        assert admin.post(f"{GROUPS}/{group}/members/$ref", json=reference(somebody)).status_code == 204
        with closing(world.application_client(permission)) as app:
            assert app.delete(f"{GROUPS}/{group}/members/{somebody.id}/$ref").status_code == 403
        with closing(world.application_client(permission, RBAC)) as app:
            assert app.delete(f"{GROUPS}/{group}/members/{somebody.id}/$ref").status_code == 204


def test_a_role_is_given_by_a_group_with_a_fresh_proof_alone(world: AdminWorld) -> None:
    administrator, somebody = a_person(world), a_person(world, None)
    with closing(token_client(world, administrator)) as admin:
        group = a_role_group(admin, READ_ONLY_OPERATOR.id)
    with closing(token_client(world, administrator, proof_age=11)) as late:
        answer = late.post(f"{GROUPS}/{group}/members/$ref", json=reference(somebody))
        assert answer.status_code == 401
        assert answer.json()["error"]["innerError"]["code"] == "stepUpRequired"
        assert "insufficient_claims" in answer.headers["www-authenticate"]
    with closing(token_client(world, somebody)) as client:
        assert client.get(ROLES).status_code == 403


def test_the_last_administrator_does_not_leave_by_a_group(world: AdminWorld, graph: Client) -> None:
    first, second = a_person(world, None), a_person(world, None)
    group = a_role_group(graph)
    for person in (first, second):
        assert graph.post(f"{GROUPS}/{group}/members/$ref", json=reference(person)).status_code == 204
    assert graph.delete(f"{GROUPS}/{group}/members/{first.id}/$ref").status_code == 204
    assert graph.delete(f"{GROUPS}/{group}/members/{second.id}/$ref").status_code == 409
    with closing(token_client(world, second)) as client:
        assert client.get(ROLES).status_code == 200
