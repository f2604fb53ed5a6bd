"""Lists of a tenant's devices: searched, filtered, sorted and cut into pages, all in SQL.

A page never counts rows to skip: its cursor names the last row of the page before, by what it was sorted by and which
one it is (keyset), so pages stay true while devices come and go. ``portion`` reads the phases of a sort one after the
other.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, FromClause, Select, func, select

from shieldwall.contract.ids import DeviceId, TenantId
from shieldwall.server.storage.device_records import DeviceState
from shieldwall.server.storage.inventory.inventory_conditions import Question, question_of
from shieldwall.server.storage.inventory.inventory_phases import Condition, found_in, ordered, steps
from shieldwall.server.storage.inventory.inventory_queries import Cut, Filter, Found, Health, Position, Sort
from shieldwall.server.storage.inventory.inventory_search import few_found
from shieldwall.server.storage.statements import planning
from shieldwall.server.storage.statements.bulk import is_named, is_numbered, is_one_of, where_few
from shieldwall.server.storage.tables.schema import check_ins, inventory
from shieldwall.server.storage.tenants.tenant_sizes import gone_through

_FEW: Final = 2_000


@dataclass(frozen=True, slots=True)
class Standing:
    """What a device's report came to, and when it was last in touch."""

    impaired: bool
    repaired: int
    drifted: int
    last_check_in: datetime | None


_STANDING: Final = (
    select(
        inventory.c.device_id,
        inventory.c.impaired,
        inventory.c.repaired,
        inventory.c.drifted,
        check_ins.c.last_check_in,
    )
    .join(check_ins, check_ins.c.device_id == inventory.c.device_id, isouter=True)
    .where(is_named(inventory.c.device_id))
)


def portion(
    connection: Connection,
    tenant_id: TenantId,
    asked: Filter,
    cut: Cut,
    known: Collection[DeviceId] | None = None,
    *,
    are_many: bool = False,
) -> tuple[Found, ...]:
    """Return the next devices of a list, at most so many.

    ``known`` are those that fit, where somebody knows; ``are_many`` says that somebody knows that they are not ``few``.
    """
    planning.at_once(connection)
    question = question_of(connection, tenant_id, asked, cut.order)
    conditions: list[Condition] | None = None
    order, start, size = cut.order, cut.after or Position(), cut.size
    seen: FromClause = check_ins
    named: list[str] | None = None if known is None else list(known)
    is_apart = bool(asked.search or asked.tags or asked.only or asked.seen_before or asked.is_duplicate)
    if order.by is Sort.LAST_CHECK_IN:
        is_apart = not _is_of_check_ins(asked)
    if named is None and is_apart and not are_many:
        named = _few(connection, question)
    if named is not None:
        if not named:
            return ()
        conditions = [is_one_of(connection, inventory.c.device_id, named)]
        if order.by is Sort.LAST_CHECK_IN:
            seen, conditions = _seen(connection, named), []
    found: list[Found] = []
    phases = question.phases(order, seen)
    if conditions is not None or question.is_found_otherwise:
        phases = tuple(phase.apart() for phase in phases)
    for phase, part in steps(phases, order, start):
        fitting = question.conditions(phase) if conditions is None else conditions
        query = ordered(phase, part, fitting, order).limit(size - len(found))
        found += (found_in(phase, row) for row in connection.execute(query))
        if len(found) >= size:
            break
    return tuple(found)


def few(connection: Connection, tenant_id: TenantId, asked: Filter) -> tuple[DeviceId, ...] | None:
    """Return the devices that fit where these are few, in no order; ``None`` where they are many."""
    planning.at_once(connection)
    found = _few(connection, question_of(connection, tenant_id, asked))
    return None if found is None else tuple(map(DeviceId, found))


def count(connection: Connection, tenant_id: TenantId, asked: Filter, *, most: int | None = None) -> int:
    """Return how many devices fit; with ``most`` no further than so many are counted."""
    question = question_of(connection, tenant_id, asked)
    if question.is_search_alone:
        fitting: Select[Any] = question.found_by_texts()
    else:
        fitting = select(inventory.c.number).where(*question.searched())
    if most is not None:
        fitting = fitting.limit(most)
    return connection.scalars(select(func.count()).select_from(fitting.subquery())).one()


def standing(connection: Connection, device_ids: Collection[DeviceId]) -> Mapping[DeviceId, Standing]:
    """Return what is kept beside the records of these devices."""
    rows = connection.execute(_STANDING, {"ids": device_ids})
    return {DeviceId(device): Standing(*values) for device, *values in rows}


def _few(connection: Connection, question: Question) -> list[str] | None:
    """Return the devices that fit, where these are few and no index knows them by what is asked.

    Texts are asked first, unless an index names few others: of few that have them all else is asked, and of none
    nothing. Where they are many, going through all devices in the order wanted meets enough of them soon. Going through
    them in no order at all is twice as fast (``tenant_sizes``); and whose they are is asked last, because most rows are
    of one tenant.
    """
    indexed = question.indexed()
    _, *others = question.conditions()
    mine = inventory.c.tenant_id == question.tenant_id
    if question.by_texts:
        numbers = few_found(connection, select(inventory.c.number).where(mine, *indexed), _FEW) if indexed else None
        if numbers is not None:
            others.append(is_numbered(connection, inventory.c.number, numbers))
        elif (numbers := question.few_by_texts(_FEW)) is not None:
            others = question.beside_these(numbers)
        if numbers is not None:
            return list(connection.scalars(select(inventory.c.device_id).where(*others))) if numbers else []
        if question.is_said_by_texts:
            return None
    if not indexed and (not question.by_texts or connection.dialect.name == "sqlite"):
        mine = gone_through(connection, inventory.c.tenant_id, question.tenant_id)
    return where_few(connection, select(inventory.c.device_id).where(*others, mine), _FEW)


def _is_of_check_ins(asked: Filter) -> bool:
    """Whether all that is asked stands in the index of check-ins, so that a page in their order is a part of it."""
    states = asked.states | {DeviceState.RETIRED}
    of_others = replace(asked, states=states, health=frozenset(), seen_before=None, seen_after=None)
    is_all = of_others == Filter(inactive_before=asked.inactive_before, states=frozenset(DeviceState))
    return is_all and not asked.only and Health.IMPAIRED not in asked.health


def _seen(connection: Connection, few: Sequence[str]) -> FromClause:
    """Return the check-ins of these devices; the limit keeps the engine from taking all check-ins in their order."""
    return select(check_ins).where(is_one_of(connection, check_ins.c.device_id, few)).limit(_FEW).subquery()
