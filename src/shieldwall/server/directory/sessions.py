"""Sessions of people in the admin center: begun by a proof of who they are, ended by idleness, time or somebody.

A session ends after fifteen idle minutes, and after eight hours in any case. Its token is 256 random bits, a new one at
every proof, of which we keep the SHA-256 alone.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection

from shieldwall.contract.ids import Digest
from shieldwall.contract.strict_json import digest_of_bytes
from shieldwall.server.directory.acting import Acting
from shieldwall.server.storage.identity import people, sessions
from shieldwall.server.storage.identity_records import Person, ProofMethod, Session

IDLE_LIFETIME: Final = timedelta(minutes=15)
SESSION_LIFETIME: Final = timedelta(hours=8)
NOTE_EVERY: Final = timedelta(minutes=1)
"""How stale the note of a session's last use may be, so that not every page view writes."""
_LONGEST_CLIENT: Final = 256


def new_token() -> str:
    """Make a code or token of 256 random bits."""
    return secrets.token_urlsafe(32)


def digest_of_token(token: str) -> Digest:
    """Name a code or token by what we keep of it."""
    return digest_of_bytes(token.encode("utf-8", "replace"))


def begin(
    connection: Connection,
    acting: Acting,
    person: Person,
    method: ProofMethod,
    *,
    client: str = "",
    make_token: Callable[[], str] = new_token,
) -> tuple[Session, str]:
    """Sign a person in who has just shown who they are; return the session and its token, which we do not keep."""
    now = acting.clock.now()
    token = make_token()
    session = Session(
        token_digest=digest_of_token(token),
        tenant_id=person.tenant_id,
        person_id=person.id,
        display_name=person.display_name,
        created_at=now,
        last_seen_at=now,
        expires_at=now + SESSION_LIFETIME,
        proved_at=now,
        method=method,
        client=client[:_LONGEST_CLIENT],
    )
    sessions.remove_expired(connection, now)
    sessions.add(connection, session)
    people.signed_in(connection, person.id, now)
    _record(connection, acting, session, "administrator.signedIn", method=method.value)
    return session, token


def prove_again(
    connection: Connection,
    acting: Acting,
    session: Session,
    method: ProofMethod,
    *,
    make_token: Callable[[], str] = new_token,
) -> tuple[Session, str]:
    """Note a fresh proof: the session goes on under another token, and ends when it would have ended."""
    now = acting.clock.now()
    token = make_token()
    renewed = replace(session, token_digest=digest_of_token(token), last_seen_at=now, proved_at=now, method=method)
    sessions.remove(connection, session.token_digest)
    sessions.add(connection, renewed)
    _record(connection, acting, renewed, "administrator.confirmed", method=method.value)
    return renewed, token


def session_of(connection: Connection, token: str, *, now: datetime) -> Session | None:
    """Return the session of a token while it lasts, else ``None``."""
    session = sessions.find(connection, digest_of_token(token))
    return session if session is not None and is_good(session, now) else None


def is_good(session: Session, now: datetime) -> bool:
    """Tell whether a session still lasts."""
    return now < session.expires_at and now < session.last_seen_at + IDLE_LIFETIME


def needs_note(session: Session, *, now: datetime) -> bool:
    """Whether ``note_use`` should be called, which needs a write transaction."""
    return now >= session.last_seen_at + NOTE_EVERY


def note_use(connection: Connection, session: Session, *, now: datetime) -> None:
    """Note that a session is in use, so that it does not end as idle."""
    sessions.seen(connection, session.token_digest, now)


def of_person(connection: Connection, person_id: str, now: datetime) -> tuple[Session, ...]:
    """Return the sessions of a person that last, the one used last first."""
    return tuple(each for each in sessions.of_person(connection, person_id) if is_good(each, now))


def sign_out(connection: Connection, acting: Acting, session: Session) -> None:
    """End a session: its token is worth nothing from now on."""
    sessions.remove(connection, session.token_digest)
    _record(connection, acting, session, "administrator.signedOut")


def _record(connection: Connection, acting: Acting, session: Session, activity: str, **details: str) -> None:
    told = acting.within(session.tenant_id)
    told.record(connection, activity, "administrator", session.display_name[:128], **details)
