"""The enrollment of all devices of a tenant at once: only what it depends on, and the code itself."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Final, NamedTuple

from sqlalchemy import ColumnElement, Connection, and_, bindparam, literal_column, select, update

from shieldwall.contract.ids import DeviceId, TenantId
from shieldwall.server.storage.device_records import DeviceState
from shieldwall.server.storage.statements.bulk import MOST_AT_ONCE, apart, is_one_of, together, unsought
from shieldwall.server.storage.statements.rows import portions, strings_from
from shieldwall.server.storage.tables.schema import devices

_DECISIVE: Final = (
    devices.c.state,
    devices.c.os_type,
    devices.c.tags,
    devices.c.manager,
    devices.c.unsuitable,
    devices.c.is_domain_controller,
    devices.c.enrollment_code,
)
_OF_TENANT: Final = devices.c.tenant_id == bindparam("tenant")
_ALIKE: Final = (
    select(together(devices.c.id), *_DECISIVE).where(devices.c.state != DeviceState.RETIRED.value).group_by(*_DECISIVE)
)
_PLACE: Final[ColumnElement[int]] = literal_column("devices.rowid")
_PLACES: Final = select(_PLACE).select_from(devices).where(_OF_TENANT).correlate(None)
"""Where the rows of a tenant lie on SQLite: known without reading them, and so they are read in that order."""


class Alike(NamedTuple):
    """What devices have in common that enrollment cannot tell apart."""

    state: DeviceState
    os_type: str
    tags: tuple[str, ...]
    manager: str | None
    unsuitable: str | None
    is_domain_controller: bool
    code: int


def alike(
    connection: Connection, tenant_id: TenantId, among: Collection[DeviceId] | None = None
) -> Iterator[tuple[Alike, list[DeviceId]]]:
    """Yield devices of a tenant, all or those ``among`` them, that are not retired; those alike together, unordered."""
    states = {state.value: state for state in DeviceState}
    if among is not None:
        theirs = and_(is_one_of(connection, devices.c.id, among), unsought(devices.c.tenant_id) == bindparam("tenant"))
    else:
        theirs = _PLACE.in_(_PLACES) if connection.dialect.name == "sqlite" else _OF_TENANT
    for ids, state, os_type, tags, *others in connection.execute(_ALIKE.where(theirs), {"tenant": tenant_id}):
        yield Alike(states[state], os_type, strings_from(tags), *others), list(map(DeviceId, apart(ids)))


def hold(connection: Connection, device_ids: Collection[DeviceId]) -> frozenset[DeviceId]:
    """Hold the rows of these devices until the transaction ends, but for those that others hold; return whom."""
    free = (
        select(devices.c.id)
        .where(is_one_of(connection, devices.c.id, device_ids))
        .order_by(devices.c.id)
        .with_for_update(skip_locked=True, key_share=True)
    )
    return frozenset(map(DeviceId, connection.scalars(free)))


def set_code(connection: Connection, device_ids: Collection[DeviceId], code: int) -> None:
    """Give these devices an enrollment code."""
    for portion in _in_order(connection, device_ids):
        theirs = is_one_of(connection, devices.c.id, portion)
        connection.execute(update(devices).where(theirs).values(enrollment_code=code))


def _in_order(connection: Connection, device_ids: Collection[DeviceId]) -> Iterator[Sequence[DeviceId]]:
    """Cut ids into portions, in the order in which their rows are written: each is a wide row, and a row of the list.

    SQLite's cache does not hold the tables of a large fleet. In the order of their places each page of them is written
    once, in any other nearly once for each of its rows. PostgreSQL has many writers, and whoever locks several rows
    there does so in the order of ids, so that nobody waits in a circle.
    """
    if connection.dialect.name != "sqlite" or len(device_ids) == 1:
        yield from portions(sorted(device_ids), MOST_AT_ONCE // 4)
        return
    placed = select(devices.c.id).where(is_one_of(connection, devices.c.id, device_ids)).order_by(_PLACE)
    yield from portions(list(map(DeviceId, connection.scalars(placed))), MOST_AT_ONCE)
