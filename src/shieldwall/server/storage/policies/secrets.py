"""Secret values of policies, and the tokens they are known by outside."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection, insert, select

from shieldwall.contract.ids import TenantId
from shieldwall.server.storage.statements.rows import portions
from shieldwall.server.storage.tables.schema import secrets


def add(connection: Connection, tenant_id: TenantId, token: str, value: str) -> None:
    """Keep a secret under a new token."""
    connection.execute(insert(secrets).values(token=token, tenant_id=tenant_id, value=value))


def find_token(connection: Connection, tenant_id: TenantId, value: str) -> str | None:
    """Return the token of a secret that is there already, ``None`` when it is not."""
    query = select(secrets.c.token).where(secrets.c.tenant_id == tenant_id, secrets.c.value == value).limit(1)
    return connection.execute(query).scalar_one_or_none()


def values_of(connection: Connection, tenant_id: TenantId, tokens: Collection[str]) -> dict[str, str]:
    """Return the secrets of a tenant that these tokens stand for; a token of nobody's or of others is left out."""
    found: dict[str, str] = {}
    for portion in portions(sorted(set(tokens))):
        query = select(secrets.c.token, secrets.c.value).where(
            secrets.c.tenant_id == tenant_id, secrets.c.token.in_(portion)
        )
        found |= {row.token: row.value for row in connection.execute(query)}
    return found
