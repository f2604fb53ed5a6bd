"""Giving a device's request its turn: the sequence rule, made durable."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import DeviceId, KeyThumbprint, TenantId
from shieldwall.server.manager.sequence import Numbered, SequenceConflictError, Turn, decide
from shieldwall.server.storage import check_ins, devices
from shieldwall.server.storage.device_records import CheckInState, DeviceState


class DeviceNotActiveError(ShieldwallError):
    """The device was disabled or has left management."""

    code = "deviceNotActive"
    remedy = "Enable the device in the admin center, or onboard it again with a valid package."


@dataclass(frozen=True, slots=True, kw_only=True)
class CallingDevice:
    """The device whose key signed a request."""

    id: DeviceId
    tenant_id: TenantId
    key: KeyThumbprint


def take(connection: Connection, caller: CallingDevice, request: Numbered) -> Turn:
    """Take the number of a request that is not a check-in: fresh, or a repeat that may be answered once more.

    Raises:
        SequenceConflictError: The number was used before.
        DeviceNotActiveError: The device may not speak any more.
        NotFoundError: There is no such device.
    """
    if check_ins.take_number(connection, caller.id, epoch=request.epoch, seq=request.seq, digest=request.digest):
        return Turn.FRESH
    repeated(connection, caller, request)
    return Turn.REPEAT


def repeated(connection: Connection, caller: CallingDevice, request: Numbered) -> CheckInState:
    """Return where a device stands whose request was not fresh, if all it does is repeat the last one.

    Raises:
        SequenceConflictError: It does not.
        DeviceNotActiveError: It may not speak any more.
        NotFoundError: There is no such device.
    """
    last = check_ins.get(connection, caller.id)
    if devices.get(connection, caller.id).state is not DeviceState.ACTIVE:
        raise DeviceNotActiveError(f"The device {caller.id} is not active.")
    if decide(last, request) is not Turn.REPEAT:
        raise SequenceConflictError(
            f"Request {request.seq} of epoch {request.epoch} came after request {last.seq} of epoch {last.epoch}."
        )
    return last
