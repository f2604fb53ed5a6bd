"""What can be done to a device: asked in plain words first, done as the person, offered where it makes sense."""

from __future__ import annotations

import re
from typing import Any, Final

import pytest
from tests.graph.test_registrations_api import waiting
from tests.portal.test_pages import text_of
from tests.portal.test_scope import fields_of, sends
from tests.support.admin import AdminWorld, Client
from tests.support.samples import NOON, TENANT_ID, a_device, device_id
from tests.support.second_tenant import FABRIKAM_DEVICE

from shieldwall.server.directory.devices import CLONED_IDENTITY
from shieldwall.server.manager.protection import get_settings
from shieldwall.server.portal.devices.device_actions import ACTIONS, Action, possible
from shieldwall.server.storage.device_records import Device, DeviceState
from shieldwall.server.storage.devices import devices
from shieldwall.server.storage.events import audit
from shieldwall.server.storage.records import Page

FIRST, SECOND = f"/devices/{device_id(1)}", f"/devices/{device_id(2)}"
CLONED: Final[dict[str, Any]] = {"state": DeviceState.QUARANTINED, "state_reason": CLONED_IDENTITY}


def join(world: AdminWorld, number: int = 1, **changes: object) -> None:
    with world.writing() as connection:
        world.manager.join(connection, number, **changes)


def device_of(world: AdminWorld, number: int = 1) -> Device | None:
    with world.services.database.read() as connection:
        return devices.find(connection, device_id(number))


def acts_of(world: AdminWorld, number: int = 1) -> set[tuple[str, str]]:
    with world.services.database.read() as connection:
        events = audit.list_events(connection, TENANT_ID, Page(), object_id=device_id(number))
    return {(event.activity, event.actor) for event in events}


def does(client: Client, path: str, action: str, **fields: str) -> int:
    """Open the page that asks, and send its form with these fields."""
    page = client.get(f"{path}/{action}")
    assert page.status_code == 200, page.text
    status: int = sends(client, f"{path}/{action}", fields_of(page.text, f"{path}/{action}") | fields).status_code
    return status


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.name)
@pytest.mark.parametrize("state", list(DeviceState))
def test_an_action_is_offered_where_it_can_be_asked_for(action: Action, state: DeviceState) -> None:
    device = a_device(1, state=state)
    offered = {each.name for excluded in (True, False) for each in possible(device, is_excluded=excluded)}
    assert (action.name in offered) is (state in action.states)


def test_a_page_asks_in_plain_words_and_changes_nothing(world: AdminWorld, ada: Client) -> None:
    join(world)
    before = device_of(world)
    page = ada.get(FIRST).text
    for action in ACTIONS:
        is_offered = f'href="{FIRST}/{action.name}"' in page
        answer = ada.get(f"{FIRST}/{action.name}")
        if DeviceState.ACTIVE not in action.states:
            assert (answer.status_code, is_offered) == (400, False), action.name
            continue
        assert is_offered is (action.name != "include")
        words = text_of(answer.text)
        assert action.effect in words
        assert ("Type its name to confirm" in words) is action.is_grave
    assert device_of(world) == before


def test_disabling_and_enabling_and_the_audit_trail_names_the_person(world: AdminWorld, ada: Client) -> None:
    join(world)
    for action, state in (("disable", DeviceState.DISABLED), ("enable", DeviceState.ACTIVE)):
        assert does(ada, FIRST, action) == 303
        found = device_of(world)
        assert found is not None
        assert found.state is state
    they = "person:ada@contoso.example"
    assert acts_of(world) == {("device.disabled", they), ("device.enabled", they)}


def test_a_forged_form_does_nothing(world: AdminWorld, ada: Client) -> None:
    join(world)
    waiting_before = device_of(world)
    for action in ACTIONS:
        path = f"{FIRST}/{action.name}"
        fields = {"name": "device-1", "hours": "1", "tags": "x", "former": device_id(2)}
        assert sends(ada, path, {"csrf": "0" * 64} | fields).status_code == 403, action.name
        csrf = fields_of(ada.get(f"{FIRST}/disable").text, f"{FIRST}/disable")["csrf"]
        assert ada.post(path, data={"csrf": csrf} | fields).status_code == 403, "without its origin"
    assert device_of(world) == waiting_before
    assert acts_of(world) == set()


def test_a_quarantine_is_ended(world: AdminWorld, ada: Client) -> None:
    join(world, **CLONED)
    assert "Release from quarantine" in text_of(ada.get(FIRST).text)

    assert does(ada, FIRST, "release") == 303

    found = device_of(world)
    assert found is not None
    assert found.state is DeviceState.ACTIVE
    assert ("device.released", "person:ada@contoso.example") in acts_of(world)


def test_who_waits_stands_beside_its_former_self_and_takes_its_place_if_that_is_ticked(
    world: AdminWorld, ada: Client
) -> None:
    waiting(world, replaces=True)
    page = ada.get(f"{SECOND}/approve").text
    for words in ("device-1", "device-2", "The former one", "machineId", "takes the place of"):
        assert words in text_of(page)
    assert f'name="former" value="{device_id(1)}"' in page

    assert does(ada, SECOND, "approve", former=device_id(2)) == 400, "not the one that was shown"
    assert does(ada, SECOND, "approve", former=device_id(1)) == 303

    former, device = device_of(world, 1), device_of(world, 2)
    assert former is not None
    assert device is not None
    assert (former.state, device.state) == (DeviceState.RETIRED, DeviceState.ACTIVE)
    assert "web" in device.tags
    assert ("device.approved", "person:ada@contoso.example") in acts_of(world, 2)
    assert ada.get(f"{SECOND}/approve").status_code == 400


