"""``/devices`` as Graph has it, what waits, and who vouches: imported, changed, approved, deleted."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from tests.support.admin import AdminWorld, Client
from tests.support.graph_bodies import GROUPS, MANAGED_DEVICES, a_group
from tests.support.other_directory import Holder, OtherDirectory, a_key
from tests.support.samples import NOON, TENANT_ID, a_device, counted_id, device_id

from shieldwall.contract.strict_json import digest_of_bytes
from shieldwall.server.storage.check_ins import check_ins
from shieldwall.server.storage.device_records import DeviceState
from shieldwall.server.storage.devices import devices, spent_keys
from shieldwall.server.storage.events import audit
from shieldwall.server.storage.records import Page
from shieldwall.trust.device_key import DeviceKey, public_key_bytes

DEVICES = "/v1.0/devices"
AUTHORITIES = "/beta/deviceManagement/directoryAuthorities"
FULL = device_id(77)


@pytest.fixture
def directory() -> OtherDirectory:
    return OtherDirectory(NOON)


@pytest.fixture
def holder(directory: OtherDirectory) -> Holder:
    return directory.holder(FULL, key=a_key("rsa"))


def a_registration(holder: Holder, **changes: Any) -> dict[str, Any]:
    return {
        "deviceId": FULL,
        "displayName": "web-77",
        "operatingSystem": "Linux",
        "operatingSystemVersion": "12",
        "trustType": "ServerAd",
        "accountEnabled": True,
        "certificate": holder.pem,
    } | changes


def test_a_registration_is_imported_read_listed_changed_and_deleted(graph: Client, holder: Holder) -> None:
    made = graph.post(DEVICES, json=a_registration(holder))
    assert made.status_code == 201
    resource = made.json()
    assert (resource["deviceId"], resource["trustType"], resource["accountEnabled"]) == (FULL, "ServerAd", True)
    assert resource["id"] != FULL

    path = f"{DEVICES}/{resource['id']}"
    for same in (path, f"{DEVICES}/{FULL}", f"{DEVICES}(deviceId='{FULL}')", f"{DEVICES}('{resource['id']}')"):
        assert graph.get(same).json() == resource
    assert graph.get(f"{DEVICES}(deviceId='{resource['id']}')").status_code == 404

    changes = {"accountEnabled": False, "displayName": "renamed", "isManaged": True, "managementType": "MDM"}
    assert graph.patch(f"{DEVICES}(deviceId='{FULL}')", json=changes).status_code == 204
    after = graph.get(path).json()
    assert {name: after[name] for name in changes} == changes
    assert graph.patch(path, json={"isManaged": False}).status_code == 204
    assert graph.get(path).json()["managementType"] is None

    assert graph.delete(path).status_code == 204
    assert graph.get(path).status_code == 404
    assert graph.get(DEVICES).json()["value"] == []
    assert graph.post(DEVICES, json=a_registration(holder)).status_code == 201, "an import may be made again"


def test_a_security_identifier_names_the_certificate(graph: Client, holder: Holder, directory: OtherDirectory) -> None:
    (identifier,) = graph.post(DEVICES, json=a_registration(holder)).json()["alternativeSecurityIds"]
    text = base64.b64decode(identifier["key"]).decode("utf-16-le")
    assert text.startswith("X509:<SHA1-TP-PUBKEY>")
    graph.delete(f"{DEVICES}/{FULL}")

    longer = base64.b64encode(f"{text}{'A' * 43}=".encode("utf-16-le")).decode()
    for key in (identifier["key"], longer):
        body = a_registration(holder, alternativeSecurityIds=[{"type": 2, "key": key, "identityProvider": None}])
        assert graph.post(DEVICES, json=body).status_code == 201
        graph.delete(f"{DEVICES}/{FULL}")
    other = directory.holder(FULL)
    for wrong in (
        a_registration(other, alternativeSecurityIds=[{"type": 2, "key": identifier["key"]}]),
        a_registration(holder, alternativeSecurityIds=[{"type": 1, "key": identifier["key"]}]),
        a_registration(holder, alternativeSecurityIds=[{"type": 2, "key": "AAAA"}]),
        a_registration(holder, alternativeSecurityIds=[{"type": 2, "key": "not base64"}]),
    ):
        assert graph.post(DEVICES, json=wrong).status_code == 400


@pytest.mark.parametrize(
    "changes",
    [
        {"deviceId": "x"},
        {"displayName": ""},
        {"displayName": "a\u0007"},
        {"trustType": "Synthetic"},
        {"certificate": ""},
        {"certificate": "-----BEGIN CERTIFICATE-----\nnothing\n-----END CERTIFICATE-----"},
        {"certificate": "AAAA"},
        {"accountEnabled": "yes"},
        {"managementType": "x" * 33},
        {"operatingSystem": "x" * 33},
        {"unknown": 1},
    ],
    ids=str,
)
def test_a_registration_that_cannot_be_is_refused(embedded_graph: Client, changes: dict[str, Any]) -> None:
    body = a_registration(OtherDirectory(NOON).holder(FULL)) | changes
    assert embedded_graph.post(DEVICES, json=body).status_code == 400


def test_an_id_or_a_key_is_imported_once(graph: Client, world: AdminWorld, directory: OtherDirectory) -> None:
    with world.writing() as connection:
        world.manager.join(connection, 1)
    holder = directory.holder(FULL)
    assert graph.post(DEVICES, json=a_registration(holder)).status_code == 201
    for again in (
        a_registration(directory.holder(FULL)),
        a_registration(holder, deviceId=device_id(78)),
        a_registration(directory.holder(device_id(1)), deviceId=device_id(1)),
    ):
        answer = graph.post(DEVICES, json=again)
        assert (answer.status_code, answer.json()["error"]["innerError"]["code"]) == (409, "alreadyExists")


def test_devices_and_unused_registrations_are_one_list(
    graph: Client, world: AdminWorld, directory: OtherDirectory
) -> None:
    with world.writing() as connection:
        for number in (1, 3, 5):
            world.manager.join(connection, number)
    for number in (2, 4, 6):
        body = a_registration(directory.holder(device_id(number)), deviceId=device_id(number))
        assert graph.post(DEVICES, json=body).status_code == 201
    seen: list[str] = []
    following: str | None = f"{DEVICES}?$top=2"
    while following is not None:
        page = graph.get(following).json()
        assert len(page["value"]) == 2
        seen += [each["deviceId"] for each in page["value"]]
        following = page.get("@odata.nextLink")
    assert seen == [device_id(number) for number in range(1, 7)]


def test_what_administrators_note_of_a_device_is_kept_and_groups_may_ask_for_it(
    graph: Client, world: AdminWorld
) -> None:
    with world.writing() as connection:
        world.manager.join(connection, 1)
    path = f"{DEVICES}/{a_device(1).object_id}"
    rule = '(device.extensionAttribute7 -eq "edge")'
    group = graph.post(GROUPS, json=a_group("Edge", rule)).json()["id"]

    changes: dict[str, Any] = {
        "extensionAttributes": {"extensionAttribute7": "edge", "extensionAttribute1": "x"},
        "deviceCategory": "Kiosk",
        "deviceOwnership": "Personal",
    }
    assert graph.patch(path, json=changes).status_code == 204
    found = graph.get(path).json()
    assert found["extensionAttributes"]["extensionAttribute7"] == "edge"
    assert (found["deviceCategory"], found["deviceOwnership"]) == ("Kiosk", "Personal")
    assert len(graph.get(f"{GROUPS}/{group}/members").json()["value"]) == 1

    assert graph.patch(path, json={"extensionAttributes": {"extensionAttribute7": None}}).status_code == 204
    found = graph.get(path).json()["extensionAttributes"]
    assert (found["extensionAttribute7"], found["extensionAttribute1"]) == (None, "x")
    assert graph.get(f"{GROUPS}/{group}/members").json()["value"] == []


@pytest.mark.parametrize(
    "changes",
    [
        {"extensionAttributes": {"extensionAttribute16": "x"}},
        {"extensionAttributes": {"extensionAttribute1": ""}},
        {"extensionAttributes": {"extensionAttribute1": "x" * 1025}},
        {"extensionAttributes": "x"},
        {"deviceOwnership": "Nobody"},
        {"deviceCategory": "x" * 257},
        {"displayName": ""},
        {"accountEnabled": None},
        {"managementType": "MDM"},
        {"isManaged": True},
        {"trustType": "AzureAd"},
    ],
    ids=lambda changes: str(changes)[:50],
)
def test_a_change_that_cannot_be_is_refused(graph: Client, world: AdminWorld, changes: dict[str, Any]) -> None:
    with world.writing() as connection:
        world.manager.join(connection, 1)
    before = graph.get(f"{DEVICES}/{device_id(1)}").json()
    assert graph.patch(f"{DEVICES}/{device_id(1)}", json=changes).status_code == 400
    assert graph.get(f"{DEVICES}/{device_id(1)}").json() == before


def test_details_of_a_registration_that_no_device_uses_have_no_place(graph: Client, holder: Holder) -> None:
    graph.post(DEVICES, json=a_registration(holder))
    assert graph.patch(f"{DEVICES}/{FULL}", json={"deviceCategory": "Kiosk"}).status_code == 400


def test_a_device_is_disabled_and_enabled(graph: Client, world: AdminWorld) -> None:
    with world.writing() as connection:
        world.manager.join(connection, 1)
    path = f"{DEVICES}(deviceId='{device_id(1)}')"
    for enabled in (False, True):
        assert graph.patch(path, json={"accountEnabled": enabled}).status_code == 204
        assert graph.get(path).json()["accountEnabled"] is enabled


def test_a_deleted_device_is_in_no_view_and_no_group(graph: Client, world: AdminWorld) -> None:
    with world.writing() as connection:
        for number in (1, 2):
            world.manager.join(connection, number)
    group = graph.post(GROUPS, json=a_group("All", '(device.displayName -startsWith "device")')).json()["id"]

    assert graph.delete(f"{DEVICES}(deviceId='{device_id(1)}')").status_code == 204

    for listing in (DEVICES, MANAGED_DEVICES, f"{GROUPS}/{group}/members"):
        assert len(graph.get(listing).json()["value"]) == 1, listing
    for gone in (f"{DEVICES}/{device_id(1)}", f"{MANAGED_DEVICES}/{device_id(1)}"):
        assert graph.get(gone).status_code == 404
    assert graph.delete(f"{DEVICES}(deviceId='{device_id(1)}')").status_code == 404
    with world.services.database.read() as connection:
        spent = spent_keys.find(connection, a_device(1).key_thumbprint)
        trail = audit.list_events(connection, TENANT_ID, Page())
    assert spent is not None
    assert spent.reason == "deleted"
    assert [event.actor for event in trail if event.activity == "device.deleted"] == ["app:Automation"]


def waiting(world: AdminWorld, *, replaces: bool = False) -> None:
    """Device 1, and device 2 that waits and names the same machine."""
    machine = digest_of_bytes(b"machine")
    key = DeviceKey.generate()
    with world.writing() as connection:
        world.manager.join(connection, 1)
        devices.put(connection, a_device(1, machine_id_hash=machine, tags=("web",)))
        record = a_device(
            2,
            state=DeviceState.PENDING,
            state_reason="duplicateHardware",
            machine_id_hash=machine,
            replaces=device_id(1) if replaces else None,
            key_thumbprint=key.thumbprint,
            public_key=public_key_bytes(key.public_key),
            certificate="",
        )
        devices.add(connection, record)
        check_ins.add(connection, record.id)


def test_duplicates_stand_side_by_side_and_one_may_take_the_others_place(graph: Client, world: AdminWorld) -> None:
    waiting(world, replaces=True)
    path = f"{MANAGED_DEVICES}/{device_id(2)}"

    first, second = graph.get(f"{path}/duplicates").json()["value"]
    assert (first["id"], second["id"]) == (device_id(2), device_id(1))
    assert [each["comparison"]["sameHardware"] for each in (first, second)] == [["machineId"], ["machineId"]]
    assert (first["comparison"]["state"], second["comparison"]["state"]) == ("pending", "active")
    assert first["comparison"]["replaces"] == device_id(1)

    approved = graph.post(f"{path}/approve", json={"replace": True})
    assert (approved.status_code, approved.json()["shieldwall"]["deviceState"]) == (200, "active")
    assert approved.json()["shieldwall"]["tags"] == ["MDE-Management", "web"]
    assert graph.get(f"{MANAGED_DEVICES}/{device_id(1)}").json()["shieldwall"]["deviceState"] == "retired"
    assert graph.post(f"{path}/approve").status_code == 409


def test_who_waits_is_approved_alone_or_rejected(graph: Client, world: AdminWorld) -> None:
    waiting(world)
    path = f"{MANAGED_DEVICES}/{device_id(2)}"
    assert graph.patch(f"{DEVICES}/{device_id(2)}", json={"accountEnabled": True}).status_code in {400, 409}
    answer = graph.post(f"{path}/approve", json={"replace": True})
    assert (answer.status_code, answer.json()["error"]["innerError"]["code"]) == (400, "nothingToReplace")
    assert graph.post(f"{path}/approve", json={"other": 1}).status_code == 400
    assert graph.post(f"{path}/reject").status_code == 204
    assert graph.get(path).json()["shieldwall"]["deviceState"] == "retired"
    assert graph.post(f"{path}/reject").status_code == 409
    assert graph.post(f"{MANAGED_DEVICES}/{device_id(9)}/approve").status_code == 404


def test_authorities_are_trusted_listed_and_distrusted(graph: Client, directory: OtherDirectory) -> None:
    made = graph.post(AUTHORITIES, json={"displayName": "Contoso", "certificate": directory.pem})
    assert (made.status_code, made.json()["subject"]) == (201, "CN=Contoso devices")
    assert graph.get(AUTHORITIES).json()["value"] == [made.json()]
    for wrong in ({"displayName": "", "certificate": directory.pem}, {"displayName": "x", "certificate": "x"}):
        assert graph.post(AUTHORITIES, json=wrong).status_code == 400
    path = f"{AUTHORITIES}/{made.json()['id']}"
    assert graph.delete(path).status_code == 204
    assert graph.delete(path).status_code == 404
    assert graph.delete(f"{AUTHORITIES}/{counted_id('a', 9)}").status_code == 404
