"""The whole life of a device over real sockets, on both engines."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from tests.support.databases import migrated_database_url
from tests.support.gateway_device import FACTS, GatewayDevice, digest_of
from tests.support.gateway_world import GatewayWorld, Reply, gateway_world, until
from tests.support.policies import ANTIVIRUS, LEVEL, choice
from tests.support.signing_inside import SigningInside

from shieldwall.contract import strict_json
from shieldwall.contract.messages import CheckInAnswer, FetchAnswer, Have, Manifest
from shieldwall.contract.status import StatusReport
from shieldwall.server.manager.assignments import Assigned, assign
from shieldwall.server.manager.policies import Policies, PolicyDraft
from shieldwall.server.manager.sync import request_sync
from shieldwall.server.storage.records import AssignmentKind, Policy
from shieldwall.trust.verification import open_manifest, open_policy

__all__ = ["migrated_database_url"]


@pytest.fixture
def world(tmp_path: Path, migrated_database_url: str) -> Iterator[GatewayWorld]:
    with gateway_world(tmp_path / "data", migrated_database_url) as made:
        yield made


def publish(world: GatewayWorld) -> Policy:
    draft = PolicyDraft(
        name="Antivirus",
        platforms="linux",
        technologies="microsoftSense",
        template_id=ANTIVIRUS,
        settings=(choice(LEVEL, "_1"),),
    )
    with world.services.database.write() as connection:
        policies = Policies(catalog=world.services.catalog, signatures=SigningInside(world.services.signer))
        policy = policies.create(connection, world.acting, draft)
        assign(connection, world.acting, policy.id, [Assigned(kind=AssignmentKind.ALL_DEVICES)])
    return policy


class Laptop:
    """A device that keeps what it was told, as an agent would."""

    def __init__(self, world: GatewayWorld) -> None:
        self.world = world
        self.package = world.package()
        self.device = GatewayDevice(world)
        self.have = Have(facts=digest_of(FACTS))
        self.manifest: Manifest | None = None

    def check_in(self, **members: Any) -> Reply:
        reply = self.device.check_in(have=self.have, **members)
        if reply.status == 200:
            self.take(strict_json.decode(reply.body, CheckInAnswer))
        return reply

    def take(self, answer: CheckInAnswer) -> None:
        if answer.manifest is None:
            return
        self.manifest = open_manifest(
            answer.manifest,
            self.package.trust_root,
            tenant_id=self.package.tenant_id,
            device_id=self.device.device_id,
            device_key=self.device.key.thumbprint,
            last_version=self.have.manifest_version,
            now=self.world.clock.now(),
        )
        self.have = replace(self.have, target=self.manifest.target, manifest_version=self.manifest.manifest_version)


def test_a_device_comes_is_managed_and_goes(world: GatewayWorld) -> None:
    laptop = Laptop(world)
    device = laptop.device

    # It registers, reports its facts when asked to, and then there is nothing to say.
    assert device.register(laptop.package).status == 201
    assert laptop.check_in().json["want"] == ["facts"]
    assert laptop.check_in(facts=FACTS).status == 204

    # A policy is published: the manifest names it, and fetch brings it.
    policy = publish(world)
    assert laptop.check_in().status == 200
    assert laptop.manifest is not None
    (item,) = laptop.manifest.items
    fetched = device.send("/device/v1/fetch", device.numbered(digests=[policy.digest]))
    (envelope,) = strict_json.decode(fetched.body, FetchAnswer).policies
    document = open_policy(envelope, laptop.package.trust_root, item, laptop.package.tenant_id)
    assert document.settings == policy.settings

    # It reports what it did.
    report = StatusReport(target=laptop.have.target)
    laptop.have = replace(laptop.have, status=digest_of(report))
    assert laptop.check_in(report=report).status == 204
    assert laptop.check_in().status == 204

    # It leaves; leaving twice is once, and then its key opens nothing.
    leave = strict_json.encode(device.numbered(reason="sold"))
    path = f"{device.enrollment}/device/{device.device_id}/offboard"
    assert device.send(path, leave).status == 204
    assert device.send(path, leave).status == 204
    assert laptop.check_in().code == "badSignature"
    assert device.send(path, device.numbered(reason="once more")).code == "badSignature"


def test_a_lost_answer_is_given_again_and_no_other_body_gets_in_under_its_number(world: GatewayWorld) -> None:
    device = GatewayDevice(world)
    device.register()
    body = device.check_in_request()
    answered = device.send("/device/v1/checkin", body)

    world.clock.forward(seconds=30)
    assert answered.status == 200
    assert device.send("/device/v1/checkin", body).body == answered.body

    device.seq -= 1
    assert device.check_in(have=Have(manifest_version=1)).code == "seqConflict"
    assert device.check_in().status == 200
    device.seq -= 2
    lower = device.check_in()
    assert (lower.status, lower.code) == (409, "seqConflict")


def test_a_lost_registration_is_answered_with_the_same_identity(world: GatewayWorld) -> None:
    device = GatewayDevice(world)
    path = f"{device.enrollment}/device"
    body = device.registration(world.package(max_uses=1))

    first = device.send(path, body)
    again = device.send(path, body)

    assert (first.status, again.status) == (201, 201)
    assert first.json["deviceId"] == again.json["deviceId"]


def test_a_device_fetches_nothing_that_is_not_meant_for_it(world: GatewayWorld) -> None:
    device = GatewayDevice(world)
    device.register()
    assert device.send("/device/v1/fetch", device.numbered(digests=["0" * 64])).code == "notFound"


def test_a_policy_taken_away_between_check_in_and_fetch_is_not_handed_over(world: GatewayWorld) -> None:
    device = GatewayDevice(world)
    device.register()
    policy = publish(world)
    assert device.check_in().status == 200

    with world.services.database.write() as connection:  # as where more devices are concerned than are moved at once
        assign(connection, dataclasses.replace(world.acting, most_at_once=0), policy.id, [])
    body = strict_json.encode(device.numbered(digests=[policy.digest]))
    refused = device.send("/device/v1/fetch", body)

    assert (refused.status, refused.code) == (404, "notFound")
    assert device.check_in().status == 200


def test_fifty_at_once_never_use_a_package_more_often_than_it_allows(world: GatewayWorld) -> None:
    package = world.package(max_uses=7)
    with ThreadPoolExecutor(16) as pool:
        replies = list(pool.map(lambda _: GatewayDevice(world).register_in_the_end(package), range(50)))

    assert [reply.status for reply in replies].count(201) == 7
    assert {reply.code for reply in replies if reply.status != 201} == {"packageExhausted"}


def test_a_waiting_device_is_woken_when_a_sync_is_asked_for(world: GatewayWorld) -> None:
    device = GatewayDevice(world)
    device.register()
    device.check_in()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(device.send, "/device/v1/wait", device.numbered(seconds=60))
        until(lambda: world.gateway.channels.count == 1)
        with world.services.database.write() as connection:
            request_sync(connection, [device.device_id], world.clock.now())
        asked_at = time.monotonic()
        reply = waiting.result(timeout=20)

    assert reply.json == {"sync": True}
    assert time.monotonic() - asked_at < 5
    assert world.gateway.channels.count == 0


def test_a_wait_ends_by_itself(world: GatewayWorld) -> None:
    device = GatewayDevice(world)
    device.register()
    device.check_in()
    assert device.send("/device/v1/wait", device.numbered(seconds=1)).status == 204


def test_a_device_that_goes_away_frees_its_channel(world: GatewayWorld) -> None:
    device = GatewayDevice(world)
    device.register()
    device.check_in()
    body = strict_json.encode(device.numbered(seconds=60))
    headers = device.sign("/device/v1/wait", body) | {"Host": world.authority, "Content-Length": str(len(body))}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    with world.connect() as connection:
        connection.sendall(f"POST /device/v1/wait HTTP/1.1\r\n{lines}\r\n".encode() + body)
        until(lambda: world.gateway.channels.count == 1)

    until(lambda: world.gateway.channels.count == 0)
