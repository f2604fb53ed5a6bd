"""What a change would do, said before it is made: and then it does just that."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.admin import AdminWorld, Client
from tests.support.graph_bodies import (
    CONFLICT_RULES,
    FILTERS,
    GROUPS,
    POLICIES,
    TO_ALL_DEVICES,
    a_filter,
    a_group,
    a_policy,
    chosen,
    narrowed,
    retention,
    to_group,
)
from tests.support.policies import LEVEL, RETENTION
from tests.support.samples import counted_id, device_id

_TEMPLATE = "e6a8cdaa-b2e2-4c5a-9684-bf49cc7e8370_1"
ABSENT = counted_id("c", 1)
MEMBERS = {
    "devices",
    "devicesTargeted",
    "devicesChanged",
    "changes",
    "protectionLowered",
    "connectivityRisk",
    "conflictsMade",
    "conflictsSolved",
    "notApplicable",
    "restart",
    "irreversible",
}


@pytest.fixture
def fleet(world: AdminWorld) -> None:
    """Three devices with a catalog that knows everything."""
    with world.writing() as connection:
        for number in (1, 2, 3):
            world.manager.join(connection, number, catalog_version=world.services.catalog.version)


def preview(graph: Client, path: str, body: Any) -> dict[str, Any]:
    answer = graph.post(f"{path}/preview", json=body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    assert set(found) == MEMBERS
    return found


def assigned(graph: Client, body: dict[str, Any], *assignments: dict[str, Any]) -> str:
    policy = graph.post(POLICIES, json=body)
    assert policy.status_code == 201, policy.text
    path = f"{POLICIES}/{policy.json()['id']}"
    answer = graph.post(f"{path}/assign", json={"assignments": assignments or [TO_ALL_DEVICES]})
    assert answer.status_code == 200, answer.text
    return path


def told(changes: list[dict[str, Any]]) -> list[tuple[str, str | None, str | None, str, int]]:
    return [
        (each["settingDefinitionId"], each["before"], each["after"], each["class"], each["devices"]) for each in changes
    ]


@pytest.mark.usefixtures("fleet")
def test_a_change_of_a_policy_is_told_in_words_with_its_class_and_examples(graph: Client) -> None:
    path = assigned(graph, a_policy(option="0"))
    before = graph.get(path, params={"$expand": "settings,assignments"}).json()

    found = preview(graph, path, {"settings": a_policy(option="2")["settings"]})

    assert told(found["changes"]) == [(LEVEL, "Realtime", "Passive", "weaken", 3)]
    assert found["protectionLowered"] == found["changes"]
    assert found["changes"][0]["examples"] == ["device-1", "device-2", "device-3"]
    assert (found["devices"], found["devicesTargeted"], found["devicesChanged"]) == (3, 3, 3)
    assert graph.get(path, params={"$expand": "settings,assignments"}).json() == before


@pytest.mark.usefixtures("fleet")
def test_what_a_device_does_not_take_back_before_a_restart_is_told(graph: Client) -> None:
    rules = "linux_shieldwall_attacksurfacereductionrules"
    lockdown = f"{rules}_enforcekernellockdown"

    def of_rule(option: str) -> list[dict[str, Any]]:
        group = {
            "@odata.type": "#microsoft.graph.deviceManagementConfigurationGroupSettingCollectionInstance",
            "settingDefinitionId": rules,
            "groupSettingCollectionValue": [
                {"children": [chosen(lockdown, f"{lockdown}_{option}")["settingInstance"]]}
            ],
        }
        return [{"settingInstance": group}]

    body = a_policy(
        templateReference={"templateId": _TEMPLATE}, settings=of_rule("block"), assignments=[TO_ALL_DEVICES]
    )

    found = preview(graph, POLICIES, body)

    (told_of,) = found["irreversible"]
    assert (told_of["settingDefinitionId"], told_of["devices"]) == (lockdown, 3)
    assert [each["settingDefinitionId"] for each in found["restart"]] == [lockdown]
    off = preview(graph, POLICIES, body | {"settings": of_rule("off")})
    assert off["irreversible"] == []


@pytest.mark.usefixtures("fleet")
def test_assignments_and_deletion_are_previewed_too(graph: Client) -> None:
    path = assigned(graph, a_policy(option="0"))

    nobody = preview(graph, path, {"assignments": []})
    deleted = preview(graph, path, {"delete": True})
    nothing = preview(graph, path, {})

    assert told(nobody["changes"]) == told(deleted["changes"])
    assert [each["after"] for each in nobody["changes"]] == [None]
    assert deleted["devicesTargeted"] == 3
    assert nothing["changes"] == []
    assert graph.get(path).status_code == 200


@pytest.mark.usefixtures("fleet")
def test_a_new_policy_and_the_conflict_it_would_make_are_told(graph: Client) -> None:
    graph.put(CONFLICT_RULES, json={"antivirus": "nothing"})
    present = assigned(graph, a_policy("Strict", option="0"))
    new = a_policy("Loose", option="2")

    alone = preview(graph, POLICIES, new)
    found = preview(graph, POLICIES, new | {"assignments": [TO_ALL_DEVICES]})

    assert alone["devicesTargeted"] == 0
    (clash,) = found["conflictsMade"]
    assert (clash["settingDefinitionId"], clash["devices"]) == (LEVEL, 3)
    assert sorted(policy["name"] for policy in clash["policies"]) == ["Loose", "Strict"]
    assert present.endswith(next(policy["id"] for policy in clash["policies"] if policy["name"] == "Strict"))
    assert len(graph.get(POLICIES).json()["value"]) == 1


@pytest.mark.usefixtures("fleet")
def test_a_change_set_is_previewed_as_a_whole(graph: Client) -> None:
    path = assigned(graph, a_policy("Old", option="0"))
    policy = path.rpartition("/")[2]
    body = {
        "expectedDeletes": 1,
        "changes": [
            {"kind": "create", "policy": a_policy("New", option="0"), "assignments": [TO_ALL_DEVICES]},
            {"kind": "delete", "id": policy},
        ],
    }

    found = preview(graph, f"{POLICIES}/changeSet", body)

    assert (found["devicesTargeted"], found["devicesChanged"], found["changes"]) == (3, 0, [])
    assert graph.post(f"{POLICIES}/changeSet/preview", json=body | {"expectedDeletes": 0}).status_code == 400


@pytest.mark.usefixtures("fleet")
def test_a_group_is_previewed_with_another_rule_or_other_members(graph: Client) -> None:
    ruled = graph.post(GROUPS, json=a_group("Ruled", '(device.displayName -eq "device-1")')).json()["id"]
    chosen = graph.post(GROUPS, json=a_group("Chosen")).json()["id"]
    assigned(graph, a_policy(settings=[retention(7)]), to_group(ruled), to_group(chosen))

    wider = preview(graph, f"{GROUPS}/{ruled}", {"membershipRule": '(device.displayName -startsWith "device")'})
    more = preview(graph, f"{GROUPS}/{chosen}", {"addMembers": [device_id(2)], "removeMembers": [device_id(1)]})

    assert [(each["settingDefinitionId"], each["devices"]) for each in wider["changes"]] == [(RETENTION, 2)]
    assert [each["examples"] for each in more["changes"]] == [["device-2"]]
    assert graph.get(f"{GROUPS}/{chosen}/members").json()["value"] == []


def test_a_group_that_a_policy_is_assigned_to_is_not_deleted_in_a_preview_either(graph: Client) -> None:
    group = graph.post(GROUPS, json=a_group()).json()["id"]
    path = f"{GROUPS}/{group}"
    assert preview(graph, path, {"delete": True})["changes"] == []
    assigned(graph, a_policy(), to_group(group))

    assert graph.post(f"{path}/preview", json={"delete": True}).status_code == 409


@pytest.mark.usefixtures("fleet")
def test_a_filter_is_previewed_with_another_rule(graph: Client) -> None:
    made = graph.post(FILTERS, json=a_filter(rule='(device.displayName -eq "device-1")')).json()["id"]
    assigned(graph, a_policy(), narrowed(TO_ALL_DEVICES, made))

    found = preview(graph, f"{FILTERS}/{made}", {"rule": '(device.deviceName -eq "device-2")'})

    assert sorted((each["examples"], each["after"]) for each in found["changes"]) == [
        (["device-1"], None),
        (["device-2"], "Realtime"),
    ]


@pytest.mark.usefixtures("fleet")
def test_conflict_rules_are_previewed(graph: Client) -> None:
    assigned(graph, a_policy("Strict", option="0"))
    assigned(graph, a_policy("Loose", option="2"))

    found = preview(graph, CONFLICT_RULES, {"antivirus": "nothing"})

    assert told(found["changes"]) == [(LEVEL, "Realtime", "conflict", "weaken", 3)]
    assert [each["devices"] for each in found["conflictsMade"]] == [3]
    assert set(graph.get(CONFLICT_RULES).json().values()) == {"published"}


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        (POLICIES, {}, 400),
        (POLICIES, a_policy(surprise=1), 400),
        (POLICIES, a_policy(option="seldom"), 400),
        (POLICIES, a_policy(assignments=[to_group(ABSENT)]), 400),
        (f"{POLICIES}/{ABSENT}", {"name": "x"}, 404),
        (f"{GROUPS}/{ABSENT}", {"delete": True}, 404),
        (f"{FILTERS}/{ABSENT}", {"rule": '(device.displayName -eq "x")'}, 404),
        (f"{FILTERS}/{ABSENT}", {}, 400),
    ],
    ids=lambda value: str(value)[-40:],
)
def test_what_cannot_be_done_has_no_preview(embedded_graph: Client, path: str, body: Any, status: int) -> None:
    assert embedded_graph.post(f"{path}/preview", json=body).status_code == status


@pytest.mark.parametrize(
    "body",
    [
        {"delete": False},
        {"delete": True, "name": "x"},
        {"delete": "yes"},
        {"name": ""},
        {"surprise": 1},
        {"assignments": 7},
    ],
    ids=str,
)
def test_a_change_of_a_policy_that_cannot_be_has_no_preview(embedded_graph: Client, body: dict[str, Any]) -> None:
    policy = embedded_graph.post(POLICIES, json=a_policy()).json()["id"]

    assert embedded_graph.post(f"{POLICIES}/{policy}/preview", json=body).status_code == 400


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"delete": True, "addMembers": [device_id(1)]},
        {"membershipRule": "nonsense"},
        {"membershipRule": '(device.displayName -eq "x")', "delete": True},
        {"addMembers": ["x"]},
        {"addMembers": [7]},
        {"surprise": 1},
    ],
    ids=str,
)
def test_a_change_of_a_group_that_cannot_be_has_no_preview(embedded_graph: Client, body: dict[str, Any]) -> None:
    group = embedded_graph.post(GROUPS, json=a_group()).json()["id"]

    assert embedded_graph.post(f"{GROUPS}/{group}/preview", json=body).status_code == 400


def test_members_of_a_dynamic_group_are_not_chosen_in_a_preview_either(embedded_graph: Client) -> None:
    group = embedded_graph.post(GROUPS, json=a_group("Ruled", '(device.displayName -eq "x")')).json()["id"]

    answer = embedded_graph.post(f"{GROUPS}/{group}/preview", json={"addMembers": [ABSENT]})

    assert answer.status_code == 400
    assert answer.json()["error"]["innerError"]["code"] == "dynamicGroup"
