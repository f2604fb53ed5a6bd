"""The furnished tenant that other tests look at is as it says, and every page of it can be opened."""

from __future__ import annotations

from tests.support.admin import AdminWorld, Client
from tests.support.databases import on_sqlite_alone
from tests.support.portal_scene import furnish

pytestmark = on_sqlite_alone


def test_every_page_of_a_furnished_tenant_opens(world: AdminWorld, ada: Client) -> None:
    scene = furnish(world.services)
    wrong = []
    for path, url in scene.pages(world.framework):
        answer = ada.get(url)
        if answer.status_code not in {200, 302, 303, 307, 400, 404}:
            wrong.append((path, answer.status_code))
    assert wrong == []
