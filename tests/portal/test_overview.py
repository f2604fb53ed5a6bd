"""The first page: figures that lead to their lists, charts over time, and what changed today."""

from __future__ import annotations

import re
from contextlib import closing
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import insert
from tests.manager.test_statuses import told
from tests.portal.test_pages import assigned, reports, text_of
from tests.support.admin import AdminWorld, Client
from tests.support.manager_world import CLOUD
from tests.support.people import a_person, browser
from tests.support.samples import TENANT_ID, counted_id, device_id

from shieldwall.contract.status import SettingState
from shieldwall.server.directory.acting import Acting
from shieldwall.server.manager import samples
from shieldwall.server.manager.figures import Figures, Fleet, FleetFigures
from shieldwall.server.portal.overview.today import changed_today
from shieldwall.server.storage.device_records import DeviceState
from shieldwall.server.storage.tables.access_schema import device_scope_tags

TAG = "7"
HOSTILE = "<script>alert(1)</script>"


def links(page: str) -> set[str]:
    return {path.replace("&amp;", "&") for path in re.findall(r'href="(/[^"]*)"', page)}


def counted(world: AdminWorld) -> Figures:
    services = world.services
    fleet = Fleet(database=services.database, catalog=services.catalog, tenant_id=TENANT_ID)
    return fleet.count(world.clock.now())


@pytest.fixture
def fleet(world: AdminWorld) -> AdminWorld:
    with world.writing() as connection:
        manager = world.manager
        assigned(world, connection)
        well, wrong = (manager.join(connection, number) for number in (1, 2))
        manager.join(connection, 3, os_type="Windows", enrollment_code=3, managed_elsewhere=HOSTILE)
        manager.join(connection, 4, state=DeviceState.PENDING)
        reports(connection, well, told(CLOUD, SettingState.SUCCEEDED))
        reports(connection, wrong, told(CLOUD, SettingState.CONFLICT))
    return world


@pytest.mark.usefixtures("fleet")
def test_every_figure_leads_to_the_devices_behind_it_and_every_list_is_there(ada: Client) -> None:
    page = ada.get("/").text
    found = {path for path in links(page) if path.startswith("/devices?")}
    assert {
        "/devices?os=Linux",
        "/devices?os=Windows",
        "/devices?managedBy=MDE",
        "/devices?health=active",
        "/devices?enrollmentCode=3",
        "/devices?state=active&policyState=conflict",
        "/devices?state=pending",
        "/devices?sort=lastCheckIn&descending=true",
    } <= found
    for path in found:
        assert ada.get(path).status_code == 200, path
    words = text_of(page)
    assert "1 device waits to be let in" in words
    assert "Linux 3 75%" in words
    assert "Windows 1 25%" in words
    assert "Conflict: 1" in words
    assert "No policy: 1" in words


def test_protection_leads_to_as_many_devices_as_it_counts(fleet: AdminWorld, ada: Client) -> None:
    with fleet.writing() as connection:
        for number, state in enumerate((DeviceState.ACTIVE, DeviceState.DISABLED, DeviceState.QUARANTINED), start=5):
            joined = fleet.manager.join(connection, number, state=state)
            reports(connection, joined, told(CLOUD, SettingState.CONFLICT))
    page = ada.get("/").text
    counts = re.findall(r'href="(/devices\?[^"]*policyState[^"]*)">\s*(?:Conflict|Pending|Succeeded): (\d+)', page)
    assert ("/devices?state=active&amp;policyState=conflict", "2") in counts
    counts.append((re.findall(r'"(/devices[^"]*=conflict)">[^<]*Need attention', page)[0], "2"))
    for path, count in counts:
        assert re.search(rf"\b{count} devices? fits?\.", text_of(ada.get(path.replace("&amp;", "&")).text)), path
    path, count = re.findall(r'href="([^"]*)">\s*No policy: (\d+)', page)[0]
    rows = ada.get(path).text.count('<th scope="row">')
    assert (path, rows) == ("/reports/coverage/devices", int(count))


