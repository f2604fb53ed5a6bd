"""Waiting, existing registrations, promotion and deletion over real sockets, on both engines."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from msgspec.structs import replace
from tests.support.databases import migrated_database_url
from tests.support.gateway_device import FACTS, GatewayDevice, digest_of
from tests.support.gateway_requests import Promoting, imported
from tests.support.gateway_world import START, GatewayWorld, Reply, gateway_world
from tests.support.other_directory import Holder, OtherDirectory, a_key
from tests.support.samples import device_id
from tests.support.whole_database import everything

from shieldwall.contract import strict_json
from shieldwall.contract.ids import DeviceId
from shieldwall.contract.messages import HardwareIds, Have
from shieldwall.contract.registration import (
    OnboardingProof,
    RegisterRequest,
)
from shieldwall.contract.strict_json import digest_of_bytes
from shieldwall.server.directory.deletion import delete_device
from shieldwall.server.inventory import pending
from shieldwall.server.storage.check_ins import check_ins
from shieldwall.server.storage.device_records import Registration
from shieldwall.server.storage.devices import devices
from shieldwall.server.storage.tables.schema import onboarding_packages
from shieldwall.trust.device_key import DeviceKey, public_key_info
from shieldwall.trust.onboarding import OnboardingPackage, proof, proven_body
from shieldwall.trust.strict_base64 import decode_url

__all__ = ["migrated_database_url"]

FULL = device_id(77)


@pytest.fixture
def world(tmp_path: Path, migrated_database_url: str) -> Iterator[GatewayWorld]:
    with gateway_world(tmp_path / "data", migrated_database_url) as made:
        yield made


@pytest.fixture
def directory() -> OtherDirectory:
    return OtherDirectory(START)


def set_package(world: GatewayWorld, **columns: str) -> None:
    with world.services.database.write() as connection:
        mine = onboarding_packages.c.tenant_id == world.settings.tenant_id
        connection.execute(onboarding_packages.update().where(mine).values(columns))


def registration(
    device: GatewayDevice, package: OnboardingPackage, *, holder: Holder | None = None, **details: Any
) -> bytes:
    """A registration with more details than a plain one, proven anew."""
    nonce = device.nonce()
    message = strict_json.decode(device.registration(package, nonce=nonce), RegisterRequest)
    spki = public_key_info(device.key.public_key)
    message = replace(message, shieldwall=replace(message.shieldwall, **details))
    if holder is not None:
        proven = holder.proof(message, tenant_id=package.tenant_id, nonce=nonce, spki=spki)
        message = replace(message, shieldwall=replace(message.shieldwall, existing=proven))
    mac = proof(decode_url(package.onboarding_key.k), package.tenant_id, nonce, spki, proven_body(message))
    onboarding = OnboardingProof(package_id=package.package_id, mac=mac)
    return strict_json.encode(replace(message, shieldwall=replace(message.shieldwall, onboarding=onboarding)))


def registers(device: GatewayDevice, body: bytes) -> Reply:
    reply = device.send(f"{device.enrollment}/device", body)
    if reply.status == 201:
        device.device_id, device.epoch = DeviceId(reply.json["deviceId"]), reply.json["epoch"]
    return reply


def test_who_waits_is_answered_202_until_it_is_decided(world: GatewayWorld) -> None:
    package = world.package()
    set_package(world, approval="manual")
    device = GatewayDevice(world)
    body = registration(device, package)

    first, again = registers(device, body), registers(device, body)
    assert (first.status, again.status) == (202, 202)
    assert (first.json["reason"], first.json["retryAfterSeconds"]) == ("approval", 60)
    assert first.json["deviceId"] == again.json["deviceId"]
    waiting = DeviceId(first.json["deviceId"])
    device.epoch = 1
    assert device.check_in().code == "badSignature"

    world.clock.forward(hours=2)
    with world.services.database.write() as connection:
        pending.approve(connection, world.acting, world.services.signer, waiting)
    assert registers(device, body).status == 201
    device.seq = 0
    assert device.check_in().status in {200, 204}

    other = GatewayDevice(world)
    refused = registration(other, package)
    turned_away = DeviceId(registers(other, refused).json["deviceId"])
    with world.services.database.write() as connection:
        pending.reject(connection, world.acting, turned_away)
    reply = registers(other, refused)
    assert (reply.status, reply.code) == (403, "registrationRejected")


def test_the_same_hardware_with_another_key_waits(world: GatewayWorld) -> None:
    package = world.package()
    hardware = HardwareIds(machine_id_hash=digest_of_bytes(b"machine"))
    first, second = GatewayDevice(world), GatewayDevice(world)
    assert registers(first, registration(first, package, hardware=hardware)).status == 201
    reply = registers(second, registration(second, package, hardware=hardware))
    assert (reply.status, reply.json["reason"]) == (202, "duplicateHardware")
    assert first.check_in().status == 200, "the first is never evicted by the second"


def test_facts_sent_along_need_not_be_sent_again(world: GatewayWorld) -> None:
    device = GatewayDevice(world)
    assert registers(device, registration(device, world.package(), facts=FACTS)).status == 201
    assert device.check_in(have=Have(facts=digest_of(FACTS))).status in {200, 204}
    with world.services.database.read() as connection:
        assert check_ins.get(connection, device.device_id).facts_digest == digest_of(FACTS)


@pytest.mark.parametrize("kind", ["p384", "rsa"])
def test_a_device_uses_the_registration_it_has(world: GatewayWorld, directory: OtherDirectory, kind: str) -> None:
    holder = directory.holder(FULL, key=a_key(kind))
    imported(world, holder, FULL)
    device = GatewayDevice(world)
    reply = registers(device, registration(device, world.package(), holder=holder))
    assert (reply.status, reply.json["deviceId"]) == (201, FULL)
    assert device.check_in().status == 200


def test_each_registration_that_may_not_be_used_has_its_answer(world: GatewayWorld, directory: OtherDirectory) -> None:
    package, good = world.package(), directory.holder(FULL)
    imported(world, good, FULL)
    disabled, managed = (directory.holder(device_id(number)) for number in (78, 79))
    old = directory.holder(device_id(80), days=0)
    imported(world, disabled, device_id(78), is_enabled=False)
    imported(world, managed, device_id(79), manager="MDM")
    imported(world, old, device_id(80))
    unknown = OtherDirectory(START).holder(FULL)
    wanted = {
        "registrationDisabled": (403, disabled),
        "managedElsewhere": (409, managed),
        "existingCertificateExpired": (403, old),
        "existingCertificateUntrusted": (403, unknown),
        "badExistingProof": (403, Holder(a_key(), good.certificate)),
        "existingCertificateInvalid": (400, directory.holder(FULL, key=a_key("rsa", bits=1024))),
    }
    for code, (status, holder) in wanted.items():
        device = GatewayDevice(world)
        started = time.perf_counter()
        reply = registers(device, registration(device, package, holder=holder))
        taken = time.perf_counter() - started
        assert (reply.status, reply.code) == (status, code)
        assert taken < 1.0

    taker = GatewayDevice(world)
    assert registers(taker, registration(taker, package, holder=good)).status == 201
    late = GatewayDevice(world)
    reply = registers(late, registration(late, package, holder=good))
    assert (reply.status, reply.code) == (409, "registrationInUse")


def test_a_promotion_misses_no_check_in_and_is_repeated_when_its_answer_is_lost(
    world: GatewayWorld, directory: OtherDirectory
) -> None:
    holder = directory.holder(FULL, key=a_key("rsa"))
    imported(world, holder, FULL)
    device = GatewayDevice(world)
    device.register()
    device.check_in(facts=FACTS)
    synthetic = device.device_id
    promoting = Promoting(device, holder, DeviceKey.generate())
    body = promoting.body()

    first = promoting.sends(body)
    again = promoting.sends(body)

    assert (first.status, again.status) == (201, 201)
    assert {**first.json, "serverTime": ""} == {**again.json, "serverTime": ""}
    assert (first.json["deviceId"], first.json["epoch"]) == (FULL, 2)
    full = GatewayDevice(world, key=promoting.new_key, device_id=FULL, epoch=2)
    assert full.check_in(have=Have(facts=digest_of(FACTS))).status in {200, 204}
    with world.services.database.read() as connection:
        assert devices.find(connection, synthetic) is None
        assert devices.get(connection, FULL).registration is Registration.FULL

    # The synthetic key is nobody's now, whatever it asks, but for that very request.
    assert promoting.sends(body).status == 201
    assert device.check_in().code == "badSignature"
    assert promoting.sends(promoting.body()).code == "badSignature"
    late = GatewayDevice(world, key=device.key)
    assert registers(late, late.registration(world.package())).code == "duplicateKey"


def test_a_promotion_that_may_not_be_changes_nothing(world: GatewayWorld, directory: OtherDirectory) -> None:
    holder, other = directory.holder(FULL), directory.holder(device_id(78))
    imported(world, holder, FULL)
    imported(world, other, device_id(78))
    device, stranger = GatewayDevice(world), GatewayDevice(world)
    device.register()
    stranger.register()
    promoting = Promoting(device, holder, DeviceKey.generate())

    swapped = Promoting(device, Holder(a_key(), holder.certificate), DeviceKey.generate())
    assert swapped.sends(swapped.body()).code == "badExistingProof"
    taken = Promoting(device, holder, stranger.key)
    assert taken.sends(taken.body()).code == "duplicateKey"
    own = Promoting(device, holder, device.key)
    assert own.sends(own.body()).code == "duplicateKey"
    used = device.nonce()
    body = promoting.body(nonce=used)
    elsewhere = f"{device.enrollment}/device/{stranger.device_id}/promote"
    assert device.send(elsewhere, body).code == "notFound"
    by_stranger = Promoting(replace_device(stranger, device), holder, DeviceKey.generate())
    assert by_stranger.sends(by_stranger.body()).code == "notFound"
    assert promoting.sends(promoting.body(nonce="made-up")).code == "badNonce"

    assert promoting.sends(body).status == 201, "none of that used the nonce"
    with world.services.database.read() as connection:
        assert devices.get(connection, stranger.device_id).registration is Registration.SYNTHETIC


def a_p256_key(holder: Holder) -> ec.EllipticCurvePrivateKey:
    assert isinstance(holder.key, ec.EllipticCurvePrivateKey)
    return holder.key


def test_a_promotion_with_swapped_keys_is_nobodys(world: GatewayWorld, directory: OtherDirectory) -> None:
    holder = directory.holder(FULL)
    imported(world, holder, FULL)
    synthetic_key, full_key = DeviceKey.generate(), DeviceKey(a_p256_key(holder))
    device = GatewayDevice(world, key=synthetic_key)
    device.register()
    promoting = Promoting(device, holder, DeviceKey.generate())
    sound = promoting.body()
    path = f"{device.enrollment}/device/{device.device_id}/promote"
    before = everything(world.services.database)

    signed_by_the_full = GatewayDevice(world, key=full_key, device_id=device.device_id, epoch=device.epoch)
    assert signed_by_the_full.send(path, sound).code == "badSignature"
    signed_by_the_new = GatewayDevice(world, key=promoting.new_key, device_id=device.device_id, epoch=device.epoch)
    assert signed_by_the_new.send(path, sound).code == "badSignature"
    by_the_synthetic = Promoting(device, Holder(synthetic_key.private_key, holder.certificate), DeviceKey.generate())
    assert by_the_synthetic.sends(by_the_synthetic.body()).code == "badExistingProof"
    to_the_full_key = Promoting(device, holder, full_key)
    assert to_the_full_key.sends(to_the_full_key.body()).code == "duplicateKey"
    assert everything(world.services.database) == before
    assert promoting.sends(promoting.body()).status == 201


def test_a_promoted_device_is_promoted_no_further(world: GatewayWorld, directory: OtherDirectory) -> None:
    holder, second = directory.holder(FULL), directory.holder(device_id(78))
    imported(world, holder, FULL)
    imported(world, second, device_id(78))
    device = GatewayDevice(world)
    device.register()
    promoting = Promoting(device, holder, DeviceKey.generate())
    assert promoting.sends(promoting.body()).status == 201
    full = GatewayDevice(world, key=promoting.new_key, device_id=FULL, epoch=2)
    assert full.check_in().status in {200, 204}
    before = everything(world.services.database)

    for target in (second, holder):
        again = Promoting(full, target, DeviceKey.generate())
        reply = again.sends(again.body())
        assert (reply.status, reply.code) == (409, "notSynthetic")

    assert everything(world.services.database) == before
    full.seq -= 2
    assert full.check_in().status in {200, 204}


def replace_device(stranger: GatewayDevice, device: GatewayDevice) -> GatewayDevice:
    """A device that signs with its own key and speaks of another one."""
    return GatewayDevice(stranger.world, key=stranger.key, device_id=device.device_id, epoch=stranger.epoch)


def test_a_deleted_device_is_refused_like_an_unknown_one(world: GatewayWorld) -> None:
    package, device = world.package(), GatewayDevice(world)
    body = device.registration(package)
    assert registers(device, body).status == 201
    assert device.check_in().status == 200
    with world.services.database.write() as connection:
        delete_device(connection, world.acting, device.device_id)

    unknown = GatewayDevice(world, epoch=1)
    for path, members in (
        ("/device/v1/fetch", {"digests": ["0" * 64]}),
        ("/device/v1/wait", {"seconds": 1}),
        (f"{device.enrollment}/device/{device.device_id}/offboard", {"reason": ""}),
    ):
        gone = device.send(path, device.numbered(**members))
        assert gone.shape == unknown.send(path, unknown.numbered(**members)).shape
    assert device.check_in().shape == unknown.check_in().shape
    assert registers(device, body).code == "duplicateKey"
    assert registers(device, device.registration(package)).code == "duplicateKey"
