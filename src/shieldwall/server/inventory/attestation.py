"""Attestation of a device's key at its registration: what its TPM shows is judged, asked, and believed.

1. ``shown`` reads the offer that comes with a registration, and refuses who must have a TPM to be trusted and has not.
2. ``ask`` keeps a challenge; ``with_challenge`` hands it out, also to a device that has to ask again.
3. ``prove`` takes the answer, once, and says how sure it is now that the key lives in a TPM.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from msgspec.structs import replace as replaced
from sqlalchemy import Connection

from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import DeviceId
from shieldwall.contract.registration import (
    AttestationChallenge,
    AttestationOffer,
    AttestRequest,
    PendingAnswer,
    RegisterAnswer,
    RegistrationDetails,
)
from shieldwall.server.directory.acting import Acting
from shieldwall.server.inventory.endorsements import trusted_by
from shieldwall.server.storage.device_records import AttestationLevel, Device
from shieldwall.server.storage.devices import device_states
from shieldwall.server.storage.onboarding import attestation_challenges
from shieldwall.server.storage.onboarding.attestation_challenges import OpenChallenge
from shieldwall.server.storage.records import OnboardingPackageRecord
from shieldwall.trust import moments, strict_base64
from shieldwall.trust.attestation import (
    AttestationMismatchError,
    OfferedTpm,
    challenge,
    check_answer,
    read_offer,
    secret_digest,
)
from shieldwall.trust.device_key import PublicKey, public_key_from_bytes
from shieldwall.trust.endorsement import TrustedEndorsements, is_endorsed
from shieldwall.trust.tpm_credential import SECRET_BYTES

NONE: Final = "none"
REQUIRED: Final = "tpm-required"
CHALLENGE_LIFETIME: Final = timedelta(minutes=10)
_LEAST_LEFT: Final = timedelta(minutes=5)
"""A challenge is handed out again only while a slow TPM still has time for it."""

MakeRandom = Callable[[int], bytes]


class AttestationRequiredError(ShieldwallError):
    """The package lets in only devices whose key is in a TPM that this tenant trusts."""

    code = "attestationRequired"
    remedy = (
        "Onboard a machine with a TPM 2.0. If it has one, trust its maker or the TPM itself first: "
        "shieldwall attestation trust-maker or trust-tpm."
    )


class NoOpenChallengeError(ShieldwallError):
    """Nothing is asked of this device: it has answered, its time is over, or it was never asked."""

    code = "noOpenChallenge"
    remedy = "Send the same registration again; the answer says how it stands, with a new challenge if one is due."


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownTpm:
    """The offer of a registration, and the TPM read from it."""

    offer: AttestationOffer
    tpm: OfferedTpm


def shown(
    connection: Connection,
    package: OnboardingPackageRecord,
    details: RegistrationDetails,
    device_key: PublicKey,
    now: datetime,
) -> ShownTpm | None:
    """Return the TPM that has to prove itself; ``None`` where the package does not ask or the device does not offer.

    Raises:
        AttestationRequiredError: The package demands a trusted TPM, and there is none.
        ShieldwallError: The offer is malformed or contradicts itself (``trust.attestation.read_offer``).
    """
    if package.attestation == NONE:
        return None
    if details.attestation is None:
        if package.attestation == REQUIRED:
            raise AttestationRequiredError("The onboarding package demands a TPM, and the device shows none.")
        return None
    offered = read_offer(details.attestation, device_key)
    if details.hardware.tpm_ek_hash not in {None, offered.hash}:
        raise AttestationMismatchError("The device names another TPM than the one it shows.")
    trusted = trusted_by(connection, package.tenant_id)
    if package.attestation == REQUIRED and _level(offered, trusted, now) is not AttestationLevel.TPM:
        raise AttestationRequiredError(
            f"The onboarding package demands a TPM that is trusted; this one is not: {offered.hash}."
        )
    return ShownTpm(offer=details.attestation, tpm=offered)


def ask(
    connection: Connection, device: Device, found: ShownTpm, now: datetime, make_random: MakeRandom
) -> AttestationChallenge:
    """Make a challenge for the TPM that a device has shown, and keep it until it is answered."""
    secret = make_random(SECRET_BYTES)
    sealed = challenge(found.tpm, secret, make_random)
    expires_at = now + CHALLENGE_LIFETIME
    message = AttestationChallenge(
        credential_blob=strict_base64.encode(sealed.blob),
        encrypted_secret=strict_base64.encode(sealed.encrypted_seed),
        expires=moments.write(expires_at),
    )
    attestation_challenges.put(
        connection,
        OpenChallenge(
            device_id=device.id,
            tenant_id=device.tenant_id,
            offer=found.offer,
            challenge=message,
            secret_digest=secret_digest(secret),
            expires_at=expires_at,
        ),
    )
    return message


def ask_anew(
    connection: Connection, device: Device, offer: AttestationOffer, now: datetime, make_random: MakeRandom
) -> AttestationChallenge:
    """Challenge a device that is in already; its level stays as it is until it has answered.

    Raises:
        ShieldwallError: The offer is malformed, contradicts itself or is for another key.
    """
    offered = read_offer(offer, public_key_from_bytes(device.public_key))
    return ask(connection, device, ShownTpm(offer=offer, tpm=offered), now, make_random)


def asked_before(connection: Connection, device_id: DeviceId, now: datetime) -> AttestationChallenge | None:
    """Return what a device is asked still, with time left to answer it; ``None`` where it has to be asked anew."""
    opened = attestation_challenges.find(connection, device_id)
    return None if opened is None or opened.expires_at - now < _LEAST_LEFT else opened.challenge


def with_challenge(
    connection: Connection,
    device: Device,
    answer: RegisterAnswer | PendingAnswer,
    now: datetime,
    make_random: MakeRandom,
) -> RegisterAnswer | PendingAnswer:
    """Add to the answer to a registration what the device's TPM is asked, anew where its time has run out."""
    if not isinstance(answer, PendingAnswer) or answer.reason != "attestation":
        return answer
    opened = attestation_challenges.find(connection, device.id)
    if opened is None:
        return answer
    message = opened.challenge
    if opened.expires_at - now < _LEAST_LEFT:
        message = ask(connection, device, _again(opened, device), now, make_random)
    return replaced(answer, challenge=message, retry_after_seconds=1)


