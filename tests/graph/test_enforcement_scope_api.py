"""The enforcement scope over the API, and the enrollment that devices show."""

from __future__ import annotations

from contextlib import closing
from typing import Any, Final

import pytest
from tests.support.admin import AdminWorld, Client
from tests.support.samples import device_id

SCOPE: Final = "/beta/deviceManagement/enforcementScope"
MANAGED: Final = "/beta/deviceManagement/managedDevices"
DEFAULT: Final[dict[str, Any]] = {
    "isAllowed": True,
    "windows": "all",
    "windowsServer": "all",
    "linux": "all",
    "macOS": "all",
    "includesDomainControllers": False,
    "configurationManagerAuthority": True,
    "dynamicTags": [],
}
NOTHING: Final = {"count": 0, "parts": []}


def joins(world: AdminWorld, number: int, **changes: Any) -> None:
    with world.writing() as connection:
        world.manager.join(connection, number, **changes)


def test_a_new_tenant_shows_every_member_of_its_scope(graph: Client) -> None:
    assert graph.get(SCOPE).json() == DEFAULT


def test_only_the_members_named_are_changed(world: AdminWorld, graph: Client) -> None:
    joins(world, 1, tags=())
    tags = [{"displayName": "Web", "rule": 'device.displayName -startsWith "web"'}]

    first = graph.patch(SCOPE, json={"linux": "tagged"})
    second = graph.patch(SCOPE, json={"dynamicTags": tags, "windows": "off"})

    assert first.status_code == 200, first.text
    assert first.json()["effect"]["released"]["count"] == 1
    assert second.json() == DEFAULT | {
        "linux": "tagged",
        "windows": "off",
        "dynamicTags": tags,
        "effect": {"managedBefore": 0, "managedAfter": 0, "taken": NOTHING, "released": NOTHING},
    }
    assert graph.get(SCOPE).json() == DEFAULT | {"linux": "tagged", "windows": "off", "dynamicTags": tags}


def test_a_preview_says_per_platform_and_reason_who_is_released(world: AdminWorld, graph: Client) -> None:
    joins(world, 1)
    joins(world, 2, os_type="macOS")

    effect = graph.post(f"{SCOPE}/preview", json={"linux": "off"}).json()

    assert effect == {
        "managedBefore": 2,
        "managedAfter": 1,
        "taken": NOTHING,
        "released": {
            "count": 1,
            "parts": [
                {
                    "operatingSystem": "Linux",
                    "count": 1,
                    "reason": "platformOff",
                    "enrollmentCode": 2,
                    "cause": "The enforcement scope is off for the platform of the device.",
                    "samples": [{"id": device_id(1), "deviceName": "device-1"}],
                }
            ],
        },
    }
    assert graph.get(SCOPE).json() == DEFAULT


def test_a_device_shows_why_it_is_not_managed(world: AdminWorld, graph: Client) -> None:
    joins(world, 1)
    graph.patch(SCOPE, json={"isAllowed": False})

    one = graph.get(f"{MANAGED}/{device_id(1)}").json()
    (listed,) = graph.get(MANAGED).json()["value"]
    (directory,) = graph.get("/v1.0/devices").json()["value"]

    assert one["shieldwall"]["enrollment"] == {
        "code": 8,
        "status": "Not allowed by the tenant",
        "reason": "tenantSwitchOff",
        "cause": "The tenant does not allow security settings to be enforced on any device.",
        "remedy": "Allow it in the enforcement scope.",
    }
    assert listed["shieldwall"]["enrollment"] == one["shieldwall"]["enrollment"]
    assert one["shieldwall"]["managedBy"] == "unknown"
    assert (directory["isManaged"], directory["managementType"]) == (False, None)

    graph.patch(SCOPE, json={"isAllowed": True})

    one = graph.get(f"{MANAGED}/{device_id(1)}").json()
    (directory,) = graph.get("/v1.0/devices").json()["value"]
    assert (one["shieldwall"]["enrollment"]["code"], one["shieldwall"]["managedBy"]) == (1, "MDE")
    assert (directory["isManaged"], directory["managementType"]) == (True, "MicrosoftSense")


@pytest.mark.parametrize(
    "body",
    [
        {"linux": "sometimes"},
        {"linux": None},
        {"isAllowed": "yes"},
        {"surprise": True},
        {"dynamicTags": [{"displayName": "Web"}]},
        {"dynamicTags": [{"displayName": "\u0007", "rule": 'device.displayName -eq "a"'}]},
        {"dynamicTags": [{"displayName": "Web", "rule": "device.displayName -eq"}]},
        {"dynamicTags": [{"displayName": "Web", "rule": 'device.managementType -eq "MicrosoftSense"'}]},
        {"linux": "off", "windowsServer": "off", "includesDomainControllers": True},
    ],
)
def test_a_scope_that_cannot_be_is_refused(embedded_graph: Client, body: dict[str, Any]) -> None:
    for answer in (embedded_graph.patch(SCOPE, json=body), embedded_graph.post(f"{SCOPE}/preview", json=body)):
        assert answer.status_code == 400, answer.text
    assert embedded_graph.get(SCOPE).json() == DEFAULT


def test_reading_and_changing_take_their_permissions(world: AdminWorld) -> None:
    with closing(world.application_client("DeviceManagementServiceConfig.Read.All")) as reader:
        assert reader.get(SCOPE).status_code == 200
        assert reader.post(f"{SCOPE}/preview", json={"linux": "off"}).status_code == 403
        assert reader.patch(SCOPE, json={"linux": "off"}).status_code == 403
    with closing(world.application_client("DeviceManagementConfiguration.ReadWrite.All")) as other:
        assert other.get(SCOPE).status_code == 403
