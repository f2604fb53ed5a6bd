"""Lists of a tenant's devices: searched, filtered, sorted and cut into pages, all in SQL.

A page never counts rows to skip: its cursor names the last row of the page before, by what it was sorted by and its id
(keyset), so pages stay true while devices come and go. A sort has *phases*, taken one after the other, each with an
index of its own: devices that never checked in cannot stand between moments, and the health of a device depends on
the hour. ``portion`` reads one phase.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, TypeAlias

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Select,
    and_,
    bindparam,
    case,
    false,
    func,
    literal,
    or_,
    select,
    true,
    tuple_,
)

from shieldwall.contract.ids import DeviceId, GroupId, TenantId
from shieldwall.contract.status import SEVERITY, SettingState
from shieldwall.server.storage.device_records import DeviceState
from shieldwall.server.storage.inventory_rows import SEPARATOR, agent_key
from shieldwall.server.storage.inventory_states import MANY, Pair, of_states, pairs
from shieldwall.server.storage.rows import portions
from shieldwall.server.storage.schema import check_ins, devices, group_members, inventory

Condition: TypeAlias = ColumnElement[bool]
_ESCAPE: Final = "\\"
_FEW: Final = 2_000
_HARDWARE: Final = (devices.c.machine_id_hash, devices.c.smbios_uuid_hash, devices.c.tpm_ek_hash)
_SHARED: Final = {
    "machine_id_hash": "machineId",
    "smbios_uuid_hash": "smbiosUuid",
    "tpm_ek_hash": "tpmEndorsementKey",
}
_MOST_TWINS: Final = 1_000
"""Pairs that a page of devices is shown with; a thousand clones of one disk need no more to be seen."""
FACETS: Final = (
    "health",
    "state",
    "os",
    "osVersion",
    "managedBy",
    "enrollmentCode",
    "agentVersion",
    "attestation",
    "drifted",
    "tag",
)


class Health(StrEnum):
    """Whether a device is in touch and well."""

    IMPAIRED = "impaired"
    """In touch, and reports errors, or that a product it steers does not work."""
    INACTIVE = "inactive"
    """Not in touch for so long that what it last said says nothing."""
    ACTIVE = "active"


class Sort(StrEnum):
    """What a list is sorted by; devices that are alike in it are in the order of their ids."""

    NAME = "name"
    LAST_CHECK_IN = "lastCheckIn"
    OS = "os"
    HEALTH = "health"
    AGENT_VERSION = "agentVersion"
    EXPOSURE = "exposure"
    STATE = "state"
    POLICY_STATE = "policyState"
    """The gravest of what is enforced first."""
    MANAGED_BY = "managedBy"
    ENROLLMENT_CODE = "enrollmentCode"
    ATTESTATION = "attestation"
    TAG = "tag"
    REGISTERED = "registered"


_BY_COLUMN: Final[Mapping[Sort, ColumnElement[Any]]] = {
    Sort.NAME: inventory.c.name_key,
    Sort.OS: inventory.c.os_key,
    Sort.AGENT_VERSION: inventory.c.agent_key,
    Sort.EXPOSURE: inventory.c.exposure,
    Sort.STATE: inventory.c.state,
    Sort.MANAGED_BY: inventory.c.managed_by,
    Sort.ENROLLMENT_CODE: inventory.c.enrollment_code,
    Sort.ATTESTATION: inventory.c.attestation_level,
    Sort.TAG: inventory.c.tags_key,
    Sort.REGISTERED: inventory.c.registered_at,
}
"""What one column orders; the others are read in phases."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which devices are meant: those that fit every part that is given. Texts are compared whatever their case.

    ``inactive_before`` is the moment that parts devices in touch from the others, by their last check-in, or by their
    registration where they never checked in.
    """

    inactive_before: datetime
    search: str = ""
    health: frozenset[Health] = frozenset()
    states: frozenset[DeviceState] = frozenset(DeviceState) - {DeviceState.RETIRED}
    enrollment_codes: frozenset[int] = frozenset()
    os_types: frozenset[str] = frozenset()
    os_version: str | None = None
    tags: tuple[str, ...] = ()
    managed_by: str | None = None
    agent_version: str | None = None
    attestation: frozenset[str] = frozenset()
    is_drifted: bool | None = None
    is_duplicate: bool | None = None
    seen_before: datetime | None = None
    seen_after: datetime | None = None
    group: GroupId | None = None
    policy_states: frozenset[SettingState] = frozenset()
    only: tuple[ColumnElement[bool], ...] = field(default=(), compare=False)
    """Further conditions over the rows of ``inventory``: which of them the caller sees."""


@dataclass(frozen=True, slots=True)
class Position:
    """After which row a portion begins: the phase of the sort, what the row is sorted by, its id."""

    phase: int = 0
    key: str | int | datetime | None = None
    device_id: DeviceId | None = None


@dataclass(frozen=True, slots=True)
class Phase:
    """One part of a sort: its column, which of the devices it is about, and where both stand."""

    column: ColumnElement[Any]
    only: tuple[Condition, ...] = ()
    source: FromClause = inventory


@dataclass(frozen=True, slots=True)
class Order:
    """A sort, and whether it is turned round."""

    by: Sort = Sort.NAME
    descending: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """Which part of a list is read: in which order, after which row, how much."""

    order: Order = Order()
    after: Position | None = None
    size: int = 100


@dataclass(frozen=True, slots=True)
class Found:
    """One row of a page: the device, and the position after it."""

    device_id: DeviceId
    position: Position


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
    .where(inventory.c.device_id.in_(bindparam("ids", expanding=True)))
)


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

    def conditions(self) -> list[Condition]:
        """Return what a row has to fit."""
        asked = self.filter
        found: list[Condition] = [self.mine]
        if asked.states != frozenset(DeviceState):
            found.append(inventory.c.state.in_(sorted(state.value for state in asked.states)))
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
            found.append(inventory.c.exposure > 0 if asked.is_drifted else inventory.c.exposure == 0)
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
        found = self._phases(order.by, seen)
        return found[::-1] if order.descending else found

    def _phases(self, by: Sort, seen: FromClause) -> tuple[Phase, ...]:
        if by in _BY_COLUMN:
            return (Phase(_BY_COLUMN[by]),)
        match by:
            case Sort.HEALTH:
                return tuple(Phase(inventory.c.name_key, self.of_health(health)) for health in Health)
            case Sort.LAST_CHECK_IN:
                moment, mine = seen.c.last_check_in, seen.c.tenant_id == self.tenant_id
                never = Phase(seen.c.device_id, (mine, moment.is_(None)), seen)
                return (never, Phase(moment, (mine, moment.is_not(None)), seen))
            case _:
                return tuple(Phase(inventory.c.name_key, (self.in_states([state]),)) for state in SEVERITY[::-1])

    def _seen(self) -> list[Condition]:
        asked, found = self.filter, list[Condition]()
        if asked.seen_before is not None:
            found.append(self.of_contact(check_ins.c.last_check_in < asked.seen_before))
        if asked.seen_after is not None:
            found.append(self.of_contact(check_ins.c.last_check_in >= asked.seen_after))
        return found


def portion(
    connection: Connection, tenant_id: TenantId, asked: Filter, cut: Cut, known: Collection[DeviceId] | None = None
) -> tuple[Found, ...]:
    """Return the next devices of a list, at most so many; ``known`` are those that fit, where somebody knows."""
    question = _asked(connection, tenant_id, asked, cut.order)
    conditions = question.conditions()
    order, start, size = cut.order, cut.after or Position(), cut.size
    seen: FromClause = check_ins
    named: list[str] | None = None if known is None else list(known)
    if named is None and (order.by is Sort.LAST_CHECK_IN or asked.search or asked.tags or asked.only):
        named = _few(connection, question)
    if named is not None:
        conditions = [inventory.c.device_id.in_(named)]
        if order.by is Sort.LAST_CHECK_IN:
            seen, conditions = _seen(named), []
    found: list[Found] = []
    phases = question.phases(order, seen)
    for number in range(start.phase, len(phases)):
        query = ordered(phases[number], conditions, order, start if number == start.phase else Position())
        rows = connection.execute(query.limit(size - len(found)))
        found += [Found(DeviceId(device), Position(number, key, DeviceId(device))) for device, key in rows]
        if len(found) >= size:
            break
    return tuple(found)


def few(connection: Connection, tenant_id: TenantId, asked: Filter) -> tuple[DeviceId, ...] | None:
    """Return the devices that fit where these are few, in no order; ``None`` where they are many."""
    found = _few(connection, _asked(connection, tenant_id, asked))
    return None if found is None else tuple(map(DeviceId, found))


def count(connection: Connection, tenant_id: TenantId, asked: Filter, *, most: int | None = None) -> int:
    """Return how many devices fit; with ``most`` no further than so many are counted."""
    fitting = _asked(connection, tenant_id, asked).conditions()
    query = select(func.count()).select_from(inventory).where(*fitting)
    if most is not None:
        query = select(func.count()).select_from(select(inventory.c.device_id).where(*fitting).limit(most).subquery())
    return connection.scalars(query).one()


def count_facets(
    connection: Connection, tenant_id: TenantId, asked: Filter, facets: Collection[str]
) -> Mapping[str, Mapping[str, int]]:
    """Count the devices that fit by each of these facets; a device counts once for each of its tags."""
    question = _asked(connection, tenant_id, asked)
    columns = {name: column for name, column in _facet_columns(question).items() if name in facets}
    if not columns:
        return {}
    query = select(*columns.values(), func.count()).where(*question.conditions()).group_by(*columns.values())
    counts: dict[str, dict[str, int]] = {name: {} for name in columns}
    for *values, number in connection.execute(query):
        for name, value in zip(columns, values, strict=True):
            for word in _words(name, value):
                counts[name][word] = counts[name].get(word, 0) + number
    return counts


def standing(connection: Connection, device_ids: Collection[DeviceId]) -> Mapping[DeviceId, Standing]:
    """Return what is kept beside the records of these devices."""
    return {
        DeviceId(device): Standing(*values)
        for portion_of_ids in portions(sorted(device_ids))
        for device, *values in connection.execute(_STANDING, {"ids": portion_of_ids})
    }


def searching(text: str) -> tuple[Condition, ...]:
    """Say that every word of a search stands in what is searched of a row."""
    return tuple(_contains(inventory.c.search, word) for word in text.casefold().split())


def duplicated(tenant_id: TenantId) -> Select[Any]:
    """Select the ids of devices, not retired, whose hardware another one of the tenant names as well."""
    here = (devices.c.tenant_id == tenant_id, devices.c.state != DeviceState.RETIRED.value)
    shared = [
        select(devices.c.id).where(
            *here,
            column.in_(select(column).where(*here, column.is_not(None)).group_by(column).having(func.count() > 1)),
        )
        for column in _HARDWARE
    ]
    return shared[0].union(*shared[1:]).subquery().select()


def shared_hardware(
    connection: Connection, tenant_id: TenantId, device_ids: Collection[DeviceId]
) -> Iterator[tuple[DeviceId, DeviceId, str]]:
    """Yield each of these devices with another one, not retired, that names the same hardware, and what it is."""
    for column in _HARDWARE:
        for few_ids in portions(sorted(device_ids)):
            theirs = select(devices.c.id, column).where(devices.c.id.in_(few_ids), column.is_not(None))
            known = [(DeviceId(device), value) for device, value in connection.execute(theirs.order_by(devices.c.id))]
            if not known:
                continue
            named = {value for _, value in known}
            others = (
                select(column, devices.c.id)
                .where(
                    devices.c.tenant_id == tenant_id,
                    column.in_(sorted(named)),
                    devices.c.state != DeviceState.RETIRED.value,
                )
                .order_by(devices.c.id)
                .limit(_MOST_TWINS)
            )
            alike = [(value, DeviceId(twin)) for value, twin in connection.execute(others)]
            for device, value in known:
                for of_value, twin in alike:
                    if of_value == value and twin != device:
                        yield device, twin, _SHARED[column.name]


def _asked(connection: Connection, tenant_id: TenantId, asked: Filter, order: Order | None = None) -> Question:
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


def _few(connection: Connection, question: Question) -> list[str] | None:
    """Return the devices that fit, where these are few and no index knows them by what is asked.

    Where they are many, going through all devices in the order wanted meets enough of them soon. Going through them in
    no order at all is twice as fast, so the tenant is asked for in a way that no index answers.
    """
    _, *others = question.conditions()
    asked = question.filter
    is_indexed = asked.enrollment_codes or asked.attestation or asked.managed_by or asked.agent_version
    mine = func.coalesce(inventory.c.tenant_id, "") == question.tenant_id
    if is_indexed:
        mine = inventory.c.tenant_id == question.tenant_id
    found = list(connection.scalars(select(inventory.c.device_id).where(mine, *others).limit(_FEW + 1)))
    return None if len(found) > _FEW else found


def _seen(few: Sequence[str]) -> FromClause:
    """Return the check-ins of these devices; the limit keeps the engine from taking all check-ins in their order."""
    return select(check_ins).where(check_ins.c.device_id.in_(few)).limit(_FEW).subquery()


def ordered(phase: Phase, conditions: Sequence[Condition], order: Order, after: Position) -> Select[Any]:
    """Select the devices of a phase that fit, and what they are sorted by, after a position."""
    column, identity = phase.column, phase.source.c.device_id
    source = phase.source
    if source is not inventory and conditions:
        source = source.join(inventory, inventory.c.device_id == identity)
    query = select(identity, column).select_from(source).where(*conditions, *phase.only)
    if after.device_id is not None:
        place = tuple_(literal(after.key, column.type), literal(after.device_id))
        here = tuple_(column, identity)
        query = query.where(here < place if order.descending else here > place)
    if order.descending:
        return query.order_by(column.desc(), identity.desc())
    return query.order_by(column, identity)


def _in(chosen: Select[Any]) -> Condition:
    return inventory.c.device_id.in_(chosen)


def _contains(column: ColumnElement[str], text: str) -> Condition:
    return column.contains(text, autoescape=True, escape=_ESCAPE)


def _facet_columns(question: Question) -> Mapping[str, ColumnElement[Any]]:
    health = case(
        (_in(question.inactive), Health.INACTIVE.value),
        (inventory.c.impaired == true(), Health.IMPAIRED.value),
        else_=Health.ACTIVE.value,
    )
    return {
        "health": health,
        "state": inventory.c.state,
        "os": inventory.c.os_type,
        "osVersion": inventory.c.os_version,
        "managedBy": inventory.c.managed_by,
        "enrollmentCode": inventory.c.enrollment_code,
        "agentVersion": inventory.c.agent_version,
        "attestation": inventory.c.attestation_level,
        "drifted": inventory.c.exposure > 0,
        "tag": inventory.c.tags,
    }


def _words(facet: str, value: Any) -> Sequence[str]:
    match facet:
        case "tag":
            return [tag for tag in value.split(SEPARATOR) if tag]
        case "drifted":
            return ["true" if value else "false"]
        case _:
            return [str(value)]
