"""Looking through a large fleet a part at a time: no page waits until all devices were looked at.

Where few devices fit, the other lists go through all of them to find those, which of a million takes longer than a page
may. Here a page looks at a bounded number of rows, in the order of the list, and says where it stopped: whoever wants
more looks on from there. What more than the columns of a row is asked of is asked row by row, of those alone.

Few devices that an index names are found by it, exactly: those of a group, of a manager, with one state of policies;
and, for a search, those whose names or ids begin with its first word.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import Connection, Select, and_, func, literal, or_, select, true

from shieldwall.contract.ids import DeviceId, GroupId, TenantId
from shieldwall.contract.status import SettingState
from shieldwall.server.storage.groups.group_members import count_members
from shieldwall.server.storage.groups.membership_conditions import belongs, ids_of_members, of_group
from shieldwall.server.storage.inventory.inventory_conditions import Question
from shieldwall.server.storage.inventory.inventory_phases import Condition, found_in, ordered, passed, steps
from shieldwall.server.storage.inventory.inventory_queries import Cut, Filter, Found, Order, Position, Sort
from shieldwall.server.storage.inventory.inventory_search import beginning_ids
from shieldwall.server.storage.statements import planning
from shieldwall.server.storage.statements.bulk import unsought, where_few
from shieldwall.server.storage.tables.folding import fold
from shieldwall.server.storage.tables.schema import check_ins, inventory, status_documents

FEW: Final = 2_000
"""Devices that are named one by one."""
BEGINNINGS: Final = 10_000
"""Names that begin alike and are looked at, for the rest of what is asked."""
_LAST: Final = "\U0010ffff"


@dataclass(frozen=True, slots=True)
class Window:
    """What was found in a part of a list; ``further`` is where it ended, ``None`` at the end of the list."""

    found: tuple[Found, ...]
    further: Position | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How many rows one page looks at by their own columns, and by what is beside them."""

    columns: int = 80_000
    beside: int = 15_000

    def of(self, asked: Filter, order: Order) -> int:
        """Return how many rows are looked at for a filter; in the order of check-ins, each row is beside its own."""
        is_beside = asked.health or asked.policy_states or asked.seen_before or asked.seen_after or asked.group
        is_apart = asked.only or order.by in {Sort.LAST_CHECK_IN, Sort.POLICY_STATE}
        return self.beside if is_beside or is_apart else self.columns


def look_through(connection: Connection, tenant_id: TenantId, asked: Filter, cut: Cut, most: int) -> Window:
    """Return the next devices that fit among the next ``most`` rows of a list, and where the page after it begins."""
    planning.at_once(connection)
    question = _asked(connection, tenant_id, asked)
    start, left, found = cut.after or Position(), most, list[Found]()
    listed = steps(question.phases(cut.order, check_ins), cut.order, start)
    for number, (phase, part) in enumerate(listed, start=1):
        going = passed(phase, part, () if phase.is_of_check_ins else (question.mine,), cut.order)
        end = connection.execute(going.limit(1).offset(left - 1)).first()
        last = None if end is None else Position(phase.number, *end)
        fitting = question.conditions(phase)
        for looked in (part,) if last is None else phase.up_to(part, last, descending=cut.order.descending):
            query = ordered(phase, looked, fitting, cut.order).limit(cut.size - len(found))
            found += (found_in(phase, row) for row in connection.execute(query))
            if len(found) >= cut.size:
                return Window(tuple(found), found[-1].position)
        if last is not None:
            return Window(tuple(found), last)
        if number < len(listed):
            left -= connection.scalars(select(func.count()).select_from(going.limit(left).subquery())).one()
            left = max(left, 1)
    return Window(tuple(found), None)


def known(connection: Connection, tenant_id: TenantId, asked: Filter) -> tuple[DeviceId, ...] | None:
    """Return the devices that fit, where an index names them and few others; ``None`` where none does."""
    planning.at_once(connection)
    is_large = asked.group is not None and count_members(connection, asked.group, most=FEW + 1) > FEW
    for narrow in _narrow(connection, tenant_id, replace(asked, group=None) if is_large else asked):
        if (ids := where_few(connection, narrow, FEW)) is not None:
            return _fitting(connection, tenant_id, asked, ids)
    return None


def beginning(connection: Connection, tenant_id: TenantId, asked: Filter) -> tuple[DeviceId, ...]:
    """Return devices that fit and whose name, or one of whose ids, begins with the first word of the search."""
    first = fold(asked.search.split()[0])
    name = inventory.c.name_folded
    row = select(inventory.c.device_id).where(inventory.c.tenant_id == tenant_id)
    named = row.where(name >= first, name < first + _LAST).order_by(name, inventory.c.device_id)
    found: list[str] = list(connection.scalars(named.limit(BEGINNINGS)))
    if (begun := beginning_ids(first)) is not None:
        mine = unsought(inventory.c.tenant_id) == tenant_id
        of_ids = select(inventory.c.device_id).where(inventory.c.number.in_(begun), mine)
        found += connection.scalars(of_ids.limit(BEGINNINGS))
    return _fitting(connection, tenant_id, asked, found)[:FEW]


