"""A filter and an order of devices as SQL: what a row of the inventory has to fit, and the phases of a sort.

A sort has *phases*, taken one after the other, each with an index of its own: devices that never checked in cannot
stand between moments, and the health of a device depends on the hour. ``ordered`` selects one phase.

Nearly all devices are active, and nothing of them has drifted. An index holds the others alone; those that are alike
are a phase of their own, in the order of their ids.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, TypeAlias

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Select,
    and_,
    false,
    func,
    literal,
    literal_column,
    or_,
    select,
    true,
    tuple_,
)

from shieldwall.contract.ids import GroupId, TenantId
from shieldwall.contract.status import SEVERITY, SettingState
from shieldwall.server.storage.device_records import DeviceState
from shieldwall.server.storage.inventory_queries import Filter, Health, Order, Position, Sort
from shieldwall.server.storage.inventory_rows import SEPARATOR, agent_key
from shieldwall.server.storage.inventory_states import MANY, Pair, of_states, pairs
from shieldwall.server.storage.inventory_twins import duplicated
from shieldwall.server.storage.schema import check_ins, devices, group_members, inventory

Condition: TypeAlias = ColumnElement[bool]
_ESCAPE: Final = "\\"
_BY_COLUMN: Final[Mapping[Sort, ColumnElement[Any]]] = {
    Sort.NAME: inventory.c.name_key,
    Sort.OS: inventory.c.os_key,
    Sort.AGENT_VERSION: inventory.c.agent_key,
    Sort.MANAGED_BY: inventory.c.managed_by,
    Sort.ENROLLMENT_CODE: inventory.c.enrollment_code,
    Sort.ATTESTATION: inventory.c.attestation_level,
    Sort.TAG: inventory.c.tags_key,
    Sort.REGISTERED: inventory.c.registered_at,
}
"""What one column orders; the others are read in phases."""

# Written out, and not bound: an index of some rows is taken only where a query says what its rows are.
NOT_ACTIVE: Final = inventory.c.state != literal_column(f"'{DeviceState.ACTIVE.value}'")
"""What ``ix_inventory_other_states`` holds."""
DRIFTED: Final = inventory.c.exposure > literal_column("0")
"""What ``ix_inventory_exposed`` holds."""


@dataclass(frozen=True, slots=True)
class Phase:
    """One part of a sort: its column, which of the devices it is about, and where both stand.

    ``within`` is what its index knows of these devices, ``only`` what it does not. ``number`` is that of positions in
    it; two phases have the same where what a row is sorted by says which of them it is in. ``least`` is what all are
    sorted by in a phase of devices that are alike, and nobody by less.
    """

    column: ColumnElement[Any]
    only: tuple[Condition, ...] = ()
    within: tuple[Condition, ...] = ()
    source: FromClause = inventory
    number: int = 0
    least: str | int | None = None

    def plain(self) -> Phase:
        """Return the phase without what its index does not know."""
        return replace(self, only=())

    def is_passed(self, here: Position, *, descending: bool) -> bool:
        """Whether nothing of the phase comes after a position in this sort."""
        if self.number != here.phase or self.least is None or here.device_id is None:
            return self.number < here.phase
        return here.key != self.least and not descending

    def beyond(self, here: Position, *, descending: bool) -> Condition:
        """Say that a row comes after a position, which may be in another phase of the same number."""
        identity = self.source.c.device_id
        if self.least is None:
            place = tuple_(literal(here.key, self.column.type), literal(here.device_id))
            row = tuple_(self.column, identity)
            return row < place if descending else row > place
        if here.key != self.least:
            return true()
        return identity < here.device_id if descending else identity > here.device_id


_EXCEPTIONS: Final[Mapping[Sort, tuple[Phase, ...]]] = {
    Sort.EXPOSURE: (
        Phase(inventory.c.exposure, within=(inventory.c.exposure == literal_column("0"),), least=0),
        Phase(inventory.c.exposure, within=(DRIFTED,)),
    ),
    Sort.STATE: (
        Phase(inventory.c.state, within=(~NOT_ACTIVE,), least=DeviceState.ACTIVE.value),
        Phase(inventory.c.state, within=(NOT_ACTIVE,)),
    ),
}


@dataclass(frozen=True, slots=True)
class Question:
    """A filter, asked of one tenant."""

    tenant_id: TenantId
    filter: Filter
    connection: Connection
    pairs: tuple[Pair, ...] = ()
    """What devices enforce and report, where the filter or the order asks for its state."""
    inactive: Select[Any] = field(init=False)

    def __post_init__(self) -> None:
        """Say once who is silent."""
        object.__setattr__(self, "inactive", _inactive(self.tenant_id, self.filter.inactive_before))

    @property
    def mine(self) -> Condition:
        """Say that a row is of this tenant: in a way that no index answers where the rows are found otherwise."""
        if self.filter.health == {Health.INACTIVE} or self._is_named_by_state:
            return func.coalesce(inventory.c.tenant_id, "") == self.tenant_id
        return inventory.c.tenant_id == self.tenant_id

    @property
    def _is_named_by_state(self) -> bool:
        states = self.filter.policy_states
        return bool(states) and sum(pair.devices for pair in self.pairs if pair.state in states) <= MANY

    def conditions(self, source: FromClause = inventory) -> list[Condition]:
        """Return what a row has to fit.

        Where devices are found in another ``source``, that one names the tenant, and no index here can be followed.
        """
        asked = self.filter
        found: list[Condition] = [self.mine] if source is inventory else []
        if asked.states != frozenset(DeviceState):
            found.append(inventory.c.state.in_(sorted(state.value for state in asked.states)))
        if DeviceState.ACTIVE not in asked.states:
            found.append(NOT_ACTIVE)
        found += searching(asked.search)
        found += [_contains(inventory.c.tags, f"{SEPARATOR}{tag.casefold()}{SEPARATOR}") for tag in asked.tags]
        for column, values in (
            (inventory.c.enrollment_code, asked.enrollment_codes),
            (inventory.c.os_type, asked.os_types),
            (inventory.c.attestation_level, asked.attestation),
        ):
            if values:
                found.append(column.in_(sorted(values)))
        for column, value in (
            (inventory.c.os_version, asked.os_version),
            (inventory.c.managed_by, asked.managed_by),
            (inventory.c.agent_version, asked.agent_version),
            (inventory.c.agent_key, None if asked.agent_version is None else agent_key(asked.agent_version)),
        ):
            if value is not None:
                found.append(column == value)
        return [*found, *self._judged(), *asked.only, *self._seen()]

    def _judged(self) -> list[Condition]:
        """Return what asks for more than the columns of a row."""
        asked, found = self.filter, list[Condition]()
        if asked.is_drifted is not None:
            found.append(DRIFTED if asked.is_drifted else ~DRIFTED)
        if asked.is_duplicate is not None:
            twin = self.of_twins()
            found.append(twin if asked.is_duplicate else ~twin)
        if asked.group is not None:
            found.append(self.of_group(asked.group))
        if asked.policy_states:
            found.append(self.in_states(asked.policy_states))
        if asked.health:
            found.append(or_(*(and_(*self.of_health(health)) for health in sorted(asked.health))))
        return found

    def of_twins(self) -> Condition:
        """Return what makes a row one of a device whose hardware another one names as well."""
        return _in(duplicated(self.tenant_id))

    def of_group(self, group: GroupId) -> Condition:
        """Return what makes a row one of a member of a group."""
        return _in(select(group_members.c.device_id).where(group_members.c.group_id == group))

    def of_contact(self, contact: Condition) -> Condition:
        """Return what makes a row one of a device with such a check-in."""
        return _in(select(check_ins.c.device_id).where(check_ins.c.tenant_id == self.tenant_id, contact))

    def of_health(self, health: Health) -> tuple[Condition, ...]:
        """Return what makes a row one of this health. The silent are few, so they are named and not the others."""
        match health:
            case Health.INACTIVE:
                return (_in(self.inactive),)
            case Health.IMPAIRED:
                return (inventory.c.impaired == true(), ~_in(self.inactive))
            case Health.ACTIVE:
                return (inventory.c.impaired == false(), ~_in(self.inactive))

    def in_states(self, states: Collection[SettingState]) -> Condition:
        """Return what makes a row one of a device in these states."""
        return of_states(self.connection, self.tenant_id, self.pairs, states)

    def phases(self, order: Order, seen: FromClause) -> tuple[Phase, ...]:
        """Return the parts of a sort, in the order in which they are read; ``seen`` are the check-ins."""
        found = _EXCEPTIONS.get(order.by) or self._phases(order.by, seen)
        turned = found[::-1] if order.descending else found
        if order.by in _EXCEPTIONS:
            return turned
        return tuple(replace(phase, number=number) for number, phase in enumerate(turned))

    def _phases(self, by: Sort, seen: FromClause) -> tuple[Phase, ...]:
        if by in _BY_COLUMN:
            return (Phase(_BY_COLUMN[by]),)
        match by:
            case Sort.HEALTH:
                return tuple(Phase(inventory.c.name_key, self.of_health(health)) for health in Health)
            case Sort.LAST_CHECK_IN:
                moment, mine = seen.c.last_check_in, seen.c.tenant_id == self.tenant_id
                never = Phase(seen.c.device_id, within=(mine, moment.is_(None)), source=seen)
                return (never, Phase(moment, within=(mine, moment.is_not(None)), source=seen))
            case _:
                return tuple(Phase(inventory.c.name_key, (self.in_states([state]),)) for state in SEVERITY[::-1])

    def _seen(self) -> list[Condition]:
        asked, found = self.filter, list[Condition]()
        if asked.seen_before is not None:
            found.append(self.of_contact(check_ins.c.last_check_in < asked.seen_before))
        if asked.seen_after is not None:
            found.append(self.of_contact(check_ins.c.last_check_in >= asked.seen_after))
        return found


def question_of(connection: Connection, tenant_id: TenantId, asked: Filter, order: Order | None = None) -> Question:
    """Ask a filter of a tenant; states of policies are gathered where the filter or the order needs them."""
    needs_pairs = asked.policy_states or (order is not None and order.by is Sort.POLICY_STATE)
    return Question(tenant_id, asked, connection, pairs(connection, tenant_id) if needs_pairs else ())


def following(phases: Sequence[Phase], order: Order, after: Position) -> list[Phase]:
    """Return the phases in which something may come after a position."""
    return [phase for phase in phases if not phase.is_passed(after, descending=order.descending)]


def ordered(phase: Phase, conditions: Sequence[Condition], order: Order, after: Position) -> Select[Any]:
    """Select the devices of a phase that fit, and what they are sorted by, after a position."""
    column, identity = phase.column, phase.source.c.device_id
    source = phase.source
    if source is not inventory and conditions:
        source = source.join(inventory, inventory.c.device_id == identity)
    query = select(identity, column).select_from(source).where(*conditions, *phase.within, *phase.only)
    if after.device_id is not None:
        query = query.where(phase.beyond(after, descending=order.descending))
    every = (column, identity) if phase.least is None else (identity,)
    return query.order_by(*(each.desc() for each in every) if order.descending else every)


def searching(text: str) -> tuple[Condition, ...]:
    """Say that every word of a search stands in what is searched of a row."""
    return tuple(_contains(inventory.c.search, word) for word in text.casefold().split())


def _inactive(tenant_id: TenantId, before: datetime) -> Select[Any]:
    """Select the ids of devices that were not in touch since a moment."""
    mine = check_ins.c.tenant_id == tenant_id
    silent = select(check_ins.c.device_id).where(mine, check_ins.c.last_check_in < before)
    never = (
        select(check_ins.c.device_id)
        .join(devices, devices.c.id == check_ins.c.device_id)
        .where(mine, check_ins.c.last_check_in.is_(None), devices.c.registered_at < before)
    )
    return silent.union_all(never).subquery().select()


def _in(chosen: Select[Any]) -> Condition:
    return inventory.c.device_id.in_(chosen)


def _contains(column: ColumnElement[str], text: str) -> Condition:
    return column.contains(text, autoescape=True, escape=_ESCAPE)
