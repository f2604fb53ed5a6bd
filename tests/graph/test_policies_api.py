from __future__ import annotations

from typing import Any

import pytest
from tests.support.admin import PUBLIC_URL, AdminWorld, Client
from tests.support.graph_bodies import (
    GROUPS,
    POLICIES,
    SAMPLES,
    TO_ALL_DEVICES,
    a_group,
    a_policy,
    retention,
    sample,
    to_group,
    without_secrets,
)
from tests.support.samples import counted_id

ABSENT = counted_id("c", 1)


def create(graph: Client, body: dict[str, Any] | None = None) -> Any:
    answer = graph.post(POLICIES, json=body or a_policy())
    assert answer.status_code == 201, answer.text
    return answer.json()


@pytest.mark.parametrize("name", [file.stem for file in SAMPLES])
def test_settings_come_out_as_they_went_in(graph: Client, name: str) -> None:
    exported = sample(name)

    created = create(graph, {member: value for member, value in exported.items() if member != "assignments"})
    read = graph.get(f"{POLICIES}/{created['id']}", params={"$expand": "settings"}).json()

    assert without_secrets(read["settings"]) == without_secrets(exported["settings"])
    assert create(graph, read)["settings"] == read["settings"]


def test_a_created_policy_is_answered_as_it_is_read(graph: Client) -> None:
    answer = graph.post(POLICIES, json=a_policy(description="For servers"))

    created = answer.json()
    read = graph.get(f"{POLICIES}/{created['id']}", params={"$expand": "settings,assignments,shieldwall"})
    assert read.json() == created
    assert read.headers["etag"] == answer.headers["etag"]
    assert created["createdDateTime"] == "2026-11-23T12:00:00.0000000Z"
    assert created["templateReference"]["templateFamily"] == "endpointSecurityAntivirus"
    assert (created["settingCount"], created["isAssigned"], created["roleScopeTagIds"]) == (1, False, ["0"])
    assert "settings" not in graph.get(f"{POLICIES}/{created['id']}").json()


def test_a_patch_changes_what_it_names_and_nothing_else(graph: Client) -> None:
    before = create(graph, a_policy(description="old"))

    answer = graph.patch(f"{POLICIES}/{before['id']}", json={"name": "Renamed"})

    assert answer.status_code == 200
    after = answer.json()
    assert after["name"] == "Renamed"
    assert after["description"] == "old"
    assert after["settings"] == before["settings"]
    assert after["shieldwall"]["revision"] == before["shieldwall"]["revision"] + 1


def test_a_put_replaces_the_policy_and_says_nothing(graph: Client) -> None:
    before = create(graph, a_policy(description="old"))

    answer = graph.put(f"{POLICIES}/{before['id']}", json=a_policy("Replaced", settings=[retention(9)]))

    assert (answer.status_code, answer.content) == (204, b"")
    after = graph.get(f"{POLICIES}/{before['id']}").json()
    assert (after["name"], after["description"], after["settingCount"]) == ("Replaced", "", 1)


def test_a_put_without_the_settings_is_refused(graph: Client) -> None:
    policy = create(graph)

    answer = graph.put(f"{POLICIES}/{policy['id']}", json={"name": "Only a name"})

    assert answer.status_code == 400
    assert "'platforms'" in answer.json()["error"]["message"]


def test_a_deleted_policy_is_gone(graph: Client) -> None:
    policy = create(graph)

    answer = graph.delete(f"{POLICIES}/{policy['id']}")

    assert (answer.status_code, answer.content) == (200, b"")
    assert graph.get(f"{POLICIES}/{policy['id']}").status_code == 404
    assert graph.delete(f"{POLICIES}/{policy['id']}").status_code == 404