def prove(connection: Connection, acting: Acting, device: Device, answer: AttestRequest) -> Device:
    """Believe what a TPM answers, once, and return the device at the level it has earned.

    Raises:
        NoOpenChallengeError: It is not asked, or not any more.
        AttestationFailedError: The proof does not hold.
        MalformedTpmStructureError: A part of the answer is not the structure it should be.
    """
    now = acting.clock.now()
    opened = attestation_challenges.find(connection, device.id)
    if opened is None or now >= opened.expires_at:
        raise NoOpenChallengeError("The TPM of this device is not asked, or its time has run out.")
    offered = _again(opened, device).tpm
    check_answer(offered, answer, expected=opened.secret_digest, tenant_id=device.tenant_id, device_id=device.id)
    attestation_challenges.remove(connection, device.id)
    level = _level(offered, trusted_by(connection, device.tenant_id), now)
    if not device_states.attest(connection, device.id, device.key_thumbprint, level, offered.hash):
        raise NoOpenChallengeError("The device is known by another key now.")
    acting.record(connection, "device.attested", "device", device.id, name=device.display_name, level=level.value)
    return replace(device, attestation_level=level, tpm_ek_hash=offered.hash)


def _again(opened: OpenChallenge, device: Device) -> ShownTpm:
    """Read an offer that was read before; it is of this device's present key."""
    return ShownTpm(offer=opened.offer, tpm=read_offer(opened.offer, public_key_from_bytes(device.public_key)))


def _level(offered: OfferedTpm, trusted: TrustedEndorsements, now: datetime) -> AttestationLevel:
    endorsed = is_endorsed(offered.endorsement, offered.certificate, offered.chain, trusted, now)
    return AttestationLevel.TPM if endorsed else AttestationLevel.TRUST_ON_FIRST_USE
