"""What a server believes about a device key in a TPM. The TPM here is made of software keys that can lie."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import replace as with_fields
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.support.pretend_tpm import PretendTpm, rsa_area

from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import DeviceId, TenantId
from shieldwall.contract.registration import AttestationChallenge, AttestRequest
from shieldwall.trust import attestation, strict_base64, tpm
from shieldwall.trust.attestation import (
    AttestationFailedError,
    AttestationMismatchError,
    UnsuitableTpmKeyError,
    check_answer,
    qualifier,
    read_offer,
    secret_digest,
)
from shieldwall.trust.device_key import DeviceKey
from shieldwall.trust.endorsement import BadEndorsementCertificateError
from shieldwall.trust.tpm import Attribute, MalformedTpmStructureError

TENANT = TenantId("00000000-0000-4000-8000-00000000000a")
OTHER_TENANT = TenantId("00000000-0000-4000-8000-00000000000b")
DEVICE = DeviceId("00000000-0000-4000-8000-0000000000d1")
OTHER_DEVICE = DeviceId("00000000-0000-4000-8000-0000000000d2")
RSA_KEY = rsa.generate_private_key(65537, 2048)
SECRET = bytes(range(32))
HONEST = PretendTpm()
STATEMENT: bytes = HONEST.statement(qualifier=bytes(32))


def outcome(call: Callable[[], attestation.OfferedTpm]) -> attestation.OfferedTpm | ShieldwallError:
    try:
        return call()
    except ShieldwallError as error:
        return error


def challenged(device: PretendTpm, secret: bytes = SECRET) -> tuple[attestation.OfferedTpm, AttestationChallenge]:
    offered = read_offer(device.offer(), device.device_key.public_key)
    credential = attestation.challenge(offered, secret, secrets.token_bytes)
    return offered, AttestationChallenge(
        credential_blob=strict_base64.encode(credential.blob),
        encrypted_secret=strict_base64.encode(credential.encrypted_seed),
        expires="2026-11-23T12:10:00Z",
    )


def check(offered: attestation.OfferedTpm, answer: AttestRequest, **changes: Any) -> None:
    told: dict[str, Any] = {"expected": secret_digest(SECRET), "tenant_id": TENANT, "device_id": DEVICE}
    check_answer(offered, answer, **(told | changes))


@pytest.mark.parametrize("endorsement", [ec.generate_private_key(ec.SECP256R1()), RSA_KEY], ids=["curve", "rsa"])
def test_a_key_in_a_tpm_proves_that_it_is_there(endorsement: Any) -> None:
    device = PretendTpm(endorsement=endorsement)
    offered, challenge = challenged(device)

    check(offered, device.answer(challenge, tenant_id=TENANT, device_id=DEVICE))

    assert device.open(challenge) == SECRET


def test_a_challenge_for_another_tpm_cannot_be_opened() -> None:
    device = PretendTpm()
    _, challenge = challenged(device)

    for other in (
        with_fields(device, endorsement=ec.generate_private_key(ec.SECP256R1())),
        with_fields(device, attestation_key=DeviceKey.generate()),
    ):
        with pytest.raises(AssertionError, match="another TPM or another key"):
            other.open(challenge)


def test_a_guessed_secret_proves_nothing() -> None:
    device = PretendTpm()
    offered, challenge = challenged(device)
    answer = device.answer(challenge, tenant_id=TENANT, device_id=DEVICE)

    for guess in (bytes(32), b"", SECRET[:-1], SECRET + b"\0"):
        with pytest.raises(AttestationFailedError, match="secret"):
            check(offered, replace(answer, secret=strict_base64.encode(guess)))


def test_the_attestation_key_has_to_speak_about_the_device_key() -> None:
    device, other = PretendTpm(), PretendTpm()
    offered, challenge = challenged(device)
    right = qualifier(TENANT, DEVICE, SECRET)
    others_name = tpm.read_public_area(other.device_area).name

    told = device.statement(name=others_name, qualifier=right)
    with pytest.raises(AttestationFailedError, match="another key than the device's"):
        check(offered, device.answer(challenge, tenant_id=TENANT, device_id=DEVICE, statement=told))
    with pytest.raises(AttestationFailedError, match="not signed by the attestation key"):
        check(offered, device.answer(challenge, tenant_id=TENANT, device_id=DEVICE, signer=device.device_key))


@pytest.mark.parametrize(
    ("tenant", "device"), [(OTHER_TENANT, DEVICE), (TENANT, OTHER_DEVICE)], ids=["tenant", "device"]
)
def test_a_statement_made_for_another_challenge_is_refused(tenant: TenantId, device: DeviceId) -> None:
    machine = PretendTpm()
    offered, challenge = challenged(machine)

    with pytest.raises(AttestationFailedError, match="not made for this challenge"):
        check(offered, machine.answer(challenge, tenant_id=tenant, device_id=device))


def test_the_device_key_offered_is_the_one_that_registers() -> None:
    with pytest.raises(AttestationMismatchError):
        read_offer(PretendTpm().offer(), DeviceKey.generate().public_key)


@pytest.mark.parametrize("missing", list(tpm.DEVICE_KEY))
def test_a_device_key_without_one_of_its_promises_is_refused(missing: Attribute) -> None:
    device = PretendTpm(device_attributes=tpm.DEVICE_KEY & ~missing)

    with pytest.raises(UnsuitableTpmKeyError, match="device key"):
        read_offer(device.offer(), device.device_key.public_key)


@pytest.mark.parametrize("more", [Attribute.ADMIN_WITH_POLICY, Attribute.RESTRICTED, Attribute.DECRYPT, Attribute(1)])
def test_a_device_key_that_may_do_more_is_refused(more: Attribute) -> None:
    device = PretendTpm(device_attributes=tpm.DEVICE_KEY | more)

    with pytest.raises(ShieldwallError):
        read_offer(device.offer(), device.device_key.public_key)


@pytest.mark.parametrize("missing", list(tpm.ATTESTATION_KEY))
def test_an_attestation_key_without_one_of_its_promises_is_refused(missing: Attribute) -> None:
    """Above all restricted: a key that is not would sign made-up statements."""
    device = PretendTpm(attestation_attributes=tpm.ATTESTATION_KEY & ~missing)

    with pytest.raises(UnsuitableTpmKeyError, match="attestation key"):
        read_offer(device.offer(), device.device_key.public_key)


def test_a_key_with_a_policy_is_refused() -> None:
    device = PretendTpm()
    area = device.device_area
    with_policy = area[:8] + tpm.sized(bytes(32)) + area[10:]
    assert tpm.read_public_area(with_policy).policy == bytes(32)

    offer = replace(device.offer(), device_public=strict_base64.encode(with_policy))
    with pytest.raises(UnsuitableTpmKeyError):
        read_offer(offer, device.device_key.public_key)


@pytest.mark.parametrize("part", ["endorsement_public", "attestation_public", "device_public"])
def test_keys_of_another_kind_are_refused_in_every_place(part: str) -> None:
    device = PretendTpm()
    for stranger in (
        device.endorsement_area,
        device.attestation_area,
        device.device_area,
        rsa_area(RSA_KEY.public_key()),
    ):
        text = strict_base64.encode(stranger)
        if text == getattr(device.offer(), part) or (part == "endorsement_public" and stranger[1] == tpm.ALGORITHM_RSA):
            continue
        with pytest.raises((UnsuitableTpmKeyError, MalformedTpmStructureError)):
            read_offer(replace(device.offer(), **{part: text}), device.device_key.public_key)


def test_a_key_that_signs_and_protects_others_as_well_is_refused() -> None:
    device = PretendTpm()
    area = device.device_area
    protecting = area[:10] + bytes.fromhex("000600800043") + area[12:]
    assert tpm.read_public_area(protecting).is_storage

    offer = replace(device.offer(), device_public=strict_base64.encode(protecting))
    with pytest.raises(UnsuitableTpmKeyError, match="another purpose"):
        read_offer(offer, device.device_key.public_key)


def test_a_point_off_the_curve_is_refused() -> None:
    device = PretendTpm()
    area = device.endorsement_area[:-1] + bytes([device.endorsement_area[-1] ^ 1])

    with pytest.raises(MalformedTpmStructureError, match="curve"):
        read_offer(replace(device.offer(), endorsement_public=strict_base64.encode(area)), device.device_key.public_key)


@pytest.mark.parametrize("modulus", [bytes(256), b"", b"\1", b"\xff" * 255, b"\xff" * 255 + b"\xfe"])
def test_an_rsa_endorsement_key_that_is_none_is_refused(modulus: bytes) -> None:
    device = PretendTpm()
    area = tpm.rsa_endorsement_template()[:-258] + tpm.sized(modulus)
    offer = replace(device.offer(), endorsement_public=strict_base64.encode(area))

    with pytest.raises(MalformedTpmStructureError, match="RSA key"):
        read_offer(offer, device.device_key.public_key)


@given(st.binary(min_size=254, max_size=254))
def test_whatever_passes_for_an_rsa_key_can_be_challenged(middle: bytes) -> None:
    device = PretendTpm()
    area = tpm.rsa_endorsement_template()[:-256] + b"\x80" + middle + b"\1"
    offer = replace(device.offer(), endorsement_public=strict_base64.encode(area))

    attestation.challenge(read_offer(offer, device.device_key.public_key), SECRET, secrets.token_bytes)


def test_a_certificate_that_is_none_is_refused() -> None:
    device = PretendTpm()
    for certificate in (b"", b"\x30\x82\xff\xff", b"0" * 7_000, secrets.token_bytes(500)):
        with pytest.raises(BadEndorsementCertificateError):
            read_offer(device.offer(certificate=certificate), device.device_key.public_key)
    with pytest.raises(BadEndorsementCertificateError):
        read_offer(device.offer(chain=(b"nothing",)), device.device_key.public_key)


@given(part=st.sampled_from(["endorsement_public", "attestation_public", "device_public"]), noise=st.data())
def test_any_bytes_in_place_of_a_structure_are_refused_with_a_code(part: str, noise: st.DataObject) -> None:
    original = strict_base64.decode(getattr(HONEST.offer(), part))
    at = noise.draw(st.integers(0, len(original) - 1))
    spoilt = noise.draw(
        st.one_of(
            st.binary(max_size=400),
            st.binary(min_size=1, max_size=4).map(lambda more: original + more),
            st.just(original[:at]),
            st.integers(1, 255).map(lambda bits: original[:at] + bytes([original[at] ^ bits]) + original[at + 1 :]),
        )
    )

    offer = replace(HONEST.offer(), **{part: strict_base64.encode(spoilt)})
    read = outcome(lambda: read_offer(offer, HONEST.device_key.public_key))
    if isinstance(read, ShieldwallError):
        assert read.code in {"attestationMalformed", "attestationUnsuitable", "attestationMismatch"}
    else:  # another key of the right kind: then it is not the one that answers
        honest = read_offer(HONEST.offer(), HONEST.device_key.public_key)
        assert (read.hash, read.attestation_name, read.device_name) != (
            honest.hash,
            honest.attestation_name,
            honest.device_name,
        )


@given(noise=st.one_of(st.binary(max_size=300), st.binary(max_size=8).map(lambda more: STATEMENT + more)))
def test_any_bytes_in_place_of_a_statement_are_refused_with_a_code(noise: bytes) -> None:
    if noise == STATEMENT:
        return
    with pytest.raises(ShieldwallError) as refusal:
        tpm.read_certification(noise)
    assert refusal.value.code == "attestationMalformed"


@given(st.integers(0, 200))
def test_a_statement_cut_short_is_refused(length: int) -> None:
    if length < len(STATEMENT):
        with pytest.raises(MalformedTpmStructureError):
            tpm.read_certification(STATEMENT[:length])


def test_a_text_that_is_not_base64_is_refused() -> None:
    device = PretendTpm()
    with pytest.raises(MalformedTpmStructureError, match="base64"):
        read_offer(replace(device.offer(), device_public="%"), device.device_key.public_key)
