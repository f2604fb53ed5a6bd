"""Groups in the admin center: who belongs and why, and a rule that is tried and previewed before it is saved."""

from __future__ import annotations

import csv
import html
import io
import json
import re
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Connection
from tests.portal.test_pages import text_of
from tests.portal.test_scope import fields_of, sends
from tests.support.admin import AdminWorld, Client
from tests.support.browsing import sent, token_of
from tests.support.long_work import file_of
from tests.support.people import a_person, browser
from tests.support.samples import TENANT_ID, device_id
from tests.support.second_tenant import FABRIKAM_DEVICE, FABRIKAM_GROUP

from shieldwall.contract.ids import GroupId
from shieldwall.server.access.roles import ADMINISTRATOR
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.directory import group_rules, membership, scope_tags
from shieldwall.server.directory.group_rules import Moves
from shieldwall.server.directory.groups import GroupDraft, create_group
from shieldwall.server.portal.groups import group_member_pages
from shieldwall.server.portal.paging import PAGE_SIZE
from shieldwall.server.storage.check_ins import targets
from shieldwall.server.storage.events import audit
from shieldwall.server.storage.groups import group_members, groups
from shieldwall.server.storage.records import Group, Page, ProcessingState

WEB = 'device.displayName -startsWith "web"'


@pytest.fixture
def group(world: AdminWorld) -> GroupId:
    """A dynamic group of web-1, beside db-1."""
    with world.writing() as connection:
        for number, name in ((1, "web-1"), (2, "db-1")):
            world.manager.join(connection, number, display_name=name)
        draft = GroupDraft(display_name="Web", mail_nickname="web", membership_rule=WEB)
        return create_group(connection, world.services.acting("test"), draft).id


def stored(world: AdminWorld, group: GroupId) -> Group:
    with world.services.database.read() as connection:
        return groups.get(connection, group)


def members(world: AdminWorld, group: GroupId) -> set[str]:
    with world.services.database.read() as connection:
        return set(group_members.member_ids(connection, group))


def preview(client: Client, group: GroupId, rule: str, devices: str = "") -> Any:
    path = f"/groups/{group}/rule/preview"
    fields = fields_of(client.get(f"/groups/{group}/rule").text, path)
    return sends(client, path, fields | {"rule": rule, "devices": devices})


def test_a_group_shows_its_rule_its_members_and_its_history(ada: Client, group: GroupId) -> None:
    listed = text_of(ada.get("/groups").text)
    assert "Dynamic" in listed
    assert "startsWith" in listed
    about = text_of(ada.get(f"/groups/{group}").text)
    members = text_of(ada.get(f"/groups/{group}/members").text)
    history = text_of(ada.get(f"/groups/{group}/history").text)
    assert "by rule" in about
    assert "startsWith" in about
    assert "Nothing yet: no policy" in about
    assert "web-1" in members
    assert "db-1" not in members
    for shown in ("web-1", "joined", "the rule changed", "test"):
        assert shown in history
    assert "db-1" not in history


def test_a_rule_is_wrong_at_a_character(world: AdminWorld, ada: Client, group: GroupId) -> None:
    answer = preview(ada, group, 'device.displayName -any (_ -eq "web")')

    assert answer.status_code == 400
    assert "(at character 19)" in answer.text
    assert "<code>device.displayName <mark>-</mark>any" in answer.text
    assert "Save" not in text_of(answer.text)
    at_the_end = preview(ada, group, "device.displayName -eq")
    assert "<mark>▯</mark>" in at_the_end.text
    assert preview(ada, group, 'device.displayName -eq "\u202e"').status_code == 400
    asks = preview(ada, group, f"device.memberOf -any (group.objectId -in ['{FABRIKAM_GROUP}'])")
    assert asks.status_code == 400
    assert stored(world, group).membership_rule == WEB


def test_a_rule_is_tried_on_devices_part_by_part(ada: Client, group: GroupId) -> None:
    rule = '(device.deviceOSType -eq "Linux")\r\n-and (device.displayName -eq "DB-1")'

    words = text_of(preview(ada, group, rule, f"web-1\n{device_id(2)}").text)

    assert "web-1 would not belong" in words
    assert "db-1 would belong" in words
    assert "found: Linux" in words
    assert "found: web-1" in words
    for devices, status in (("nobody", 400), (device_id(9), 400), (FABRIKAM_DEVICE, 400), ("x\n" * 1 + "y", 400)):
        answer = preview(ada, group, rule, devices)
        assert answer.status_code == status, devices
        assert "fabrikam" not in answer.text.lower()


