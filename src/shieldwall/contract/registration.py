"""The device protocol's first and rare words: how a device gets, keeps and changes its identity.

``nonce`` → ``device`` (register: an identity at once, or pending) → ``attest`` where a TPM is asked for; later
``renew``, ``keyChange``, ``promote``, and ``resync`` after a disk was set back. What is said every day is in
``contract.messages``.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from shieldwall.contract.ids import DeviceIdField, PackageIdField, TenantIdField
from shieldwall.contract.messages import DeviceFacts, HardwareIds, InstanceId, Name, Sequence

Blob = Annotated[str, msgspec.Meta(max_length=8192)]
"""Bytes in base64."""


class NonceAnswer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """A registration nonce, good for five minutes and one registration."""

    nonce: Annotated[str, msgspec.Meta(max_length=512)]
    server_time: str


class CertificateRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="pascal"):
    """A PKCS #10 request, base64 of DER, by the key the device will use from now on."""

    type: Literal["pkcs10"]
    data: Annotated[str, msgspec.Meta(max_length=8192)]


class RegistrationAttributes(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="pascal"):
    """Attributes of MS-DRS that clients send."""

    reuse_device: bool = False


class OnboardingProof(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Proof of holding an onboarding package, bound to nonce and new key. The secret itself never travels."""

    package_id: PackageIdField
    mac: Annotated[str, msgspec.Meta(max_length=64)]


class ExistingRegistrationProof(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, rename="camel"
):
    """Proof of holding the key of a registration that the directory has already.

    ``certificate`` and ``chain`` are base64 of DER; ``signature`` speaks about tenant, nonce, new key and body
    (``trust.key_proofs``).
    """

    certificate: Blob
    chain: Annotated[tuple[Blob, ...], msgspec.Meta(max_length=4)] = ()
    algorithm: Literal["ecdsa-p256-sha256", "ecdsa-p384-sha384", "rsa-pss-sha256", "rsa-v1_5-sha256"]
    signature: Blob


class AttestationOffer(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, rename="camel"
):
    """What a device with a TPM shows of it: endorsement key, attestation key and device key as TPM structures."""

    endorsement_public: Blob
    endorsement_certificate: Blob | None = None
    endorsement_chain: Annotated[tuple[Blob, ...], msgspec.Meta(max_length=3)] = ()
    """Certificates that lead from that one to its maker's authority, where the TPM holds them."""
    attestation_public: Blob
    device_public: Blob


class AttestationChallenge(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """A secret that only the TPM with this endorsement key, holding this attestation key, can open (MakeCredential)."""

    credential_blob: Blob
    encrypted_secret: Blob
    expires: str


class RegistrationDetails(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, rename="camel"
):
    """What MS-DRS has no place for."""

    instance_id: InstanceId
    hardware: HardwareIds
    agent_version: Name
    protocol: Annotated[int, msgspec.Meta(ge=1)]
    onboarding: OnboardingProof
    existing: ExistingRegistrationProof | None = None
    attestation: AttestationOffer | None = None
    facts: DeviceFacts | None = None
    """What groups may ask for and the survey's finding, so that the first target is the right one."""


class RegisterRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="pascal"):
    """Ask for an identity. Field names are those of MS-DRS."""

    certificate_request: CertificateRequest
    join_type: Literal["synthetic", "full"]
    device_display_name: Name
    device_type: Literal["Linux", "Windows", "macOS"]
    operating_system_version: Name = msgspec.field(name="OSVersion")
    target_domain: Name = ""
    attributes: RegistrationAttributes = RegistrationAttributes()
    shieldwall: RegistrationDetails = msgspec.field(name="shieldwall")


class RegisterAnswer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """The identity (201): id, certificate (PEM, leaf first), and where the sequence starts."""

    tenant_id: TenantIdField
    device_id: DeviceIdField
    certificate: str
    epoch: Sequence
    next_check_in_seconds: int
    server_time: str


PendingReason = Literal["approval", "duplicateHardware", "attestation"]


class PendingAnswer(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, rename="camel"
):
    """Registered, and not let in yet (202): the same request again after ``retry_after_seconds`` asks how it stands."""

    tenant_id: TenantIdField
    device_id: DeviceIdField
    reason: PendingReason
    retry_after_seconds: Annotated[int, msgspec.Meta(ge=1, le=86_400)]
    server_time: str
    challenge: AttestationChallenge | None = None


class AttestRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """The answer to a challenge: the secret, and the attestation key's word about the device key (TPM2_Certify)."""

    secret: Blob
    certify_info: Blob
    signature: Blob


class RenewRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Ask for a new certificate for the same key."""

    seq: Sequence
    epoch: Sequence


class RenewAnswer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """The new certificate, PEM."""

    certificate: str
    server_time: str


class ChallengeRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """A device that is in already asks to be challenged, for a key that is new or for a server that trusts more now."""

    seq: Sequence
    epoch: Sequence
    attestation: AttestationOffer


class KeyChangeRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Ask to be known by another key from now on. The old key signs the request, the new one stands behind its CSR."""

    seq: Sequence
    epoch: Sequence
    certificate_request: CertificateRequest


class KeyChangeAnswer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """The certificate of the new key; sequence and epoch go on."""

    certificate: str
    server_time: str


class PromoteRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """A synthetic registration becomes the full one that has appeared: signed by the synthetic key, proven by the full.

    The answer is a ``RegisterAnswer`` under the id of the full registration, for a new device key (the CSR's).
    """

    seq: Sequence
    epoch: Sequence
    certificate_request: CertificateRequest
    existing: ExistingRegistrationProof
    instance_id: InstanceId


class ResyncRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """A device whose numbers were refused asks to count anew; ``nonce`` is the server's, and good once."""

    nonce: Annotated[str, msgspec.Meta(max_length=512)]
    instance_id: InstanceId
    boot_id: Name
    hardware: HardwareIds
    reason: Name


class ResyncAnswer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """The epoch to go on in; numbers start again after 0."""

    epoch: Sequence
    server_time: str
