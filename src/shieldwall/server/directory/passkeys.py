"""Passkeys: how people show who they are with nothing that could be told to somebody else (WebAuthn Level 3).

What browsers are asked is in ``relying_party``; here their answers are looked at. Every answer needs the user to be
verified, by a finger, a face or a PIN.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

from sqlalchemy import Connection
from webauthn import verify_authentication_response, verify_registration_response
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url, parse_client_data_json

from shieldwall.contract.errors import InvalidJsonError, ShieldwallError
from shieldwall.contract.strict_json import decode_any, digest_of_bytes, encode
from shieldwall.server.directory.acting import Acting
from shieldwall.server.directory.names import is_name
from shieldwall.server.directory.relying_party import TRANSPORTS, RelyingParty, user_handle
from shieldwall.server.storage.errors import NotFoundError
from shieldwall.server.storage.events import alerts
from shieldwall.server.storage.events.alerts import Alert, Severity
from shieldwall.server.storage.identity import passkeys, people
from shieldwall.server.storage.identity.passkeys import Passkey
from shieldwall.server.storage.identity_records import Person

MOST_PASSKEYS: Final = 20
"""How many one person may have."""
LONGEST_ANSWER: Final = 64 * 1024
LONGEST_NAME: Final = 64
ALERT: Final = "passkeyCopied"
"""Kind of the alert that a passkey counted backwards."""
_LONGEST_CREDENTIAL_ID: Final = 1_023

T = TypeVar("T")


class InvalidPasskeyError(ShieldwallError):
    """The browser's answer does not show who somebody is; what is wrong with it is not told to strangers."""

    code = "invalidPasskey"
    remedy = "Try again, with a passkey that you registered here."


class PasskeyNotRegisteredError(ShieldwallError):
    """A passkey cannot be added, or be called so."""

    code = "passkeyNotRegistered"
    remedy = "Try again, with an authenticator that checks a finger, a face or a PIN, and give it a name."


class LastPasskeyError(ShieldwallError):
    """Nobody locks themselves out: the last passkey of a person is removed by another administrator alone."""

    code = "lastPasskey"
    remedy = "Add another passkey first, or ask another administrator to remove this one."


class CopiedPasskeyError(ShieldwallError):
    """A passkey counted backwards: there may be a copy of it."""

    code = "passkeyCopied"
    remedy = "Sign in with another passkey, remove this one and find out who may have had it."

    def __init__(self, passkey: Passkey, counted: int) -> None:
        super().__init__("This passkey has counted its uses differently than this server has.")
        self.passkey = passkey
        self.counted = counted


def challenge_of(answer: str) -> str:
    """Read which challenge an answer is for; nothing about it is believed yet. Raises: InvalidPasskeyError."""
    parsed = _parsed(answer)
    client_data = _understood(lambda: parse_client_data_json(base64url_to_bytes(parsed["response"]["clientDataJSON"])))
    if client_data.cross_origin:
        raise InvalidPasskeyError("The passkey was asked for inside the page of somebody else.")
    return bytes_to_base64url(client_data.challenge)


def register(
    connection: Connection,
    acting: Acting,
    party: RelyingParty,
    person: Person,
    *,
    answer: str,
    challenge: str,
    display_name: str,
) -> Passkey:
    """Add the passkey that a browser has made.

    Raises:
        InvalidPasskeyError: The answer does not fit.
        PasskeyNotRegisteredError: It is known already, there are too many, or the name cannot be one.
    """
    _check_name(display_name)
    if len(passkeys.of_person(connection, person.id)) >= MOST_PASSKEYS:
        raise PasskeyNotRegisteredError(f"Nobody has more than {MOST_PASSKEYS} passkeys.", remedy="Remove one first.")
    parsed = _parsed(answer)
    verified = _understood(
        lambda: verify_registration_response(
            credential=parsed,
            expected_challenge=base64url_to_bytes(challenge),
            expected_rp_id=party.id,
            expected_origin=party.origin,
            require_user_verification=True,
        )
    )
    digest = digest_of_bytes(verified.credential_id)
    if len(verified.credential_id) > _LONGEST_CREDENTIAL_ID or passkeys.find(connection, digest) is not None:
        raise PasskeyNotRegisteredError("This passkey is registered already.", remedy="Use another authenticator.")
    made = Passkey(
        digest=digest,
        tenant_id=person.tenant_id,
        person_id=person.id,
        credential_id=verified.credential_id,
        public_key=verified.credential_public_key,
        sign_count=verified.sign_count,
        display_name=display_name,
        authenticator=verified.aaguid,
        transports=_transports(parsed),
        backed_up=verified.credential_backed_up,
        created_at=acting.clock.now(),
    )
    passkeys.add(connection, made)
    acting.record(connection, "passkey.added", "person", person.id, name=display_name, person=person.display_name)
    return made