def test_what_was_previewed_is_saved(world: AdminWorld, ada: Client, group: GroupId) -> None:
    shown = preview(ada, group, 'device.displayName -startsWith "db"')
    assert "1 join, 1 leave. Members then: 1." in text_of(shown.text)
    assert members(world, group) == {device_id(1)}

    saved = sends(ada, f"/groups/{group}/rule", fields_of(shown.text, f"/groups/{group}/rule"))

    assert saved.status_code == 303, saved.text
    assert members(world, group) == {device_id(2)}
    with world.services.database.read() as connection:
        events = audit.list_events(connection, TENANT_ID, Page(), object_id=group)
    assert ("group.changed", "person:ada@contoso.example") in {(event.activity, event.actor) for event in events}


def test_what_changed_since_the_preview_is_shown_again(world: AdminWorld, ada: Client, group: GroupId) -> None:
    fields = fields_of(preview(ada, group, 'device.displayName -startsWith "db"').text, f"/groups/{group}/rule")
    with world.writing() as connection:
        world.manager.join(connection, 3, display_name="db-2")

    answer = sends(ada, f"/groups/{group}/rule", fields)

    assert answer.status_code == 200
    assert "Nothing was saved" in text_of(answer.text)
    assert "2 join, 1 leave" in text_of(answer.text)
    assert stored(world, group).membership_rule == WEB
    assert sends(ada, f"/groups/{group}/rule", fields | {"csrf": "x"}).status_code == 403
    assert sends(ada, f"/groups/{group}/rule", fields | {"rule": "x"}).status_code == 400


def test_what_the_index_says_is_shown_and_saved_only_where_it_is_true(
    world: AdminWorld, ada: Client, group: GroupId, monkeypatch: pytest.MonkeyPatch
) -> None:
    rule = 'device.displayName -startsWith "db"'
    both = frozenset({device_id(1), device_id(2)})
    wrong = Moves(gained=frozenset({device_id(2)}), lost=frozenset(), members=2)
    true = Moves(gained=frozenset({device_id(2)}), lost=both - wrong.gained, members=1)
    said = {group: wrong}
    monkeypatch.setattr(AdminServices, "rule_moves", lambda _services, asked, _rule: said[asked])

    shown = preview(ada, group, rule)
    assert "1 join, 0 leave. Members then: 2." in text_of(shown.text)
    refused = sends(ada, f"/groups/{group}/rule", fields_of(shown.text, f"/groups/{group}/rule"))

    assert "Nothing was saved" in text_of(refused.text)
    assert "1 join, 1 leave" in text_of(refused.text)
    assert stored(world, group).membership_rule == WEB

    said[group] = true
    shown = preview(ada, group, rule)
    assert sends(ada, f"/groups/{group}/rule", fields_of(shown.text, f"/groups/{group}/rule")).status_code == 303
    assert members(world, group) == {device_id(2)}


def test_a_group_without_a_rule_keeps_its_members(world: AdminWorld, ada: Client, group: GroupId) -> None:
    shown = preview(ada, group, "  ")
    assert "The members stay" in text_of(shown.text)

    assert sends(ada, f"/groups/{group}/rule", fields_of(shown.text, f"/groups/{group}/rule")).status_code == 303

    assert stored(world, group).membership_rule is None
    assert members(world, group) == {device_id(1)}
    for action in ("pause", "resume"):
        assert ada.get(f"/groups/{group}/{action}").status_code == 400


