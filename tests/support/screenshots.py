"""Pictures of every page, light and dark: taken by ``scripts/screenshots``, and by nobody who runs the tests."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from tests.support.portal_browser import Office, Watched, ada, browser, context, office
from tests.support.portal_scene import furnish
from tests.support.portal_walk import opened

__all__ = ["ada", "browser", "context", "office"]

DIRECTORY = os.environ["SCREENSHOTS"]
pytestmark = [pytest.mark.browser, pytest.mark.timeout(1800)]


def named(path: str) -> str:
    """Call the picture of a page after its path."""
    return re.sub(r"[^a-z0-9]+", "-", re.sub(r"_id\}", "", path)).strip("-") or "overview"


def test_pictures_are_taken(office: Office, ada: Watched) -> None:
    page, folder = ada.page, Path(DIRECTORY)
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.png"):
        old.unlink()
    page.set_viewport_size({"width": 1280, "height": 800})
    for path in opened(ada, office, furnish(office.services)):
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
            page.screenshot(path=folder / f"{named(path)}-{scheme}.png", full_page=True)
    assert len(list(folder.glob("*.png"))) > 100
