"""Assignment filters."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from shieldwall.contract.ids import AssignmentFilterId, TenantId
from shieldwall.server.storage.errors import NotFoundError, StillReferencedError
from shieldwall.server.storage.records import AssignmentFilter, Page
from shieldwall.server.storage.statements import paging
from shieldwall.server.storage.statements.rows import columns_of, strings_from, to_text
from shieldwall.server.storage.tables.schema import assignment_filters, assignments

_USED: Final = (
    select(assignment_filters)
    .where(
        assignment_filters.c.tenant_id == bindparam("tenant"),
        select(assignments.c.filter_id).where(assignments.c.filter_id == assignment_filters.c.id).exists(),
    )
    .order_by(assignment_filters.c.id)
)


def add(connection: Connection, made: AssignmentFilter) -> None:
    """Keep a new filter."""
    connection.execute(insert(assignment_filters).values(_columns(made)))


def put(connection: Connection, changed: AssignmentFilter) -> None:
    """Replace a filter that is there. Raises: NotFoundError."""
    statement = update(assignment_filters).where(assignment_filters.c.id == changed.id).values(_columns(changed))
    if connection.execute(statement).rowcount == 0:
        raise _absent(changed.id)


def find(connection: Connection, filter_id: AssignmentFilterId) -> AssignmentFilter | None:
    """Return a filter, ``None`` when there is none of this id."""
    row = connection.execute(select(assignment_filters).where(assignment_filters.c.id == filter_id)).one_or_none()
    return None if row is None else _filter(row)


def list_filters(connection: Connection, tenant_id: TenantId, page: Page) -> tuple[AssignmentFilter, ...]:
    """Return one page of a tenant's filters, ordered by id unless the page says otherwise."""
    query = select(assignment_filters).where(assignment_filters.c.tenant_id == tenant_id)
    return tuple(map(_filter, paging.rows(connection, query, page, assignment_filters.c.id)))


def any_of(connection: Connection, tenant_id: TenantId) -> bool:
    """Whether a tenant has filters at all."""
    query = select(assignment_filters.c.id).where(assignment_filters.c.tenant_id == tenant_id).limit(1)
    return connection.execute(query).first() is not None


def list_used(connection: Connection, tenant_id: TenantId) -> tuple[AssignmentFilter, ...]:
    """Return the filters of a tenant that narrow an assignment, ordered by id."""
    return tuple(map(_filter, connection.execute(_USED, {"tenant": tenant_id})))


def remove(connection: Connection, filter_id: AssignmentFilterId) -> None:
    """Remove a filter.

    Raises:
        NotFoundError: There is no such filter.
        StillReferencedError: An assignment is narrowed by it.
    """
    try:
        result = connection.execute(delete(assignment_filters).where(assignment_filters.c.id == filter_id))
    except IntegrityError as error:
        raise StillReferencedError(f"The assignment filter {filter_id} narrows the assignments of a policy.") from error
    if result.rowcount == 0:
        raise _absent(filter_id)


def _absent(filter_id: AssignmentFilterId) -> NotFoundError:
    return NotFoundError(f"There is no assignment filter {filter_id}.")


def _columns(record: AssignmentFilter) -> dict[str, Any]:
    return columns_of(record, role_scope_tag_ids=to_text(record.role_scope_tag_ids))


def _filter(row: Row[Any]) -> AssignmentFilter:
    columns = row._asdict()
    return AssignmentFilter(**(columns | {"role_scope_tag_ids": strings_from(columns["role_scope_tag_ids"])}))
