"""Devices of a tenant whose hardware another one names as well: which they are, and what they share."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, Final

from sqlalchemy import Connection, Select, func, select

from shieldwall.contract.ids import DeviceId, TenantId
from shieldwall.server.storage.device_records import DeviceState
from shieldwall.server.storage.rows import portions
from shieldwall.server.storage.schema import devices

_HARDWARE: Final = (devices.c.machine_id_hash, devices.c.smbios_uuid_hash, devices.c.tpm_ek_hash)
_SHARED: Final = {
    "machine_id_hash": "machineId",
    "smbios_uuid_hash": "smbiosUuid",
    "tpm_ek_hash": "tpmEndorsementKey",
}
_MOST_TWINS: Final = 1_000
"""Pairs that a page of devices is shown with; a thousand clones of one disk need no more to be seen."""


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
