"""What is done to policies in the admin center: each act shows first what it would do, and does just that."""

from __future__ import annotations

import re
from contextlib import closing
from dataclasses import replace
from html import unescape
from time import sleep
from typing import Any
from urllib.parse import urlencode

import pytest
from tests.portal.test_pages import assigned, text_of
from tests.support.admin import PUBLIC_URL, AdminWorld, Client
from tests.support.manager_world import a_draft
from tests.support.people import a_person, browser
from tests.support.samples import NOON, TENANT_ID

from shieldwall.contract.conflicts import ConflictFamily, ConflictRule
from shieldwall.contract.ids import GroupId
from shieldwall.server.access.roles import ENDPOINT_SECURITY_MANAGER
from shieldwall.server.manager import conflict_rules
from shieldwall.server.manager.assignments import Assigned, assign
from shieldwall.server.portal.policies import long_previews
from shieldwall.server.portal.policies.assignment_pages import fields_of, pending_of
from shieldwall.server.storage.access import scope_tags
from shieldwall.server.storage.access_records import ScopeTag
from shieldwall.server.storage.policies import assignments
from shieldwall.server.storage.policies import policies as stored
from shieldwall.server.storage.records import AssignmentKind, FilterKind, Policy

Fields = list[tuple[str, str]]


def form_of(page: str, action: str) -> Fields:
    """The hidden fields of the form that goes there, in their order."""
    (form,) = re.findall(rf'<form[^>]*action="{re.escape(action)}"[^>]*>(.*?)</form>', page, re.DOTALL)
    found = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', form)
    return [(name, unescape(value)) for name, value in found]


def sends(client: Client, path: str, fields: Fields) -> Any:
    headers = {"Origin": PUBLIC_URL, "Content-Type": "application/x-www-form-urlencoded"}
    return client.post(path, content=urlencode(fields), headers=headers, follow_redirects=False)


@pytest.fixture
def weak(world: AdminWorld) -> Policy:
    """A policy on two devices, whose protection another one would raise."""
    with world.writing() as connection:
        for number in (1, 2):
            world.manager.join(connection, number)
        return assigned(world, connection, "Weak", cloud="false")


def stored_policy(world: AdminWorld, policy: Policy) -> Policy | None:
    with world.services.database.read() as connection:
        return stored.find(connection, policy.id)


def changed(world: AdminWorld, policy: Policy, **settings: str) -> None:
    """Somebody else saves the policy."""
    with world.writing() as connection:
        world.manager.policies.update(
            connection, world.manager.acting, policy.id, a_draft(policy.name, **settings), reason="Another day."
        )


def test_a_policy_is_deleted_after_its_preview(world: AdminWorld, ada: Client, weak: Policy) -> None:
    path = f"/policies/{weak.id}/delete"
    page = ada.get(path).text
    words = text_of(page)
    assert "2 devices get other settings" in words
    assert "not set any more: back to what it was before management" in words

    answer = sends(ada, path, [*form_of(page, path), ("reason", "Not needed.")])

    assert (answer.status_code, answer.headers["location"]) == (303, "/policies")
    assert stored_policy(world, weak) is None


def test_a_policy_that_changed_meanwhile_is_not_deleted(world: AdminWorld, ada: Client, weak: Policy) -> None:
    path = f"/policies/{weak.id}/delete"
    fields = form_of(ada.get(path).text, path)
    changed(world, weak, cloud="true")

    answer = sends(ada, path, fields)

    assert answer.status_code == 409
    assert "This changed meanwhile. Nothing was saved" in text_of(answer.text)
    assert stored_policy(world, weak) is not None
    assert sends(ada, path, form_of(answer.text, path)).status_code == 303


def test_a_form_of_another_page_does_nothing(world: AdminWorld, ada: Client, weak: Policy) -> None:
    path = f"/policies/{weak.id}/delete"
    fields = [(name, value) for name, value in form_of(ada.get(path).text, path) if name != "csrf"]

    assert sends(ada, path, fields).status_code in {400, 403}
    assert stored_policy(world, weak) is not None


def test_a_policy_is_copied_and_assigned_to_nobody(world: AdminWorld, ada: Client, weak: Policy) -> None:
    path = f"/policies/{weak.id}/duplicate"
    page = ada.get(path).text
    assert 'value="Weak (copy)"' in page
    fields = form_of(page, path)
    nameless = sends(ada, path, [*fields, ("name", " "), ("description", "")])
    assert nameless.status_code == 400
    assert "The name is missing or too long." in text_of(nameless.text)

    answer = sends(ada, path, [*fields, ("name", "Other"), ("description", "A copy.")])

    assert answer.status_code == 303
    with world.services.database.read() as connection:
        made = stored.get(connection, answer.headers["location"].rpartition("/")[2])
        assert (made.name, made.description, made.settings) == ("Other", "A copy.", weak.settings)
        assert assignments.of_policy(connection, made.id) == ()


