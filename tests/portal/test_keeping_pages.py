"""Existing registrations, trusted authorities and the rules of cleaning up in the admin center."""

from __future__ import annotations

from typing import Any

import pytest
from tests.graph.test_endorsements_api import HASH, MAKER
from tests.portal.test_pages import text_of
from tests.portal.test_scope import fields_of, sends
from tests.support.admin import AdminWorld, Client
from tests.support.other_directory import OtherDirectory
from tests.support.samples import NOON, TENANT_ID, device_id

from shieldwall.server.inventory import endorsements
from shieldwall.server.inventory.cleaning import CleanUpRules, get_rules
from shieldwall.server.storage.device_records import TrustType
from shieldwall.server.storage.devices import registrations
from shieldwall.server.storage.events import audit
from shieldwall.server.storage.records import Page


@pytest.fixture
def directory() -> OtherDirectory:
    return OtherDirectory(NOON)


def activities(world: AdminWorld) -> list[tuple[str, str]]:
    with world.services.database.read() as connection:
        events = audit.list_events(connection, TENANT_ID, Page())
    return [(event.activity, event.actor) for event in events if event.actor.startswith("person")]


def test_a_registration_is_imported_with_its_certificate(
    world: AdminWorld, ada: Client, directory: OtherDirectory
) -> None:
    fields = fields_of(ada.get("/registrations").text, "/registrations")
    pem = directory.holder(device_id(7)).pem.replace("\n", "\r\n")
    asked = fields | {
        "device": device_id(7),
        "name": "web-7",
        "trust_type": "ServerAd",
        "manager": "",
        "certificate": pem,
    }
    for changes in ({"device": "x"}, {"name": ""}, {"trust_type": "x"}, {"certificate": "x"}, {"manager": "x" * 33}):
        assert sends(ada, "/registrations", asked | changes).status_code == 400, changes

    assert sends(ada, "/registrations", asked).status_code == 303

    with world.services.database.read() as connection:
        found = registrations.find(connection, TENANT_ID, device_id(7))
    assert found is not None
    assert (found.display_name, found.trust_type, found.manager) == ("web-7", TrustType.SERVER_AD, None)
    assert activities(world) == [("registration.imported", "person:ada@contoso.example")]
    assert "not yet" in text_of(ada.get("/registrations").text)
    assert sends(ada, "/registrations", asked).status_code == 400, "it is there already"
    with world.writing() as connection:
        world.manager.join(connection, 7)
    assert f'<a href="/devices/{device_id(7)}">yes</a>' in ada.get("/registrations").text


def test_authorities_and_single_tpms_are_trusted_and_no_more(
    world: AdminWorld, ada: Client, directory: OtherDirectory
) -> None:
    fields = fields_of(ada.get("/authorities").text, "/authorities")
    for kind, certificate in (("directory", directory.pem), ("maker", MAKER), ("tpm", HASH)):
        asked = fields | {"kind": kind, "name": f"Our {kind}", "certificate": certificate.replace("\n", "\r\n")}
        for changes in ({"name": ""}, {"certificate": "x"}, {"kind": "other"}):
            assert sends(ada, "/authorities", asked | changes).status_code == 400, (kind, changes)
        assert sends(ada, "/authorities", asked).status_code == 303, kind
    page = ada.get("/authorities").text
    for words in ("Our directory", "Our maker", "Our tpm", HASH, "CN=Contoso devices", "existing registrations"):
        assert words in page
    with world.services.database.read() as connection:
        assert {each.value for each in endorsements.list_endorsements(connection, TENANT_ID)} == {MAKER, HASH}

    for _ in range(3):
        path = ada.get("/authorities").text.partition('<a href="/authorities/')[2].partition('"')[0]
        path = f"/authorities/{path}"
        assert sends(ada, path, fields_of(ada.get(path).text, path)).status_code == 303
        assert ada.get(path).status_code == 404
    assert "No authorities yet." in ada.get("/authorities").text
    assert len(activities(world)) == 6


def clean_up(client: Client, **changes: str | None) -> Any:
    fields: dict[str, str | None] = {
        **fields_of(client.get("/clean-up").text, "/clean-up/preview"),
        "silence": "30",
        "forget": "200",
        "history": "90",
        "auto_replace": "on",
    }
    asked = {name: value for name, value in (fields | changes).items() if value is not None}
    return sends(client, "/clean-up/preview", asked)


def rules_of(world: AdminWorld) -> CleanUpRules:
    with world.services.database.read() as connection:
        return get_rules(connection, TENANT_ID)


def test_clean_up_rules_are_previewed_and_then_saved(world: AdminWorld, ada: Client) -> None:
    with world.writing() as connection:
        world.manager.join(connection, 1)
    world.clock.advance(days=31)
    world.sign_in(ada)
    assert "0 devices retired" in text_of(ada.get("/clean-up").text)
    for changes in ({"silence": "29"}, {"silence": "x"}, {"forget": "179"}, {"history": ""}, {"history": None}):
        assert clean_up(ada, **changes).status_code == 400, changes

    shown = clean_up(ada)
    assert "1 devices retired" in text_of(shown.text)
    assert rules_of(world) == CleanUpRules()
    fields = fields_of(shown.text, "/clean-up")
    with world.writing() as connection:
        world.manager.join(connection, 2)
    stale = sends(ada, "/clean-up", fields)
    assert stale.status_code == 200
    assert "Nothing was saved" in text_of(stale.text)
    assert sends(ada, "/clean-up", fields | {"csrf": "x"}).status_code == 403
    assert rules_of(world) == CleanUpRules()

    assert sends(ada, "/clean-up", fields_of(stale.text, "/clean-up")).status_code == 303

    assert rules_of(world) == CleanUpRules(
        retire_inactive_after_days=30, remove_retired_after_days=200, history_days=90, auto_replace=True
    )
    assert activities(world) == [("cleanUp.changed", "person:ada@contoso.example")]