def test_a_change_based_on_an_old_state_is_refused(graph: Client, world: AdminWorld) -> None:
    policy = create(graph)
    path = f"{POLICIES}/{policy['id']}"
    old = graph.get(path).headers["etag"]
    world.clock.advance(seconds=1)
    changed = graph.patch(path, json={"description": "a word that no device sees"}, headers={"If-Match": old})
    assert changed.status_code == 200
    assert changed.headers["etag"] != old

    refused = [
        graph.patch(path, json={"name": "x"}, headers={"If-Match": old}),
        graph.put(path, json=a_policy(), headers={"If-Match": old}),
        graph.post(f"{path}/assign", json={"assignments": []}, headers={"If-Match": old}),
        graph.delete(path, headers={"If-Match": 'W/"nonsense"'}),
    ]

    assert [answer.status_code for answer in refused] == [412] * 4
    assert {answer.json()["error"]["code"] for answer in refused} == {"PreconditionFailed"}
    assert graph.patch(path, json={"name": "y"}, headers={"If-Match": "*"}).status_code == 200
    etags = f'W/"other", {graph.get(path).headers["etag"]}'
    assert graph.delete(path, headers={"If-Match": etags}).status_code == 200


def test_whoever_is_assigned_belongs_to_the_state_of_a_policy(graph: Client) -> None:
    path = f"{POLICIES}/{graph.post(POLICIES, json=a_policy()).json()['id']}"
    group = graph.post(GROUPS, json=a_group()).json()["id"]
    old = graph.get(path).headers["etag"]

    mine = graph.post(f"{path}/assign", json={"assignments": [to_group(group)]}, headers={"If-Match": old})
    theirs = graph.post(f"{path}/assign", json={"assignments": [TO_ALL_DEVICES]}, headers={"If-Match": old})

    assert (mine.status_code, theirs.status_code) == (200, 412)
    assert mine.headers["etag"] == graph.get(path).headers["etag"] != old
    assert graph.get(f"{path}/assignments").json()["value"][0]["target"]["groupId"] == group


def test_every_change_of_a_policy_answers_with_its_new_state(graph: Client) -> None:
    path = f"{POLICIES}/{graph.post(POLICIES, json=a_policy()).json()['id']}"

    for method, action, body in (
        ("PUT", "", a_policy("Renamed")),
        ("POST", "/assign", {"assignments": [TO_ALL_DEVICES]}),
        ("POST", "/reorder", {"priority": 3}),
    ):
        answer = graph.request(method, path + action, json=body)
        assert answer.headers["etag"] == graph.get(path).headers["etag"], action


def test_a_copy_of_an_old_state_is_refused(graph: Client) -> None:
    path = f"{POLICIES}/{graph.post(POLICIES, json=a_policy()).json()['id']}"
    old = graph.get(path).headers["etag"]
    graph.patch(path, json={"name": "Renamed"})

    assert graph.post(f"{path}/createCopy", json={"displayName": "x"}, headers={"If-Match": old}).status_code == 412


def test_assignments_are_replaced_as_a_whole(graph: Client) -> None:
    policy = create(graph)["id"]
    groups = [graph.post(GROUPS, json=a_group(f"Group {number}")).json()["id"] for number in range(2)]
    path = f"{POLICIES}/{policy}"

    first = graph.post(
        f"{path}/assign", json={"assignments": [to_group(groups[0]), to_group(groups[1], excluded=True)]}
    )
    assert first.status_code == 200
    assert [each["target"]["@odata.type"] for each in first.json()["value"]] == [
        "#microsoft.graph.groupAssignmentTarget",
        "#microsoft.graph.exclusionGroupAssignmentTarget",
    ]
    assert graph.get(path).json()["isAssigned"]

    graph.post(f"{path}/microsoft.graph.assign", json={"assignments": [TO_ALL_DEVICES]})
    listed = graph.get(f"{path}/assignments").json()["value"]
    assert [each["id"] for each in listed] == [f"{policy}_allDevices"]
    assert graph.get(path, params={"$expand": "assignments"}).json()["assignments"] == listed

    answer = graph.post(f"{path}/assign", json={"assignments": listed})
    assert answer.json()["value"] == listed, "what was read can be sent again"


