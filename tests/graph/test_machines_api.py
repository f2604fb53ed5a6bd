"""Devices as people look for them: searched, filtered, sorted, counted, exported; and merged when they are one."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
from tests.support.admin import AdminWorld, Client
from tests.support.graph_bodies import GROUPS, MANAGED_DEVICES, a_group
from tests.support.samples import NOON, TENANT_ID, device_id

from shieldwall.contract.ids import DeviceId
from shieldwall.contract.status import SettingState, SettingStatus, StatusReport
from shieldwall.contract.strict_json import digest_of_bytes
from shieldwall.server.directory.names import visible
from shieldwall.server.storage.check_ins import check_ins, statuses
from shieldwall.server.storage.device_records import DeviceState
from shieldwall.server.storage.events import audit
from shieldwall.server.storage.records import Page

MACHINES = "/beta/deviceManagement/machines"
HOSTILE = (
    "Ж" * 256,
    "\u202egnp.exe",
    "<script>alert(1)</script>",
    "=cmd()|'/c calc'!A1",
    "@SUM(1)",
    "\t=1+1",
    "'; DROP TABLE devices; --",
    "\x1b[31mred\x1b[0m",
    "😀",
    "",
    "   ",
    'a,"b\r\nc',
)


def join(world: AdminWorld, number: int, **changes: object) -> DeviceId:
    with world.writing() as connection:
        return world.manager.join(connection, number, **changes)


def names(graph: Client, **parameters: Any) -> list[str]:
    found = graph.get(MACHINES, params=parameters)
    assert found.status_code == 200, found.text
    return [each["deviceName"] for each in found.json()["value"]]


def test_devices_are_found_by_what_is_asked(graph: Client, world: AdminWorld) -> None:
    join(world, 1, display_name="web-1", tags=("edge",))
    join(world, 2, display_name="web-2", os_type="macOS", os_version="15.1")
    join(world, 3, display_name="db-1", providers={"clamav": "notRunning"})
    join(world, 4, display_name="gone", state=DeviceState.RETIRED, retired_at=NOON)

    assert names(graph) == ["db-1", "web-1", "web-2"]
    assert names(graph, search="web") == ["web-1", "web-2"]
    assert names(graph, tag="EDGE") == ["web-1"]
    assert names(graph, os=["macOS", "Windows"]) == ["web-2"]
    assert names(graph, health="impaired") == ["db-1"]
    assert names(graph, onboardingStatus="offboarded") == ["gone"]
    assert names(graph, includeRetired="true") == ["db-1", "gone", "web-1", "web-2"]
    assert names(graph, sort="name", descending="true") == ["web-2", "web-1", "db-1"]


def test_pages_follow_one_another_to_the_end(graph: Client, world: AdminWorld) -> None:
    for number in range(1, 8):
        join(world, number, display_name="twin")
    for sort in ("name", "lastCheckIn", "health", "exposure"):
        found, link = [], f"{MACHINES}?sort={sort}&$top=3"
        while link:
            page = graph.get(link).json()
            found += [each["id"] for each in page["value"]]
            link = page.get("@odata.nextLink", "")
        assert sorted(found) == [device_id(number) for number in range(1, 8)]


def test_a_device_shows_its_health_enrollment_attestation_and_twins(graph: Client, world: AdminWorld) -> None:
    shared = digest_of_bytes(b"machine")
    device, twin = join(world, 1, machine_id_hash=shared), join(world, 2, machine_id_hash=shared)
    told = SettingStatus(setting="s", state=SettingState.ERROR, value=1, read_back=2)  # type: ignore[arg-type]  # an id
    with world.writing() as connection:
        report = statuses.keep(connection, TENANT_ID, StatusReport(settings=(told,)))
        check_ins.set_status(connection, device, report, NOON)

    for path in (MACHINES, MANAGED_DEVICES):
        shown = {each["id"]: each["shieldwall"] for each in graph.get(path).json()["value"]}
        assert shown[device]["duplicates"] == [{"id": twin, "shares": ["machineId"]}]
        assert (shown[device]["health"], shown[device]["driftedSettings"]) == ("impaired", 1)
        assert (shown[twin]["health"], shown[twin]["onboardingStatus"]) == ("active", "onboarded")
        assert shown[twin]["attestationLevel"] == "none"
    world.clock.advance(days=8)
    later = world.application_client("DeviceManagementManagedDevices.Read.All")
    assert later.get(f"{MANAGED_DEVICES}/{device}").json()["shieldwall"]["health"] == "inactive"
    later.close()


def test_facets_count_those_that_fit(graph: Client, world: AdminWorld) -> None:
    join(world, 1, tags=("edge",))
    join(world, 2, os_type="macOS")

    counted = graph.get(f"{MACHINES}/facets").json()
    assert counted["count"] == 2
    assert counted["facets"]["os"] == {"Linux": 1, "macOS": 1}
    assert counted["facets"]["tag"]["edge"] == 1
    only = graph.get(f"{MACHINES}/facets", params={"facet": "os", "os": "macOS"}).json()
    assert only == {"count": 1, "facets": {"os": {"macOS": 1}}}


@pytest.mark.parametrize(
    "query",
    [
        "colour=red",
        "health=well",
        "state=gone",
        "enrollmentCode=many",
        "drifted=perhaps",
        "seenBefore=yesterday",
        "group=7",
        "sort=size",
        "sort=name&sort=os",
        "osVersion=1&osVersion=2",
        "search=" + "x" * 257,
        "search=%00",
        "search=",
        "tag=a&tag=",
        "$skiptoken=bmFtZS4wLg",
        "$skiptoken=" + "A" * 600,
        "$top=0",
        "$filter=nothing eq 'x'",
        "facet=os",
        "format=csv",
    ],
)
def test_what_a_list_does_not_take_is_refused(embedded_graph: Client, query: str) -> None:
    assert embedded_graph.get(f"{MACHINES}?{query}").status_code == 400


def test_a_cursor_of_another_order_is_refused(graph: Client, world: AdminWorld) -> None:
    for number in (1, 2):
        join(world, number)
    following = graph.get(f"{MACHINES}?$top=1").json()["@odata.nextLink"]

    assert graph.get(following).status_code == 200
    assert graph.get(f"{following}&sort=lastCheckIn").json()["error"]["innerError"]["code"] == "invalidCursor"


def test_an_export_holds_every_device_and_no_formula(graph: Client, world: AdminWorld) -> None:
    for number, name in enumerate(HOSTILE, start=1):
        join(world, number, display_name=name, tags=(name or "none",))

    answer = graph.get(f"{MACHINES}/export")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    text = answer.content.decode("utf-8-sig")
    rows = {row["id"]: row for row in csv.DictReader(io.StringIO(text, newline=""))}
    assert len(rows) == len(HOSTILE)
    for number, name in enumerate(HOSTILE, start=1):
        row = rows[device_id(number)]
        assert row["name"].lstrip("'") == visible(name).lstrip("'")
        for cell in row.values():
            assert not cell.lstrip().startswith(("=", "+", "-", "@"))
            assert "\x1b" not in cell
            assert "\u202e" not in cell

    listed = graph.get(f"{MACHINES}/export", params={"format": "json"}).content
    assert {each["name"] for each in json.loads(listed)} == set(HOSTILE)
    assert graph.get(f"{MACHINES}/export", params={"format": "json", "search": "nobody"}).json() == []
    assert graph.get(f"{MACHINES}/export", params={"format": "xml"}).status_code == 400
    assert graph.get(f"{MACHINES}/export", params={"$top": "1"}).status_code == 400


def test_merging_hands_over_tags_and_assigned_groups_and_retires_the_former(graph: Client, world: AdminWorld) -> None:
    former, device = join(world, 1, tags=("edge",)), join(world, 2, tags=())
    group = graph.post(GROUPS, json=a_group()).json()["id"]
    reference = {"@odata.id": f"https://x/devices/{former}"}
    assert graph.post(f"{GROUPS}/{group}/members/$ref", json=reference).status_code == 204

    answer = graph.post(f"{MANAGED_DEVICES}/{former}/merge", json={"into": device})

    assert answer.status_code == 200, answer.text
    assert answer.json()["id"] == device
    assert answer.json()["shieldwall"]["tags"] == ["edge"]
    (member,) = graph.get(f"{GROUPS}/{group}/members").json()["value"]
    assert member["deviceId"] == device
    assert graph.get(f"{MANAGED_DEVICES}/{former}").json()["shieldwall"]["deviceState"] == "retired"
    with world.services.database.read() as connection:
        events = audit.list_events(connection, TENANT_ID, Page(), object_id=former)
    merged = next(event for event in events if event.activity == "device.merged")
    assert merged.actor == "app:Automation"
    assert json.loads(merged.details)["into"] == device


def test_what_cannot_be_merged_is_refused_and_changes_nothing(graph: Client, world: AdminWorld) -> None:
    device, disabled = join(world, 1), join(world, 2, state=DeviceState.DISABLED)

    for into, status in ((device, 409), (disabled, 409), (device_id(9), 404), ("x", 400)):
        assert graph.post(f"{MANAGED_DEVICES}/{device}/merge", json={"into": into}).status_code == status
    assert graph.get(f"{MANAGED_DEVICES}/{device}").json()["shieldwall"]["deviceState"] == "active"


def test_reading_is_not_merging(world: AdminWorld) -> None:
    reader = world.application_client("DeviceManagementManagedDevices.Read.All")

    assert reader.get(MACHINES).status_code == 200
    assert reader.post(f"{MANAGED_DEVICES}/{device_id(1)}/merge", json={"into": device_id(2)}).status_code == 403
    reader.close()
