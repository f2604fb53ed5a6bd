"""Certificate requests and the two authorities."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import verification
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import given
from hypothesis import strategies as st
from tests.support.trust import DEVICE, NOON, OTHER_DEVICE, TENANT

from shieldwall.trust.certificate_request import NONCE_EXTENSION
from shieldwall.trust.certificates import (
    BadAuthorityError,
    BadCertificateRequestError,
    DeviceAuthority,
    LocalAuthority,
    build_request,
    read_request,
)
from shieldwall.trust.device_key import DeviceKey, public_key_info

KEY = DeviceKey.generate()
REQUEST = build_request(KEY, "nonce")
NONCE = x509.UnrecognizedExtension(NONCE_EXTENSION, asn1.encode_der("nonce"))
PlainKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


def request(
    *,
    key: PlainKey = KEY.private_key,
    subject: x509.Name | None = None,
    extensions: tuple[x509.ExtensionType, ...] = (NONCE,),
    attributes: int = 0,
    algorithm: hashes.HashAlgorithm | None = None,
) -> bytes:
    builder = x509.CertificateSigningRequestBuilder(subject or x509.Name([]))
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    for number in range(attributes):
        builder = builder.add_attribute(x509.ObjectIdentifier(f"2.25.{number + 1}"), b"\x0c\x01a")
    chosen = None if isinstance(key, ed25519.Ed25519PrivateKey) else algorithm or hashes.SHA256()
    return builder.sign(key, chosen).public_bytes(Encoding.DER)  # type: ignore[arg-type]  # Ed25519 takes no hash


def name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def nonce(value: bytes) -> tuple[x509.ExtensionType, ...]:
    return (x509.UnrecognizedExtension(NONCE_EXTENSION, value),)


def test_what_the_agent_builds_is_read() -> None:
    facts = read_request(REQUEST)

    assert facts.public_key == KEY.public_key
    assert facts.nonce == "nonce"
    assert facts.spki == public_key_info(KEY.public_key)


def test_the_longest_nonce_fits() -> None:
    assert read_request(build_request(KEY, "n" * 512)).nonce == "n" * 512


def test_the_helper_of_these_tests_makes_sound_requests_when_nothing_is_changed() -> None:
    assert read_request(request()).nonce == "nonce"


BAD: dict[str, Callable[[], bytes]] = {
    "P-384": lambda: request(key=ec.generate_private_key(ec.SECP384R1())),
    "secp256k1": lambda: request(key=ec.generate_private_key(ec.SECP256K1())),
    "RSA-1024": lambda: request(key=rsa.generate_private_key(65537, 1024)),  # noqa: S505 - a weak key is the point
    "RSA-2048": lambda: request(key=rsa.generate_private_key(65537, 2048)),
    "Ed25519": lambda: request(key=ed25519.Ed25519PrivateKey.generate()),
    "SHA-512": lambda: request(algorithm=hashes.SHA512()),
    "name": lambda: request(subject=name(DEVICE)),
    "name with NUL": lambda: request(subject=name("a\0b")),
    "name of another device": lambda: request(subject=name(OTHER_DEVICE)),
    "address of another device": lambda: request(
        extensions=(
            NONCE,
            x509.SubjectAlternativeName(
                [x509.UniformResourceIdentifier(f"urn:shieldwall:{TENANT}:device:{OTHER_DEVICE}")]
            ),
        )
    ),
    "asks to be an authority": lambda: request(extensions=(NONCE, x509.BasicConstraints(ca=True, path_length=None))),
    "no extension": lambda: request(extensions=()),
    "another extension": lambda: request(extensions=(x509.BasicConstraints(ca=False, path_length=None),)),
    "one attribute more": lambda: request(attributes=1),
    "a thousand attributes": lambda: request(attributes=1_000),
    "empty nonce": lambda: request(extensions=nonce(asn1.encode_der(""))),
    "nonce too long": lambda: request(extensions=nonce(asn1.encode_der("n" * 513))),
    "nonce with NUL": lambda: request(extensions=nonce(asn1.encode_der("a\0b"))),
    "nonce beyond ASCII": lambda: request(extensions=nonce(asn1.encode_der("é"))),
    "nonce not a string": lambda: request(extensions=nonce(asn1.encode_der(7))),
    "nonce with a tail": lambda: request(extensions=nonce(asn1.encode_der("nonce") + b"\0")),
    "nonce raw": lambda: request(extensions=nonce(b"nonce")),
    "signed by another key": lambda: REQUEST.replace(
        public_key_info(KEY.public_key), public_key_info(DeviceKey.generate().public_key)
    ),
    "trailing byte": lambda: REQUEST + b"\0",
    "cut short": lambda: REQUEST[:-1],
    "empty": lambda: b"",
    "PEM": lambda: x509.load_der_x509_csr(REQUEST).public_bytes(Encoding.PEM),
    "huge": lambda: b"\x30" * 100_000,
}


@cache
def bad(kind: str) -> bytes:
    return BAD[kind]()


@pytest.mark.parametrize("kind", BAD)
def test_any_other_request_is_refused(kind: str) -> None:
    der = bad(kind)

    with pytest.raises(BadCertificateRequestError) as refused:
        read_request(der)

    assert refused.value.code == "badCertificateRequest"


def tagged(tag: int, *parts: bytes) -> bytes:
    """Write DER by hand, for requests that no builder makes."""
    body = b"".join(parts)
    length = bytes([len(body)]) if len(body) < 128 else b"\x82" + len(body).to_bytes(2, "big")
    return bytes([tag]) + (length if len(body) < 128 or len(body) > 255 else b"\x81" + bytes([len(body)])) + body


def by_hand(*extensions: bytes) -> bytes:
    extension_request = asn1.encode_der(x509.ObjectIdentifier("1.2.840.113549.1.9.14"))
    attribute = tagged(0x30, extension_request, tagged(0x31, tagged(0x30, *extensions)))
    information = tagged(0x30, b"\x02\x01\x00", b"\x30\x00", public_key_info(KEY.public_key), tagged(0xA0, attribute))
    signature = KEY.private_key.sign(information, ec.ECDSA(hashes.SHA256()))
    algorithm = tagged(0x30, asn1.encode_der(x509.ObjectIdentifier("1.2.840.10045.4.3.2")))
    return tagged(0x30, information, algorithm, tagged(0x03, b"\0", signature))


def nonce_extension(value: str) -> bytes:
    return tagged(0x30, asn1.encode_der(NONCE_EXTENSION), tagged(0x04, asn1.encode_der(value)))


def test_a_request_with_two_nonces_is_refused() -> None:
    assert read_request(by_hand(nonce_extension("one"))).nonce == "one", "the hand that writes it writes well"

    with pytest.raises(BadCertificateRequestError):
        read_request(by_hand(nonce_extension("one"), nonce_extension("two")))


def test_even_the_worst_request_is_refused_quickly() -> None:
    worst = max((bad(kind) for kind in BAD), key=len)
    start = time.process_time()
    with pytest.raises(BadCertificateRequestError):
        read_request(worst)

    assert time.process_time() - start < 0.1


@given(data=st.data())
def test_no_bit_of_a_request_may_change(data: st.DataObject) -> None:
    bit = data.draw(st.integers(min_value=0, max_value=len(REQUEST) * 8 - 1))
    changed = bytearray(REQUEST)
    changed[bit // 8] ^= 1 << bit % 8

    with pytest.raises(BadCertificateRequestError):
        read_request(bytes(changed))


@given(st.binary(max_size=300))
def test_no_bytes_break_the_reading_of_a_request(data: bytes) -> None:
    with pytest.raises(BadCertificateRequestError):
        read_request(data)


AUTHORITY = DeviceAuthority.create(TENANT, NOON)


def issued(days: int = 90, now: datetime = NOON) -> x509.Certificate:
    pem = AUTHORITY.issue(KEY.public_key, TENANT, DEVICE, now, days)
    return x509.load_pem_x509_certificate(pem.encode())


def test_a_device_certificate_names_device_and_tenant_and_nothing_else() -> None:
    certificate = issued()
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value

    assert certificate.subject == name(DEVICE)
    assert list(names) == [x509.UniformResourceIdentifier(f"urn:shieldwall:{TENANT}:device:{DEVICE}")]
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert certificate.public_key() == KEY.public_key
    assert certificate.not_valid_after_utc == NOON + timedelta(days=90)


def test_a_device_certificate_is_verified_by_its_authority_alone() -> None:
    def verifier(authority: DeviceAuthority) -> verification.ClientVerifier:
        store = verification.Store([authority.certificate])
        return verification.PolicyBuilder().store(store).time(NOON + timedelta(days=1)).build_client_verifier()

    certificate = issued()
    assert verifier(AUTHORITY).verify(certificate, []).chain[0] == certificate
    with pytest.raises(verification.VerificationError):
        verifier(DeviceAuthority.create(TENANT, NOON)).verify(issued(), [])


def test_no_certificate_outlives_its_authority() -> None:
    late = NOON + timedelta(days=5 * 365 - 10)

    assert issued(now=late).not_valid_after_utc == AUTHORITY.certificate.not_valid_after_utc


def test_authorities_come_back_from_pem_and_only_with_their_own_key() -> None:
    other = DeviceAuthority.create(TENANT, NOON)
    certificate = AUTHORITY.certificate_pem.encode()

    assert DeviceAuthority.from_pem(AUTHORITY.key_pem(), certificate).certificate == AUTHORITY.certificate
    for key in (other.key_pem(), b"garbage"):
        with pytest.raises(BadAuthorityError):
            DeviceAuthority.from_pem(key, certificate)
    local = LocalAuthority.create(NOON)
    assert LocalAuthority.from_pem(local.key_pem(), local.certificate_pem.encode()).certificate == local.certificate


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1", "sdm.example", "10.1.2.3"])
def test_a_tls_client_that_trusts_the_local_authority_believes_every_name_asked_for(tmp_path: Path, host: str) -> None:
    authority = LocalAuthority.create(datetime.now(UTC))
    chain, key = authority.issue_server(["sdm.example", "10.1.2.3", "localhost"], datetime.now(UTC))

    assert handshake(tmp_path, authority, chain, key, host) == "TLSv1.3"


def test_a_tls_client_does_not_believe_another_name(tmp_path: Path) -> None:
    authority = LocalAuthority.create(datetime.now(UTC))
    chain, key = authority.issue_server(["sdm.example"], datetime.now(UTC))

    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(tmp_path, authority, chain, key, "other.example")


def handshake(folder: Path, authority: LocalAuthority, chain: str, key: str, host: str) -> str | None:
    (folder / "chain.pem").write_text(chain)
    (folder / "key.pem").write_text(key)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "chain.pem", folder / "key.pem")
    client = ssl.create_default_context(cadata=authority.certificate_pem)
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = client.wrap_bio(to_client, to_server, server_hostname=host)
    theirs = server.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(4):
        for side in (ours, theirs):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    return ours.version()


def test_every_certificate_has_its_own_number() -> None:
    assert issued().serial_number != issued().serial_number
