"""The policy wizard in a real browser: it checks while somebody types, and keeps what is entered."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import Page, expect
from tests.support.portal_browser import Office, Watched, ada, browser, context, office

from shieldwall.contract.ids import TenantId
from shieldwall.server.storage.policies import policies
from shieldwall.server.storage.records import Page as Rows
from shieldwall.server.storage.records import Policy

__all__ = ["ada", "browser", "context", "office"]

pytestmark = pytest.mark.browser
AXE: Final = Path(__file__).parents[3] / "front/node_modules/axe-core/axe.min.js"
RETENTION: Final = "linux_mdatp_managed_antivirusengine_scanresultsretentiondays"
TRUSTED: Final = "linux_shieldwall_firewall_trusted_enablefirewall"


def begin(page: Page, url: str, profile: str, name: str) -> None:
    page.goto(f"{url}/policies/new?platform=linux")
    page.get_by_role("button", name=f"Create {profile}", exact=True).click()
    page.wait_for_url("**/basics")
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_role("button", name="Next").click()
    page.wait_for_url("**/settings")


def saved(office: Office, name: str) -> Policy:
    with office.services.database.read() as connection:
        tenant = TenantId(office.services.tenant.id)
        return next(each for each in policies.list_policies(connection, tenant, Rows()) if each.name == name)


def test_a_policy_is_made_while_the_page_checks_what_is_typed(ada: Watched, office: Office) -> None:
    page = ada.page
    begin(page, office.url, "Microsoft Defender Antivirus", "Retention")
    days = page.locator(f'[name="{RETENTION}"]')

    page.get_by_label("Search settings").fill("retention days")
    expect(page.locator(".setting")).to_have_count(1)
    days.fill("100000")
    field = page.locator(".setting", has=days)
    expect(field.get_by_role("alert")).to_contain_text("out of range")
    expect(days).to_have_attribute("aria-invalid", "true")
    days.fill("30")
    expect(field.locator(".fault")).to_be_hidden()
    expect(days).to_be_focused()

    page.get_by_label("Search settings").fill("")
    expect(page.locator(".setting").nth(20)).to_be_attached()
    page.reload()
    expect(days).to_have_value("30")

    for step in ("scope-tags", "assignments"):
        page.get_by_role("button", name="Next").click()
        page.wait_for_url(f"**/{step}")
    page.get_by_label("All devices of this platform").check()
    page.get_by_role("button", name="Next").click()
    page.wait_for_url("**/review")
    expect(page.get_by_role("heading", name="What this would do")).to_be_visible()
    page.get_by_label("Reason").fill("We keep it a month")
    page.get_by_label("I have read what gets weaker").check()
    page.get_by_role("button", name="Create").click()
    page.wait_for_url(re.compile(r"/policies/[0-9a-f-]{36}\Z"))
    assert saved(office, "Retention").revision == 1
    assert ada.complaints == []


def test_what_could_not_be_kept_is_said_until_it_is(ada: Watched, office: Office) -> None:
    page = ada.page
    begin(page, office.url, "Microsoft Defender Antivirus", "Retention")
    days, told = page.locator(f'[name="{RETENTION}"]'), page.get_by_text("What you entered last is not kept")
    page.get_by_label("Search settings").fill("retention days")
    expect(page.locator(".setting")).to_have_count(1)
    expect(told).to_be_hidden()

    page.route("**/settings", lambda route: route.fulfill(status=503, body="full"))
    days.fill("30")
    expect(told).to_be_visible()
    page.unroute("**/settings")
    days.fill("31")
    expect(told).to_be_hidden()
    page.reload()
    expect(days).to_have_value("31")


def test_a_choice_shows_what_it_brings_along_and_folded_chapters_stay_folded(ada: Watched, office: Office) -> None:
    page = ada.page
    begin(page, office.url, "Linux Firewall", "Zones")
    public = page.locator("details.chapter-of-settings", has=page.get_by_role("heading", name="Public zone"))
    public.locator("> summary").click()
    expect(public).not_to_have_attribute("open", "")

    zone = page.locator(f'[name="{TRUSTED}"]')
    expect(page.get_by_label("Stealth mode")).to_have_count(0)
    zone.select_option(value=f"{TRUSTED}_true")
    expect(page.get_by_label("Stealth mode")).to_be_visible()
    expect(public).not_to_have_attribute("open", "")
    zone.select_option(value="")
    expect(page.get_by_label("Stealth mode")).to_have_count(0)
    assert ada.complaints == []


def test_every_step_is_for_everybody(ada: Watched, office: Office) -> None:
    """Whoever uses a keyboard, a screen reader or a narrow window: axe finds nothing, and nothing sticks out."""
    page = ada.page
    begin(page, office.url, "Linux Firewall Rules", "Rules")
    at = page.url.removesuffix("/settings")
    page.get_by_role("button", name="Add Firewall rules").click()
    page.wait_for_url("**/item?**")
    item = page.url
    page.get_by_label("Name", exact=True).fill("SSH")
    page.get_by_label("Action", exact=True).select_option(label="Allow")
    page.get_by_role("button", name="Done").click()
    page.wait_for_url("**/settings")
    paths = [f"{at}/{step}" for step in ("basics", "settings", "scope-tags", "assignments", "review?preview=1")]
    wrong = []
    for path in (*paths, item, f"{office.url}/policies/new", f"{office.url}/policies/{office.policy}/edit"):
        page.set_viewport_size({"width": 1280, "height": 900})
        page.goto(path)
        page.evaluate("document.querySelectorAll('#main details').forEach((each) => { each.open = true; })")
        wrong += [f"{path}: {each}" for each in violations(page)]
        page.set_viewport_size({"width": 360, "height": 900})
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            wrong.append(f"{path} is wider than a narrow window")
    assert not wrong, "\n".join(wrong)
    assert ada.complaints == []


def violations(page: Page) -> list[str]:
    """Let axe look at a page; it is brought in from outside, where the page's own rules do not hold."""
    page.context.new_cdp_session(page).send("Page.setBypassCSP", {"enabled": True})
    page.evaluate(AXE.read_text())
    found = page.evaluate("axe.run({ resultTypes: ['violations'] })")
    return [
        f"{each['id']}: {node['html'][:160]} {node['failureSummary'][:200]}"
        for each in found["violations"]
        for node in each["nodes"][:3]
    ]
