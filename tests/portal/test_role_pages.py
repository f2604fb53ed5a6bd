"""Roles, assignments, scope tags in the admin center: made, changed, explained, and never beyond what one holds."""

from __future__ import annotations

import re
from contextlib import closing

from tests.support.admin import PUBLIC_URL, AdminWorld, Client
from tests.support.people import a_person, browser

from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.roles import ADMINISTRATOR, HELP_DESK_OPERATOR, ROLE_ADMINISTRATOR
from shieldwall.server.directory import people, roles, scope_tags
from shieldwall.server.directory.access_of_people import access_of
from shieldwall.server.portal.settings.action_words import AREAS, WORDS
from shieldwall.server.storage.access import role_assignments, scoping
from shieldwall.server.storage.access import roles as stored_roles

_CSRF = re.compile(r'name="csrf" value="([0-9a-f]+)"')
_SEEN = re.compile(r'name="seen" value="([^"]+)"')


def token_of(client: Client) -> str:
    found = _CSRF.search(client.get("/account").text)
    assert found is not None
    return found[1]


def send(client: Client, path: str, **fields: str) -> tuple[int, str]:
    answer = client.post(path, data={"csrf": token_of(client), **fields}, headers={"Origin": PUBLIC_URL})
    return answer.status_code, answer.headers.get("location") or answer.text


def seen_on(client: Client, path: str) -> str:
    """The state that the form of a page was shown in."""
    found = _SEEN.search(client.get(path).text)
    assert found is not None
    return found[1]


def test_every_action_is_explained_once() -> None:
    named = [words.action for area in AREAS for words in area.actions]

    assert sorted(named) == sorted(ResourceAction)
    assert all(words.meaning.endswith(".") for _, words in WORDS.values())


def test_a_role_is_made_changed_assigned_and_explained(world: AdminWorld, ada: Client) -> None:
    read, sync = ResourceAction.READ_DEVICES, ResourceAction.SYNC_DEVICES
    status, path = send(ada, "/roles", display_name="Night <shift>", **{f"action_{read}": "on", "tag_0": "on"})
    assert status == 303, path
    role_id = path.rpartition("/")[2]
    edit, actions = f"{path}/edit", {f"action_{read}": "on", f"action_{sync}": "on"}
    edited, _ = send(ada, edit, display_name="Night shift", seen=seen_on(ada, edit), **actions)
    grace = a_person(world, None)
    status, assignment = send(
        ada, "/role-assignments", role=role_id, display_name="Nights", members=grace.user_name, devices="all"
    )

    assert (edited, status) == (303, 303), assignment
    with world.services.database.read() as connection:
        assert stored_roles.find(connection, world.services.tenant.id, role_id).role.actions == {read, sync}  # type: ignore[union-attr]
        assert access_of(connection, people.get(connection, world.services.tenant.id, grace.id)).may_everywhere(sync)
    assert "Nights" in ada.get(assignment).text
    assert "Grace" in ada.get(f"/access?action={sync}").text
    assert "Let devices check in at once." in ada.get(f"/people/{grace.id}/access").text


def test_what_was_typed_comes_back_with_the_fault(ada: Client) -> None:
    status, page = send(
        ada,
        "/role-assignments",
        role=HELP_DESK_OPERATOR.id,
        display_name="Desk",
        members="nobody@x.test",
        devices="all",
    )

    assert status == 400
    assert "called &#39;nobody@x.test&#39;" in page
    assert 'value="Desk"' in page


def test_nobody_gives_more_than_they_hold(world: AdminWorld) -> None:
    person = a_person(world, ROLE_ADMINISTRATOR, name="Rob")
    with closing(browser(world, person)) as client:
        page = client.get("/roles/new").text
        status, refused = send(client, "/roles", display_name="Sly", **{f"action_{ResourceAction.UPDATE_PEOPLE}": "on"})
        given, answer = send(
            client,
            "/role-assignments",
            role=ADMINISTRATOR.id,
            display_name="Me",
            members=person.user_name,
            devices="all",
        )

    assert re.search(rf'name="action_{ResourceAction.UPDATE_PEOPLE}" disabled', page)
    assert status == given == 400
    assert "You do not hold" in refused
    assert "You do not hold" in answer


def test_an_assignment_is_narrowed_edited_and_taken_away(world: AdminWorld, ada: Client) -> None:
    with world.writing() as connection:
        group = world.manager.group(connection, 1)
    grace = a_person(world, None)
    _, tag = send(ada, "/scope-tags", display_name="Berlin", description="The site")
    number = tag.rpartition("/")[2]
    _, path = send(
        ada,
        "/role-assignments",
        role=HELP_DESK_OPERATOR.id,
        display_name="Desk",
        members=grace.id,
        devices="groups",
        groups=group,
        **{f"tag_{number}": "on"},
    )
    shown, edit = ada.get(path).text, ada.get(f"{path}/edit").text
    in_use, _ = send(ada, f"{tag}/delete")
    seen = seen_on(ada, f"{path}/edit")
    changed, _ = send(ada, f"{path}/edit", display_name="Desk", members=grace.user_name, devices="none", seen=seen)
    assignment_id = path.rpartition("/")[2]
    with world.services.database.read() as connection:
        after = role_assignments.find(connection, world.services.tenant.id, assignment_id)
    gone, where = send(ada, f"{path}/delete")

    assert "Berlin" in shown
    assert group in shown
    assert grace.user_name in edit
    assert in_use == 400
    assert changed == 303
    assert after is not None
    assert (after.scope_groups, after.role_scope_tag_ids) == ((), ())
    assert (gone, where) == (303, "/role-assignments")
    assert send(ada, f"{tag}/delete")[0] == 303


