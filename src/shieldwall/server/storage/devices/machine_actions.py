"""What was ordered of machines. How far it is, the device itself says: its state is read with the action."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, case, insert, literal, or_, select, update
from sqlalchemy.sql.elements import ColumnElement

from shieldwall.contract.ids import DeviceId, TenantId
from shieldwall.server.storage.device_records import DeviceState
from shieldwall.server.storage.records import Page
from shieldwall.server.storage.statements import paging
from shieldwall.server.storage.statements.rows import columns_of
from shieldwall.server.storage.tables.report_schema import machine_actions
from shieldwall.server.storage.tables.schema import check_ins, devices

PENDING: Final = "Pending"
IN_PROGRESS: Final = "InProgress"
SUCCEEDED: Final = "Succeeded"
CANCELLED: Final = "Cancelled"
OFFBOARD: Final = "Offboard"


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineAction:
    """An order. ``former`` is what the machine was before, to be put back: JSON of the domain's."""

    id: str
    tenant_id: TenantId
    device_id: DeviceId
    device_name: str
    type: str
    requestor: str
    comment: str
    status: str
    created_at: datetime
    updated_at: datetime
    cancelled_by: str | None = None
    cancel_comment: str | None = None
    cancelled_at: datetime | None = None
    former: str = ""


def _status() -> ColumnElement[str]:
    kept = machine_actions.c.status
    gone = or_(devices.c.id.is_(None), devices.c.state == DeviceState.RETIRED.value)
    heard = check_ins.c.last_check_in > machine_actions.c.created_at
    return case(
        (kept != PENDING, kept),
        (gone, literal(SUCCEEDED)),
        (devices.c.state != DeviceState.LEAVING.value, literal(CANCELLED)),
        (heard, literal(IN_PROGRESS)),
        else_=literal(PENDING),
    )


STATUS: Final = _status()
"""How far an order is: a device that was in touch since has it, one that retired or is gone has carried it out."""


def add(connection: Connection, action: MachineAction) -> None:
    """Add an order."""
    connection.execute(insert(machine_actions).values(columns_of(action)))


def find(connection: Connection, tenant_id: TenantId, action_id: str) -> MachineAction | None:
    """Return an order of this tenant, or ``None``."""
    row = connection.execute(_of_tenant(tenant_id).where(machine_actions.c.id == action_id)).one_or_none()
    return None if row is None else _action(row)


def list_actions(connection: Connection, tenant_id: TenantId, page: Page) -> tuple[MachineAction, ...]:
    """Return one page of a tenant's orders, ordered by id unless the page says otherwise."""
    return tuple(map(_action, paging.rows(connection, _of_tenant(tenant_id), page, machine_actions.c.id)))


def open_of_device(connection: Connection, tenant_id: TenantId, device_id: DeviceId) -> MachineAction | None:
    """Return the order that a device has not carried out yet, or ``None``."""
    query = _of_tenant(tenant_id).where(machine_actions.c.device_id == device_id, STATUS.in_([PENDING, IN_PROGRESS]))
    row = connection.execute(query.order_by(machine_actions.c.created_at.desc()).limit(1)).one_or_none()
    return None if row is None else _action(row)


def cancel(connection: Connection, action: MachineAction, *, by: str, comment: str, at: datetime) -> None:
    """Note that an order was taken back."""
    mine = (machine_actions.c.id == action.id, machine_actions.c.tenant_id == action.tenant_id)
    values = {"status": CANCELLED, "updated_at": at, "cancelled_by": by, "cancel_comment": comment, "cancelled_at": at}
    connection.execute(update(machine_actions).where(*mine).values(**values))


def _of_tenant(tenant_id: TenantId) -> Select[Any]:
    columns = [column for column in machine_actions.c if column.name != "status"]
    return (
        select(*columns, STATUS.label("status"))
        .select_from(machine_actions)
        .join(devices, devices.c.id == machine_actions.c.device_id, isouter=True)
        .join(check_ins, check_ins.c.device_id == machine_actions.c.device_id, isouter=True)
        .where(machine_actions.c.tenant_id == tenant_id)
    )


def _action(row: Row[Any]) -> MachineAction:
    return MachineAction(**row._asdict())
