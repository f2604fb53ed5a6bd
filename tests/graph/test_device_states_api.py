"""Disabling, enabling and releasing devices over the API."""

from __future__ import annotations

import pytest
from tests.support.admin import AdminWorld, Client
from tests.support.graph_bodies import MANAGED_DEVICES
from tests.support.samples import device_id

from shieldwall.server.directory.devices import CLONED_IDENTITY
from shieldwall.server.storage.check_ins import check_ins
from shieldwall.server.storage.device_records import DeviceState
from shieldwall.server.storage.devices import devices

CLONED = {"state": DeviceState.QUARANTINED, "state_reason": CLONED_IDENTITY}


def test_a_device_is_disabled_and_enabled_and_twice_is_once(graph: Client, world: AdminWorld) -> None:
    with world.writing() as connection:
        device = world.manager.join(connection, 1)
    path = f"{MANAGED_DEVICES}/{device}"
    for action, state in (("disable", "disabled"), ("disable", "disabled"), ("enable", "active"), ("enable", "active")):
        assert graph.post(f"{path}/{action}").status_code == 204
        assert graph.get(path).json()["shieldwall"]["deviceState"] == state


def test_a_quarantine_is_shown_with_its_reason_and_ended(graph: Client, world: AdminWorld) -> None:
    with world.writing() as connection:
        device = world.manager.join(connection, 1, **CLONED)
    path = f"{MANAGED_DEVICES}/{device}"
    ours = graph.get(path).json()["shieldwall"]
    assert (ours["deviceState"], ours["deviceStateReason"]) == ("quarantined", "clonedIdentity")

    assert graph.post(f"{path}/enable").status_code == 204
    assert graph.get(path).json()["shieldwall"]["deviceState"] == "quarantined", "enabling is no way out"
    assert graph.post(f"{path}/releaseFromQuarantine").status_code == 204

    ours = graph.get(path).json()["shieldwall"]
    assert (ours["deviceState"], ours["deviceStateReason"]) == ("active", None)
    with world.writing() as connection:
        assert check_ins.get(connection, device).epoch == 2
    again = graph.post(f"{path}/releaseFromQuarantine")
    assert again.status_code == 409
    assert again.json()["error"]["innerError"]["code"] == "wrongDeviceState"


@pytest.mark.parametrize("state", [DeviceState.PENDING, DeviceState.LEAVING])
@pytest.mark.parametrize("action", ["disable", "enable", "releaseFromQuarantine"])
def test_what_cannot_be_done_is_said(graph: Client, world: AdminWorld, state: DeviceState, action: str) -> None:
    with world.writing() as connection:
        device = world.manager.join(connection, 1, state=state)
    answer = graph.post(f"{MANAGED_DEVICES}/{device}/{action}")
    assert answer.status_code == 409
    assert answer.json()["error"]["innerError"]["code"] == "wrongDeviceState"
    with world.writing() as connection:
        assert devices.get(connection, device).state is state


@pytest.mark.parametrize("action", ["disable", "enable", "releaseFromQuarantine"])
def test_a_device_that_is_not_here_is_not_found(graph: Client, action: str) -> None:
    assert graph.post(f"{MANAGED_DEVICES}/{device_id(9)}/{action}").status_code == 404
