"""Signing in where there is no browser: the program shows a short code, a person types it elsewhere (RFC 8628).

Offered only where the server's settings switch it on: whoever talks a person into typing a code is let in.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final

from sqlalchemy import Connection

from shieldwall.contract.ids import TenantId
from shieldwall.server.directory.access_tokens import SignIn
from shieldwall.server.directory.acting import Acting
from shieldwall.server.directory.opaque_tokens import digest_of_token, new_opaque_token
from shieldwall.server.directory.refresh_tokens import PersonGrant, signed_in_person
from shieldwall.server.directory.resource_names import WantedScopes
from shieldwall.server.storage.grant_records import DeviceCode, DeviceCodeState
from shieldwall.server.storage.identity import device_codes
from shieldwall.server.storage.identity_records import App, ProofMethod

LIFETIME: Final = timedelta(minutes=10)
INTERVAL: Final = timedelta(seconds=5)
"""How long a program waits between two questions."""
_LETTERS: Final = "BCDFGHJKLMNPQRSTVWXZ"
"""No vowels, so that no code is a word (RFC 8628 section 6.1)."""
_LENGTH: Final = 8


class Asked(StrEnum):
    """What a program is told that asks whether the person has decided."""

    PENDING = "authorization_pending"
    TOO_SOON = "slow_down"
    DENIED = "authorization_declined"
    EXPIRED = "expired_token"
    UNKNOWN = "bad_verification_code"


@dataclass(frozen=True, slots=True)
class Started:
    """What the program asks with, and what the person types."""

    device_code: str
    user_code: str


def new_user_code() -> str:
    """Make what a person types: eight consonants, 34 bits."""
    return "".join(secrets.choice(_LETTERS) for _ in range(_LENGTH))


def start(
    connection: Connection,
    acting: Acting,
    app: App,
    wanted: WantedScopes,
    *,
    scopes: tuple[str, ...],
    make_code: Callable[[], str] = new_opaque_token,
    make_user_code: Callable[[], str] = new_user_code,
) -> Started:
    """Begin; ``scopes`` are the permissions that the program gets once a person says yes."""
    started, now = Started(make_code(), make_user_code()), acting.clock.now()
    device_codes.add(
        connection,
        DeviceCode(
            digest=digest_of_token(started.device_code),
            tenant_id=app.tenant_id,
            client_id=app.client_id,
            user_code=started.user_code,
            audience=wanted.audience,
            scopes=(*sorted(wanted.openid), *scopes),
            state=DeviceCodeState.PENDING,
            asked_at=now,
            expires_at=now + LIFETIME,
        ),
    )
    return started


def find_pending(connection: Connection, tenant_id: TenantId, acting: Acting, typed: str) -> DeviceCode | None:
    """Return what waits under the code that a person typed, in any case and with any marks between, or ``None``."""
    user_code = "".join(letter for letter in typed.upper() if letter in _LETTERS)
    found = device_codes.find_by_user_code(connection, tenant_id, user_code) if len(user_code) == _LENGTH else None
    if found is None or found.state is not DeviceCodeState.PENDING or acting.clock.now() >= found.expires_at:
        return None
    return found


def decide(connection: Connection, acting: Acting, code: DeviceCode, signed_in: SignIn, *, approve: bool) -> bool:
    """Note what a person decided; tell whether it was still theirs to decide."""
    state = DeviceCodeState.APPROVED if approve else DeviceCodeState.DENIED
    method = signed_in.method.value
    moved = device_codes.move(
        connection, code, state, person_id=signed_in.person.id, proved_at=signed_in.proved_at, method=method
    )
    if moved and approve:
        acting.record(connection, "app.signedInTo", "app", code.client_id, person=signed_in.person.id, by="deviceCode")
    return moved


def ask(connection: Connection, acting: Acting, app: App, device_code: str) -> PersonGrant | Asked:
    """Return the leave that a person gave, once; until then, what to tell the program."""
    now = acting.clock.now()
    found = device_codes.find(connection, app.tenant_id, digest_of_token(device_code))
    if found is None or found.client_id != app.client_id or found.state is DeviceCodeState.USED:
        return Asked.UNKNOWN
    if now >= found.expires_at:
        return Asked.EXPIRED
    too_soon = now - found.asked_at < INTERVAL
    device_codes.asked(connection, app.tenant_id, found.digest, now)
    match found.state:
        case DeviceCodeState.DENIED:
            return Asked.DENIED
        case DeviceCodeState.APPROVED if found.person_id is not None and found.proved_at is not None:
            issued = max(found.expires_at - LIFETIME, found.proved_at)  # people may come after their program asked
            signed_in = signed_in_person(
                connection,
                app,
                found.person_id,
                proved_at=found.proved_at,
                method=ProofMethod(found.method),
                issued_at=issued,
            )
            used = device_codes.move(
                connection,
                found,
                DeviceCodeState.USED,
                person_id=found.person_id,
                proved_at=found.proved_at,
                method=found.method,
            )
            if signed_in is None or not used:
                return Asked.DENIED
            return PersonGrant(
                family_id=acting.new_id(), signed_in=signed_in, audience=found.audience, scopes=found.scopes
            )
        case _:
            return Asked.TOO_SOON if too_soon else Asked.PENDING
