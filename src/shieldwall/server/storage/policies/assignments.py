"""Which policy is assigned to whom."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, bindparam, delete, func, select

from shieldwall.contract.ids import AssignmentFilterId, Digest, GroupId, PolicyId, TemplateId, TenantId
from shieldwall.contract.messages import ManifestItem
from shieldwall.server.storage.records import Assignment, AssignmentKind, FilterKind
from shieldwall.server.storage.tables.schema import assignments, policies, policy_revisions

_OF_TENANT: Final = (
    select(assignments, policies.c.revision, policies.c.digest, policies.c.template_id, policy_revisions.c.length)
    .join(policies, policies.c.id == assignments.c.policy_id)
    .join(policy_revisions, policy_revisions.c.digest == policies.c.digest)
    .where(policies.c.tenant_id == bindparam("tenant"))
)

_ADD: Final = assignments.insert().values(
    tenant_id=select(policies.c.tenant_id).where(policies.c.id == bindparam("of_policy")).scalar_subquery()
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AssignedItem:
    """An assignment together with the newest revision of the policy that it delivers."""

    assignment: Assignment
    item: ManifestItem
    template_id: TemplateId


def replace(connection: Connection, policy_id: PolicyId, wanted: Iterable[Assignment]) -> None:
    """Make these the assignments of a policy, and no others."""
    connection.execute(delete(assignments).where(assignments.c.policy_id == policy_id))
    rows = [{**_row(assignment), "of_policy": policy_id} for assignment in wanted]
    if rows:
        connection.execute(_ADD, rows)


def of_policy(connection: Connection, policy_id: PolicyId) -> tuple[Assignment, ...]:
    """Return the assignments of a policy, in a fixed order."""
    query = select(assignments).where(assignments.c.policy_id == policy_id).order_by(assignments.c.target)
    return tuple(_assignment(row) for row in connection.execute(query).mappings())


def of_group(connection: Connection, group_id: GroupId) -> tuple[Assignment, ...]:
    """Return the assignments that name a group."""
    query = select(assignments).where(assignments.c.group_id == group_id).order_by(assignments.c.policy_id)
    return tuple(_assignment(row) for row in connection.execute(query).mappings())


def of_filter(connection: Connection, filter_id: AssignmentFilterId) -> tuple[Assignment, ...]:
    """Return the assignments that are narrowed by a filter."""
    query = select(assignments).where(assignments.c.filter_id == filter_id).order_by(assignments.c.policy_id)
    return tuple(_assignment(row) for row in connection.execute(query).mappings())


def items_of_tenant(connection: Connection, tenant_id: TenantId) -> tuple[AssignedItem, ...]:
    """Return every assignment of a tenant with what it delivers."""
    return tuple(
        AssignedItem(
            assignment=_assignment(row),
            item=ManifestItem(
                policy_id=PolicyId(row["policy_id"]),
                revision=row["revision"],
                digest=Digest(row["digest"]),
                length=row["length"],
            ),
            template_id=TemplateId(row["template_id"]),
        )
        for row in connection.execute(_OF_TENANT, {"tenant": tenant_id}).mappings()
    )


def count_other_policies(connection: Connection, tenant_id: TenantId, policy_id: PolicyId) -> int:
    """Count the policies of a tenant that are assigned to anyone, leaving one out."""
    query = (
        select(func.count(assignments.c.policy_id.distinct()))
        .join(policies, policies.c.id == assignments.c.policy_id)
        .where(policies.c.tenant_id == tenant_id, assignments.c.policy_id != policy_id)
    )
    return connection.execute(query).scalar_one()


def _row(assignment: Assignment) -> dict[str, Any]:
    return {
        "policy_id": assignment.policy_id,
        "target": assignment.group_id or assignment.kind.value,
        "kind": assignment.kind.value,
        "group_id": assignment.group_id,
        "filter_id": assignment.filter_id,
        "filter_type": assignment.filter_kind.value,
    }


def _assignment(row: Mapping[Any, Any]) -> Assignment:
    group, narrowed = row["group_id"], row["filter_id"]
    return Assignment(
        policy_id=PolicyId(row["policy_id"]),
        kind=AssignmentKind(row["kind"]),
        group_id=None if group is None else GroupId(group),
        filter_id=None if narrowed is None else AssignmentFilterId(narrowed),
        filter_kind=FilterKind(row["filter_type"]),
    )
