"""A new tenant: no list is a dead end. Whatever is empty says what would stand there, or leads to the next step."""

from __future__ import annotations

import re

import pytest
from tests.portal.test_pages import text_of
from tests.support.admin import Client

from shieldwall.server.portal.navigation import MENU

NEXT: dict[str, str] = {
    "/devices": r"/(welcome|packages)",
    "/policies": r"/policies/new",
    "/groups": r"/groups/new",
    "/packages": r"/welcome/package",
}
"""Pages that are empty at first, and where each of them leads."""


def empty_parts(page: str) -> list[str]:
    return re.findall(r'<(?:div|p|td)[^>]*class="empty"[^>]*>(.*?)</(?:div|td)>', page, re.DOTALL)


@pytest.mark.parametrize("path", NEXT)
def test_an_empty_list_leads_to_the_next_step(ada: Client, path: str) -> None:
    page = ada.get(path).text

    found = "".join(empty_parts(page))
    assert re.search(rf'href="{NEXT[path]}', found), found


def test_every_page_of_the_menu_opens_in_a_new_tenant_and_says_something(ada: Client) -> None:
    silent = []
    for entry in (entry for chapter in MENU for entry in chapter.entries):
        answer = ada.get(entry.path)
        if answer.status_code in {403, 404}:
            continue  # not in the menu of this person
        assert answer.status_code == 200, entry.path
        main = answer.text.partition("<main")[2]
        bare = re.search(r"<tbody>\s*</tbody>", main)
        if bare or len(text_of(main)) < 80:
            silent.append(entry.path)
    assert not silent


def test_an_empty_part_is_a_sentence(ada: Client) -> None:
    for path in ("/alerts", "/offboarding-packages", "/registrations", "/authorities", *NEXT):
        for part in empty_parts(ada.get(path).text):
            said = text_of(part).strip()
            assert len(said.split()) >= 3, (path, said)
