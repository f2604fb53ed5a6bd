"""Webhooks over HTTP: what is shown, what never is, and what is refused."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from tests.support.admin import AdminWorld, Client
from tests.support.events import Office, bodies
from tests.support.receivers import answering, receiving
from tests.support.samples import counted_id

from shieldwall.server.events.webhooks import MOST_WEBHOOKS
from shieldwall.server.storage.engine import outbox
from shieldwall.server.storage.events import audit, receivers
from shieldwall.server.storage.records import Page

WEBHOOKS = "/beta/shieldwall/webhooks"


def a_webhook(**changes: Any) -> dict[str, Any]:
    return {
        "displayName": "Tickets",
        "url": "https://tickets.example/hook?token=t0ken",
        "eventTypes": ["policy.*"],
    } | changes


def made(graph: Client, **changes: Any) -> dict[str, Any]:
    answer = graph.post(WEBHOOKS, json=a_webhook(**changes))
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.json()
    return body


def test_a_secret_is_shown_once_and_never_again(
    world: AdminWorld, graph: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    webhook = made(graph)
    secret = webhook["secret"]
    assert secret.startswith("whsec_")
    path = f"{WEBHOOKS}/{webhook['id']}"

    for answer in (graph.get(WEBHOOKS), graph.get(path), graph.patch(path, json={"displayName": "Other"})):
        assert answer.status_code == 200
        assert "secret" not in answer.text.lower().replace("formersecretuntildatetime", "")
    with world.services.database.read() as connection:
        rows = connection.exec_driver_sql("SELECT * FROM receivers").all()
        trail = audit.list_events(connection, world.services.tenant.id, Page(size=50))
        told = outbox.read(connection, 0, 100, tenant_id=world.services.tenant.id)
    for text in (str(rows), str(trail), str(told), capsys.readouterr().out):
        assert secret.removeprefix("whsec_") not in text
    for text in (str(trail), str(told)):
        assert "t0ken" not in text, "what stands behind the host may be a secret too"
    activities = [event.activity for event in trail]
    assert {"webhook.created", "webhook.changed"} <= set(activities)


def test_a_webhook_is_made_changed_and_deleted(graph: Client) -> None:
    webhook = made(graph, eventTypes=["policy.*", "alert.raised", "policy.*"])
    assert webhook["eventTypes"] == ["alert.raised", "policy.*"]
    path = f"{WEBHOOKS}/{webhook['id']}"

    changed = graph.patch(path, json={"url": "https://other.example/", "enabled": False, "eventTypes": ["*"]}).json()
    assert (changed["url"], changed["enabled"], changed["eventTypes"]) == ("https://other.example/", False, ["*"])
    assert graph.get(path).json() == changed
    assert [each["id"] for each in graph.get(WEBHOOKS).json()["value"]] == [webhook["id"]]

    assert graph.delete(path).status_code == 204
    for answer in (graph.get(path), graph.delete(path), graph.patch(path, json={}), graph.post(f"{path}/ping")):
        assert answer.status_code == 404


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"url": "https://user:pass@tickets.example/"}, "invalidReceiver"),
        ({"url": "ftp://tickets.example/"}, "invalidReceiver"),
        ({"url": ""}, "invalidReceiver"),
        ({"eventTypes": []}, "invalidEventKind"),
        ({"eventTypes": ["policies"]}, "invalidEventKind"),
        ({"displayName": " "}, "invalidWebhook"),
        ({"displayName": "a\u0007b"}, "invalidWebhook"),
        ({"displayName": "x" * 257}, "invalidWebhook"),
        ({"secret": "whsec_mine"}, "invalidJson"),
        ({"cursor": 0}, "invalidJson"),
    ],
)
def test_what_cannot_be_a_webhook_is_refused(embedded_graph: Client, changes: dict[str, Any], code: str) -> None:
    answer = embedded_graph.post(WEBHOOKS, json=a_webhook(**changes))
    assert (answer.status_code, answer.json()["error"]["innerError"]["code"]) == (400, code)
    webhook = made(embedded_graph)
    if set(changes) & {"url", "eventTypes", "displayName"}:
        answer = embedded_graph.patch(f"{WEBHOOKS}/{webhook['id']}", json=changes)
        assert (answer.status_code, answer.json()["error"]["innerError"]["code"]) == (400, code)


def test_there_is_an_end_to_webhooks(graph: Client) -> None:
    for number in range(MOST_WEBHOOKS):
        made(graph, displayName=f"hook {number}")
    answer = graph.post(WEBHOOKS, json=a_webhook())
    assert (answer.status_code, answer.json()["error"]["innerError"]["code"]) == (409, "tooManyReceivers")


def test_a_ping_tells_what_came_of_it_and_changes_nothing(world: AdminWorld, graph: Client, tmp_path: Path) -> None:
    with receiving(tmp_path) as receiver:
        webhook = made(graph, url=receiver.url)
        path = f"{WEBHOOKS}/{webhook['id']}"
        assert graph.post(f"{path}/ping").json() == {"delivered": True, "status": 204, "cause": "", "milliseconds": 0}
        receiver.behaviour = answering(302, Location="https://localhost/")
        refused = graph.post(f"{path}/ping").json()
    assert (refused["delivered"], refused["status"]) == (False, 302)
    assert "redirects are not followed" in refused["cause"]
    unreachable = graph.post(f"{path}/ping").json()
    assert (unreachable["delivered"], unreachable["status"]) == (False, None)
    assert [body["type"] for body in bodies(receiver)] == ["webhook.ping"] * 2
    assert graph.get(path).json()["failures"] == 0
    assert graph.get(f"{path}/deliveries").json()["value"] == []
    Office(world).round()


def test_what_was_sent_is_listed_and_sent_again_on_demand(world: AdminWorld, graph: Client, tmp_path: Path) -> None:
    office = Office(world)
    with receiving(tmp_path, answering(500)) as receiver:
        webhook = made(graph, url=receiver.url, eventTypes=["thing.*"])
        path = f"{WEBHOOKS}/{webhook['id']}"
        office.happen(1)
        office.round()
        (delivery,) = graph.get(f"{path}/deliveries").json()["value"]
        assert (delivery["state"], delivery["status"], delivery["attempts"]) == ("waiting", 500, 1)
        shown = graph.get(path).json()
        assert shown["failures"] == 1
        assert shown["nextAttemptDateTime"] == "2026-11-23T12:00:05.0000000Z"

        receiver.behaviour = answering(204)
        again = graph.post(f"{path}/redeliver", json={"eventId": delivery["id"]})
        assert (again.status_code, again.json()["delivered"]) == (200, True)
        (delivery,) = graph.get(f"{path}/deliveries").json()["value"]
        assert (delivery["state"], delivery["attempts"]) == ("succeeded", 2)
        absent = graph.post(f"{path}/redeliver", json={"eventId": counted_id("c", 1)})
        assert absent.status_code == 404
    assert len({asked.headers["webhook-id"] for asked in receiver.seen}) == 1


def test_a_rotated_secret_signs_beside_the_former_one(graph: Client, tmp_path: Path) -> None:
    with receiving(tmp_path) as receiver:
        webhook = made(graph, url=receiver.url)
        path = f"{WEBHOOKS}/{webhook['id']}"
        rotated = graph.post(f"{path}/rotateSecret", json={"overlapHours": 2}).json()
        assert rotated["secret"] != webhook["secret"]
        assert rotated["formerSecretUntilDateTime"] == "2026-11-23T14:00:00.0000000Z"
        graph.post(f"{path}/ping")
        graph.post(f"{path}/rotateSecret", json={"overlapHours": 0})
        graph.post(f"{path}/ping")
    assert [len(asked.headers["webhook-signature"].split(" ")) for asked in receiver.seen] == [2, 1]
    assert graph.post(f"{path}/rotateSecret", json={"overlapHours": 169}).status_code == 400


def test_reading_is_not_writing(world: AdminWorld, graph: Client) -> None:
    webhook = made(graph)
    path = f"{WEBHOOKS}/{webhook['id']}"
    reader = world.application_client("Shieldwall.Webhooks.Read.All")
    assert reader.get(path).status_code == 200
    for answer in (
        reader.post(WEBHOOKS, json=a_webhook()),
        reader.patch(path, json={}),
        reader.delete(path),
        reader.post(f"{path}/ping"),
        reader.post(f"{path}/rotateSecret", json={}),
    ):
        assert answer.status_code == 403
    reader.close()


def test_a_webhook_of_another_tenant_is_not_brought_anything(world: AdminWorld) -> None:
    """Fabrikam's row in the table of receivers is off; nothing that happens here concerns it."""
    office = Office(world)
    office.happen(1)
    office.round()
    with world.services.database.read() as connection:
        assert receivers.due(connection, world.clock.now()) == ()
    assert asyncio.run(office.dispatching().drained()) is None
