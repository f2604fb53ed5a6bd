"""What people have entered in the policy wizard and not saved yet."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from shieldwall.contract.ids import PolicyId, TenantId
from shieldwall.server.storage.statements.rows import columns_of
from shieldwall.server.storage.tables.portal_schema import unfinished_policies


@dataclass(frozen=True, slots=True, kw_only=True)
class UnfinishedRecord:
    """One of them; ``policy_id`` names the policy that it is to change, ``document`` is what was entered, as JSON."""

    id: str
    tenant_id: TenantId
    person_id: str
    policy_id: PolicyId | None
    document: str
    created_at: datetime
    updated_at: datetime


def add(connection: Connection, record: UnfinishedRecord) -> None:
    """Keep a new one."""
    connection.execute(insert(unfinished_policies).values(columns_of(record)))


def put(connection: Connection, record: UnfinishedRecord) -> bool:
    """Write one anew; tell whether it was still there."""
    statement = update(unfinished_policies).where(unfinished_policies.c.id == record.id).values(columns_of(record))
    return connection.execute(statement).rowcount > 0


def find(connection: Connection, unfinished_id: str) -> UnfinishedRecord | None:
    """Return one, ``None`` when there is none of this id."""
    query = select(unfinished_policies).where(unfinished_policies.c.id == unfinished_id)
    row = connection.execute(query).one_or_none()
    return None if row is None else _record(row)


def of_person(connection: Connection, tenant_id: TenantId, person_id: str) -> tuple[UnfinishedRecord, ...]:
    """Return those of a person, the one worked at last first."""
    query = (
        select(unfinished_policies)
        .where(unfinished_policies.c.tenant_id == tenant_id, unfinished_policies.c.person_id == person_id)
        .order_by(unfinished_policies.c.updated_at.desc(), unfinished_policies.c.id)
    )
    return tuple(map(_record, connection.execute(query)))


def count_of_person(connection: Connection, tenant_id: TenantId, person_id: str) -> int:
    """Count those of a person."""
    query = select(func.count()).where(
        unfinished_policies.c.tenant_id == tenant_id, unfinished_policies.c.person_id == person_id
    )
    return connection.execute(query).scalar_one()


def remove(connection: Connection, unfinished_id: str) -> bool:
    """Forget one; tell whether it was there."""
    statement = delete(unfinished_policies).where(unfinished_policies.c.id == unfinished_id)
    return connection.execute(statement).rowcount > 0


def remove_older(connection: Connection, tenant_id: TenantId, before: datetime) -> int:
    """Forget those that nobody worked at since then; tell how many."""
    statement = delete(unfinished_policies).where(
        unfinished_policies.c.tenant_id == tenant_id, unfinished_policies.c.updated_at < before
    )
    return connection.execute(statement).rowcount


def _record(row: Row[Any]) -> UnfinishedRecord:
    return UnfinishedRecord(**row._asdict())
