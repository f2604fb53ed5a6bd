"""The rows that hang on a device: gone with it, or handed to another id when its registration becomes a full one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Column, Connection, delete, select, update

from shieldwall.contract.ids import DeviceId, PackageId, TenantId
from shieldwall.server.storage.check_ins import statuses
from shieldwall.server.storage.device_records import Device, DeviceState
from shieldwall.server.storage.devices import devices as device_rows
from shieldwall.server.storage.errors import NotFoundError
from shieldwall.server.storage.tables.device_schema import alerts
from shieldwall.server.storage.tables.schema import check_in_answers, check_ins, devices, membership_events, metadata
from shieldwall.server.storage.tenants import protection


def exists(connection: Connection, device_id: DeviceId) -> bool:
    """Say whether there is a device of this id."""
    return connection.execute(select(devices.c.id).where(devices.c.id == device_id)).first() is not None


def remove(connection: Connection, tenant_id: TenantId, device_id: DeviceId) -> None:
    """Remove a device and every row that hangs on it; what happened to it stays in the audit trail alone.

    Raises:
        NotFoundError: There is no such device.
    """
    report = connection.execute(
        select(check_ins.c.status_digest).where(check_ins.c.device_id == device_id)
    ).scalar_one_or_none()
    for column, there, _ in _named(connection, device_id, device_id):
        connection.execute(delete(column.table).where(column == there))
    _forget(connection, device_id)
    protection.hand_over_exclusion(connection, tenant_id, device_id)
    if report is not None:
        statuses.remove_unused(connection, tenant_id, report)


def hand_over(connection: Connection, former: DeviceId, device: Device, *, epoch: int) -> None:
    """Add ``device`` in the place of another row: it takes over all that hangs there, and counts its requests anew.

    Raises:
        AlreadyExistsError: Its id or its key is taken.
        NotFoundError: There is no device of the former id.
    """
    device_rows.add(connection, device)
    connection.execute(delete(check_in_answers).where(check_in_answers.c.device_id == former))
    for column, before, now in _named(connection, former, device.id):
        if column.unique or (column.primary_key and len(column.table.primary_key) == 1):
            connection.execute(delete(column.table).where(column == now))  # written along with the new row
        connection.execute(update(column.table).where(column == before).values({column.name: now}))
    connection.execute(
        update(check_ins).where(check_ins.c.device_id == device.id).values(epoch=epoch, seq=0, request_digest=None)
    )
    _forget(connection, former)
    protection.hand_over_exclusion(connection, device.tenant_id, former, device.id)
    device_rows.put(connection, device)  # whatever is derived from the record follows it


def pending_of_package(connection: Connection, package_id: PackageId) -> tuple[DeviceId, ...]:
    """Return the devices that came with a package and still wait."""
    query = (
        select(devices.c.id)
        .where(devices.c.package_id == package_id, devices.c.state == DeviceState.PENDING.value)
        .order_by(devices.c.id)
    )
    return tuple(map(DeviceId, connection.scalars(query)))


def _forget(connection: Connection, device_id: DeviceId) -> None:
    connection.execute(update(devices).where(devices.c.replaces == device_id).values(replaces=None))
    if connection.execute(delete(devices).where(devices.c.id == device_id)).rowcount == 0:
        raise NotFoundError(f"There is no device {device_id}.")


def _named(
    connection: Connection, former: DeviceId, present: DeviceId
) -> Iterator[tuple[Column[Any], DeviceId | int, DeviceId | int]]:
    """Yield every column that names a device, in tables of today and of later, and by what it names each of these."""
    rows = connection.execute(select(devices.c.id, devices.c.number).where(devices.c.id.in_([former, present])))
    numbers: dict[str, int] = {device_id: number for device_id, number in rows}  # noqa: C416 - rows are no pairs to mypy
    for key in (key for table in metadata.sorted_tables for key in table.foreign_keys):
        if key.column is devices.c.id:
            yield key.parent, former, present
        elif key.column is devices.c.number and numbers.keys() >= {former, present}:
            yield key.parent, numbers[former], numbers[present]
    for column in (alerts.c.device_id, membership_events.c.device_id):
        yield column, former, present
