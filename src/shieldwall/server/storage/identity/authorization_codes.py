"""Authorization codes, by their digests. A used one is kept until it would have ended, so that a second use shows."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from shieldwall.contract.ids import Digest, TenantId
from shieldwall.server.storage.grant_records import AuthorizationCode
from shieldwall.server.storage.identity_records import ProofMethod
from shieldwall.server.storage.statements.rows import columns_of, strings_from, to_text
from shieldwall.server.storage.tables.identity_schema import authorization_codes


def add(connection: Connection, code: AuthorizationCode) -> None:
    """Keep a code."""
    connection.execute(insert(authorization_codes).values(columns_of(code, scopes=to_text(code.scopes))))


def find(connection: Connection, tenant_id: TenantId, digest: Digest) -> AuthorizationCode | None:
    """Return a code of a tenant, used or not, or ``None``."""
    named = (authorization_codes.c.tenant_id == tenant_id, authorization_codes.c.digest == digest)
    row = connection.execute(select(authorization_codes).where(*named)).one_or_none()
    return None if row is None else _code(row)


def use(connection: Connection, tenant_id: TenantId, digest: Digest, now: datetime) -> bool:
    """Use a code up; tell whether it was unused until now."""
    unused = (
        authorization_codes.c.tenant_id == tenant_id,
        authorization_codes.c.digest == digest,
        authorization_codes.c.used_at.is_(None),
    )
    return connection.execute(update(authorization_codes).where(*unused).values(used_at=now)).rowcount == 1


def _code(row: Row[Any]) -> AuthorizationCode:
    columns = row._asdict()
    parsed = {"scopes": strings_from(columns["scopes"]), "method": ProofMethod(columns["method"])}
    return AuthorizationCode(**columns | parsed)
