"""Policies as people look for them: by name, type, platform, whether anybody gets them; in the order they choose."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, func, or_, select

from shieldwall.contract.ids import PolicyId, TemplateId, TenantId
from shieldwall.server.storage.order_terms import OrderTerm
from shieldwall.server.storage.policies import policies as stored
from shieldwall.server.storage.records import Page, Policy
from shieldwall.server.storage.statements.rows import portions
from shieldwall.server.storage.tables.folding import Folded, holds
from shieldwall.server.storage.tables.schema import assignments, policies


class PolicyOrder(StrEnum):
    """What a list of policies is ordered by."""

    NAME = "name"
    MODIFIED = "modified"
    PLATFORM = "platform"
    PRIORITY = "priority"


_COLUMNS: Final[Mapping[PolicyOrder, ColumnElement[Any]]] = {
    PolicyOrder.NAME: Folded(policies.c.name),
    PolicyOrder.MODIFIED: policies.c.modified_at,
    PolicyOrder.PLATFORM: policies.c.platforms,
    PolicyOrder.PRIORITY: policies.c.priority,
}
_IS_ASSIGNED: Final = select(assignments.c.policy_id).where(assignments.c.policy_id == policies.c.id).exists()


@dataclass(frozen=True, slots=True, kw_only=True)
class PoliciesWanted:
    """Which policies somebody looks for; what is left empty asks for nothing."""

    text: str = ""
    templates: Collection[TemplateId] | None = None
    platform: str = ""
    is_assigned: bool | None = None
    ids: Collection[PolicyId] | None = None


def conditions(wanted: PoliciesWanted) -> tuple[ColumnElement[bool], ...]:
    """Say which rows of policies are wanted."""
    found: list[ColumnElement[bool]] = []
    if wanted.text:
        found.append(or_(*(holds(column, wanted.text) for column in (policies.c.name, policies.c.description))))
    if wanted.templates is not None:
        found.append(policies.c.template_id.in_(sorted(wanted.templates)))
    if wanted.platform:
        found.append(policies.c.platforms == wanted.platform)
    if wanted.is_assigned is not None:
        found.append(_IS_ASSIGNED if wanted.is_assigned else ~_IS_ASSIGNED)
    if wanted.ids is not None:
        found.append(policies.c.id.in_(sorted(wanted.ids)))
    return tuple(found)


def list_page(
    connection: Connection, tenant_id: TenantId, page: Page, order: PolicyOrder, *, descending: bool = False
) -> tuple[Policy, ...]:
    """Return one page in an order; nothing where the policy ``page.after`` is gone."""
    term = OrderTerm(_COLUMNS[order], descending=descending, nullable=order is PolicyOrder.PRIORITY)
    return stored.list_policies(connection, tenant_id, page, term)


def count_by_template(
    connection: Connection, tenant_id: TenantId, where: tuple[ColumnElement[bool], ...] = ()
) -> Mapping[TemplateId, int]:
    """Count policies by the template that they are made of."""
    query = (
        select(policies.c.template_id, func.count())
        .where(policies.c.tenant_id == tenant_id, *where)
        .group_by(policies.c.template_id)
    )
    return {TemplateId(template): count for template, count in connection.execute(query)}


def assigned_among(connection: Connection, policy_ids: Collection[PolicyId]) -> frozenset[PolicyId]:
    """Return those of these policies that are assigned to anybody."""
    found: set[PolicyId] = set()
    for few in portions(sorted(policy_ids)):
        query = select(assignments.c.policy_id).where(assignments.c.policy_id.in_(few)).distinct()
        found.update(map(PolicyId, connection.scalars(query)))
    return frozenset(found)
