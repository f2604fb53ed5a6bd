"""Showing the server that the device key lives in this machine's TPM; a key in a file has nothing to show.

1. ``offer`` goes with the registration: endorsement key, attestation key and device key, as the TPM gives them.
2. ``answer`` opens the challenge that comes back and lets the attestation key speak for the device key; ``attest``
   brings that to the server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from shieldwall.agent.host.tpm import Endorsement
from shieldwall.agent.host.tpm_device import TpmError
from shieldwall.agent.service.device_keys import TpmKey, tpm_hash
from shieldwall.agent.service.errors import RegistrationPendingError, UnusableAnswerError
from shieldwall.agent.service.state import AgentState
from shieldwall.contract.ids import DeviceId, Digest, TenantId
from shieldwall.contract.registration import (
    AttestationChallenge,
    AttestationOffer,
    AttestRequest,
    ChallengeRequest,
    RegisterAnswer,
)
from shieldwall.trust import strict_base64
from shieldwall.trust.device_key import SigningKey
from shieldwall.trust.tpm import MODULUS_BYTES, MalformedTpmStructureError

if TYPE_CHECKING:
    from shieldwall.agent.service.gateway import Gateway

_LARGEST_CHAIN: Final = 4_500
"""Bytes of certificates that still fit a registration."""


def offer(key: SigningKey) -> tuple[AttestationOffer, Digest] | None:
    """Show the TPM behind a key, and its hash; ``None`` for a key in a file, or where the TPM does not let us look."""
    if not isinstance(key, TpmKey):
        return None
    try:
        with key.open_tpm() as device:
            endorsement = device.endorsement()
        return _offer(key, endorsement), tpm_hash(endorsement)
    except (TpmError, MalformedTpmStructureError):
        return None


def answer(
    key: SigningKey, challenge: AttestationChallenge, *, tenant_id: TenantId, device_id: DeviceId
) -> AttestRequest:
    """Answer a challenge.

    Raises:
        UnusableAnswerError: The server challenges a key that is in no TPM, or the challenge cannot be read.
        TpmError: The challenge is not for this TPM and its keys, or the TPM fails.
    """
    from shieldwall.trust.attestation import qualifier  # noqa: PLC0415 - megabytes that a rest does without

    if not isinstance(key, TpmKey):
        raise UnusableAnswerError("The server asks a TPM about a key that is in none.")
    try:
        blob = strict_base64.decode(challenge.credential_blob)
        encrypted_seed = strict_base64.decode(challenge.encrypted_secret)
    except ValueError as error:
        raise UnusableAnswerError("The server's challenge cannot be read.") from error
    with key.open_tpm() as device:
        rsa = len(encrypted_seed) == MODULUS_BYTES  # on a curve it is a point, and shorter
        secret = device.activate(key.attestation, rsa=rsa, blob=blob, encrypted_seed=encrypted_seed)
        statement, signature = device.certify(key.key, key.attestation, qualifier(tenant_id, device_id, secret))
    encode = strict_base64.encode
    return AttestRequest(secret=encode(secret), certify_info=encode(statement), signature=encode(signature))


def attest(gateway: Gateway, waits: RegistrationPendingError) -> RegisterAnswer:
    """Prove to a server that lets this device wait for it where the key of this conversation lives.

    Raises:
        RegistrationPendingError: It waits for something else, or for that as well.
        ProblemAnswerError: The server does not believe it.
        UnusableAnswerError, TpmError: The challenge cannot be answered.
        GatewayUnreachableError: No answer; the same registration again asks how it stands.
    """
    asked = waits.answer
    if asked.challenge is None:
        raise waits
    proof = answer(gateway.key, asked.challenge, tenant_id=asked.tenant_id, device_id=asked.device_id)
    path = f"/{asked.tenant_id}/EnrollmentServer/device/{asked.device_id}/attest"
    identity = gateway.ask(path, proof, RegisterAnswer)
    if identity is None or (identity.tenant_id, identity.device_id) != (asked.tenant_id, asked.device_id):
        raise UnusableAnswerError("The server's answer to the attestation names another device.")
    return identity


def attest_anew(state: AgentState, gateway: Gateway) -> bool:
    """Let the TPM prove once more, or for a new key, that the key in use is in it; false where it is in none.

    Raises:
        ShieldwallError: It cannot, or the server does not believe it.
    """
    shown = offer(gateway.key)
    if shown is None:
        return False
    identity = state.get_identity()
    tenant_id, device_id = identity.server.tenant_id, identity.device_id
    path = f"/{tenant_id}/EnrollmentServer/device/{device_id}"
    number = state.next_sequence()
    request = ChallengeRequest(seq=number.seq, epoch=number.epoch, attestation=shown[0])
    challenge = gateway.ask(f"{path}/challenge", request, AttestationChallenge)
    if challenge is None:
        raise UnusableAnswerError("The server's answer holds no challenge.")
    proof = answer(gateway.key, challenge, tenant_id=tenant_id, device_id=device_id)
    gateway.ask(f"{path}/attest", proof, RegisterAnswer)
    return True


def _offer(key: TpmKey, endorsement: Endorsement) -> AttestationOffer:
    encode = strict_base64.encode
    certificate = endorsement.certificate
    fits = sum(map(len, endorsement.chain)) <= _LARGEST_CHAIN
    return AttestationOffer(
        endorsement_public=encode(endorsement.public),
        endorsement_certificate=None if certificate is None else encode(certificate),
        endorsement_chain=tuple(map(encode, endorsement.chain)) if fits else (),
        attestation_public=encode(key.attestation.public),
        device_public=encode(key.key.public),
    )
