"""Keys that must open nothing (bad-inputs 9.2), over a real TLS socket: one answer for all, and nothing changes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.gateway.test_keeping_identity import (
    OTHER_INSTANCE,
    change_key,
    constant,
    resync,
    stored,
)
from tests.support.databases import shared_migrated_database_url
from tests.support.gateway_device import GatewayDevice
from tests.support.gateway_requests import BY_DEVICE
from tests.support.gateway_world import GatewayWorld, gateway_world
from tests.support.identity_requests import key_change, own, renewal
from tests.support.samples import a_device, a_tenant, counted_id
from tests.support.whole_database import everything

from shieldwall.contract import strict_json
from shieldwall.contract.ids import DeviceId, TenantId
from shieldwall.contract.messages import OffboardRequest
from shieldwall.server.directory.deletion import delete_device
from shieldwall.server.directory.devices import CLONED_IDENTITY
from shieldwall.server.storage.check_ins import check_ins
from shieldwall.server.storage.device_records import DeviceState
from shieldwall.server.storage.devices import device_states, devices, sightings
from shieldwall.server.storage.events import audit
from shieldwall.server.storage.records import Page
from shieldwall.server.storage.tenants import tenants
from shieldwall.trust.device_key import DeviceKey, public_key_bytes

__all__ = ["shared_migrated_database_url"]

ELSEWHERE = TenantId(counted_id("9", 9))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, shared_migrated_database_url: str) -> Iterator[GatewayWorld]:
    with gateway_world(tmp_path_factory.mktemp("server") / "data", shared_migrated_database_url) as made:
        yield made


@pytest.fixture
def device(world: GatewayWorld) -> GatewayDevice:
    made = GatewayDevice(world)
    assert made.register().status == 201
    assert made.check_in().status == 200
    return made


def leaving(device: GatewayDevice) -> bytes:
    return strict_json.encode(strict_json.convert(device.numbered(reason=""), OffboardRequest))


every_request = pytest.mark.parametrize("route", BY_DEVICE)


def standing(world: GatewayWorld, device: GatewayDevice) -> Any:
    with world.services.database.read() as connection:
        return (
            check_ins.get(connection, device.device_id),
            devices.get(connection, device.device_id),
            sightings.of_device(connection, device.device_id),
            len(audit.list_events(connection, world.settings.tenant_id, Page(size=10_000))),
        )


def become(world: GatewayWorld, device: GatewayDevice, state: DeviceState, reason: str | None = None) -> None:
    with world.services.database.write() as connection:
        assert device_states.move(connection, device.device_id, of=set(DeviceState), to=state, reason=reason)


@every_request
@pytest.mark.parametrize("state", [DeviceState.RETIRED, DeviceState.DISABLED, DeviceState.PENDING])
def test_a_device_that_may_not_speak_is_nobody(world: GatewayWorld, route: str, state: DeviceState) -> None:
    sound = BY_DEVICE[route](world)
    become(world, sound.device, state)
    before = everything(world.services.database)

    reply = sound.send()

    if state is DeviceState.PENDING and route.endswith("attest"):
        assert reply.status == 202, "who waits may answer, and waits on"
    else:
        assert reply.shape == constant(world)
        assert everything(world.services.database) == before


@every_request
def test_a_key_that_was_given_up_is_nobodys(world: GatewayWorld, route: str) -> None:
    sound = BY_DEVICE[route](world)
    former = sound.device.key
    assert change_key(sound.device, DeviceKey.generate()).status == 200
    sound.device.key = former
    before = everything(world.services.database)

    assert sound.send().shape == constant(world)
    assert everything(world.services.database) == before


@every_request
def test_a_deleted_device_is_nobody(world: GatewayWorld, route: str) -> None:
    sound = BY_DEVICE[route](world)
    with world.services.database.write() as connection:
        delete_device(connection, world.acting, sound.device.device_id)
    before = everything(world.services.database)

    assert sound.send().shape == constant(world)
    assert everything(world.services.database) == before


REFUSED_IN_QUARANTINE = {"keyChange": (403, "deviceQuarantined"), "promote": (409, "notSynthetic")}


@every_request
def test_a_device_in_quarantine_lives_on_and_changes_no_identity(world: GatewayWorld, route: str) -> None:
    sound = BY_DEVICE[route](world)
    become(world, sound.device, DeviceState.QUARANTINED, CLONED_IDENTITY)
    before = everything(world.services.database)

    reply = sound.send()

    verb = route.rpartition("/")[2]
    if verb in REFUSED_IN_QUARANTINE:
        assert (reply.status, reply.code) == REFUSED_IN_QUARANTINE[verb]
        assert everything(world.services.database) == before
    else:
        assert reply.status in {200, 201, 204}
        state = stored(world, sound.device).state
        assert state is (DeviceState.RETIRED if verb == "offboard" else DeviceState.QUARANTINED)


def test_a_device_in_quarantine_may_count_anew(world: GatewayWorld, device: GatewayDevice) -> None:
    become(world, device, DeviceState.QUARANTINED, CLONED_IDENTITY)
    assert resync(device, instance=OTHER_INSTANCE).status == 200
    assert device.check_in().status in {200, 204}, "what it is given then, see test_copied_identities"
    assert stored(world, device).state is DeviceState.QUARANTINED


@pytest.fixture
def stranger(world: GatewayWorld) -> GatewayDevice:
    """A device of another tenant on the same server."""
    made = GatewayDevice(world, device_id=DeviceId(world.services.new_id()), epoch=1)
    record = a_device(
        7,
        id=made.device_id,
        object_id=world.services.new_id(),
        tenant_id=ELSEWHERE,
        key_thumbprint=made.key.thumbprint,
        public_key=public_key_bytes(made.key.public_key),
    )
    with world.services.database.write() as connection:
        if tenants.find(connection, ELSEWHERE) is None:
            tenants.add(connection, a_tenant(id=ELSEWHERE, domain="elsewhere.example"))
        devices.add(connection, record)
        check_ins.add(connection, made.device_id)
    return made


@pytest.mark.parametrize("verb", ["renew", "keyChange", "offboard"])
def test_a_device_of_another_tenant_finds_nothing_here(
    world: GatewayWorld, device: GatewayDevice, stranger: GatewayDevice, verb: str
) -> None:
    assert stranger.check_in().status in {200, 204}, "at home it is somebody"
    message = {"renew": renewal, "keyChange": lambda it: key_change(it, DeviceKey.generate()), "offboard": leaving}
    before = standing(world, device)
    for victim in (device, stranger):  # another's path, and its own id under the wrong tenant
        path = f"{device.enrollment}/device/{victim.device_id}/{verb}"
        reply = stranger.send(path, message[verb](stranger))
        assert (reply.status, reply.code) == (404, "notFound")
    assert standing(world, device) == before


def test_a_key_of_another_tenant_is_no_new_key(world: GatewayWorld, stranger: GatewayDevice) -> None:
    again = GatewayDevice(world, key=stranger.key).register()
    assert (again.status, again.code) == (409, "duplicateKey")


def test_a_key_of_another_tenant_is_none_to_change_to(device: GatewayDevice, stranger: GatewayDevice) -> None:
    reply = change_key(device, stranger.key)
    assert (reply.status, reply.code) == (409, "duplicateKey")


def test_a_nonce_of_another_tenant_resyncs_nobody(device: GatewayDevice, stranger: GatewayDevice) -> None:
    reply = resync(stranger, nonce=device.nonce())
    assert (reply.status, reply.code) == (400, "badNonce")


@pytest.mark.parametrize("seq", [str(2**53), "-1", "1.0", '"5"', "true", "null"])
@pytest.mark.parametrize("verb", ["renew", "keyChange"])
def test_a_number_that_is_none_is_refused(world: GatewayWorld, device: GatewayDevice, verb: str, seq: str) -> None:
    body = renewal(device) if verb == "renew" else key_change(device, DeviceKey.generate())
    bad = body.replace(f'"seq":{device.seq}'.encode(), f'"seq":{seq}'.encode())
    assert bad != body
    before = standing(world, device)
    reply = device.send(own(device, verb), bad)
    assert (reply.status, reply.code) == (400, "invalidJson")
    assert standing(world, device) == before
