"""What a browser is asked while somebody signs in, and the one answer that is taken for it.

Each question holds 256 random bits. We keep a digest of them together with what they are for and with a secret that
the browser holds in a cookie: an answer for another purpose, from another browser, twice or too late finds nothing.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Final

from sqlalchemy import Connection

from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import Digest
from shieldwall.contract.strict_json import digest_of
from shieldwall.server.directory.acting import Acting
from shieldwall.server.storage.identity import sign_in_attempts
from shieldwall.server.storage.identity.sign_in_attempts import Purpose, SignInAttempt

CHALLENGE_LIFETIME: Final = timedelta(minutes=5)


class SignInExpiredError(ShieldwallError):
    """The answer belongs to no question that is open in this browser: too late, used already, or never asked."""

    code = "signInExpired"
    remedy = "Open the page again and repeat what you did there, within five minutes and in one browser."


def new_challenge() -> str:
    """Make 256 random bits, as base64url."""
    return secrets.token_urlsafe(32)


def ask(
    connection: Connection,
    acting: Acting,
    purpose: Purpose,
    *,
    browser: str,
    person_id: str | None = None,
    details: Mapping[str, str] | None = None,
    make_challenge: Callable[[], str] = new_challenge,
) -> str:
    """Open a question and return its challenge. ``browser`` is the secret of the browser's cookie."""
    now = acting.clock.now()
    challenge = make_challenge()
    sign_in_attempts.remove_expired(connection, now)
    sign_in_attempts.add(
        connection,
        SignInAttempt(
            digest=_digest(purpose, browser, challenge),
            tenant_id=acting.tenant_id,
            kind=purpose,
            person_id=person_id,
            details=dict(details or {}),
            expires_at=now + CHALLENGE_LIFETIME,
        ),
    )
    return challenge


def answered(
    connection: Connection,
    acting: Acting,
    purpose: Purpose,
    *,
    browser: str,
    challenge: str,
    person_id: str | None = None,
) -> SignInAttempt:
    """Close a question. Commit this before the answer is looked at, so that a wrong answer uses it up as well.

    ``person_id`` is who is signed in, where somebody is: a question put to one person is not answered by another.

    Raises:
        SignInExpiredError: There is no such question.
    """
    attempt = sign_in_attempts.take(connection, _digest(purpose, browser, challenge), acting.clock.now())
    if attempt is None or (person_id is not None and attempt.person_id != person_id):
        raise SignInExpiredError("This browser was not asked that, or too long ago.")
    return attempt


def _digest(purpose: Purpose, browser: str, challenge: str) -> Digest:
    return digest_of([purpose.value, browser, challenge])
