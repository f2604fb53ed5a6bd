"""A tenant's managed devices read in bulk, with only what a question over all of them needs."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, bindparam, select

from shieldwall.contract.ids import DeviceId, GroupId, TenantId
from shieldwall.server.storage.device_records import MANAGED_CODE, DeviceState
from shieldwall.server.storage.rows import portions, strings_from
from shieldwall.server.storage.schema import devices, group_members

_IS_MANAGED: Final = (devices.c.state == DeviceState.ACTIVE.value) & (devices.c.enrollment_code == MANAGED_CODE)
_MANAGED: Final = (
    select(devices.c.id, devices.c.os_type, devices.c.catalog_version, devices.c.is_domain_controller)
    .where(devices.c.tenant_id == bindparam("tenant"), _IS_MANAGED)
    .order_by(devices.c.id)
)
_DESCRIBED: Final = (
    select(
        devices.c.id,
        devices.c.display_name,
        devices.c.os_type,
        devices.c.os_version,
        devices.c.manufacturer,
        devices.c.model,
        devices.c.trust_type,
        devices.c.managed_elsewhere,
        devices.c.tags,
    )
    .where(devices.c.tenant_id == bindparam("tenant"), _IS_MANAGED)
    .order_by(devices.c.id)
)
_MEMBERS: Final = select(group_members.c.device_id).where(group_members.c.group_id == bindparam("group"))


@dataclass(frozen=True, slots=True)
class DescribedDevice:
    """What rules may ask of a device, and nothing else."""

    id: DeviceId
    display_name: str
    os_type: str
    os_version: str
    manufacturer: str
    model: str
    trust_type: str | None
    managed_elsewhere: str | None
    tags: tuple[str, ...]


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


def described(connection: Connection, tenant_id: TenantId) -> Iterator[DescribedDevice]:
    """Yield what rules may ask of every managed device, ordered by id."""
    read: dict[str, tuple[str, ...]] = {}
    for row in connection.execute(_DESCRIBED, {"tenant": tenant_id}):
        if row.tags not in read:
            read[row.tags] = strings_from(row.tags)
        yield DescribedDevice(*row[:-1], tags=read[row.tags])


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