def test_a_priority_is_previewed_and_saved(world: AdminWorld, ada: Client, weak: Policy) -> None:
    path = f"/policies/{weak.id}/priority"
    page = ada.get(path).text
    assert "it makes no difference yet" in text_of(page)
    asked = form_of(page, f"{path}/preview")
    wrong = sends(ada, f"{path}/preview", [*asked, ("priority", "0")])
    assert "a number from 1 to 500" in text_of(wrong.text)
    assert "Save the priority" not in text_of(wrong.text)

    preview = sends(ada, f"{path}/preview", [*asked, ("priority", "7")]).text
    assert "every setting comes out as it is now" in text_of(preview)
    assert sends(ada, path, [*form_of(preview, path), ("reason", "")]).status_code == 303

    after = stored_policy(world, weak)
    assert after is not None
    assert after.priority == 7


def test_the_history_tells_what_each_revision_did(world: AdminWorld, ada: Client, weak: Policy) -> None:
    changed(world, weak, cloud="true")
    changed(world, weak, cloud="true", diagnostic="1")

    page = ada.get(f"/policies/{weak.id}/history").text
    words = text_of(page)
    assert "3 (current)" in words
    assert words.index("Another day.") < words.index("Raises protection") < words.index("Roll back")

    both = text_of(ada.get(f"/policies/{weak.id}/history/compare?from=1&to=3").text)
    assert "From revision 1 to revision 3" in both
    assert "Before: Disabled" in both
    assert "After: Enabled" in both
    assert "Diagnostic data collection level" in both
    alone = text_of(ada.get(f"/policies/{weak.id}/history/compare?to=3").text)
    assert "Before: Disabled" not in alone
    assert "Nothing differs" in text_of(ada.get(f"/policies/{weak.id}/history/compare?from=3&to=3").text)
    assert ada.get(f"/policies/{weak.id}/history/compare?to=9").status_code == 404


def test_a_policy_goes_back_to_an_earlier_revision(world: AdminWorld, ada: Client, weak: Policy) -> None:
    changed(world, weak, cloud="true")
    path = f"/policies/{weak.id}/revisions/1/rollback"
    page = ada.get(path).text
    words = text_of(page)
    assert "This lowers the protection of devices." in words
    assert "2 devices get other settings" in words

    answer = sends(ada, path, [*form_of(page, path), ("reason", "Broke the printer.")])

    assert answer.status_code == 303
    after = stored_policy(world, weak)
    assert after is not None
    assert (after.revision, after.settings) == (3, weak.settings)
    assert "Broke the printer." in text_of(ada.get(answer.headers["location"]).text)


@pytest.fixture
def group(world: AdminWorld) -> GroupId:
    """A group of one device."""
    with world.writing() as connection:
        return world.manager.group(connection, 1, world.manager.join(connection, 3))


def targets(world: AdminWorld, policy: Policy) -> set[tuple[AssignmentKind, str | None]]:
    with world.services.database.read() as connection:
        return {(each.kind, each.group_id) for each in assignments.of_policy(connection, policy.id)}


def test_assignments_are_put_together_previewed_and_saved(
    world: AdminWorld, ada: Client, weak: Policy, group: GroupId
) -> None:
    base = f"/policies/{weak.id}/assignments"
    page = ada.get(base).text
    fields = form_of(page, f"{base}/preview")
    assert 'name="everybody" value="on" checked' in page

    found = sends(ada, f"{base}/edit", [*fields, ("everybody", "on"), ("find", "group-1")])
    assert f'value="{group}"' in found.text
    added = sends(ada, f"{base}/edit", [*fields, ("add", group)]).text
    assert "Not saved yet." in text_of(added)
    assert targets(world, weak) == {(AssignmentKind.ALL_DEVICES, None)}

    preview = sends(ada, f"{base}/preview", [*form_of(added, f"{base}/preview"), (f"kind:{group}", "include")]).text
    assert "2 devices get other settings" in text_of(preview)
    assert sends(ada, base, [*form_of(preview, base), ("reason", "")]).status_code == 303
    assert targets(world, weak) == {(AssignmentKind.INCLUDE, group)}


