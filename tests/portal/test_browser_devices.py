"""What somebody does with devices in a real browser: finds them, keeps a view, changes many, watches one sync."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect
from sqlalchemy import update
from tests.support.portal_browser import Office, Watched, ada, browser, context, office
from tests.support.samples import a_device

from shieldwall.contract.ids import DeviceId
from shieldwall.contract.status import SettingState
from shieldwall.server.storage.check_ins import check_ins
from shieldwall.server.storage.devices import devices
from shieldwall.server.storage.tables.schema import check_ins as check_in_rows

__all__ = ["ada", "browser", "context", "office"]

pytestmark = pytest.mark.browser


def fleet(office: Office) -> list[DeviceId]:
    """Five more devices: web-1 to web-5."""
    ids = []
    with office.services.database.write() as connection:
        for number in range(1, 6):
            device = a_device(
                number + 10, tenant_id=office.services.tenant.id, display_name=f"web-{number}", tags=(), package_id=None
            )
            devices.add(connection, device)
            check_ins.add(connection, device.id)
            ids.append(device.id)
    return ids


def comes(office: Office) -> None:
    """The device checks in, and reports on what it shall enforce."""
    with office.services.database.write() as connection:
        connection.execute(
            update(check_in_rows)
            .where(check_in_rows.c.device_id == office.device)
            .values(last_check_in=office.services.clock.now(), sync_requested_at=None)
        )
    office.reports(SettingState.SUCCEEDED)


def test_devices_are_found_kept_as_a_view_and_changed_together(office: Office, ada: Watched) -> None:
    page, ids = ada.page, fleet(office)
    page.goto(f"{office.url}/devices")
    page.evaluate("window.stayed = true")
    rows = page.locator("#devices tbody tr")
    expect(rows).to_have_count(6)

    page.get_by_role("searchbox").fill("web")
    expect(rows).to_have_count(5)
    expect(page).to_have_url(re.compile(r"search=web"))
    assert page.evaluate("window.stayed") is True, "the list alone was fetched"
    page.get_by_role("link", name="Device", exact=False).filter(has_text="▴").click()
    expect(rows.first).to_contain_text("web-5")

    page.get_by_text("Save this view").click()
    page.get_by_label("Name of the view as it is now").fill("Web servers")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator(".views summary")).to_have_text("View: Web servers")

    page.get_by_role("checkbox", name="Choose web-5").check()
    page.get_by_role("checkbox", name="Choose web-3").click(modifiers=["Shift"])
    expect(page.get_by_text("3 chosen")).to_be_visible()
    page.get_by_role("button", name="Change tags").click()
    expect(page.get_by_text("This is about 3 devices.")).to_be_visible()
    page.get_by_label("Tags to give, one a line").fill("edge")
    page.get_by_role("button", name="Change tags").click()
    page.wait_for_url(re.compile(r"/work/"))
    expect(page.locator("progress")).to_have_count(0)

    page.goto(f"{office.url}/devices?tag=edge")
    expect(rows).to_have_count(3)
    with office.services.database.read() as connection:
        tagged = [device for device in ids if devices.get(connection, device).tags == ("edge",)]
    assert len(tagged) == 3
    assert ada.complaints == []


def test_a_sync_is_watched_from_asking_to_the_report(office: Office, ada: Watched) -> None:
    page = ada.page
    page.goto(f"{office.url}/devices/{office.device}")
    page.get_by_role("button", name="Policy sync").click()
    sync = page.get_by_role("region", name="Policy sync")
    expect(sync.locator("[aria-current=step]")).to_have_text("Checked in")
    page.evaluate("window.stayed = true")

    comes(office)

    expect(sync).to_contain_text("Synced")
    expect(sync.locator(".done")).to_have_count(4)
    assert page.evaluate("window.stayed") is True, "the page was not loaded again"
    page.get_by_role("link", name="Effective settings").click()
    page.get_by_role("searchbox").fill("nothing like this")
    expect(page.locator("#settings")).to_contain_text("No setting fits.")
    page.get_by_role("searchbox").fill("cloud")
    expect(page.locator("#settings")).to_contain_text("Baseline")
    page.get_by_role("link", name="Timeline").click()
    expect(page.locator("#timeline")).to_contain_text("Device sync requested")
    expect(page.locator("#timeline")).to_contain_text("Reported")
    assert ada.complaints == []