@pytest.mark.parametrize(
    "target",
    [
        {"@odata.type": "#microsoft.graph.allLicensedUsersAssignmentTarget"},
        {"@odata.type": "#microsoft.graph.groupAssignmentTarget"},
        {"@odata.type": "#microsoft.graph.groupAssignmentTarget", "groupId": "x"},
        {"@odata.type": "#microsoft.graph.groupAssignmentTarget", "groupId": ABSENT},
        {"@odata.type": "#microsoft.graph.groupAssignmentTarget", "groupId": 7},
        {"@odata.type": 7},
        {"@odata.type": "#microsoft.graph.allDevicesAssignmentTarget", "surprise": 1},
        {
            "@odata.type": "#microsoft.graph.allDevicesAssignmentTarget",
            "deviceAndAppManagementAssignmentFilterId": ABSENT,
        },
        None,
        [],
    ],
    ids=lambda target: "-".join(map(str, target.values()))[:60] if isinstance(target, dict) else str(target),
)
def test_a_target_that_cannot_be_is_refused(embedded_graph: Client, target: Any) -> None:
    path = f"{POLICIES}/{create(embedded_graph)['id']}"

    answer = embedded_graph.post(f"{path}/assign", json={"assignments": [{"target": target}]})

    assert answer.status_code == 400
    assert embedded_graph.get(f"{path}/assignments").json()["value"] == []


def test_every_finding_is_listed_with_its_place(graph: Client) -> None:
    body = a_policy(option="seldom", platforms="linux,macOS")
    body["settings"].append(retention(-1))

    answers = [graph.post(POLICIES, json=body), graph.post(f"{POLICIES}/validate", json=body)]

    for answer in answers:
        assert answer.status_code == 400
        error = answer.json()["error"]
        assert error["innerError"]["code"] == "invalidPolicy"
        assert [(each["target"], each["code"]) for each in error["details"]] == [
            ("platforms", "platformMismatch"),
            ("settings[0].value", "unknownOption"),
            ("settings[1].value", "outOfRange"),
        ]
        assert all(each["message"] for each in error["details"])
    assert graph.get(POLICIES).json()["value"] == []


def test_a_policy_can_be_validated_without_being_made(graph: Client) -> None:
    answer = graph.post(f"{POLICIES}/validate", json=a_policy())

    assert answer.status_code == 204
    assert graph.get(POLICIES).json()["value"] == []


@pytest.mark.parametrize(
    "changes",
    [
        {"isApproved": True},
        {"createdBy": "me"},
        {"version": 7},
        {"name": ""},
        {"name": " "},
        {"name": "x" * 201},
        {"name": "a\x1b[31mb"},
        {"name": 7},
        {"name": None},
        {"description": "x" * 1001},
        {"platforms": 7},
        {"platforms": "windows10"},
        {"technologies": ""},
        {"templateReference": None},
        {"templateReference": {}},
        {"templateReference": {"templateId": "unknown_1"}},
        {"templateReference": {"templateId": "4cfd164c-5e8a-4ea9-b15d-9aa71e4ffff4_1", "surprise": 1}},
        {"roleScopeTagIds": "0"},
        {"roleScopeTagIds": [""]},
        {"roleScopeTagIds": ["0"] * 65},
        {"settings": None},
        {"settings": [{}]},
    ],
    ids=lambda changes: str(changes)[:40],
)
def test_a_policy_that_cannot_be_is_refused_whole_or_as_a_change(
    embedded_graph: Client, changes: dict[str, Any]
) -> None:
    path = f"{POLICIES}/{create(embedded_graph)['id']}"
    before = embedded_graph.get(path).json()

    assert embedded_graph.post(POLICIES, json=a_policy(**changes)).status_code == 400
    assert embedded_graph.patch(path, json=changes).status_code == 400

    assert embedded_graph.get(path).json() == before


