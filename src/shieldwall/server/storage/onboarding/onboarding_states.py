"""How far the devices of a tenant are with onboarding: counted, and listed one by one. Read from the narrow row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, func, select

from shieldwall.contract.ids import DeviceId, TenantId
from shieldwall.server.storage.device_records import DeviceState
from shieldwall.server.storage.records import Page
from shieldwall.server.storage.statements import paging
from shieldwall.server.storage.tables.schema import check_ins, devices, inventory

_TRAITS: Final = (inventory.c.os_type, inventory.c.state, inventory.c.enrollment_code, inventory.c.impaired)


@dataclass(frozen=True, slots=True)
class CountedDevices:
    """So many devices of one operating system that are alike in state, enrollment and health."""

    os_type: str
    state: DeviceState
    enrollment_code: int
    impaired: bool
    devices: int


@dataclass(frozen=True, slots=True)
class OnboardedDevice:
    """One device, as far as its onboarding is concerned."""

    device_id: DeviceId
    display_name: str
    model: str
    os_type: str
    state: DeviceState
    enrollment_code: int
    impaired: bool


def count_alike(
    connection: Connection, tenant_id: TenantId, only: Sequence[ColumnElement[bool]] = ()
) -> tuple[CountedDevices, ...]:
    """Count a tenant's devices by their traits; retired ones are left out. ``only`` speaks of ``inventory``."""
    query = _present(select(*_TRAITS, func.count()), tenant_id).where(*only).group_by(*_TRAITS)
    return tuple(
        CountedDevices(os_type, DeviceState(state), code, bool(impaired), number)
        for os_type, state, code, impaired, number in connection.execute(query)
    )


def list_onboarded(connection: Connection, tenant_id: TenantId, page: Page) -> tuple[OnboardedDevice, ...]:
    """Return one page of a tenant's devices, those retired left out, ordered by id unless the page says otherwise."""
    named = select(inventory.c.device_id, devices.c.display_name, devices.c.model, *_TRAITS)
    query = _present(named.join(devices, devices.c.id == inventory.c.device_id), tenant_id)
    return tuple(
        OnboardedDevice(
            device_id=DeviceId(row.device_id),
            display_name=row.display_name,
            model=row.model,
            os_type=row.os_type,
            state=DeviceState(row.state),
            enrollment_code=row.enrollment_code,
            impaired=bool(row.impaired),
        )
        for row in paging.rows(connection, query, page, inventory.c.device_id)
    )


def last_check_in(connection: Connection, tenant_id: TenantId) -> datetime | None:
    """Return when any device of a tenant was last in touch; ``None`` where none ever was."""
    query = (
        select(check_ins.c.last_check_in)
        .where(check_ins.c.tenant_id == tenant_id, check_ins.c.last_check_in.is_not(None))
        .order_by(check_ins.c.last_check_in.desc())
        .limit(1)
    )
    return connection.scalars(query).one_or_none()


def _present(query: Select[Any], tenant_id: TenantId) -> Select[Any]:
    return query.where(inventory.c.tenant_id == tenant_id, inventory.c.state != DeviceState.RETIRED.value)
