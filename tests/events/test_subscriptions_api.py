"""Graph's change notifications: the handshake, the bounds, and what receivers are told."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.support.admin import AdminWorld, Client
from tests.support.events import Office
from tests.support.graph_bodies import a_group
from tests.support.receivers import Asked, Behaviour, Receiver, answering, echoing, hanging, receiving
from tests.support.samples import NOON
from tests.support.second_tenant import FABRIKAM_GROUP

from shieldwall.server.events import subscriptions
from shieldwall.server.graph.resources import moment

PATH = "/v1.0/subscriptions"
GROUPS = "/v1.0/groups"


def a_subscription(url: str, **changes: Any) -> dict[str, Any]:
    return {
        "changeType": "created,updated,deleted",
        "notificationUrl": url,
        "resource": "/groups",
        "expirationDateTime": moment(NOON + timedelta(minutes=4_230)),
        "clientState": "a state of ours",
    } | changes


def notified(receiver: Receiver) -> list[dict[str, Any]]:
    """All notifications, without the handshakes."""
    return [each for asked in receiver.seen if asked.body for each in json.loads(asked.body)["value"]]


def test_a_subscription_hears_of_groups(world: AdminWorld, graph: Client, tmp_path: Path) -> None:
    office = Office(world)
    with receiving(tmp_path, echoing) as receiver:
        answer = graph.post(PATH, json=a_subscription(receiver.url))
        assert answer.status_code == 201, answer.text
        made = answer.json()
        assert made["clientState"] == "a state of ours"
        assert (made["changeType"], made["resource"]) == ("created,updated,deleted", "/groups")
        (handshake,) = receiver.seen
        assert handshake.headers["content-type"].startswith("text/plain")
        assert len(handshake.query["validationToken"][0]) >= 32

        group = graph.post(GROUPS, json=a_group("Web")).json()["id"]
        graph.patch(f"{GROUPS}/{group}", json={"displayName": "Web servers"})
        graph.delete(f"{GROUPS}/{group}")
        office.round()

    assert len(receiver.seen) == 2, "what is due together comes together"
    assert [each["changeType"] for each in notified(receiver)] == ["created", "updated", "deleted"]
    assert notified(receiver)[0] == {
        "subscriptionId": made["id"],
        "subscriptionExpirationDateTime": made["expirationDateTime"],
        "clientState": "a state of ours",
        "changeType": "created",
        "resource": f"Groups/{group}",
        "tenantId": office.tenant_id,
        "resourceData": {"@odata.type": "#Microsoft.Graph.Group", "@odata.id": f"Groups/{group}", "id": group},
    }
    assert graph.get(f"{PATH}/{made['id']}").json()["clientState"] is None


def test_a_subscription_to_one_group_hears_of_no_other_and_one_to_members_of_nothing_else(
    world: AdminWorld, graph: Client, tmp_path: Path
) -> None:
    office = Office(world)
    groups = [graph.post(GROUPS, json=a_group(name)).json()["id"] for name in ("a", "b")]
    with receiving(tmp_path, echoing) as of_group, receiving(tmp_path, echoing) as of_members:
        for receiver, resource in ((of_group, f"groups/{groups[0]}"), (of_members, f"groups/{groups[0]}/members")):
            answer = graph.post(PATH, json=a_subscription(receiver.url, resource=resource, changeType="updated"))
            assert answer.status_code == 201, answer.text
        for group in groups:
            graph.patch(f"{GROUPS}/{group}", json={"displayName": "other"})
        office.round()
        assert [each["resourceData"]["id"] for each in notified(of_group)] == [groups[0]]
        assert notified(of_members) == []
        with world.writing() as connection:
            services = world.services
            services.acting("person:Ada").record(connection, "group.memberAdded", "group", groups[0])
            services.acting("person:Ada").record(connection, "group.memberAdded", "group", groups[1])
        office.round()
    assert [each["changeType"] for each in notified(of_members)] == ["updated"]


@pytest.mark.parametrize(
    "resource", ["devices", "/devices", "deviceManagement/managedDevices", "users", "groups/x", "groups/../devices", ""]
)
def test_there_are_no_notifications_of_anything_else(embedded_graph: Client, resource: str) -> None:
    answer = embedded_graph.post(PATH, json=a_subscription("https://hooks.example/", resource=resource))
    assert (answer.status_code, answer.json()["error"]["innerError"]["code"]) == (400, "invalidSubscription")


@pytest.mark.parametrize(
    "changes",
    [
        {"expirationDateTime": moment(NOON + timedelta(minutes=4_231))},
        {"expirationDateTime": moment(NOON)},
        {"expirationDateTime": "2026-11-23T13:00:00"},
        {"changeType": "renamed"},
        {"changeType": ""},
        {"clientState": "x" * 129},
        {"notificationUrl": "https://user@hooks.example/"},
        {"notificationUrl": "ftp://hooks.example/"},
        {"lifecycleNotificationUrl": "nonsense"},
        {"includeResourceData": True},
        {"surprise": 1},
    ],
    ids=str,
)
def test_what_cannot_be_subscribed_to_is_refused_before_anybody_is_asked(
    embedded_graph: Client, tmp_path: Path, changes: dict[str, Any]
) -> None:
    with receiving(tmp_path, echoing) as receiver:
        assert embedded_graph.post(PATH, json=a_subscription(receiver.url) | changes).status_code == 400
    assert receiver.seen == []


async def echoing_as_json(asked: Asked, writer: asyncio.StreamWriter) -> None:
    await answering(200, asked.query["validationToken"][0].encode(), Content_Type="application/json")(asked, writer)


@pytest.mark.parametrize(
    "behaviour",
    [
        answering(200, b"token", Content_Type="text/plain"),
        answering(204),
        answering(302, Location="https://localhost/"),
        echoing_as_json,
        hanging,
    ],
)
def test_who_does_not_shake_hands_gets_nothing(
    embedded_graph: Client, tmp_path: Path, behaviour: Behaviour, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscriptions, "HANDSHAKE_SECONDS", 0.5)
    with receiving(tmp_path, behaviour) as receiver:
        answer = embedded_graph.post(PATH, json=a_subscription(receiver.url))
    assert (answer.status_code, answer.json()["error"]["innerError"]["code"]) == (400, "validationFailed")
    assert embedded_graph.get(PATH).json()["value"] == []


def test_the_address_of_lifecycle_notifications_shakes_hands_too_and_hears_of_what_was_missed(
    world: AdminWorld, graph: Client, tmp_path: Path
) -> None:
    with receiving(tmp_path, echoing) as receiver, receiving(tmp_path, echoing) as lifecycle:
        made = graph.post(PATH, json=a_subscription(receiver.url, lifecycleNotificationUrl=lifecycle.url)).json()
        assert len(lifecycle.seen) == 1
        with world.writing() as connection:
            connection.exec_driver_sql(f"UPDATE receivers SET missed = 3 WHERE id = '{made['id']}'")  # noqa: S608 - ours
        Office(world).round()
    (told,) = notified(lifecycle)
    assert (told["lifecycleEvent"], told["subscriptionId"]) == ("missed", made["id"])
    assert notified(receiver) == []


def test_a_subscription_ends_by_itself_unless_it_is_renewed(world: AdminWorld, graph: Client, tmp_path: Path) -> None:
    with receiving(tmp_path, echoing) as receiver:
        made = graph.post(PATH, json=a_subscription(receiver.url)).json()
        path = f"{PATH}/{made['id']}"
        world.clock.advance(minutes=4_000)
        client = world.application_client("Group.Read.All")  # the token of the other one is over by now
        assert client.get(path).status_code == 404, "another application's"
        client.close()
        later = moment(world.clock.now() + timedelta(minutes=4_230))
        with world.writing() as connection:
            owner = made["applicationId"]
            acting = world.services.acting("app:Automation")
            renewed = subscriptions.renew_subscription(
                connection, acting, made["id"], owner=owner, expires_at=world.clock.now() + subscriptions.LONGEST
            )
        assert moment(renewed.expires_at) == later
        world.clock.advance(minutes=4_230)
        with world.writing() as connection:
            world.services.acting("person:Ada").record(connection, "group.created", "group", "g")
        Office(world).round()
    assert len(receiver.seen) == 1, "only the handshake"


def test_a_renewal_over_http_has_the_same_bounds(graph: Client, tmp_path: Path) -> None:
    with receiving(tmp_path, echoing) as receiver:
        made = graph.post(PATH, json=a_subscription(receiver.url)).json()
    path = f"{PATH}/{made['id']}"
    until = moment(NOON + timedelta(minutes=60))
    assert graph.patch(path, json={"expirationDateTime": until}).json()["expirationDateTime"] == until
    assert graph.patch(path, json={"expirationDateTime": moment(NOON + timedelta(days=30))}).status_code == 400
    assert graph.patch(path, json={"notificationUrl": "https://other.example/"}).status_code == 400
    assert [each["id"] for each in graph.get(PATH).json()["value"]] == [made["id"]]
    assert graph.delete(path).status_code == 204
    assert graph.get(path).status_code == 404


def test_a_group_of_nobody_cannot_be_followed(graph: Client) -> None:
    answer = graph.post(PATH, json=a_subscription("https://hooks.example/", resource=f"groups/{FABRIKAM_GROUP}"))
    assert answer.status_code == 400
