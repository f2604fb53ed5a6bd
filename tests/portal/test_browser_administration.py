"""Somebody looks after who may what: a role of their own, an app with a secret, and what the log says of it."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect
from tests.support.portal_browser import Office, Watched, ada, browser, context, office

__all__ = ["ada", "browser", "context", "office"]

pytestmark = pytest.mark.browser


def test_a_right_is_given_explained_and_found_in_the_log(office: Office, ada: Watched) -> None:
    page = ada.page
    page.goto(f"{office.url}/roles/new")
    page.get_by_label("Name", exact=True).fill("Night shift")
    devices = page.get_by_role("group", name="Devices", exact=True)
    devices.get_by_label("Read", exact=True).check()
    devices.get_by_label("Sync", exact=True).check()
    page.get_by_role("button", name="Create the role").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Night shift")

    page.goto(f"{office.url}/people#invite")
    page.get_by_label("Name", exact=True).fill("Grace Hopper")
    page.get_by_label("User name", exact=True).fill("grace@example.org")
    page.get_by_label("Role").select_option("None yet")
    page.get_by_role("button", name="Invite", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Grace Hopper")

    page.goto(f"{office.url}/role-assignments/new")
    page.get_by_label("Role", exact=True).select_option(label="Night shift")
    page.get_by_label("Name of the assignment").fill("Nights")
    page.get_by_label("People and groups of people").fill("grace@example.org")
    page.get_by_role("button", name="Assign the role").click()
    expect(page.get_by_role("link", name="Grace Hopper")).to_be_visible()

    page.goto(f"{office.url}/access")
    page.get_by_label("Right").select_option(label="Devices: Sync")
    page.get_by_role("button", name="Show").click()
    row = page.get_by_role("row").filter(has_text="Grace Hopper")
    expect(row).to_contain_text("Nights")

    page.goto(f"{office.url}/audit")
    page.get_by_label("In the details").fill("night shift")
    page.get_by_role("button", name="Search", exact=True).click()
    page.get_by_role("row").filter(has_text="Role created").get_by_role("link").first.click()
    expect(page.get_by_role("table")).to_contain_text("Microsoft.Intune_RemoteTasks_SyncDevice")
    assert ada.complaints == []


def test_an_app_gets_a_secret_once_and_the_log_goes_into_a_file(office: Office, ada: Watched) -> None:
    page = ada.page
    page.goto(f"{office.url}/apps/new")
    page.get_by_label("Name", exact=True).fill("Pipeline")
    own = page.get_by_role("group", name="Permissions for itself")
    own.get_by_label("Device.Read.All", exact=True).check()
    page.get_by_role("button", name="Register the app").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Pipeline")
    page.get_by_role("button", name="Make the secret").click()
    secret = page.locator("pre").first.inner_text()
    page.get_by_role("link", name="I have saved it").click()
    expect(page.get_by_role("row").filter(has_text=f"{secret[:3]}…")).to_be_visible()
    expect(page.locator("main")).not_to_contain_text(secret)

    page.goto(f"{office.url}/audit")
    page.get_by_label("What").select_option(label="App: all")
    page.get_by_role("button", name="Search", exact=True).click()
    expect(page.get_by_role("row").filter(has_text="App created")).to_be_visible()
    page.get_by_role("button", name="Export CSV").click()
    page.wait_for_url(re.compile(r"/work/[0-9a-f-]{36}\Z"))
    link = page.locator("a[href$='/file']")
    expect(link).to_be_visible(timeout=20_000)
    with page.expect_download() as waiting:
        link.click()
    written = waiting.value.path().read_text("utf-8-sig")
    assert written.startswith("id,time,actor")
    assert "app.created" in written
    assert secret not in written
    assert ada.complaints == []
