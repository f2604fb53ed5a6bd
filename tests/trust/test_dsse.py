"""Envelopes."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from shieldwall.contract.messages import Envelope, Signature
from shieldwall.trust.dsse import (
    BadEnvelopeError,
    BadEnvelopeKeyError,
    EnvelopeKey,
    PublicEnvelopeKey,
    TooFewSignaturesError,
    WrongPayloadTypeError,
    open_envelope,
    pre_authentication_encoding,
    seal,
)
from shieldwall.trust.payload_types import MANIFEST, POLICY

FIRST, SECOND, STRANGER = EnvelopeKey.generate(), EnvelopeKey.generate(), EnvelopeKey.generate()
KEYS = {key.keyid: key.public for key in (FIRST, SECOND)}


def changed(
    envelope: Envelope,
    *,
    payload: str | None = None,
    payload_type: str | None = None,
    signatures: tuple[Signature, ...] | None = None,
) -> Envelope:
    return Envelope(
        payload=envelope.payload if payload is None else payload,
        payload_type=payload_type or envelope.payload_type,
        signatures=signatures or envelope.signatures,
    )


def test_the_encoding_is_that_of_the_specification() -> None:
    assert (
        pre_authentication_encoding("http://example.com/HelloWorld", b"hello world")
        == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )
    assert pre_authentication_encoding("é", b"") == b"DSSEv1 2 \xc3\xa9 0 "


@given(st.binary(max_size=500))
def test_what_is_sealed_can_be_opened(payload: bytes) -> None:
    assert open_envelope(seal(payload, POLICY, FIRST), POLICY, KEYS) == payload


@given(payload=st.binary(min_size=1, max_size=60), data=st.data())
def test_no_bit_of_the_payload_may_change(payload: bytes, data: st.DataObject) -> None:
    envelope = seal(payload, POLICY, FIRST)
    bit = data.draw(st.integers(min_value=0, max_value=len(payload) * 8 - 1))
    other = bytearray(payload)
    other[bit // 8] ^= 1 << bit % 8

    with pytest.raises(TooFewSignaturesError):
        open_envelope(changed(envelope, payload=base64.b64encode(other).decode()), POLICY, KEYS)


@given(bit=st.integers(min_value=0, max_value=511))
def test_no_bit_of_a_signature_may_change(bit: int) -> None:
    envelope = seal(b"{}", POLICY, FIRST)
    value = bytearray(base64.b64decode(envelope.signatures[0].sig))
    value[bit // 8] ^= 1 << bit % 8
    forged = Signature(keyid=FIRST.keyid, sig=base64.b64encode(value).decode())

    with pytest.raises(TooFewSignaturesError):
        open_envelope(changed(envelope, signatures=(forged,)), POLICY, KEYS)


def test_one_kind_of_document_never_passes_for_another() -> None:
    envelope = seal(b"{}", POLICY, FIRST)

    with pytest.raises(WrongPayloadTypeError):
        open_envelope(envelope, MANIFEST, KEYS)
    with pytest.raises(TooFewSignaturesError):
        open_envelope(changed(envelope, payload_type=MANIFEST), MANIFEST, KEYS)


def test_a_stranger_is_not_believed_and_does_no_harm() -> None:
    with pytest.raises(TooFewSignaturesError):
        open_envelope(seal(b"{}", POLICY, STRANGER), POLICY, KEYS)
    assert open_envelope(seal(b"{}", POLICY, STRANGER, FIRST), POLICY, KEYS) == b"{}"


def test_a_stranger_under_the_name_of_a_trusted_key_is_not_believed() -> None:
    envelope = seal(b"{}", POLICY, STRANGER)
    renamed = Signature(keyid=FIRST.keyid, sig=envelope.signatures[0].sig)

    with pytest.raises(TooFewSignaturesError):
        open_envelope(changed(envelope, signatures=(renamed,)), POLICY, KEYS)


def test_a_threshold_needs_that_many_keys() -> None:
    assert open_envelope(seal(b"{}", POLICY, FIRST, SECOND), POLICY, KEYS, 2) == b"{}"
    for too_few in (
        seal(b"{}", POLICY, FIRST),
        seal(b"{}", POLICY, FIRST, FIRST),
        seal(b"{}", POLICY, FIRST, STRANGER),
    ):
        with pytest.raises(TooFewSignaturesError):
            open_envelope(too_few, POLICY, KEYS, 2)


def test_one_key_under_two_names_counts_once() -> None:
    envelope = seal(b"{}", POLICY, FIRST)
    alias = Signature(keyid="alias", sig=envelope.signatures[0].sig)

    with pytest.raises(TooFewSignaturesError):
        open_envelope(
            changed(envelope, signatures=(envelope.signatures[0], alias)),
            POLICY,
            {FIRST.keyid: FIRST.public, "alias": FIRST.public},
            2,
        )


@pytest.mark.parametrize(
    "payload", ["e30", "e31=", "e30=\n", " e30=", "e30==", "e3 0=", "-_8=", "e30=e30=", "\u00e9", "e30=\0"]
)
def test_base64_with_more_than_one_spelling_is_refused(payload: str) -> None:
    with pytest.raises(BadEnvelopeError):
        open_envelope(changed(seal(b"{}", POLICY, FIRST), payload=payload), POLICY, KEYS)


def test_a_loosely_spelled_signature_of_a_trusted_key_is_refused() -> None:
    envelope = seal(b"{}", POLICY, FIRST)
    loose = Signature(keyid=FIRST.keyid, sig=envelope.signatures[0].sig + "\n")

    with pytest.raises(BadEnvelopeError):
        open_envelope(changed(envelope, signatures=(loose,)), POLICY, KEYS)


def test_a_payload_beyond_the_bound_is_refused_before_it_is_decoded() -> None:
    envelope = seal(bytes(301), POLICY, FIRST)

    assert open_envelope(envelope, POLICY, KEYS, max_bytes=301) == bytes(301)
    with pytest.raises(BadEnvelopeError, match="more than 297 bytes"):
        open_envelope(envelope, POLICY, KEYS, max_bytes=297)


def test_keys_come_back_from_pem_and_only_ed25519_keys_do() -> None:
    assert EnvelopeKey.from_pem(FIRST.to_pem()).keyid == FIRST.keyid
    p256 = ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for pem in (b"", b"garbage", p256):
        with pytest.raises(BadEnvelopeKeyError):
            EnvelopeKey.from_pem(pem)


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_public_key_has_32_bytes(length: int) -> None:
    with pytest.raises(BadEnvelopeKeyError):
        PublicEnvelopeKey(bytes(length))


def test_a_public_key_that_is_no_point_signs_nothing() -> None:
    assert not PublicEnvelopeKey(b"\xff" * 32).has_signed(bytes(64), b"")


def test_a_threshold_that_would_trust_everybody_is_refused() -> None:
    unsigned = changed(seal(b"{}", POLICY, FIRST), signatures=())
    with pytest.raises(ValueError, match="trust everybody"):
        open_envelope(unsigned, POLICY, KEYS, threshold=0)
