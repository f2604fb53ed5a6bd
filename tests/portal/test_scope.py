"""The page of the enforcement scope: preview first, and only what was previewed is saved."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape
from typing import Any

from tests.portal.test_pages import text_of
from tests.support.admin import PUBLIC_URL, AdminWorld, Client
from tests.support.long_work import file_of
from tests.support.samples import TENANT_ID, device_id

from shieldwall.policy.enrollment import Coverage, EnforcementScope, TagRule
from shieldwall.server.manager.enforcement_scope import get_scope, save_scope
from shieldwall.server.manager.sweeping import look, sweep
from shieldwall.server.storage.devices import devices

RULE = 'device.displayName -startsWith "web"'


def fields_of(page: str, action: str) -> dict[str, str]:
    """The hidden fields of the form that goes there."""
    (form,) = re.findall(rf'<form[^>]*action="{action}">(.*?)</form>', page, re.DOTALL)
    return {
        name: unescape(value) for name, value in re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', form)
    }


def chosen(page: str, **changes: str | None) -> dict[str, str]:
    """What a browser sends of the first form, with other choices."""
    fields: dict[str, str | None] = {
        "csrf": fields_of(page, "/scope/preview")["csrf"],
        "is_allowed": "on",
        "configuration_manager_authority": "on",
        "windows": "all",
        "windows_server": "all",
        "linux": "all",
        "mac_os": "all",
        "dynamic_tags": "",
    }
    return {name: value for name, value in (fields | changes).items() if value is not None}


def sends(client: Client, path: str, fields: dict[str, str]) -> Any:
    return client.post(path, data=fields, headers={"Origin": PUBLIC_URL})


def written(client: Client, work: str) -> str:
    """The file that long work leaves."""
    return file_of(client, work).text.removeprefix("\ufeff")


def scope_of(world: AdminWorld) -> EnforcementScope:
    with world.services.database.read() as connection:
        return get_scope(connection, TENANT_ID)


def test_a_new_tenant_manages_all_and_the_page_says_so(ada: Client) -> None:
    page = ada.get("/scope").text

    assert page.count('<option value="all" selected>') == 4
    assert 'name="is_allowed" checked' in page
    assert 'name="configuration_manager_authority" checked' in page
    assert 'name="includes_domain_controllers">' in page
    assert "Save" not in text_of(page), "nothing is saved that was not previewed"


def test_what_was_previewed_is_saved(world: AdminWorld, ada: Client) -> None:
    with world.writing() as connection:
        released = world.manager.join(connection, 1, tags=(), display_name="db-1")
        kept = world.manager.join(connection, 2, tags=(), display_name="web-1")

    asked = chosen(ada.get("/scope").text, linux="tagged", windows="off", dynamic_tags=f"Web: {RULE}\n")
    preview = sends(ada, "/scope/preview", asked)

    assert preview.status_code == 200, preview.text
    words = text_of(preview.text)
    assert "0 taken, 1 released. Managed now: 2, then: 1." in words
    assert "db-1" in words
    assert scope_of(world) == EnforcementScope()

    saved = sends(ada, "/scope", fields_of(preview.text, "/scope"))

    assert saved.status_code == 303, saved.text
    assert scope_of(world) == EnforcementScope(
        linux=Coverage.TAGGED, windows=Coverage.OFF, dynamic_tags=(TagRule(display_name="Web", rule=RULE),)
    )
    with world.services.database.read() as connection:
        assert devices.get(connection, released).enrollment_code == 2
        assert devices.get(connection, kept).enrollment_code == 1
    page = text_of(ada.get(f"/devices/{released}").text)
    assert "Enrollment status 2: Never enrolled. The enforcement scope takes tagged devices" in page
    assert "Give the device the tag MDE-Management" in page


def test_every_device_that_would_move_is_written_to_a_file(world: AdminWorld, ada: Client) -> None:
    with world.writing() as connection:
        world.manager.join(connection, 1, tags=(), display_name="=cmd()")
        world.manager.join(connection, 2, display_name="tagged")
    preview = sends(ada, "/scope/preview", chosen(ada.get("/scope").text, linux="tagged"))
    assert "Linux 2 1" in text_of(preview.text)

    begun = sends(ada, "/scope/devices", fields_of(preview.text, "/scope/devices"))

    assert begun.status_code == 303
    file = written(ada, begun.headers["location"])
    (_, row) = file.splitlines()
    assert row.startswith(f"{device_id(1)},'=cmd(),Linux,released,")
    assert scope_of(world) == EnforcementScope()


def test_a_preview_that_is_not_true_any_more_is_shown_anew(world: AdminWorld, ada: Client) -> None:
    with world.writing() as connection:
        world.manager.join(connection, 1)
    preview = sends(ada, "/scope/preview", chosen(ada.get("/scope").text, linux="off"))
    with world.writing() as connection:
        world.manager.join(connection, 2)

    again = sends(ada, "/scope", fields_of(preview.text, "/scope"))

    assert again.status_code in {200, 201}
    assert "Nothing was saved" in text_of(again.text)
    assert "0 taken, 2 released" in text_of(again.text)
    assert scope_of(world) == EnforcementScope()
    assert sends(ada, "/scope", fields_of(again.text, "/scope")).status_code == 303


def test_the_page_says_how_many_have_still_to_take_up_what_was_saved(world: AdminWorld, ada: Client) -> None:
    with world.writing() as connection:
        released = world.manager.join(connection, 1, tags=())
        world.manager.join(connection, 2)
        acting = replace(world.manager.acting, most_at_once=0)
        save_scope(connection, acting, EnforcementScope(linux=Coverage.TAGGED))
    assert "still taking up what changed" in text_of(ada.get("/scope").text)

    with world.writing() as connection:
        looked = look(connection, TENANT_ID, portion=1)
        assert looked is not None
        sweep(connection, acting, looked, "here")
    assert "At most 1 device has still to take up what changed." in text_of(ada.get("/scope").text)

    while looked is not None:
        with world.writing() as connection:
            looked = look(connection, TENANT_ID)
            if looked is not None:
                sweep(connection, acting, looked, "here")
    assert "take up" not in text_of(ada.get("/scope").text)
    with world.services.database.read() as connection:
        assert devices.get(connection, released).enrollment_code == 2


def test_what_somebody_else_saved_meanwhile_is_not_undone(world: AdminWorld, ada: Client) -> None:
    preview = sends(ada, "/scope/preview", chosen(ada.get("/scope").text, linux="off"))
    theirs = EnforcementScope(mac_os=Coverage.OFF)
    with world.writing() as connection:
        save_scope(connection, world.manager.acting, theirs)

    again = sends(ada, "/scope", fields_of(preview.text, "/scope"))

    assert "Nothing was saved" in text_of(again.text)
    assert scope_of(world) == theirs


def test_a_scope_that_contradicts_itself_is_explained_and_kept_in_the_form(world: AdminWorld, ada: Client) -> None:
    page = ada.get("/scope").text
    for wrong in (
        {"linux": "off", "windows_server": "off", "includes_domain_controllers": "on"},
        {"linux": "sometimes"},
        {"dynamic_tags": "no rule here"},
        {"dynamic_tags": "Circle: device.managementType -eq null"},
        {"dynamic_tags": "Broken: device.displayName -eq"},
    ):
        answer = sends(ada, "/scope/preview", chosen(page, **wrong))

        assert answer.status_code == 400, wrong
        assert 'class="notice problem"' in answer.text
        assert unescape(answer.text).count(wrong.get("dynamic_tags", "Enforcement scope")) >= 1
    assert scope_of(world) == EnforcementScope()


def test_a_form_of_another_page_changes_nothing(world: AdminWorld, ada: Client) -> None:
    fields = chosen(ada.get("/scope").text, linux="off") | {"csrf": "forged"}

    assert sends(ada, "/scope/preview", fields).status_code == 403
    assert sends(ada, "/scope", fields).status_code == 403
    assert scope_of(world) == EnforcementScope()
