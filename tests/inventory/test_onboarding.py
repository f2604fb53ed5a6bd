from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography import x509
from msgspec.structs import replace as with_changes
from sqlalchemy import func, select
from tests.support.enrolment import Newcomer
from tests.support.gate import Gate
from tests.support.samples import NOON, TENANT_ID, a_package, a_tenant, counted_id, package_id

from shieldwall.contract.ids import TenantId
from shieldwall.contract.registration import CertificateRequest, RegisterRequest
from shieldwall.server.directory import devices as directory_devices
from shieldwall.server.directory import groups
from shieldwall.server.directory.groups import GroupDraft
from shieldwall.server.directory.registration import DuplicateKeyError
from shieldwall.server.inventory.nonces import BadNonceError
from shieldwall.server.inventory.offboarding import offboard
from shieldwall.server.inventory.onboarding import read_certificate_request
from shieldwall.server.inventory.package_check import (
    PackageExhaustedError,
    PackageExpiredError,
    PackageNotYetValidError,
    PackageRevokedError,
    PlatformNotAllowedError,
)
from shieldwall.server.storage.check_ins import check_ins
from shieldwall.server.storage.device_records import DeviceState, Registration
from shieldwall.server.storage.devices import devices
from shieldwall.server.storage.groups import group_members
from shieldwall.server.storage.onboarding import packages
from shieldwall.server.storage.tables.schema import used_nonces
from shieldwall.server.storage.tenants import tenants
from shieldwall.trust.certificate_request import BadCertificateRequestError
from shieldwall.trust.device_key import public_key_bytes
from shieldwall.trust.onboarding import BadOnboardingProofError


def test_a_device_with_a_package_gets_an_identity(gate: Gate) -> None:
    newcomer = gate.newcomer()
    with gate.database.write() as connection:
        rule = '(device.deviceTag -eq "MDE-Management")'
        draft = GroupDraft(display_name="Managed", mail_nickname="managed", membership_rule=rule)
        managed = groups.create_group(connection, gate.office.acting, draft)

    answer = gate.receives(newcomer.asks(gate.nonce()))

    with gate.database.read() as connection:
        device = devices.get(connection, answer.device_id)
        assert check_ins.get(connection, device.id).epoch == answer.epoch == 1
        assert group_members.member_ids(connection, managed.id) == {device.id}
        assert packages.get(connection, package_id(1)).uses == 1
        assert gate.office.trail(connection)[-1].activity == "device.registered"
    assert device.key_thumbprint == newcomer.key.thumbprint
    assert device.public_key == public_key_bytes(newcomer.key.public_key)
    assert (device.registration, device.trust_type, device.state) == (Registration.SYNTHETIC, None, DeviceState.ACTIVE)
    assert (device.tags, device.package_id, device.display_name) == (("MDE-Management",), package_id(1), "laptop")
    assert gate.office.told == [{device.id}]
    certificate = x509.load_pem_x509_certificate(answer.certificate.encode())
    assert certificate.public_key() == newcomer.key.public_key
    assert device.id in certificate.subject.rfc4514_string()


def test_a_lost_answer_is_given_again_and_nothing_is_counted_twice(gate: Gate) -> None:
    request = gate.newcomer().asks(gate.nonce())
    first = gate.receives(request)
    gate.office.clock.advance(hours=1)  # the nonce has long expired
    again = gate.receives(request)
    assert (again.device_id, again.certificate, again.epoch) == (first.device_id, first.certificate, first.epoch)
    with gate.database.read() as connection:
        assert devices.count(connection, TENANT_ID) == 1
        assert packages.get(connection, package_id(1)).uses == 1


def test_a_key_registers_once_for_ever(gate: Gate) -> None:
    newcomer = gate.newcomer()
    request = newcomer.asks(gate.nonce())
    answer = gate.receives(request)
    gate.refuses(DuplicateKeyError, newcomer.asks(gate.nonce()))
    with gate.database.write() as connection:
        offboard(connection, gate.office.acting, answer.device_id, reason="done")
    gate.refuses(DuplicateKeyError, request)
    gate.refuses(DuplicateKeyError, newcomer.asks(gate.nonce()))


def test_a_nonce_is_ours_fresh_for_this_tenant_and_used_once(gate: Gate) -> None:
    old, used = gate.nonce(), gate.nonce()
    elsewhere = gate.onboarding.sealer.seal(TenantId(counted_id("1", 1)), NOON)
    gate.receives(gate.newcomer().asks(used))
    gate.refuses(BadNonceError, gate.newcomer().asks(used))
    gate.refuses(BadNonceError, gate.newcomer().asks(elsewhere))
    gate.refuses(BadNonceError, gate.newcomer().asks("made-up"))
    gate.office.clock.advance(minutes=5)
    gate.refuses(BadNonceError, gate.newcomer().asks(old))


def test_used_nonces_are_forgotten_once_they_have_expired(gate: Gate) -> None:
    gate.receives(gate.newcomer().asks(gate.nonce()))
    gate.office.clock.advance(minutes=5)
    gate.receives(gate.newcomer().asks(gate.nonce()))
    with gate.database.read() as connection:
        used = select(func.count()).select_from(used_nonces).where(used_nonces.c.tenant_id == TENANT_ID)
        assert connection.scalar(used) == 1


