"""Reports over slices of a fleet: from memory and from the database they are the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import pytest
from tests.graph.test_reports_api import LEVEL, NOWHERE, REPORTS, S, about, asked, reports, rows
from tests.support.admin import AdminWorld, Client
from tests.support.graph_bodies import POLICIES, TO_ALL_DEVICES, a_policy
from tests.support.people import a_person, token_client
from tests.support.samples import TENANT_ID, device_id, group_id

from shieldwall.contract.ids import PolicyId
from shieldwall.server.access.permissions import PERMISSIONS
from shieldwall.server.configuration.settings_file import HistorySettings
from shieldwall.server.graph.reports.fleet_reports import ACTIONS
from shieldwall.server.graph.reports.known import ACTIONS as PUBLISHED
from shieldwall.server.manager.figures import FleetFigures
from shieldwall.server.periodic.keeping_history import keeping_history
from shieldwall.server.reporting.following import FleetReports
from shieldwall.server.storage.access import scope_tags
from shieldwall.server.storage.access_records import ScopeTag
from shieldwall.server.storage.device_records import DeviceState

OF_ONE_DEVICE = {
    "getConfigurationPoliciesReportForDevice",
    "getConfigurationSettingsReport",
    "getConfigurationSettingDetailsReport",
    "getConfigurationSettingNonComplianceReport",
}
DEVICES, OF_POLICIES, OF_SETTINGS = ACTIONS
SLICES = (
    "",
    "(OS eq 'Linux')",
    f"(GroupId eq '{group_id(1)}')",
    f"(GroupId eq '{group_id(1)}') and (AgentVersion eq '0.1.0') and (DeviceTag eq 'rare')",
    "(DeviceState eq 'quarantined')",
    "(EnrollmentCode eq '1') and (OSVersion eq 'Debian 12') and (ManagedBy eq 'MDE')",
    "(AttestationLevel eq 'none')",
    "(OS eq 'BeOS')",
)


@dataclass
class Scene:
    """The same fleet twice: asked in the database, and in memory."""

    stored: AdminWorld
    held: AdminWorld
    policy: PolicyId

    def both(self, action: str, client: Any = None, **body: Any) -> dict[str, Any]:
        """Ask both, hold that they say the same, and return it."""
        make = client or (lambda world: world.application_client(*PERMISSIONS))
        with closing(make(self.stored)) as stored, closing(make(self.held)) as held:
            one, other = asked(stored, action, **body), asked(held, action, **body)
        key = str
        assert sorted(one["Values"], key=key) == sorted(other["Values"], key=key)
        assert {**one, "Values": 0, "AsOf": 0} == {**other, "Values": 0, "AsOf": 0}
        return other


@pytest.fixture
def scene(world: AdminWorld, graph: Client) -> Iterator[Scene]:
    """Six devices, three of them in a group with a scope tag, with a policy for all."""
    with world.writing() as connection:
        devices = [
            world.manager.join(
                connection,
                number,
                os_type="Windows" if number == 6 else "Linux",
                tags=("Rare",) if number % 2 else (),
                state=DeviceState.QUARANTINED if number == 5 else DeviceState.ACTIVE,
            )
            for number in range(1, 7)
        ]
        group = world.manager.group(connection, 1, *devices[:3])
        now = world.clock.now()
        scope_tags.add(
            connection, ScopeTag(id="7", tenant_id=TENANT_ID, display_name="Seven", description="", created_at=now)
        )
        scope_tags.set_groups(connection, TENANT_ID, "7", [group])
    made = PolicyId(graph.post(POLICIES, json=a_policy("Shields", roleScopeTagIds=["0", "7"])).json()["id"])
    graph.post(f"{POLICIES}/{made}/assign", json={"assignments": [TO_ALL_DEVICES]})
    with world.writing() as connection:
        for device, state in zip(devices, (S.SUCCEEDED, S.ERROR, S.CONFLICT), strict=False):
            reports(connection, device, state)
    services = world.services
    fleets = FleetReports(services.database, services.catalog, services.clock, new_mark=services.new_id, from_devices=0)
    fleets.current(TENANT_ID)
    fleets.follow()
    figures = FleetFigures(small=0, quicker=fleets)
    held = replace(world, services=replace(services, fleets=fleets, figures=figures))
    assert fleets.current(TENANT_ID) is not None
    yield Scene(world, held, made)
    fleets.close()


@pytest.mark.parametrize("action", ACTIONS)
def test_any_slice_is_counted_alike_in_memory_and_in_the_database(scene: Scene, action: str) -> None:
    for filtered in SLICES:
        scene.both(action, filter=filtered)


def test_a_slice_says_how_its_devices_stand(scene: Scene) -> None:
    (row,) = rows(scene.both(OF_SETTINGS, filter=f"(GroupId eq '{group_id(1)}') and {about(scene.policy)}"))
    counts = {state: row[f"NumberOf{state}Devices"] for state in ("Succeeded", "Error", "Conflict", "Pending")}
    assert counts == {"Succeeded": 1, "Error": 1, "Conflict": 1, "Pending": 0}
    assert row["GroupId"] == group_id(1)
    (rare,) = rows(scene.both(OF_POLICIES, filter="(DeviceTag eq 'rare')"))
    assert (rare["NumberOfDevices"], rare["NumberOfErrorDevices"]) == (2, 0), "the third is not active"
    found = {(row["Property"], row["Value"]): row["NumberOfDevices"] for row in rows(scene.both(DEVICES))}
    assert found["OS", "Linux"] == 5
    assert found["OS", "Windows"] == 1
    assert found["DeviceState", "quarantined"] == 1
    assert found["PolicyState", "error"] == 1


def test_what_a_filter_says_beside_its_slice_holds_too(scene: Scene) -> None:
    linux = scene.both(DEVICES, filter="(OS eq 'Linux') and (Property eq 'OS')")
    nothing = scene.both(DEVICES, filter="(OS eq 'Linux') and (OS ne 'Linux')")

    assert [(row["Property"], row["Value"], row["NumberOfDevices"]) for row in rows(linux)] == [("OS", "Linux", 5)]
    assert (nothing["TotalRowCount"], nothing["Values"]) == (0, [])


def test_who_sees_some_devices_counts_those(scene: Scene) -> None:
    person = a_person(scene.stored, tags=["7"])

    def narrowed(world: AdminWorld) -> Client:
        return token_client(world, person)

    (row,) = rows(scene.both(OF_POLICIES, narrowed))
    assert row["NumberOfDevices"] == 3
    found = {(row["Property"], row["Value"]): row["NumberOfDevices"] for row in rows(scene.both(DEVICES, narrowed))}
    assert found["OS", "Linux"] == 3
    assert ("OS", "Windows") not in found
    for world in (scene.stored, scene.held):
        with closing(narrowed(world)) as client:
            summary = client.get(f"{POLICIES}/{scene.policy}/statusSummary").json()
            assert {state: number for state, number in summary.items() if number and state in {*S}} == {
                "succeeded": 1,
                "error": 1,
                "conflict": 1,
            }


def test_published_reports_are_the_same_in_memory(scene: Scene) -> None:
    for action in PUBLISHED.keys() - OF_ONE_DEVICE:
        scene.both(action, filter="" if "NonCompliance" in action else about(scene.policy))


def test_answers_say_of_which_moment_they_are(scene: Scene) -> None:
    assert scene.both(DEVICES)["AsOf"] == "2026-11-23T12:00:00.0000000Z"


def test_what_a_fleet_was_is_asked_of_its_days(scene: Scene) -> None:
    services = scene.held.services
    settings = replace(services.settings, history=HistorySettings())
    kept = replace(scene.held, services=replace(services, settings=settings))
    with closing(kept.application_client(*PERMISSIONS)) as client:
        assert asked(client, "getFleetHistoryReport")["Values"] == [], "nothing was kept yet"
        keeping = keeping_history(kept.services)
        assert keeping is not None
        keeping.keep(TENANT_ID)
        (policy,) = rows(asked(client, "getPolicyHistoryReport", filter=about(scene.policy)))
        assert (policy["Day"], policy["PolicyName"], policy["NumberOfErrorDevices"]) == ("2026-11-23", "Shields", 1)
        (setting,) = rows(asked(client, "getSettingHistoryReport", filter=about(scene.policy)))
        assert (setting["SettingId"], setting["NumberOfDevices"]) == (LEVEL, policy["NumberOfDevices"])
        (device,) = rows(asked(client, "getDeviceHistoryReport", filter=f"(IntuneDeviceId eq '{device_id(2)}')"))
        assert (device["PolicyState"], device["DeviceState"], device["OS"]) == ("error", "active", "Linux")
        fleet = rows(asked(client, "getFleetHistoryReport", filter="(Day ge '2026-11-20') and (Property eq 'os')"))
        assert {row["Value"]: row["NumberOfDevices"] for row in fleet} == {"Linux": 5, "Windows": 1}
        assert asked(client, "getFleetHistoryReport", filter="Day gt '2026-11-23'")["Values"] == []
        refused = client.post(f"{REPORTS}/getFleetHistoryReport", json={"filter": "Day ge 'yesterday'"})
        assert refused.status_code == 400


@pytest.mark.parametrize(
    ("filtered", "status"),
    [
        ("OS ne 'Linux'", 400),
        ("(OS eq 'Linux') or (OS eq 'Windows')", 400),
        ("GroupId eq 'nobody'", 400),
        ("EnrollmentCode eq 'x'", 400),
        (f"GroupId eq '{NOWHERE}'", 404),
    ],
)
def test_a_slice_is_named_plainly(graph: Client, filtered: str, status: int) -> None:
    answer = graph.post(f"{REPORTS}/{DEVICES}", json={"filter": filtered})
    assert answer.status_code == status, answer.text
