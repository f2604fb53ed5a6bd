"""One setting, assignment or setting template by its id."""

from __future__ import annotations

from tests.support.admin import Client
from tests.support.graph_bodies import POLICIES, TO_ALL_DEVICES, a_policy

TEMPLATE = "/beta/deviceManagement/configurationPolicyTemplates/4cfd164c-5e8a-4ea9-b15d-9aa71e4ffff4_1"


def test_each_part_is_found_by_its_id_and_no_other(graph: Client) -> None:
    policy = graph.post(POLICIES, json=a_policy()).json()
    assert policy["disableEntraGroupPolicyAssignment"] is False
    path = f"{POLICIES}/{policy['id']}"
    graph.post(f"{path}/assign", json={"assignments": [TO_ALL_DEVICES]})

    for listing in (f"{path}/settings", f"{path}/assignments", f"{TEMPLATE}/settingTemplates"):
        first = graph.get(listing).json()["value"][0]
        assert graph.get(f"{listing}/{first['id']}").json() == first
        assert graph.get(f"{listing}('{first['id']}')").json() == first
        assert graph.get(f"{listing}/surprise").status_code == 404
