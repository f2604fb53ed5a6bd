"""Settings that several policies refer to: addresses of firewall rules under one name."""

from __future__ import annotations

from typing import Any

import pytest
from tests.manager.test_references import address_group, refer
from tests.support.admin import AdminWorld, Client
from tests.support.graph_bodies import POLICIES, a_policy
from tests.support.policies import FIREWALL_RULES, RULES, choice, firewall_rule, items, texts
from tests.support.samples import counted_id

from shieldwall.contract.settings import SettingInstance, SimpleCollectionSetting, SimpleValue
from shieldwall.server.graph.setting_writing import write_instance

PATH = "/beta/deviceManagement/reusablePolicySettings"
ABSENT = counted_id("c", 1)


def offices(*addresses: str, **changes: Any) -> dict[str, Any]:
    instance = write_instance(address_group(*(addresses or ("192.0.2.0/24",))))
    return {"displayName": "Offices", "settingInstance": instance} | changes


def create(graph: Client, *addresses: str, **changes: Any) -> Any:
    answer = graph.post(PATH, json=offices(*addresses, **changes))
    assert answer.status_code == 201, answer.text
    return answer.json()


def rules(*instances: SettingInstance) -> dict[str, Any]:
    setting = items(RULES, firewall_rule("ssh", "allow", *instances))
    return a_policy(
        "Rules",
        templateReference={"templateId": FIREWALL_RULES},
        settings=[{"id": "0", "settingInstance": write_instance(setting)}],
    )


def referring(*named: str) -> dict[str, Any]:
    return rules(refer(f"{RULES}_item_remoteaddressgroups", *named))


def test_a_reusable_setting_is_made_read_listed_changed_and_deleted(graph: Client, world: AdminWorld) -> None:
    made = create(graph, description="Ours")
    assert made["settingDefinitionId"] == made["settingInstance"]["settingDefinitionId"]
    assert (made["version"], made["referencingConfigurationPolicyCount"]) == (1, 0)
    path = f"{PATH}/{made['id']}"
    assert graph.get(path).json() == made
    assert graph.get(PATH).json()["value"] == [made]
    again = graph.post(PATH, json=made).json()
    assert again | {"id": made["id"]} == made, "what was read can be sent again"

    world.clock.advance(seconds=60)
    changed = graph.patch(path, json={"displayName": "All offices"}).json()
    assert (changed["displayName"], changed["version"]) == ("All offices", 2)
    assert changed["settingInstance"] == made["settingInstance"]
    assert changed["lastModifiedDateTime"] == "2026-11-23T12:01:00.0000000Z"

    assert graph.delete(path).status_code == 204
    assert graph.get(path).status_code == 404


def test_policies_refer_to_it_and_follow_its_changes(graph: Client) -> None:
    made = create(graph)["id"]
    body = referring(made)
    policy = graph.post(POLICIES, json=body)
    assert policy.status_code == 201, policy.text
    path = f"{POLICIES}/{policy.json()['id']}"
    assert policy.json()["settings"] == body["settings"], "the author sees the reference"
    assert graph.get(f"{PATH}/{made}").json()["referencingConfigurationPolicyCount"] == 1

    instance = offices("192.0.2.0/24", "198.51.100.0/24")["settingInstance"]
    answer = graph.patch(f"{PATH}/{made}", json={"settingInstance": instance}, headers={"x-shieldwall-reason": "Move"})

    assert answer.status_code == 200, answer.text
    newest, _ = graph.get(f"{path}/revisions").json()["value"]
    assert newest["revision"] == 2
    assert "Offices" in newest["reason"]
    assert "Move" in newest["reason"]
    (change,) = graph.get(f"{path}/revisions/2/changes").json()["value"]
    assert "198.51.100.0/24" in change["after"]
    assert "198.51.100.0/24" not in change["before"]
    (listed,) = graph.get(f"{PATH}/{made}/referencingConfigurationPolicies").json()["value"]
    assert path.endswith(listed["id"])
    refused = graph.delete(f"{PATH}/{made}")
    assert (refused.status_code, refused.json()["error"]["innerError"]["code"]) == (409, "stillReferenced")


def test_the_note_of_a_reference_comes_back(graph: Client) -> None:
    made = create(graph)["id"]
    definition = refer(f"{RULES}_item_remoteaddressgroups", made).definition
    noted = SimpleValue(kind="reference", value=made, note="The offices")
    body = rules(SimpleCollectionSetting(definition=definition, values=(noted,)))

    answer = graph.post(POLICIES, json=body)

    assert answer.status_code == 201, answer.text
    assert answer.json()["settings"] == body["settings"]


def test_an_item_that_refers_to_what_is_elsewhere_is_left_out_of_an_import(graph: Client) -> None:
    found = graph.post(f"{POLICIES}/import", json=referring(ABSENT)).json()

    assert "unknownReference" in {each["code"] for each in found["leftOut"]}
    assert found["policy"]["settings"] == []
    assert graph.post(POLICIES, json=referring(ABSENT)).status_code == 400


@pytest.mark.parametrize(
    "changes",
    [
        {"displayName": ""},
        {"displayName": None},
        {"displayName": 7},
        {"description": "x" * 1_025},
        {"settingInstance": None},
        {"settingInstance": {}},
        {"settingInstance": a_policy()["settings"][0]["settingInstance"]},
        {"settingDefinitionId": "another"},
        {"surprise": 1},
    ],
    ids=lambda changes: str(changes)[:50],
)
def test_a_reusable_setting_that_cannot_be_is_refused(embedded_graph: Client, changes: dict[str, Any]) -> None:
    assert embedded_graph.post(PATH, json=offices(**changes)).status_code == 400
    made = create(embedded_graph)
    if changes != {"displayName": None}:
        assert embedded_graph.patch(f"{PATH}/{made['id']}", json=changes).status_code == 400
    assert embedded_graph.get(f"{PATH}/{made['id']}").json() == made


def test_what_is_not_there_is_not_found(embedded_graph: Client) -> None:
    assert embedded_graph.get(f"{PATH}/{ABSENT}").status_code == 404
    assert embedded_graph.get(f"{PATH}/{ABSENT}/referencingConfigurationPolicies").status_code == 404
    assert embedded_graph.patch(f"{PATH}/{ABSENT}", json=offices()).status_code == 404
    assert embedded_graph.delete(f"{PATH}/{ABSENT}").status_code == 404


def test_a_rule_that_would_cut_devices_off_from_this_server_is_refused(embedded_graph: Client) -> None:
    port = texts(f"{RULES}_item_remoteports", "8444")
    outbound = choice(f"{RULES}_item_direction", "_out")
    rule = firewall_rule("gateway", "block", outbound, choice(f"{RULES}_item_protocol", "_tcp"), port)
    body = a_policy(
        templateReference={"templateId": FIREWALL_RULES},
        settings=[{"settingInstance": write_instance(items(RULES, rule))}],
    )
    change_set = {"changes": [{"kind": "create", "policy": body}]}

    for path, sent in ((POLICIES, body), (f"{POLICIES}/validate", body), (f"{POLICIES}/changeSet", change_set)):
        answer = embedded_graph.post(path, json=sent)
        assert answer.status_code == 400
        assert [each["code"] for each in answer.json()["error"]["details"]] == ["blocksServer"]
    found = embedded_graph.post(f"{POLICIES}/import", json=body).json()
    assert [each["code"] for each in found["leftOut"]] == ["blocksServer"]
