"""The proof that whoever registers or promotes also holds the key of an existing registration.

It stands in the body and not in a second signature of the request, so that one profile of signatures serves all
(``docs/decisions/0024``). What it speaks about is fixed: tenant, nonce, the new device key, and the rest of the body.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final, Literal, TypeAlias, assert_never

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from shieldwall.contract import strict_json
from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import TenantId
from shieldwall.contract.registration import PromoteRequest, RegisterRequest
from shieldwall.trust.existing_keys import ExistingPublicKey
from shieldwall.trust.x509_errors import UNREADABLE

ExistingPrivateKey: TypeAlias = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
Algorithm: TypeAlias = Literal["ecdsa-p256-sha256", "ecdsa-p384-sha384", "rsa-pss-sha256", "rsa-v1_5-sha256"]

_CONTEXT: Final = b"shieldwall-existing-v1\0"
_PSS: Final = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=hashes.SHA256.digest_size)
_MAX_KEY_FILE: Final = 32 * 1024


class BadExistingProofError(ShieldwallError):
    """The signature was not made by the key of the registration, or for another tenant, nonce, key or body."""

    code = "badExistingProof"
    remedy = "Sign with the private key that belongs to the certificate presented."


class BadExistingKeyError(ShieldwallError):
    """The private key of an existing registration cannot be used."""

    code = "existingKeyUnusable"
    remedy = "Give an unencrypted private key in PEM: RSA of 2048 to 4096 bits, or ECDSA on P-256 or P-384."


def read_existing_key(pem: bytes) -> ExistingPrivateKey:
    """Read an unencrypted private key. Raises: BadExistingKeyError."""
    if len(pem) > _MAX_KEY_FILE:
        raise BadExistingKeyError("The file is too large for a private key.")
    try:
        key = load_pem_private_key(pem, password=None)
    except UNREADABLE:
        raise BadExistingKeyError("The file holds no unencrypted private key in PEM.") from None
    match key:
        case ec.EllipticCurvePrivateKey(curve=ec.SECP256R1() | ec.SECP384R1()) | rsa.RSAPrivateKey():
            return key
        case _:
            raise BadExistingKeyError("The private key is neither RSA nor on P-256 or P-384.")


def spoken_about(request: RegisterRequest | PromoteRequest) -> bytes:
    """Return the canonical bytes of a request without its proofs: what the signature speaks about."""
    members: dict[str, Any] = msgspec.to_builtins(request)
    match request:
        case RegisterRequest():
            details = members["shieldwall"]
            del details["onboarding"]
            details.pop("existing", None)
        case PromoteRequest():
            del members["existing"]
        case _:
            assert_never(request)
    return strict_json.encode(members)


def message(tenant_id: TenantId, nonce: str, spki: bytes, body: bytes) -> bytes:
    """Write what is signed: ``spki`` is the new device key's, ``body`` comes from ``spoken_about``."""
    return b"".join(
        (
            _CONTEXT,
            tenant_id.encode("ascii"),
            b"\0",
            nonce.encode("utf-8"),
            hashlib.sha256(spki).digest(),
            hashlib.sha256(body).digest(),
        )
    )


def sign_existing(key: ExistingPrivateKey, data: bytes) -> tuple[Algorithm, bytes]:
    """Sign with the best algorithm of a key; ECDSA answers ``r`` and ``s`` side by side, as RFC 9421 has them."""
    match key:
        case rsa.RSAPrivateKey():
            return "rsa-pss-sha256", key.sign(data, _PSS, hashes.SHA256())
        case ec.EllipticCurvePrivateKey(curve=ec.SECP384R1()):
            return "ecdsa-p384-sha384", _side_by_side(key.sign(data, ec.ECDSA(hashes.SHA384())), 48)
        case _:
            return "ecdsa-p256-sha256", _side_by_side(key.sign(data, ec.ECDSA(hashes.SHA256())), 32)


def check_existing(key: ExistingPublicKey, algorithm: Algorithm, signature: bytes, data: bytes) -> None:
    """Check a proof; the key decides which algorithms can be meant. Raises: BadExistingProofError."""
    try:
        match key, algorithm:
            case rsa.RSAPublicKey(), "rsa-pss-sha256":
                key.verify(signature, data, _PSS, hashes.SHA256())
            case rsa.RSAPublicKey(), "rsa-v1_5-sha256":
                key.verify(signature, data, padding.PKCS1v15(), hashes.SHA256())
            case ec.EllipticCurvePublicKey(curve=ec.SECP256R1()), "ecdsa-p256-sha256":
                key.verify(_der(signature, 32), data, ec.ECDSA(hashes.SHA256()))
            case ec.EllipticCurvePublicKey(curve=ec.SECP384R1()), "ecdsa-p384-sha384":
                key.verify(_der(signature, 48), data, ec.ECDSA(hashes.SHA384()))
            case _:
                raise BadExistingProofError("The algorithm of the proof is not one for this key.")
    except InvalidSignature:
        raise BadExistingProofError(
            "The proof was not made by the key of the certificate, for this tenant, nonce, key and request."
        ) from None


def _side_by_side(der: bytes, size: int) -> bytes:
    r, s = decode_dss_signature(der)
    return r.to_bytes(size, "big") + s.to_bytes(size, "big")


def _der(signature: bytes, size: int) -> bytes:
    if len(signature) != 2 * size:
        raise BadExistingProofError("The proof does not have the length of a signature by this key.")
    return encode_dss_signature(int.from_bytes(signature[:size], "big"), int.from_bytes(signature[size:], "big"))