def authenticate(
    connection: Connection, acting: Acting, party: RelyingParty, *, answer: str, challenge: str
) -> tuple[Person, Passkey]:
    """Return whose passkey has signed the challenge, and note the use.

    Raises:
        InvalidPasskeyError: Nobody's here, or not of this challenge, or the person is switched off.
        CopiedPasskeyError: Somebody's, and it may be a copy; ``tell_of_copy`` is for whoever catches it.
    """
    parsed = _parsed(answer)
    known = _known(connection, parsed)
    person = people.find(connection, known.person_id)
    result = _understood(
        lambda: verify_authentication_response(
            credential=parsed,
            expected_challenge=base64url_to_bytes(challenge),
            expected_rp_id=party.id,
            expected_origin=party.origin,
            credential_public_key=known.public_key,
            credential_current_sign_count=0,  # compared below, where a copy is told apart from a mistake
            require_user_verification=True,
        )
    )
    handle = parsed["response"].get("userHandle")
    if person is None or not person.enabled or (handle and _bytes(handle) != user_handle(person)):
        raise _unknown()
    counted = result.new_sign_count
    is_ahead = counted > known.sign_count or counted == known.sign_count == 0
    if not is_ahead or not passkeys.used(
        connection, known, sign_count=counted, backed_up=result.credential_backed_up, at=acting.clock.now()
    ):
        raise CopiedPasskeyError(known, counted)
    return person, known


def tell_of_copy(connection: Connection, acting: Acting, copied: CopiedPasskeyError) -> None:
    """Alert the tenant that a passkey may have been copied; in a transaction of its own, for the sign-in failed."""
    passkey, now = copied.passkey, acting.clock.now()
    person = people.find(connection, passkey.person_id)
    name = person.display_name if person is not None else passkey.person_id
    counters = {"known": passkey.sign_count, "counted": copied.counted}
    there = acting.within(passkey.tenant_id)
    there.record(connection, "passkey.refused", "person", passkey.person_id, name=passkey.display_name, **counters)
    alerts.raise_alert(
        connection,
        Alert(
            id=acting.new_id(),
            tenant_id=passkey.tenant_id,
            device_id=None,
            kind=ALERT,
            severity=Severity.HIGH,
            title=f"A passkey of {name[:128]} may have been copied: its counter went back",
            details=encode({"person": passkey.person_id, "passkey": passkey.display_name, **counters}).decode(),
            first_at=now,
            last_at=now,
        ),
    )


def get(connection: Connection, person: Person, digest: str) -> Passkey:
    """Return a passkey of a person. Raises: NotFoundError."""
    found = next((each for each in passkeys.of_person(connection, person.id) if each.digest == digest), None)
    if found is None:
        raise NotFoundError(f"There is no passkey {digest[:64]}.")
    return found


def rename(connection: Connection, acting: Acting, person: Person, digest: str, display_name: str) -> None:
    """Give a passkey another name. Raises: NotFoundError, PasskeyNotRegisteredError."""
    passkey = get(connection, person, digest)
    _check_name(display_name)
    passkeys.rename(connection, passkey.digest, display_name)
    details = {"name": display_name, "before": passkey.display_name}
    acting.record(connection, "passkey.renamed", "person", person.id, **details)


def remove(connection: Connection, acting: Acting, person: Person, digest: str, *, has_other_way: bool) -> None:
    """Remove a passkey.

    ``has_other_way`` says that the person gets in otherwise: at an identity provider, or that it is another
    administrator who removes it, who can make a one-time code for them.

    Raises:
        NotFoundError: The person has none that is called so.
        LastPasskeyError: It is the last way in.
    """
    passkey = get(connection, person, digest)
    if not has_other_way and len(passkeys.of_person(connection, person.id)) == 1:
        raise LastPasskeyError(f"{passkey.display_name} is the only passkey of {person.display_name}.")
    passkeys.remove(connection, passkey.digest)
    acting.record(
        connection, "passkey.removed", "person", person.id, name=passkey.display_name, person=person.display_name
    )


def _known(connection: Connection, parsed: dict[str, Any]) -> Passkey:
    identifier = parsed.get("id")
    found = passkeys.find(connection, digest_of_bytes(_bytes(identifier)))
    if found is None:
        raise _unknown()
    return found


def _unknown() -> InvalidPasskeyError:
    return InvalidPasskeyError("This passkey is not one that is registered here.")


def _check_name(display_name: str) -> None:
    if not is_name(display_name, LONGEST_NAME):
        raise PasskeyNotRegisteredError(f"The name of a passkey has 1 to {LONGEST_NAME} plain characters.")


def _parsed(answer: str) -> dict[str, Any]:
    """Read an answer as strict JSON of the shape that ``PublicKeyCredential.toJSON`` gives."""
    try:
        value = decode_any(answer.encode("utf-8", "replace")) if len(answer) <= LONGEST_ANSWER else None
    except InvalidJsonError:
        value = None
    if not isinstance(value, dict) or not isinstance(value.get("response"), dict):
        raise InvalidPasskeyError("The browser's answer cannot be read.")
    return value


def _transports(parsed: dict[str, Any]) -> tuple[str, ...]:
    named = parsed["response"].get("transports")
    return tuple(sorted(TRANSPORTS.intersection(filter(_is_text, named if isinstance(named, list) else ()))))


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _bytes(text: object) -> bytes:
    if not isinstance(text, str):
        raise _unknown()
    return _understood(lambda: base64url_to_bytes(text))


def _understood(read: Callable[[], T]) -> T:
    try:
        return read()
    except Exception as error:
        raise InvalidPasskeyError("The browser's answer does not fit what it was asked.") from error
