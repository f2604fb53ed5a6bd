"""Making packages in the admin center: what was said is made, and its files are handed out once."""

from __future__ import annotations

import base64
import re
from contextlib import closing

import pytest
from tests.portal.test_pages import text_of
from tests.portal.test_scope import fields_of, sends
from tests.support.admin import AdminWorld, Client
from tests.support.browsing import token_of
from tests.support.people import a_person, browser
from tests.support.samples import NOON, TENANT_ID, a_package, device_id, package_id
from tests.support.second_tenant import FABRIKAM_DEVICE

from shieldwall.contract.messages import Envelope
from shieldwall.contract.strict_json import decode
from shieldwall.server.access.roles import ADMINISTRATOR
from shieldwall.server.storage.events import audit
from shieldwall.server.storage.onboarding import offboarding_packages, packages
from shieldwall.server.storage.records import OnboardingPackageRecord, Page
from shieldwall.trust import strict_base64
from shieldwall.trust.offboarding import OffboardingPackage
from shieldwall.trust.onboarding import open_package

ASKED = {
    "name": "Edge",
    "days": "7",
    "uses": "40",
    "platform_linux": "on",
    "platform_macos": "on",
    "approval": "manual",
    "attestation": "none",
    "join": "full",
    "tags": "edge\r\n\r\nwest",
    "script_linux": "on",
    "script_cloud-init": "on",
}


def files_of(page: str) -> dict[str, bytes]:
    found = re.findall(r'<a href="data:application/octet-stream;base64,([^"]+)" download="([^"]+)">', page)
    return {name: base64.b64decode(content, validate=True) for content, name in found}


def kept(world: AdminWorld) -> tuple[OnboardingPackageRecord, ...]:
    with world.services.database.read() as connection:
        return packages.list_packages(connection, TENANT_ID, Page())


def create(client: Client, **changes: str | None) -> tuple[int, str]:
    fields = fields_of(client.get("/packages/new").text, "/packages") | ASKED | changes
    answer = sends(client, "/packages", {name: value for name, value in fields.items() if value is not None})
    return answer.status_code, answer.text


def test_a_package_is_made_as_asked_and_its_secret_handed_out_once(world: AdminWorld, ada: Client) -> None:
    status, page = create(ada)

    assert status == 200
    files = files_of(page)
    assert list(files) == ["shieldwall_onboarding.json", "onboard-linux.sh", "cloud-init.yml"]
    said = open_package(files["shieldwall_onboarding.json"], NOON)
    assert said.tags == ("edge", "west")
    assert files["onboard-linux.sh"].startswith(b"#!/bin/sh")
    (record,) = kept(world)
    assert (record.display_name, record.max_uses, record.platforms) == ("Edge", 40, ("linux", "macos"))
    assert (record.approval, record.attestation, record.join_type) == ("manual", "none", "full")
    assert record.created_by == "person:ada@contoso.example"
    assert (record.not_after - NOON).days == 7
    secret = strict_base64.encode_url(record.key)
    for path in ("/packages", f"/packages/{record.id}"):
        shown = ada.get(path).text
        assert "Edge" in shown
        assert secret not in shown
        assert not files_of(shown)
    again = ada.get(f"/packages/new?like={record.id}").text
    assert 'value="Edge"' in again
    assert 'value="40"' in again
    assert ">edge&#10;west</textarea>" in again


@pytest.mark.parametrize(
    "changes",
    [
        {"name": " "},
        {"days": "0"},
        {"days": "91"},
        {"days": "-1"},
        {"days": "²"},
        {"days": "9" * 5000},
        {"uses": "x"},
        {"uses": "0"},
        {"approval": "none"},
        {"attestation": None},
        {"join": "both"},
        {"platform_linux": None, "platform_macos": None},
        {"tags": "x" * 129},
        {"script_windows": "on"},
    ],
    ids=lambda changes: str(changes)[:40],
)
def test_a_package_that_cannot_be_is_not_made(world: AdminWorld, ada: Client, changes: dict[str, str | None]) -> None:
    status, page = create(ada, **changes)

    assert status == 400
    assert kept(world) == ()
    assert 'role="alert"' in page
    assert ('value="Edge"' in page) != ("name" in changes), "what was filled in stays"


def test_revoking_is_asked_for(world: AdminWorld, ada: Client) -> None:
    with world.writing() as connection:
        packages.add(connection, a_package(1))
    path = f"/packages/{package_id(1)}/revoke"
    assert f'href="{path}"' in ada.get(f"/packages/{package_id(1)}").text
    page = ada.get(path).text
    assert "Nobody onboards with this package any more" in text_of(page)
    assert kept(world)[0].revoked_at is None

    assert sends(ada, path, fields_of(page, path)).status_code == 303

    assert kept(world)[0].revoked_at is not None
    assert path not in ada.get(f"/packages/{package_id(1)}").text


OFFBOARDING = "/offboarding-packages"


def test_an_offboarding_package_is_for_the_devices_named(world: AdminWorld, ada: Client) -> None:
    with world.writing() as connection:
        for number in (1, 2, 3):
            world.manager.join(connection, number, display_name="web" if number == 1 else "twice")
    fields = fields_of(ada.get(OFFBOARDING).text, OFFBOARDING)
    asked = fields | {
        "name": "Field trip",
        "days": "2",
        "platform_linux": "on",
        "devices": f"WEB\r\n{device_id(2)}\r\n",
    }

    answer = sends(ada, OFFBOARDING, asked)

    assert answer.status_code == 200, answer.text
    files = files_of(answer.text)
    assert list(files) == ["shieldwall_offboarding.json", "offboard-linux.sh"]
    envelope = decode(files["shieldwall_offboarding.json"], Envelope)
    said = decode(strict_base64.decode(envelope.payload), OffboardingPackage)
    assert said.device_ids == (device_id(1), device_id(2))
    assert "Field trip" in ada.get(OFFBOARDING).text
    with world.services.database.read() as connection:
        (record,) = offboarding_packages.list_packages(connection, TENANT_ID, Page())
        (event,) = audit.list_events(connection, TENANT_ID, Page(), object_id=record.id)
    assert (event.activity, event.actor) == ("offboardingPackage.created", "person:ada@contoso.example")

    for devices, status in (("nobody", 400), ("twice", 400), (device_id(9), 404), (FABRIKAM_DEVICE, 404)):
        assert sends(ada, OFFBOARDING, asked | {"devices": devices}).status_code == status, devices
    for changes in ({"days": "31"}, {"name": ""}, {"csrf": "x"}):
        assert sends(ada, OFFBOARDING, asked | changes).status_code in {400, 403}
    with world.services.database.read() as connection:
        assert len(offboarding_packages.list_packages(connection, TENANT_ID, Page())) == 1


@pytest.mark.parametrize("devices", ["", device_id(1)], ids=["of all", "of one that is not theirs"])
def test_whoever_is_narrowed_makes_no_offboarding_package_beyond_their_devices(world: AdminWorld, devices: str) -> None:
    with world.writing() as connection:
        world.manager.join(connection, 1, display_name="web")
    person = a_person(world, ADMINISTRATOR, tags=["7"])
    with closing(browser(world, person)) as client:
        asked = {"csrf": token_of(client), "name": "Mine", "days": "2", "platform_linux": "on", "devices": devices}

        answer = sends(client, OFFBOARDING, asked)

    assert answer.status_code in {403, 404}
    assert "No role of" in answer.text or "There is no device" in text_of(answer.text)
    assert not files_of(answer.text)
    with world.services.database.read() as connection:
        assert offboarding_packages.list_packages(connection, TENANT_ID, Page()) == ()
