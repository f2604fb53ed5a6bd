"""Devices of a tenant whose hardware another one names as well: which they are, and what they share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from typing import Any, Final

from sqlalchemy import Column, ColumnElement, Connection, Select, func, select

from shieldwall.contract.ids import DeviceId, TenantId
from shieldwall.server.storage.bulk import is_one_of
from shieldwall.server.storage.device_records import DeviceState
from shieldwall.server.storage.rows import portions
from shieldwall.server.storage.schema import devices

_HARDWARE: Final = (devices.c.machine_id_hash, devices.c.smbios_uuid_hash, devices.c.tpm_ek_hash)
_SHARED: Final = {
    "machine_id_hash": "machineId",
    "smbios_uuid_hash": "smbiosUuid",
    "tpm_ek_hash": "tpmEndorsementKey",
}
MOST_NAMED: Final = 5_000
"""So many devices that share hardware are named one by one."""
_MOST_TWINS: Final = 1_000
"""Pairs that a page of devices is shown with; a thousand clones of one disk need no more to be seen."""


def is_twin(connection: Connection, tenant_id: TenantId, device_id: Column[Any]) -> ColumnElement[bool]:
    """Say that a column names a device, not retired, whose hardware another one of the tenant names as well.

    What hardware is shared is asked of its index alone. Neither engine knows that it is hardly any, and would read all
    devices for it: so that is asked first, and where it is little, the devices are named.
    """
    found: set[str] = set()
    for column in _HARDWARE:
        named = _shared(column, devices.c.tenant_id == tenant_id).limit(MOST_NAMED + 1)
        shared = list(connection.scalars(named))
        if len(shared) > MOST_NAMED:
            return device_id.in_(_duplicated(tenant_id))
        if not shared:
            continue
        theirs = select(column, devices.c.id).where(*_counted(tenant_id), is_one_of(connection, column, shared))
        rows = connection.execute(theirs.limit(MOST_NAMED + 1)).all()
        if len(rows) > MOST_NAMED:
            return device_id.in_(_duplicated(tenant_id))
        times = Counter(value for value, _ in rows)
        found.update(device for value, device in rows if times[value] > 1)
    return is_one_of(connection, device_id, found)


def _duplicated(tenant_id: TenantId) -> Select[Any]:
    here = _counted(tenant_id)
    alike = [select(devices.c.id).where(*here, column.in_(_shared(column, *here))) for column in _HARDWARE]
    return alike[0].union(*alike[1:]).subquery().select()


def _shared(column: Column[Any], *among: ColumnElement[bool]) -> Select[Any]:
    return select(column).where(*among, column.is_not(None)).group_by(column).having(func.count() > 1)


def _counted(tenant_id: TenantId) -> tuple[ColumnElement[bool], ...]:
    return devices.c.tenant_id == tenant_id, devices.c.state != DeviceState.RETIRED.value


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
