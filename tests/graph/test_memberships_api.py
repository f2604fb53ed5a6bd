"""Rules tried on devices, groups paused and resumed, groups of a device, and the history of both."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.support.admin import AdminWorld, Client
from tests.support.graph_bodies import GROUPS, a_group
from tests.support.samples import a_device, device_id

from shieldwall.contract.ids import GroupId
from shieldwall.server.directory import devices as directory_devices
from shieldwall.server.directory.groups import GroupDraft, update_group
from shieldwall.server.manager.sweeping import look, sweep

EVALUATE = "/beta/groups/evaluateDynamicMembership"
LINUX = 'device.deviceOSType -eq "Linux"'


@pytest.fixture
def two(world: AdminWorld) -> AdminWorld:
    """A world with two devices."""
    with world.writing() as connection:
        for number in (1, 2):
            world.manager.join(connection, number)
    return world


def made(graph: Client, *arguments: Any) -> str:
    answer = graph.post(GROUPS, json=a_group(*arguments))
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def names(graph: Client, group: str) -> list[str]:
    found = graph.get(f"{GROUPS}/{group}/transitiveMembers/microsoft.graph.device").json()["value"]
    return [each["displayName"] for each in found]


@pytest.mark.usefixtures("two")
def test_a_rule_is_tried_on_a_device_and_every_part_explained(graph: Client) -> None:
    rule = f'({LINUX}) and not (device.tags -any (_ -eq "web")) or device.isRooted -eq true'

    answer = graph.post(EVALUATE, json={"memberId": a_device(1).object_id, "membershipRule": rule})

    assert answer.status_code == 200
    result = answer.json()
    assert result["@odata.context"].endswith("/beta/$metadata#microsoft.graph.evaluateDynamicMembershipResult")
    assert (result["membershipRule"], result["membershipRuleEvaluationResult"]) == (rule, True)
    details = result["membershipRuleEvaluationDetails"]
    joined, rooted = details["expressionEvaluationDetails"]
    assert (details["expressionResult"], details["propertyToEvaluate"]) == (True, None)
    assert rooted == {
        "expression": "device.isRooted -eq true",
        "expressionResult": False,
        "expressionEvaluationDetails": [],
        "propertyToEvaluate": {"propertyName": "isRooted", "propertyValue": None},
    }
    system, negation = joined["expressionEvaluationDetails"]
    assert system["propertyToEvaluate"] == {"propertyName": "deviceOSType", "propertyValue": "Linux"}
    (tags,) = negation["expressionEvaluationDetails"]
    assert (tags["expressionResult"], negation["expressionResult"]) == (False, True)
    assert tags["propertyToEvaluate"] == {"propertyName": "deviceTag", "propertyValue": '["MDE-Management"]'}


@pytest.mark.usefixtures("two")
def test_a_group_is_asked_by_its_own_rule_or_by_another(graph: Client) -> None:
    group = made(graph, "Two", 'device.displayName -eq "device-2"')
    url = f"/beta/groups/{group}/evaluateDynamicMembership"

    def verdict(number: int, **more: str) -> bool:
        answer = graph.post(url, json={"memberId": device_id(number), **more})
        assert answer.status_code == 200, answer.text
        return bool(answer.json()["membershipRuleEvaluationResult"])

    assert (verdict(1), verdict(2)) == (False, True)
    assert verdict(1, membershipRule=LINUX)


def test_what_cannot_be_evaluated_is_refused(graph: Client, two: AdminWorld) -> None:
    assigned = made(graph)
    with two.writing() as connection:
        directory_devices.retire(connection, two.manager.acting, device_id(2))
    refused = [
        (EVALUATE, {"memberId": device_id(1)}, 400, "invalidRequest"),
        (EVALUATE, {"memberId": device_id(1), "membershipRule": "device.shoeSize -eq 1"}, 400, "invalidMembershipRule"),
        (EVALUATE, {"memberId": device_id(9), "membershipRule": LINUX}, 404, "notFound"),
        (EVALUATE, {"memberId": device_id(2), "membershipRule": LINUX}, 400, "deviceRetired"),
        (EVALUATE, {"memberId": device_id(1), "rule": LINUX}, 400, "invalidJson"),
        (f"/beta/groups/{assigned}/evaluateDynamicMembership", {"memberId": device_id(1)}, 400, "invalidRequest"),
        (f"/beta/groups/{device_id(1)}/evaluateDynamicMembership", {"memberId": device_id(1)}, 404, "notFound"),
    ]
    for url, body, status, code in refused:
        answer = graph.post(url, json=body)
        assert (answer.status_code, answer.json()["error"]["innerError"]["code"]) == (status, code), url


def test_an_error_in_a_rule_says_at_which_character(embedded_graph: Client) -> None:
    answer = embedded_graph.post(GROUPS, json=a_group("G", f'{LINUX} -and device.isRooted -startsWith "x"'))

    assert answer.status_code == 400
    assert answer.json()["error"]["innerError"]["position"] == len(LINUX) + len(" -and device.isRooted ")


@pytest.mark.usefixtures("two")
def test_a_rule_is_said_to_be_running_until_every_device_took_it_up(world: AdminWorld, graph: Client) -> None:
    group = made(graph, "Two", 'device.displayName -eq "device-2"')
    asking = made(graph, "Asking", f"device.memberOf -any (group.objectId -in ['{group}'])")
    status = "membershipRuleProcessingStatus"

    def said(of: str) -> object:
        return graph.get(f"{GROUPS}/{of}?$select={status}").json()[status]["status"]

    assert (said(group), said(asking)) == ("Succeeded", "Succeeded")
    with world.writing() as connection:
        few = replace(world.services.acting("Ada"), most_at_once=1)
        draft = GroupDraft(display_name="Two", mail_nickname="two", membership_rule=LINUX)
        update_group(connection, few, GroupId(group), draft)

    assert (said(group), said(asking)) == ("Running", "Running")
    assert names(graph, group) == ["device-2"]
    with world.writing() as connection:
        while (looked := look(connection, world.services.tenant.id, 1)) is not None:
            sweep(connection, few, looked, "test")
    assert (said(group), said(asking)) == ("Succeeded", "Succeeded")
    assert names(graph, group) == names(graph, asking) == ["device-1", "device-2"]
    assert graph.get(f"{GROUPS}/{made(graph, 'Assigned')}?$select={status}").json()[status] is None
    assert status not in graph.get(f"{GROUPS}/{group}").json()


@pytest.mark.usefixtures("two")
def test_processing_is_paused_and_resumed(graph: Client) -> None:
    group = made(graph, "Two", 'device.displayName -eq "device-2"')
    url = f"{GROUPS}/{group}"
    assert graph.patch(url, json={"membershipRuleProcessingState": "Paused"}).status_code == 204
    assert graph.get(url).json()["membershipRuleProcessingState"] == "Paused"

    assert graph.patch(url, json={"membershipRule": LINUX}).status_code == 204
    assert names(graph, group) == ["device-2"]
    assert graph.patch(url, json={"membershipRuleProcessingState": "On"}).status_code == 204
    assert names(graph, group) == ["device-1", "device-2"]

    assert graph.patch(url, json={"membershipRuleProcessingState": "Off"}).status_code == 400
    paused = graph.post(GROUPS, json=a_group("P", LINUX) | {"membershipRuleProcessingState": "Paused"}).json()
    assert names(graph, paused["id"]) == []
    assert graph.patch(f"{GROUPS}/{paused['id']}", json={"membershipRule": None}).status_code == 204
    changed = graph.get(f"{GROUPS}/{paused['id']}").json()
    assert (changed["groupTypes"], changed["membershipRuleProcessingState"]) == ([], None)


@pytest.mark.usefixtures("two")
def test_groups_of_a_device_and_the_history_of_both(graph: Client) -> None:
    chosen, linux = made(graph, "Chosen"), made(graph, "Linux", LINUX)
    reference = {"@odata.id": f"https://x/devices/{device_id(1)}"}
    assert graph.post(f"{GROUPS}/{chosen}/members/$ref", json=reference).status_code == 204

    for path in (f"/v1.0/devices/{a_device(1).object_id}/memberOf", f"/beta/devices/{device_id(1)}/transitiveMemberOf"):
        found = graph.get(path).json()["value"]
        assert {each["id"] for each in found} == {chosen, linux}
        assert {each["@odata.type"] for each in found} == {"#microsoft.graph.group"}

    assert graph.delete(f"{GROUPS}/{chosen}/members/{device_id(1)}/$ref").status_code == 204
    history = graph.get(f"/beta/devices/{device_id(1)}/membershipHistory").json()["value"]
    assert sorted((each["groupDisplayName"], each["activity"], each["cause"]) for each in history) == [
        ("Chosen", "joined", "added"),
        ("Chosen", "left", "removed"),
        ("Linux", "joined", "ruleChanged"),
    ]
    page = graph.get(f"/beta/groups/{linux}/membershipHistory", params={"$top": 1}).json()
    rest = graph.get(page["@odata.nextLink"]).json()["value"]
    assert {each["deviceDisplayName"] for each in page["value"] + rest} == {"device-1", "device-2"}
    assert {each["initiatedBy"] for each in rest} == {history[0]["initiatedBy"]} != {""}


@pytest.mark.usefixtures("two")
def test_a_group_that_a_rule_asks_for_is_not_deleted(graph: Client) -> None:
    chosen = made(graph, "Chosen")
    asking = made(graph, "Asking", f"device.memberOf -any (group.objectId -in ['{chosen}'])")
    reference = {"@odata.id": f"https://x/devices/{device_id(2)}"}
    assert graph.post(f"{GROUPS}/{chosen}/members/$ref", json=reference).status_code == 204

    assert names(graph, asking) == ["device-2"]
    assert graph.delete(f"{GROUPS}/{chosen}").status_code == 409
    nested = a_group("Nested", f"device.memberOf -any (group.objectId -in ['{asking}'])")
    refused = graph.post(GROUPS, json=nested)
    assert (refused.status_code, refused.json()["error"]["innerError"]["code"]) == (400, "invalidGroup")
