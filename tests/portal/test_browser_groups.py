"""Groups and reports as a person meets them: a rule written with help, tried while it is typed, explained, reported."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect
from tests.support.portal_browser import Office, Watched, ada, browser, context, office
from tests.support.portal_walk import faults
from tests.support.samples import a_device

from shieldwall.contract.ids import DeviceId
from shieldwall.server.storage.check_ins import check_ins
from shieldwall.server.storage.devices import devices

__all__ = ["ada", "browser", "context", "office"]

pytestmark = pytest.mark.browser
NAMES = ("web-1", "web-2", "db-1")


@pytest.fixture(scope="module", autouse=True)
def fleet(office: Office) -> None:
    """Three devices that a rule can tell apart."""
    with office.services.database.write() as connection:
        for number, name in enumerate(NAMES, start=11):
            device = a_device(number, tenant_id=office.services.tenant.id, display_name=name)
            devices.add(connection, device)
            check_ins.add(connection, DeviceId(device.id))


def test_a_rule_is_written_by_keyboard_with_help_and_tried_while_it_is_typed(office: Office, ada: Watched) -> None:
    page = ada.page
    page.goto(f"{office.url}/groups/new")
    expect(page.get_by_label("Rule", exact=True)).to_be_hidden()
    page.get_by_label("Name", exact=True).fill("Web servers")
    page.get_by_label("Dynamic: a rule decides").check()
    rule = page.get_by_label("Rule", exact=True)

    rule.click()
    page.keyboard.type("device.disp")
    offered = page.get_by_role("listbox", name="Words that may come next")
    expect(offered.get_by_role("option")).to_have_text("device.displayName a text")
    page.keyboard.press("ArrowDown")
    expect(rule).to_have_attribute("aria-activedescendant", "rule-words-0")
    page.keyboard.press("Enter")
    expect(offered).to_be_visible()  # at once with what may come now
    assert faults(page) == []
    page.keyboard.type("-startsW")
    expect(offered.get_by_role("option").first).to_contain_text("begins with")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Tab")
    page.keyboard.type('"we')
    expect(offered.get_by_role("option")).to_have_count(2)
    page.keyboard.press("Escape")
    expect(offered).to_be_hidden()
    expect(page.locator("#rule-said")).to_contain_text("Cannot read")
    expect(page.locator("#rule-said mark")).to_have_text('"')
    page.keyboard.type('b"')
    expect(page.locator("#rule-said")).to_contain_text("The rule names 2 devices now.")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Create group").click()

    expect(page.get_by_role("heading", level=1)).to_have_text("Web servers")
    expect(page.locator("#about")).to_contain_text('device.displayName -startsWith "web"')
    page.get_by_role("link", name="Why in, why not").click()
    page.get_by_label("Device, by its name or id").fill("db-1")
    page.get_by_role("button", name="Explain").click()
    expect(page.get_by_role("main")).to_contain_text("It does not belong to the group.")
    expect(page.get_by_role("main")).to_contain_text("found: db-1")
    assert ada.complaints == []


def test_devices_are_added_and_removed_and_the_page_stays_of_use_when_narrow(office: Office, ada: Watched) -> None:
    page = ada.page
    page.set_viewport_size({"width": 360, "height": 800})
    page.goto(f"{office.url}/groups/new")
    page.get_by_label("Name", exact=True).fill("By hand")
    page.get_by_role("button", name="Create group").click()
    page.get_by_role("link", name="Devices", exact=True).click()
    page.get_by_label("Search all devices").fill("web-1")
    page.get_by_role("button", name="Search", exact=True).click()
    page.get_by_role("button", name="Add web-1").click()
    expect(page.get_by_role("button", name="Remove web-1")).to_be_visible()
    page.get_by_label("Add several at once").fill("web-2\ndb-1")
    page.get_by_role("button", name="Add devices").click()
    expect(page.get_by_role("button", name=re.compile("^Remove"))).to_have_count(3)
    page.get_by_role("button", name="Remove db-1").click()
    expect(page.get_by_role("button", name=re.compile("^Remove"))).to_have_count(2)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.get_by_role("link", name="Overview", exact=True).last.click()
    page.get_by_role("link", name="Delete").click()
    page.get_by_role("button", name="Delete the group").click()
    expect(page).to_have_url(f"{office.url}/groups")
    assert ada.complaints == []


def test_a_report_is_narrowed_printed_and_exported(office: Office, ada: Watched) -> None:
    page = ada.page
    page.goto(f"{office.url}/reports")
    page.get_by_role("link", name="Coverage").click()
    page.get_by_role("combobox", name="Platform").select_option("linux")
    page.get_by_label("Coverage").select_option("set")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_role("main")).to_contain_text("1 setting, what nobody sets first")

    page.emulate_media(media="print")
    expect(page.get_by_role("navigation", name="Main")).to_be_hidden()
    expect(page.get_by_role("button", name="Export as CSV")).to_be_hidden()
    expect(page.get_by_role("table").last).to_be_visible()
    page.emulate_media(media="screen")

    page.get_by_role("button", name="Export as CSV").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="Save coverage.csv").click()
    assert "Enable cloud" in download.value.path().read_text(encoding="utf-8-sig")
    assert ada.complaints == []
