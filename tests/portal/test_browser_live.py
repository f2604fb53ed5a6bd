"""Pages follow what changes, say when they cannot, and look as somebody chose: in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Page, Route, expect
from tests.support.portal_browser import Office, Watched, ada, browser, context, office

from shieldwall.server.directory.groups import GroupDraft, create_group

__all__ = ["ada", "browser", "context", "office"]

pytestmark = pytest.mark.browser


def add_group(office: Office, name: str) -> None:
    with office.services.database.write() as connection:
        draft = GroupDraft(display_name=name, mail_nickname=name.lower())
        create_group(connection, office.services.acting("test"), draft)


def lives_by(page: Page, how: str) -> None:
    """Wait until the page has found out how it hears of changes."""
    expect(page.locator("body")).to_have_attribute("data-live", how, timeout=15_000)


@contextmanager
def not_loaded_again(page: Page) -> Iterator[None]:
    page.evaluate("window.stayed = true")
    yield
    assert page.evaluate("window.stayed") is True, "the page was loaded again"


def test_what_somebody_else_does_appears_within_seconds(office: Office, ada: Watched) -> None:
    page = ada.page
    looks: list[str] = []
    page.on("request", lambda request: looks.append(request.url) if "x-requested-for" in request.headers else None)
    page.goto(f"{office.url}/groups")
    lives_by(page, "stream")

    with not_loaded_again(page):
        add_group(office, "Appears")
        expect(page.get_by_role("link", name="Appears")).to_be_visible(timeout=10_000)
    assert 1 <= len(looks) <= 3, "the page looks when it is told to, and not all the time"
    assert ada.complaints == []


def test_what_somebody_types_is_left_alone(office: Office, ada: Watched) -> None:
    page = ada.page
    page.goto(f"{office.url}/groups")
    lives_by(page, "stream")
    page.evaluate(
        """() => {
          const field = document.createElement("input");
          field.id = "typed";
          document.querySelector("[data-live]").append(field);
        }"""
    )
    page.locator("#typed").fill("half a word")
    with page.expect_response(lambda response: "x-requested-for" in response.request.headers):
        add_group(office, "Later")
    expect(page.locator("#typed")).to_have_value("half a word")
    page.locator("#typed").fill("")
    page.locator("h1").click()
    add_group(office, "Latest")
    expect(page.get_by_role("link", name="Latest")).to_be_visible(timeout=10_000)


def test_a_page_without_a_stream_asks_from_time_to_time(office: Office, ada: Watched) -> None:
    page = ada.page
    page.route("**/live?*", lambda route: route.fulfill(status=503))
    page.goto(f"{office.url}/groups")
    lives_by(page, "polling")

    with not_loaded_again(page):
        add_group(office, "Polled")
        expect(page.get_by_role("link", name="Polled")).to_be_visible(timeout=15_000)


def test_a_page_says_that_the_server_is_gone_and_that_it_is_back(office: Office, ada: Watched) -> None:
    page = ada.page
    page.goto(f"{office.url}/groups")
    lives_by(page, "stream")

    def gone(route: Route) -> None:
        route.abort("connectionrefused")

    page.route("**/*", gone)
    add_group(office, "Unheard")
    expect(page.locator("#connection")).to_contain_text("does not answer", timeout=15_000)
    page.unroute("**/*", gone)
    expect(page.locator("#connection")).to_be_empty(timeout=15_000)
    expect(page.get_by_role("link", name="Unheard")).to_be_visible()


def test_light_and_dark_are_chosen_and_kept(office: Office, ada: Watched) -> None:
    page = ada.page
    page.emulate_media(color_scheme="light")
    page.goto(f"{office.url}/groups")
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")

    page.get_by_role("button", name="Dark", exact=True).click()
    expect(page).to_have_url(f"{office.url}/groups")
    expect(page.get_by_role("button", name="Dark", exact=True)).to_have_attribute("aria-pressed", "true")
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.goto(f"{office.url}/")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == dark != light

    page.get_by_role("button", name="System", exact=True).click()
    expect(page.get_by_role("button", name="System", exact=True)).to_have_attribute("aria-pressed", "true")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == light
    assert ada.complaints == []


def test_a_command_is_copied_as_it_stands(office: Office, ada: Watched) -> None:
    page = ada.page
    page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=office.url)
    page.goto(f"{office.url}/enrollment-help/2")
    command = page.locator("[data-copy]").first
    command.get_by_role("button", name="Copy").click()

    expect(page.locator("#said")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == command.locator("pre").text_content()
    assert ada.complaints == []
