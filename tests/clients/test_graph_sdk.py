"""The SDK of Microsoft Graph, unmodified, against v1.0."""

from __future__ import annotations

from tests.clients.conftest import DEVICES, Service


def test_the_sdk_lists_makes_changes_and_deletes(service: Service) -> None:
    said = service.run("graph_sdk")

    assert len(set(said["names"])) == DEVICES
    assert said["some"] == ["srv-09", "srv-07", "srv-05"]
    assert said["count"] == 5
    assert said["unselected"] == [None, None, None]
    assert said["members"] == [said["member"]]
    assert said["description"] == "Changed by the SDK"
    assert said["deltaHasGroup"]
    assert said["deltaLink"].startswith(f"{service.public_url}/v1.0/groups/delta")
    assert said["error"] == {"code": "ResourceNotFound", "status": 404}
    assert said["organization"] == [service.tenant_id]
