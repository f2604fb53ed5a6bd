"""The API of Defender for Endpoint: machines, tags, orders, its own tokens and its own errors."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import pytest
from tests.support.admin import AdminWorld, Client
from tests.support.graph_bodies import GROUPS, MANAGED_DEVICES, a_group
from tests.support.graph_routes import defender_routes_of
from tests.support.people import a_person, token_client
from tests.support.samples import counted_id, device_id
from tests.support.second_tenant import FABRIKAM_DEVICE

from shieldwall.contract.errors import InvalidIdError
from shieldwall.contract.ids import DeviceId
from shieldwall.server.access.permissions import PERMISSIONS
from shieldwall.server.directory.apps import create_app
from shieldwall.server.directory.resource_names import Api
from shieldwall.server.graph.defender.machines import UNSUPPORTED
from shieldwall.server.inventory.machine_ids import device_id_of, machine_id_of
from shieldwall.server.inventory.offboarding import offboard
from shieldwall.server.storage.device_records import DeviceState
from shieldwall.server.storage.devices import devices
from shieldwall.server.storage.tables.schema import check_ins as rows

MACHINES = "/api/machines"
ACTIONS = "/api/machineactions"
FIRST = machine_id_of(device_id(1))
NOBODY = machine_id_of(DeviceId(counted_id("c", 1)))


@pytest.fixture
def machine(world: AdminWorld) -> str:
    """One machine, by its id."""
    with world.writing() as connection:
        return machine_id_of(world.manager.join(connection, 1))


def test_ids_of_machines_lead_to_devices_and_back() -> None:
    assert len(FIRST) == 40
    assert device_id_of(FIRST) == device_id_of(FIRST.upper()) == device_id(1)
    for wrong in ("", "x" * 40, FIRST[:39], FIRST[:-1] + "0", device_id(1)):
        with pytest.raises(InvalidIdError):
            device_id_of(wrong)


def test_a_machine_is_shown_with_every_published_member(graph: Client, world: AdminWorld) -> None:
    with world.writing() as connection:
        machine = machine_id_of(world.manager.join(connection, 1, architecture="aarch64", trust_type="AzureAd"))
    shown = graph.get(f"{MACHINES}/{machine}").json()

    expected = {
        "id": machine,
        "computerDnsName": "device-1",
        "osPlatform": "Linux",
        "osProcessor": "arm64",
        "osArchitecture": "64-bit",
        "version": "Debian 12",
        "healthStatus": "Active",
        "onboardingStatus": "Onboarded",
        "isAadJoined": True,
        "aadDeviceId": device_id(1),
        "machineTags": ["MDE-Management"],
        "managedBy": "MicrosoftDefenderForEndpoint",
        "managedByStatus": "Success",
        "ipAddresses": [],
    }
    assert expected.items() <= shown.items()
    assert shown["@odata.context"].endswith("/api/$metadata#Machines/$entity")


@pytest.mark.parametrize(
    ("asked", "numbers"),
    [
        ({"$filter": "healthStatus eq 'Inactive'"}, [2]),
        ({"$filter": "osPlatform eq 'windowsserver'"}, [3]),
        ({"$filter": "startswith(computerDnsName,'device-') and machineTags/any(t:t eq 'edge')"}, [2]),
        ({"$filter": f"id eq '{machine_id_of(device_id(2))}'"}, [2]),
        ({"$filter": f"aadDeviceId eq {device_id(3)}"}, [3]),
        ({"$filter": "onboardingStatus eq 'Onboarded' and riskScore eq 'None'"}, [2, 3]),
        ({"$filter": "lastSeen gt 2026-11-20T00:00:00Z"}, [1, 3]),
        ({"$orderby": "computerDnsName desc", "$top": "2"}, [3, 2]),
        ({"$top": "10000", "$skip": "1"}, [2, 3]),
    ],
)
def test_machines_are_filtered_ordered_and_skipped(
    graph: Client, world: AdminWorld, asked: dict[str, str], numbers: list[int]
) -> None:
    with world.writing() as connection:
        world.manager.join(connection, 1, state=DeviceState.PENDING)
        world.manager.join(connection, 2, tags=("edge",), registered_at=world.clock.at.replace(day=1))
        world.manager.join(connection, 3, os_type="Windows Server")
    answer = graph.get(MACHINES, params=asked)

    assert answer.status_code == 200, answer.text
    assert [each["id"] for each in answer.json()["value"]] == [machine_id_of(device_id(each)) for each in numbers]


@pytest.mark.parametrize("asked", [{"$top": "10001"}, {"$filter": "secret eq 1"}, {"$filter": "id eq"}, {"$x": "1"}])
def test_a_question_that_cannot_be_asked_is_refused(embedded_graph: Client, asked: dict[str, str]) -> None:
    answer = embedded_graph.get(MACHINES, params=asked)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "BadRequest")
    assert answer.json()["error"]["target"].startswith("|")


def test_a_machine_gains_and_loses_tags(graph: Client, machine: str) -> None:
    tags = f"{MACHINES}/{machine}/tags"
    assert graph.post(tags, json={"Value": "edge", "Action": "Add"}).json()["machineTags"] == ["MDE-Management", "edge"]
    assert graph.post(tags, json={"Value": "edge", "Action": "Remove"}).json()["machineTags"] == ["MDE-Management"]
    changed = graph.patch(f"{MACHINES}/{machine}", json={"machineTags": ["lab"], "deviceValue": "Normal"})
    assert changed.json()["machineTags"] == ["MDE-Management", "lab"]
    assert graph.patch(f"{MACHINES}/{machine}", json={"deviceValue": "High"}).status_code == 400
    assert graph.post(tags, json={"Value": "edge", "Action": "Surprise"}).status_code == 400


def test_several_machines_are_tagged_or_none(graph: Client, world: AdminWorld) -> None:
    with world.writing() as connection:
        ids = [machine_id_of(world.manager.join(connection, number)) for number in (1, 2)]
    path = f"{MACHINES}/AddOrRemoveTagForMultipleMachines"
    answer = graph.post(path, json={"Value": "lab", "Action": "Add", "MachineIds": ids})
    assert [each["machineTags"] for each in answer.json()["value"]] == [["MDE-Management", "lab"]] * 2

    refused = graph.post(path, json={"Value": "lab", "Action": "Remove", "MachineIds": [*ids, NOBODY]})
    assert refused.status_code == 404
    assert graph.get(f"{MACHINES}/{ids[0]}").json()["machineTags"] == ["MDE-Management", "lab"]


def test_a_machine_is_told_to_leave_and_the_order_is_followed(graph: Client, world: AdminWorld, machine: str) -> None:
    path = f"{MACHINES}/{machine}/offboard"
    assert graph.post(path, json={}).status_code == 400, "a comment is required"
    made = graph.post(path, json={"Comment": "Sold"})
    assert made.status_code == 201, made.text
    action = made.json()
    assert (action["type"], action["status"], action["machineId"]) == ("Offboard", "Pending", machine)
    assert (action["requestor"], action["requestorComment"]) == ("Automation", "Sold")
    assert graph.post(path, json={"Comment": "Again"}).json()["id"] == action["id"], "twice is once"
    assert graph.get(f"{MANAGED_DEVICES}/{device_id(1)}").json()["managementState"] == "retirePending"

    world.clock.advance(minutes=1)
    with world.writing() as connection:
        heard = rows.update().where(rows.c.device_id == device_id(1)).values(last_check_in=world.clock.now())
        connection.execute(heard)
    assert graph.get(f"{ACTIONS}/{action['id']}").json()["status"] == "InProgress"
    late = graph.post(f"{ACTIONS}/{action['id']}/cancel", json={"Comment": "Kept"})
    assert (late.status_code, late.json()["error"]["innerError"]["code"]) == (409, "tooLate")

    with world.writing() as connection:
        offboard(connection, world.services.acting("device"), device_id(1))
    assert graph.get(f"{ACTIONS}/{action['id']}").json()["status"] == "Succeeded"
    assert graph.get(f"{MACHINES}/{machine}").json()["onboardingStatus"] == "CanBeOnboarded"
    assert graph.post(path, json={"Comment": "Again"}).status_code == 409


def test_an_order_is_taken_back_before_the_machine_heard_of_it(graph: Client, world: AdminWorld, machine: str) -> None:
    group = graph.post(GROUPS, json=a_group("Servers")).json()["id"]
    graph.post(f"{GROUPS}/{group}/members/$ref", json={"@odata.id": f"https://x/devices/{device_id(1)}"})
    action = graph.post(f"{MACHINES}/{machine}/offboard", json={"Comment": "Sold"}).json()["id"]
    assert graph.get(f"{GROUPS}/{group}/members").json()["value"] == []

    back = graph.post(f"{ACTIONS}/{action}/cancel", json={"Comment": "Kept"}).json()
    assert (back["status"], back["cancellationComment"], back["cancellationRequestor"]) == (
        "Cancelled",
        "Kept",
        "Automation",
    )
    with world.writing() as connection:
        assert devices.get(connection, device_id(1)).state is DeviceState.ACTIVE
    assert len(graph.get(f"{GROUPS}/{group}/members").json()["value"]) == 1
    assert graph.post(f"{ACTIONS}/{action}/cancel", json={"Comment": "Again"}).status_code == 409


def test_orders_are_listed_and_filtered(graph: Client, world: AdminWorld) -> None:
    with world.writing() as connection:
        ids = [machine_id_of(world.manager.join(connection, number)) for number in (1, 2)]
    orders = [graph.post(f"{MACHINES}/{each}/offboard", json={"Comment": "x"}).json()["id"] for each in ids]
    graph.post(f"{ACTIONS}/{orders[1]}/cancel", json={"Comment": "x"})

    assert {each["id"] for each in graph.get(ACTIONS).json()["value"]} == set(orders)
    found = graph.get(ACTIONS, params={"$filter": "status eq 'Pending' and type eq 'Offboard'"}).json()["value"]
    assert [each["id"] for each in found] == [orders[0]]
    assert graph.get(f"{ACTIONS}/{counted_id('c', 1)}").status_code == 404


def test_what_needs_a_sensor_is_refused(graph: Client, machine: str) -> None:
    for action in UNSUPPORTED:
        answer = graph.post(f"{MACHINES}/{machine}/{action}", json={"Comment": "x"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (501, "NotImplemented"), action


def test_errors_have_the_shape_of_this_api(graph: Client, world: AdminWorld) -> None:
    for answer, code in (
        (graph.get(f"{MACHINES}/{NOBODY}"), "ResourceNotFound"),
        (graph.get("/api/surprise"), "ResourceNotFound"),
        (graph.delete(MACHINES), "MethodNotAllowed"),
        (world.client().get(MACHINES), "Unauthorized"),
        (world.application_client("Machine.Read.All").post(f"{MACHINES}/{NOBODY}/offboard"), "Forbidden"),
    ):
        error = answer.json()["error"]
        assert (error["code"], set(error)) == (code, {"code", "message", "target", "innerError"})


def test_every_route_asks_for_a_token_and_lets_in_exactly_where_its_permission_is_asked_for(
    embedded: AdminWorld,
) -> None:
    permissions = ("Machine.Read.All", "Machine.ReadWrite.All", "Machine.Offboard", "Device.Read.All")
    clients = {permission: embedded.application_client(permission) for permission in permissions}
    for route in defender_routes_of(embedded):
        assert embedded.client().request(route.method, route.path).status_code == 401, route
        for permission, client in clients.items():
            status = client.request(route.method, route.path).status_code
            allowed = permission in route.authorization.permissions
            assert (status not in {401, 403, 500}) if allowed else status == 403, (route, permission, status)


def test_no_route_reaches_another_tenant(world: AdminWorld, graph: Client) -> None:
    theirs = {"machine_id": machine_id_of(FABRIKAM_DEVICE), "action_id": "fab00000-0000-4000-8000-000000000005"}
    bodies: dict[str, Any] = {
        "tags": {"Value": "x", "Action": "Add"},
        "offboard": {"Comment": "x"},
        "cancel": {"Comment": "x"},
    }
    for route in defender_routes_of(world):
        path = route.template.format(**theirs)
        if "{" in route.template:
            body = bodies.get(path.rpartition("/")[2], {"machineTags": ["x"]})
            assert graph.request(route.method, path, json=body).status_code == 404, route
        elif route.method == "GET":
            assert "abrikam" not in graph.get(path).text
    many = {"Value": "x", "Action": "Add", "MachineIds": [theirs["machine_id"]]}
    assert graph.post(f"{MACHINES}/AddOrRemoveTagForMultipleMachines", json=many).status_code == 404


@pytest.mark.parametrize(
    ("audience", "graph_status", "defender_status"),
    [
        ("https://graph.microsoft.com", 200, 401),
        ("https://api.securitycenter.microsoft.com", 401, 200),
        ("https://api.security.microsoft.com", 401, 200),
    ],
)
def test_each_api_takes_its_own_tokens_alone(
    embedded: AdminWorld, audience: str, graph_status: int, defender_status: int
) -> None:
    with embedded.writing() as connection:
        app, secret = create_app(
            connection, embedded.services.acting("console"), display_name="Script", permissions=PERMISSIONS
        )
    client = embedded.client()
    answer = client.post(
        f"/{embedded.services.tenant.id}/oauth2/v2.0/token",
        data={
            "grant_type": "client_credentials",
            "client_id": app.client_id,
            "client_secret": secret,
            "scope": f"{audience}/.default",
        },
    )
    client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
    assert client.get(MACHINES).status_code == defender_status
    assert client.get("/v1.0/organization").status_code == graph_status


def test_offboarding_wants_a_fresh_proof_here_too(world: AdminWorld) -> None:
    with world.writing() as connection:
        device = world.manager.join(connection, 1)
    person, path = a_person(world), f"{MACHINES}/{machine_id_of(device)}/offboard"
    for age, status in ((11, 401), (0, 201)):
        with closing(token_client(world, person, api=Api.DEFENDER, proof_age=age)) as client:
            assert client.post(path, json={"Comment": "It was sold."}).status_code == status, age
