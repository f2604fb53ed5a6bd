"""Assignment filters: rules that narrow whom an assignment reaches."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.admin import AdminWorld, Client
from tests.support.graph_bodies import FILTERS, POLICIES, TO_ALL_DEVICES, a_filter, a_policy, narrowed
from tests.support.samples import counted_id

SECOND = '(device.displayName -eq "device-2")'


def create(graph: Client, **changes: Any) -> Any:
    answer = graph.post(FILTERS, json=a_filter(**changes))
    assert answer.status_code == 201, answer.text
    return answer.json()


def test_a_filter_is_made_read_listed_changed_and_deleted(graph: Client, world: AdminWorld) -> None:
    made = create(graph, description="At the edge")
    assert made["assignmentFilterManagementType"] == "devices"
    assert made["createdDateTime"] == made["lastModifiedDateTime"] == "2026-11-23T12:00:00.0000000Z"
    path = f"{FILTERS}/{made['id']}"
    assert graph.get(path).json() == made
    assert graph.get(FILTERS).json()["value"] == [made]
    again = graph.post(FILTERS, json=made).json()
    assert {**again, "id": made["id"]} == made, "what was read can be sent again"

    world.clock.advance(seconds=60)
    changed = graph.patch(path, json={"rule": SECOND})
    assert changed.status_code == 200
    assert changed.json() == made | {"rule": SECOND, "lastModifiedDateTime": "2026-11-23T12:01:00.0000000Z"}

    assert graph.delete(path).status_code == 204
    assert graph.get(path).status_code == 404


def test_an_assignment_reaches_whom_its_filter_lets_through(graph: Client, world: AdminWorld) -> None:
    with world.writing() as connection:
        joined = [world.manager.join(connection, number) for number in (1, 2, 3)]
    policy = graph.post(POLICIES, json=a_policy()).json()["id"]
    made = create(graph, rule=SECOND)["id"]

    def reached() -> list[str]:
        states = graph.get(f"{POLICIES}/{policy}/deviceStates").json()["value"]
        return [each["deviceId"] for each in states]

    assigned = graph.post(f"{POLICIES}/{policy}/assign", json={"assignments": [narrowed(TO_ALL_DEVICES, made)]})
    assert assigned.status_code == 200, assigned.text
    assert reached() == [joined[1]]

    graph.patch(f"{FILTERS}/{made}", json={"rule": '(device.deviceName -eq "device-3")'})
    assert reached() == [joined[2]], "Intune's own names are understood"

    graph.post(f"{POLICIES}/{policy}/assign", json={"assignments": [narrowed(TO_ALL_DEVICES, made, "exclude")]})
    assert reached() == joined[:2]
    listed = graph.get(f"{POLICIES}/{policy}/assignments").json()["value"]
    target = listed[0]["target"]
    assert target["deviceAndAppManagementAssignmentFilterId"] == made
    assert target["deviceAndAppManagementAssignmentFilterType"] == "exclude"
    assert graph.post(f"{POLICIES}/{policy}/assign", json={"assignments": listed}).json()["value"] == listed

    refused = graph.delete(f"{FILTERS}/{made}")
    assert (refused.status_code, refused.json()["error"]["innerError"]["code"]) == (409, "stillReferenced")


@pytest.mark.parametrize(
    "changes",
    [
        {"displayName": ""},
        {"displayName": 7},
        {"displayName": None},
        {"platform": "windows10"},
        {"platform": None},
        {"rule": None},
        {"rule": ""},
        {"rule": "(device.serialNumber -eq 1)"},
        {"description": "x" * 1_025},
        {"roleScopeTags": "0"},
        {"roleScopeTags": [""]},
        {"roleScopeTags": ["0"] * 65},
        {"assignmentFilterManagementType": "apps"},
        {"surprise": 1},
    ],
    ids=str,
)
def test_a_filter_that_cannot_be_is_refused(embedded_graph: Client, changes: dict[str, Any]) -> None:
    assert embedded_graph.post(FILTERS, json=a_filter(**changes)).status_code == 400
    made = create(embedded_graph)
    if None not in changes.values():
        assert embedded_graph.patch(f"{FILTERS}/{made['id']}", json=changes).status_code == 400
    assert embedded_graph.get(f"{FILTERS}/{made['id']}").json() == made


@pytest.mark.parametrize(
    ("filter_id", "kind"),
    [
        (counted_id("c", 1), "include"),
        ("x", "include"),
        (7, "include"),
        (None, "include"),
        ("there", "none"),
        ("there", "some"),
        ("there", 7),
    ],
)
def test_an_assignment_that_no_filter_fits_is_refused(embedded_graph: Client, filter_id: Any, kind: Any) -> None:
    made = create(embedded_graph)["id"] if filter_id == "there" else filter_id
    path = f"{POLICIES}/{embedded_graph.post(POLICIES, json=a_policy()).json()['id']}"

    answer = embedded_graph.post(f"{path}/assign", json={"assignments": [narrowed(TO_ALL_DEVICES, made, kind)]})

    assert answer.status_code == 400
    assert embedded_graph.get(f"{path}/assignments").json()["value"] == []
