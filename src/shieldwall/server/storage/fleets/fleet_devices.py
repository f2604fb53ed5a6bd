"""A tenant's devices read for the targeting index: what decides what they shall enforce, in columns."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, select

from shieldwall.contract.ids import DeviceId, TenantId
from shieldwall.server.storage.device_records import DeviceState
from shieldwall.server.storage.devices.devices import PARSED
from shieldwall.server.storage.statements.bulk import is_one_of
from shieldwall.server.storage.tables.schema import check_ins, devices

DECISIVE = ("state", "enrollment_code", "is_domain_controller", "troubleshooting_until", "protocol")
"""What decides beside what rules ask of a device; ``protocol`` is absent where it has never spoken."""


@dataclass(frozen=True, slots=True)
class ReadDevices:
    """Devices that are not retired, ordered by id, and each field of them in the same order."""

    ids: list[DeviceId]
    fields: dict[str, Sequence[Any]]


def after(connection: Connection, tenant_id: TenantId, place: str, most: int, fields: Collection[str]) -> ReadDevices:
    """Return the devices of a tenant behind an id, at most so many."""
    # An expression, so that no index of tenants is taken: it would have to be sorted each time.
    query = _query(tenant_id, fields).where(devices.c.id > place).order_by(devices.c.id).limit(most)
    return _read(connection, query, fields)


def these(
    connection: Connection, tenant_id: TenantId, device_ids: Collection[DeviceId], fields: Collection[str]
) -> ReadDevices:
    """Return those of these devices that are there."""
    query = _query(tenant_id, fields).where(is_one_of(connection, devices.c.id, device_ids)).order_by(devices.c.id)
    return _read(connection, query, fields)


def _query(tenant_id: TenantId, fields: Collection[str]) -> Select[Any]:
    names = sorted({*fields, *DECISIVE} - {"id", "protocol"})
    return (
        select(devices.c.id, check_ins.c.protocol, *(devices.c[name] for name in names))
        .join(check_ins, check_ins.c.device_id == devices.c.id, isouter=True)
        .where(devices.c.tenant_id + "" == tenant_id, devices.c.state != DeviceState.RETIRED.value)
    )


def _read(connection: Connection, query: Select[Any], fields: Collection[str]) -> ReadDevices:
    names = ["id", "protocol", *sorted({*fields, *DECISIVE} - {"id", "protocol"})]
    rows = connection.execute(query).all()
    columns: list[Sequence[Any]] = list(zip(*rows, strict=True)) if rows else [() for _ in names]
    read = {name: _parsed(name, values) for name, values in zip(names, columns, strict=True)}
    return ReadDevices([DeviceId(each) for each in read["id"]], read)


def _parsed(name: str, values: Sequence[Any]) -> Sequence[Any]:
    """Make fields of what a column holds; equal ones are read once."""
    parse = PARSED.get(name)
    if parse is None:
        return values
    known = {value: parse(value) for value in set(values)}
    return [known[value] for value in values]
