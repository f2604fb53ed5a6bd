"""Groups, devices, packages, the catalog and the organization."""

from __future__ import annotations

from contextlib import closing

import pytest
from tests.support.admin import PUBLIC_URL, AdminWorld, Client
from tests.support.graph_bodies import (
    CONFLICT_RULES,
    GROUPS,
    MANAGED_DEVICES,
    PACKAGES,
    POLICIES,
    TO_ALL_DEVICES,
    a_group,
    a_policy,
    to_group,
)
from tests.support.people import a_person, token_client
from tests.support.samples import TENANT_ID, a_device, counted_id, device_id

from shieldwall.contract import strict_json
from shieldwall.server.storage.check_ins import check_ins
from shieldwall.server.storage.events import audit
from shieldwall.server.storage.records import Page
from shieldwall.trust.onboarding import open_package

TEMPLATES = "/beta/deviceManagement/configurationPolicyTemplates"
DEFINITIONS = "/beta/deviceManagement/configurationSettings"


def test_members_of_an_assigned_group_come_and_go_by_object_id(graph: Client, world: AdminWorld) -> None:
    with world.writing() as connection:
        world.manager.join(connection, 1)
    device = a_device(1)
    group = graph.post(GROUPS, json=a_group()).json()
    members = f"{GROUPS}/{group['id']}/members"
    references = [
        f"https://graph.microsoft.com/v1.0/directoryObjects/{device.object_id}",
        f"{PUBLIC_URL}/v1.0/devices('{device.object_id}')",
        f"https://x/devices/{device.id}",
    ]

    for reference in references:
        assert graph.post(f"{members}/$ref", json={"@odata.id": reference}).status_code == 204
        if reference != references[-1]:
            assert graph.delete(f"{members}/{device.object_id}/$ref").status_code == 204
    (listed,) = graph.get(members).json()["value"]
    assert listed["@odata.type"] == "#microsoft.graph.device"
    assert (listed["id"], listed["deviceId"]) == (device.object_id, device.id)

    assert graph.delete(f"{members}/{device.object_id}/$ref").status_code == 204
    assert graph.get(members).json()["value"] == []
    assert graph.delete(f"{members}/{device.object_id}/$ref").status_code == 404


@pytest.mark.parametrize("reference", [None, 7, "", "https://x/users/1", f"https://x/devices/{device_id(9)}/owner"])
def test_a_reference_to_nothing_is_refused(embedded_graph: Client, reference: object) -> None:
    group = embedded_graph.post(GROUPS, json=a_group()).json()["id"]

    answer = embedded_graph.post(f"{GROUPS}/{group}/members/$ref", json={"@odata.id": reference})

    assert answer.status_code == 400


def test_a_dynamic_group_fills_itself_and_takes_no_members(graph: Client, world: AdminWorld) -> None:
    with world.writing() as connection:
        for number in (1, 2, 3):
            world.manager.join(connection, number)
    group = graph.post(GROUPS, json=a_group("Two", '(device.displayName -eq "device-2")')).json()
    assert (group["groupTypes"], group["membershipRuleProcessingState"]) == (["DynamicMembership"], "On")
    members = f"{GROUPS}/{group['id']}/members"
    assert [each["displayName"] for each in graph.get(members).json()["value"]] == ["device-2"]

    refused = graph.post(f"{members}/$ref", json={"@odata.id": f"https://x/devices/{device_id(1)}"})
    assert (refused.status_code, refused.json()["error"]["innerError"]["code"]) == (400, "dynamicGroup")

    rule = {"membershipRule": '(device.displayName -startsWith "device")'}
    assert graph.patch(f"{GROUPS}/{group['id']}", json=rule).status_code == 204
    page = graph.get(members, params={"$top": 2}).json()
    assert len(page["value"] + graph.get(page["@odata.nextLink"]).json()["value"]) == 3


def test_a_group_is_changed_and_deleted_unless_a_policy_needs_it(graph: Client) -> None:
    group = graph.post(GROUPS, json=a_group()).json()
    path = f"{GROUPS}/{group['id']}"
    assert graph.get(path).json() == group
    assert graph.patch(path, json={"displayName": "Renamed"}).status_code == 204
    assert graph.get(path).json() == group | {"displayName": "Renamed"}
    assert graph.get(GROUPS, params={"$select": "displayName"}).json()["value"] == [
        {"id": group["id"], "displayName": "Renamed"}
    ]

    policy = graph.post(POLICIES, json=a_policy()).json()["id"]
    target = {"@odata.type": "#microsoft.graph.groupAssignmentTarget", "groupId": group["id"]}
    graph.post(f"{POLICIES}/{policy}/assign", json={"assignments": [{"target": target}]})
    assert graph.delete(path).status_code == 409
    graph.post(f"{POLICIES}/{policy}/assign", json={"assignments": []})
    assert graph.delete(path).status_code == 204
    assert graph.get(path).status_code == 404


