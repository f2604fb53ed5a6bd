"""A real Chromium over the real server processes: what a person sees, and what the browser complains about."""

from __future__ import annotations

import json
import re
from typing import Final

import pytest
from playwright.sync_api import Browser, BrowserContext, expect
from tests.support.portal_browser import Office, Watched, ada, browser, context, office

from shieldwall.contract.status import SettingState

__all__ = ["ada", "browser", "context", "office"]

pytestmark = pytest.mark.browser

DEEPER: Final = (
    "/packages",
    "/packages/new",
    "/offboarding-packages",
    "/registrations",
    "/authorities",
    "/clean-up",
)


def test_an_administrator_finds_a_device_asks_it_to_come_and_leaves(office: Office, ada: Watched) -> None:
    page = ada.page
    office.reports(SettingState.PENDING)

    page.get_by_role("navigation", name="Main").get_by_role("link", name="Devices").click()
    page.get_by_role("table", name="Devices and how they stand").locator("tbody").get_by_role("link").first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("<script>")
    expect(page).to_have_title(re.compile(r"<script>"))
    page.get_by_role("button", name="Policy sync").click()
    expect(page.get_by_role("status")).to_contain_text("Asked to check in now")
    assert office.is_asked()

    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url(f"{office.url}/sign-in")
    page.go_back(wait_until="load")
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in to Shieldwall")
    expect(page.get_by_text("MDE")).to_have_count(0)
    assert ada.complaints == []


def test_a_state_that_changes_shows_without_a_reload(office: Office, ada: Watched) -> None:
    page = ada.page
    office.reports(SettingState.SUCCEEDED)
    page.goto(f"{office.url}/devices/{office.device}/settings")
    settings = page.locator("#settings")
    expect(settings).to_contain_text("Succeeded")
    page.evaluate("window.stayed = true")
    settings.get_by_role("link", name="Baseline").focus()

    office.reports(SettingState.ERROR)

    expect(settings).to_contain_text("The engine sleeps.")
    assert page.evaluate("window.stayed") is True, "the page was not loaded again"
    expect(settings.get_by_role("link", name="Baseline")).to_be_focused()
    assert ada.complaints == []


def test_a_page_left_open_leaves_when_its_session_ends(office: Office, ada: Watched, context: BrowserContext) -> None:
    page = ada.page
    page.goto(f"{office.url}/devices")
    other = context.new_page()
    other.goto(office.url)
    other.get_by_role("button", name="Sign out").click()

    page.bring_to_front()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in to Shieldwall")


def test_pages_work_without_scripts(office: Office, browser: Browser) -> None:
    context = browser.new_context(ignore_https_errors=True, java_script_enabled=False)
    page = context.new_page()
    page.goto(office.link())
    page.get_by_role("button", name="Sign in").click()
    page.goto(f"{office.url}/devices/{office.device}")
    page.get_by_role("button", name="Policy sync").click()
    expect(page.get_by_role("status")).to_contain_text("Asked to check in now")
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_fits_a_telephone_and_can_be_read(office: Office, ada: Watched, scheme: str) -> None:
    page = ada.page
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.set_viewport_size({"width": 360, "height": 740})
    device = f"/devices/{office.device}"
    tabs = tuple(f"{device}/{part}" for part in ("policies", "settings", "timeline", "enrollment"))
    one = (device, *tabs, f"{device}/tags", f"{device}/merge", f"{device}/offboard", f"/policies/{office.policy}")
    for path in ("/", "/devices", *one, *DEEPER, "/policies", "/groups", "/scope"):
        page.goto(f"{office.url}{path}")
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"), path
        assert json.loads(page.evaluate(FAINTEST)) >= 4.5, path
    assert ada.complaints == []


def test_a_scope_is_previewed_and_then_saved(office: Office, ada: Watched) -> None:
    page = ada.page
    page.goto(f"{office.url}/scope")
    page.get_by_label("macOS").select_option("off")
    page.get_by_label("Dynamic tags").fill(
        'Web: device.displayName -startsWith "web"\nDatabases: device.deviceModel -eq "db"'
    )
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_label("macOS")).to_have_value("off")
    page.get_by_role("button", name="Save: take 0, release 0").click()

    expect(page).to_have_url(f"{office.url}/scope")
    expect(page.get_by_label("macOS")).to_have_value("off")
    expect(page.get_by_label("Dynamic tags")).to_contain_text("Databases: ")
    page.get_by_label("macOS").select_option("all")
    page.get_by_label("Dynamic tags").fill("")
    page.get_by_role("button", name="Preview").click()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_label("macOS")).to_have_value("all")
    assert ada.complaints == []


def test_the_keyboard_alone_reaches_everything(office: Office, ada: Watched) -> None:
    page = ada.page
    page.goto(f"{office.url}/devices/{office.device}")

    reached: list[str] = []
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.textContent.trim()"))
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid", f"no sign of the focus on {reached[-1]}"
        if reached[-1] == "Policy sync":
            break

    assert reached[0] == "Skip to the content"
    assert reached[-1] == "Policy sync"
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("Asked to check in now")


# The smallest contrast between a text and what is behind it, as WCAG 2 measures it.
FAINTEST: Final = """
() => {
  const parts = (color) => color.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b]
    .map((part) => part / 255)
    .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
    .reduce((sum, part, index) => sum + part * [0.2126, 0.7152, 0.0722][index], 0);
  const behind = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const color = parts(getComputedStyle(each).backgroundColor);
      if (color.length === 3 || color[3] === 1) return color;
    }
    return [255, 255, 255];
  };
  const contrasts = [...document.querySelectorAll("body *")]
    .filter((element) => [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim()))
    .filter((element) => element.checkVisibility())
    .map((element) => [light(parts(getComputedStyle(element).color)), light(behind(element))].sort((a, b) => b - a))
    .map(([lighter, darker]) => (lighter + 0.05) / (darker + 0.05));
  return JSON.stringify(Math.min(...contrasts));
}
"""
