"""Refresh tokens, by their digests. A used one is kept until it would have ended, so that a second use shows."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from shieldwall.contract.ids import Digest, TenantId
from shieldwall.server.storage.grant_records import RefreshToken
from shieldwall.server.storage.identity_records import ProofMethod
from shieldwall.server.storage.statements.rows import columns_of, strings_from, to_text
from shieldwall.server.storage.tables.identity_schema import refresh_tokens


def add(connection: Connection, token: RefreshToken) -> None:
    """Keep a token."""
    connection.execute(insert(refresh_tokens).values(columns_of(token, scopes=to_text(token.scopes))))


def find(connection: Connection, tenant_id: TenantId, digest: Digest) -> RefreshToken | None:
    """Return a token of a tenant, used or not, or ``None``."""
    named = (refresh_tokens.c.tenant_id == tenant_id, refresh_tokens.c.digest == digest)
    row = connection.execute(select(refresh_tokens).where(*named)).one_or_none()
    return None if row is None else _token(row)


def use(connection: Connection, tenant_id: TenantId, digest: Digest, now: datetime) -> bool:
    """Use a token up; tell whether it was unused until now."""
    unused = (
        refresh_tokens.c.tenant_id == tenant_id,
        refresh_tokens.c.digest == digest,
        refresh_tokens.c.used_at.is_(None),
    )
    return connection.execute(update(refresh_tokens).where(*unused).values(used_at=now)).rowcount == 1


def remove_family(connection: Connection, tenant_id: TenantId, family_id: str) -> int:
    """Take back all tokens that came of one sign-in; return how many."""
    theirs = (refresh_tokens.c.tenant_id == tenant_id, refresh_tokens.c.family_id == family_id)
    return connection.execute(delete(refresh_tokens).where(*theirs)).rowcount


def _token(row: Row[Any]) -> RefreshToken:
    columns = row._asdict()
    parsed = {"scopes": strings_from(columns["scopes"]), "method": ProofMethod(columns["method"])}
    return RefreshToken(**columns | parsed)