@pytest.mark.parametrize(
    "changes",
    [
        {"displayName": ""},
        {"displayName": "x" * 257},
        {"displayName": "a\u0007"},
        {"mailNickname": "a b"},
        {"mailEnabled": True},
        {"securityEnabled": False},
        {"groupTypes": ["Unified"]},
        {"groupTypes": "DynamicMembership"},
        {"membershipRule": "(device.displayName -eq"},
        {"membershipRule": '(device.displayName -eq "x")'},
        {"membershipRuleProcessingState": "Paused"},
        {"isAssignableToRole": True},
    ],
    ids=lambda changes: str(changes)[:40],
)
def test_a_group_that_cannot_be_is_refused(embedded_graph: Client, changes: dict[str, object]) -> None:
    assert embedded_graph.post(GROUPS, json=a_group() | changes).status_code == 400


def test_devices_are_seen_by_the_directory_and_by_the_manager(graph: Client, world: AdminWorld) -> None:
    with world.writing() as connection:
        for number in (1, 2, 3):
            world.manager.join(connection, number)
    device = a_device(1)

    by_object, by_device = (graph.get(f"/v1.0/devices/{key}").json() for key in (device.object_id, device.id))
    assert by_object == by_device
    assert (by_object["id"], by_object["deviceId"], by_object["trustType"]) == (device.object_id, device.id, None)
    assert by_object["managementType"] == "MicrosoftSense"

    managed = graph.get(f"{MANAGED_DEVICES}/{device.id}").json()
    assert (managed["managementAgent"], managed["azureADDeviceId"]) == ("msSense", device.id)
    assert managed["shieldwall"]["managedBy"] == "MDE"
    for listing in ("/v1.0/devices", MANAGED_DEVICES):
        page = graph.get(listing, params={"$top": 2}).json()
        rest = graph.get(page["@odata.nextLink"]).json()
        assert (len(page["value"]), len(rest["value"]), "@odata.nextLink" in rest) == (2, 1, False)


def test_a_device_is_tagged_synced_and_offboarded(graph: Client, world: AdminWorld) -> None:
    with world.writing() as connection:
        device = world.manager.join(connection, 1)
    path = f"{MANAGED_DEVICES}/{device}"

    tagged = graph.post(f"{path}/changeTags", json={"add": ["web", "edge"], "remove": ["MDE-Management"]})
    assert (tagged.status_code, tagged.json()["shieldwall"]["tags"]) == (200, ["edge", "web"])
    assert graph.post(f"{path}/changeTags", json={"add": [""]}).status_code == 400

    assert graph.post(f"{path}/syncDevice").status_code == 204
    with world.services.database.read() as connection:
        assert check_ins.get(connection, device).sync_requested_at == world.clock.now()

    assert graph.delete(path).status_code == 204
    assert graph.get(path).json()["shieldwall"]["deviceState"] == "leaving"
    assert graph.delete(f"{path}?force=true").status_code == 204
    assert graph.get(path).json()["shieldwall"]["deviceState"] == "retired"
    with world.services.database.read() as connection:
        activities = {event.activity: event.actor for event in audit.list_events(connection, TENANT_ID, Page())}
    wanted = {"device.tagged", "device.syncRequested", "device.leavingOrdered", "device.retired"}
    assert {activities.get(activity) for activity in wanted} == {"app:Automation"}


def test_effective_settings_say_who_set_what_and_why(graph: Client, world: AdminWorld) -> None:
    with world.writing() as connection:
        device = world.manager.join(connection, 1)
    policy = graph.post(POLICIES, json=a_policy("Baseline")).json()["id"]
    graph.post(f"{POLICIES}/{policy}/assign", json={"assignments": [TO_ALL_DEVICES]})

    (effective,) = graph.get(f"{MANAGED_DEVICES}/{device}/effectiveSettings").json()["value"]

    assert effective["settingDefinitionId"] == "linux_mdatp_managed_antivirusengine_enforcementlevel"
    (named,) = effective["policies"]
    assert (named["id"], named["name"], named["revision"], named["won"]) == (policy, "Baseline", 1, True)
    assert named["broughtBy"] == [{"allDevices": True}]
    assert named["value"] == effective["value"] == effective["displayValue"]
    assert named["modifiedDateTime"] == effective["decidedDateTime"] == "2026-11-23T12:00:00.0000000Z"
    assert effective["losers"] == []
    assert effective["state"] == "pending"
    assert effective["displayValue"]
    assert effective["explanation"]


