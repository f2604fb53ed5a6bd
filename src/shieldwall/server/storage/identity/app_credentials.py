"""The secrets and certificates of applications."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from shieldwall.server.storage.identity_records import AppCredential, CredentialKind
from shieldwall.server.storage.statements.rows import columns_of
from shieldwall.server.storage.tables.identity_schema import app_credentials


def of_app(connection: Connection, client_id: str) -> tuple[AppCredential, ...]:
    """Return an application's credentials, those that end last first."""
    query = (
        select(app_credentials)
        .where(app_credentials.c.client_id == client_id)
        .order_by(app_credentials.c.expires_at.desc(), app_credentials.c.id)
    )
    return tuple(map(_credential, connection.execute(query)))


def add(connection: Connection, credential: AppCredential) -> None:
    """Add a credential."""
    connection.execute(insert(app_credentials).values(columns_of(credential)))


def change_secret_hash(connection: Connection, credential: AppCredential, secret_hash: str) -> None:
    """Keep another hash of the same secret."""
    named = (app_credentials.c.tenant_id == credential.tenant_id, app_credentials.c.id == credential.id)
    connection.execute(update(app_credentials).where(*named).values(secret_hash=secret_hash))


def remove(connection: Connection, client_id: str, credential_id: str) -> bool:
    """Remove a credential of an application; tell whether it was there."""
    named = (app_credentials.c.client_id == client_id, app_credentials.c.id == credential_id)
    return connection.execute(delete(app_credentials).where(*named)).rowcount > 0


def _credential(row: Row[Any]) -> AppCredential:
    columns = row._asdict()
    return AppCredential(**columns | {"kind": CredentialKind(columns["kind"])})
