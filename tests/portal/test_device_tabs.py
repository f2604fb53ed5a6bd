"""The pages of one device: what is in effect and what to do about it, what happened, how it is enrolled."""

from __future__ import annotations

import re
from datetime import timedelta

from tests.portal.test_pages import assigned, reports, text_of, told
from tests.support.admin import AdminWorld, Client
from tests.support.manager_world import CLOUD, DIAGNOSTIC
from tests.support.samples import NOON, TENANT_ID

from shieldwall.contract.ids import DeviceId
from shieldwall.contract.status import SettingState, StatusReport
from shieldwall.server.manager import timeline
from shieldwall.server.manager.timeline import Asked, Reported, Source
from shieldwall.server.storage.check_ins import check_ins, device_reports, statuses
from shieldwall.server.storage.devices import devices


def a_device(world: AdminWorld) -> DeviceId:
    with world.writing() as connection:
        device = world.manager.join(connection, 1)
        assigned(world, connection, "One", diagnostic="0", cloud="true")
        assigned(world, connection, "Two", diagnostic="1")
        reports(connection, device, told(CLOUD, SettingState.ERROR, code="engineNotAnswering", reason="It sleeps."))
    return device


def test_settings_are_searched_and_each_says_what_to_do(world: AdminWorld, ada: Client) -> None:
    path = f"/devices/{a_device(world)}/settings"

    page = text_of(ada.get(path).text)
    assert "The product that carries this setting out does not work there." in page
    assert "Give it one value" in page
    assert "Error (1)" in page
    assert "Conflict (" in page

    errors = text_of(ada.get(f"{path}?state=error").text)
    assert "It sleeps." in errors
    assert "In conflict" not in errors
    assert "No setting fits." in ada.get(f"{path}?search=nothinglikethis").text
    assert "It sleeps." in ada.get(f"{path}?search=one", headers={"HX-Request": "true"}).text
    assert ada.get(f"{path}?state=wrong").status_code == 400


def test_each_page_of_a_device_names_where_one_is(world: AdminWorld, ada: Client) -> None:
    path = f"/devices/{a_device(world)}"
    for part in ("", "/policies", "/settings", "/timeline", "/enrollment"):
        page = ada.get(path + part).text
        assert f'<a href="{path}{part}" aria-current="page">' in page
        assert page.count("<h1>") == 1
    assert re.search(r"One Error|One Conflict", text_of(ada.get(f"{path}/policies").text))
    assert '/enrollment-help"' not in ada.get(f"{path}/enrollment").text, "it is managed"
    with world.writing() as connection:
        elsewhere = world.manager.join(connection, 2, enrollment_code=3, manager="intune")
    assert f'href="/devices/{elsewhere}/enrollment-help"' in ada.get(f"/devices/{elsewhere}/enrollment").text


def test_what_a_device_reported_is_kept_when_it_is_something_else(world: AdminWorld, ada: Client) -> None:
    with world.writing() as connection:
        device = world.manager.join(connection, 1)
        first = statuses.keep(connection, TENANT_ID, StatusReport(settings=(told(CLOUD, SettingState.SUCCEEDED),)))
        other = statuses.keep(
            connection, TENANT_ID, StatusReport(settings=(told(CLOUD, SettingState.SUCCEEDED, code="repaired"),))
        )
        for minute, digest in enumerate((first, first, other)):
            check_ins.set_status(connection, device, digest, NOON + timedelta(minutes=minute))
        found = device_reports.newest(connection, TENANT_ID, device, most=9)

    assert [each.repaired for each in found] == [1, 0]
    assert [each.at.minute for each in found] == [2, 0]
    words = text_of(ada.get(f"/devices/{device}/timeline?source=reports").text)
    assert "1 setting had been changed and was put back." in words
    assert "Onboarded" not in words


def test_a_timeline_in_small_pages_is_the_whole_one(world: AdminWorld) -> None:
    with world.writing() as connection:
        device = world.manager.join(connection, 1)
        assigned(world, connection)
        for number in range(7):
            report = StatusReport(settings=(told(CLOUD, SettingState.SUCCEEDED, reason=str(number)),))
            digest = statuses.keep(connection, TENANT_ID, report)
            check_ins.set_status(connection, device, digest, NOON + timedelta(seconds=number))
        record = devices.get(connection, device)
        whole = timeline.timeline(connection, record, Asked(size=100))
        parts: list[object] = []
        asked = Asked(size=2)
        while True:
            page = timeline.timeline(connection, record, asked)
            parts += page.entries
            if page.before is None:
                break
            asked = Asked(size=2, before=page.before)
        only = timeline.timeline(connection, record, Asked(sources=[Source.REPORTS]))

    assert whole.before is None
    assert sum(isinstance(entry, Reported) for entry in whole.entries) == 7
    assert parts == list(whole.entries)
    assert all(isinstance(entry, Reported) for entry in only.entries)
    assert [entry.at for entry in whole.entries] == sorted((entry.at for entry in whole.entries), reverse=True)


def test_a_device_that_never_says_the_same_twice_fills_nothing(world: AdminWorld) -> None:
    with world.writing() as connection:
        device = world.manager.join(connection, 1)
        for number in range(device_reports.MOST_KEPT + 5):
            report = StatusReport(settings=(told(DIAGNOSTIC, SettingState.SUCCEEDED, reason=str(number)),))
            digest = statuses.keep(connection, TENANT_ID, report)
            check_ins.set_status(connection, device, digest, NOON + timedelta(seconds=number))
        kept = device_reports.newest(connection, TENANT_ID, device, most=1000)

    assert len(kept) == device_reports.MOST_KEPT
    assert kept[0].at == NOON + timedelta(seconds=device_reports.MOST_KEPT + 4)
