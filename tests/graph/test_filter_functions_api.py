"""What may be asked about assignment filters: their vocabulary, whether a rule can be read, whom it names."""

from __future__ import annotations

import pytest
from tests.support.admin import AdminWorld, Client
from tests.support.graph_bodies import FILTERS, POLICIES, TO_ALL_DEVICES, a_filter, a_policy, narrowed

EVALUATE = "/beta/deviceManagement/evaluateAssignmentFilter"
RULE = '(device.displayName -startsWith "device-")'


def test_filters_are_in_use_and_say_what_a_rule_can_speak_of(graph: Client) -> None:
    assert graph.get(f"{FILTERS}/getState").json() == {"enabled": True}
    listed = graph.get(f"{FILTERS}/getPlatformSupportedProperties(platform='linux')").json()["value"]
    made = graph.post(FILTERS, json=a_filter()).json()["id"]

    assert graph.get(f"{FILTERS}/{made}/getSupportedProperties").json()["value"] == listed
    by_name = {each["name"]: each for each in listed}
    assert "memberOf" not in by_name
    assert by_name["displayName"]["supportedOperators"][0] == "equals"
    assert by_name["isRooted"]["dataType"] == "Boolean"
    assert by_name["deviceTag"]["isCollection"] is True
    assert graph.get(f"{FILTERS}/getPlatformSupportedProperties(platform='amiga')").status_code == 404


@pytest.mark.parametrize(
    ("platform", "rule", "is_valid"),
    [("linux", RULE, True), ("linux", "(device.surprise -eq 1", False), ("amiga", RULE, False)],
)
def test_a_rule_is_looked_at_without_being_kept(graph: Client, platform: str, rule: str, is_valid: bool) -> None:
    body = {"deviceAndAppManagementAssignmentFilter": a_filter(rule=rule) | {"platform": platform}}
    assert graph.post(f"{FILTERS}/validateFilter", json=body).json() == {"isValidRule": is_valid}
    assert graph.get(FILTERS).json()["value"] == []


def test_a_rule_says_whom_it_names(graph: Client, world: AdminWorld) -> None:
    with world.writing() as connection:
        for number in range(1, 4):
            world.manager.join(connection, number)
        world.manager.join(connection, 4, display_name="other")
        world.manager.join(connection, 5, os_type="macOS")
        world.manager.join(connection, 6, enrollment_code=3)
    data = {"platform": "linux", "rule": RULE, "orderBy": ["DeviceName desc"], "top": 2, "skip": "0"}
    table = graph.post(EVALUATE, json={"data": data}).json()
    place = [column["Column"] for column in table["Schema"]].index("DeviceName")

    assert table["TotalRowCount"] == 3
    assert [row[place] for row in table["Values"]] == ["device-3", "device-2"]
    assert graph.post(EVALUATE, json={"data": {"platform": "linux", "rule": "(("}}).status_code == 400
    assert graph.post(EVALUATE, json={"platform": "linux"}).status_code == 400


def test_payloads_are_the_policies_that_a_filter_narrows(graph: Client) -> None:
    made = graph.post(FILTERS, json=a_filter()).json()["id"]
    policy = graph.post(POLICIES, json=a_policy()).json()["id"]
    graph.post(f"{POLICIES}/{policy}/assign", json={"assignments": [narrowed(TO_ALL_DEVICES, made, "exclude")]})
    (payload,) = graph.get(f"{FILTERS}/{made}/payloads").json()["value"]

    assert (payload["payloadId"], payload["assignmentFilterType"], payload["groupId"]) == (policy, "exclude", None)
