"""Alerts, tamper protection and offboarding in the admin center."""

from __future__ import annotations

from typing import Any

import pytest
from tests.graph.test_protection_api import raise_alert
from tests.portal.test_pages import text_of
from tests.portal.test_scope import fields_of, sends
from tests.support.admin import AdminWorld, Client
from tests.support.samples import TENANT_ID, device_id
from tests.support.second_tenant import FABRIKAM_DEVICE

from shieldwall.contract import strict_json
from shieldwall.contract.messages import TamperAttempt
from shieldwall.policy.protection import ProtectionSettings
from shieldwall.server.directory.assigned_members import add_member
from shieldwall.server.directory.groups import GroupDraft, create_group
from shieldwall.server.manager.protection import get_settings, replace_settings
from shieldwall.server.storage.device_records import DeviceState
from shieldwall.server.storage.devices import devices
from shieldwall.server.storage.events import alerts, audit
from shieldwall.server.storage.records import Page

LAPTOP = f"/devices/{device_id(1)}"


def settings_of(world: AdminWorld) -> ProtectionSettings:
    with world.services.database.read() as connection:
        return get_settings(connection, TENANT_ID)


def state_of(world: AdminWorld) -> DeviceState:
    with world.services.database.read() as connection:
        return devices.get(connection, device_id(1)).state


def token(client: Client, page: str = "/protection") -> str:
    return fields_of(client.get(page).text, "/protection/preview")["csrf"]


@pytest.fixture
def laptop(world: AdminWorld) -> None:
    with world.writing() as connection:
        world.manager.join(connection, 1, display_name="laptop")


@pytest.mark.usefixtures("laptop")
def test_open_alerts_are_counted_shown_and_closed(world: AdminWorld, ada: Client) -> None:
    assert "Nothing needs to be looked at." in text_of(ada.get("/alerts").text)
    assert "alert-count" not in ada.get("/").text
    attempt = TamperAttempt(at="2026-11-23T12:00:00Z", kind="settingChanged", subject="<b>antivirus</b>")
    alert = raise_alert(world, details=strict_json.encode({"attempts": [attempt]}).decode())
    raise_alert(world, 2, device_id=None, details='{"packages":3}', title="Other things happen")

    assert "2 open alerts" in text_of(ada.get("/").text)
    page = ada.get("/alerts").text
    assert "laptop" in text_of(page)
    assert "&lt;b&gt;antivirus&lt;/b&gt;" in page

    csrf = fields_of(page, f"/alerts/{alert}/resolve")["csrf"]
    assert sends(ada, f"/alerts/{alert}/resolve", {"csrf": csrf}).status_code == 303
    with world.services.database.read() as connection:
        assert alerts.count_open(connection, TENANT_ID) == 1
        (event,) = audit.list_events(connection, TENANT_ID, Page(), object_id=alert)
    assert (event.activity, event.actor) == ("alert.resolved", "person:ada@contoso.example")


def preview(client: Client, word: str) -> Any:
    return sends(client, "/protection/preview", {"csrf": token(client), "enabled": word})


@pytest.mark.usefixtures("laptop")
def test_what_was_previewed_is_saved(world: AdminWorld, ada: Client) -> None:
    shown = preview(ada, "on")
    assert "1 gain protection, 0 lose it. Protected then: 1 of 1 devices." in text_of(shown.text)
    assert settings_of(world) == ProtectionSettings()

    saved = sends(ada, "/protection", fields_of(shown.text, "/protection"))

    assert saved.status_code == 303
    assert settings_of(world).enabled
    assert "Protected now 1 of 1 devices" in text_of(ada.get("/protection").text)
    assert "This weakens." in text_of(preview(ada, "off").text)


@pytest.mark.usefixtures("laptop")
def test_groups_have_a_word_and_single_devices_are_excluded(world: AdminWorld, ada: Client) -> None:
    with world.writing() as connection:
        world.manager.join(connection, 2, display_name="kiosk")
        draft = GroupDraft(display_name="Laboratory", mail_nickname="laboratory")
        group = create_group(connection, world.services.acting("test"), draft).id
        add_member(connection, world.services.acting("test"), group, device_id(1))
    asked = {"csrf": token(ada), "enabled": "on", "new_group": "Laboratory", "new_word": "off", "exclude": "KIOSK\r\n"}

    shown = sends(ada, "/protection/preview", asked)
    assert "0 gain protection, 0 lose it" in text_of(shown.text)
    assert sends(ada, "/protection", fields_of(shown.text, "/protection")).status_code == 303
    assert settings_of(world) == ProtectionSettings(enabled=True, groups={group: False}, excluded=(device_id(2),))

    asked = {"csrf": token(ada), "enabled": "on", f"group_{group}": "follows", f"include_{device_id(2)}": "on"}
    shown = sends(ada, "/protection/preview", asked)
    assert "2 gain protection, 0 lose it" in text_of(shown.text)
    sends(ada, "/protection", fields_of(shown.text, "/protection"))
    assert settings_of(world) == ProtectionSettings(enabled=True)