def test_effective_settings_say_which_group_brought_the_policy_that_lost(graph: Client, world: AdminWorld) -> None:
    with world.writing() as connection:
        device = world.manager.join(connection, 1)
    group = graph.post(GROUPS, json=a_group("Ours", '(device.displayName -eq "device-1")')).json()["id"]
    for name, option, target in (("Strict", "0", TO_ALL_DEVICES), ("Loose", "2", to_group(group))):
        policy = graph.post(POLICIES, json=a_policy(name, option=option)).json()["id"]
        graph.post(f"{POLICIES}/{policy}/assign", json={"assignments": [target]})
    path = f"{MANAGED_DEVICES}/{device}/effectiveSettings"

    (effective,) = graph.get(path).json()["value"]
    wishes = {each["name"]: each for each in effective["policies"]}
    assert (wishes["Strict"]["won"], wishes["Loose"]["won"]) == (True, False)
    assert wishes["Loose"]["broughtBy"] == [{"groupId": group, "displayName": "Ours"}]
    assert (effective["value"], wishes["Loose"]["value"], effective["rule"]) == ("Realtime", "Passive", "mostSecure")
    assert [each["name"] for each in effective["losers"]] == ["Loose"]

    graph.put(CONFLICT_RULES, json={"antivirus": "nothing"})
    (effective,) = graph.get(path).json()["value"]
    assert (effective["value"], effective["rule"], effective["decidedDateTime"]) == (None, "differing", None)
    assert {each["won"] for each in effective["policies"]} == {False}


def test_a_package_is_given_out_once_and_can_be_revoked(graph: Client, world: AdminWorld) -> None:
    answer = graph.post(PACKAGES, json={"displayName": "Rack 7", "validDays": 2, "maxUses": 3, "tags": ["rack7"]})

    assert answer.status_code == 201
    made = answer.json()
    package = open_package(strict_json.encode(made.pop("package")), world.clock.now())
    assert (package.package_id, package.server_urls, package.max_uses) == (made["id"], ("https://localhost:8444",), 3)
    assert graph.get(PACKAGES).json()["value"] == [made]
    assert package.onboarding_key.k not in graph.get(PACKAGES).text

    for _ in range(2):
        assert graph.post(f"{PACKAGES}/{made['id']}/revoke").status_code == 204
    assert graph.get(PACKAGES).json()["value"][0]["revokedDateTime"] == "2026-11-23T12:00:00.0000000Z"
    assert graph.post(f"{PACKAGES}/{counted_id('c', 1)}/revoke").status_code == 404


@pytest.mark.parametrize(
    "changes",
    [{"validDays": 0}, {"validDays": 91}, {"maxUses": 0}, {"maxUses": True}, {"allowedPlatforms": ["dos"]}, {"x": 1}],
    ids=str,
)
def test_a_package_that_cannot_be_is_refused(embedded_graph: Client, changes: dict[str, object]) -> None:
    assert embedded_graph.post(PACKAGES, json={"displayName": "x"} | changes).status_code == 400


def test_templates_and_definitions_are_listed_and_read(embedded_graph: Client, embedded: AdminWorld) -> None:
    for listing, known in (
        (TEMPLATES, embedded.services.catalog.templates),
        (DEFINITIONS, embedded.services.catalog.definitions),
    ):
        seen: list[str] = []
        following: str | None = f"{listing}?$top=7"
        while following is not None:
            page = embedded_graph.get(following).json()
            seen += [each["id"] for each in page["value"]]
            following = page.get("@odata.nextLink")
        assert seen == sorted(known)
        assert embedded_graph.get(f"{listing}/{seen[0]}").json()["id"] == seen[0]
        assert embedded_graph.get(f"{listing}/nothing").status_code == 404


def test_the_organization_is_the_tenant(embedded_graph: Client) -> None:
    (organization,) = embedded_graph.get("/v1.0/organization").json()["value"]

    assert (organization["id"], organization["verifiedDomains"][0]["name"]) == (TENANT_ID, "contoso.example")


def test_a_device_is_deleted_with_a_fresh_proof_alone(world: AdminWorld) -> None:
    with world.writing() as connection:
        device = world.manager.join(connection, 1)
    person = a_person(world)
    for age, status in ((11, 401), (0, 204)):
        with closing(token_client(world, person, proof_age=age)) as client:
            assert client.delete(f"/v1.0/devices(deviceId='{device}')").status_code == status, age
