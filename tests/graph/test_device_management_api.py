"""The account, its counters of devices, the summary of onboarding and the connector's switch."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.support.admin import AdminWorld, Client
from tests.support.samples import NOON, TENANT_ID, counted_id

from shieldwall.policy.enrollment import Coverage, EnforcementScope
from shieldwall.server.graph.onboarding_summary import STATES, onboarding_state
from shieldwall.server.graph.threat_connectors import CONNECTOR_ID
from shieldwall.server.inventory.cleaning import CleanUpRules, put_rules
from shieldwall.server.manager.channel import partner_state
from shieldwall.server.storage.device_records import DeviceState

ROOT = "/beta/deviceManagement"
SUMMARY = f"{ROOT}/advancedThreatProtectionOnboardingStateSummary"
CONNECTORS = f"{ROOT}/mobileThreatDefenseConnectors"
CONNECTOR = f"{CONNECTORS}/{CONNECTOR_ID}"


def test_the_account_and_its_settings_are_told(graph: Client, world: AdminWorld) -> None:
    account = graph.get(ROOT).json()
    assert (account["id"], account["subscriptionState"]) == (TENANT_ID, "active")
    assert account["settings"] == graph.get(f"{ROOT}/settings").json()
    assert account["settings"]["deviceInactivityBeforeRetirementInDay"] == 0

    with world.writing() as connection:
        put_rules(connection, world.services.acting("console"), CleanUpRules(retire_inactive_after_days=90))
    assert graph.get(f"{ROOT}/settings").json()["deviceInactivityBeforeRetirementInDay"] == 90
    assert set(graph.get(ROOT, params={"$select": "subscriptionState"}).json()) == {"id", "subscriptionState"}


def test_managed_devices_are_counted_by_operating_system(graph: Client, world: AdminWorld) -> None:
    with world.writing() as connection:
        world.manager.join(connection, 1)
        world.manager.join(connection, 2, os_type="Windows")
        world.manager.join(connection, 3, os_type="Windows Server")
        world.manager.join(connection, 4, os_type="macOS", enrollment_code=3)
        world.manager.join(connection, 5, state=DeviceState.RETIRED)
    overview = graph.get(f"{ROOT}/managedDeviceOverview").json()
    systems = overview["deviceOperatingSystemSummary"]

    assert overview["enrolledDeviceCount"] == 3
    assert (systems["linuxCount"], systems["windowsCount"], systems["macOSCount"]) == (1, 2, 0)


def test_the_summary_counts_what_the_list_shows(graph: Client, world: AdminWorld) -> None:
    states = [DeviceState.ACTIVE, DeviceState.ACTIVE, DeviceState.PENDING, DeviceState.QUARANTINED, DeviceState.RETIRED]
    with world.writing() as connection:
        for number, state in enumerate(states, start=1):
            world.manager.join(connection, number, state=state)
        world.manager.join(connection, 8, enrollment_code=5)
        world.manager.join(connection, 9, enrollment_code=3)
    summary = graph.get(SUMMARY).json()
    listed = graph.get(f"{SUMMARY}/advancedThreatProtectionOnboardingDeviceSettingStates").json()["value"]
    counts = {state: summary[f"{state}DeviceCount"] for state in STATES}

    assert counts == {state: sum(each["state"] == state for each in listed) for state in STATES}
    shown = {"compliant": 2, "unknown": 1, "conflict": 1, "notApplicable": 1, "notAssigned": 1}
    assert counts == dict.fromkeys(STATES, 0) | shown


@pytest.mark.parametrize("state", list(DeviceState))
@pytest.mark.parametrize("code", [1, 3, 5, 8])
def test_every_device_is_in_one_of_the_published_states(state: DeviceState, code: int) -> None:
    assert onboarding_state(state, code, impaired=True) in STATES
    assert onboarding_state(state, code, impaired=False) in STATES


def test_a_device_that_reports_trouble_is_an_error() -> None:
    assert onboarding_state(DeviceState.ACTIVE, 1, impaired=True) == "error"
    assert onboarding_state(DeviceState.ACTIVE, 1, impaired=False) == "compliant"


def test_the_switch_of_the_connector_is_the_tenant_s(graph: Client) -> None:
    (connector,) = graph.get(CONNECTORS).json()["value"]
    assert connector == {**graph.get(CONNECTOR).json()}
    assert (connector["microsoftDefenderForEndpointAttachEnabled"], connector["partnerState"]) == (True, "notSetUp")

    answer = graph.patch(CONNECTOR, json={"microsoftDefenderForEndpointAttachEnabled": False})
    assert answer.json()["partnerState"] == "available"
    assert graph.get(f"{ROOT}/enforcementScope").json()["isAllowed"] is False


def test_a_platform_is_switched_off_and_comes_back_for_tagged_devices_alone(graph: Client) -> None:
    assert graph.patch(CONNECTOR, json={"windowsEnabled": False, "macEnabled": True}).json()["windowsEnabled"] is False
    scope = graph.get(f"{ROOT}/enforcementScope").json()
    assert (scope["windows"], scope["windowsServer"], scope["macOS"]) == ("off", "off", "all")

    graph.patch(CONNECTOR, json={"windowsEnabled": True})
    scope = graph.get(f"{ROOT}/enforcementScope").json()
    assert (scope["windows"], scope["windowsServer"]) == ("tagged", "tagged")


def test_the_connector_takes_back_what_it_gave_and_nothing_it_does_not_do(graph: Client) -> None:
    shown = graph.get(CONNECTOR).json()
    assert graph.patch(CONNECTOR, json=shown).json() == shown
    for body in ({"androidEnabled": True}, {"partnerUnresponsivenessThresholdInDays": 30}, {"surprise": 1}):
        assert graph.patch(CONNECTOR, json=body).status_code == 400, body
    assert graph.get(f"{CONNECTORS}/{counted_id('c', 1)}").status_code == 404


@pytest.mark.parametrize(
    ("scope", "days", "state"),
    [
        (EnforcementScope(is_allowed=False), 0, "available"),
        (EnforcementScope(), None, "notSetUp"),
        (EnforcementScope(), 6, "enabled"),
        (EnforcementScope(windows=Coverage.OFF), 8, "unresponsive"),
    ],
)
def test_the_state_of_the_connector_is_that_of_the_channel(
    scope: EnforcementScope, days: int | None, state: str
) -> None:
    heartbeat = None if days is None else NOON - timedelta(days=days)
    assert partner_state(scope, heartbeat, NOON) == state