def test_a_tag_is_renamed_and_given_by_groups(world: AdminWorld, ada: Client) -> None:
    with world.writing() as connection:
        group = world.manager.group(connection, 1)
    _, tag = send(ada, "/scope-tags", display_name="Lab", description="")
    send(ada, tag, display_name="Laboratory", description="Where it burns")
    send(ada, f"{tag}/groups", groups=group, seen=seen_on(ada, tag))
    wrong, page = send(ada, f"{tag}/groups", groups="Nowhere", seen=seen_on(ada, tag))

    assert wrong == 400
    assert "No group is called" in page
    with world.services.database.read() as connection:
        found = scope_tags.get_tag(connection, world.services.tenant.id, tag.rpartition("/")[2])
    assert found.display_name == "Laboratory"
    assert group in ada.get(tag).text


def test_rights_that_somebody_else_took_away_meanwhile_do_not_come_back(world: AdminWorld, ada: Client) -> None:
    """Two people at one role, one assignment, one scope tag: whoever saves second is shown what the first one did."""
    read, sync = ResourceAction.READ_DEVICES, ResourceAction.SYNC_DEVICES
    both = {f"action_{read}": "on", f"action_{sync}": "on"}
    grace, eve = a_person(world, None, name="Grace"), a_person(world, None, name="Eve")
    with world.writing() as connection:
        group = world.manager.group(connection, 1)
    _, role = send(ada, "/roles", display_name="Shift", **both)
    members = f"{grace.id}\n{eve.id}"
    _, assignment = send(
        ada, "/role-assignments", role=role.rpartition("/")[2], display_name="Desk", members=members, devices="all"
    )
    _, tag = send(ada, "/scope-tags", display_name="Lab", description="")
    send(ada, f"{tag}/groups", groups=group, seen=seen_on(ada, tag))
    forms = (
        (f"{role}/edit", f"{role}/edit", {"display_name": "Shift"} | both, {f"action_{sync}"}),
        (
            f"{assignment}/edit",
            f"{assignment}/edit",
            {"display_name": "Desk", "members": members, "devices": "all"},
            {"members"},
        ),
        (tag, f"{tag}/groups", {"groups": str(group)}, {"groups"}),
        (f"/groups/{group}/scope-tags", f"/groups/{group}/scope-tags", {f"tag_{tag.rpartition('/')[2]}": "on"}, None),
    )

    for page, action, fields, taken in forms:
        seen = seen_on(ada, page)
        if taken is not None:
            fewer = {name: value for name, value in fields.items() if name not in taken}
            changed = fewer | ({"members": grace.id} if "members" in taken else {})
            assert send(ada, action, seen=seen, **changed)[0] == 303, action
            status, answer = send(ada, action, seen=seen, **fields)
        else:
            status, answer = send(ada, action, seen=f"{seen}-of-before", **fields)
        assert status == 409, action
        assert "meanwhile, so nothing was saved" in answer, action
    with world.services.database.read() as connection:
        tenant = world.services.tenant.id
        found = stored_roles.find(connection, tenant, role.rpartition("/")[2])
        assert found is not None
        assert found.role.actions == {read}
        kept = role_assignments.find(connection, tenant, assignment.rpartition("/")[2])
        assert kept is not None
        assert kept.members == (grace.id,)
        assert scoping.tags_of_group(connection, tenant, group) == frozenset()
    assert send(ada, f"{role}/edit", seen=seen_on(ada, f"{role}/edit"), display_name="Shift", **both)[0] == 303


def test_the_last_administrator_stays(world: AdminWorld, ada: Client) -> None:
    with world.services.database.read() as connection:
        everything = [
            each.id
            for each in role_assignments.all_of_tenant(connection, world.services.tenant.id)
            if each.role_id == ADMINISTRATOR.id
        ]
    answers = [send(ada, f"/role-assignments/{each}/delete") for each in everything]

    status, page = answers[-1]
    assert status == 400
    assert "Nobody would be left" in page


def test_built_in_roles_are_copied_and_not_changed(world: AdminWorld, ada: Client) -> None:
    copy = ada.get(f"/roles/new?copy={HELP_DESK_OPERATOR.id}").text
    refused, _ = send(ada, f"/roles/{HELP_DESK_OPERATOR.id}/edit", display_name="Mine")

    assert f'name="action_{ResourceAction.SYNC_DEVICES}" checked' in copy
    assert refused == 400
    with world.services.database.read() as connection:
        assert roles.get_role(connection, world.services.tenant.id, HELP_DESK_OPERATOR.id) == HELP_DESK_OPERATOR
