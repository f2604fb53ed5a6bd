"""The phases of a sort of devices, as SQL: each a part of a list that one index has in order.

They are taken one after the other: devices that never checked in cannot stand between moments, and the health of a
device depends on the hour. ``ordered`` selects one phase.

Nearly all devices are active, and nothing of them has drifted. An index holds the others alone; those that are alike
are a phase of their own, in the order of their ids.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, TypeAlias

from sqlalchemy import ColumnElement, FromClause, Select, literal, literal_column, select, true, tuple_

from shieldwall.server.storage.device_records import DeviceState
from shieldwall.server.storage.inventory_queries import Order, Position, Sort
from shieldwall.server.storage.schema import inventory

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

    @property
    def is_of_check_ins(self) -> bool:
        """Whether it is check-ins that are in order, and not rows of the inventory."""
        return self.source is not inventory

    def silent(self, before: datetime) -> Condition | None:
        """Say of check-ins that they are of devices that were not in touch since a moment; a range of their index.

        Those that never came count by when they were registered.
        """
        if not self.is_of_check_ins:
            return None
        moment = self.source.c.last_check_in
        return (moment if self.column is moment else inventory.c.registered_at) < before

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


EXCEPTIONS: Final[Mapping[Sort, tuple[Phase, ...]]] = {
    Sort.EXPOSURE: (
        Phase(inventory.c.exposure, within=(inventory.c.exposure == literal_column("0"),), least=0),
        Phase(inventory.c.exposure, within=(DRIFTED,)),
    ),
    Sort.STATE: (
        Phase(inventory.c.state, within=(~NOT_ACTIVE,), least=DeviceState.ACTIVE.value),
        Phase(inventory.c.state, within=(NOT_ACTIVE,)),
    ),
}
"""Sorts in which nearly all devices are alike."""


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