class _RowByRow(Question):
    """A filter that is asked of one row after another: nothing is gathered first that all devices would be read for."""

    @property
    def mine(self) -> Condition:
        """Say that a row is of this tenant."""
        return inventory.c.tenant_id == self.tenant_id

    def of_group(self, group: GroupId) -> Condition:
        """Look whether the device is a member."""
        return belongs(inventory.c.device_id, of_group(self.connection, group))

    def of_contact(self, contact: Condition) -> Condition:
        """Look at the device's check-in."""
        return (
            select(literal(1))
            .where(check_ins.c.device_id == inventory.c.device_id, contact)
            .correlate(inventory)
            .exists()
        )

    @property
    def silent(self) -> Condition:
        """Look at the device's check-in, or at when it was registered where there was none."""
        moment = func.coalesce(check_ins.c.last_check_in, inventory.c.registered_at)
        return self.of_contact(moment < literal(self.filter.inactive_before, inventory.c.registered_at.type))

    def in_states(self, states: Collection[SettingState]) -> Condition:
        """Look at the device's report: *pending* is one that is missing, or about another target."""
        of_report = and_(
            status_documents.c.tenant_id == self.tenant_id, status_documents.c.digest == check_ins.c.status_digest
        )
        told = (
            select(literal(1))
            .select_from(check_ins.join(status_documents, of_report))
            .where(
                check_ins.c.device_id == inventory.c.device_id,
                status_documents.c.target.is_not_distinct_from(check_ins.c.target_digest),
            )
            .correlate(inventory)
        )
        named = sorted(frozenset(states) - {SettingState.PENDING})
        found: list[Condition] = [told.where(status_documents.c.gravest.in_(named)).exists()] if named else []
        if SettingState.PENDING in states:
            others = sorted(set(SettingState) - {SettingState.PENDING})
            has_come = self.of_contact(true())
            found.append(and_(has_come, ~told.where(status_documents.c.gravest.in_(others)).exists()))
        return or_(*found)


def _asked(connection: Connection, tenant_id: TenantId, asked: Filter) -> _RowByRow:
    return _RowByRow(tenant_id, asked, connection)


def _fitting(connection: Connection, tenant_id: TenantId, asked: Filter, ids: Sequence[str]) -> tuple[DeviceId, ...]:
    _, *others = _asked(connection, tenant_id, asked).conditions()
    found: dict[DeviceId, None] = {}
    for begun in range(0, len(ids), FEW):
        of_these = select(inventory.c.device_id).where(inventory.c.device_id.in_(ids[begun : begun + FEW]), *others)
        found |= dict.fromkeys(map(DeviceId, connection.scalars(of_these)))
        if len(found) >= FEW:
            break
    return tuple(found)


def _narrow(connection: Connection, tenant_id: TenantId, asked: Filter) -> Iterator[Select[Any]]:
    """Select the devices of each part of a filter that an index answers."""
    row = select(inventory.c.device_id).where(inventory.c.tenant_id == tenant_id)
    yield from (row.where(condition) for condition in _asked(connection, tenant_id, asked).indexed())
    if asked.group is not None:
        yield ids_of_members(of_group(connection, asked.group))
    if asked.policy_states and SettingState.PENDING not in asked.policy_states:
        yield _reporting(tenant_id, asked.policy_states)
    contact = select(check_ins.c.device_id).where(check_ins.c.tenant_id == tenant_id)
    if asked.seen_before is not None:
        yield contact.where(check_ins.c.last_check_in < asked.seen_before)
    if asked.seen_after is not None:
        yield contact.where(check_ins.c.last_check_in >= asked.seen_after)
    if asked.only:
        yield row.where(*asked.only)


def _reporting(tenant_id: TenantId, states: frozenset[SettingState]) -> Select[Any]:
    """Select the devices whose report is about their target and comes to one of these states: by their documents."""
    return (
        select(check_ins.c.device_id)
        .join(
            status_documents,
            and_(
                status_documents.c.digest == check_ins.c.status_digest,
                status_documents.c.target.is_not_distinct_from(check_ins.c.target_digest),
            ),
        )
        .where(
            check_ins.c.tenant_id == tenant_id,
            status_documents.c.tenant_id == tenant_id,
            status_documents.c.gravest.in_(sorted(states)),
        )
    )