@pytest.mark.usefixtures("fleet")
def test_names_that_devices_give_are_shown_and_do_nothing(ada: Client) -> None:
    page = ada.get("/").text
    assert HOSTILE not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_charts_show_what_was_counted_and_say_it_as_a_table_too(fleet: AdminWorld, ada: Client) -> None:
    assert "a line needs two counts" in ada.get("/").text
    with fleet.writing() as connection:
        for hours in (30, 5, 1):
            at = fleet.clock.now() - timedelta(hours=hours)
            samples.keep(connection, TENANT_ID, replace(counted(fleet), as_of=at, check_ins_per_minute=hours))
    day, week = ada.get("/").text, ada.get("/?period=week").text
    assert 'class="line accent"' in day
    assert day.count('<path class="area') == 6
    assert '<td class="number">5</td>' in day
    assert '<td class="number">30</td>' not in day
    assert '<td class="number">30</td>' in week
    assert ada.get("/?period=nonsense").status_code == 200


def test_what_changed_today_is_told_by_whom_and_alike_things_together(fleet: AdminWorld, ada: Client) -> None:
    with fleet.writing() as connection:
        acting = fleet.services.acting("person:grace@contoso.example")
        for number in range(3):
            acting.record(connection, "group.changed", "group", counted_id("e", number), name=f"Group {number}")
        device: Acting = fleet.services.acting("device:dddddddd-0000-4000-8000-000000000001")
        device.record(connection, "device.factsChanged", "device", counted_id("d", 1), name="device-1")
    page = ada.get("/").text
    words = text_of(page)
    said = re.search(r"Group changed grace@contoso.example (.+?) just now", words)
    assert said, words[-1200:]
    assert set(re.findall(r"Group \d|\d$", said[1])) == {"Group 0", "Group 1", "Group 2", "3"}
    assert "facts" not in words, "what devices do by themselves is on their own pages"
    assert any(path.startswith("/audit?who=person%3Agrace") for path in links(page))
    with fleet.services.database.read() as connection:
        assert not changed_today(connection, TENANT_ID, fleet.clock.now() + timedelta(days=1)).acts


def test_somebody_who_may_read_no_devices_sees_none_of_their_figures(fleet: AdminWorld) -> None:
    with closing(browser(fleet, a_person(fleet, None))) as client:
        page = client.get("/").text
    assert "/devices" not in page
    assert "Linux" not in page


@pytest.mark.usefixtures("fleet")
def test_while_a_large_fleet_is_counted_the_page_says_so_and_does_not_wait(
    ada: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FleetFigures, "of", lambda *_: None)
    page = ada.get("/")
    assert page.status_code == 200
    assert "is being counted for the first time" in page.text


def test_figures_of_a_large_fleet_say_of_when_they_are(
    fleet: AdminWorld, ada: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    earlier = replace(counted(fleet), as_of=fleet.clock.now() - timedelta(minutes=2), devices=1_234_567)
    earlier = replace(earlier, protection={SettingState.ERROR: 4_321})
    monkeypatch.setattr(FleetFigures, "of", lambda *_: earlier)
    words = text_of(ada.get("/").text)
    assert "Counted 2 minutes ago" in words
    assert "1,234,567" in words
    assert "Needs attention: 4,321 devices" in words


def test_somebody_who_sees_one_device_gets_figures_of_it_and_of_no_policy_that_is_not_theirs(
    fleet: AdminWorld, ada: Client
) -> None:
    assert "Antivirus" in text_of(ada.get("/").text)
    with closing(browser(fleet, a_person(fleet, tags=[TAG]))) as client:
        assert "None of the devices that you may see is here yet." in text_of(client.get("/").text)
        with fleet.writing() as connection:
            row = {"tenant_id": TENANT_ID, "device_id": device_id(2), "tag_id": TAG}
            connection.execute(insert(device_scope_tags), row)
        words = text_of(client.get("/").text)
    assert "Linux 1 100%" in words
    assert "Needs attention: 1 device" in words
    assert "device-2" in words
    assert "Windows" not in words
    assert "Antivirus" not in words
    assert "Your roles show you a part of it" in words
