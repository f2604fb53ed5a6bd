"""Devices: one row per registration in the directory."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, bindparam, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from shieldwall.contract.ids import DeviceId, Digest, KeyThumbprint, TenantId
from shieldwall.server.storage.device_records import SPEAKING, AttestationLevel, Device, DeviceState, Registration
from shieldwall.server.storage.devices import device_listings
from shieldwall.server.storage.errors import AlreadyExistsError, NotFoundError
from shieldwall.server.storage.inventory import inventory_rows
from shieldwall.server.storage.records import Page
from shieldwall.server.storage.statements.bulk import is_named, is_one_of
from shieldwall.server.storage.statements.rows import columns_of, map_from, strings_from, to_text
from shieldwall.server.storage.tables.schema import devices

_CREDENTIAL: Final = frozenset(
    {"key_thumbprint", "public_key", "certificate", "certificate_expires_at", "attestation_level"}
)

PARSED: Final[Mapping[str, Callable[[str], Any]]] = MappingProxyType(
    {
        "registration": Registration,
        "state": DeviceState,
        "providers": map_from,
        "tags": strings_from,
        "attestation_level": AttestationLevel,
        "extension_attributes": map_from,
        "physical_ids": strings_from,
        "system_labels": strings_from,
    }
)
"""Columns that hold a field of a device in another form, and what makes the field of it."""

_FIELDS: Final = tuple(column for column in devices.c if column is not devices.c.number)
_ONE: Final = select(*_FIELDS).where(devices.c.id == bindparam("device"))
_HELD: Final = _ONE.with_for_update(key_share=True)
_MANY: Final = select(*_FIELDS).where(is_named(devices.c.id)).order_by(devices.c.id)


def get(connection: Connection, device_id: DeviceId) -> Device:
    """Return a device. Raises: NotFoundError."""
    if (device := find(connection, device_id)) is None:
        raise NotFoundError(f"There is no device {device_id}.")
    return device


def find(connection: Connection, device_id: DeviceId) -> Device | None:
    """Return a device, or ``None``."""
    row = connection.execute(_ONE, {"device": device_id}).one_or_none()
    return None if row is None else _device(row)


def hold(connection: Connection, device_id: DeviceId) -> Device | None:
    """Return a device, or ``None``, that nobody else changes until this transaction ends.

    Whoever reads a device to put it back changed reads it so; else it would undo what was changed in between. Where
    targets follow, ``targets.lock`` comes before it, never after. SQLite has one writer anyway.
    """
    row = connection.execute(_HELD, {"device": device_id}).one_or_none()
    return None if row is None else _device(row)


def find_by_object_id(connection: Connection, object_id: str) -> Device | None:
    """Return the device whose directory object has this id, or ``None``."""
    row = connection.execute(select(*_FIELDS).where(devices.c.object_id == object_id)).one_or_none()
    return None if row is None else _device(row)


def find_objects(connection: Connection, tenant_id: TenantId, object_ids: Collection[str]) -> tuple[Device, ...]:
    """Return a tenant's devices of these directory objects."""
    query = select(*_FIELDS).where(
        devices.c.tenant_id == tenant_id, is_one_of(connection, devices.c.object_id, object_ids)
    )
    return tuple(map(_device, connection.execute(query)))


def find_by_key(connection: Connection, thumbprint: KeyThumbprint) -> Device | None:
    """Return the device that registered this key, or ``None``. A key belongs to one device for ever."""
    row = connection.execute(select(*_FIELDS).where(devices.c.key_thumbprint == thumbprint)).one_or_none()
    return None if row is None else _device(row)


def find_many(connection: Connection, device_ids: Iterable[DeviceId]) -> tuple[Device, ...]:
    """Return those of the devices that exist, ordered by id."""
    return tuple(map(_device, connection.execute(_MANY, {"ids": sorted(set(device_ids))})))


def list_devices(connection: Connection, tenant_id: TenantId, page: Page) -> tuple[Device, ...]:
    """Return one page of a tenant's devices, retired ones included, ordered by id unless the page says otherwise."""
    ids = device_listings.list_ids(connection, tenant_id, page)
    found = {device.id: device for device in find_many(connection, ids)}
    return tuple(found[device_id] for device_id in ids)


def list_same_hardware(
    connection: Connection,
    tenant_id: TenantId,
    *,
    machine_id_hash: Digest | None,
    smbios_uuid_hash: Digest | None,
    tpm_ek_hash: Digest | None = None,
) -> tuple[Device, ...]:
    """Return the devices, not retired, that named one of these hardware hashes, ordered by id."""
    named = [
        column == value
        for column, value in (
            (devices.c.machine_id_hash, machine_id_hash),
            (devices.c.smbios_uuid_hash, smbios_uuid_hash),
            (devices.c.tpm_ek_hash, tpm_ek_hash),
        )
        if value is not None
    ]
    if not named:
        return ()
    query = (
        select(*_FIELDS)
        .where(devices.c.tenant_id == tenant_id, devices.c.state != DeviceState.RETIRED.value, or_(*named))
        .order_by(devices.c.id)
    )
    return tuple(map(_device, connection.execute(query)))


def speaking_ids(connection: Connection, tenant_id: TenantId, most: int | None = None) -> frozenset[DeviceId]:
    """Return the ids of all devices of a tenant that may check in, or of so many of them."""
    query = select(devices.c.id).where(devices.c.tenant_id == tenant_id, devices.c.state.in_(sorted(SPEAKING)))
    return frozenset(map(DeviceId, connection.scalars(query.limit(most))))


def count(connection: Connection, tenant_id: TenantId, only: Sequence[ColumnElement[bool]] = ()) -> int:
    """Return how many devices a tenant has, retired ones included; ``only`` are conditions on their rows."""
    query = select(func.count()).select_from(devices).where(devices.c.tenant_id == tenant_id, *only)
    return connection.scalars(query).one()


def add(connection: Connection, device: Device) -> None:
    """Add a device.

    Raises:
        AlreadyExistsError: Its id or its key is taken.
    """
    try:
        connection.execute(insert(devices).values(columns_of_device(device)))
    except IntegrityError as error:
        raise AlreadyExistsError(f"A device with the id or the key of {device.id} is registered already.") from error
    inventory_rows.keep(connection, device)


def put(connection: Connection, device: Device) -> None:
    """Replace a device, but for its key, certificate and attestation: those change by ``device_states`` alone.

    Whoever read the device before its key changed, and puts it back after, would bring the old key back. The other
    columns are the caller's to hold (``hold``).

    Raises:
        NotFoundError: There is no such device.
    """
    columns = {name: value for name, value in columns_of_device(device).items() if name not in _CREDENTIAL}
    result = connection.execute(update(devices).where(devices.c.id == device.id).values(columns))
    if result.rowcount == 0:
        raise NotFoundError(f"There is no device {device.id}.")
    inventory_rows.keep(connection, device)


def columns_of_device(device: Device) -> dict[str, Any]:
    """Return the columns of a device."""
    return columns_of(
        device,
        registration=device.registration.value,
        state=device.state.value,
        providers=to_text(device.providers),
        tags=to_text(device.tags),
        attestation_level=device.attestation_level.value,
        extension_attributes=to_text(device.extension_attributes),
        physical_ids=to_text(device.physical_ids),
        system_labels=to_text(device.system_labels),
    )


def _device(row: Row[Any]) -> Device:
    columns = row._asdict()
    return Device(**(columns | {name: parse(columns[name]) for name, parse in PARSED.items()}))
