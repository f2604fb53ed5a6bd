"""Registrations that the directory has already: used when proven, refused each for its own reason."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace as with_changes
from tests.support.gate import Gate
from tests.support.other_directory import KINDS, Holder, OtherDirectory, a_key
from tests.support.samples import NOON, TENANT_ID, counted_id, device_id

from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import DeviceId, TenantId
from shieldwall.contract.messages import DeviceFacts
from shieldwall.contract.strict_json import digest_of
from shieldwall.server.directory import authorities, registrations
from shieldwall.server.directory.deletion import delete_device
from shieldwall.server.directory.devices import retire
from shieldwall.server.directory.registration import DuplicateKeyError
from shieldwall.server.directory.registrations import (
    ExistingCertificateExpiredError,
    ExistingCertificateUntrustedError,
    RegistrationDisabledError,
    RegistrationDraft,
    RegistrationInUseError,
    RegistrationManagedElsewhereError,
    RegistrationUnknownError,
)
from shieldwall.server.inventory.package_check import FullJoinNotAllowedError
from shieldwall.server.storage.check_ins import check_ins
from shieldwall.server.storage.device_records import DeviceState, Registration, TrustType
from shieldwall.server.storage.devices import registrations as registration_rows
from shieldwall.server.storage.onboarding import packages
from shieldwall.trust.existing_keys import BadExistingCertificateError
from shieldwall.trust.key_proofs import BadExistingProofError
from shieldwall.trust.onboarding import BadOnboardingProofError

FULL = device_id(77)


@pytest.fixture
def directory() -> OtherDirectory:
    return OtherDirectory(NOON)


def imported(gate: Gate, holder: Holder, name: DeviceId = FULL, **changes: Any) -> None:
    draft = RegistrationDraft(device_id=name, display_name="laptop", certificate=holder.presented, **changes)
    with gate.database.write() as connection:
        registrations.import_registration(connection, gate.office.acting, draft)


def trusted(gate: Gate, directory: OtherDirectory) -> None:
    with gate.database.write() as connection:
        authorities.trust_authority(connection, gate.office.acting, display_name="CA", pem=directory.pem)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("trust_type", list(TrustType))
def test_a_device_keeps_the_identity_that_it_has(
    gate: Gate, directory: OtherDirectory, kind: str, trust_type: TrustType
) -> None:
    holder = directory.holder(FULL, key=a_key(kind))
    imported(gate, holder, trust_type=trust_type)
    newcomer = gate.newcomer()

    request = newcomer.asks(gate.nonce(), existing=holder)
    answer = gate.receives(request)

    device = gate.device(answer.device_id)
    assert answer.device_id == FULL
    assert (device.registration, device.trust_type) == (Registration.FULL, trust_type.value)
    assert device.key_thumbprint == newcomer.key.thumbprint
    with gate.database.read() as connection:
        registration = registration_rows.find(connection, TENANT_ID, FULL)
    assert registration is not None
    assert registration.object_id == device.object_id
    assert gate.receives(request).device_id == FULL


def test_a_certificate_of_a_trusted_authority_does_as_well(gate: Gate, directory: OtherDirectory) -> None:
    imported(gate, directory.holder(FULL))
    branch = directory.intermediate()
    newer = branch.holder(FULL, key=a_key("rsa"))
    gate.refuses(
        ExistingCertificateUntrustedError,
        gate.newcomer().asks(gate.nonce(), existing=newer, chain=(branch.certificate,)),
    )
    trusted(gate, directory)

    request = gate.newcomer().asks(gate.nonce(), existing=newer, chain=(branch.certificate,))

    assert gate.receives(request).device_id == FULL


def test_what_is_said_along_with_the_registration_counts_at_once(gate: Gate) -> None:
    facts = DeviceFacts(
        display_name="server-1",
        os_type="Windows Server",
        os_version="2025",
        manufacturer="Fabrikam",
        is_domain_controller=True,
    )
    answer = gate.receives(gate.newcomer().asks(gate.nonce(), details_too={"facts": facts}))

    device = gate.device(answer.device_id)
    assert (device.display_name, device.os_type, device.manufacturer) == ("server-1", "Windows Server", "Fabrikam")
    assert device.is_domain_controller
    with gate.database.read() as connection:
        assert check_ins.get(connection, device.id).facts_digest == digest_of(facts)


def test_each_reason_against_a_registration_is_told(gate: Gate, directory: OtherDirectory) -> None:
    good, stranger = directory.holder(FULL), OtherDirectory(NOON)
    imported(gate, good)
    trusted(gate, directory)
    disabled, managed, expired = device_id(78), device_id(79), device_id(80)
    imported(gate, directory.holder(disabled), disabled, is_enabled=False)
    imported(gate, directory.holder(managed), managed, manager="MDM")
    imported(gate, directory.holder(expired, days=0), expired)
    old = directory.holder(expired, days=-0)
    reasons: list[tuple[type[ShieldwallError], Holder]] = [
        (RegistrationDisabledError, directory.holder(disabled)),
        (RegistrationManagedElsewhereError, directory.holder(managed)),
        (ExistingCertificateExpiredError, old),
        (ExistingCertificateUntrustedError, stranger.holder(FULL)),
        (ExistingCertificateUntrustedError, stranger.holder(FULL, key=good.key)),
        (RegistrationUnknownError, directory.holder(device_id(90))),
        (RegistrationUnknownError, directory.holder("laptop")),
        (RegistrationUnknownError, directory.holder(FULL, uri=f"urn:uuid:{disabled}")),
        (BadExistingProofError, Holder(a_key(), good.certificate)),
        (BadExistingProofError, Holder(a_key("rsa"), good.certificate)),
        (BadExistingCertificateError, directory.holder(FULL, key=a_key("rsa", bits=1024))),
    ]
    for error, holder in reasons:
        gate.refuses(error, gate.newcomer().asks(gate.nonce(), existing=holder))
    assert gate.receives(gate.newcomer().asks(gate.nonce(), existing=good)).device_id == FULL
    gate.refuses(RegistrationInUseError, gate.newcomer().asks(gate.nonce(), existing=good))


def test_a_registration_of_another_tenant_is_none_here(gate: Gate, directory: OtherDirectory) -> None:
    holder = directory.holder(FULL)
    imported(gate, holder)
    elsewhere = gate.newcomer().asks(gate.nonce(), existing=holder, proven_for=TenantId(counted_id("1", 1)))
    gate.refuses(BadOnboardingProofError, elsewhere)


def test_a_proof_is_for_one_key_nonce_and_body(gate: Gate, directory: OtherDirectory) -> None:
    holder = directory.holder(FULL)
    imported(gate, holder)
    nonce = gate.nonce()
    stolen = gate.newcomer().asks(nonce, existing=holder).shieldwall.existing
    assert stolen is not None

    gate.refuses(BadExistingProofError, gate.newcomer().asks(nonce, details_too={"existing": stolen}))
    garbled = with_changes(stolen, signature=base64.b64encode(b"x" * 64).decode())
    gate.refuses(BadExistingProofError, gate.newcomer().asks(nonce, details_too={"existing": garbled}))
    spelt = with_changes(stolen, certificate="not base64")
    gate.refuses(BadExistingCertificateError, gate.newcomer().asks(nonce, details_too={"existing": spelt}))


def test_the_package_speaks_for_the_proof_too(gate: Gate, directory: OtherDirectory) -> None:
    holder = directory.holder(FULL)
    imported(gate, holder)
    request = gate.newcomer().asks(gate.nonce(), existing=holder)
    without = with_changes(request, shieldwall=with_changes(request.shieldwall, existing=None))
    gate.refuses(BadOnboardingProofError, without)


def test_a_device_that_left_comes_back_under_its_registration(gate: Gate, directory: OtherDirectory) -> None:
    holder = directory.holder(FULL)
    imported(gate, holder)
    first = gate.newcomer()
    gate.receives(first.asks(gate.nonce(), existing=holder))
    with gate.database.write() as connection:
        retire(connection, gate.office.acting, FULL)

    assert gate.receives(gate.newcomer().asks(gate.nonce(), existing=holder)).device_id == FULL

    assert gate.device(FULL).state is DeviceState.ACTIVE
    gate.refuses(DuplicateKeyError, first.asks(gate.nonce()))


def test_a_full_join_makes_a_registration_and_no_device(gate: Gate) -> None:
    joining = gate.newcomer()
    gate.refuses(FullJoinNotAllowedError, joining.asks(gate.nonce(), join_type="full"))
    gate.set_package(join_type="full")
    request = joining.asks(gate.nonce(), join_type="full")

    joined = gate.receives(request)
    assert gate.receives(request) == joined

    with gate.database.read() as connection:
        registration = registration_rows.find(connection, TENANT_ID, joined.device_id)
        assert packages.get(connection, joining.package_id).uses == 1
    assert registration is not None
    assert (registration.trust_type, registration.certificate) == (TrustType.AZURE_AD, joined.certificate)
    gate.refuses(DuplicateKeyError, joining.asks(gate.nonce()))

    holder = Holder(joining.key.private_key, certificate_of(joined.certificate))
    device = gate.device(gate.receives(gate.newcomer().asks(gate.nonce(), existing=holder)).device_id)
    assert (device.id, device.registration, device.trust_type) == (joined.device_id, Registration.FULL, "AzureAd")


def test_joining_again_in_time_renews_the_certificate(gate: Gate) -> None:
    gate.set_package(join_type="full")
    joining = gate.newcomer()
    first = gate.receives(joining.asks(gate.nonce(), join_type="full"))
    gate.office.clock.at = NOON + timedelta(days=29)
    assert gate.receives(joining.asks(gate.nonce(), join_type="full")).certificate == first.certificate
    gate.set_package(not_after=NOON + timedelta(days=90))
    gate.office.clock.at = NOON + timedelta(days=46)

    renewed = gate.receives(joining.asks(gate.nonce(), join_type="full"))

    assert renewed.device_id == first.device_id
    assert renewed.certificate != first.certificate


def test_a_deleted_registration_joins_and_serves_no_more(gate: Gate) -> None:
    gate.set_package(join_type="full")
    joining = gate.newcomer()
    joined = gate.receives(joining.asks(gate.nonce(), join_type="full"))
    with gate.database.write() as connection:
        delete_device(connection, gate.office.acting, joined.device_id)

    gate.refuses(DuplicateKeyError, joining.asks(gate.nonce(), join_type="full"))
    holder = Holder(joining.key.private_key, certificate_of(joined.certificate))
    gate.refuses(ExistingCertificateUntrustedError, gate.newcomer().asks(gate.nonce(), existing=holder))


def certificate_of(pem: str) -> Any:
    from cryptography import x509  # noqa: PLC0415 - for this one type

    return x509.load_pem_x509_certificate(pem.encode())
