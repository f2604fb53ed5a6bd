"""Who must not be believed (bad-inputs 9.2), over a real TLS socket: each gets its answer, and nothing changes.

Where each row is tried (here, where nothing else is said):

* signatures, digests, covered sets, MACs, times, repeated requests, numbers, sizes, shapes, others' paths: on every
  route and both engines in ``test_every_route``; the profile alone in ``tests.trust.test_request_signature``
* keys of retired, disabled, waiting, quarantined and deleted devices, former keys, other tenants: ``test_bad_keys``,
  ``test_tenants``
* certificate requests and nonces: ``test_bad_certificate_requests``, ``tests.trust.test_certificates``
* packages and their proofs, revoked or used up meanwhile: ``test_bad_packages``, ``tests.inventory.test_onboarding``
* onboarding files on the device: ``tests.agent.cli.test_bad_packages``, ``tests.trust.test_onboarding``
* same hardware, same key, snapshots, copied disks, new machine ids: ``test_copied_identities``,
  ``test_registration_life``, ``tests.inventory.test_pending``, ``tests.life.staying``
* existing registrations and promotion: ``test_registration_life``, ``tests.inventory.test_existing_registrations``,
  ``tests.inventory.test_promotion``
* what devices call themselves: ``test_hostile_texts``, and the places that it names
* reports: ``test_bad_reports``, ``tests.manager.test_statuses``
* answers of a TPM: ``test_attestation``, ``tests.inventory.test_attestation``, ``tests.trust.test_attestation``
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.support.gateway_device import GatewayDevice
from tests.support.gateway_world import GatewayWorld, gateway_world

from shieldwall.contract.messages import MAX_BODY_BYTES
from shieldwall.server.storage.check_ins import check_ins
from shieldwall.server.storage.devices import devices
from shieldwall.server.storage.events import audit
from shieldwall.server.storage.records import Page
from shieldwall.trust.onboarding import OnboardingPackage

CHECK_IN = "/device/v1/checkin"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayWorld]:
    with gateway_world(tmp_path_factory.mktemp("server") / "data") as made:
        yield made


@pytest.fixture(scope="module")
def device(world: GatewayWorld) -> GatewayDevice:
    made = GatewayDevice(world)
    assert made.register().status == 201
    assert made.check_in().status == 200
    return made


@pytest.fixture(scope="module")
def package(world: GatewayWorld) -> OnboardingPackage:
    return world.package()


@pytest.fixture
def nothing_changes(
    world: GatewayWorld,
    device: GatewayDevice,
    package: OnboardingPackage,  # noqa: ARG001 - made before we look
) -> Iterator[None]:
    before = standing(world, device)
    yield
    assert standing(world, device) == before


def standing(world: GatewayWorld, device: GatewayDevice) -> Any:
    with world.services.database.read() as connection:
        return (
            check_ins.get(connection, device.device_id),
            devices.count(connection, world.settings.tenant_id),
            len(audit.list_events(connection, world.settings.tenant_id, Page(size=10_000))),
        )


def constant(world: GatewayWorld) -> Any:
    """The one answer to whatever is not signed."""
    return world.post(CHECK_IN, b"{}").shape


@pytest.mark.usefixtures("nothing_changes")
def test_unknown_and_wrong_keys_get_the_same_answer(world: GatewayWorld, device: GatewayDevice) -> None:
    unknown = GatewayDevice(world, epoch=1)
    wrong = GatewayDevice(world, epoch=1)
    body = wrong.check_in_request()
    headers = wrong.sign(CHECK_IN, body)
    stolen_name = re.sub(r'keyid="[^"]+"', f'keyid="{device.key.thumbprint}"', headers["Signature-Input"])

    assert unknown.check_in().shape == constant(world)
    assert world.ask("POST", CHECK_IN, body, headers | {"Signature-Input": stolen_name}).shape == constant(world)


@pytest.mark.usefixtures("nothing_changes")
@pytest.mark.parametrize("seconds", [-301, 301, -121, -86_400, 86_400])
def test_a_signature_of_another_time_is_told_the_time(world: GatewayWorld, device: GatewayDevice, seconds: int) -> None:
    body = device.check_in_request()
    device.seq -= 1
    created = int(world.clock.now().timestamp()) + seconds
    reply = world.ask("POST", CHECK_IN, body, device.sign(CHECK_IN, body, created=created))
    assert (reply.status, reply.code) == (401, "clockSkew")
    assert reply.json["serverTime"] == "2026-11-23T12:00:00Z"


def test_a_signature_of_another_time_does_not_tell_whether_its_key_is_registered(
    world: GatewayWorld, device: GatewayDevice
) -> None:
    created = int(world.clock.now().timestamp()) - 86_400
    answers = []
    for asker in (device, GatewayDevice(world)):
        body = device.check_in_request()
        device.seq -= 1
        reply = world.ask("POST", CHECK_IN, body, asker.sign(CHECK_IN, body, created=created))
        answers.append({name: value for name, value in reply.json.items() if name != "requestId"})

    assert answers[0] == answers[1]


@pytest.mark.parametrize("seconds", [-121, 301])
def test_a_registration_of_another_time_is_told_the_time(
    world: GatewayWorld, package: OnboardingPackage, seconds: int
) -> None:
    newcomer = GatewayDevice(world)
    path, body = f"{newcomer.enrollment}/device", newcomer.registration(package)
    created = int(world.clock.now().timestamp()) + seconds
    assert world.ask("POST", path, body, newcomer.sign(path, body, created=created)).code == "clockSkew"


@pytest.mark.parametrize("seconds", [-119, 299])
def test_a_signature_a_little_off_is_taken(world: GatewayWorld, device: GatewayDevice, seconds: int) -> None:
    body = device.check_in_request()
    created = int(world.clock.now().timestamp()) + seconds
    assert world.ask("POST", CHECK_IN, body, device.sign(CHECK_IN, body, created=created)).status == 200


def test_a_registration_signed_by_another_key_gets_the_one_answer(world: GatewayWorld) -> None:
    newcomer, thief = GatewayDevice(world), GatewayDevice(world)
    path = f"{newcomer.enrollment}/device"
    body = newcomer.registration(world.package())
    under_another_name: Any = SimpleNamespace(thumbprint=thief.key.thumbprint, sign=newcomer.key.sign)
    by_another_key: Any = SimpleNamespace(thumbprint=newcomer.key.thumbprint, sign=thief.key.sign)

    for headers in (
        thief.sign(path, body),
        newcomer.sign(path, body, path="/elsewhere"),
        GatewayDevice(world, key=under_another_name).sign(path, body),
        GatewayDevice(world, key=by_another_key).sign(path, body),
    ):
        assert world.ask("POST", path, body, headers).shape == constant(world)


def test_a_key_is_an_identity_for_ever(world: GatewayWorld) -> None:
    known = GatewayDevice(world)
    assert known.register().status == 201
    again = GatewayDevice(world, key=known.key).register()
    assert (again.status, again.code) == (409, "duplicateKey")


def test_a_registration_larger_than_its_limit_is_refused_unread(world: GatewayWorld) -> None:
    newcomer = GatewayDevice(world)
    reply = world.raw(
        f"POST {newcomer.enrollment}/device HTTP/1.1\r\nHost: {world.authority}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {MAX_BODY_BYTES + 1}\r\n\r\n".encode()
    )
    assert (reply.status, reply.code) == (413, "contentTooLarge")


def test_unsigned_questions_are_answered_only_so_often(tmp_path: Path) -> None:
    statuses = set()
    # However long they take to ask here, they come in one moment.
    with gateway_world(tmp_path / "data", monotonic=lambda: 0.0) as world, world.connect() as connection:
        body = b'{"nonce":"' + b"0" * 32 + b'"}'
        request = (
            f"POST /device/v1/time HTTP/1.1\r\nHost: {world.authority}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nX-Forwarded-For: 10.0.0.%d\r\n\r\n"
        )
        for number in range(800):
            connection.sendall((request % (number % 256)).encode() + body)
            answer = connection.recv(65536)
            statuses.add(int(answer.split()[1]))
            if b" 429 " in answer:
                assert re.search(rb"retry-after: [1-5]\r\n", answer)
                break

    assert statuses == {200, 429}
