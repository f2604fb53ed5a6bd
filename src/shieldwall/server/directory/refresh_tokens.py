"""Refresh tokens: each is good once and brings the next of its family (RFC 9700 section 4.14).

One that comes a second time takes its whole family back. A family ends when it was not used for a day, and two weeks
after the person last showed who they are in any case.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection

from shieldwall.server.directory.access_tokens import SignIn
from shieldwall.server.directory.acting import Acting
from shieldwall.server.directory.opaque_tokens import digest_of_token, new_opaque_token
from shieldwall.server.directory.possession import InvalidProofError
from shieldwall.server.storage.grant_records import AuthorizationCode, RefreshToken
from shieldwall.server.storage.identity import people, refresh_tokens
from shieldwall.server.storage.identity_records import App, ProofMethod

IDLE_LIFETIME: Final = timedelta(days=1)
LONGEST_LIFETIME: Final = timedelta(days=14)


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonGrant:
    """Leave for an application to act for a person, as a code or a refresh token carried it."""

    family_id: str
    signed_in: SignIn
    audience: str
    scopes: tuple[str, ...]
    nonce: str = ""

    @property
    def ends_at(self) -> datetime:
        """When even a family that is in use ends."""
        return self.signed_in.proved_at + LONGEST_LIFETIME


def grant_of_code(connection: Connection, app: App, code: AuthorizationCode, issued_at: datetime) -> PersonGrant | None:
    """Return the leave that a redeemed code gives, or ``None`` where it was taken back meanwhile."""
    signed_in = signed_in_person(
        connection, app, code.person_id, proved_at=code.proved_at, method=code.method, issued_at=issued_at
    )
    if signed_in is None:
        return None
    return PersonGrant(
        family_id=code.family_id, signed_in=signed_in, audience=code.audience, scopes=code.scopes, nonce=code.nonce
    )


def issue(
    connection: Connection,
    app: App,
    grant: PersonGrant,
    *,
    now: datetime,
    key: str | None = None,
    make_token: Callable[[], str] = new_opaque_token,
) -> str:
    """Make the next refresh token of a family.

    That of a public application is bound to ``key``, the thumbprint of the key that it proved to hold, if any; others
    show who they are with every use (RFC 9449 section 5).
    """
    token = make_token()
    refresh_tokens.add(
        connection,
        RefreshToken(
            digest=digest_of_token(token),
            tenant_id=app.tenant_id,
            family_id=grant.family_id,
            client_id=app.client_id,
            person_id=grant.signed_in.person.id,
            audience=grant.audience,
            scopes=grant.scopes,
            proved_at=grant.signed_in.proved_at,
            method=grant.signed_in.method,
            proof_key=key if app.is_public else None,
            issued_at=now,
            expires_at=min(now + IDLE_LIFETIME, grant.ends_at),
        ),
    )
    return token


def redeem(connection: Connection, acting: Acting, app: App, token: str, key: str | None = None) -> PersonGrant | None:
    """Use a refresh token up and return the leave it stands for, or ``None`` where it is not good.

    A token that comes a second time takes back its family. That has to be committed, so it is no error here. Whoever
    has a token and not the ``key`` that it is bound to can do neither.

    Raises:
        InvalidProofError: It is bound to another key.
    """
    now = acting.clock.now()
    found = refresh_tokens.find(connection, app.tenant_id, digest_of_token(token))
    if found is None or found.client_id != app.client_id:
        return None
    if found.proof_key is not None and found.proof_key != key:
        raise InvalidProofError("The refresh token is bound to a key, and comes without a proof of it.")
    if found.used_at is not None or not refresh_tokens.use(connection, app.tenant_id, found.digest, now):
        refresh_tokens.remove_family(connection, app.tenant_id, found.family_id)
        acting.record(connection, "app.refreshTokenUsedTwice", "app", app.client_id, person=found.person_id)
        return None
    if now >= found.expires_at:
        return None
    signed_in = signed_in_person(
        connection,
        app,
        found.person_id,
        proved_at=found.proved_at,
        method=found.method,
        issued_at=found.issued_at,
    )
    if signed_in is None:
        refresh_tokens.remove_family(connection, app.tenant_id, found.family_id)
        return None
    return PersonGrant(family_id=found.family_id, signed_in=signed_in, audience=found.audience, scopes=found.scopes)


def revoke(connection: Connection, acting: Acting, app: App, token: str) -> None:
    """Take back the family of a refresh token, where the application has such a one (RFC 7009)."""
    found = refresh_tokens.find(connection, app.tenant_id, digest_of_token(token))
    if found is not None and found.client_id == app.client_id:
        refresh_tokens.remove_family(connection, app.tenant_id, found.family_id)
        acting.record(connection, "app.refreshTokenRevoked", "app", app.client_id, person=found.person_id)


def signed_in_person(
    connection: Connection, app: App, person_id: str, *, proved_at: datetime, method: ProofMethod, issued_at: datetime
) -> SignIn | None:
    """Return who signed in, or ``None`` where that is worth nothing any more."""
    person = people.find(connection, person_id)
    if person is None or person.tenant_id != app.tenant_id or not person.enabled:
        return None
    if issued_at < person.valid_from or issued_at < app.valid_from:
        return None
    return SignIn(person=person, proved_at=proved_at, method=method)