def test_a_rule_is_paused_and_followed_again(world: AdminWorld, ada: Client, group: GroupId) -> None:
    path = f"/groups/{group}/pause"
    assert sends(ada, path, fields_of(ada.get(path).text, path)).status_code == 303
    assert stored(world, group).processing_state is ProcessingState.PAUSED
    assert "paused" in text_of(ada.get("/groups").text)
    with world.writing() as connection:
        world.manager.join(connection, 3, display_name="web-2")

    path = f"/groups/{group}/resume"
    page = ada.get(path).text
    assert "Devices that would join: 1. Devices that would leave: 0. It would have 2 then." in text_of(page)
    assert sends(ada, path, fields_of(page, path)).status_code == 303

    assert stored(world, group).processing_state is ProcessingState.ON
    assert members(world, group) == {device_id(1), device_id(3)}


def made(client: Client, **fields: str) -> Any:
    """What comes of the form of a new group."""
    return sends(client, "/groups/new", fields_of(client.get("/groups/new").text, "/groups/new") | fields)


def one_line(client: Client, path: str) -> str:
    return text_of(client.get(path).text)


@pytest.mark.usefixtures("group")
def test_groups_are_found_by_name_and_kind(world: AdminWorld, ada: Client) -> None:
    with world.writing() as connection:
        create_group(connection, world.services.acting("test"), GroupDraft(display_name="50%_x", mail_nickname="x"))

    assert "50%_x" not in one_line(ada, "/groups?search=WEB")
    assert "50%_x" in one_line(ada, "/groups?search=%25_X")
    assert "startsWith" not in one_line(ada, "/groups?kind=assigned")
    assert "startsWith" in one_line(ada, "/groups?kind=dynamic")
    assert "No group fits" in one_line(ada, "/groups?kind=paused")


def test_groups_stand_in_the_order_that_people_choose_page_by_page_and_in_files(world: AdminWorld, ada: Client) -> None:
    many = [f"m{number:02}" for number in range(PAGE_SIZE)]
    with world.writing() as connection:
        for number, name in enumerate(("zeta", "Alpha", "Zebra", "beta", "Öl", *many)):
            rule = WEB if name in {"Alpha", "Zebra"} else None
            draft = GroupDraft(display_name=name, mail_nickname=f"n{number}", membership_rule=rule)
            create_group(connection, world.services.acting("test"), draft)
            world.clock.advance(seconds=1)
    by_name = ["Alpha", "beta", *many, "Zebra", "zeta", "Öl"]

    assert _all_pages(ada, "/groups") == by_name
    assert _all_pages(ada, "/groups?sort=-name") == by_name[::-1]
    assert _all_pages(ada, "/groups?sort=made") == ["zeta", "Alpha", "Zebra", "beta", "Öl", *many]
    assert set(_all_pages(ada, "/groups?sort=-membership")[:2]) == {"Alpha", "Zebra"}
    assert _all_pages(ada, "/groups?sort=nonsense&kind=dynamic") == ["Alpha", "Zebra"]
    assert 'aria-sort="ascending"' in ada.get("/groups").text
    begun = sent(ada, "/groups/export", format="csv", sort="-name")
    written = csv.DictReader(io.StringIO(file_of(ada, begun.headers["Location"]).text))
    assert [each["name"] for each in written] == by_name[::-1]


def _all_pages(client: Client, path: str) -> list[str]:
    """The names of a list in order, from page to page by the links."""
    page = client.get(path).text
    names = re.findall(r'<th scope="row"><a[^>]*><bdi>([^<]*)', page)
    following = re.search(r'href="(\?[^"]*after=[^"]*)">Next page', page)
    return names + (_all_pages(client, "/groups" + html.unescape(following[1])) if following else [])


def test_groups_are_found_in_any_case_of_any_letters(world: AdminWorld, ada: Client) -> None:
    with world.writing() as connection:
        create_group(connection, world.services.acting("test"), GroupDraft(display_name="ÄRZTE", mail_nickname="x"))

    for search in ("ÄRZTE", "Ärzte", "ärzte"):
        assert _all_pages(ada, f"/groups?search={search}") == ["ÄRZTE"]


