"""What nobody gets out of the wizard: a policy twice, one overtaken, one that is not theirs to see any more."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from tests.portal.test_pages import text_of
from tests.portal.wizard.test_wizard_pages import all_policies, begin, goes, save, unfinished_of
from tests.support.admin import PUBLIC_URL, AdminWorld, Client
from tests.support.browsing import token_of
from tests.support.manager_world import CLOUD, a_draft
from tests.support.people import a_person, browser
from tests.support.sent_forms import form_to, send

from shieldwall.server.directory import scope_tags
from shieldwall.server.manager import unfinished as keeping
from shieldwall.server.manager.assignments import Assigned, assign
from shieldwall.server.portal.policies.wizard import review_pages
from shieldwall.server.storage.policies import assignments
from shieldwall.server.storage.records import AssignmentKind


def entered(ada: Client) -> str:
    at = begin(ada)
    goes(ada, at, "basics", "go:settings", name="Baseline")
    goes(ada, at, "settings", "go:review", **{CLOUD: f"{CLOUD}_true"})
    return at


@pytest.mark.parametrize("meanwhile", ["saved", "changed"])
def test_what_another_request_did_meanwhile_is_neither_repeated_nor_lost(
    world: AdminWorld, ada: Client, monkeypatch: pytest.MonkeyPatch, meanwhile: str
) -> None:
    """The same form sent twice at once: both were read before either was saved."""
    at = entered(ada)
    form = form_to(ada.get(f"{at}/review?preview=1").text, f"{at}/review")
    before, agreed = unfinished_of(world, at), review_pages._agreed

    def overtaken(*arguments: Any) -> Any:
        found = agreed(*arguments)
        with world.writing() as connection:
            if meanwhile == "saved":
                assert keeping.discard(connection, before)
            else:
                content = msgspec.structs.replace(before.content, draft=replace(before.draft, name="Other"))
                keeping.keep(connection, world.services.acting("test"), before, content)
        return found

    monkeypatch.setattr(review_pages, "_agreed", overtaken)
    answer = send(ada, form, {"do": "save"})

    assert answer.status_code == (404 if meanwhile == "saved" else 400), text_of(answer.text)
    assert all_policies(world) == ()
    if meanwhile == "changed":
        assert "changed while it was being saved" in text_of(answer.text)
        assert unfinished_of(world, at).draft.name == "Other"


def test_what_throws_an_unfinished_policy_away_second_hears_that_it_was_gone(world: AdminWorld, ada: Client) -> None:
    begun = unfinished_of(world, begin(ada))
    with world.writing() as connection:
        assert keeping.discard(connection, begun)
        assert not keeping.discard(connection, begun)


def test_whoever_is_narrowed_changes_a_policy_that_also_reaches_a_group_out_of_their_sight(world: AdminWorld) -> None:
    """They see neither the group nor set the priority: both stay as they are."""
    manager, acting = world.manager, world.services.acting("test")
    with world.writing() as connection:
        mine = scope_tags.create_tag(connection, acting, "North", "").id
        draft = replace(a_draft("Baseline"), role_scope_tag_ids=(mine, "0"), priority=7)
        policy = manager.policies.create(connection, acting, draft)
        unseen = manager.group(connection, 1)
        assign(connection, acting, policy.id, [Assigned(kind=AssignmentKind.INCLUDE, group_id=unseen)])
    with closing(browser(world, a_person(world, tags=[mine]))) as grace:
        form = {"csrf": token_of(grace), "step": "basics"}
        begun = grace.post(f"/policies/{policy.id}/edit", data=form, headers={"Origin": PUBLIC_URL})
        at = begun.headers["location"].removesuffix("/basics")
        assert form_to(grace.get(f"{at}/basics").text, f"{at}/basics").values("priority") == []
        goes(grace, at, "basics", "go:settings", name="Baseline of the north")
        words = text_of(grace.get(f"{at}/review?preview=1").text)
        assert "This cannot be saved yet" not in words
        assert save(grace, at) == f"/policies/{policy.id}"

    (saved,) = all_policies(world)
    assert (saved.name, saved.priority) == ("Baseline of the north", 7)
    with world.services.database.read() as connection:
        assert [each.group_id for each in assignments.of_policy(connection, policy.id)] == [unseen]


def test_a_change_begun_shows_nothing_of_a_policy_that_went_out_of_sight(world: AdminWorld) -> None:
    manager, acting = world.manager, world.services.acting("test")
    with world.writing() as connection:
        mine, other = (scope_tags.create_tag(connection, acting, name, "").id for name in ("North", "South"))
        policy = manager.policies.create(connection, acting, replace(a_draft("Baseline"), role_scope_tag_ids=(mine,)))
    with closing(browser(world, a_person(world, tags=[mine]))) as grace:
        form = {"csrf": token_of(grace), "step": "settings"}
        begun = grace.post(f"/policies/{policy.id}/edit", data=form, headers={"Origin": PUBLIC_URL})
        at = begun.headers["location"].removesuffix("/settings")
        assert grace.get(f"{at}/review").status_code == 200
        with world.writing() as connection:
            moved = replace(a_draft("Secret plan", cloud="false"), role_scope_tag_ids=(other,))
            manager.policies.update(connection, acting, policy.id, moved)

        for step in ("basics", "settings", "scope-tags", "assignments", "review"):
            answer = grace.get(f"{at}/{step}")
            assert answer.status_code == 404, step
            assert "Secret plan" not in answer.text
        anew = {"csrf": token_of(grace), "do": "anew"}
        assert grace.post(f"{at}/review", data=anew, headers={"Origin": PUBLIC_URL}).status_code == 404
