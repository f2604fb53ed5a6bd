"""Proving an existing registration: the key's own algorithm, over exactly this request, in bounded time."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from tests.support.other_directory import KINDS, OtherDirectory, a_key
from tests.support.samples import TENANT_ID, counted_id

from shieldwall.contract.ids import TenantId
from shieldwall.trust.existing_keys import (
    BadDirectoryAuthorityError,
    BadExistingCertificateError,
    is_issued_by,
    read_directory_authority,
    read_existing_certificate,
)
from shieldwall.trust.key_proofs import (
    BadExistingKeyError,
    BadExistingProofError,
    check_existing,
    message,
    read_existing_key,
    sign_existing,
)

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
DEVICE = counted_id("d", 1)
DATA = message(TENANT_ID, "nonce", b"spki", b"body")


@pytest.fixture(scope="module")
def directory() -> OtherDirectory:
    return OtherDirectory(NOW)


@pytest.mark.parametrize("kind", KINDS)
def test_the_holder_of_a_key_proves_it_and_nobody_else(kind: str) -> None:
    key = a_key(kind)
    algorithm, signature = sign_existing(key, DATA)

    check_existing(key.public_key(), algorithm, signature, DATA)
    for other in (b"", signature[:-1], signature[:-1] + bytes([signature[-1] ^ 1]), signature * 2):
        with pytest.raises(BadExistingProofError):
            check_existing(key.public_key(), algorithm, other, DATA)
    stranger = a_key(kind, bits=3072)
    with pytest.raises(BadExistingProofError):
        check_existing(stranger.public_key(), algorithm, signature, DATA)


def test_rsa_signs_the_older_way_as_well() -> None:
    key = a_key("rsa")
    assert isinstance(key, rsa.RSAPrivateKey)
    check_existing(key.public_key(), "rsa-v1_5-sha256", key.sign(DATA, padding.PKCS1v15(), hashes.SHA256()), DATA)


@pytest.mark.parametrize("kind", KINDS)
def test_an_algorithm_of_another_kind_of_key_is_refused(kind: str) -> None:
    key = a_key(kind)
    algorithm, signature = sign_existing(key, DATA)
    for other in ("ecdsa-p256-sha256", "ecdsa-p384-sha384", "rsa-pss-sha256", "rsa-v1_5-sha256"):
        if other != algorithm:
            with pytest.raises(BadExistingProofError):
                check_existing(key.public_key(), other, signature, DATA)


def test_a_proof_speaks_of_one_tenant_nonce_key_and_body() -> None:
    parts: dict[str, Any] = {"tenant_id": TENANT_ID, "nonce": "nonce", "spki": b"spki", "body": b"body"}
    changes: tuple[dict[str, Any], ...] = (
        {"tenant_id": TenantId(counted_id("1", 1))},
        {"nonce": "another"},
        {"spki": b"another"},
        {"body": b"another"},
    )
    assert len({message(**parts), *(message(**(parts | change)) for change in changes)}) == 5


def der_of(public_key: Any, signer: Any = None) -> bytes:
    name = x509.Name([])
    signer = signer or ec.generate_private_key(ec.SECP256R1())
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public_key)
        .serial_number(1)
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=1))
    )
    return builder.sign(signer, hashes.SHA256()).public_bytes(Encoding.DER)


def odd_modulus(bits: int) -> int:
    return (1 << (bits - 1)) | 0xABCDEF1


ODD_CERTIFICATES = {
    "RSA-1024": lambda: der_of(rsa.RSAPublicNumbers(65537, odd_modulus(1024)).public_key()),
    "RSA-8192": lambda: der_of(rsa.RSAPublicNumbers(65537, odd_modulus(8192)).public_key()),
    "RSA-16384": lambda: der_of(rsa.RSAPublicNumbers(65537, odd_modulus(16384)).public_key()),
    "a long exponent": lambda: der_of(rsa.RSAPublicNumbers(odd_modulus(2000), odd_modulus(2048)).public_key()),
    "P-521": lambda: der_of(ec.generate_private_key(ec.SECP521R1()).public_key()),
    "Ed25519": lambda: der_of(ed25519.Ed25519PrivateKey.generate().public_key()),
    "DSA": lambda: der_of(dsa.generate_private_key(2048).public_key()),
    "no certificate": lambda: b"hello",
    "huge": lambda: b"\x30" * 6_001,
    "nothing": lambda: b"",
}


@pytest.mark.parametrize("make", ODD_CERTIFICATES.values(), ids=ODD_CERTIFICATES.keys())
def test_a_key_of_no_kind_that_we_take_is_refused_at_once(make: Any) -> None:
    der = make()
    started = time.perf_counter()
    with pytest.raises(BadExistingCertificateError):
        read_existing_certificate(der)
    assert time.perf_counter() - started < 0.1


def test_a_modulus_of_65537_bits_is_refused_at_once() -> None:
    der = bytearray(der_of(rsa.RSAPublicNumbers(65537, odd_modulus(16384)).public_key()))
    der += b"\0" * 8_200
    started = time.perf_counter()
    with pytest.raises(BadExistingCertificateError, match="larger"):
        read_existing_certificate(bytes(der))
    assert time.perf_counter() - started < 0.1


def test_who_issued_a_certificate_is_found_through_the_chain(directory: OtherDirectory) -> None:
    branch = directory.intermediate()
    direct, through = directory.holder(DEVICE).presented, branch.holder(DEVICE).presented
    stranger = OtherDirectory(NOW)

    assert is_issued_by(direct, (), [directory.certificate], NOW)
    assert is_issued_by(through, [branch.certificate], [directory.certificate], NOW)
    assert is_issued_by(through, (), [branch.certificate], NOW)
    assert not is_issued_by(through, (), [directory.certificate], NOW)
    assert not is_issued_by(direct, (), [stranger.certificate], NOW)
    assert not is_issued_by(direct, (), [], NOW)
    assert not is_issued_by(direct, (), [directory.certificate], NOW + timedelta(days=366))


def test_a_device_is_no_authority(directory: OtherDirectory) -> None:
    device = directory.holder(DEVICE)
    forger = OtherDirectory(NOW)
    forger.key, forger.certificate = device.key, device.certificate
    forged = forger.holder(counted_id("d", 2)).presented
    assert not is_issued_by(forged, [device.certificate], [directory.certificate], NOW)


@pytest.mark.parametrize(
    ("name", "uri", "found"),
    [
        (DEVICE, None, {DEVICE}),
        (DEVICE.upper(), None, {DEVICE}),
        ("laptop", f"urn:uuid:{DEVICE}", {DEVICE}),
        ("laptop", f"urn:shieldwall:{TENANT_ID}:device:{DEVICE}", {DEVICE}),
        (DEVICE, f"urn:uuid:{counted_id('d', 2)}", {DEVICE, counted_id("d", 2)}),
        ("laptop", None, set()),
        (f"{DEVICE}.example", f"https://example/{DEVICE}", set()),
    ],
)
def test_a_certificate_names_a_device_by_common_name_or_urn(
    directory: OtherDirectory, name: str, uri: str | None, found: set[str]
) -> None:
    assert directory.holder(name, uri=uri).presented.named_devices() == found


def test_an_authority_is_one_certificate_of_one(directory: OtherDirectory) -> None:
    assert read_directory_authority(directory.pem) == directory.certificate
    for text in ("", "hello", directory.pem * 2, directory.holder(DEVICE).pem, "x" * 20_000):
        with pytest.raises(BadDirectoryAuthorityError):
            read_directory_authority(text)


def test_a_private_key_is_read_from_plain_pem() -> None:
    for kind in KINDS:
        key = a_key(kind)
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        assert read_existing_key(pem).public_key() == key.public_key()
    odd = ed25519.Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for content in (b"", b"hello", odd, b"x" * 40_000):
        with pytest.raises(BadExistingKeyError):
            read_existing_key(content)
