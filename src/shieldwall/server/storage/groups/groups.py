"""Groups: their names, kinds and rules."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, and_, case, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from shieldwall.contract.ids import GroupId, TenantId
from shieldwall.server.storage.errors import AlreadyExistsError, NotFoundError, StillReferencedError
from shieldwall.server.storage.order_terms import OrderTerm
from shieldwall.server.storage.records import Group, Page, ProcessingState
from shieldwall.server.storage.statements import paging
from shieldwall.server.storage.statements.bulk import is_one_of
from shieldwall.server.storage.statements.rows import columns_of
from shieldwall.server.storage.tables.folding import Folded, holds
from shieldwall.server.storage.tables.schema import groups


class GroupOrder(StrEnum):
    """What people order a list of groups by."""

    NAME = "name"
    MEMBERSHIP = "membership"
    MADE = "made"


_ORDERS: Final[Mapping[GroupOrder, ColumnElement[Any]]] = {
    GroupOrder.NAME: Folded(groups.c.display_name),
    GroupOrder.MEMBERSHIP: case(
        (groups.c.membership_rule.is_(None), 0), (groups.c.processing_state == ProcessingState.ON.value, 1), else_=2
    ),
    GroupOrder.MADE: groups.c.created_at,
}
_FIELDS: Final = tuple(column for column in groups.c if column is not groups.c.number)


def get(connection: Connection, group_id: GroupId) -> Group:
    """Return a group. Raises: NotFoundError."""
    if (group := find(connection, group_id)) is None:
        raise NotFoundError(f"There is no group {group_id}.")
    return group


def find(connection: Connection, group_id: GroupId) -> Group | None:
    """Return a group, or ``None``."""
    row = connection.execute(select(*_FIELDS).where(groups.c.id == group_id)).one_or_none()
    return None if row is None else _group(row)


def list_groups(
    connection: Connection,
    tenant_id: TenantId,
    page: Page,
    order: GroupOrder | None = None,
    *,
    descending: bool = False,
) -> tuple[Group, ...]:
    """Return one page of a tenant's groups in an order; without one in that of the page, or of their ids."""
    query = select(*_FIELDS).where(groups.c.tenant_id == tenant_id)
    term = None if order is None else OrderTerm(_ORDERS[order], descending=descending)
    return tuple(map(_group, paging.rows_by(connection, query, page, term, groups.c.id)))


def rules_in_force(connection: Connection, tenant_id: TenantId) -> tuple[tuple[GroupId, str], ...]:
    """Return the groups of a tenant that a rule decides, unless they are paused, with their rules; ordered by id."""
    query = (
        select(groups.c.id, groups.c.membership_rule)
        .where(
            groups.c.tenant_id == tenant_id,
            groups.c.membership_rule.is_not(None),
            groups.c.processing_state == ProcessingState.ON.value,
        )
        .order_by(groups.c.id)
    )
    return tuple((GroupId(group_id), rule) for group_id, rule in connection.execute(query))


def ids_of_tenant(connection: Connection, tenant_id: TenantId) -> tuple[GroupId, ...]:
    """Return all groups of a tenant, ordered by id."""
    query = select(groups.c.id).where(groups.c.tenant_id == tenant_id).order_by(groups.c.id)
    return tuple(map(GroupId, connection.scalars(query)))


def list_with_rule_like(connection: Connection, tenant_id: TenantId, word: str) -> tuple[Group, ...]:
    """Return the groups of a tenant in whose rule a word stands, in any case; ordered by id. No word is in each."""
    query = (
        select(*_FIELDS)
        .where(groups.c.tenant_id == tenant_id, func.lower(groups.c.membership_rule).contains(word.lower()))
        .order_by(groups.c.id)
    )
    return tuple(map(_group, connection.execute(query)))


def called(connection: Connection, tenant_id: TenantId, name: str) -> tuple[Group, ...]:
    """Return the groups of a tenant that have exactly this name; several may."""
    query = select(*_FIELDS).where(groups.c.tenant_id == tenant_id, groups.c.display_name == name).order_by(groups.c.id)
    return tuple(map(_group, connection.execute(query)))


def find_many(connection: Connection, group_ids: Collection[GroupId]) -> tuple[Group, ...]:
    """Return those of the groups that exist, ordered by id."""
    query = select(*_FIELDS).where(is_one_of(connection, groups.c.id, sorted(group_ids))).order_by(groups.c.id)
    return tuple(map(_group, connection.execute(query)))


def names(connection: Connection, group_ids: Collection[GroupId]) -> Mapping[GroupId, str]:
    """Return the display names of those of these groups that are there."""
    query = select(groups.c.id, groups.c.display_name).where(is_one_of(connection, groups.c.id, group_ids))
    return {GroupId(group_id): name for group_id, name in connection.execute(query)}


def add(connection: Connection, group: Group) -> None:
    """Add a group. Raises: AlreadyExistsError."""
    try:
        connection.execute(insert(groups).values(_columns(group)))
    except IntegrityError as error:
        raise AlreadyExistsError(f"A group {group.id} is there already.") from error


def put(connection: Connection, group: Group) -> None:
    """Replace a group; its members stay. Raises: NotFoundError."""
    result = connection.execute(update(groups).where(groups.c.id == group.id).values(_columns(group)))
    if result.rowcount == 0:
        raise NotFoundError(f"There is no group {group.id}.")


def remove(connection: Connection, group_id: GroupId) -> None:
    """Remove a group and its memberships.

    Raises:
        NotFoundError: There is no such group.
        StillReferencedError: A policy is assigned to it.
    """
    try:
        result = connection.execute(delete(groups).where(groups.c.id == group_id))
    except IntegrityError as error:
        raise StillReferencedError(f"The group {group_id} is named by the assignments of a policy.") from error
    if result.rowcount == 0:
        raise NotFoundError(f"There is no group {group_id}.")


def named_like(text: str) -> ColumnElement[bool]:
    """Say that a group of a listing has a text in its name, in any case."""
    return holds(groups.c.display_name, text)


def of_kind(*, dynamic: bool, paused: bool | None = None) -> ColumnElement[bool]:
    """Say of a group of a listing whether a rule decides who belongs, and whether that is followed."""
    if not dynamic:
        return groups.c.membership_rule.is_(None)
    ruled = groups.c.membership_rule.is_not(None)
    if paused is None:
        return ruled
    state = ProcessingState.PAUSED if paused else ProcessingState.ON
    return and_(ruled, groups.c.processing_state == state.value)


def _columns(group: Group) -> dict[str, Any]:
    return columns_of(group, processing_state=group.processing_state.value)


def _group(row: Row[Any]) -> Group:
    columns = row._asdict()
    return Group(**(columns | {"processing_state": ProcessingState(columns["processing_state"])}))
