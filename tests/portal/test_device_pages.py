"""The pages of devices: finding them, exporting them, merging two; and packages with who came."""

from __future__ import annotations

import re

import pytest
from tests.support.admin import PUBLIC_URL, AdminWorld, Client
from tests.support.samples import NOON, TENANT_ID, a_package, device_id, package_id

from shieldwall.contract.ids import DeviceId
from shieldwall.contract.strict_json import digest_of_bytes
from shieldwall.server.storage.device_records import DeviceState
from shieldwall.server.storage.devices import devices
from shieldwall.server.storage.events import audit
from shieldwall.server.storage.onboarding import packages
from shieldwall.server.storage.records import Page


def join(world: AdminWorld, number: int, **changes: object) -> DeviceId:
    with world.writing() as connection:
        return world.manager.join(connection, number, **changes)


def shown(page: str) -> list[str]:
    table = page.partition('id="devices"')[2]
    return re.findall(r'<a href="/devices/[0-9a-f-]{36}"><bdi>([^<]*)</bdi>', table)


def token_of(page: str) -> str:
    found = re.search(r'name="csrf" value="([0-9a-f]+)"', page)
    assert found is not None
    return found[1]


def test_devices_are_searched_filtered_and_sorted(world: AdminWorld, ada: Client) -> None:
    join(world, 1, display_name="web-10", tags=("edge",))
    join(world, 2, display_name="web-9", os_type="macOS")
    join(world, 3, display_name="db", providers={"clamav": "notRunning"})
    join(world, 4, display_name="gone", state=DeviceState.RETIRED, retired_at=NOON)

    assert shown(ada.get("/devices").text) == ["db", "web-9", "web-10"]
    assert shown(ada.get("/devices?search=web&health=&os=").text) == ["web-9", "web-10"]
    assert shown(ada.get("/devices?health=impaired").text) == ["db"]
    assert shown(ada.get("/devices?tag=edge").text) == ["web-10"]
    assert shown(ada.get("/devices?includeRetired=true&sort=name&descending=true").text)[-1] == "db"
    page = ada.get("/devices?os=macOS").text
    assert shown(page) == ["web-9"]
    assert '<option value="macOS" selected>macOS (1)</option>' in page
    assert "1 device fits." in page
    assert "No device fits." in ada.get("/devices?search=nobody").text


@pytest.mark.parametrize("query", ["colour=red", "health=well", "sort=size", "after=x", "search=%00"])
def test_what_cannot_be_asked_is_a_page_that_says_so(ada: Client, query: str) -> None:
    answer = ada.get(f"/devices?{query}")

    assert answer.status_code == 400
    assert "That did not work" in answer.text


def test_pages_of_a_filtered_list_keep_the_filter(world: AdminWorld, ada: Client) -> None:
    for number in range(1, 60):
        join(world, number, tags=("edge",) if number % 10 else ())
    page = ada.get("/devices?tag=edge&sort=lastCheckIn").text
    following = re.search(r'href="([^"]+)" rel="next"', page)
    assert following is not None

    rest = ada.get(following[1].replace("&amp;", "&")).text

    assert len(shown(page)) == 50
    assert len(set(shown(page)) | set(shown(rest))) == 54


def test_a_part_of_the_page_is_the_list_alone(world: AdminWorld, ada: Client) -> None:
    join(world, 1)

    part = ada.get("/devices?search=device", headers={"HX-Request": "true"}).text

    assert shown(part) == ["device-1"]
    assert "<h1>" not in part
    assert part.lstrip().startswith('<div id="list">')


def test_an_export_is_what_the_filter_lets_through(world: AdminWorld, ada: Client) -> None:
    join(world, 1, display_name="=cmd()")
    join(world, 2, display_name="other")

    answer = ada.get("/devices/export/csv?search=cmd")

    assert answer.headers["content-disposition"] == 'attachment; filename="devices.csv"'
    assert "'=cmd()" in answer.text
    assert "other" not in answer.text
    assert [each["name"] for each in ada.get("/devices/export/json").json()] == ["=cmd()", "other"]
    assert ada.get("/devices/export/xml").status_code == 400


def test_a_device_shows_its_health_its_package_its_history_and_its_twins(world: AdminWorld, ada: Client) -> None:
    shared = digest_of_bytes(b"machine")
    with world.writing() as connection:
        packages.add(connection, a_package(1, display_name="Servers"))
    former = join(world, 1, display_name="old", machine_id_hash=shared, tags=("edge",))
    device = join(world, 2, display_name="new", machine_id_hash=shared, package_id=package_id(1), tags=())

    page = ada.get(f"/devices/{device}").text
    assert "Healthy" not in page
    for words in ("Active", "Servers", "Possibly the same machine", "machineId", "old", "Timeline"):
        assert words in page

    data = {"csrf": token_of(page), "former": former}
    assert ada.post(f"/devices/{device}/merge", data=data).status_code == 403
    answer = ada.post(f"/devices/{device}/merge", data=data, headers={"Origin": PUBLIC_URL})
    assert (answer.status_code, answer.headers["location"]) == (303, f"/devices/{device}")

    page = ada.get(f"/devices/{device}").text
    assert "Possibly the same machine" not in page
    assert "edge" in page
    with world.services.database.read() as connection:
        events = audit.list_events(connection, TENANT_ID, Page(), object_id=former)
    assert ("device.merged", "person:ada@contoso.example") in {(each.activity, each.actor) for each in events}
    assert "Device merged" in ada.get(f"/devices/{former}/timeline").text


def test_a_package_shows_who_came_with_it_and_is_revoked(world: AdminWorld, ada: Client) -> None:
    with world.writing() as connection:
        packages.add(connection, a_package(1, display_name="Servers", approval="manual", created_by="person:Ada"))
    join(world, 1, package_id=package_id(1))
    join(world, 2, package_id=package_id(1), state=DeviceState.PENDING, state_reason="approval")

    page = ada.get(f"/packages/{package_id(1)}").text
    assert shown(page) == ["device-1", "device-2"]
    assert "by an administrator" in page

    path, data = f"/packages/{package_id(1)}/revoke", {"csrf": token_of(page)}
    assert ada.post(path, data=data).status_code == 403
    assert ada.post(path, data=data, headers={"Origin": PUBLIC_URL}).status_code == 303
    assert "revoked" in ada.get(f"/packages/{package_id(1)}").text
    with world.services.database.read() as connection:
        waited = devices.get(connection, device_id(2))
    assert waited.state is DeviceState.RETIRED, "who waited is turned away"
    assert ada.get(f"/packages/{device_id(1)}").status_code == 404
