"""What browsers are asked about passkeys: options of WebAuthn Level 3, written as JSON. Pure."""

from __future__ import annotations

import hashlib
import hmac
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from webauthn import generate_authentication_options, generate_registration_options
from webauthn.helpers import base64url_to_bytes, options_to_json_dict
from webauthn.helpers.structs import (
    AttestationConveyancePreference,
    AuthenticatorSelectionCriteria,
    AuthenticatorTransport,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from shieldwall.server.directory.challenges import CHALLENGE_LIFETIME
from shieldwall.server.storage.identity.passkeys import Passkey
from shieldwall.server.storage.identity_records import Person

TRANSPORTS: Final = frozenset(each.value for each in AuthenticatorTransport)
"""The ways to reach an authenticator that there are words for."""
_TIMEOUT_MILLISECONDS: Final = int(CHALLENGE_LIFETIME.total_seconds() * 1_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class RelyingParty:
    """Who asks for passkeys: they work for this host and this address alone."""

    id: str
    origin: str
    name: str = "Shieldwall"

    @classmethod
    def at(cls, public_url: str) -> RelyingParty:
        """Return what the address of the admin center makes of us."""
        host = urlsplit(public_url).hostname
        assert host is not None, "the settings have a checked address"
        return cls(id=host, origin=public_url.removesuffix(":443"))  # browsers leave out the port that is usual


def registration_options(
    party: RelyingParty, person: Person, existing: Iterable[Passkey], challenge: str
) -> dict[str, Any]:
    """Write what a browser is asked to make a passkey: one that needs no name typed, and no second one beside it."""
    options = generate_registration_options(
        rp_id=party.id,
        rp_name=party.name,
        user_id=user_handle(person),
        user_name=person.user_name,
        user_display_name=person.display_name,
        challenge=base64url_to_bytes(challenge),
        timeout=_TIMEOUT_MILLISECONDS,
        attestation=AttestationConveyancePreference.NONE,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED,
            require_resident_key=True,
            user_verification=UserVerificationRequirement.REQUIRED,
        ),
        exclude_credentials=[_descriptor(each) for each in existing],
    )
    return options_to_json_dict(options)


def sign_in_options(
    party: RelyingParty, challenge: str, allowed: Sequence[PublicKeyCredentialDescriptor] = ()
) -> dict[str, Any]:
    """Write what a browser is asked to sign in: by any passkey for us, or by one of those ``allowed``."""
    options = generate_authentication_options(
        rp_id=party.id,
        challenge=base64url_to_bytes(challenge),
        timeout=_TIMEOUT_MILLISECONDS,
        allow_credentials=list(allowed),
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    return options_to_json_dict(options)


def allowed_of(existing: Sequence[Passkey], name: str, key: bytes) -> list[PublicKeyCredentialDescriptor]:
    """Say by which passkeys somebody may sign in who typed a name.

    Who has none, or is not there at all, is answered with one that nobody has: always the same one for a name, so that
    asking tells nobody who exists. ``key`` is a secret of ours.
    """
    if existing:
        return [_descriptor(each) for each in existing]
    made_up = hmac.new(key, b"shieldwall passkey " + name.encode("utf-8", "replace"), hashlib.sha256).digest()
    return [PublicKeyCredentialDescriptor(id=made_up)]


def user_handle(person: Person) -> bytes:
    """Name a person to authenticators: the bytes of their id, which say nothing about them."""
    return uuid.UUID(person.id).bytes


def _descriptor(passkey: Passkey) -> PublicKeyCredentialDescriptor:
    transports = [AuthenticatorTransport(each) for each in passkey.transports]
    return PublicKeyCredentialDescriptor(id=passkey.credential_id, transports=transports or None)
