"""Renewal, key change and resync over real sockets, on both engines."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.support.databases import migrated_database_url
from tests.support.gateway_device import INSTANCE, GatewayDevice
from tests.support.gateway_world import GatewayWorld, Reply, gateway_world
from tests.support.identity_requests import key_change, own, renewal

from shieldwall.contract import strict_json
from shieldwall.contract.messages import HardwareIds
from shieldwall.contract.registration import CertificateRequest, KeyChangeRequest, ResyncRequest
from shieldwall.server.manager.clone_watch import release
from shieldwall.server.storage.check_ins import check_ins
from shieldwall.server.storage.device_records import DeviceState
from shieldwall.server.storage.devices import devices, spent_keys
from shieldwall.server.storage.events import alerts, audit
from shieldwall.server.storage.records import Page
from shieldwall.trust.certificate_request import build_request
from shieldwall.trust.device_certificate import read_certificate
from shieldwall.trust.device_key import DeviceKey, SigningKey

__all__ = ["migrated_database_url"]

CHECK_IN = "/device/v1/checkin"
OTHER_INSTANCE = "f" * 32


@pytest.fixture
def world(tmp_path: Path, migrated_database_url: str) -> Iterator[GatewayWorld]:
    with gateway_world(tmp_path / "data", migrated_database_url) as made:
        yield made


@pytest.fixture
def device(world: GatewayWorld) -> GatewayDevice:
    made = GatewayDevice(world)
    assert made.register().status == 201
    assert made.check_in().status == 200
    return made


def renew(device: GatewayDevice) -> Reply:
    return device.send(own(device, "renew"), renewal(device))


def change_key(device: GatewayDevice, new: SigningKey) -> Reply:
    reply = device.send(own(device, "keyChange"), key_change(device, new))
    if reply.status == 200:
        device.key = new
    return reply


def resync(device: GatewayDevice, *, instance: str = INSTANCE, boot: str = "boot", nonce: str | None = None) -> Reply:
    request = ResyncRequest(
        nonce=nonce or device.nonce(), instance_id=instance, boot_id=boot, hardware=HardwareIds(), reason="test"
    )
    reply = device.send("/device/v1/resync", request)
    if reply.status == 200:
        device.epoch, device.seq = reply.json["epoch"], 0
    return reply


def stored(world: GatewayWorld, device: GatewayDevice) -> Any:
    with world.services.database.read() as connection:
        return devices.get(connection, device.device_id)


def constant(world: GatewayWorld) -> Any:
    return world.post(CHECK_IN, b"{}").shape


def disable(world: GatewayWorld, device: GatewayDevice, state: DeviceState) -> None:
    with world.services.database.write() as connection:
        devices.put(connection, replace(devices.get(connection, device.device_id), state=state))


# Renewal


def test_a_new_certificate_is_for_the_same_key_and_ninety_days(world: GatewayWorld, device: GatewayDevice) -> None:
    assert stored(world, device).certificate_expires_at == read_certificate(stored(world, device).certificate).not_after
    world.clock.forward(days=45)
    reply = renew(device)

    assert reply.status == 200
    certificate = read_certificate(reply.json["certificate"])
    assert certificate.key == device.key.thumbprint
    assert (certificate.not_after - world.clock.now()).days == 90
    kept = stored(world, device)
    assert (kept.certificate, kept.certificate_expires_at) == (reply.json["certificate"], certificate.not_after)
    world.clock.forward(days=89)
    assert device.check_in().status == 200


@pytest.mark.parametrize("path", [CHECK_IN, "/device/v1/fetch", "/device/v1/wait", "/device/v1/resync", "keyChange"])
def test_an_expired_certificate_opens_nothing_but_its_renewal(
    world: GatewayWorld, device: GatewayDevice, path: str
) -> None:
    world.clock.forward(days=90)
    message = {
        CHECK_IN: device.check_in_request(),
        "/device/v1/fetch": strict_json.encode(device.numbered(digests=["0" * 64])),
        "/device/v1/wait": strict_json.encode(device.numbered(seconds=1)),
        "/device/v1/resync": strict_json.encode(
            ResyncRequest(nonce=device.nonce(), instance_id=INSTANCE, boot_id="", hardware=HardwareIds(), reason="test")
        ),
        "keyChange": key_change(device, DeviceKey.generate()),
    }[path]
    reply = device.send(path if path.startswith("/") else own(device, path), message)
    assert (reply.status, reply.code) == (401, "certificateExpired")

    assert renew(device).status == 200
    assert device.check_in().status in {200, 204}


def test_a_certificate_is_renewed_up_to_a_year_after_its_end(world: GatewayWorld, device: GatewayDevice) -> None:
    late = GatewayDevice(world)
    late.register()
    world.clock.forward(days=90 + 364)
    assert renew(device).status == 200
    world.clock.forward(days=2)
    reply = renew(late)
    assert (reply.status, reply.code) == (401, "certificateExpired")


def test_a_disk_set_back_past_its_certificate_renews_it_and_then_counts_anew(
    world: GatewayWorld, device: GatewayDevice
) -> None:
    for _ in range(5):
        device.check_in()
    world.clock.forward(days=100)
    device.seq = 1

    assert device.check_in().code == "certificateExpired"
    assert renew(device).status == 200
    assert device.check_in().code == "seqConflict"
    assert resync(device).status == 200
    assert device.check_in().status in {200, 204}


def test_a_repeated_renewal_is_answered_and_one_with_an_old_number_is_not(device: GatewayDevice) -> None:
    body = renewal(device)
    for _ in range(2):
        assert device.send(own(device, "renew"), body).status == 200
    device.check_in()
    assert device.send(own(device, "renew"), body).code == "seqConflict"


@pytest.mark.parametrize("state", [DeviceState.RETIRED, DeviceState.DISABLED, DeviceState.PENDING])
@pytest.mark.parametrize("verb", ["renew", "keyChange", "resync"])
def test_who_may_not_speak_gets_the_one_answer(
    world: GatewayWorld, device: GatewayDevice, state: DeviceState, verb: str
) -> None:
    new = DeviceKey.generate()
    expected = constant(world)
    disable(world, device, state)
    match verb:
        case "renew":
            reply = renew(device)
        case "keyChange":
            reply = change_key(device, new)
        case _:
            reply = resync(device)
    assert reply.shape == expected


@pytest.mark.parametrize("verb", ["renew", "keyChange"])
def test_a_device_keeps_its_own_identity_alone(world: GatewayWorld, device: GatewayDevice, verb: str) -> None:
    other = GatewayDevice(world)
    other.register()
    message = renewal(other) if verb == "renew" else key_change(other, DeviceKey.generate())
    assert other.send(own(device, verb), message).code == "notFound"
    strange = own(device, verb).replace(world.settings.tenant_id, "00000000-0000-4000-8000-000000000000")
    assert device.send(strange, message).code == "notFound"


# Key change


def test_a_new_key_takes_the_place_of_the_old_one_at_once(world: GatewayWorld, device: GatewayDevice) -> None:
    old, new = device.key, DeviceKey.generate()
    reply = change_key(device, new)

    assert reply.status == 200
    assert read_certificate(reply.json["certificate"]).key == new.thumbprint
    kept = stored(world, device)
    assert (kept.key_thumbprint, kept.certificate) == (new.thumbprint, reply.json["certificate"])
    assert device.check_in().status == 200, "the sequence goes on"
    device.key = old
    assert device.check_in().shape == constant(world)
    with world.services.database.read() as connection:
        spent = spent_keys.find(connection, old.thumbprint)
        events = audit.list_events(connection, world.settings.tenant_id, Page(size=100))
    assert spent is not None
    assert (spent.device_id, spent.reason) == (device.device_id, "keyChange")
    (event,) = (each for each in events if each.activity == "device.keyChanged")
    assert old.thumbprint in event.details
    assert new.thumbprint in event.details


def test_a_lost_answer_to_a_key_change_is_given_again(device: GatewayDevice) -> None:
    new = DeviceKey.generate()
    body = key_change(device, new)
    first = device.send(own(device, "keyChange"), body)
    again = device.send(own(device, "keyChange"), body)

    assert (first.status, again.status) == (200, 200)
    assert again.json["certificate"] == first.json["certificate"]
    device.key = new
    assert device.check_in().status == 200


def test_a_key_change_repeated_later_or_with_another_key_is_a_strangers(
    world: GatewayWorld, device: GatewayDevice
) -> None:
    old, new = device.key, DeviceKey.generate()
    body = key_change(device, new)
    device.send(own(device, "keyChange"), body)
    other = key_change(device, DeviceKey.generate())
    device.seq -= 1
    assert device.send(own(device, "keyChange"), other).shape == constant(world)
    device.key = new
    device.check_in()
    device.key = old
    assert device.send(own(device, "keyChange"), body).shape == constant(world)
    assert stored(world, device).key_thumbprint == new.thumbprint


@pytest.mark.parametrize("whose", ["its own", "its former", "another device's", "another device's former"])
def test_the_new_key_has_to_be_new_for_ever(world: GatewayWorld, device: GatewayDevice, whose: str) -> None:
    other = GatewayDevice(world)
    other.register()
    match whose:
        case "its own":
            taken = device.key
        case "its former":
            taken = device.key
            change_key(device, DeviceKey.generate())
        case "another device's":
            taken = other.key
        case _:
            taken = other.key
            change_key(other, DeviceKey.generate())
    reply = change_key(device, taken)
    assert (reply.status, reply.code) == (409, "duplicateKey")
    device.seq -= 1
    assert device.check_in().status in {200, 204}, "nothing happened, and the number is still free"


@pytest.mark.parametrize("case", ["invented", "old", "used"])
def test_the_nonce_of_a_key_change_has_to_be_fresh(world: GatewayWorld, device: GatewayDevice, case: str) -> None:
    nonce = device.nonce()
    match case:
        case "invented":
            nonce = "A" * 48
        case "old":
            world.clock.forward(minutes=5, seconds=1)
        case _:
            assert resync(device, nonce=nonce).status == 200
    reply = device.send(own(device, "keyChange"), key_change(device, DeviceKey.generate(), nonce))
    assert (reply.status, reply.code) == (400, "badNonce")
    assert stored(world, device).key_thumbprint == device.key.thumbprint


def test_a_certificate_request_signed_by_another_key_changes_nothing(
    world: GatewayWorld, device: GatewayDevice
) -> None:
    der = bytearray(build_request(DeviceKey.generate(), device.nonce()))
    der[-1] ^= 1
    device.seq += 1
    request = KeyChangeRequest(
        seq=device.seq,
        epoch=device.epoch,
        certificate_request=CertificateRequest(type="pkcs10", data=base64.b64encode(bytes(der)).decode()),
    )
    assert device.send(own(device, "keyChange"), request).code == "badCertificateRequest"
    assert stored(world, device).key_thumbprint == device.key.thumbprint


def test_a_former_key_never_registers_again(world: GatewayWorld, device: GatewayDevice) -> None:
    former = device.key
    change_key(device, DeviceKey.generate())
    again = GatewayDevice(world, key=former).register()
    assert (again.status, again.code) == (409, "duplicateKey")


# Resync


def test_a_device_set_back_counts_anew_and_an_answer_of_the_last_epoch_is_not_given_again(
    world: GatewayWorld, device: GatewayDevice
) -> None:
    for _ in range(3):
        device.check_in()
    device.seq = 0
    assert device.check_in().code == "seqConflict"

    assert resync(device).json["epoch"] == 2
    assert device.check_in().json["ackSeq"] == 1
    assert device.check_in().json["ackSeq"] == 2
    with world.services.database.read() as connection:
        events = [each.activity for each in audit.list_events(connection, world.settings.tenant_id, Page(size=100))]
        assert alerts.list_alerts(connection, world.settings.tenant_id, Page()) == ()
    assert events.count("device.resynced") == 1
    device.epoch, device.seq = 1, 10
    assert device.check_in().code == "seqConflict", "the old epoch is over"


def test_a_nonce_resyncs_once(device: GatewayDevice) -> None:
    nonce = device.nonce()
    assert resync(device, nonce=nonce).status == 200
    reply = resync(device, nonce=nonce)
    assert (reply.status, reply.code) == (400, "badNonce")


def test_two_installations_that_resync_within_a_day_end_in_quarantine(
    world: GatewayWorld, device: GatewayDevice
) -> None:
    resync(device)
    world.clock.forward(hours=23)
    assert resync(device, instance=OTHER_INSTANCE).status == 200

    kept = stored(world, device)
    assert (kept.state, kept.state_reason) == (DeviceState.QUARANTINED, "clonedIdentity")
    assert device.check_in().status in {200, 204}, "it may check in and report"
    assert renew(device).status == 200, "and keep its certificate"
    reply = change_key(device, DeviceKey.generate())
    assert (reply.status, reply.code) == (403, "deviceQuarantined")
    with world.services.database.write() as connection:
        (alert,) = alerts.list_alerts(connection, world.settings.tenant_id, Page(), is_open=True)
        assert alert.kind == "clonedIdentity"
        release(connection, world.acting, device.device_id)
        epoch = check_ins.get(connection, device.device_id).epoch
    assert device.check_in().code == "seqConflict"
    assert resync(device).json["epoch"] == epoch + 1
    assert stored(world, device).state is DeviceState.ACTIVE
