"""Invitations: codes that let a person sign in once, kept by their digest."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select, update

from shieldwall.contract.ids import Digest, TenantId
from shieldwall.server.storage.statements.rows import columns_of
from shieldwall.server.storage.tables.schema import invitations


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """Leave for one person to sign in once, before it expires."""

    code_digest: Digest = field(repr=False)
    tenant_id: TenantId
    display_name: str
    expires_at: datetime
    person_id: str
    used_at: datetime | None = None


def add(connection: Connection, invitation: Invitation) -> None:
    """Add an invitation."""
    connection.execute(insert(invitations).values(columns_of(invitation)))


def open_of_person(connection: Connection, person_id: str, now: datetime) -> tuple[Invitation, ...]:
    """Return the invitations of a person that could still be used."""
    query = select(invitations).where(
        invitations.c.person_id == person_id, invitations.c.used_at.is_(None), invitations.c.expires_at > now
    )
    return tuple(Invitation(**row._asdict()) for row in connection.execute(query))


def remove_of_person(connection: Connection, person_id: str) -> int:
    """Forget the invitations of a person that were not used; return how many."""
    unused = (invitations.c.person_id == person_id, invitations.c.used_at.is_(None))
    return connection.execute(delete(invitations).where(*unused)).rowcount


def use(connection: Connection, code_digest: Digest, now: datetime) -> Invitation | None:
    """Use an invitation up and return it; ``None`` where it is unknown, expired or used already.

    One statement decides and notes the use, so of parallel callers one at most gets it.
    """
    row = connection.execute(
        update(invitations)
        .where(
            invitations.c.code_digest == code_digest,
            invitations.c.used_at.is_(None),
            invitations.c.expires_at > now,
        )
        .values(used_at=now)
        .returning(*invitations.c)
    ).one_or_none()
    return None if row is None else Invitation(**row._asdict())


def remove_expired(connection: Connection, now: datetime) -> int:
    """Forget invitations that nobody could use any more; return how many."""
    return connection.execute(delete(invitations).where(invitations.c.expires_at <= now)).rowcount
