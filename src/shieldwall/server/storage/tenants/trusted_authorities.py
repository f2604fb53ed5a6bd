"""Whom a tenant trusts to vouch for devices: authorities of directory certificates, and makers of TPMs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select

from shieldwall.contract.ids import TenantId
from shieldwall.server.storage.errors import NotFoundError
from shieldwall.server.storage.statements.rows import columns_of
from shieldwall.server.storage.tables.device_schema import trusted_authorities


class AuthorityKind(StrEnum):
    """What an authority is trusted to vouch for."""

    DIRECTORY = "directory"
    """Existing registrations: it issues the certificates of devices."""
    ENDORSEMENT = "endorsement"
    """TPMs: it certifies endorsement keys, or is one by its hash."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedAuthority:
    """An authority; ``value`` is its certificate in PEM or, for one TPM alone, the hash of its endorsement key."""

    id: str
    tenant_id: TenantId
    kind: AuthorityKind
    display_name: str
    value: str
    created_at: datetime


def list_of_kind(connection: Connection, tenant_id: TenantId, kind: AuthorityKind) -> tuple[TrustedAuthority, ...]:
    """Return all authorities of a kind that a tenant trusts, ordered by id; there are few."""
    query = (
        select(trusted_authorities)
        .where(trusted_authorities.c.tenant_id == tenant_id, trusted_authorities.c.kind == kind.value)
        .order_by(trusted_authorities.c.id)
    )
    return tuple(map(_authority, connection.execute(query)))


def add(connection: Connection, authority: TrustedAuthority) -> None:
    """Trust an authority from now on."""
    connection.execute(insert(trusted_authorities).values(columns_of(authority, kind=authority.kind.value)))


def remove(connection: Connection, tenant_id: TenantId, authority_id: str, kind: AuthorityKind) -> None:
    """Trust an authority no more. Raises: NotFoundError."""
    gone = connection.execute(
        delete(trusted_authorities).where(
            trusted_authorities.c.id == authority_id,
            trusted_authorities.c.tenant_id == tenant_id,
            trusted_authorities.c.kind == kind.value,
        )
    )
    if gone.rowcount == 0:
        raise NotFoundError(f"There is no trusted authority {authority_id}.")


def _authority(row: Row[Any]) -> TrustedAuthority:
    columns = row._asdict()
    return TrustedAuthority(**(columns | {"kind": AuthorityKind(columns["kind"])}))
