"""Devices by the state of what they enforce: the gravest of their report, *pending* where that is of another target.

No row says it, for a new target changes the state of all its devices at once. Devices with one target that sent one
report are in one state, so there are few pairs of both: they are counted by an index alone, and a state is the devices
of its pairs.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, and_, false, func, or_, select, true, tuple_

from shieldwall.contract.ids import TenantId
from shieldwall.contract.status import SettingState
from shieldwall.server.storage.tables.schema import check_ins, inventory, status_documents

FEW: Final = 2_000
"""So many devices are named one by one: no index knows them in the order of a list."""
MANY: Final = 100_000
"""Beyond this, going through all devices in the order of a list meets enough of them soon; up to it, they are found by
their pairs and put in order: however they lie, nobody goes through all the others for them."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Devices with one target and one report, and the state that they are in."""

    target: str | None
    status: str | None
    state: SettingState
    devices: int


def pairs(connection: Connection, tenant_id: TenantId) -> tuple[Pair, ...]:
    """Return all pairs of target and report that devices of a tenant have."""
    counted = (
        select(check_ins.c.target_digest, check_ins.c.status_digest, func.count().label("devices"))
        .where(check_ins.c.tenant_id == tenant_id)
        .group_by(check_ins.c.target_digest, check_ins.c.status_digest)
        .subquery()
    )
    query = select(counted, status_documents.c.target, status_documents.c.gravest).join(
        status_documents,
        and_(status_documents.c.tenant_id == tenant_id, status_documents.c.digest == counted.c.status_digest),
        isouter=True,
    )
    return tuple(
        Pair(
            target, status, SettingState.PENDING if gravest is None or about != target else SettingState(gravest), count
        )
        for target, status, count, about, gravest in connection.execute(query)
    )


def of_states(
    connection: Connection, tenant_id: TenantId, found: Sequence[Pair], states: Collection[SettingState]
) -> ColumnElement[bool]:
    """Say of a row of the inventory that its device is in one of these states."""
    chosen = [pair for pair in found if pair.state in states]
    others = [pair for pair in found if pair.state not in states]
    if not chosen:
        return false()
    if not others:
        return true()
    number = sum(pair.devices for pair in chosen)
    theirs = select(check_ins.c.device_id).where(check_ins.c.tenant_id == tenant_id, _are(chosen))
    if number <= FEW:
        return inventory.c.device_id.in_(list(connection.scalars(theirs)))
    if number <= MANY:
        return inventory.c.device_id.in_(theirs)
    its_own = check_ins.c.device_id == inventory.c.device_id
    mine = select(check_ins.c.device_id).where(its_own).correlate(inventory)  # a list may be one of check-ins itself
    if len(others) < len(chosen):
        return ~mine.where(_are(others)).exists()
    return mine.where(_are(chosen)).exists()


def _are(chosen: Sequence[Pair]) -> ColumnElement[bool]:
    whole = [(pair.target, pair.status) for pair in chosen if pair.target is not None and pair.status is not None]
    silent = [pair.target for pair in chosen if pair.target is not None and pair.status is None]
    parts: list[ColumnElement[bool]] = [
        and_(check_ins.c.target_digest.is_(None), _is(check_ins.c.status_digest, pair.status))
        for pair in chosen
        if pair.target is None
    ]
    if silent:
        parts.append(and_(check_ins.c.target_digest.in_(silent), check_ins.c.status_digest.is_(None)))
    if whole:
        parts.append(tuple_(check_ins.c.target_digest, check_ins.c.status_digest).in_(whole))
    return or_(*parts)


def _is(column: ColumnElement[Any], value: str | None) -> ColumnElement[bool]:
    return column.is_(None) if value is None else column == value