def test_who_waits_is_approved_alone(world: AdminWorld, ada: Client) -> None:
    waiting(world, replaces=True)

    assert does(ada, SECOND, "approve") == 303

    former, device = device_of(world, 1), device_of(world, 2)
    assert former is not None
    assert device is not None
    assert (former.state, device.state) == (DeviceState.ACTIVE, DeviceState.ACTIVE)


def test_who_waits_is_rejected(world: AdminWorld, ada: Client) -> None:
    waiting(world)

    assert does(ada, SECOND, "reject") == 303

    found = device_of(world, 2)
    assert found is not None
    assert (found.state, found.state_reason) == (DeviceState.RETIRED, "rejected")
    assert ("device.rejected", "person:ada@contoso.example") in acts_of(world, 2)


def test_tags_change_by_what_was_changed_on_the_page(world: AdminWorld, ada: Client) -> None:
    join(world, tags=("a", "b"))
    page = ada.get(f"{FIRST}/tags").text
    assert ">a&#10;b</textarea>" in page
    fields = fields_of(page, f"{FIRST}/tags")
    with world.writing() as connection:
        devices.put(connection, a_device(1, tags=("a", "b", "meanwhile")))

    assert sends(ada, f"{FIRST}/tags", fields | {"tags": "b\r\n\r\n c \r\n"}).status_code == 303

    found = device_of(world)
    assert found is not None
    assert found.tags == ("b", "c", "meanwhile")
    assert does(ada, FIRST, "tags", tags="x" * 129) == 400


def test_a_device_is_excluded_from_protection_and_no_more(world: AdminWorld, ada: Client) -> None:
    join(world)
    for action, excluded, offered in (("exclude", (device_id(1),), "include"), ("include", (), "exclude")):
        assert does(ada, FIRST, action) == 303
        with world.services.database.read() as connection:
            assert get_settings(connection, TENANT_ID).excluded == excluded
        assert f'href="{FIRST}/{offered}"' in ada.get(FIRST).text


def test_a_duplicate_is_shown_beside_it_and_merged(world: AdminWorld, ada: Client) -> None:
    join(world)
    join(world, 2, tags=("edge",))
    page = ada.get(f"{FIRST}/merge?former={device_id(2)}")
    assert "device-2" in text_of(page.text)
    assert ada.get(f"{FIRST}/merge?former={device_id(9)}").status_code == 404
    assert does(ada, FIRST, "merge", former="x") == 400
    assert does(ada, FIRST, "merge", former=device_id(1)) == 400, "into itself"

    assert does(ada, FIRST, "merge", former=device_id(2)) == 303

    found, former = device_of(world), device_of(world, 2)
    assert found is not None
    assert former is not None
    assert "edge" in found.tags
    assert former.state is DeviceState.RETIRED


def test_another_tenants_device_is_nobodys_former_self(world: AdminWorld, ada: Client) -> None:
    join(world)
    before = device_of(world)
    assert ada.get(f"{FIRST}/merge?former={FABRIKAM_DEVICE}").status_code == 404
    assert does(ada, FIRST, "merge", former=FABRIKAM_DEVICE) == 404
    assert device_of(world) == before


@pytest.mark.parametrize("name", ["device-1", "\u202emoc.osotnoc", "  spaced  ", ""])
def test_what_cannot_be_taken_back_wants_the_name_as_the_page_shows_it(
    world: AdminWorld, ada: Client, name: str
) -> None:
    join(world, display_name=name)
    shown = name.replace("\u202e", "⟨U+202E⟩").strip()
    for action in ("offboard", "delete"):
        assert does(ada, FIRST, action, name="another") == 400
    assert does(ada, FIRST, "offboard", name=shown) == 303
    found = device_of(world)
    assert found is not None
    assert found.state is DeviceState.LEAVING

    assert does(ada, FIRST, "delete", name=shown) == 303

    assert device_of(world) is None
    assert ada.get(FIRST).status_code == 404
    assert ("device.deleted", "person:ada@contoso.example") in acts_of(world)


def test_one_that_left_can_only_be_deleted(world: AdminWorld, ada: Client) -> None:
    join(world, state=DeviceState.RETIRED, retired_at=NOON)

    page = ada.get(FIRST).text

    assert [each.name for each in ACTIONS if f'href="{FIRST}/{each.name}"' in page] == ["delete"]


def test_the_first_page_counts_what_awaits_somebody(world: AdminWorld, ada: Client) -> None:
    assert "awaiting" not in ada.get("/").text
    join(world, 1, **CLONED)
    join(world, 2, state=DeviceState.PENDING, state_reason="approval")
    world.clock.advance(days=8)
    world.sign_in(ada)
    join(world, 3, registered_at=world.clock.now())

    page = ada.get("/").text

    words = text_of(page)
    for count in ("1 device waits to be let in", "1 device is in quarantine"):
        assert count in words
    assert re.search(r"Not in touch\W+2\b", words)
    for path in ("/devices?state=pending", "/devices?state=quarantined", "/devices?health=inactive"):
        assert f'href="{path}"' in page
        assert ada.get(path).status_code == 200
