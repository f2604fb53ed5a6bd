"""managedDevice as it is published: its members, the words of its enumerations, what may be changed."""

from __future__ import annotations

import pytest
from tests.support.admin import AdminWorld, Client
from tests.support.graph_bodies import MANAGED_DEVICES
from tests.support.samples import device_id

from shieldwall.server.graph.device_actions import UNSUPPORTED
from shieldwall.server.storage.check_ins import check_ins
from shieldwall.server.storage.device_records import DeviceState, TrustType

V1 = MANAGED_DEVICES.replace("beta", "v1.0")
PUBLISHED = {
    "complianceState": "unknown compliant noncompliant conflict error inGracePeriod configManager",
    "managedDeviceOwnerType": "unknown company personal",
    "ownerType": "unknown company personal",
    "managementAgent": "eas mdm easMdm intuneClient easIntuneClient configurationManagerClient unknown jamf msSense",
    "managementState": "managed retirePending retireFailed wipePending wipeFailed unhealthy deletePending retireIssued "
    "wipeIssued wipeCanceled retireCanceled discovered",
    "deviceRegistrationState": "notRegistered registered revoked keyConflict approvalPending certificateReset "
    "notRegisteredPendingEnrollment unknown",
    "deviceEnrollmentType": "unknown userEnrollment deviceEnrollmentManager",
    "joinType": "unknown azureADJoined azureADRegistered hybridAzureADJoined",
    "deviceType": "desktop mac linux unknown",
    "chassisType": "unknown desktop laptop worksWorkstation enterpriseServer phone tablet",
    "processorArchitecture": "unknown x86 x64 arm arM64",
    "partnerReportedThreatState": "unknown activated deactivated secured lowSeverity mediumSeverity highSeverity "
    "unresponsive compromised misconfigured",
    "lostModeState": "disabled enabled",
    "managementFeatures": "none microsoftManagedDesktop",
    "exchangeAccessState": "none unknown allowed blocked quarantined",
}
"""Words that SDKs know, of those enumerations that a managedDevice has."""


@pytest.mark.parametrize("state", list(DeviceState))
def test_every_word_is_one_that_sdks_know(graph: Client, world: AdminWorld, state: DeviceState) -> None:
    trusts = [None, *(each.value for each in TrustType)]
    with world.writing() as connection:
        for number, trust in enumerate(trusts, start=1):
            world.manager.join(connection, number, state=state, trust_type=trust)
    shown = graph.get(MANAGED_DEVICES).json()["value"]

    assert len(shown) == len(trusts)
    for device in shown:
        for member, words in PUBLISHED.items():
            assert device[member] in words.split(), (member, device[member])


def test_members_say_what_is_so(graph: Client, world: AdminWorld) -> None:
    with world.writing() as connection:
        device = world.manager.join(
            connection,
            1,
            trust_type="ServerAd",
            architecture="aarch64",
            os_type="macOS",
            is_rooted=True,
            device_category="Kiosk",
            device_ownership="Personal",
        )
        check_ins.request_sync(connection, [device], world.clock.now())
    shown = graph.get(f"{MANAGED_DEVICES}/{device}").json()

    expected = {
        "joinType": "hybridAzureADJoined",
        "processorArchitecture": "arM64",
        "deviceType": "mac",
        "jailBroken": "True",
        "deviceCategoryDisplayName": "Kiosk",
        "managedDeviceOwnerType": "personal",
        "ownerType": "personal",
        "managementState": "managed",
        "deviceRegistrationState": "registered",
        "serialNumber": None,
        "isEncrypted": None,
    }
    assert expected.items() <= shown.items()
    assert [(each["actionName"], each["actionState"]) for each in shown["deviceActionResults"]] == [
        ("syncDevice", "pending")
    ]


def test_what_only_beta_has_stands_in_beta_alone(graph: Client, world: AdminWorld) -> None:
    with world.writing() as connection:
        device = world.manager.join(connection, 1)
    beta, stable = graph.get(f"{MANAGED_DEVICES}/{device}").json(), graph.get(f"{V1}/{device}").json()

    assert {"joinType", "managementState", "skuFamily"} <= set(beta) - set(stable)
    assert stable.items() <= beta.items()
    (listed,) = graph.get(V1).json()["value"]
    assert "joinType" not in listed


def test_what_administrators_know_is_kept(graph: Client, world: AdminWorld) -> None:
    with world.writing() as connection:
        device = world.manager.join(connection, 1)
    path = f"{MANAGED_DEVICES}/{device}"
    body = {"notes": "In the cellar", "managedDeviceName": "Cellar", "managedDeviceOwnerType": "personal"}
    assert body.items() <= graph.patch(path, json=body).json().items()
    assert body.items() <= graph.get(path).json().items()

    graph.patch(path, json={"managedDeviceName": None})
    shown = graph.get(path).json()
    assert (shown["managedDeviceName"], shown["notes"]) == ("device-1", "In the cellar")


@pytest.mark.parametrize(
    "body",
    [
        {"complianceState": "compliant"},
        {"notes": 1},
        {"notes": "x" * 5_000},
        {"ownerType": "nobody"},
        {"isApproved": True},
    ],
)
def test_nothing_else_can_be_changed(graph: Client, world: AdminWorld, body: dict[str, object]) -> None:
    with world.writing() as connection:
        device = world.manager.join(connection, 1)
    assert graph.patch(f"{MANAGED_DEVICES}/{device}", json=body).status_code == 400


def test_what_this_channel_cannot_do_is_refused_in_graph_s_shape(graph: Client, world: AdminWorld) -> None:
    with world.writing() as connection:
        device = world.manager.join(connection, 1)
    for action in UNSUPPORTED:
        answer = graph.post(f"{V1}/{device}/{action}", json={})
        assert (answer.status_code, answer.json()["error"]["code"]) == (501, "NotImplemented"), action
        assert graph.post(f"{V1}/{device_id(9)}/{action}").status_code == 404
    assert graph.post(f"{V1}/{device}/surprise").status_code == 404
