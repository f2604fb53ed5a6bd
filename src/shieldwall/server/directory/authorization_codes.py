"""Codes that an application gets when a person signed in to it, and exchanges for tokens once (RFC 6749, RFC 7636).

A code is good for one minute, for one application, for the address it was sent to, and for whoever knows the verifier
of its challenge. Used twice, it takes back all that came of it.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import urlsafe_b64encode
from collections.abc import Callable
from datetime import timedelta
from typing import Final

from sqlalchemy import Connection

from shieldwall.server.directory.access_tokens import SignIn
from shieldwall.server.directory.acting import Acting
from shieldwall.server.directory.opaque_tokens import digest_of_token, new_opaque_token
from shieldwall.server.directory.resource_names import WantedScopes
from shieldwall.server.storage.grant_records import AuthorizationCode
from shieldwall.server.storage.identity import authorization_codes, refresh_tokens
from shieldwall.server.storage.identity_records import App

LIFETIME: Final = timedelta(minutes=1)
CHALLENGE: Final = re.compile(r"[A-Za-z0-9_-]{43}\Z")
"""A ``code_challenge`` of the method S256."""
_VERIFIER: Final = re.compile(r"[A-Za-z0-9._~-]{43,128}\Z")


def issue(
    connection: Connection,
    acting: Acting,
    app: App,
    signed_in: SignIn,
    wanted: WantedScopes,
    *,
    scopes: tuple[str, ...],
    redirect_uri: str,
    code_challenge: str,
    nonce: str,
    make_code: Callable[[], str] = new_opaque_token,
) -> str:
    """Make the code for an application that a person signed in to; ``scopes`` are the permissions granted."""
    code = make_code()
    authorization_codes.add(
        connection,
        AuthorizationCode(
            digest=digest_of_token(code),
            tenant_id=app.tenant_id,
            client_id=app.client_id,
            person_id=signed_in.person.id,
            family_id=acting.new_id(),
            redirect_uri=redirect_uri,
            code_challenge=code_challenge,
            audience=wanted.audience,
            scopes=(*sorted(wanted.openid), *scopes),
            nonce=nonce,
            proved_at=signed_in.proved_at,
            method=signed_in.method,
            expires_at=acting.clock.now() + LIFETIME,
        ),
    )
    acting.record(connection, "app.signedInTo", "app", app.client_id, name=app.display_name, person=signed_in.person.id)
    return code


def redeem(
    connection: Connection, acting: Acting, app: App, *, code: str, redirect_uri: str, verifier: str
) -> AuthorizationCode | None:
    """Use a code up and return what it stands for, or ``None`` where it is not good.

    A second use takes back the tokens of the first: one of the two was a thief's (RFC 6749 section 4.1.2). That has
    to be committed, so it is no error here.
    """
    now = acting.clock.now()
    found = authorization_codes.find(connection, app.tenant_id, digest_of_token(code))
    if found is None or found.client_id != app.client_id:
        return None
    if found.used_at is not None or not _is_for(found, redirect_uri, verifier) or now >= found.expires_at:
        if found.used_at is not None:
            _take_back(connection, acting, found)
        return None
    if not authorization_codes.use(connection, app.tenant_id, found.digest, now):
        _take_back(connection, acting, found)
        return None
    return found


def challenge_of(verifier: str) -> str:
    """Return the challenge of a verifier by the method S256 (RFC 7636 section 4.2)."""
    return urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")


def _is_for(code: AuthorizationCode, redirect_uri: str, verifier: str) -> bool:
    if not _VERIFIER.match(verifier) or redirect_uri != code.redirect_uri:
        return False
    return hmac.compare_digest(challenge_of(verifier), code.code_challenge)


def _take_back(connection: Connection, acting: Acting, code: AuthorizationCode) -> None:
    refresh_tokens.remove_family(connection, code.tenant_id, code.family_id)
    acting.record(connection, "app.codeUsedTwice", "app", code.client_id, person=code.person_id)
