"""Every page of a furnished tenant: for those who see little, on a telephone, in the dark, and over a slow line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import pytest
from playwright.sync_api import Page, ViewportSize
from tests.support.campaign import size
from tests.support.portal_browser import Office, Watched, ada, browser, context, office
from tests.support.portal_scene import Scene, furnish
from tests.support.portal_walk import faults, opened

__all__ = ["ada", "browser", "context", "office"]

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

BUDGET = 150 * 1024
"""Bytes that one page may transfer when a browser has kept nothing of another."""
WIDE: ViewportSize = {"width": 1280, "height": 900}
NARROW: ViewportSize = {"width": 360, "height": 740}
Look: TypeAlias = tuple[ViewportSize, Literal["light", "dark"]]
_ALL_LOOKS: tuple[Look, ...] = ((WIDE, "light"), (NARROW, "dark"), (NARROW, "light"), (WIDE, "dark"))
LOOKS = size(short=1, full=len(_ALL_LOOKS))
"""How many ways each page is looked at: in turn one of the four on every run, all of them on a campaign."""


@dataclass
class Traffic:
    """What a page transferred since it was asked for last, with nothing kept from before."""

    page: Page
    _received: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        session = self.page.context.new_cdp_session(self.page)
        session.send("Network.enable")
        session.send("Network.setCacheDisabled", {"cacheDisabled": True})
        session.on("Network.loadingFinished", lambda event: self._received.append(int(event["encodedDataLength"])))

    def taken(self) -> int:
        """Return the bytes, headers included, and begin anew."""
        self.page.wait_for_load_state("load")
        total = sum(self._received)
        self._received.clear()
        return total


@pytest.fixture(scope="module")
def scene(office: Office) -> Scene:
    return furnish(office.services)


def looks(number: int) -> Iterator[Look]:
    """Yield how the ``number``-th page is looked at; one after another takes each turn."""
    for turn in range(LOOKS):
        yield _ALL_LOOKS[(number + turn) % len(_ALL_LOOKS)]


def barriers(page: Page, number: int) -> Iterator[str]:
    """Yield what shuts somebody out, as people look at pages: wide and narrow, in the light and in the dark."""
    for window, scheme in looks(number):
        page.set_viewport_size(window)
        page.emulate_media(color_scheme=scheme)
        yield from (f"{window['width']} px wide, {scheme}: {fault}" for fault in faults(page))
    page.set_viewport_size(NARROW)
    if not page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"):
        yield "wider than a telephone"
    if page.locator("h1").count() != 1:
        yield f"{page.locator('h1').count()} headings of the first level"
    if page.title().startswith("Shieldwall"):
        yield "no title of its own"


def test_no_page_shuts_anybody_out_or_keeps_them_waiting(office: Office, scene: Scene, ada: Watched) -> None:
    page, traffic = ada.page, Traffic(ada.page)
    wrong: list[str] = []
    seen: list[str] = []
    for path in opened(ada, office, scene):
        seen.append(path)
        if (taken := traffic.taken()) > BUDGET:
            wrong.append(f"{path}: transfers {taken} bytes")
        wrong += [f"{path}: {barrier}" for barrier in barriers(page, len(seen))]
        wrong += [f"{path}: {complaint}" for complaint in ada.complaints]
    assert not wrong, "\n".join(wrong)
    assert len(seen) > 60, "most pages came"
