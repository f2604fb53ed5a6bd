"""Identity providers that a tenant trusts, and who of theirs is who of ours."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, literal, select, update

from shieldwall.contract.ids import GroupId, TenantId
from shieldwall.server.storage.engine.database import insert_ignoring
from shieldwall.server.storage.records import Page
from shieldwall.server.storage.statements import paging
from shieldwall.server.storage.statements.rows import columns_of, strings_from, to_text
from shieldwall.server.storage.tables.access_schema import group_people
from shieldwall.server.storage.tables.identity_schema import federated_identities, identity_providers
from shieldwall.server.storage.tables.schema import groups


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityProvider:
    """An OpenID provider, as we are known to it. ``settings`` is JSON; what it means is the directory's to say.

    ``client_secret`` is empty where we are a public client.
    """

    id: str
    tenant_id: TenantId
    display_name: str
    issuer: str
    client_id: str
    client_secret: str = field(repr=False)
    settings: str
    enabled: bool = True
    created_at: datetime
    modified_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class FederatedIdentity:
    """Somebody at a provider, known there by ``subject`` for ever. ``groups`` are those it named last."""

    provider_id: str
    subject: str
    tenant_id: TenantId
    person_id: str
    groups: tuple[str, ...]
    created_at: datetime


def find(connection: Connection, provider_id: str) -> IdentityProvider | None:
    """Return a provider, or ``None``."""
    row = connection.execute(select(identity_providers).where(identity_providers.c.id == provider_id)).one_or_none()
    return None if row is None else IdentityProvider(**row._asdict())


def list_providers(connection: Connection, tenant_id: TenantId, page: Page) -> tuple[IdentityProvider, ...]:
    """Return one page of a tenant's providers, ordered by id where the page says nothing else."""
    query = select(identity_providers).where(identity_providers.c.tenant_id == tenant_id)
    rows = paging.rows(connection, query, page, identity_providers.c.id)
    return tuple(IdentityProvider(**row._asdict()) for row in rows)


def add(connection: Connection, provider: IdentityProvider) -> None:
    """Add a provider."""
    connection.execute(insert(identity_providers).values(columns_of(provider)))


def change(connection: Connection, provider: IdentityProvider) -> None:
    """Write a provider anew."""
    connection.execute(
        update(identity_providers).where(identity_providers.c.id == provider.id).values(columns_of(provider))
    )


def remove(connection: Connection, provider_id: str) -> None:
    """Remove a provider; nobody signs in there any more."""
    connection.execute(delete(identity_providers).where(identity_providers.c.id == provider_id))


def find_identity(connection: Connection, provider_id: str, subject: str) -> FederatedIdentity | None:
    """Return who somebody at a provider is, or ``None``."""
    query = select(federated_identities).where(
        federated_identities.c.provider_id == provider_id, federated_identities.c.subject == subject
    )
    row = connection.execute(query).one_or_none()
    return None if row is None else _identity(row)


def identities_of_person(connection: Connection, person_id: str) -> tuple[FederatedIdentity, ...]:
    """Return as whom a person is known at providers."""
    query = select(federated_identities).where(federated_identities.c.person_id == person_id)
    return tuple(map(_identity, connection.execute(query.order_by(federated_identities.c.created_at))))


def add_identity(connection: Connection, identity: FederatedIdentity) -> None:
    """Bind somebody at a provider to a person of ours."""
    connection.execute(insert(federated_identities).values(columns_of(identity, groups=to_text(identity.groups))))


def note_groups(connection: Connection, identity: FederatedIdentity, named: tuple[str, ...]) -> None:
    """Keep the groups that a provider names now."""
    connection.execute(
        update(federated_identities)
        .where(
            federated_identities.c.provider_id == identity.provider_id,
            federated_identities.c.subject == identity.subject,
        )
        .values(groups=to_text(named))
    )


def put_memberships(
    connection: Connection,
    identity: FederatedIdentity,
    *,
    joined: frozenset[GroupId],
    left: frozenset[GroupId],
) -> None:
    """Let a person belong to these groups of their tenant, and to those no more."""
    columns = ["group_id", "person_id", "tenant_id"]
    for group_id in sorted(joined):
        theirs = select(groups.c.id, literal(identity.person_id), groups.c.tenant_id).where(
            groups.c.id == group_id, groups.c.tenant_id == identity.tenant_id
        )
        connection.execute(insert_ignoring(connection, group_people).from_select(columns, theirs))
    for group_id in sorted(left):
        connection.execute(
            delete(group_people).where(
                group_people.c.group_id == group_id, group_people.c.person_id == identity.person_id
            )
        )


def _identity(row: Row[Any]) -> FederatedIdentity:
    return FederatedIdentity(**row._asdict() | {"groups": strings_from(row.groups)})
