"""Tamper protection, time for troubleshooting, alerts and offboarding, over the API."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import select
from tests.support.admin import AdminWorld, Client
from tests.support.graph_bodies import GROUPS, MANAGED_DEVICES, a_group
from tests.support.samples import NOON, TENANT_ID, a_device, device_id

from shieldwall.contract import strict_json
from shieldwall.server.storage.device_records import DeviceState
from shieldwall.server.storage.devices import devices
from shieldwall.server.storage.events import alerts, audit
from shieldwall.server.storage.events.alerts import Alert, Severity
from shieldwall.server.storage.records import Page
from shieldwall.server.storage.tables.device_schema import alerts as schema_alerts
from shieldwall.server.storage.tables.device_schema import devices as schema_devices
from shieldwall.server.storage.tables.schema import groups
from shieldwall.trust.offboarding import open_offboarding

PROTECTION = "/beta/deviceManagement/tamperProtection"
PACKAGES = "/beta/deviceManagement/offboardingPackages"
ALERTS = "/beta/security/alerts_v2"
LAPTOP = f"{MANAGED_DEVICES}/{device_id(1)}"


def join(world: AdminWorld, number: int = 1, **changes: object) -> None:
    with world.writing() as connection:
        world.manager.join(connection, number, **changes)


def raise_alert(world: AdminWorld, number: int = 1, **changes: Any) -> str:
    fields: dict[str, Any] = {
        "id": f"aaaaaaaa-1111-4000-8000-{number:012x}",
        "tenant_id": TENANT_ID,
        "device_id": device_id(1),
        "kind": f"tamper.{number}",
        "severity": Severity.HIGH,
        "title": "Somebody tried",
        "details": '{"attempts":[]}',
        "first_at": NOON,
        "last_at": NOON,
    }
    with world.writing() as connection:
        alerts.raise_alert(connection, Alert(**(fields | changes)))
    return str((fields | changes)["id"])


def test_protection_is_previewed_set_and_shown(graph: Client, world: AdminWorld) -> None:
    join(world, 1)
    join(world, 2)
    group = graph.post(GROUPS, json=a_group()).json()["id"]
    wanted = {
        "enabled": True,
        "groups": [{"groupId": group, "enabled": False}],
        "excludedDevices": [device_id(1)],
    }
    effect = {"gained": 1, "lost": 0, "protected": 1, "devices": 2, "changeClass": "strengthen"}

    assert graph.post(f"{PROTECTION}/preview", json=wanted).json() == effect
    assert graph.get(PROTECTION).json()["enabled"] is False, "a preview changes nothing"
    answer = graph.put(PROTECTION, json=wanted)

    assert answer.status_code == 200, answer.text
    shown = graph.get(PROTECTION).json()
    assert shown["enabled"] is True
    assert [(word["groupId"], word["enabled"]) for word in shown["groups"]] == [(group, False)]
    assert shown["excludedDevices"] == [device_id(1)]
    assert shown["effect"] == effect | {"gained": 0, "changeClass": "neutral"}
    assert graph.get(LAPTOP).json()["shieldwall"]["protection"]["tamperProtected"] is False
    other = graph.get(f"{MANAGED_DEVICES}/{device_id(2)}").json()
    assert other["shieldwall"]["protection"] == {"tamperProtected": True, "troubleshootingEndDateTime": None}
    assert graph.put(PROTECTION, json=shown | {"effect": None}).status_code == 400
    back = graph.put(PROTECTION, json={name: shown[name] for name in ("enabled", "groups", "excludedDevices")})
    assert back.status_code == 200, "what was shown can be sent back"


@pytest.mark.parametrize(
    "body",
    [
        {"enabled": "yes"},
        {"enabled": True, "surprise": 1},
        {"groups": [{"groupId": "everybody", "enabled": True}]},
        {"groups": [{"groupId": device_id(9), "enabled": True}]},
        {"groups": [{"groupId": device_id(9), "enabled": True}] * 2},
        {"excludedDevices": [device_id(9)]},
        {"excludedDevices": [device_id(9)] * 1_001},
    ],
)
def test_what_cannot_be_protected_is_refused(embedded_graph: Client, body: dict[str, Any]) -> None:
    before = embedded_graph.get(PROTECTION).json()

    for answer in (embedded_graph.put(PROTECTION, json=body), embedded_graph.post(f"{PROTECTION}/preview", json=body)):
        assert answer.status_code == 400, answer.text
    assert embedded_graph.get(PROTECTION).json() == before


def test_a_single_device_is_excluded(graph: Client, world: AdminWorld) -> None:
    join(world)
    graph.put(PROTECTION, json={"enabled": True})

    answer = graph.post(f"{LAPTOP}/excludeFromTamperProtection", json={"excluded": True})

    assert answer.json()["lost"] == 1
    assert answer.json()["changeClass"] == "weaken"
    assert graph.get(PROTECTION).json()["excludedDevices"] == [device_id(1)]


def test_time_for_troubleshooting_begins_is_shown_and_ends(graph: Client, world: AdminWorld) -> None:
    join(world)
    graph.put(PROTECTION, json={"enabled": True})

    begun = graph.post(f"{LAPTOP}/startTroubleshooting", json={})
    assert begun.json() == {"tamperProtected": True, "troubleshootingEndDateTime": "2026-11-23T16:00:00.0000000Z"}
    longer = graph.post(f"{LAPTOP}/startTroubleshooting", json={"durationMinutes": 1_440}).json()
    assert longer["troubleshootingEndDateTime"] == "2026-11-24T12:00:00.0000000Z"
    for minutes in (0, 4, 1_441, "60"):
        assert graph.post(f"{LAPTOP}/startTroubleshooting", json={"durationMinutes": minutes}).status_code == 400

    world.clock.advance(days=1)
    client = world.application_client("DeviceManagementManagedDevices.Read.All")
    shown = client.get(LAPTOP).json()["shieldwall"]["protection"]
    assert shown["troubleshootingEndDateTime"] is None, "what is over by time is shown as over"
    client.close()
    world.clock.advance(days=-1)
    assert graph.post(f"{LAPTOP}/stopTroubleshooting").json()["troubleshootingEndDateTime"] is None


def test_troubleshooting_is_for_devices_that_are_managed(graph: Client, world: AdminWorld) -> None:
    join(world, state=DeviceState.DISABLED)

    answer = graph.post(f"{LAPTOP}/startTroubleshooting", json={})

    assert answer.status_code == 400
    assert answer.json()["error"]["innerError"]["code"] == "deviceNotManaged"


def test_a_device_is_told_to_leave_and_stays_in_sight(graph: Client, world: AdminWorld) -> None:
    join(world)

    assert graph.post(f"{LAPTOP}/retire").status_code == 204
    assert graph.delete(LAPTOP).status_code == 204

    assert graph.get(LAPTOP).json()["shieldwall"]["deviceState"] == "leaving"
    assert graph.delete(f"{LAPTOP}?force=maybe").status_code == 400
    assert graph.delete(f"{LAPTOP}?force=").status_code == 400
    assert graph.delete(f"{LAPTOP}?forced=true").status_code == 400
    assert graph.get(LAPTOP).json()["shieldwall"]["deviceState"] == "leaving"
    assert graph.delete(f"{LAPTOP}?force=true").status_code == 204
    with world.services.database.read() as connection:
        device = devices.get(connection, device_id(1))
        found = audit.list_events(connection, TENANT_ID, Page(), object_id=device_id(1))
    assert device.state is DeviceState.RETIRED
    assert {"device.leavingOrdered", "device.retired"} <= {event.activity for event in found}


def test_an_offboarding_package_is_made_and_listed(graph: Client, world: AdminWorld) -> None:
    join(world)

    made = graph.post(PACKAGES, json={"displayName": "Branch", "validDays": 2, "deviceIds": [device_id(1)]})

    assert made.status_code == 201, made.text
    package = open_offboarding(
        strict_json.encode(made.json()["package"]),
        world.signer.trust_root(),
        tenant_id=TENANT_ID,
        device_id=a_device(1).id,
        platform="linux",
        now=world.clock.now(),
    )
    assert package.device_ids == (device_id(1),)
    assert package.not_after == "2026-11-25T12:00:00Z"
    (listed,) = graph.get(PACKAGES).json()["value"]
    assert listed["id"] == package.package_id
    assert listed["createdBy"] == "app:Automation"
    assert "package" not in listed


@pytest.mark.parametrize(
    "body",
    [
        {"validDays": 0},
        {"validDays": 31},
        {"platforms": []},
        {"platforms": ["amiga"]},
        {"displayName": ""},
        {"deviceIds": ["x"]},
        {"deviceIds": [device_id(9)] * 501},
        {"maxUses": 5},
    ],
)
def test_an_offboarding_package_that_cannot_be_is_refused(embedded_graph: Client, body: dict[str, Any]) -> None:
    assert embedded_graph.post(PACKAGES, json=body).status_code == 400


def test_a_package_for_a_device_that_is_not_there_is_not_made(embedded_graph: Client) -> None:
    assert embedded_graph.post(PACKAGES, json={"deviceIds": [device_id(9)]}).status_code == 404
    assert embedded_graph.get(PACKAGES).json()["value"] == []


def test_alerts_are_listed_shown_and_resolved_once(graph: Client, world: AdminWorld) -> None:
    join(world)
    first, second = raise_alert(world, 1), raise_alert(world, 2)
    raise_alert(world, 1)

    listed = {each["id"]: each for each in graph.get(ALERTS).json()["value"]}
    assert listed.keys() == {first, second}
    assert listed[first]["shieldwall"]["times"] == 2
    assert listed[first]["evidence"][0]["deviceDnsName"] == "device-1"
    assert (listed[first]["status"], listed[first]["severity"]) == ("new", "high")

    resolved = graph.patch(f"{ALERTS}/{first}", json={"status": "resolved"})
    assert resolved.status_code == 200, resolved.text
    assert resolved.json()["status"] == "resolved"
    assert resolved.json()["shieldwall"]["resolvedBy"] == "app:Automation"
    assert graph.patch(f"{ALERTS}/{first}", json={"status": "resolved"}).json() == resolved.json()
    assert [each["id"] for each in graph.get(ALERTS, params={"$filter": "status eq 'new'"}).json()["value"]] == [second]
    done = graph.get(ALERTS, params={"$filter": "status eq 'resolved'"}).json()["value"]
    assert [each["id"] for each in done] == [first]
    with world.services.database.read() as connection:
        events = audit.list_events(connection, TENANT_ID, Page(), object_id=first)
    assert [event.activity for event in events] == ["alert.resolved"]


def test_alerts_come_in_pages(graph: Client, world: AdminWorld) -> None:
    wanted = [raise_alert(world, number) for number in range(1, 6)]
    address, seen = f"{ALERTS}?$top=2", []
    while address:
        page = graph.get(address).json()
        seen += [each["id"] for each in page["value"]]
        address = page.get("@odata.nextLink", "")

    assert seen == wanted


@pytest.mark.parametrize("body", [{}, {"status": "new"}, {"status": "resolved", "title": "x"}, {"status": None}])
def test_an_alert_is_only_ever_resolved(embedded_graph: Client, embedded: AdminWorld, body: dict[str, Any]) -> None:
    alert = raise_alert(embedded)

    assert embedded_graph.patch(f"{ALERTS}/{alert}", json=body).status_code == 400
    assert embedded_graph.get(f"{ALERTS}/{alert}").json()["status"] == "new"


@pytest.mark.parametrize("wanted", ["status eq 'open'", "nothing eq 'x'", "", "status eq 'new' or"])
def test_other_filters_are_refused(embedded_graph: Client, wanted: str) -> None:
    assert embedded_graph.get(ALERTS, params={"$filter": wanted}).status_code == 400


def test_what_another_tenant_has_is_not_there(graph: Client, world: AdminWorld) -> None:
    with world.services.database.read() as connection:
        foreign = connection.execute(select(schema_alerts.c.id).where(schema_alerts.c.tenant_id != TENANT_ID)).scalar()
        device = connection.execute(select(schema_devices.c.id).where(schema_devices.c.tenant_id != TENANT_ID)).scalar()
        group = connection.execute(select(groups.c.id).where(groups.c.tenant_id != TENANT_ID)).scalar()
    assert foreign
    assert device
    assert group

    assert graph.get(f"{ALERTS}/{foreign}").status_code == 404
    assert graph.patch(f"{ALERTS}/{foreign}", json={"status": "resolved"}).status_code == 404
    assert graph.get(ALERTS).json()["value"] == []
    assert graph.get(PACKAGES).json()["value"] == []
    for address in ("retire", "startTroubleshooting", "stopTroubleshooting"):
        assert graph.post(f"{MANAGED_DEVICES}/{device}/{address}", json={}).status_code == 404
    assert graph.delete(f"{MANAGED_DEVICES}/{device}?force=true").status_code == 404
    exclusion = graph.post(f"{MANAGED_DEVICES}/{device}/excludeFromTamperProtection", json={"excluded": True})
    assert exclusion.status_code == 404
    assert graph.put(PROTECTION, json={"excludedDevices": [device]}).status_code == 400
    assert graph.put(PROTECTION, json={"groups": [{"groupId": group, "enabled": True}]}).status_code == 400
    assert graph.post(PACKAGES, json={"deviceIds": [device]}).status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "permission"),
    [
        ("PUT", PROTECTION, "DeviceManagementConfiguration.Read.All"),
        ("PATCH", f"{ALERTS}/x", "SecurityAlert.Read.All"),
        ("GET", ALERTS, "DeviceManagementManagedDevices.ReadWrite.All"),
        ("POST", PACKAGES, "DeviceManagementManagedDevices.Read.All"),
        ("POST", f"{LAPTOP}/startTroubleshooting", "DeviceManagementManagedDevices.Read.All"),
        ("DELETE", LAPTOP, "DeviceManagementManagedDevices.PrivilegedOperations.All"),
    ],
)
def test_who_may_not_is_refused(embedded: AdminWorld, method: str, path: str, permission: str) -> None:
    client = embedded.application_client(permission)

    assert client.request(method, path, content=json.dumps({})).status_code == 403
    client.close()
