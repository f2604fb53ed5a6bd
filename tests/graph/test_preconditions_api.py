"""States of resources: what was read is what is changed, and what the client has is not sent again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest
from tests.support.admin import AdminWorld, Client
from tests.support.graph_bodies import FILTERS, GROUPS, POLICIES, a_filter, a_group, a_policy
from tests.support.samples import NOON, a_device

from shieldwall.server.access.permissions import PERMISSIONS
from shieldwall.server.storage.tables.schema import check_ins

REUSABLE = "/beta/deviceManagement/reusablePolicySettings"
A_REUSABLE = {
    "displayName": "x",
    "settingInstance": {
        "@odata.type": "#microsoft.graph.deviceManagementConfigurationGroupSettingInstance",
        "settingDefinitionId": "linux_shieldwall_addressgroup",
        "groupSettingValue": {"children": []},
    },
}


def resources(client: Client, world: AdminWorld) -> Iterator[tuple[str, dict[str, Any]]]:
    """One resource of each kind that has states, and a change of it."""
    yield f"{POLICIES}/{client.post(POLICIES, json=a_policy()).json()['id']}", {"name": "other"}
    yield f"{GROUPS}/{client.post(GROUPS, json=a_group()).json()['id']}", {"description": "other"}
    yield f"{FILTERS}/{client.post(FILTERS, json=a_filter()).json()['id']}", {"displayName": "other"}
    made = client.post(REUSABLE, json=A_REUSABLE)
    if made.status_code == 201:
        yield f"{REUSABLE}/{made.json()['id']}", {"displayName": "other"}
    with world.writing() as connection:
        world.manager.join(connection, 1)
    yield f"/v1.0/devices/{a_device(1).object_id}", {"deviceCategory": "other"}


def test_a_change_of_another_state_is_refused_and_makes_nothing(graph: Client, world: AdminWorld) -> None:
    for path, change in resources(graph, world):
        before = graph.get(path)
        state = before.headers["etag"]
        assert state.startswith('W/"')
        assert graph.get(f"{path}?$select=id").headers["etag"] == state
        for method, body in (("PATCH", change), ("DELETE", None)):
            answer = graph.request(method, path, json=body, headers={"If-Match": 'W/"other"'})
            assert answer.status_code == 412, (method, path)
        assert graph.get(path).json() == before.json()

        for named in (f'"x", {state}', "*"):
            assert graph.patch(path, json=change, headers={"If-Match": named}).status_code in {200, 204}, path
        assert graph.patch(path, json=change, headers={"If-Match": state}).status_code == 412, path
        assert graph.patch(path, json=change).status_code in {200, 204}
        latest = graph.get(path).headers["etag"]
        assert latest != state
        assert graph.delete(path, headers={"If-Match": latest}).status_code in {200, 204}


def test_what_the_client_has_is_not_sent_again(graph: Client, world: AdminWorld) -> None:
    for path, change in resources(graph, world):
        state = graph.get(path).headers["etag"]
        answer = graph.get(path, headers={"If-None-Match": f'"x", {state}'})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", state), path
        assert graph.get(path, headers={"If-None-Match": 'W/"other"'}).status_code == 200
        graph.patch(path, json=change)
        assert graph.get(path, headers={"If-None-Match": state}).status_code == 200, path


def test_a_check_in_is_no_other_state_of_a_device(graph: Client, world: AdminWorld) -> None:
    with world.writing() as connection:
        device = world.manager.join(connection, 1)
    path = f"/v1.0/devices/{a_device(1).object_id}"
    before = graph.get(path)
    with world.writing() as connection:
        connection.execute(check_ins.update().where(check_ins.c.device_id == device).values(last_check_in=NOON))
    after = graph.get(path)
    assert after.json() != before.json()
    assert after.headers["etag"] == before.headers["etag"]


@pytest.fixture
def strict(world: AdminWorld) -> Iterator[Client]:
    """A program at a server that wants to know which state is changed."""
    settings = replace(world.services.settings, require_if_match=True)
    asking = replace(world, services=replace(world.services, settings=settings))
    with closing(asking.application_client(*PERMISSIONS)) as client:
        yield client


def test_a_server_may_ask_which_state_is_changed(strict: Client, world: AdminWorld) -> None:
    for path, change in resources(strict, world):
        for method, body in (("PATCH", change), ("DELETE", None)):
            answer = strict.request(method, path, json=body)
            assert (answer.status_code, answer.json()["error"]["code"]) == (428, "PreconditionRequired"), (method, path)
        state = strict.get(path).headers["etag"]
        assert strict.patch(path, json=change, headers={"If-Match": state}).status_code in {200, 204}
