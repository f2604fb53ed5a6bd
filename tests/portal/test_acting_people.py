"""Whoever acts in the admin center is named in the audit log by their id, and learns nothing beyond their scope."""

from __future__ import annotations

import re
from contextlib import closing

import pytest
from tests.portal.test_pages import text_of
from tests.support.admin import PUBLIC_URL, AdminWorld, Client
from tests.support.browsing import token_of
from tests.support.people import a_person, browser
from tests.support.samples import TENANT_ID, device_id

from shieldwall.contract.ids import GroupId
from shieldwall.server.directory import groups, scope_tags
from shieldwall.server.directory.groups import GroupDraft
from shieldwall.server.storage.events import audit
from shieldwall.server.storage.records import Page

PACKAGE = {
    "name": "First",
    "days": "7",
    "uses": "5",
    "platform_linux": "on",
    "approval": "auto",
    "attestation": "none",
    "join": "synthetic",
}
ACTS: dict[str, dict[str, str]] = {
    "/packages": PACKAGE,
    "/welcome/package": {"platform": "linux"},
    "/offboarding-packages": {"name": "Away", "days": "3", "platform_linux": "on", "devices": ""},
    "/authorities": {"kind": "tpm", "name": "One", "certificate": "ab" * 32},
}


@pytest.mark.parametrize("path", ACTS)
def test_an_act_is_recorded_with_who_did_it_and_from_where(world: AdminWorld, ada: Client, path: str) -> None:
    answer = ada.post(path, data={"csrf": token_of(ada), **ACTS[path]}, headers={"Origin": PUBLIC_URL})

    assert answer.status_code in {200, 303}, text_of(answer.text)
    with world.services.database.read() as connection:
        newest = audit.list_events(connection, TENANT_ID, Page())[0]
    assert newest.actor.startswith("person:ada@"), newest.activity
    assert newest.actor_id is not None
    assert newest.correlation_id is not None


@pytest.fixture
def group(world: AdminWorld) -> tuple[GroupId, str]:
    """A group in the scope of a tag; one device is in that scope as well, and two are not."""
    acting = world.services.acting("test")
    with world.writing() as connection:
        tag = scope_tags.create_tag(connection, acting, "North", "").id
        for number, name in enumerate(("mine", "theirs", "alike", "alike"), start=1):
            world.manager.join(connection, number, display_name=name)
        scope_tags.tag_device(connection, acting, device_id(1), [tag])
        made = groups.create_group(connection, acting, GroupDraft(display_name="Servers", mail_nickname="servers"))
        scope_tags.tag_group(connection, acting, made.id, [tag])
        return made.id, tag


def test_a_name_of_a_device_out_of_sight_is_like_one_that_nobody_has(
    world: AdminWorld, group: tuple[GroupId, str]
) -> None:
    where, tag = group
    answers = set()
    with closing(browser(world, a_person(world, tags=[tag]))) as grace:
        token = token_of(grace)
        for name in ("theirs", "alike", "nobody"):
            form = {"csrf": token, "devices": name}
            added = grace.post(f"/groups/{where}/members/add", data=form, headers={"Origin": PUBLIC_URL})
            away = {"csrf": token, "name": "x", "days": "3", "platform_linux": "on", "devices": name}
            packed = grace.post("/offboarding-packages", data=away, headers={"Origin": PUBLIC_URL})
            why = grace.get(f"/groups/{where}/why", params={"device": name})
            for page, answer in (("add", added), ("pack", packed), ("why", why)):
                words = text_of(re.sub("[0-9a-f-]{36}", "ID", answer.text)).replace(name, "NAME")
                assert not re.search(device_id(2), answer.text)
                answers.add((page, answer.status_code, re.sub(r"[0-9a-f]{8,}(-\d+)?|ID(-\d+)?", "", words)))
        assert len(answers) == 3, "one for each page"
        mine = grace.get(f"/groups/{where}/why", params={"device": "mine"})
        assert mine.status_code == 200, text_of(mine.text)
        assert device_id(1) in mine.text
