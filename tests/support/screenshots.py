"""Pictures of every page, light and dark: taken by ``scripts/screenshots``, and by nobody who runs the tests."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from tests.support.portal_browser import Office, Watched, ada, browser, context, opened_office
from tests.support.portal_scene import furnish
from tests.support.portal_walk import opened

__all__ = ["ada", "browser", "context"]

DIRECTORY = os.environ["SCREENSHOTS"]
pytestmark = [pytest.mark.browser, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """A server whose first device is called like the others, and not as those who attack would."""
    with opened_office(tmp_path_factory.mktemp("server") / "data", device_name="gateway-01") as opened:
        yield opened


def named(path: str) -> str:
    """Call the picture of a page after its path."""
    return re.sub(r"[^a-z0-9]+", "-", re.sub(r"_id\}", "", path)).strip("-") or "overview"


def test_pictures_are_taken(office: Office, ada: Watched) -> None:
    page, folder = ada.page, Path(DIRECTORY)
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.png"):
        old.unlink()
    page.set_viewport_size({"width": 1280, "height": 800})
    taken: dict[str, str] = {}
    for path in opened(ada, office, furnish(office.services)):
        taken[named(path)] = path
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
            page.screenshot(path=folder / f"{named(path)}-{scheme}.png", full_page=True)
    (folder / "README.md").write_text(index(taken))
    assert len(taken) > 100


def index(taken: Mapping[str, str]) -> str:
    """Write the page that leads to all pictures."""
    lines = [
        "# Every page, light and dark",
        "",
        "Taken by `scripts/screenshots` from a furnished tenant.",
        "",
        "| Page | | |",
        "|---|---|---|",
        *(
            f"| `{path}` | [light]({name}-light.png) | [dark]({name}-dark.png) |"
            for name, path in sorted(taken.items())
        ),
    ]
    return "\n".join(lines) + "\n"