@pytest.mark.usefixtures("group")
def test_an_assigned_group_is_made_filled_and_emptied(world: AdminWorld, ada: Client) -> None:
    answer = made(ada, name="By hand", description="Chosen", membership="assigned", rule="not a rule")
    assert answer.status_code == 303, answer.text
    path = answer.headers["location"]
    new = GroupId(path.rpartition("/")[2])
    assert stored(world, new).membership_rule is None

    offered = ada.get(f"{path}/members?add=-1").text
    assert "web-1" in text_of(offered)
    assert "db-1" in text_of(offered)
    add = f"{path}/members/add"
    fields = {"csrf": token_of(ada)}
    assert sends(ada, add, fields | {"device": device_id(1)}).status_code == 303
    assert sends(ada, add, fields | {"devices": f"web-1\n{device_id(2)}", "device": ""}).status_code == 303
    assert members(world, new) == {device_id(1), device_id(2)}
    assert "db-1" not in one_line(ada, f"{path}/members?search=web")
    assert "db-1" not in one_line(ada, f"{path}/members?search=%00web"), "which one engine takes for the end"

    remove = f"{path}/members/remove"
    fields = fields_of(ada.get(f"{path}/members").text, remove)
    assert sends(ada, remove, fields | {"device": device_id(2)}).status_code == 303
    assert members(world, new) == {device_id(1)}
    assert sends(ada, remove, fields | {"device": device_id(2)}).status_code == 404
    for devices in ("", "nobody", FABRIKAM_DEVICE, "\n".join(map(str, range(201)))):
        assert sends(ada, add, fields | {"devices": devices, "device": ""}).status_code in {400, 404}
    assert members(world, new) == {device_id(1)}
    with world.services.database.read() as connection:
        events = audit.list_events(connection, TENANT_ID, Page(), object_id=new)
    assert {event.correlation_id for event in events} != {None}


@pytest.mark.usefixtures("group")
def test_a_dynamic_group_is_made_once_its_rule_is_right(world: AdminWorld, ada: Client) -> None:
    wrong = made(ada, name="Rule", membership="dynamic", rule='device.displayName -any "x"')
    assert wrong.status_code == 400
    assert "<mark>-</mark>" in wrong.text
    assert made(ada, name="  ", membership="assigned").status_code == 400
    fields = {"membership": "assigned", "name": "Rule", "check": "1", "rule": 'device.displayName -startsWith "d"'}
    checked = made(ada, **fields)
    assert checked.status_code == 200
    assert "names 1 device now" in text_of(checked.text)
    assert "db-1" in text_of(checked.text)

    answer = made(ada, name="Rule", membership="dynamic", rule='device.displayName -startsWith "d"')

    assert answer.status_code == 303
    assert members(world, GroupId(answer.headers["location"].rpartition("/")[2])) == {device_id(2)}


def test_a_condition_is_added_by_choosing(ada: Client, group: GroupId) -> None:
    path = f"/groups/{group}/rule/preview"
    fields = fields_of(ada.get(f"/groups/{group}/rule").text, path)
    chosen = {"add": "1", "joining": "-or", "property": "deviceTag", "operator": "-contains", "value": "web"}

    added = sends(ada, path, fields | {"rule": WEB} | chosen)
    asks = sends(ada, path, fields | {"rule": ""} | chosen | {"property": "memberOf", "value": "web"})
    wrong = sends(ada, path, fields | {"rule": WEB} | chosen | {"property": "nothing"})

    assert "-or device.deviceTag -contains" in text_of(added.text)
    assert f"group.objectId -in [&#34;{group}" in asks.text
    assert wrong.status_code == 400


def test_help_while_a_rule_is_written(ada: Client, group: GroupId) -> None:
    words = ada.get("/rule-words", params={"rule": 'device.displayName -eq "w', "at": "25"}).json()
    assert (words["start"], words["end"]) == (23, 25)
    assert [each["text"] for each in words["words"]] == ['"web-1"']
    properties = ada.get("/rule-words", params={"rule": "ostype", "at": "6"}).json()["words"]
    assert properties == []
    [found] = ada.get("/rule-words", params={"rule": "device.deviceOST"}).json()["words"]
    assert found == {"text": "device.deviceOSType", "note": "a text"}
    asked = {"rule": "device.memberOf -any (group.objectId -eq "}
    [named] = [each for each in ada.get("/rule-words", params=asked).json()["words"] if each["note"] == "Web"]
    assert named["text"] == f'"{group}"'
    assert "fab" not in ada.get("/rule-words", params=asked).text.lower().replace("fabrikam_", "")

    fields = fields_of(ada.get(f"/groups/{group}/rule").text, f"/groups/{group}/rule/preview")
    said = sends(ada, "/rule-check", {"csrf": fields["csrf"], "group": group, "rule": 'device.displayName -eq "db-1"'})
    assert "1 would join, 1 would leave" in text_of(said.text)
    assert "<html" not in said.text
    wrong = sends(ada, "/rule-check", {"csrf": fields["csrf"], "rule": "device."})
    assert wrong.status_code == 200
    assert "<mark>" in wrong.text
    theirs = {"csrf": fields["csrf"], "group": FABRIKAM_GROUP, "rule": WEB}
    assert sends(ada, "/rule-check", theirs).status_code == 404


