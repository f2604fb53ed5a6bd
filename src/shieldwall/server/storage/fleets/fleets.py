"""A tenant's devices read in bulk, with only what a question over all of them needs."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, bindparam, select

from shieldwall.contract.ids import DeviceId, GroupId, TenantId
from shieldwall.contract.messages import MANAGED_CODE
from shieldwall.server.storage.device_records import DeviceState
from shieldwall.server.storage.devices.devices import PARSED
from shieldwall.server.storage.groups.membership_conditions import number_of_group
from shieldwall.server.storage.statements.bulk import is_one_of, unsought
from shieldwall.server.storage.statements.rows import portions
from shieldwall.server.storage.tables.schema import devices, group_members

FEW: Final = 2_000
"""Devices of which a page reads something to show what there is."""
_IS_MANAGED: Final = (devices.c.state == DeviceState.ACTIVE.value) & (devices.c.enrollment_code == MANAGED_CODE)
_MANAGED: Final = (
    select(devices.c.id, devices.c.os_type, devices.c.catalog_version, devices.c.is_domain_controller)
    .where(devices.c.tenant_id == bindparam("tenant"), _IS_MANAGED)
    .order_by(devices.c.id)
)
_MEMBERS: Final = (
    select(devices.c.id)
    .join(group_members, group_members.c.device_number == devices.c.number)
    .where(group_members.c.group_number == number_of_group(bindparam("group")))
)


class Whose(Enum):
    """Which devices of a tenant are asked about."""

    MANAGED = auto()
    EXISTING = auto()
    """All but retired ones."""
    STAYING = auto()
    """Neither retired nor told to leave: those that may belong to groups."""


_THESE: Final = {
    Whose.MANAGED: _IS_MANAGED,
    Whose.EXISTING: devices.c.state != DeviceState.RETIRED.value,
    Whose.STAYING: devices.c.state.not_in([DeviceState.LEAVING.value, DeviceState.RETIRED.value]),
}


@dataclass(frozen=True, slots=True)
class ManagedDevice:
    """What tells devices apart for policies, whatever their groups."""

    id: DeviceId
    os_type: str
    catalog_version: str
    is_domain_controller: bool


def managed(connection: Connection, tenant_id: TenantId) -> list[ManagedDevice]:
    """Return every managed device, ordered by id."""
    return [ManagedDevice(*row) for row in connection.execute(_MANAGED, {"tenant": tenant_id})]


def columns(
    connection: Connection,
    tenant_id: TenantId,
    fields: Sequence[str],
    whose: Whose,
    *,
    among: Collection[DeviceId] | None = None,
) -> tuple[list[DeviceId], list[list[Any]]]:
    """Return the ids of devices in their order, and for each of these fields its values in the same order.

    ``among`` names the devices that are asked about, where it is not all of them.
    """
    of_tenant = devices.c.tenant_id if among is None else unsought(devices.c.tenant_id)
    query = (
        select(devices.c.id, *(devices.c[name] for name in fields))
        .where(of_tenant == tenant_id, _THESE[whose])
        .order_by(devices.c.id)
    )
    if among is not None:
        query = query.where(is_one_of(connection, devices.c.id, among))
    rows = connection.execute(query).all()
    if not rows:
        return [], [[] for _ in fields]
    ids, *read = zip(*rows, strict=True)
    return list(ids), [_parsed(name, values) for name, values in zip(fields, read, strict=True)]


def some(
    connection: Connection,
    tenant_id: TenantId,
    fields: Sequence[str],
    only: Sequence[ColumnElement[bool]] = (),
    most: int = FEW,
) -> list[list[Any]]:
    """Return the values of these fields of some devices that may belong to groups, however many there are."""
    query = (
        select(*(devices.c[name] for name in fields))
        .where(devices.c.tenant_id == tenant_id, _THESE[Whose.STAYING], *only)
        .limit(most)
    )
    rows = connection.execute(query).all()
    read = zip(*rows, strict=True) if rows else ((),) * len(fields)
    return [_parsed(name, values) for name, values in zip(fields, read, strict=True)]


def first_ids(connection: Connection, tenant_id: TenantId, most: int) -> list[DeviceId]:
    """Return the ids of devices that may belong to groups, the lowest ones and at most so many."""
    query = select(devices.c.id).where(devices.c.tenant_id == tenant_id, _THESE[Whose.STAYING])
    return list(map(DeviceId, connection.scalars(query.order_by(devices.c.id).limit(most))))


def members(connection: Connection, group_id: GroupId) -> list[DeviceId]:
    """Return the ids of all devices of a group, active or not, in any order."""
    return list(map(DeviceId, connection.scalars(_MEMBERS, {"group": group_id})))


def names(connection: Connection, device_ids: Collection[DeviceId]) -> Mapping[DeviceId, str]:
    """Return the display names of devices."""
    return {
        DeviceId(device): name
        for portion in portions(sorted(device_ids))
        for device, name in connection.execute(
            select(devices.c.id, devices.c.display_name).where(devices.c.id.in_(portion))
        )
    }


def _parsed(name: str, values: Sequence[Any]) -> list[Any]:
    """Make fields of what a column holds; equal ones are read once."""
    parse = PARSED.get(name)
    if parse is None:
        return list(values)
    read = {value: parse(value) for value in set(values)}
    return [read[value] for value in values]


def is_larger(connection: Connection, tenant_id: TenantId, than: int) -> bool:
    """Tell whether a tenant has more managed devices than so many; it counts no further."""
    query = select(devices.c.id).where(devices.c.tenant_id == tenant_id, _IS_MANAGED).offset(than).limit(1)
    return connection.execute(query).first() is not None


def has_more(connection: Connection, tenant_id: TenantId, than: int) -> bool:
    """Tell whether more devices of a tenant than so many may belong to groups; it counts no further."""
    query = select(devices.c.id).where(devices.c.tenant_id == tenant_id, _THESE[Whose.STAYING]).offset(than).limit(1)
    return connection.execute(query).first() is not None
