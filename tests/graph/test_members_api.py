"""Members of groups by reference, membership asked about, and objects of the directory by id."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.admin import PUBLIC_URL, AdminWorld, Client
from tests.support.graph_bodies import GROUPS, a_group
from tests.support.samples import a_device, counted_id

NOTHING = counted_id("c", 1)
OBJECTS = "/v1.0/directoryObjects"


def join(world: AdminWorld, *numbers: int) -> list[str]:
    with world.writing() as connection:
        return [a_device(number).object_id for number in numbers if world.manager.join(connection, number)]


def reference(object_id: str) -> str:
    return f"{PUBLIC_URL}/v1.0/directoryObjects/{object_id}"


def members(client: Client, group: str) -> list[str]:
    return [each["id"] for each in client.get(f"{GROUPS}/{group}/members").json()["value"]]


def refused(answer: Any, status: int, code: str) -> bool:
    return (answer.status_code, answer.json()["error"]["innerError"]["code"]) == (status, code)


def test_several_members_come_with_a_group_or_later_all_or_none(graph: Client, world: AdminWorld) -> None:
    first, second, third = join(world, 1, 2, 3)
    made = graph.post(GROUPS, json=a_group() | {"members@odata.bind": [reference(first), reference(first)]})
    assert made.status_code == 201, made.text
    group = made.json()["id"]
    assert members(graph, group) == [first]

    path = f"{GROUPS}/{group}"
    added = graph.patch(path, json={"members@odata.bind": [reference(second), reference(third)], "description": "more"})
    assert added.status_code == 204, added.text
    assert sorted(members(graph, group)) == sorted([first, second, third])
    assert graph.get(path).json()["description"] == "more"

    graph.delete(f"{path}/members/{third}/$ref")
    again = graph.patch(path, json={"members@odata.bind": [reference(third), reference(first)], "description": "x"})
    assert refused(again, 400, "alreadyMember")
    assert sorted(members(graph, group)) == sorted([first, second])
    assert graph.get(path).json()["description"] == "more", "nothing of a refused change is made"


def test_a_member_that_is_there_already_is_refused(graph: Client, world: AdminWorld) -> None:
    (device,) = join(world, 1)
    group = graph.post(GROUPS, json=a_group()).json()["id"]
    body = {"@odata.id": reference(device)}
    assert graph.post(f"{GROUPS}/{group}/members/$ref", json=body).status_code == 204
    assert refused(graph.post(f"{GROUPS}/{group}/members/$ref", json=body), 400, "alreadyMember")


def test_what_cannot_be_bound_is_refused_and_no_group_is_made(graph: Client, world: AdminWorld) -> None:
    (device,) = join(world, 1)
    dynamic = a_group("D", "(device.displayName -ne null)") | {"members@odata.bind": [reference(device)]}
    wrong: list[tuple[Any, int]] = [
        (dynamic, 400),
        (a_group() | {"members@odata.bind": [reference(counted_id("c", number)) for number in range(21)]}, 400),
        (a_group() | {"members@odata.bind": [reference(NOTHING)]}, 404),
        (a_group() | {"members@odata.bind": "x"}, 400),
        (a_group() | {"members@odata.bind": [7]}, 400),
        (a_group() | {"members@odata.bind": ["https://x/users/1"]}, 400),
        (a_group() | {"owners@odata.bind": [reference(device)]}, 400),
    ]
    for body, status in wrong:
        assert graph.post(GROUPS, json=body).status_code == status, body
    assert graph.get(GROUPS).json()["value"] == []


def test_members_are_listed_as_references_and_by_their_kind(graph: Client, world: AdminWorld) -> None:
    first, second = join(world, 1, 2)
    body = a_group() | {"members@odata.bind": [reference(first), reference(second)]}
    path = f"{GROUPS}/{graph.post(GROUPS, json=body).json()['id']}"

    assert graph.get(f"{path}/members/$ref").json()["value"] == [
        {"@odata.id": reference(first)},
        {"@odata.id": reference(second)},
    ]
    for kind in (
        "members",
        "transitiveMembers",
        "members/microsoft.graph.device",
        "transitiveMembers/microsoft.graph.device",
    ):
        assert len(graph.get(f"{path}/{kind}").json()["value"]) == 2, kind
    for kind in ("user", "group", "servicePrincipal"):
        assert graph.get(f"{path}/members/microsoft.graph.{kind}").json()["value"] == []
    assert graph.get(f"{path}/memberOf").json()["value"] == []


def test_a_device_is_asked_for_its_groups(graph: Client, world: AdminWorld) -> None:
    first, second = join(world, 1, 2)
    groups = [graph.post(GROUPS, json=a_group(f"G{number}")).json()["id"] for number in range(3)]
    for group in groups[:2]:
        graph.post(f"{GROUPS}/{group}/members/$ref", json={"@odata.id": reference(first)})
    path = f"/v1.0/devices/{first}"

    for action in ("getMemberGroups", "getMemberObjects"):
        assert graph.post(f"{path}/{action}", json={"securityEnabledOnly": True}).json()["value"] == sorted(groups[:2])
    asked = groups[1:]
    assert graph.post(f"{path}/checkMemberGroups", json={"groupIds": asked}).json()["value"] == [groups[1]]
    assert graph.post(f"{path}/microsoft.graph.checkMemberObjects", json={"ids": asked}).json()["value"] == [groups[1]]
    assert graph.post(f"/v1.0/devices/{second}/getMemberGroups", json={}).json()["value"] == []
    wrong: list[dict[str, Any]] = [{"groupIds": []}, {"groupIds": groups * 7}, {"groupIds": ["x"]}, {}]
    for body in wrong:
        assert graph.post(f"{path}/checkMemberGroups", json=body).status_code == 400


def test_an_object_is_found_by_its_id_alone(graph: Client, world: AdminWorld) -> None:
    (device,) = join(world, 1)
    group = graph.post(GROUPS, json=a_group()).json()["id"]

    assert graph.get(f"{OBJECTS}/{device}").json()["@odata.type"] == "#microsoft.graph.device"
    assert graph.get(f"{OBJECTS}('{group}')").json()["@odata.type"] == "#microsoft.graph.group"
    assert graph.get(f"{OBJECTS}/{NOTHING}").status_code == 404
    ids = [group, NOTHING, device, group]
    found = graph.post(f"{OBJECTS}/getByIds", json={"ids": ids}).json()["value"]
    assert [each["id"] for each in found] == [group, device]
    for types, expected in ((["device"], [device]), (["user"], []), (["directoryObject"], [group, device])):
        answer = graph.post(f"{OBJECTS}/microsoft.graph.getByIds", json={"ids": ids, "types": types})
        assert [each["id"] for each in answer.json()["value"]] == expected
    assert graph.post(f"{OBJECTS}/getByIds", json={"ids": [NOTHING] * 1_001}).status_code == 400


@pytest.mark.parametrize("path", ["checkMemberGroups", "getMemberGroups"])
def test_of_a_device_that_is_not_there_nothing_is_said(embedded_graph: Client, path: str) -> None:
    body = {"groupIds": [NOTHING]} if path == "checkMemberGroups" else {}
    assert embedded_graph.post(f"/v1.0/devices/{NOTHING}/{path}", json=body).status_code == 404