def test_assignments_that_changed_meanwhile_are_not_replaced(
    world: AdminWorld, ada: Client, weak: Policy, group: GroupId
) -> None:
    base = f"/policies/{weak.id}/assignments"
    preview = sends(ada, f"{base}/preview", [*form_of(ada.get(base).text, f"{base}/preview"), ("add", group)]).text
    with world.writing() as connection:
        wanted = Assigned(kind=AssignmentKind.EXCLUDE, group_id=group)
        assign(connection, world.manager.acting, weak.id, [Assigned(kind=AssignmentKind.ALL_DEVICES), wanted])

    answer = sends(ada, base, form_of(preview, base))

    assert answer.status_code == 409
    assert (AssignmentKind.EXCLUDE, group) in targets(world, weak)


def test_a_form_of_assignments_that_changed_meanwhile_says_so_in_its_preview(
    world: AdminWorld, ada: Client, weak: Policy, group: GroupId
) -> None:
    base = f"/policies/{weak.id}/assignments"
    before = form_of(ada.get(base).text, f"{base}/preview")
    with world.writing() as connection:
        assign(connection, world.manager.acting, weak.id, [Assigned(kind=AssignmentKind.INCLUDE, group_id=group)])

    answer = sends(ada, f"{base}/preview", [*before, ("everybody", "on")])
    assert answer.status_code == 409
    assert "This changed meanwhile" in answer.text
    assert sends(ada, base, form_of(answer.text, base)).status_code == 303


def test_fields_of_assignments_say_them_all() -> None:
    one, two = (GroupId(f"00000000-0000-4000-8000-00000000000{number}") for number in (1, 2))
    narrowing: Any = "00000000-0000-4000-8000-00000000000a"
    wanted = (
        Assigned(kind=AssignmentKind.ALL_DEVICES, filter_id=narrowing, filter_kind=FilterKind.EXCLUDE),
        Assigned(kind=AssignmentKind.INCLUDE, group_id=one, filter_id=narrowing, filter_kind=FilterKind.INCLUDE),
        Assigned(kind=AssignmentKind.EXCLUDE, group_id=two),
    )
    sent: dict[str, list[str]] = {}
    for name, value in fields_of(wanted):
        sent.setdefault(name, []).append(value)

    assert pending_of(sent) == wanted


def test_who_is_narrowed_sees_the_preview_of_their_part(world: AdminWorld) -> None:
    with world.writing() as connection:
        mine, _ = (world.manager.join(connection, number) for number in (1, 2))
        scope_tags.add(
            connection, ScopeTag(tenant_id=TENANT_ID, id="7", display_name="Branch", description="", created_at=NOON)
        )
        scope_tags.set_of_device(connection, TENANT_ID, mine, ["7"])
        other = assigned(world, connection, "Headquarters", cloud="true")
        draft = replace(a_draft("Branch", cloud="false"), role_scope_tag_ids=("7",))
        policy = world.manager.policies.create(connection, world.manager.acting, draft)
        assign(connection, world.manager.acting, policy.id, [Assigned(kind=AssignmentKind.ALL_DEVICES)])
        conflict_rules.replace_rules(connection, world.manager.acting, {ConflictFamily.ANTIVIRUS: ConflictRule.NOTHING})
    person = a_person(world, ENDPOINT_SECURITY_MANAGER, tags=["7"])

    with closing(browser(world, person)) as client:
        words = text_of(client.get(f"/policies/{policy.id}/delete").text)
        assert client.get(f"/policies/{other.id}/delete").status_code == 404
        conflicts = text_of(client.get("/policies/conflicts").text)

    assert "You see a part of this tenant." in words
    assert "1 device is sent something else, of 1 managed" in words
    assert "Conflicts that go" in words
    assert "device-1" in words
    assert "device-2" not in words
    assert "Headquarters" not in words
    assert "a policy outside your scope" in words
    assert "Headquarters" not in conflicts
    assert "a policy outside your scope" in conflicts


def test_the_preview_of_a_large_fleet_is_worked_out_beside(
    world: AdminWorld, ada: Client, weak: Policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(long_previews, "MOST_AT_ONCE", 1)
    path = f"/policies/{weak.id}/delete"
    page = ada.get(path).text
    assert "Your fleet is large" in text_of(page)
    assert "Delete this policy" not in text_of(page)

    begun = sends(ada, f"{path}/preview", form_of(page, f"{path}/preview"))
    assert begun.status_code == 303
    link, patience = None, 400
    while link is None and patience:
        patience -= 1
        sleep(0.05)
        link = re.search(r'href="(/policies/previews/[^"]+)"', ada.get(begun.headers["location"]).text)
    assert link is not None
    shown = ada.get(link[1]).text
    assert "2 devices get other settings" in text_of(shown)
    with closing(browser(world, a_person(world))) as other:
        assert other.get(link[1]).status_code == 404, "it is of who asked"
    assert sends(ada, path, form_of(shown, path)).status_code == 303
    assert stored_policy(world, weak) is None
