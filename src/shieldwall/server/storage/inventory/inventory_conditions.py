"""A filter of devices as SQL: what a row of the inventory has to fit, and which phases an order of it has."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Connection,
    FromClause,
    Select,
    and_,
    false,
    literal_column,
    or_,
    select,
    true,
)

from shieldwall.contract.ids import GroupId, TenantId
from shieldwall.contract.status import SEVERITY, SettingState
from shieldwall.server.storage.device_records import DeviceState
from shieldwall.server.storage.groups.group_members import FEW, count_members, members_among
from shieldwall.server.storage.groups.membership_conditions import numbers_of_members, of_group
from shieldwall.server.storage.inventory.inventory_phases import (
    BY_COLUMN,
    DRIFTED,
    EXCEPTIONS,
    NOT_ACTIVE,
    Condition,
    Phase,
)
from shieldwall.server.storage.inventory.inventory_queries import BY_ID, Filter, Health, Order, Sort
from shieldwall.server.storage.inventory.inventory_rows import SEPARATOR, agent_key
from shieldwall.server.storage.inventory.inventory_search import (
    contains,
    few_found,
    found_at_once,
    holding,
    is_found,
    words_of,
)
from shieldwall.server.storage.inventory.inventory_states import MANY, Pair, of_states, pairs
from shieldwall.server.storage.inventory.inventory_twins import is_twin
from shieldwall.server.storage.statements.bulk import is_numbered, unsought
from shieldwall.server.storage.tables.schema import check_ins, devices, inventory


@dataclass(frozen=True, slots=True)
class Question:
    """A filter, asked of one tenant."""

    tenant_id: TenantId
    filter: Filter
    connection: Connection
    pairs: tuple[Pair, ...] = ()
    """What devices enforce and report, where the filter or the order asks for its state."""
    inactive: Select[Any] = field(init=False)
    by_texts: tuple[Condition, ...] = field(init=False)
    """What the text of a device holds that fits, where words or tags are asked for."""
    _twins: list[Condition] = field(init=False, default_factory=list)
    """What says who has twins, once somebody asked: they are looked for once."""

    def __post_init__(self) -> None:
        """Say once who is silent, and what texts hold."""
        object.__setattr__(self, "inactive", _inactive(self.tenant_id, self.filter.inactive_before))
        object.__setattr__(self, "by_texts", _texts_of(self.filter))

    @property
    def mine(self) -> Condition:
        """Say that a row is of this tenant: in a way that no index answers where the rows are found otherwise."""
        if self.is_found_otherwise:
            return unsought(inventory.c.tenant_id) == self.tenant_id
        return inventory.c.tenant_id == self.tenant_id

    @property
    def is_found_otherwise(self) -> bool:
        """Whether few rows fit, which are found by their check-ins and put in order by themselves."""
        states = self.filter.policy_states
        return self.filter.health == {Health.INACTIVE} or (
            bool(states) and sum(pair.devices for pair in self.pairs if pair.state in states) <= MANY
        )

    def conditions(self, phase: Phase | None = None) -> list[Condition]:
        """Return what a row has to fit.

        Where a phase is one of check-ins, these name the tenant, and no index here can be followed. Tags that are
        looked for stand first: hardly any row has them, and SQLite asks the rest of those alone. What is searched is
        asked of one row after another, as in a list whose beginning is wanted.
        """
        found: list[Condition] = [] if phase is not None and phase.is_of_check_ins else [self.mine]
        found += self.beside_a_search(phase)
        if words := words_of(self.filter.search):
            found.append(is_found(words, self._states_beside_a_text))
        return found

    def searched(self) -> list[Condition]:
        """Return what a row has to fit where most are read: devices that fit by their texts are gathered first."""
        if not self.by_texts:
            return self.conditions()
        numbers = self.few_by_texts(FEW)
        if numbers is None:
            return [self.mine, *self.beside_a_search(), inventory.c.number.in_(self.found_by_texts())]
        return self.beside_these(numbers)

    def few_by_texts(self, most: int) -> list[int] | None:
        """Return the numbers of devices that fit by their texts, where texts are asked for and these are few."""
        return few_found(self.connection, self.found_by_texts(), most) if self.by_texts else None

    def beside_these(self, numbers: Collection[int]) -> list[Condition]:
        """Return what a row has to fit that is one of these devices, which fit by their texts."""
        return [is_numbered(self.connection, inventory.c.number, numbers), *self.beside_a_search()]

    def found_by_texts(self) -> Select[int]:
        """Select the numbers of devices that fit by their texts, and by what stands beside these."""
        return found_at_once(self.connection, self.tenant_id, self.by_texts, self._states_beside_a_text)

    def indexed(self) -> list[Condition]:
        """Return what an index of the list answers beside whose a row is; nothing where nothing of it is asked for."""
        asked = self.filter
        of_columns: tuple[tuple[object, Condition], ...] = (
            (asked.managed_by is not None, inventory.c.managed_by == asked.managed_by),
            (asked.agent_version is not None, inventory.c.agent_key == agent_key(asked.agent_version or "")),
            (asked.enrollment_codes, inventory.c.enrollment_code.in_(sorted(asked.enrollment_codes))),
            (asked.attestation, inventory.c.attestation_level.in_(sorted(asked.attestation))),
            (asked.is_drifted, DRIFTED),
            (DeviceState.ACTIVE not in asked.states, and_(NOT_ACTIVE, inventory.c.state.in_(sorted(asked.states)))),
        )
        return [condition for is_asked, condition in of_columns if is_asked]

    @property
    def is_said_by_texts(self) -> bool:
        """Whether nothing is asked that the text of a device does not say, or nearly so."""
        asked = self.filter
        rest = replace(asked, search="", tags=(), os_version=None, states=frozenset(DeviceState))
        if len(asked.os_types) == 1:
            rest = replace(rest, os_types=frozenset())
        return rest == Filter(inactive_before=asked.inactive_before, states=rest.states) and not asked.only

    @property
    def is_search_alone(self) -> bool:
        """Whether nothing is asked but a search, and states of devices."""
        asked = self.filter
        alone = Filter(inactive_before=asked.inactive_before, search=asked.search, states=asked.states)
        return bool(words_of(asked.search)) and asked == alone and not asked.only

    @property
    def _states_beside_a_text(self) -> frozenset[DeviceState] | None:
        """Return the states that are asked for, which may be none; ``None`` where all are."""
        return None if self.filter.states == frozenset(DeviceState) else self.filter.states

    def beside_a_search(self, phase: Phase | None = None) -> list[Condition]:
        """Return what a row of the tenant has to fit beside a search; states that this one asks for are left to it.

        An index holds those that are not active: where these are wanted, it can be followed in any case.
        """
        asked, found = self.filter, list[Condition]()
        found += [contains(inventory.c.tags, f"{SEPARATOR}{tag.casefold()}{SEPARATOR}") for tag in asked.tags]
        is_left = bool(words_of(asked.search)) and DeviceState.ACTIVE in asked.states
        if asked.states != frozenset(DeviceState) and not is_left:
            found.append(inventory.c.state.in_(sorted(state.value for state in asked.states)))
        if DeviceState.ACTIVE not in asked.states:
            found.append(NOT_ACTIVE)
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
        return [*found, *self._judged(phase), *asked.only, *self._seen(phase)]

    def _judged(self, phase: Phase | None) -> list[Condition]:
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
            silent = None if phase is None else phase.silent(asked.inactive_before)
            found.append(or_(*(and_(*self.of_health(health, silent)) for health in sorted(asked.health))))
        return found

    def of_twins(self) -> Condition:
        """Return what makes a row one of a device whose hardware another one names as well."""
        if not self._twins:
            self._twins.append(is_twin(self.connection, self.tenant_id, inventory.c.device_id))
        return self._twins[0]

    def of_group(self, group: GroupId) -> Condition:
        """Return what makes a row one of a member of a group.

        PostgreSQL knows how large it is. On SQLite no index is followed for a large one: rows soon fit.
        """
        is_sqlite = self.connection.dialect.name == "sqlite"
        if not is_sqlite or count_members(self.connection, group, most=FEW + 1) <= FEW:
            return members_among(self.connection, group)
        number = inventory.c.number + literal_column("0")
        return number.in_(numbers_of_members(of_group(self.connection, group)))

    def of_contact(self, contact: Condition) -> Condition:
        """Return what makes a row one of a device with such a check-in."""
        return _in(select(check_ins.c.device_id).where(check_ins.c.tenant_id == self.tenant_id, contact))

    @property
    def silent(self) -> Condition:
        """Say that a row is of a device that was not in touch for long: these are few, so they are named."""
        return _in(self.inactive)

    def of_health(self, health: Health, silent: Condition | None = None) -> tuple[Condition, ...]:
        """Return what makes a row one of this health; ``silent`` is what says that it is of a silent device."""
        silent = self.silent if silent is None else silent
        match health:
            case Health.INACTIVE:
                return (silent,)
            case Health.IMPAIRED:
                return (inventory.c.impaired == true(), ~silent)
            case Health.ACTIVE:
                return (inventory.c.impaired == false(), ~silent)

    def in_states(self, states: Collection[SettingState]) -> Condition:
        """Return what makes a row one of a device in these states."""
        return of_states(self.connection, self.tenant_id, self.pairs, states)

    def phases(self, order: Order, seen: FromClause) -> tuple[Phase, ...]:
        """Return the parts of a sort, in the order in which they are read; ``seen`` are the check-ins."""
        found = EXCEPTIONS.get(order.by) or self._phases(order.by, seen)
        turned = found[::-1] if order.descending else found
        if order.by in EXCEPTIONS:
            return turned
        is_split = self.connection.dialect.name == "sqlite" and order.by not in BY_ID
        return tuple(replace(phase, number=number, is_split=is_split) for number, phase in enumerate(turned))

    def _phases(self, by: Sort, seen: FromClause) -> tuple[Phase, ...]:
        if by in BY_COLUMN:
            return (Phase(BY_COLUMN[by], by_id=by in BY_ID),)
        match by:
            case Sort.HEALTH:
                return tuple(Phase(inventory.c.name_key, self.of_health(health)) for health in Health)
            case Sort.LAST_CHECK_IN:
                moment, mine = seen.c.last_check_in, seen.c.tenant_id == self.tenant_id
                never = Phase(seen.c.device_id, within=(mine, moment.is_(None)), source=seen, by_id=True)
                return (never, Phase(moment, within=(mine, moment.is_not(None)), source=seen, by_id=True))
            case _:
                return tuple(Phase(inventory.c.name_key, (self.in_states([state]),)) for state in SEVERITY[::-1])

    def _seen(self, phase: Phase | None) -> list[Condition]:
        asked, found = self.filter, list[Condition]()
        is_here = phase is not None and phase.is_of_check_ins
        moment = phase.source.c.last_check_in if phase is not None and is_here else check_ins.c.last_check_in
        if asked.seen_before is not None:
            found.append(moment < asked.seen_before)
        if asked.seen_after is not None:
            found.append(moment >= asked.seen_after)
        return found if is_here else [self.of_contact(each) for each in found]


def question_of(connection: Connection, tenant_id: TenantId, asked: Filter, order: Order | None = None) -> Question:
    """Ask a filter of a tenant; states of policies are gathered where the filter or the order needs them."""
    needs_pairs = asked.policy_states or (order is not None and order.by is Sort.POLICY_STATE)
    return Question(tenant_id, asked, connection, pairs(connection, tenant_id) if needs_pairs else ())


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


def _texts_of(asked: Filter) -> tuple[Condition, ...]:
    """Return what the text of a device holds that fits, as far as it says so: more devices may have such texts.

    A system alone is none of this: an index has it, and many have it.
    """
    words = words_of(asked.search)
    if not words and not asked.tags:
        return ()
    held = [f"{SEPARATOR}{tag}" for tag in asked.tags]
    if len(asked.os_types) == 1:
        held += [f"{SEPARATOR}{system}{SEPARATOR}" for system in asked.os_types]
    if asked.os_version is not None:
        held.append(f"{SEPARATOR}{asked.os_version}{SEPARATOR}")
    return (*holding(words), *holding(map(str.casefold, held), exactly=True))


def _in(chosen: Select[Any]) -> Condition:
    return inventory.c.device_id.in_(chosen)
