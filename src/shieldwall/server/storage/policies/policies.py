"""Policies as they stand now."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, bindparam, delete, func, select

from shieldwall.contract import strict_json
from shieldwall.contract.ids import PolicyId, TenantId
from shieldwall.contract.settings import SettingInstance
from shieldwall.server.storage.errors import NotFoundError
from shieldwall.server.storage.order_terms import OrderTerm
from shieldwall.server.storage.records import Page, Policy, PolicyHead
from shieldwall.server.storage.statements import paging
from shieldwall.server.storage.statements.look_ups import LookUp
from shieldwall.server.storage.statements.rows import columns_of, strings_from, to_text
from shieldwall.server.storage.tables.schema import policies

_ONE: Final = select(policies).where(policies.c.id == bindparam("id"))
_OF_HEADS: Final = ("id", "name", "platforms", "template_id", "digest")
_HEADS: Final = LookUp(
    select(*(policies.c[name] for name in _OF_HEADS))
    .where(policies.c.tenant_id == bindparam("tenant"))
    .order_by(policies.c.id)
)
_HEAD: Final = LookUp(_HEADS.query.where(policies.c.id == bindparam("id")))


def add(connection: Connection, policy: Policy) -> None:
    """Keep a new policy."""
    connection.execute(policies.insert(), _row(policy))


def put(connection: Connection, policy: Policy) -> None:
    """Replace a policy that is there. Raises: NotFoundError."""
    changed = connection.execute(policies.update().where(policies.c.id == policy.id), _row(policy))
    if changed.rowcount == 0:
        raise _absent(policy.id)


def find(connection: Connection, policy_id: PolicyId) -> Policy | None:
    """Return a policy, ``None`` when there is none of this id."""
    row = connection.execute(_ONE, {"id": policy_id}).one_or_none()
    return None if row is None else _policy(row)


def get(connection: Connection, policy_id: PolicyId) -> Policy:
    """Return a policy. Raises: NotFoundError."""
    found = find(connection, policy_id)
    if found is None:
        raise _absent(policy_id)
    return found


def list_policies(
    connection: Connection, tenant_id: TenantId, page: Page, term: OrderTerm | None = None
) -> tuple[Policy, ...]:
    """Return policies of a tenant in the order of a term, without one in that of the page or of their ids."""
    query = select(policies).where(policies.c.tenant_id == tenant_id)
    return tuple(map(_policy, paging.rows_by(connection, query, page, term, policies.c.id)))


def heads(
    connection: Connection,
    tenant_id: TenantId,
    policy_id: PolicyId | None = None,
    only: Collection[ColumnElement[bool]] = (),
) -> tuple[PolicyHead, ...]:
    """Return what there is to say of all policies of a tenant, or of one, in the order of their ids."""
    query = _HEADS if policy_id is None else _HEAD
    named = {"tenant": tenant_id, "id": policy_id}
    rows = connection.execute(query.query.where(*only), named) if only else query.rows(connection, named)
    return tuple(PolicyHead(**dict(zip(_OF_HEADS, row, strict=True))) for row in rows)


def names(connection: Connection, tenant_id: TenantId) -> dict[PolicyId, str]:
    """Return the names of all policies of a tenant."""
    query = select(policies.c.id, policies.c.name).where(policies.c.tenant_id == tenant_id)
    return {PolicyId(policy): name for policy, name in connection.execute(query)}


def count(connection: Connection, tenant_id: TenantId) -> int:
    """Count the policies of a tenant."""
    query = select(func.count()).select_from(policies).where(policies.c.tenant_id == tenant_id)
    return connection.execute(query).scalar_one()


def remove(connection: Connection, policy_id: PolicyId) -> None:
    """Remove a policy with its assignments; its revisions stay as history. Raises: NotFoundError."""
    if connection.execute(delete(policies).where(policies.c.id == policy_id)).rowcount == 0:
        raise _absent(policy_id)


def _absent(policy_id: PolicyId) -> NotFoundError:
    return NotFoundError(f"There is no policy {policy_id}.")


def _row(policy: Policy) -> dict[str, Any]:
    return columns_of(
        policy,
        role_scope_tag_ids=to_text(policy.role_scope_tag_ids),
        settings=strict_json.encode(policy.settings),
    )


def _policy(row: Row[Any]) -> Policy:
    columns = row._asdict()
    parsed = {
        "role_scope_tag_ids": strings_from(columns["role_scope_tag_ids"]),
        "settings": strict_json.decode(columns["settings"], tuple[SettingInstance, ...]),
    }
    return Policy(**(columns | parsed))
