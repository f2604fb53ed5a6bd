"""Connectors in the admin center: webhooks, identity providers, subscriptions, streams, the channel itself."""

from __future__ import annotations

import re
from contextlib import closing
from dataclasses import replace
from datetime import timedelta

from tests.portal.test_role_pages import send
from tests.support.admin import AdminWorld, Client
from tests.support.people import a_person, browser

from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.roles import READ_ONLY_OPERATOR, SECURITY_ADMINISTRATOR
from shieldwall.server.configuration.settings_file import FileStream, SyslogStream
from shieldwall.server.directory import federation
from shieldwall.server.directory.federation import settings_of
from shieldwall.server.events import subscriptions, trying
from shieldwall.server.events.notifications import SubscriptionOptions
from shieldwall.server.events.subscriptions import SubscriptionDraft
from shieldwall.server.storage.events import receivers
from shieldwall.server.storage.events.receivers import Sort
from shieldwall.server.storage.records import Page

URL = "https://siem.invalid/hook"


def webhook_of(client: Client) -> str:
    found = re.search(r"/webhooks/[0-9a-f-]{36}", client.get("/connectors").text)
    assert found is not None
    return found[0]


def test_a_webhook_is_made_tried_changed_and_removed(world: AdminWorld, ada: Client) -> None:
    _, made = send(ada, "/webhooks", display_name="Siem <x>", url=URL, event_kinds="alert.*\npolicy.*")
    path = webhook_of(ada)
    _, tried = send(ada, f"{path}/ping")
    changed, _ = send(ada, f"{path}/edit", display_name="Siem", url=URL, event_kinds="*")
    faulty, fault = send(ada, f"{path}/edit", display_name="Siem", url="http://x.test", event_kinds="*")
    _, anew = send(ada, f"{path}/secret", hours="3")
    off, _ = send(ada, f"{path}/switch", enabled="no")
    with world.services.database.read() as connection:
        kept = receivers.find(connection, world.services.tenant.id, Sort.WEBHOOK, path.rpartition("/")[2])
    page = ada.get(path).text

    assert re.search(r"<pre>whsec_[A-Za-z0-9+/=]+</pre>", made)
    assert "whsec_" in anew
    assert "whsec_" not in page
    assert "The receiver did not take it:" in tried
    assert (changed, off, faulty) == (303, 303, 400)
    assert 'value="http://x.test"' in fault
    assert kept is not None
    assert (kept.display_name, kept.event_kinds, kept.enabled) == ("Siem", ("*",), False)
    assert "The former secret signs too until" in page
    assert send(ada, f"{path}/delete") == (303, "/connectors")
    assert ada.get(path).status_code == 404


def test_an_event_is_sent_again_and_the_history_says_so(ada: Client) -> None:
    send(ada, "/webhooks", display_name="Siem", url=URL, event_kinds="*")
    path = webhook_of(ada)
    event = re.search(r"/audit/([0-9a-f-]{36})", ada.get("/audit").text)
    assert event is not None
    status, page = send(ada, f"{path}/redeliver", event=event[1])
    missing, _ = send(ada, f"{path}/redeliver", event="nothing")

    assert status == 200
    assert event[1] in page
    assert "Send again" in page
    assert missing == 404


def test_a_provider_is_kept_with_its_secret_unless_another_is_given(world: AdminWorld, ada: Client) -> None:
    with world.writing() as connection:
        group = world.manager.group(connection, 1)
    fields = {"display_name": "Entra", "client_id": "abc", "admission": "mapped", "mappings": f"g-1 = {group}"}
    status, path = send(
        ada, "/identity-providers", issuer="https://login.invalid", client_secret="s3cret", enabled="on", **fields
    )
    assert status == 303, path
    saved, _ = send(ada, path, **{**fields, "display_name": "Entra ID"})
    wrong, page = send(ada, path, **{**fields, "mappings": "nonsense"})
    with world.services.database.read() as connection:
        kept = federation.get_provider(connection, world.services.tenant.id, path.rpartition("/")[2])

    assert (saved, wrong) == (303, 400)
    assert "leads to no group" in page
    assert (kept.display_name, kept.client_secret, kept.enabled) == ("Entra ID", "s3cret", False)
    assert settings_of(kept).group_mappings == {"g-1": group}
    assert "s3cret" not in ada.get(path).text
    assert send(ada, f"{path}/delete") == (303, "/connectors")


def test_only_who_may_do_everything_decides_who_signs_in(world: AdminWorld) -> None:
    from_people = replace(
        SECURITY_ADMINISTRATOR,
        id=world.services.new_id(),
        is_built_in=False,
        actions=SECURITY_ADMINISTRATOR.actions | {ResourceAction.UPDATE_PEOPLE},
    )
    with closing(browser(world, a_person(world, from_people))) as client:
        page = client.get("/identity-providers/new").text
        status, _ = send(client, "/identity-providers", display_name="E", issuer="https://x.invalid", client_id="a")

    assert "Only a person who may do everything here saves this." in page
    assert status == 403
    with world.services.database.read() as connection:
        assert not federation.enabled_providers(connection, world.services.tenant.id)


def test_everybodys_subscriptions_are_shown_and_ended(world: AdminWorld, ada: Client) -> None:
    now = world.clock.now()
    draft = SubscriptionDraft(
        resource="groups",
        change_type="updated",
        notification_url=URL,
        lifecycle_url=None,
        client_state="x",
        expires_at=now + timedelta(hours=1),
        application_id="app",
    )
    options = SubscriptionOptions(resource="groups", group=None, members_only=False, change_types=("updated",))
    with world.writing() as connection:
        box = trying.box_of(world.services)
        made = subscriptions.create_subscription(connection, world.services.acting("app:P"), box, draft, options)
    assert "https://siem.invalid" in ada.get("/connectors").text
    assert "hears nothing more" in ada.get(f"/subscriptions/{made.id}/end").text
    assert send(ada, f"/subscriptions/{made.id}/end") == (303, "/connectors")
    with world.services.database.read() as connection:
        assert receivers.list_receivers(connection, world.services.tenant.id, Sort.SUBSCRIPTION, Page()) == ()


def test_streams_say_where_they_write_and_how_far_they_are(world: AdminWorld) -> None:
    streams = (FileStream(name="file", path="events.jsonl"), SyslogStream(name="log", transport="tls", host="log.test"))
    settings = replace(world.services.settings, audit_streams=streams)
    told = replace(world, services=replace(world.services, settings=settings))
    with told.client() as client:
        told.sign_in(client)
        page = client.get("/connectors").text

    assert "events.jsonl" in page
    assert "tls://log.test:6514" in page
    assert "not begun" in page


def test_who_may_not_read_events_sees_the_channel_alone(world: AdminWorld) -> None:
    with closing(browser(world, a_person(world, READ_ONLY_OPERATOR))) as client:
        page = client.get("/connectors").text

    assert "Security settings management" in page
    assert "Audit streams" not in page
    assert 'href="/webhooks/new"' not in page
