"""Groups in the admin center: who belongs and why, and a rule that is tried and previewed before it is saved."""

from __future__ import annotations

from typing import Any

import pytest
from tests.portal.test_pages import text_of
from tests.portal.test_scope import fields_of, sends
from tests.support.admin import AdminWorld, Client
from tests.support.samples import TENANT_ID, device_id
from tests.support.second_tenant import FABRIKAM_DEVICE, FABRIKAM_GROUP

from shieldwall.contract.ids import GroupId
from shieldwall.server.directory.groups import GroupDraft, create_group
from shieldwall.server.storage import audit, groups
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
        return set(groups.member_ids(connection, group))


def preview(client: Client, group: GroupId, rule: str, devices: str = "") -> Any:
    path = f"/groups/{group}/rule/preview"
    fields = fields_of(client.get(f"/groups/{group}/rule").text, path)
    return sends(client, path, fields | {"rule": rule, "devices": devices})


def test_a_group_shows_its_rule_its_members_and_its_history(ada: Client, group: GroupId) -> None:
    listed = text_of(ada.get("/groups").text)
    assert "followed" in listed
    page = ada.get(f"/groups/{group}").text
    words = text_of(page)
    for shown in ("by rule", "web-1", "joined", "ruleChanged", "test"):
        assert shown in words
    assert "db-1" not in words
    assert "startsWith" in words


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
    assert "1 devices would join, 0 would leave; it would have 2 then." in text_of(page)
    assert sends(ada, path, fields_of(page, path)).status_code == 303

    assert stored(world, group).processing_state is ProcessingState.ON
    assert members(world, group) == {device_id(1), device_id(3)}
