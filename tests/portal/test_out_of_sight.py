"""What somebody narrowed to a scope tag is not told by pages: of policies and tags that are not theirs."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from tests.portal.test_pages import text_of
from tests.portal.test_scope import fields_of, sends
from tests.support.admin import AdminWorld, Client
from tests.support.manager_world import a_draft
from tests.support.people import a_person, browser
from tests.support.samples import TENANT_ID

from shieldwall.contract.ids import AssignmentFilterId, DeviceId
from shieldwall.server.access.roles import ADMINISTRATOR
from shieldwall.server.directory import scope_tags
from shieldwall.server.manager import filters
from shieldwall.server.manager.assignments import Assigned, assign
from shieldwall.server.storage.records import AssignmentKind

RULE = '(device.displayName -startsWith "web")'


@pytest.fixture
def tags(world: AdminWorld) -> tuple[str, str]:
    """Berlin, and Munich."""
    with world.writing() as connection:
        acting = world.services.acting("test")
        return tuple(scope_tags.create_tag(connection, acting, name, "").id for name in ("Berlin", "Munich"))  # type: ignore[return-value]


@pytest.fixture
def grace(world: AdminWorld, tags: tuple[str, str]) -> Client:
    """Somebody who may everything where Berlin is."""
    return browser(world, a_person(world, ADMINISTRATOR, tags=[tags[0]]))


@pytest.fixture
def device(world: AdminWorld, tags: tuple[str, str]) -> DeviceId:
    """A device of Berlin, which policies of both reach."""
    with world.writing() as connection:
        device = world.manager.join(connection, 1)
        scope_tags.tag_device(connection, world.services.acting("test"), device, [tags[0]])
        for name, tag in zip(("Spree", "Isar"), tags, strict=True):
            draft = replace(a_draft(name), role_scope_tag_ids=(tag,))
            policy = world.manager.policies.create(connection, world.manager.acting, draft)
            assign(connection, world.manager.acting, policy.id, [Assigned(kind=AssignmentKind.ALL_DEVICES)])
        return device


def test_a_policy_out_of_sight_is_neither_named_nor_linked_on_a_device(grace: Client, device: DeviceId) -> None:
    page = grace.get(f"/devices/{device}/settings").text

    assert "Spree" in page
    assert "a policy outside your scope" in text_of(page)
    assert "Isar" not in page
    links = re.findall(r'href="(/policies/[0-9a-f-]{36})"', page)
    assert links
    assert all(grace.get(link).status_code == 200 for link in links)


def test_a_filter_is_offered_and_given_the_tags_of_its_author(
    world: AdminWorld, grace: Client, tags: tuple[str, str]
) -> None:
    page = grace.get("/filters/new").text
    assert "Munich" not in page
    fields = fields_of(page, "/filters/new/preview") | {"display_name": "Web", "platform": "linux", "rule": RULE}

    made = sends(grace, "/filters/new", fields)

    assert made.status_code == 303, text_of(made.text)
    assert _tags_of(world, made.headers["Location"]) == (tags[0],)


def test_a_filter_keeps_the_tags_that_its_author_is_not_offered(
    world: AdminWorld, grace: Client, tags: tuple[str, str]
) -> None:
    draft = filters.FilterDraft(display_name="Web", platform="linux", rule=RULE, role_scope_tag_ids=tags)
    with world.writing() as connection:
        path = f"/filters/{filters.create_filter(connection, world.services.acting('test'), draft).id}"
    page = grace.get(path).text
    assert "Munich" not in page
    entered = {"display_name": "Webs", "platform": "linux", "rule": RULE, "tag": tags[0]}
    shown = sends(grace, f"{path}/preview", fields_of(page, f"{path}/preview") | entered)

    saved = sends(grace, path, fields_of(shown.text, path))

    assert saved.status_code == 303, text_of(saved.text)
    assert set(_tags_of(world, path)) == set(tags)


def _tags_of(world: AdminWorld, path: str) -> tuple[str, ...]:
    with world.services.database.read() as connection:
        kept = filters.get_filter(connection, TENANT_ID, AssignmentFilterId(path.rsplit("/", 1)[1]))
    return kept.role_scope_tag_ids