def test_a_large_fleet_is_tried_in_part(ada: Client, group: GroupId, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_rules.try_rule, "__defaults__", (1,))

    words = one_line(ada, f"/groups/{group}/rule")

    assert "Of the first 1 devices the rule names 1. The preview counts all of them." in words


def test_a_large_group_is_searched_bit_by_bit(
    world: AdminWorld, ada: Client, group: GroupId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_member_pages, "_LOOKED_AT", 2)
    with world.writing() as connection:
        acting = world.services.acting("test")
        for number in range(3, 8):
            world.manager.join(connection, number, display_name=f"web-{number}")
        membership.reevaluate_group(connection, acting, groups.get(connection, group))
    path, found, steps = f"/groups/{group}/members?search=web-7", "", 0
    while "web-7" not in found.partition("Last check-in")[2]:
        page = ada.get(path).text
        found, steps = text_of(page), steps + 1
        following = re.search(r'href="(\?[^"]*after=[^"]*)"', page)
        assert following or "web-7" in found
        path = f"/groups/{group}/members{html.unescape(following[1])}" if following else path
    assert steps == 3


def test_why_a_device_is_in_a_group(world: AdminWorld, ada: Client, group: GroupId) -> None:
    inside = one_line(ada, f"/groups/{group}/why?device=web-1")
    outside = one_line(ada, f"/groups/{group}/why?device={device_id(2)}")

    assert "It belongs to the group." in inside
    assert "found: web-1" in inside
    assert "joined, the rule changed" in inside
    assert "It does not belong to the group." in outside
    assert "found: db-1" in outside
    assert "Never, as far as the history goes back" in outside
    for named in ("nobody", FABRIKAM_DEVICE):
        answer = ada.get(f"/groups/{group}/why?device={named}")
        assert answer.status_code == 400
        assert "It does not belong" not in text_of(answer.text)
    path = f"/groups/{group}/pause"
    assert sends(ada, path, fields_of(ada.get(path).text, path)).status_code == 303
    with world.writing() as connection:
        world.manager.join(connection, 3, display_name="web-2")
    assert "it is paused" in one_line(ada, f"/groups/{group}/why?device=web-2")


def test_a_group_is_renamed_and_deleted_when_nothing_names_it(world: AdminWorld, ada: Client, group: GroupId) -> None:
    edit = f"/groups/{group}/edit"
    fields = fields_of(ada.get(edit).text, edit)
    assert sends(ada, edit, fields | {"name": " "}).status_code == 400
    assert sends(ada, edit, fields | {"name": "Fronts", "description": "New"}).status_code == 303
    assert (stored(world, group).display_name, stored(world, group).membership_rule) == ("Fronts", WEB)
    asking = f"device.memberOf -any (group.objectId -in ['{group}'])"
    with world.writing() as connection:
        draft = GroupDraft(display_name="Asks", mail_nickname="asks", membership_rule=asking)
        other = create_group(connection, world.services.acting("test"), draft).id

    delete = f"/groups/{group}/delete"
    held = ada.get(delete).text
    assert "It cannot be deleted while something names it" in text_of(held)
    assert "Asks" in text_of(held)
    assert "its rule asks for the members of this group" in one_line(ada, f"/groups/{group}")
    assert sends(ada, delete, fields).status_code == 400
    path = f"/groups/{other}/delete"
    assert sends(ada, path, fields_of(ada.get(path).text, path)).status_code == 303

    assert sends(ada, delete, fields_of(ada.get(delete).text, delete)).status_code == 303
    assert ada.get(f"/groups/{group}").status_code == 404


