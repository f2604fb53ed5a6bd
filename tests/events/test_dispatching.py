"""Events reach real receivers: in order, at least once, whatever those do."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import threading
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from tests.support.admin import AdminWorld
from tests.support.events import Office, bodies, numbers
from tests.support.receivers import (
    Asked,
    Behaviour,
    answering,
    dribbling,
    endless,
    hanging,
    in_turn,
    receiving,
)
from tests.support.samples import NOON

from shieldwall.server.events import dispatching, keeping, sending
from shieldwall.server.events.dispatching import Dispatching
from shieldwall.server.events.measures import EventMeasures
from shieldwall.server.events.signing import show_secret
from shieldwall.server.events.webhooks import WebhookChange, change_webhook, delete_webhook, rotate_secret
from shieldwall.server.periodic.housekeeping import Housekeeping
from shieldwall.server.storage.engine import outbox
from shieldwall.server.storage.engine.database import StorageUnavailableError
from shieldwall.server.storage.events import alerts, receivers
from shieldwall.server.storage.events.receivers import DeliveryState


@pytest.fixture
def office(world: AdminWorld) -> Office:
    return Office(world)


def verify(asked: Asked, secret: bytes) -> bool:
    """What a receiver does by the Standard Webhooks specification, written anew."""
    signed = b".".join([asked.headers["webhook-id"].encode(), asked.headers["webhook-timestamp"].encode(), asked.body])
    key = base64.b64decode(show_secret(secret).removeprefix("whsec_"))
    own = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return any(
        version == "v1" and hmac.compare_digest(own, given)
        for version, _, given in (each.partition(",") for each in asked.headers["webhook-signature"].split(" "))
    )


def test_what_happens_is_told_in_order_and_signed(office: Office, tmp_path: Path) -> None:
    with receiving(tmp_path) as receiver:
        office.happen(1)
        webhook, secret = office.webhook(receiver.url)
        office.happen(2, 3)
        office.happen(4, kind="other.happened")
        office.round()
        office.round()

    assert numbers(receiver) == [2, 3], "of what was before it, and of other kinds, a webhook is told nothing"
    first = bodies(receiver)[0]
    assert first.keys() == {"type", "time", "tenantId", "id", "data"}
    assert (first["type"], first["time"], first["tenantId"]) == (
        "thing.happened",
        "2026-11-23T12:00:00.000Z",
        office.tenant_id,
    )
    assert first["data"]["actor"] == "person:Ada"
    for asked, body in zip(receiver.seen, bodies(receiver), strict=True):
        assert asked.headers["webhook-id"] == body["id"]
        assert asked.headers["webhook-timestamp"] == str(int(NOON.timestamp()))
        assert asked.headers["content-type"] == "application/json"
        assert verify(asked, secret)
        assert not verify(replace(asked, body=asked.body + b" "), secret)
    now = office.now(webhook)
    assert (now.failures, now.last_success_at, now.next_attempt_at) == (0, NOON, None)
    assert [each.state for each in office.history(webhook)] == [DeliveryState.SUCCEEDED] * 2
    assert secret not in webhook.secret


def test_while_a_secret_is_replaced_both_verify(office: Office, tmp_path: Path) -> None:
    with receiving(tmp_path) as receiver:
        webhook, old = office.webhook(receiver.url)
        with office.world.writing() as connection:
            acting = office.world.services.acting("person:Ada")
            _, new = rotate_secret(connection, acting, office.box, webhook.id, overlap=timedelta(hours=24))
        office.happen(1)
        office.round()
        office.world.clock.advance(hours=25)
        office.happen(2)
        office.round()
    first, second = receiver.seen
    assert verify(first, old)
    assert verify(first, new)
    assert not verify(second, old)
    assert verify(second, new)


@pytest.mark.parametrize(
    "behaviour", [answering(500), answering(302, Location="https://localhost/"), endless, hanging, dribbling]
)
def test_what_fails_is_sent_again_later_and_those_behind_it_wait(
    office: Office, tmp_path: Path, behaviour: Behaviour, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "ANSWER_SECONDS", 0.5)
    monkeypatch.setattr(sending.send, "__kwdefaults__", {"seconds": 0.5})
    with receiving(tmp_path, in_turn(behaviour, answering(204))) as receiver:
        webhook, _ = office.webhook(receiver.url)
        office.happen(1, 2)
        office.round()
        failed = behaviour is not endless  # its status was 200, and what follows is not read to the end
        assert numbers(receiver) == ([1] if failed else [1, 2])
        now = office.now(webhook)
        assert now.failures == int(failed)
        if failed:
            assert now.next_attempt_at == NOON + timedelta(seconds=5)
            assert now.last_failure
            assert office.history(webhook)[0].state is DeliveryState.WAITING
            office.round()
            assert numbers(receiver) == [1], "it is not time yet"
            office.world.clock.advance(seconds=5)
            office.round()
            assert numbers(receiver) == [1, 1, 2]
            assert receiver.seen[0].headers["webhook-id"] == receiver.seen[1].headers["webhook-id"]
            assert [each.attempts for each in office.history(webhook)] == [1, 2]
    assert office.now(webhook).failures == 0


def test_a_receiver_that_asks_for_a_pause_gets_it(office: Office, tmp_path: Path) -> None:
    with receiving(tmp_path, in_turn(answering(429, Retry_After="600"), answering(204))) as receiver:
        webhook, _ = office.webhook(receiver.url)
        office.happen(1)
        office.round()
        assert office.now(webhook).next_attempt_at == NOON + timedelta(seconds=600)
        office.world.clock.advance(seconds=599)
        office.round()
        office.world.clock.advance(seconds=1)
        office.round()
    assert numbers(receiver) == [1, 1]


def open_alerts(office: Office) -> list[str]:
    with office.world.services.database.read() as connection:
        return [alert.title for alert in alerts.newest_open(connection, office.tenant_id, 10)]


def test_a_receiver_that_is_gone_is_switched_off_with_an_alert(office: Office, tmp_path: Path) -> None:
    with receiving(tmp_path, answering(410)) as receiver:
        webhook, _ = office.webhook(receiver.url)
        office.happen(1, 2)
        office.round()
        office.round()
    assert numbers(receiver) == [1]
    now = office.now(webhook)
    assert not now.enabled
    assert "410" in now.switched_off_because
    assert open_alerts(office) == ["Webhook Tickets was switched off"]


def test_after_three_days_of_failure_a_receiver_is_switched_off_and_switched_on_again_it_gets_all(
    office: Office, tmp_path: Path
) -> None:
    with receiving(tmp_path, answering(503)) as receiver:
        webhook, _ = office.webhook(receiver.url)
        office.happen(1)
        for _ in range(60):
            office.round()
            at = office.now(webhook).next_attempt_at
            if at is None:
                break
            office.world.clock.at = at
        attempts = len(receiver.seen)
        assert 15 <= attempts <= 30
        assert timedelta(days=3) <= office.world.clock.at - NOON < timedelta(days=3, hours=8)
        assert not office.now(webhook).enabled
        assert len(open_alerts(office)) == 1

        office.happen(2)
        receiver.behaviour = answering(204)
        services = office.world.services
        with office.world.writing() as connection:
            change_webhook(
                connection,
                services.acting("person:Ada"),
                services.outgoing.rules,
                webhook.id,
                WebhookChange(enabled=True),
            )
        office.round()
    assert numbers(receiver)[attempts:] == [1, 2]
    assert office.now(webhook).enabled


def test_an_event_that_a_receiver_finds_fault_with_does_not_hold_up_the_others(office: Office, tmp_path: Path) -> None:
    async def refusing_the_first(asked: Asked, writer: asyncio.StreamWriter) -> None:
        await answering(400 if b'"id":"1"' in asked.body else 204)(asked, writer)

    with receiving(tmp_path, refusing_the_first) as receiver:
        webhook, _ = office.webhook(receiver.url)
        office.happen(1, 2)
        for _ in range(5):
            office.round()
            office.world.clock.advance(hours=1)
    assert numbers(receiver) == [1, 1, 1, 1, 1, 2]
    newest, oldest = office.history(webhook)
    assert (newest.state, oldest.state, oldest.attempts) == (DeliveryState.SUCCEEDED, DeliveryState.FAILED, 5)
    assert office.now(webhook).enabled


def test_killed_between_delivery_and_cursor_the_event_is_told_again_and_none_is_lost(
    office: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def die(*_: object) -> None:
        raise Killed

    with receiving(tmp_path) as receiver:
        office.webhook(receiver.url)
        office.happen(1, 2)
        with monkeypatch.context() as patched:
            patched.setattr(dispatching, "settle", die)

            async def go() -> None:
                worker = office.dispatching()
                await worker.send_couriers()
                await asyncio.gather(*worker._couriers.values(), return_exceptions=True)

            asyncio.run(go())
        assert numbers(receiver) == [1]
        office.round()
    assert numbers(receiver) == [1, 1, 2]
    assert receiver.seen[0].headers["webhook-id"] == receiver.seen[1].headers["webhook-id"]


def test_a_slow_receiver_holds_up_nobody_else_and_never_the_loop(office: Office, tmp_path: Path) -> None:
    with receiving(tmp_path, hanging) as slow, receiving(tmp_path) as quick:
        office.webhook(slow.url, name="slow")
        for number in range(5):
            office.webhook(quick.url, name=f"quick {number}")
        office.happen(*range(10))

        async def go() -> tuple[float, float]:
            worker = office.dispatching()
            begun, longest = time.monotonic(), 0.0
            await worker.send_couriers()
            while len(quick.seen) < 50:
                last = time.monotonic()
                await asyncio.sleep(0.005)
                longest = max(longest, time.monotonic() - last)
            for courier in list(worker._couriers.values()):
                courier.cancel()
            await asyncio.sleep(0)
            return time.monotonic() - begun, longest

        took, longest = asyncio.run(go())
    assert took < sending.ANSWER_SECONDS / 2
    assert longest < 1
    assert sorted(numbers(quick)) == sorted(list(range(10)) * 5)


def test_how_much_is_under_way_at_once_is_capped(
    office: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatching, "MOST_OF_A_TENANT", 3)
    present, most = 0, 0
    lock = threading.Lock()

    async def counting(asked: Asked, writer: asyncio.StreamWriter) -> None:
        nonlocal present, most
        with lock:
            present += 1
            most = max(most, present)
        await asyncio.sleep(0.05)
        with lock:
            present -= 1
        await answering(204)(asked, writer)

    with receiving(tmp_path, counting) as receiver:
        for number in range(10):
            office.webhook(receiver.url, name=f"hook {number}")
        office.happen(1)
        office.round()
    assert len(receiver.seen) == 10
    assert most == 3


def test_a_webhook_that_is_deleted_meanwhile_is_left_in_peace(office: Office, tmp_path: Path) -> None:
    async def deleting(asked: Asked, writer: asyncio.StreamWriter) -> None:
        with office.world.writing() as connection:
            delete_webhook(connection, office.world.services.acting("person:Ada"), webhook.id)
        await answering(500)(asked, writer)

    with receiving(tmp_path, deleting) as receiver:
        webhook, _ = office.webhook(receiver.url)
        office.happen(1, 2)
        office.round()
        office.round()
    assert numbers(receiver) == [1]
    assert open_alerts(office) == []


def test_with_another_key_nothing_is_signed_and_the_webhook_says_so(office: Office, tmp_path: Path) -> None:
    with receiving(tmp_path) as receiver:
        webhook, _ = office.webhook(receiver.url)
        office.world.services.settings.nonce_key.write_bytes(b"x" * 32)
        office.happen(1)
        office.round()
    assert receiver.seen == []
    assert "key" in office.now(webhook).last_failure
    assert office.now(webhook).next_attempt_at == NOON + timedelta(seconds=5)


def test_the_history_holds_the_last_deliveries(office: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receivers, "DELIVERIES_KEPT", 3)
    with receiving(tmp_path) as receiver:
        webhook, _ = office.webhook(receiver.url)
        office.happen(*range(6))
        office.round()
    assert [each.event_id for each in office.history(webhook)] == [body["id"] for body in reversed(bodies(receiver))][
        :3
    ]


def forget(office: Office) -> int:
    services, total = office.world.services, 0
    for _ in range(20):
        with office.world.writing() as connection:
            done = keeping.forget_events(
                connection, office.tenant_id, services.clock.now(), home=services.settings.tenant_id, streams=()
            )
        total += done
        if not done:
            return total
    raise AssertionError("there is an end to it")


def test_events_wait_for_those_who_have_not_had_them_and_then_a_gap_is_told(office: Office, tmp_path: Path) -> None:
    with receiving(tmp_path, answering(503)) as receiver:
        office.happen(0)
        webhook, _ = office.webhook(receiver.url)
        office.happen(1, 2)
        office.happen(3, kind="other.happened")
        office.round()
        office.world.clock.advance(days=8)
        office.happen(4)
        assert forget(office) == 1, "nobody waits for what was before"
        office.world.clock.advance(days=23)
        office.happen(5)
        assert forget(office) == 4
        assert office.now(webhook).missed == 2

        receiver.behaviour = answering(204)
        before = len(receiver.seen)
        office.round()
    missed, *others = bodies(receiver)[before:]
    assert (missed["type"], missed["data"]["details"]) == ("events.missed", {"count": 2})
    assert [body["data"]["object"]["id"] for body in others] == ["4", "5"]
    assert office.now(webhook).missed == 0


def test_a_week_is_kept_where_nobody_waits_and_the_newest_for_ever(office: Office) -> None:
    office.happen(1, 2, 3)
    office.world.clock.advance(days=6)
    assert forget(office) == 0
    office.world.clock.advance(days=400)
    assert forget(office) == 2


def test_the_numbers_say_how_receivers_are_doing(office: Office, tmp_path: Path) -> None:
    registry = CollectorRegistry()
    worker = replace_measures(office, registry)
    with (
        receiving(tmp_path) as well,
        receiving(tmp_path, answering(500)) as failing,
        receiving(tmp_path, answering(410)) as gone,
    ):
        for receiver in (well, failing, gone):
            office.webhook(receiver.url)
        office.happen(1, 2)
        asyncio.run(worker.drained())
    worker.look_over()

    def number(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(name, {"sort": "webhook", **labels})

    assert number("shieldwall_event_deliveries_total", outcome="delivered") == 2
    assert number("shieldwall_event_deliveries_total", outcome="failed") == 2
    states = {
        state: number("shieldwall_event_receivers", state=state) for state in ("well", "failing", "off", "paused")
    }
    assert states == {"well": 1, "failing": 1, "off": 1, "paused": 1}, "that of Fabrikam was never switched on"
    lag = number("shieldwall_event_lag")
    assert lag is not None
    assert lag >= 2


def replace_measures(office: Office, registry: CollectorRegistry) -> Dispatching:
    worker = office.dispatching()
    worker.measures = EventMeasures(registry)
    return worker


def test_housekeeping_forgets_events_whose_time_has_come(office: Office) -> None:
    office.happen(1, 2, 3)
    office.world.clock.advance(days=8)
    office.happen(4)
    services = office.world.services
    Housekeeping(services=services).clean(services.tenant)
    with services.database.read() as connection:
        kept = outbox.read(connection, 0, 100, tenant_id=office.tenant_id, patterns=["thing.*"])
    assert [json.loads(event.details)["object"]["id"] for event in kept] == ["4"]


def test_the_worker_goes_on_when_the_database_does_not_answer(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    rounds = 0

    def fail(*_: object) -> None:
        raise StorageUnavailableError("The database did not answer.")

    async def sleep(_seconds: float) -> None:
        nonlocal rounds
        rounds += 1
        if rounds == 3:
            raise asyncio.CancelledError

    monkeypatch.setattr(receivers, "due", fail)
    worker = office.dispatching()
    worker.sleep = sleep
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(worker.run())
    assert rounds == 3
