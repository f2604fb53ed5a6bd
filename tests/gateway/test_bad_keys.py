"""Keys that must open nothing (bad-inputs 9.2), over a real TLS socket: one answer for all, and nothing changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.gateway.test_keeping_identity import (
    CHECK_IN,
    OTHER_INSTANCE,
    change_key,
    constant,
    key_change,
    own,
    renewal,
    resync,
)
from tests.support.gateway_device import INSTANCE, GatewayDevice
from tests.support.gateway_world import GatewayWorld, gateway_world
from tests.support.samples import a_device, a_tenant, counted_id

from shieldwall.contract import strict_json
from shieldwall.contract.ids import DeviceId, TenantId
from shieldwall.contract.messages import HardwareIds, OffboardRequest
from shieldwall.contract.registration import ResyncRequest
from shieldwall.server.directory.devices import CLONED_IDENTITY
from shieldwall.server.storage import audit, check_ins, device_moves, device_states, devices, sightings, tenants
from shieldwall.server.storage.device_records import DeviceState
from shieldwall.server.storage.records import Page
from shieldwall.trust.device_key import DeviceKey, public_key_bytes

ELSEWHERE = TenantId(counted_id("9", 9))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayWorld]:
    with gateway_world(tmp_path_factory.mktemp("server") / "data") as made:
        yield made


@pytest.fixture
def device(world: GatewayWorld) -> GatewayDevice:
    made = GatewayDevice(world)
    assert made.register().status == 201
    assert made.check_in().status == 200
    return made


def resync_request(device: GatewayDevice) -> bytes:
    return strict_json.encode(
        ResyncRequest(nonce=device.nonce(), instance_id=INSTANCE, boot_id="boot", hardware=HardwareIds(), reason="test")
    )


def leaving(device: GatewayDevice) -> bytes:
    return strict_json.encode(strict_json.convert(device.numbered(reason=""), OffboardRequest))


Ask = Callable[[GatewayDevice], tuple[str, bytes]]
ASKING: dict[str, Ask] = {
    "check-in": lambda it: (CHECK_IN, it.check_in_request()),
    "fetch": lambda it: ("/device/v1/fetch", strict_json.encode(it.numbered(digests=["0" * 64]))),
    "wait": lambda it: ("/device/v1/wait", strict_json.encode(it.numbered(seconds=1))),
    "resync": lambda it: ("/device/v1/resync", resync_request(it)),
    "renew": lambda it: (own(it, "renew"), renewal(it)),
    "key change": lambda it: (own(it, "keyChange"), key_change(it, DeviceKey.generate())),
    "offboard": lambda it: (own(it, "offboard"), leaving(it)),
}
every_request = pytest.mark.parametrize("ask", ASKING.values(), ids=ASKING.keys())


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
def test_a_device_that_may_not_speak_is_nobody(
    world: GatewayWorld, device: GatewayDevice, ask: Ask, state: DeviceState
) -> None:
    become(world, device, state)
    path, body = ask(device)
    before = standing(world, device)

    assert device.send(path, body).shape == constant(world)
    assert standing(world, device) == before


@every_request
def test_a_key_that_was_given_up_is_nobodys(world: GatewayWorld, device: GatewayDevice, ask: Ask) -> None:
    former = device.key
    assert change_key(device, DeviceKey.generate()).status == 200
    device.key = former
    path, body = ask(device)
    before = standing(world, device)

    assert device.send(path, body).shape == constant(world)
    assert standing(world, device) == before


@every_request
@pytest.mark.parametrize("forgery", ["unsigned", "by another key", "over another body", "over another path", "tag"])
def test_what_is_not_signed_by_the_device_changes_nothing(
    world: GatewayWorld, device: GatewayDevice, ask: Ask, forgery: str
) -> None:
    path, body = ask(device)
    headers = device.sign(path, body)
    match forgery:
        case "unsigned":
            headers.pop("Signature")
        case "by another key":
            named = headers["Signature-Input"]
            headers = GatewayDevice(world).sign(path, body) | {"Signature-Input": named}
        case "over another body":
            headers = device.sign(path, body + b" ")
        case "over another path":
            headers = device.sign("/elsewhere", body)
        case _:
            headers["Signature-Input"] = headers["Signature-Input"].replace("device-v1", "device-v2")
    before = standing(world, device)

    assert world.ask("POST", path, body, headers).shape == constant(world)
    assert standing(world, device) == before


@every_request
def test_a_deleted_device_is_nobody(world: GatewayWorld, device: GatewayDevice, ask: Ask) -> None:
    path, body = ask(device)
    with world.services.database.write() as connection:
        device_moves.remove(connection, world.settings.tenant_id, device.device_id)
    assert device.send(path, body).shape == constant(world)


def test_a_device_in_quarantine_is_answered_and_gets_nothing_new(world: GatewayWorld, device: GatewayDevice) -> None:
    become(world, device, DeviceState.QUARANTINED, CLONED_IDENTITY)
    reply = device.check_in()
    assert reply.status in {200, 204}
    assert reply.status == 204 or "manifest" not in reply.json
    assert device.send(own(device, "renew"), renewal(device)).status == 200
    assert resync(device, instance=OTHER_INSTANCE).status == 200
    refused = change_key(device, DeviceKey.generate())
    assert (refused.status, refused.code) == (403, "deviceQuarantined")


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