def test_a_rename_keeps_the_rule_that_somebody_else_saves_at_that_moment(
    world: AdminWorld, ada: Client, group: GroupId, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On PostgreSQL both are at work at once: whoever waited for the lock finds what the other one saved."""
    rule, lock, others = 'device.displayName -startsWith "other"', targets.lock, iter([True])

    def waited(connection: Connection) -> None:
        lock(connection)
        if next(others, False):
            groups.put(connection, replace(groups.get(connection, group), membership_rule=rule))

    monkeypatch.setattr(targets, "lock", waited)
    sent(ada, f"/groups/{group}/edit", name="Renamed", description="")

    found = stored(world, group)
    assert (found.display_name, found.membership_rule) == ("Renamed", rule)


def test_somebody_narrowed_sees_their_devices_and_adds_no_others(world: AdminWorld, group: GroupId) -> None:
    with world.writing() as connection:
        acting = world.services.acting("test")
        tag = scope_tags.create_tag(connection, acting, "Berlin", "")
        scope_tags.tag_device(connection, acting, device_id(1), [tag.id])
        mine = create_group(connection, acting, GroupDraft(display_name="Mine", mail_nickname="mine")).id
        scope_tags.tag_group(connection, acting, mine, [tag.id])
        world.manager.join(connection, 4, display_name="web-4")
    with closing(browser(world, a_person(world, ADMINISTRATOR, tags=[tag.id]))) as client:
        assert "Mine" in one_line(client, "/groups")
        assert "startsWith" not in one_line(client, "/groups")
        assert client.get(f"/groups/{group}").status_code == 404
        page = client.get(f"/groups/{mine}/members?add=web").text
        assert "web-1" in text_of(page)
        assert "web-4" not in text_of(page)
        add = f"/groups/{mine}/members/add"
        answer = sends(client, add, {"csrf": token_of(client), "devices": device_id(4)})
        assert answer.status_code in {403, 404}
        assert client.get(f"/groups/{mine}/why?device=web-4").status_code == 400
    assert members(world, mine) == set()


def test_devices_of_a_group_are_written_to_a_file(world: AdminWorld, ada: Client, group: GroupId) -> None:
    with world.writing() as connection:
        world.manager.join(connection, 5, display_name="web=cmd")
        acting = world.services.acting("test")
        membership.reevaluate_group(connection, acting, groups.get(connection, group))
    path = f"/groups/{group}/members/export"
    fields = {"csrf": token_of(ada)}
    files = {
        kind: file_of(ada, sends(ada, path, fields | {"format": kind}).headers["location"]).text
        for kind in ("csv", "json")
    }

    assert [each["name"] for each in json.loads(files["json"])] == ["web-1", "web=cmd"]
    rows = list(csv.DictReader(io.StringIO(files["csv"].removeprefix("\ufeff"))))
    assert [row["name"] for row in rows] == ["web-1", "web=cmd"]
    assert sends(ada, path, fields | {"format": "exe"}).status_code == 400
    listed = sends(ada, "/groups/export", fields | {"format": "csv"})
    [row] = csv.DictReader(io.StringIO(file_of(ada, listed.headers["location"]).text.removeprefix("\ufeff")))
    assert (row["name"], row["membership"], row["devices"]) == ("Web", "dynamic", "2")


def test_a_description_of_several_lines_is_shown_and_sent_back_as_it_was_written(
    world: AdminWorld, ada: Client
) -> None:
    told = "For the <wards>:\n\tall of them"
    with world.writing() as connection:
        draft = GroupDraft(display_name="Wards", mail_nickname="wards", description=told)
        group = create_group(connection, world.services.acting("test"), draft).id
    edit = f"/groups/{group}/edit"
    page = ada.get(edit).text
    (sent_back,) = re.findall(r'<textarea[^>]*name="description"[^>]*>([^<]*)', page)

    fields = fields_of(page, edit) | {"name": "Wards", "description": html.unescape(sent_back)}

    assert sends(ada, edit, fields).status_code == 303
    assert stored(world, group).description == told
    assert "U+" not in one_line(ada, f"/groups/{group}") + one_line(ada, "/groups")
