"""The phases of a sort of devices, as SQL: each a part of a list that one index has in order.

They are taken one after the other: devices that never checked in cannot stand between moments, and the health of a
device depends on the hour. ``ordered`` selects one phase.

Nearly all devices are active, and nothing of them has drifted. An index holds the others alone; those that are alike
are a phase of their own, in the order of their ids.

Other devices that are alike in what is sorted are in the order of their numbers, which end every index (decision 0093).
SQLite then reads in two parts what comes after a row, those that are like it first: it finds no place in an index by
comparing tuples that end in the row's own number, and would go through all that are alike, on every page. PostgreSQL
does; told in parts, it might go through all devices in the order of their numbers instead.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, TypeAlias

from sqlalchemy import ColumnElement, FromClause, Select, literal, literal_column, not_, select, true, tuple_

from shieldwall.contract.ids import DeviceId
from shieldwall.server.storage.device_records import DeviceState
from shieldwall.server.storage.inventory.inventory_queries import Found, Order, Position, Sort
from shieldwall.server.storage.statements.bulk import unsought
from shieldwall.server.storage.tables.schema import inventory

Condition: TypeAlias = ColumnElement[bool]
BY_COLUMN: Final[Mapping[Sort, ColumnElement[Any]]] = {
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
class Part:
    """A part of a phase that is one range of its index: what says that a row is in it.

    ``is_alike`` says that all rows in it are alike in what is sorted.
    """

    conditions: tuple[Condition, ...] = ()
    is_alike: bool = False


@dataclass(frozen=True, slots=True)
class Phase:
    """One part of a sort: its column, which of the devices it is about, and where both stand.

    ``within`` is what its index knows of these devices, ``only`` what it does not. ``number`` is that of positions in
    it; two phases have the same where what a row is sorted by says which of them it is in. ``least`` is what all are
    sorted by in a phase of devices that are alike, and nobody by less. ``by_id`` says that those that are alike are in
    the order of their ids, ``is_apart`` that few devices are put in order which something else has found, and
    ``is_split`` that what comes after a row is two ranges of the index.
    """

    column: ColumnElement[Any]
    only: tuple[Condition, ...] = ()
    within: tuple[Condition, ...] = ()
    source: FromClause = inventory
    number: int = 0
    least: str | int | None = None
    by_id: bool = False
    is_apart: bool = False
    is_split: bool = False

    @property
    def is_of_check_ins(self) -> bool:
        """Whether it is check-ins that are in order, and not rows of the inventory."""
        return self.source is not inventory

    @property
    def identity(self) -> ColumnElement[Any]:
        """What orders devices that are alike, and says of a position which row it is of.

        Where devices were found otherwise, nobody shall go through all of them in the order of their numbers instead.
        """
        if self.by_id:
            return self.source.c.device_id
        return unsought(inventory.c.number) if self.is_apart else inventory.c.number

    def silent(self, before: datetime) -> Condition | None:
        """Say of check-ins that they are of devices that were not in touch since a moment; a range of their index.

        Those that never came count by when they were registered.
        """
        if not self.is_of_check_ins:
            return None
        moment = self.source.c.last_check_in
        return (moment if self.column is moment else inventory.c.registered_at) < before

    def apart(self) -> Phase:
        """Return the phase for devices that something else has found."""
        return replace(self, is_apart=True, is_split=False)

    def plain(self) -> Phase:
        """Return the phase without what its index does not know."""
        return replace(self, only=())

    def is_passed(self, here: Position, *, descending: bool) -> bool:
        """Whether nothing of the phase comes after a position in this sort."""
        if self.number != here.phase or self.least is None or here.last is None:
            return self.number < here.phase
        return here.key != self.least and not descending

    def parts(self, after: Position, *, descending: bool) -> tuple[Part, ...]:
        """Return what comes after a position, which may be in another phase of the same number, in its order."""
        if after.last is None:
            return (Part(),)
        if not self.is_split:
            return (Part((self._beyond(after, descending=descending),)),)
        further = _comparing(descending=descending)
        return (
            Part((self._is_like(after), further(self.identity, after.last)), is_alike=True),
            Part((further(self.column, self._key(after)),)),
        )

    def up_to(self, part: Part, last: Position, *, descending: bool) -> tuple[Part, ...]:
        """Return what of a part comes before a position in it, or is there."""
        if not self.is_split:
            return (Part((*part.conditions, not_(self._beyond(last, descending=descending)))),)
        before, further = _comparing(descending=not descending), _comparing(descending=descending)
        is_there = not_(further(self.identity, last.last))
        if part.is_alike:
            return (replace(part, conditions=(*part.conditions, is_there)),)
        return (
            Part((*part.conditions, before(self.column, self._key(last)))),
            Part((*part.conditions, self._is_like(last), is_there), is_alike=True),
        )

    def _key(self, here: Position) -> ColumnElement[Any]:
        return literal(here.key, self.column.type)

    def _is_like(self, here: Position) -> Condition:
        return self.column == self._key(here)

    def _beyond(self, here: Position, *, descending: bool) -> Condition:
        """Say in one comparison that a row comes after a position."""
        if self.least is None:
            place, row = tuple_(self._key(here), literal(here.last)), tuple_(self.column, self.identity)
            return row < place if descending else row > place
        if here.key != self.least:
            return true()
        return self.identity < here.last if descending else self.identity > here.last


def _comparing(*, descending: bool) -> Callable[[Any, Any], Condition]:
    """Return what says that one thing comes after another."""
    return operator.lt if descending else operator.gt


EXCEPTIONS: Final[Mapping[Sort, tuple[Phase, ...]]] = {
    Sort.EXPOSURE: (
        Phase(inventory.c.exposure, within=(inventory.c.exposure == literal_column("0"),), least=0, by_id=True),
        Phase(inventory.c.exposure, within=(DRIFTED,), by_id=True),
    ),
    Sort.STATE: (
        Phase(inventory.c.state, within=(~NOT_ACTIVE,), least=DeviceState.ACTIVE.value, by_id=True),
        Phase(inventory.c.state, within=(NOT_ACTIVE,), by_id=True),
    ),
}
"""Sorts in which nearly all devices are alike."""


def steps(phases: Sequence[Phase], order: Order, after: Position) -> list[tuple[Phase, Part]]:
    """Return what a list is read in after a position, one range of an index after the other."""
    descending = order.descending
    return [
        (phase, part)
        for phase in phases
        if not phase.is_passed(after, descending=descending)
        for part in phase.parts(after if phase.number == after.phase else Position(), descending=descending)
    ]


def ordered(phase: Phase, part: Part, conditions: Sequence[Condition], order: Order) -> Select[Any]:
    """Select the devices of a part that fit: what they are sorted by, which rows they are, their ids."""
    source, device = phase.source, phase.source.c.device_id
    if source is not inventory and conditions:
        source = source.join(inventory, inventory.c.device_id == device)
    query = select(phase.column, phase.identity, device).select_from(source)
    return _in_order(query.where(*conditions, *phase.within, *phase.only, *part.conditions), phase, order)


def passed(phase: Phase, part: Part, conditions: Sequence[Condition], order: Order) -> Select[Any]:
    """Select what the devices of a part are sorted by, and which rows they are: what an index has of all of them."""
    query = select(phase.column, phase.identity).select_from(phase.source)
    return _in_order(query.where(*conditions, *phase.within, *part.conditions), phase, order)


def found_in(phase: Phase, row: Sequence[Any]) -> Found:
    """Make a row of ``ordered`` one of a page."""
    key, last, device = row
    return Found(DeviceId(device), Position(phase.number, key, last))


def _in_order(query: Select[Any], phase: Phase, order: Order) -> Select[Any]:
    every = (phase.column, phase.identity) if phase.least is None else (phase.identity,)
    return query.order_by(*(each.desc() for each in every) if order.descending else every)
