"""Every page of the admin center, opened one after another in a real browser over the furnished tenant."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from playwright.sync_api import Error, Page
from tests.support.admin import admin_routes
from tests.support.portal_browser import Office, Watched
from tests.support.portal_scene import Scene

REPOSITORY: Final = Path(__file__).parents[2]
_AXE: Final = REPOSITORY / "front/node_modules/axe-core/axe.min.js"
NO_PAGES: Final[Mapping[str, str]] = {
    "/live": "a stream",
    "/rule-words": "JSON for the editor of rules; a browser that opens it asks for an icon that is not there",
    "/work/{work_id}": "nobody has work in another process",
    "/work/{work_id}/file": "nobody has work in another process",
    "/policies/previews/{work_id}": "nobody has work in another process",
    "/device": "off unless programs may ask people by it",
    "/devices/{device_id}/approve": "the device does not wait",
    "/devices/{device_id}/reject": "the device does not wait",
    "/devices/{device_id}/release": "the device is not in quarantine",
    "/devices/{device_id}/enable": "the device is not disabled",
}
"""What answers GET and is no page of its own, and why."""


def pages(scene: Scene, *, but: Mapping[str, str] = NO_PAGES) -> Iterator[tuple[str, str]]:
    """Yield the paths of all pages, as declared and as they lead to something real."""
    for path, url in scene.pages(admin_routes()):
        if path not in but:
            yield path, url


def opened(watched: Watched, office: Office, scene: Scene) -> Iterator[str]:
    """Open page after page; yield the declared path of each that came as a page, with what is complained about it."""
    page = watched.page
    for path, url in pages(scene):
        watched.complaints.clear()
        try:
            answer = page.goto(f"{office.url}{url}")
        except Error as error:
            if "Download is starting" not in error.message:
                raise
            continue  # a file, to be saved
        assert answer is not None
        assert answer.ok, f"{path}: {answer.status}"
        if answer.headers.get("content-type", "").startswith("text/html"):
            yield path


def faults(page: Page) -> list[str]:
    """Ask axe-core what is wrong with a page for those who do not see or point."""
    page.evaluate(f"window.axe || (() => {{ {_AXE.read_text()} }})()")
    found = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    return [
        f"{each['id']}: {node['html'][:160]} ({node['failureSummary'][:200]!r})"
        for each in found["violations"]
        for node in each["nodes"][:3]
    ]
