"""Sessions of people in the admin center, found by the digest of their token."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from shieldwall.contract.ids import Digest
from shieldwall.server.storage.identity_records import ProofMethod, Session
from shieldwall.server.storage.statements.rows import columns_of
from shieldwall.server.storage.tables.schema import sessions


def find(connection: Connection, token_digest: Digest) -> Session | None:
    """Return a session, or ``None``; whether it is still good is for the caller to say."""
    row = connection.execute(select(sessions).where(sessions.c.token_digest == token_digest)).one_or_none()
    return None if row is None else _session(row)


def of_person(connection: Connection, person_id: str) -> tuple[Session, ...]:
    """Return the sessions of a person, the one used last first; whether each is still good is for the caller to say."""
    query = (
        select(sessions)
        .where(sessions.c.person_id == person_id)
        .order_by(sessions.c.last_seen_at.desc(), sessions.c.token_digest)
    )
    return tuple(map(_session, connection.execute(query)))


def add(connection: Connection, session: Session) -> None:
    """Add a session."""
    connection.execute(insert(sessions).values(columns_of(session)))


def seen(connection: Connection, token_digest: Digest, at: datetime) -> None:
    """Note that a session was used; never an earlier time than noted before."""
    connection.execute(
        update(sessions)
        .where(sessions.c.token_digest == token_digest, sessions.c.last_seen_at < at)
        .values(last_seen_at=at)
    )


def remove(connection: Connection, token_digest: Digest) -> None:
    """End a session; one that has ended already stays ended."""
    connection.execute(delete(sessions).where(sessions.c.token_digest == token_digest))


def remove_of_person(connection: Connection, person_id: str) -> int:
    """End all sessions of a person; return how many."""
    return connection.execute(delete(sessions).where(sessions.c.person_id == person_id)).rowcount


def remove_expired(connection: Connection, now: datetime) -> int:
    """Forget sessions past their absolute end; return how many."""
    return connection.execute(delete(sessions).where(sessions.c.expires_at <= now)).rowcount


def _session(row: Row[Any]) -> Session:
    return Session(**row._asdict() | {"method": ProofMethod(row.method)})
