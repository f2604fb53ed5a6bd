"""Is a device's key in a TPM? What the server asks and checks, without a TPM of its own.

1. The device shows three public areas: its TPM's endorsement key, an attestation key, its device key.
2. The server seals a secret for that endorsement key under the name of the attestation key (``make_credential``).
3. The device gives back the secret: both keys are in one TPM. With it goes the attestation key's statement that the
   device key is there too (TPM2_Certify). That key is restricted: it signs nothing but what its TPM says itself.

The names that seal and statement speak of are hashes over everything the TPM promises about a key, so a key that could
leave its TPM has another name. Whether the TPM is one to trust is another question: ``trust.endorsement``.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from typing import Final

from cryptography import x509
from msgspec import Struct

from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import DeviceId, Digest, TenantId
from shieldwall.contract.registration import AttestationOffer, AttestRequest
from shieldwall.trust import strict_base64, tpm
from shieldwall.trust.device_key import PublicKey, is_signed_by, public_key_bytes
from shieldwall.trust.endorsement import endorsement_hash, read_certificate, read_endorsement_certificate
from shieldwall.trust.tpm_credential import Credential, make_credential

_CONTEXT: Final = b"shieldwall-attest-v1\0"


class UnsuitableTpmKeyError(ShieldwallError):
    """A key of the TPM lacks a promise that attestation rests on, or may do more than it should."""

    code = "attestationUnsuitable"
    remedy = "Let the agent make the keys in the TPM anew; it asks for exactly the attributes that are needed."


class AttestationMismatchError(ShieldwallError):
    """The keys offered are not those of this registration."""

    code = "attestationMismatch"
    remedy = "Offer the TPM structures of the very key that the certificate request is signed with."


class AttestationFailedError(ShieldwallError):
    """The device did not prove that its key is in the TPM it showed."""

    code = "attestationFailed"
    remedy = "Register again for a new challenge; if it fails again, the key is not in that TPM."


class OfferedTpm(Struct, frozen=True, kw_only=True):
    """A TPM as a device shows it. Nothing is proven yet, but all parts are of the right kind and fit together."""

    endorsement: tpm.EndorsementPublicKey
    hash: Digest
    certificate: x509.Certificate | None
    chain: tuple[x509.Certificate, ...]
    attestation_key: PublicKey
    attestation_name: bytes
    device_name: bytes


def read_offer(offer: AttestationOffer, device_key: PublicKey) -> OfferedTpm:
    """Read what a device shows of its TPM; ``device_key`` is the key of its registration.

    Raises:
        MalformedTpmStructureError: A part is not the structure it should be.
        UnsuitableTpmKeyError: A key has other attributes than attestation needs.
        AttestationMismatchError: The device key is another one.
        BadEndorsementCertificateError: The certificate cannot be read, or is another key's.
    """
    endorsement_area = _area(offer.endorsement_public)
    _demand(endorsement_area, tpm.ENDORSEMENT_KEY, "endorsement", policy=tpm.ENDORSEMENT_POLICY)
    attestation_area = _area(offer.attestation_public)
    _demand(attestation_area, tpm.ATTESTATION_KEY, "attestation")
    device_area = _area(offer.device_public)
    _demand(device_area, tpm.DEVICE_KEY, "device")
    if public_key_bytes(tpm.curve_key(device_area)) != public_key_bytes(device_key):
        raise AttestationMismatchError("The device key shown by the TPM is not the key that is being registered.")
    endorsement = tpm.endorsement_key(endorsement_area)
    certificate = None
    if offer.endorsement_certificate is not None:
        certificate = read_endorsement_certificate(_bytes(offer.endorsement_certificate), endorsement)
    return OfferedTpm(
        endorsement=endorsement,
        hash=endorsement_hash(endorsement),
        certificate=certificate,
        chain=tuple(map(read_certificate, map(_bytes, offer.endorsement_chain))),
        attestation_key=tpm.curve_key(attestation_area),
        attestation_name=attestation_area.name,
        device_name=device_area.name,
    )


def challenge(offered: OfferedTpm, secret: bytes, make_random: Callable[[int], bytes]) -> Credential:
    """Seal a secret that only this TPM can open, and only while it holds this attestation key."""
    return make_credential(offered.endorsement, offered.attestation_name, secret, make_random)


def qualifier(tenant_id: TenantId, device_id: DeviceId, secret: bytes) -> bytes:
    """Return what the statement about the device key has to carry, so that it is about this challenge."""
    return hashlib.sha256(_CONTEXT + tenant_id.encode() + b"\0" + device_id.encode() + b"\0" + secret).digest()


def secret_digest(secret: bytes) -> Digest:
    """Return by what a secret is known again without being kept."""
    return Digest(hashlib.sha256(_CONTEXT + secret).hexdigest())


def check_answer(
    offered: OfferedTpm, answer: AttestRequest, *, expected: Digest, tenant_id: TenantId, device_id: DeviceId
) -> None:
    """Believe that the device key is in the TPM shown, or say why not; ``expected`` is the secret's digest.

    Raises:
        MalformedTpmStructureError: A part is not the structure it should be.
        AttestationFailedError: The proof does not hold.
    """
    secret = _bytes(answer.secret)
    if not hmac.compare_digest(secret_digest(secret), expected):
        raise AttestationFailedError("The secret of the challenge is another one.")
    statement = _bytes(answer.certify_info)
    if not is_signed_by(offered.attestation_key, _bytes(answer.signature), statement):
        raise AttestationFailedError("The statement about the device key is not signed by the attestation key.")
    certification = tpm.read_certification(statement)
    if certification.name != offered.device_name:
        raise AttestationFailedError("The attestation key speaks about another key than the device's.")
    if certification.qualifier != qualifier(tenant_id, device_id, secret):
        raise AttestationFailedError("The statement about the device key was not made for this challenge.")


def _area(blob: str) -> tpm.PublicArea:
    return tpm.read_public_area(_bytes(blob))


def _bytes(blob: str) -> bytes:
    try:
        return strict_base64.decode(blob)
    except ValueError:
        raise tpm.MalformedTpmStructureError("A part of the attestation is not base64.") from None


def _demand(area: tpm.PublicArea, attributes: tpm.Attribute, kind: str, *, policy: bytes = b"") -> None:
    """Demand exactly the promises expected.

    A policy is refused where none is needed: with one that anybody can satisfy, a TPM might work with the public half
    of a key alone.
    """
    if area.attributes != attributes or area.policy != policy:
        raise UnsuitableTpmKeyError(f"The {kind} key of the TPM has other attributes than it must have.")
    parent = bool(attributes & tpm.Attribute.DECRYPT)
    if area.is_storage != parent or area.scheme != (tpm.ALGORITHM_NULL if parent else tpm.ALGORITHM_ECDSA):
        raise UnsuitableTpmKeyError(f"The {kind} key of the TPM is made for another purpose.")
