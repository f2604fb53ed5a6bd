"""The rules of cleaning up, in Graph's shape."""

from __future__ import annotations

import pytest
from tests.support.admin import AdminWorld, Client
from tests.support.samples import TENANT_ID

RULES = "/beta/deviceManagement/managedDeviceCleanupRules"
DAYS = "deviceInactivityBeforeRetirementInDays"


def test_the_one_rule_is_read_changed_and_previewed(graph: Client, world: AdminWorld) -> None:
    with world.writing() as connection:
        world.manager.join(connection, 1)
    (rule,) = graph.get(RULES).json()["value"]
    assert (rule["id"], rule[DAYS], rule["deviceCleanupRulePlatformType"]) == (TENANT_ID, 0, "all")
    assert rule["shieldwall"] == {"removeRetiredAfterDays": 180, "historyDays": 365, "autoReplace": False}

    changed = graph.patch(f"{RULES}/{TENANT_ID}", json={DAYS: 30, "shieldwall": {"autoReplace": True}})
    assert changed.status_code == 200, changed.text
    assert graph.get(f"{RULES}/{TENANT_ID}").json() == changed.json()
    assert (changed.json()[DAYS], changed.json()["shieldwall"]["autoReplace"]) == (30, True)

    assert graph.post(f"{RULES}/preview", json={}).json()["devicesRetired"] == 0
    world.clock.advance(days=31)
    later = world.application_client("DeviceManagementManagedDevices.ReadWrite.All")
    assert later.post(f"{RULES}/preview", json={}).json()["devicesRetired"] == 1
    assert later.post(f"{RULES}/preview", json={DAYS: 0}).json()["devicesRetired"] == 0
    later.close()
    reader = world.application_client("DeviceManagementManagedDevices.Read.All")
    for answer in (reader.patch(f"{RULES}/{TENANT_ID}", json={DAYS: 0}), reader.post(f"{RULES}/preview", json={})):
        assert answer.status_code == 403
    reader.close()


@pytest.mark.parametrize(
    "body",
    [
        {DAYS: 29},
        {DAYS: 271},
        {DAYS: -1},
        {DAYS: "30"},
        {"shieldwall": {"removeRetiredAfterDays": 179}},
        {"shieldwall": {"historyDays": 1}},
        {"shieldwall": {"other": 1}},
        {"other": 1},
        [],
    ],
)
def test_rules_that_cannot_be_are_refused(embedded_graph: Client, body: object) -> None:
    before = embedded_graph.get(RULES).json()

    assert embedded_graph.patch(f"{RULES}/{TENANT_ID}", json=body).status_code == 400
    assert embedded_graph.get(RULES).json() == before


def test_there_is_no_other_rule(embedded_graph: Client) -> None:
    other = TENANT_ID[:-1] + "b"

    assert embedded_graph.get(f"{RULES}/{other}").status_code == 404
    assert embedded_graph.patch(f"{RULES}/{other}", json={DAYS: 30}).status_code == 404
