"""Every route of the gateway, tried with the same families of bad input (bad-inputs 9.2), on both engines.

The routes come from ``gateway_requests``, which is held to the gateway's own table: a new route fails here until it has
a sound request there, and is tried with every family from then on. After each family the whole database is what it was,
and the sound request has its effect, so that nothing but the spoiled part was the reason.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any, Final

import pytest
from tests.support.databases import shared_migrated_database_url
from tests.support.forgeries import FORGERIES, timed, with_a_mac
from tests.support.gateway_device import GatewayDevice
from tests.support.gateway_requests import BY_ANYONE, BY_DEVICE, BY_NEW_KEY, CHECK_IN, DECLARED, READS, Make, Sound
from tests.support.gateway_world import GatewayWorld, Reply, gateway_world
from tests.support.second_tenant import FABRIKAM_DEVICE
from tests.support.whole_database import everything

from shieldwall.server.console.adding_tenants import AddTenant
from shieldwall.server.gateway.routes import Route
from shieldwall.server.storage.records import Tenant
from shieldwall.server.system import new_id

__all__ = ["shared_migrated_database_url"]

SIGNED: Final = BY_NEW_KEY | BY_DEVICE
TOLD: Final = BY_ANYONE | SIGNED
"""Routes that read a body."""
UNNUMBERED: Final = {
    "/device/v1/resync": "badNonce",
    "/{tenant}/EnrollmentServer/device/{device}/attest": "noOpenChallenge",
}
"""Requests of devices without a sequence number, each good once for another reason, and what a repeat gets."""
NOT_NUMBERS: Final[tuple[Any, ...]] = (2**53, -1, 1.0, "5", True, None, [], 10**400)
NOT_TEXTS: Final[tuple[Any, ...]] = (1, None, ["x"], {}, "a\0b", "\ud800", "x" * 10_000)
MAY_BE_NULL: Final = {("tenantId",)}
NOBODY: Final = "00000000-0000-4000-8000-000000000000"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, shared_migrated_database_url: str) -> Iterator[GatewayWorld]:
    with gateway_world(tmp_path_factory.mktemp("server") / "data", shared_migrated_database_url) as made:
        yield made


@pytest.fixture(scope="module")
def theirs(world: GatewayWorld) -> Tenant:
    """A second tenant, with keys."""
    add = AddTenant(clock=world.clock, new_id=new_id)
    return add(world.services, display_name="Adatum", domain="adatum.example", actor="test")


def of(routes: dict[str, Make]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("route", routes)


def declared(world: GatewayWorld, route: str) -> Route:
    return next(each for each in world.gateway.application.router.routes if each.path == route)


@contextmanager
def spoiled(world: GatewayWorld, make: Make) -> Iterator[Sound]:
    """Try something with a request that must have no effect, and then the request as it was."""
    sound = make(world)
    before = everything(world.services.database)
    yield sound
    assert everything(world.services.database) == before
    assert sound.send().status in {200, 201, 204}


def constant(world: GatewayWorld) -> Any:
    """The one answer to whatever is not signed."""
    return world.post(CHECK_IN, b"{}").shape


def refused(reply: Reply) -> tuple[int, str]:
    return reply.status, reply.code


def test_every_route_is_tried_here(world: GatewayWorld) -> None:
    assert {(each.method, each.path): each.access for each in world.gateway.application.router.routes} == DECLARED


@of(SIGNED)
def test_what_is_not_signed_exactly_right_gets_the_one_answer(world: GatewayWorld, route: str) -> None:
    with spoiled(world, SIGNED[route]) as sound:
        good = sound.device.sign(sound.path, sound.body)
        tried = [forge(good) for forge in FORGERIES.values()]
        tried += [
            with_a_mac(sound.device, sound.path, sound.body, algorithm=algorithm, raw=raw)
            for algorithm in ("hmac-sha256", "ecdsa-p256-sha256")
            for raw in (True, False)
        ]
        tried += [
            sound.device.sign(sound.path, sound.body, **changed)
            for changed in ({"method": "GET"}, {"authority": "evil.example"}, {"path": "/elsewhere"}, {"query": "x=1"})
        ]
        tried += [sound.device.sign(sound.path, sound.body + b" "), GatewayDevice(world).sign(sound.path, sound.body)]
        other = GatewayDevice(world).sign(sound.path, sound.body)
        tried += [other | {"Signature-Input": good["Signature-Input"]}, good | {"Signature": other["Signature"]}]
        one_answer = constant(world)
        for headers in tried:
            assert world.ask("POST", sound.path, sound.body, headers).shape == one_answer, headers


@of(SIGNED)
def test_what_was_signed_at_another_time_is_told_the_time(world: GatewayWorld, route: str) -> None:
    with spoiled(world, SIGNED[route]) as sound:
        good = sound.device.sign(sound.path, sound.body)
        now = int(world.clock.now().timestamp())
        for created, expires in (
            (now - 301, now - 181),
            (now - 301, now + 1),
            (now + 301, now + 421),
            (now - 121, now - 1),
            (now, now + 121),
            (now, now + 86_400),
            (now, now),
            (now, now - 1),
            (1, 121),
            (999_999_999_999, 999_999_999_999),
        ):
            headers = timed(good, sound.device, sound.path, created=created, expires=expires)
            reply = world.ask("POST", sound.path, sound.body, headers)
            assert refused(reply) == (401, "clockSkew"), (created - now, expires - now)
            assert reply.json["serverTime"] == "2026-11-23T12:00:00Z"


@of({route: make for route, make in BY_DEVICE.items() if "{device}" in route})
def test_a_device_speaks_for_itself_alone(world: GatewayWorld, route: str) -> None:
    stranger = GatewayDevice(world)
    stranger.register()
    with spoiled(world, BY_DEVICE[route]) as sound:
        mine = sound.device.device_id
        assert refused(sound.send(by=stranger)) == (404, "notFound"), "the path names another than the one who signs"
        for other in (NOBODY, FABRIKAM_DEVICE, "x", mine.upper(), f"{mine}.", ".."):
            assert sound.send(path=sound.path.replace(mine, other)).status == 404


@of({route: make for route, make in (READS | TOLD).items() if "{tenant}" in route})
def test_another_tenant_is_a_path_that_is_not_there(world: GatewayWorld, theirs: Tenant, route: str) -> None:
    sound, ours = (READS | TOLD)[route](world), world.services.tenant.id
    before = everything(world.services.database)
    for tenant in (NOBODY, "x", "..", "test.example", *((theirs.id,) if route in SIGNED else ())):
        path = sound.path.replace(ours, tenant)
        if route in SIGNED:
            reply = sound.send(path=path)
        else:
            reply = world.ask("GET", path) if route in READS else world.post(path, sound.body)
        if tenant == theirs.id and route in BY_NEW_KEY:
            assert refused(reply) == (400, "badNonce"), "a path that is there, for which nothing in the request is good"
        else:
            assert refused(reply) == (404, "notFound"), tenant
    assert everything(world.services.database) == before


@of(TOLD)
def test_a_body_that_is_not_exactly_the_message_is_refused(world: GatewayWorld, route: str) -> None:
    sound, limit = TOLD[route](world), declared(world, route).body_limit
    before = everything(world.services.database)
    bodies = [b"null", b"[]", b'"x"', b"1", b"{", b"\xff", b"\xef\xbb\xbf" + sound.body, sound.body + sound.body]
    bodies += [json.dumps(each).encode() for each in wrong_messages(json.loads(sound.body))]
    bodies.append(re.sub(rb'^\{("[^"]+":[^,}]+)', rb"{\1,\1", sound.body))  # a member twice
    for body in bodies:
        if body == sound.body:
            continue
        reply = sound.send(body) if route in SIGNED else world.post(sound.path, body)
        expected = (413, "contentTooLarge") if len(body) > limit else (400, "invalidJson")
        assert refused(reply) == expected, (body[:300], reply.body)
    assert everything(world.services.database) == before
    last = sound.send() if route in SIGNED else world.post(sound.path, sound.body)
    assert last.status in {200, 201, 204}


def wrong_messages(message: Any) -> Iterator[Any]:
    """The message with one member more, and with each of its values replaced by others that cannot be."""
    for place in places(message):
        value = at(message, place)
        match value:
            case dict():
                yield changed(message, (*place, "unexpected"), 1)
                yield changed(message, place, [])
            case list():
                yield changed(message, place, {})
            case bool():
                yield changed(message, place, 1)
            case int():
                yield from (changed(message, place, wrong) for wrong in NOT_NUMBERS)
            case str():
                wrongs = (wrong for wrong in NOT_TEXTS if wrong is not None or place not in MAY_BE_NULL)
                yield from (changed(message, place, wrong) for wrong in wrongs)


def places(value: Any, here: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield here
    if isinstance(value, dict | list):
        for name, member in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(member, (*here, name))


def at(message: Any, place: tuple[Any, ...]) -> Any:
    for name in place:
        message = message[name]
    return message


def changed(message: Any, place: tuple[Any, ...], value: Any) -> Any:
    if not place:
        return value
    made = deepcopy(message)
    at(made, place[:-1])[place[-1]] = value
    return made


@of(TOLD)
def test_a_body_of_absurd_size_is_refused_unread(world: GatewayWorld, route: str) -> None:
    sound = TOLD[route](world)
    before = everything(world.services.database)
    limit = declared(world, route).body_limit
    signed = sound.device.sign(sound.path, sound.body) if route in SIGNED else {"Content-Type": "application/json"}
    lines = "".join(f"{name}: {value}\r\n" for name, value in signed.items())
    for length in (limit + 1, 10**11):
        head = f"POST {sound.path} HTTP/1.1\r\nHost: {world.authority}\r\nContent-Length: {length}\r\n{lines}\r\n"
        assert refused(world.raw(head.encode())) == (413, "contentTooLarge")
    assert everything(world.services.database) == before
    padded = sound.body + b" " * (limit - len(sound.body))
    reply = sound.send(padded) if route in SIGNED else world.post(sound.path, padded)
    assert reply.status in {200, 201, 204}, "at the limit it is read"


@of(BY_DEVICE)
def test_a_request_sent_twice_has_its_effect_once(world: GatewayWorld, route: str) -> None:
    sound = BY_DEVICE[route](world)
    first = sound.send()
    assert first.status in {200, 201, 204}
    before = everything(world.services.database)

    again = sound.send()

    if route in UNNUMBERED:
        assert again.code == UNNUMBERED[route]
    else:
        assert (again.status, again.body) == (first.status, first.body)
    assert everything(world.services.database) == before


@of({route: make for route, make in BY_DEVICE.items() if route not in UNNUMBERED})
def test_a_number_or_epoch_that_is_over_is_refused(world: GatewayWorld, route: str) -> None:
    with spoiled(world, BY_DEVICE[route]) as sound:
        message = json.loads(sound.body)
        assert message["seq"] >= 3, "there are lower numbers"
        for wrong in (
            {"seq": message["seq"] - 1},  # taken, by another body
            {"seq": 1},
            {"seq": 0},
            {"epoch": message["epoch"] - 1},
            {"epoch": message["epoch"] + 1},
            {"epoch": 2**53 - 1, "seq": 2**53 - 1},
        ):
            assert refused(sound.send(json.dumps(message | wrong).encode())) == (409, "seqConflict"), wrong


@of(READS)
def test_what_anybody_may_read_is_read_alone(world: GatewayWorld, route: str) -> None:
    sound = READS[route](world)
    before = everything(world.services.database)
    path, _, query = sound.path.partition("?")
    assert world.ask("GET", sound.path).status == 200
    assert world.ask("POST", sound.path, b"{}", {"Content-Type": "application/json"}).status == 405
    assert world.ask("GET", sound.path, b"{}", {"Content-Type": "application/json"}).status == 413
    assert refused(world.ask("GET", f"{path}?{query}&x=1")) == (400, "badRequest")
    assert everything(world.services.database) == before


@of(TOLD)
def test_a_route_takes_its_own_method_query_and_host_alone(world: GatewayWorld, route: str) -> None:
    sound = TOLD[route](world)
    before = everything(world.services.database)
    for method in ("GET", "PUT", "DELETE", "PATCH"):
        assert world.ask(method, sound.path).status == 405
    signed = sound.device.sign(sound.path, sound.body, query="x=1")
    assert refused(world.ask("POST", f"{sound.path}?x=1", sound.body, signed)) == (400, "badRequest")
    signed = sound.device.sign(sound.path, sound.body, authority="evil.example")
    assert refused(world.ask("POST", sound.path, sound.body, signed, host="evil.example")) == (421, "misdirected")
    assert everything(world.services.database) == before