def test_who_does_not_hold_the_package_is_refused(gate: Gate) -> None:
    newcomer = gate.newcomer()
    honest = newcomer.asks(gate.nonce())
    stolen = gate.newcomer().asks(gate.nonce())
    borrowed = with_changes(
        stolen.shieldwall, onboarding=with_changes(stolen.shieldwall.onboarding, mac=honest.shieldwall.onboarding.mac)
    )
    refused = [
        Newcomer(package_id=package_id(1), secret=b"x" * 32).asks(gate.nonce()),
        Newcomer(package_id=package_id(9), secret=bytes(32)).asks(gate.nonce()),
        newcomer.asks(gate.nonce(), proven_for=TenantId(counted_id("1", 1))),
        with_changes(honest, device_display_name="another name"),
        with_changes(stolen, shieldwall=borrowed),
    ]
    for request in refused:
        gate.refuses(BadOnboardingProofError, request)


def test_a_package_of_another_tenant_lets_nobody_in_here(gate: Gate) -> None:
    other = TenantId(counted_id("1", 1))
    foreign = a_package(2, tenant_id=other)
    with gate.database.write() as connection:
        tenants.add(connection, a_tenant(id=other, domain="other.example"))
        packages.add(connection, foreign)
    gate.refuses(BadOnboardingProofError, Newcomer.holding(foreign).asks(gate.nonce()))
    zero = Newcomer(package_id=foreign.id, secret=bytes(32))
    gate.refuses(BadOnboardingProofError, zero.asks(gate.nonce()))


def test_a_package_counts_in_its_time_alone(gate: Gate) -> None:
    for at, error in [
        (NOON - timedelta(seconds=1), PackageNotYetValidError),
        (NOON + timedelta(days=30), PackageExpiredError),
    ]:
        gate.office.clock.at = at
        gate.refuses(error, gate.newcomer().asks(gate.nonce()))
    gate.office.clock.at = NOON + timedelta(days=30, seconds=-1)
    gate.receives(gate.newcomer().asks(gate.nonce()))


def test_a_revoked_package_lets_nobody_in_and_only_its_holder_hears_why(gate: Gate) -> None:
    with gate.database.write() as connection:
        packages.revoke(connection, package_id(1), NOON)
    gate.refuses(PackageRevokedError, gate.newcomer().asks(gate.nonce()))
    guess = Newcomer(package_id=package_id(1), secret=b"x" * 32)
    gate.refuses(BadOnboardingProofError, guess.asks(gate.nonce()))


def test_a_platform_that_the_package_does_not_name_is_refused(gate: Gate) -> None:
    gate.refuses(PlatformNotAllowedError, gate.newcomer().asks(gate.nonce(), device_type="Windows"))
    gate.receives(gate.newcomer().asks(gate.nonce(), device_type="macOS"))


def test_fifty_devices_at_once_share_the_seven_uses_left_exactly(gate: Gate) -> None:
    scarce = a_package(2, uses=493)
    with gate.database.write() as connection:
        packages.add(connection, scarce)
    requests = [Newcomer.holding(scarce).asks(gate.nonce()) for _ in range(50)]

    def admitted(request: RegisterRequest) -> bool:
        try:
            gate.receives(request)
        except PackageExhaustedError:
            return False
        return True

    with ThreadPoolExecutor(max_workers=12) as pool:
        outcomes = list(pool.map(admitted, requests))

    assert outcomes.count(True) == 7
    with gate.database.read() as connection:
        assert packages.get(connection, scarce.id).uses == 500
        assert devices.count(connection, TENANT_ID) == 7


def test_one_request_sent_by_many_at_once_makes_one_device(gate: Gate) -> None:
    request = gate.newcomer().asks(gate.nonce())
    with ThreadPoolExecutor(max_workers=8) as pool:
        answers = list(pool.map(gate.receives, [request] * 8))
    assert len({answer.device_id for answer in answers}) == 1
    with gate.database.read() as connection:
        assert packages.get(connection, package_id(1)).uses == 1


def test_a_refused_registration_leaves_the_nonce_unused(gate: Gate) -> None:
    nonce = gate.nonce()
    gate.refuses(PlatformNotAllowedError, gate.newcomer().asks(nonce, device_type="Windows"))
    gate.receives(gate.newcomer().asks(nonce))


@pytest.mark.parametrize("data", ["", "not base64", "AAAA", "=", "é"])
def test_what_is_no_certificate_request_is_refused(gate: Gate, data: str) -> None:
    request = with_changes(
        gate.newcomer().asks(gate.nonce()), certificate_request=CertificateRequest(type="pkcs10", data=data)
    )
    with pytest.raises(BadCertificateRequestError):
        read_certificate_request(request)


def test_a_device_offboards_once_and_its_word_is_in_the_trail(gate: Gate) -> None:
    device_id = gate.receives(gate.newcomer().asks(gate.nonce())).device_id
    acting = replace(gate.office.acting, actor=f"device:{device_id}")
    for _ in range(2):
        with gate.database.write() as connection:
            assert offboard(connection, acting, device_id, reason="sold").state is DeviceState.RETIRED
    with gate.database.read() as connection:
        offboarded = [event for event in gate.office.trail(connection) if event.activity == "device.offboarded"]
        assert directory_devices.get_device(connection, TENANT_ID, device_id).retired_at == NOON
    assert [event.actor for event in offboarded] == [f"device:{device_id}"]