@pytest.mark.parametrize(
    "wrong",
    [
        {"new_group": "Nobody", "new_word": "on"},
        {"new_group": "Laboratory", "new_word": "perhaps"},
        {"exclude": "nobody"},
        {f"group_{FABRIKAM_DEVICE}": "on"},
        {"group_x": "on"},
    ],
    ids=str,
)
@pytest.mark.usefixtures("laptop")
def test_a_word_about_what_is_not_there_is_explained(world: AdminWorld, ada: Client, wrong: dict[str, str]) -> None:
    answer = sends(ada, "/protection/preview", {"csrf": token(ada), "enabled": "on"} | wrong)

    assert answer.status_code == 400
    assert 'class="notice problem"' in answer.text
    assert sends(ada, "/protection", {"csrf": token(ada), "wanted": "{"}).status_code == 400
    assert settings_of(world) == ProtectionSettings()


@pytest.mark.usefixtures("laptop")
def test_what_changed_since_the_preview_is_shown_again(world: AdminWorld, ada: Client) -> None:
    fields = fields_of(preview(ada, "on").text, "/protection")
    with world.writing() as connection:
        world.manager.join(connection, 2)

    answer = sends(ada, "/protection", fields)

    assert answer.status_code == 200
    assert "Nothing was saved" in text_of(answer.text)
    assert "2 gain protection" in text_of(answer.text)
    assert settings_of(world) == ProtectionSettings()


@pytest.mark.usefixtures("laptop")
def test_a_form_that_is_none_changes_nothing(world: AdminWorld, ada: Client) -> None:
    csrf = token(ada)
    for path, fields in (
        ("/protection/preview", {"csrf": csrf, "enabled": "maybe"}),
        ("/protection", {"csrf": csrf}),
        (f"{LAPTOP}/troubleshooting", {"csrf": csrf, "hours": "-1"}),
        (f"{LAPTOP}/troubleshooting", {"csrf": csrf, "hours": "25"}),
        (f"{LAPTOP}/offboard", {"csrf": csrf, "name": "another"}),
    ):
        assert sends(ada, path, fields).status_code == 400, path
    for path in ("/protection", f"{LAPTOP}/troubleshooting", f"{LAPTOP}/offboard"):
        assert sends(ada, path, {"csrf": "forged", "name": "laptop", "hours": "4", "enabled": "on"}).status_code == 403
    assert settings_of(world) == ProtectionSettings()
    assert state_of(world) is DeviceState.ACTIVE


@pytest.mark.usefixtures("laptop")
def test_time_for_troubleshooting_is_given_and_ended(world: AdminWorld, ada: Client) -> None:
    csrf = token(ada)
    with world.writing() as connection:
        replace_settings(connection, world.services.acting("test"), ProtectionSettings(enabled=True))

    assert sends(ada, f"{LAPTOP}/troubleshooting", {"csrf": csrf, "hours": "4"}).status_code == 303
    words = text_of(ada.get(LAPTOP).text)
    assert "Tamper protection on" in words
    assert "until 2026-11-23 16:00 UTC" in words
    assert sends(ada, f"{LAPTOP}/troubleshooting", {"csrf": csrf, "hours": "0"}).status_code == 303
    assert "16:00 UTC" not in text_of(ada.get(LAPTOP).text)


@pytest.mark.usefixtures("laptop")
def test_a_device_is_offboarded_once_its_name_is_typed(world: AdminWorld, ada: Client) -> None:
    csrf = token(ada)

    assert sends(ada, f"{LAPTOP}/offboard", {"csrf": csrf, "name": "laptop"}).status_code == 303
    assert state_of(world) is DeviceState.LEAVING
    assert "The device is told to leave" in text_of(ada.get(LAPTOP).text)
    assert sends(ada, f"{LAPTOP}/offboard", {"csrf": csrf, "name": "laptop", "force": "on"}).status_code == 303

    assert state_of(world) is DeviceState.RETIRED


def test_what_another_tenant_has_is_not_there(ada: Client) -> None:
    csrf = token(ada)
    for action in ("offboard", "troubleshooting"):
        fields = {"csrf": csrf, "name": "device-1", "hours": "4"}
        assert sends(ada, f"/devices/{FABRIKAM_DEVICE}/{action}", fields).status_code == 404
    assert sends(ada, f"/alerts/{FABRIKAM_DEVICE}/resolve", {"csrf": csrf}).status_code == 404
