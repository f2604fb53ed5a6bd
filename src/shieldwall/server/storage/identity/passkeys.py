"""Passkeys of people: public keys that their authenticators hold the other half of, found by credential id."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from shieldwall.contract.ids import Digest, TenantId
from shieldwall.server.storage.statements.rows import columns_of, strings_from, to_text
from shieldwall.server.storage.tables.identity_schema import passkeys


@dataclass(frozen=True, slots=True, kw_only=True)
class Passkey:
    """A WebAuthn credential. ``digest`` names it: the SHA-256 of its credential id.

    ``public_key`` is a COSE key (RFC 9052). ``authenticator`` is the AAGUID, which says the make, and zeros where the
    browser keeps that to itself. ``transports`` say how a browser may reach it. ``backed_up`` tells that it lives in
    more than one place.
    """

    digest: Digest
    tenant_id: TenantId
    person_id: str
    credential_id: bytes
    public_key: bytes = field(repr=False)
    sign_count: int
    display_name: str
    authenticator: str
    transports: tuple[str, ...] = ()
    backed_up: bool = False
    created_at: datetime
    last_used_at: datetime | None = None


def find(connection: Connection, digest: Digest) -> Passkey | None:
    """Return a passkey, or ``None``."""
    row = connection.execute(select(passkeys).where(passkeys.c.digest == digest)).one_or_none()
    return None if row is None else _passkey(row)


def of_person(connection: Connection, person_id: str) -> tuple[Passkey, ...]:
    """Return the passkeys of a person, oldest first."""
    query = select(passkeys).where(passkeys.c.person_id == person_id).order_by(passkeys.c.created_at, passkeys.c.digest)
    return tuple(map(_passkey, connection.execute(query)))


def count_of_people(connection: Connection, tenant_id: TenantId) -> dict[str, int]:
    """Return how many passkeys each person of a tenant has; who has none is left out."""
    query = (
        select(passkeys.c.person_id, func.count())
        .where(passkeys.c.tenant_id == tenant_id)
        .group_by(passkeys.c.person_id)
    )
    return {row[0]: row[1] for row in connection.execute(query)}


def add(connection: Connection, passkey: Passkey) -> None:
    """Add a passkey."""
    connection.execute(insert(passkeys).values(columns_of(passkey, transports=to_text(passkey.transports))))


def used(connection: Connection, passkey: Passkey, *, sign_count: int, backed_up: bool, at: datetime) -> bool:
    """Note a use, unless another use was noted since ``passkey`` was read; say whether it was.

    Of two answers with one counter, one at most is noted, however close they come. Counters that never leave zero say
    nothing, and authenticators whose keys are synchronised have those.
    """
    unchanged = (passkeys.c.digest == passkey.digest, passkeys.c.sign_count == passkey.sign_count)
    noted = connection.execute(
        update(passkeys).where(*unchanged).values(sign_count=sign_count, backed_up=backed_up, last_used_at=at)
    )
    return noted.rowcount == 1


def rename(connection: Connection, digest: Digest, display_name: str) -> None:
    """Give a passkey another name."""
    connection.execute(update(passkeys).where(passkeys.c.digest == digest).values(display_name=display_name))


def remove(connection: Connection, digest: Digest) -> None:
    """Forget a passkey: nobody signs in by it any more."""
    connection.execute(delete(passkeys).where(passkeys.c.digest == digest))


def _passkey(row: Row[Any]) -> Passkey:
    return Passkey(**row._asdict() | {"transports": strings_from(row.transports)})
