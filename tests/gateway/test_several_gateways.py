"""Two gateways behind real proxies, on PostgreSQL through PgBouncer: processes and programs as they run.

The second one has no keys: it asks the signer of the first one's machine, over TLS.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from tests.support.check_in_storm import Outcome, Storm, keep_up
from tests.support.databases import shared_database_url
from tests.support.pgbouncer import pooled
from tests.support.proxies import haproxy, nginx
from tests.support.scaled_server import ScaledServer
from tests.support.storm_fleet import EPOCH, StormDevice, StormFleet, StormRequest

from shieldwall.contract import strict_json
from shieldwall.contract.messages import TamperAttempt, WaitRequest
from shieldwall.server.manager import sync
from shieldwall.server.storage.device_records import DeviceState
from shieldwall.server.storage.devices import devices as device_rows
from shieldwall.server.storage.devices.device_states import move
from shieldwall.server.storage.tables.device_schema import alerts
from shieldwall.server.system import SystemClock

__all__ = ["shared_database_url"]

pytestmark = [
    pytest.mark.haproxy,
    pytest.mark.nginx,
    pytest.mark.pgbouncer,
    pytest.mark.parametrize(
        "shared_database_url", [pytest.param("postgresql", marks=pytest.mark.postgresql)], indirect=True, scope="module"
    ),
]
DEVICES = 60
PROXIES = {"haproxy": haproxy, "nginx": nginx}
ATTEMPT = TamperAttempt(at="2026-11-26T12:00:00Z", kind="agentFileChanged", subject="/etc/shieldwall")


@pytest.fixture(scope="module")
def scaled(shared_database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScaledServer]:
    home = tmp_path_factory.mktemp("scaled")
    with (
        pooled(shared_database_url, home / "pool", connections=8) as url,
        ScaledServer.running(home, url, gateways=2, afar=True) as server,
    ):
        yield server


@pytest.fixture(scope="module")
def fleet(scaled: ScaledServer) -> StormFleet:
    return scaled.server.enrolled(DEVICES)


@pytest.fixture(params=PROXIES)
def proxied(request: pytest.FixtureRequest, scaled: ScaledServer, tmp_path: Path) -> Iterator[ScaledServer]:
    with PROXIES[request.param](scaled.server.settings, gateways(scaled), tmp_path):
        yield scaled


def gateways(scaled: ScaledServer) -> list[int]:
    return [part.port for part in scaled.parts if part.port and part.process.poll() is None]


def test_any_gateway_answers_any_device_and_the_end_of_one_is_noticed_by_none(
    proxied: ScaledServer, fleet: StormFleet
) -> None:
    """Devices repeat what was not answered, as agents do; nothing else is needed."""
    authority = proxied.server.authority
    first = answered(proxied, [device.check_in(authority, time.time()) for device in fleet], fleet)
    assert set(first) <= {200, 204}
    assert first.total() == DEVICES

    ended = next(part for part in proxied.parts if part.port and part.process.poll() is None)
    with stormed(proxied.port) as storm:
        for device in fleet:
            storm.send(device.check_in(authority, time.time()))
        ended.kill()
        outcomes = list(keep_up(storm, ()))
    unanswered = [outcome.request for outcome in outcomes if outcome.status not in {200, 204}]
    repeated = [fleet.device(request.device).again(request, authority, time.time()) for request in unanswered]
    assert set(answered(proxied, repeated, fleet)) <= {200, 204}

    proxied.start_gateway(ended)
    again = answered(proxied, [device.check_in(authority, time.time()) for device in fleet], fleet)
    assert set(again) <= {200, 204}


def test_check_ins_without_news_go_on_while_no_gateway_is_ready(
    scaled: ScaledServer, fleet: StormFleet, tmp_path: Path
) -> None:
    """The signer ends, so no ``/readyz`` says 200; longer than HAProxy needs to hear of it.

    As it hears of it, it shuts what is under way at that moment: devices come again.
    """
    authority, at_once, rounds = scaled.server.authority, 16, list[Counter[int]]()
    with haproxy(scaled.server.settings, gateways(scaled), tmp_path):
        answered(scaled, [device.check_in(authority, time.time()) for device in fleet], fleet)
        scaled.parts[0].kill()
        try:
            until = time.monotonic() + 8
            while time.monotonic() < until:
                with stormed(scaled.port) as storm:
                    requests = [device.check_in(authority, time.time()) for device in fleet]
                    outcomes = keep_up(storm, requests, at_once=at_once)
                    rounds.append(Counter(outcome.status for outcome in outcomes))
                time.sleep(0.5)
        finally:
            scaled.begin("signer")
            scaled.until_ready()
    assert rounds[-1] == {204: DEVICES}
    found = sum(rounds, Counter[int]())
    assert set(found) <= {204, 0}
    assert found[0] <= at_once * len(gateways(scaled))


def test_a_request_that_is_repeated_at_another_gateway_has_one_effect(scaled: ScaledServer, fleet: StormFleet) -> None:
    """The same check-in at both at once, over and over: what it tells of is counted one time."""
    device, authority = fleet.device(1), scaled.server.authority
    before = times(scaled, device)
    rounds = 12
    for _ in range(rounds):
        request = device.check_in(authority, time.time(), attempts=(ATTEMPT,))
        outcomes = []
        for turn in range(2):
            storms = [Storm(port=port) for port in gateways(scaled)]
            for storm in storms:
                storm.send(device.again(request, authority, time.time() - turn))
            for storm in storms:
                outcomes += list(keep_up(storm, ()))
                storm.close()
        assert {outcome.status for outcome in outcomes} <= {200, 204}
        assert len({outcome.body for outcome in outcomes}) == 1, "each got the same answer"

    assert times(scaled, device) == before + rounds


def test_a_device_that_waits_at_one_gateway_is_woken_by_what_is_done_elsewhere(
    proxied: ScaledServer, fleet: StormFleet
) -> None:
    waiting = [fleet.device(number) for number in (2, 3, 4, 5)]
    answered(proxied, [device.check_in(proxied.server.authority, time.time()) for device in waiting], fleet)
    with stormed(proxied.port) as storm:
        for device in waiting:
            storm.send(wait(proxied, device))
        until = time.monotonic() + 2
        while time.monotonic() < until:
            assert not storm.outcomes(0.1), "nothing is due yet"
        with proxied.server.database() as database, database.write() as connection:
            sync.request_sync(connection, [device.id for device in waiting], SystemClock().now())
        begun = time.monotonic()
        outcomes = list(keep_up(storm, ()))

    assert [outcome.status for outcome in outcomes] == [200] * len(waiting)
    assert time.monotonic() - begun < 5


def test_a_device_that_may_speak_no_more_is_refused_by_all(scaled: ScaledServer, fleet: StormFleet) -> None:
    device, authority = fleet.device(DEVICES), scaled.server.authority
    asked = [device.check_in(authority, time.time()) for _ in gateways(scaled)]
    assert {outcome.status for outcome in each_at_its_gateway(scaled, asked)} <= {200, 204}

    with scaled.server.database() as database, database.write() as connection:
        found = device_rows.get(connection, device.id)
        assert move(connection, found.id, of=[DeviceState.ACTIVE], to=DeviceState.DISABLED, reason=None)

    asked = [device.check_in(authority, time.time()) for _ in gateways(scaled)]
    assert [outcome.status for outcome in each_at_its_gateway(scaled, asked)] == [401, 401]

    with scaled.server.database() as database, database.write() as connection:
        assert move(connection, found.id, of=[DeviceState.DISABLED], to=DeviceState.ACTIVE, reason=None)


def each_at_its_gateway(scaled: ScaledServer, requests: list[StormRequest]) -> list[Outcome]:
    found = []
    for port, request in zip(gateways(scaled), requests, strict=True):
        with stormed(port) as storm:
            storm.send(request)
            found += list(keep_up(storm, ()))
    return found


def answered(scaled: ScaledServer, requests: list[StormRequest], fleet: StormFleet) -> Counter[int]:
    """Send requests, and each again, signed anew, until it is answered; count the answers."""
    found: Counter[int] = Counter()
    patience = time.monotonic() + 30
    while requests:
        assert time.monotonic() < patience, f"{len(requests)} were never answered"
        with stormed(scaled.port) as storm:
            outcomes = list(keep_up(storm, requests, at_once=32))
        found.update(outcome.status for outcome in outcomes if is_answer(outcome))
        requests = [
            fleet.device(outcome.request.device).again(outcome.request, scaled.server.authority, time.time())
            for outcome in outcomes
            if not is_answer(outcome)
        ]
    return found


def is_answer(outcome: Outcome) -> bool:
    return outcome.status not in {0, 502, 503}


def wait(scaled: ScaledServer, device: StormDevice) -> StormRequest:
    device.seq += 1
    body = strict_json.encode(WaitRequest(seq=device.seq, epoch=EPOCH, seconds=60))
    wire = device.signed(scaled.server.authority, "/device/v1/wait", body, time.time())
    return StormRequest(device=device.number, seq=device.seq, wire=wire, body=body)


def times(scaled: ScaledServer, device: StormDevice) -> int:
    with scaled.server.database() as database, database.read() as connection:
        rows: list[Any] = list(connection.scalars(select(alerts.c.times).where(alerts.c.device_id == device.id)))
    return sum(rows)


@contextmanager
def stormed(port: int) -> Iterator[Storm]:
    storm = Storm(port=port)
    try:
        yield storm
    finally:
        storm.close()
