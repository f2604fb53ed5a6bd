"""Roles, assignments and scope tags over Graph: what they look like, and that nobody gives more than they hold."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import pytest
from tests.support.admin import AdminWorld, Client
from tests.support.graph_bodies import GROUPS, POLICIES, a_group, a_policy
from tests.support.people import a_person, give, token_client
from tests.support.samples import counted_id

from shieldwall.server.access.roles import (
    ADMINISTRATOR,
    BUILT_IN,
    HELP_DESK_OPERATOR,
    READ_ONLY_OPERATOR,
    ROLE_ADMINISTRATOR,
)

BASE = "/beta/deviceManagement"
ROLES, ASSIGNMENTS, TAGS = f"{BASE}/roleDefinitions", f"{BASE}/roleAssignments", f"{BASE}/roleScopeTags"
READ_DEVICES = "Microsoft.Intune_ManagedDevices_Read"
READ_ROLES = "Microsoft.Intune_Roles_Read"


def a_role(*allowed: str, name: str = "Watchers", without: tuple[str, ...] = ()) -> dict[str, Any]:
    actions = {"allowedResourceActions": [*allowed], "notAllowedResourceActions": [*without]}
    kind = "#microsoft.graph.deviceAndAppManagementRoleDefinition"
    part = {"@odata.type": "#microsoft.graph.rolePermission", "resourceActions": [actions]}
    return {"@odata.type": kind, "displayName": name, "rolePermissions": [part]}


def bound(role: str, **body: Any) -> dict[str, Any]:
    return {
        "displayName": "An assignment",
        "scopeType": "allDevices",
        "roleDefinition@odata.bind": f"https://x{ROLES}('{role}')",
        **body,
    }


def test_a_role_is_made_changed_and_deleted(graph: Client) -> None:
    made = graph.post(ROLES, json=a_role(READ_DEVICES, READ_ROLES, without=(READ_ROLES,)))
    path = f"{ROLES}/{made.json()['id']}"

    assert made.status_code == 201
    assert made.json()["rolePermissions"][0]["resourceActions"][0]["allowedResourceActions"] == [READ_DEVICES]
    assert made.json()["permissions"] == made.json()["rolePermissions"]
    assert graph.patch(path, json={"description": "Look"}).json()["description"] == "Look"
    assert graph.patch(path, json={"isBuiltIn": True}).status_code == 400
    assert graph.post(ROLES, json=a_role("Microsoft.Intune_Nothing_Read")).status_code == 400
    assert graph.post(ROLES, json=a_role(READ_DEVICES) | {"createdBy": "me"}).status_code == 400
    assert graph.delete(path).status_code == 204
    assert graph.get(path).status_code == 404


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
def test_built_in_roles_stay_as_they_are(graph: Client, method: str) -> None:
    listed = {each["id"] for each in graph.get(ROLES).json()["value"]}

    assert set(BUILT_IN) <= listed
    for role in BUILT_IN:
        assert graph.request(method, f"{ROLES}/{role}", json={"displayName": "x"}).status_code == 400


def test_a_role_is_assigned_by_the_words_of_graph(world: AdminWorld, graph: Client) -> None:
    person = a_person(world, None)
    group = graph.post(GROUPS, json=a_group()).json()["id"]
    tag = graph.post(TAGS, json={"displayName": "Berlin"}).json()["id"]
    body = bound(
        HELP_DESK_OPERATOR.id,
        members=[person.id],
        scopeType="resourceScope",
        resourceScopes=[group],
        **{"roleScopeTags@odata.bind": [f"https://x{TAGS}/{tag}"]},
    )
    made = graph.post(ASSIGNMENTS, json=body)

    assert made.status_code == 201, made.text
    assert made.json()["scopeMembers"] == made.json()["resourceScopes"] == [group]
    assert made.json()["roleScopeTagIds"] == [tag]
    of_role = graph.get(f"{ROLES}/{HELP_DESK_OPERATOR.id}/roleAssignments").json()["value"]
    assert [each["id"] for each in of_role] == [made.json()["id"]]
    assert graph.delete(f"{GROUPS}/{group}").status_code == 409
    assert graph.delete(f"{TAGS}/{tag}").status_code == 409
    with closing(token_client(world, person)) as client:
        granted = client.get(f"{BASE}/getEffectivePermissions(scope='x')").json()["value"][0]
        assert READ_DEVICES in granted["resourceActions"][0]["allowedResourceActions"]
        assert client.get(f"{BASE}/managedDevices").status_code == 200


def test_members_and_scopes_have_to_be_there(graph: Client) -> None:
    for wrong in (
        {"members": [counted_id("c", 9)]},
        {"members": ["nobody"]},
        {"scopeType": "resourceScope", "resourceScopes": [counted_id("c", 9)]},
        {"roleScopeTagIds": ["4711"]},
        {"scopeType": "everywhere"},
    ):
        assert graph.post(ASSIGNMENTS, json=bound(HELP_DESK_OPERATOR.id, **wrong)).status_code == 400, wrong
    assert graph.post(ASSIGNMENTS, json=bound(counted_id("c", 9))).status_code == 404


def test_nobody_gives_more_than_they_hold(world: AdminWorld) -> None:
    giver, other = a_person(world, ROLE_ADMINISTRATOR), a_person(world, None)
    with closing(token_client(world, giver)) as client:
        assert client.post(ROLES, json=a_role(READ_ROLES)).status_code == 201
        assert client.post(ROLES, json=a_role(READ_DEVICES)).status_code == 403
        for role, status in ((ROLE_ADMINISTRATOR, 201), (READ_ONLY_OPERATOR, 403), (ADMINISTRATOR, 403)):
            answer = client.post(ASSIGNMENTS, json=bound(role.id, members=[other.id]))
            assert answer.status_code == status, (role.display_name, answer.text)
    give(world, giver, READ_ONLY_OPERATOR, tags=["0"])
    with closing(token_client(world, giver)) as client:
        wide = bound(READ_ONLY_OPERATOR.id, members=[other.id])
        assert client.post(ASSIGNMENTS, json=wide).status_code == 403
        narrow = wide | {"roleScopeTagIds": ["0"]}
        assert client.post(ASSIGNMENTS, json=narrow).status_code == 201


def test_nobody_takes_away_what_they_do_not_hold(world: AdminWorld) -> None:
    a_person(world)
    lesser = a_person(world, ROLE_ADMINISTRATOR)
    with closing(token_client(world, lesser)) as client:
        grand = [
            each for each in client.get(ASSIGNMENTS).json()["value"] if each["roleDefinitionId"] == ADMINISTRATOR.id
        ]
        for each in grand:
            assert client.delete(f"{ASSIGNMENTS}/{each['id']}").status_code == 403
            assert client.patch(f"{ASSIGNMENTS}/{each['id']}", json={"members": []}).status_code == 403


def test_the_last_administrator_stays(world: AdminWorld) -> None:
    with closing(token_client(world, a_person(world))) as client:
        (only,) = client.get(ASSIGNMENTS).json()["value"]
        path = f"{ASSIGNMENTS}/{only['id']}"

        assert client.delete(path).status_code == 409
        assert client.patch(path, json={"members": []}).status_code == 409
        assert client.patch(path, json={"roleScopeTagIds": ["0"]}).status_code == 409
        a_person(world)
        assert client.delete(path).status_code == 204
        assert client.get(ASSIGNMENTS).status_code == 403


def test_role_changes_want_a_fresh_proof(world: AdminWorld) -> None:
    with closing(token_client(world, a_person(world), proof_age=11)) as client:
        answer = client.post(ROLES, json=a_role(READ_DEVICES))

    assert answer.status_code == 401
    assert answer.json()["error"]["innerError"]["code"] == "stepUpRequired"


def test_a_scope_tag_is_made_found_and_deleted(graph: Client) -> None:
    assert graph.get(f"{TAGS}/hasCustomRoleScopeTag").json()["value"] is False
    made = graph.post(TAGS, json={"displayName": "Berlin"}).json()

    assert made["id"] == "1"
    assert graph.post(TAGS, json={"displayName": "berlin"}).status_code == 400
    assert [each["id"] for each in graph.get(TAGS).json()["value"]] == ["0", "1"]
    found = graph.post(f"{TAGS}/getRoleScopeTagsById", json={"roleScopeTagIds": ["1", "4711"]}).json()["value"]
    assert [each["displayName"] for each in found] == ["Berlin"]
    assert graph.patch(f"{TAGS}/0", json={"displayName": "x"}).status_code == 400
    policy = graph.post(POLICIES, json=a_policy(roleScopeTagIds=["1"])).json()["id"]
    assert graph.delete(f"{TAGS}/1").status_code == 409
    assert graph.delete(f"{POLICIES}/{policy}").status_code == 200
    assert graph.delete(f"{TAGS}/1").status_code == 204
    assert graph.post(POLICIES, json=a_policy(roleScopeTagIds=["1"])).status_code == 400


def test_resource_operations_are_the_actions_of_roles(graph: Client) -> None:
    found = graph.get(f"{BASE}/resourceOperations").json()["value"]

    assert READ_DEVICES in {each["id"] for each in found}
    assert graph.get(f"{BASE}/resourceOperations/{READ_DEVICES}").json()["actionName"] == "Read"
    assert graph.get(f"{BASE}/resourceOperations/Microsoft.Intune_Nothing_Read").status_code == 404
