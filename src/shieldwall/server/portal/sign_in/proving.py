"""Proofs of who somebody is, taken from a request: a passkey's answer, closed before it is looked at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from litestar import Response
from litestar.datastructures import Cookie
from sqlalchemy import Connection as Transaction

from shieldwall.contract.strict_json import encode
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.directory import challenges, passkeys
from shieldwall.server.directory.passkeys import CopiedPasskeyError, InvalidPasskeyError
from shieldwall.server.directory.relying_party import RelyingParty
from shieldwall.server.portal.rendering import HEADERS
from shieldwall.server.portal.sign_in.browsers import Connection, acting_at, secret_for, secret_of
from shieldwall.server.storage.identity.sign_in_attempts import Purpose, SignInAttempt
from shieldwall.server.storage.identity_records import Person


def party_of(services: AdminServices) -> RelyingParty:
    """Return who asks for passkeys at the address that the browser has come to."""
    return RelyingParty.at(services.settings.public_url)


def asked(
    services: AdminServices,
    request: Connection,
    purpose: Purpose,
    *,
    person_id: str | None = None,
    details: Mapping[str, str] | None = None,
) -> tuple[str, Cookie]:
    """Open a question for this browser; return its challenge, and the cookie that has to go along with it."""
    secret, cookie = secret_for(request)
    with services.database.write() as connection:
        acting = acting_at(services, request)
        challenge = challenges.ask(connection, acting, purpose, browser=secret, person_id=person_id, details=details)
    return challenge, cookie


def options_answer(options: Mapping[str, Any], cookie: Cookie) -> Response[bytes]:
    """Write what a browser is asked, as JSON."""
    body = encode(options)
    return Response(body, status_code=200, media_type="application/json", headers=dict(HEADERS), cookies=[cookie])


def close_question(
    services: AdminServices, request: Connection, purpose: Purpose, answer: str, *, person_id: str | None = None
) -> tuple[SignInAttempt, str]:
    """Use up the question that an answer is for, whatever the answer is worth; return it and its challenge.

    Raises:
        InvalidPasskeyError: The answer cannot be read.
        SignInExpiredError: This browser was not asked that.
    """
    challenge = passkeys.challenge_of(answer)
    with services.database.write() as connection:
        attempt = challenges.answered(
            connection,
            acting_at(services, request),
            purpose,
            browser=secret_of(request),
            challenge=challenge,
            person_id=person_id,
        )
    return attempt, challenge


@contextmanager
def proving(services: AdminServices, request: Connection) -> Iterator[Transaction]:
    """Open a transaction in which a passkey's answer is looked at; that one may have been copied is told apart from it.

    Raises:
        CopiedPasskeyError: The alert is raised.
    """
    try:
        with services.database.write() as connection:
            yield connection
    except CopiedPasskeyError as copied:
        with services.database.write() as connection:
            passkeys.tell_of_copy(connection, acting_at(services, request), copied)
        raise


def person_of_answer(
    connection: Transaction,
    services: AdminServices,
    request: Connection,
    *,
    answer: str,
    attempt: SignInAttempt,
    challenge: str,
) -> Person:
    """Return whose passkey has answered. Whoever typed a name is let in under that name alone.

    Raises:
        InvalidPasskeyError, CopiedPasskeyError: As ``passkeys.authenticate``.
    """
    acting = acting_at(services, request)
    person, _ = passkeys.authenticate(connection, acting, party_of(services), answer=answer, challenge=challenge)
    is_named = "named" in attempt.details or attempt.person_id is not None
    if is_named and attempt.person_id != person.id:
        raise InvalidPasskeyError("This passkey belongs to somebody else.")
    return person
