"""The device key and its names."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import ECKey

from shieldwall.trust.device_key import (
    BadDeviceKeyError,
    DeviceKey,
    is_signed_by,
    public_key_bytes,
    public_key_from_bytes,
    public_key_from_info,
    public_key_info,
    signature_der,
    thumbprint,
)

KEY = DeviceKey.generate()
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def test_a_key_written_to_pem_is_the_same_key_when_read() -> None:
    assert DeviceKey.from_pem(KEY.to_pem()).thumbprint == KEY.thumbprint


@given(st.integers(min_value=1, max_value=ORDER - 1))
def test_a_key_is_written_as_the_library_writes_it_and_read_again(number: int) -> None:
    key = ec.derive_private_key(number, ec.SECP256R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    assert DeviceKey(key).to_pem() == pem
    assert DeviceKey.from_pem(pem).private_key.private_numbers() == key.private_numbers()


@pytest.mark.parametrize(
    "pem",
    [
        KEY.private_key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()),
        KEY.to_pem().replace(b"\n", b"\r\n"),
        b"Somebody's key\n" + KEY.to_pem(),
    ],
    ids=["SEC 1", "lines of Windows", "a text before it"],
)
def test_a_key_is_read_however_else_the_library_reads_it(pem: bytes) -> None:
    assert DeviceKey.from_pem(pem).thumbprint == KEY.thumbprint


def test_a_private_key_with_the_point_of_another_is_refused() -> None:
    """In the very form that we write, which is read without the library."""
    own, other = (b"".join(pem.splitlines()[1:-1]) for pem in (KEY.to_pem(), DeviceKey.generate().to_pem()))
    mixed = base64.b64encode(base64.b64decode(own)[:-64] + base64.b64decode(other)[-64:])
    pem = KEY.to_pem()
    for start in range(0, len(own), 64):
        pem = pem.replace(own[start : start + 64], mixed[start : start + 64])

    with pytest.raises(BadDeviceKeyError):
        DeviceKey.from_pem(pem)


def test_the_thumbprint_is_the_one_of_rfc_7638_as_another_library_computes_it() -> None:
    pem = KEY.public_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    assert ECKey.import_key(pem).thumbprint() == KEY.thumbprint


def test_two_keys_have_two_thumbprints() -> None:
    assert DeviceKey.generate().thumbprint != KEY.thumbprint


def test_public_keys_come_back_from_both_encodings() -> None:
    key = KEY.public_key

    assert public_key_from_bytes(public_key_bytes(key)) == key
    assert public_key_from_info(public_key_info(key)) == key
    assert len(public_key_bytes(key)) == 65


@given(st.integers(min_value=1, max_value=ORDER - 1))
def test_public_keys_are_written_as_the_library_writes_them(number: int) -> None:
    key = ec.derive_private_key(number, ec.SECP256R1()).public_key()

    assert public_key_bytes(key) == key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    assert public_key_info(key) == key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x04" + bytes(64),
        b"\x04" + b"\xff" * 64,
        public_key_bytes(KEY.public_key) + b"\0",
        public_key_bytes(KEY.public_key)[:-1],
        KEY.public_key.public_bytes(Encoding.X962, PublicFormat.CompressedPoint),
        b"\x05" + public_key_bytes(KEY.public_key)[1:],
        b"\0",
    ],
    ids=["empty", "zero", "off the curve", "too long", "too short", "compressed", "unknown form", "infinity"],
)
def test_what_is_not_an_uncompressed_point_is_no_public_key(data: bytes) -> None:
    with pytest.raises(BadDeviceKeyError):
        public_key_from_bytes(data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        ec.generate_private_key(ec.SECP384R1())
        .public_key()
        .public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        ed25519.Ed25519PrivateKey.generate().public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        public_key_info(KEY.public_key) + b"\0",
    ],
    ids=["empty", "P-384", "Ed25519", "trailing byte"],
)
def test_what_is_not_the_info_of_a_p256_key_is_no_public_key(data: bytes) -> None:
    with pytest.raises(BadDeviceKeyError):
        public_key_from_info(data)


@pytest.mark.parametrize(
    "pem",
    [
        b"",
        b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        ec.generate_private_key(ec.SECP384R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        ed25519.Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    ],
    ids=["empty", "garbage", "P-384", "Ed25519"],
)
def test_only_a_p256_key_is_read_from_pem(pem: bytes) -> None:
    with pytest.raises(BadDeviceKeyError):
        DeviceKey.from_pem(pem)


@given(st.binary(max_size=200))
def test_what_a_key_signs_it_recognises(data: bytes) -> None:
    assert is_signed_by(KEY.public_key, KEY.sign(data), data)


@given(st.binary(max_size=50))
def test_signatures_are_those_of_the_library_s_own_ecdsa(data: bytes) -> None:
    r, s = decode_dss_signature(KEY.private_key.sign(data, ec.ECDSA(hashes.SHA256())))

    assert is_signed_by(KEY.public_key, r.to_bytes(32, "big") + s.to_bytes(32, "big"), data)
    KEY.public_key.verify(signature_der(KEY.sign(data)), data, ec.ECDSA(hashes.SHA256()))


@given(st.binary(max_size=50), st.integers(min_value=0, max_value=511))
def test_no_signature_survives_a_flipped_bit(data: bytes, bit: int) -> None:
    signature = bytearray(KEY.sign(data))
    signature[bit // 8] ^= 1 << bit % 8

    assert not is_signed_by(KEY.public_key, bytes(signature), data)


@pytest.mark.parametrize(
    ("r", "s"),
    [(0, 0), (0, 1), (1, 0), (ORDER, 1), (1, ORDER), (ORDER, ORDER), (2**256 - 1, 2**256 - 1), (1, 1)],
)
def test_numbers_out_of_range_are_no_signature(r: int, s: int) -> None:
    assert not is_signed_by(KEY.public_key, r.to_bytes(32, "big") + s.to_bytes(32, "big"), b"data")


def test_the_order_added_to_a_valid_number_is_no_signature() -> None:
    """Numbers are compared as they are, not modulo the order of the curve."""
    for _ in range(64):
        signature = KEY.sign(b"data")
        r = int.from_bytes(signature[:32], "big") + ORDER
        if r < 2**256:
            assert not is_signed_by(KEY.public_key, r.to_bytes(32, "big") + signature[32:], b"data")


@pytest.mark.parametrize("length", [0, 1, 63, 65, 70, 71, 72, 128])
def test_signatures_of_another_length_are_refused(length: int) -> None:
    assert not is_signed_by(KEY.public_key, bytes(length), b"data")


def test_a_signature_in_der_is_refused() -> None:
    encoded = KEY.private_key.sign(b"data", ec.ECDSA(hashes.SHA256()))

    assert not is_signed_by(KEY.public_key, encoded, b"data")


def test_the_thumbprint_is_43_base64url_digits() -> None:
    assert len(thumbprint(KEY.public_key)) == 43