def test_pages_lead_to_every_policy_once_on_the_public_address(graph: Client) -> None:
    made = {create(graph, a_policy(f"Policy {number}"))["id"] for number in range(5)}
    seen: list[str] = []
    following: str | None = f"{POLICIES}?$top=2&$select=name,id&$expand=assignments"
    pages = 0
    while following is not None:
        page = graph.get(following).json()
        assert all(set(each) == {"id", "name", "assignments"} for each in page["value"])
        seen += [each["id"] for each in page["value"]]
        following = page.get("@odata.nextLink")
        assert following is None or following.startswith(f"{PUBLIC_URL}{POLICIES}?")
        pages += 1

    assert (set(seen), len(seen), pages) == (made, 5, 3)
    exact = graph.get(f"{POLICIES}?$top=5").json()
    assert "@odata.nextLink" not in exact
    assert exact["@odata.context"] == f"{PUBLIC_URL}/beta/$metadata#deviceManagement/configurationPolicies"


def test_links_stay_on_the_public_address_whatever_a_proxy_says(graph: Client) -> None:
    create(graph)
    create(graph)
    spoofed = {"X-Forwarded-Host": "evil.example", "Forwarded": "host=evil.example", "X-Forwarded-Proto": "http"}

    page = graph.get(POLICIES, params={"$top": 1}, headers=spoofed).json()

    assert page["@odata.nextLink"].startswith(f"{PUBLIC_URL}/")
    assert graph.get(POLICIES, headers={"Host": "evil.example"}).status_code == 421


def test_settings_are_listed_on_their_own_and_paged_when_asked(graph: Client) -> None:
    exported = sample("linux-antivirus")
    policy = create(graph, exported)["id"]
    path = f"{POLICIES}/{policy}/settings"

    assert graph.get(path).json()["value"] == exported["settings"]

    page = graph.get(path, params={"$top": 1}).json()
    rest = graph.get(page["@odata.nextLink"].replace("$top=1", "$top=1000")).json()
    assert page["value"] + rest["value"] == exported["settings"]
    assert graph.get(path, params={"$skiptoken": "eA"}).status_code == 400


def test_a_key_in_brackets_and_a_slash_at_the_end_name_the_same(graph: Client) -> None:
    policy = create(graph)["id"]
    read = graph.get(f"{POLICIES}/{policy}").json()

    assert graph.get(f"{POLICIES}('{policy}')").json() == read
    assert graph.get(f"{POLICIES}/{policy}/").json() == read
    assert graph.get(f"/v1.0/deviceManagement/configurationPolicies/{policy}").json() == read


def test_the_states_of_a_policy_are_counted_and_listed(graph: Client, world: AdminWorld) -> None:
    with world.writing() as connection:
        devices = [world.manager.join(connection, number) for number in (1, 2, 3)]
    policy = create(graph)["id"]
    graph.post(f"{POLICIES}/{policy}/assign", json={"assignments": [TO_ALL_DEVICES]})

    summary = graph.get(f"{POLICIES}/{policy}/statusSummary").json()
    assert (summary["pending"], summary["succeeded"]) == (3, 0)

    page = graph.get(f"{POLICIES}/{policy}/deviceStates", params={"$top": 2}).json()
    rest = graph.get(page["@odata.nextLink"]).json()
    states = page["value"] + rest["value"]
    assert [(each["deviceId"], each["state"]) for each in states] == [(device, "pending") for device in devices]


def test_what_is_not_there_is_not_found(graph: Client) -> None:
    for path in ("", "/settings", "/assignments", "/statusSummary", "/deviceStates"):
        answer = graph.get(f"{POLICIES}/{ABSENT}{path}")
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "ResourceNotFound")
    assert graph.patch(f"{POLICIES}/{ABSENT}", json={"name": "x"}).status_code == 404
    assert graph.put(f"{POLICIES}/{ABSENT}", json=a_policy()).status_code == 404
    assert graph.post(f"{POLICIES}/{ABSENT}/assign", json={"assignments": []}).status_code == 404
