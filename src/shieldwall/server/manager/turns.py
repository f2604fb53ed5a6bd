"""Giving a device's request its turn: whose key it is today, and the sequence rule, made durable.

The front remembers keys for ever and asks nothing when it verifies a signature. Whether the key is still the device's,
the device may speak and its certificate is good is decided here, inside the transaction, by the statement that takes
the sequence number.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection

from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import DeviceId, KeyThumbprint, TenantId
from shieldwall.server.manager.sequence import Numbered, SequenceConflictError, Turn, decide
from shieldwall.server.storage.check_ins import check_ins
from shieldwall.server.storage.device_records import SPEAKING, CheckInState, Device
from shieldwall.server.storage.devices import devices

AT_ONCE: Final = timedelta(0)


class DeviceNotActiveError(ShieldwallError):
    """The device was disabled or has left management, or is known by another key now."""

    code = "deviceNotActive"
    remedy = "Enable the device in the admin center, or onboard it again with a valid package."


class CertificateExpiredError(ShieldwallError):
    """The device's certificate has ended; all it may do is ask for a new one."""

    code = "certificateExpired"
    remedy = "The agent renews its certificate by itself; a year after its end the device has to be onboarded again."


class OvertakenError(Exception):
    """The device has first to take up what changed in its tenant (``catching_up``); what was written is undone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallingDevice:
    """The device whose key signed a request: its present key, or one it had before."""

    id: DeviceId
    tenant_id: TenantId
    key: KeyThumbprint


def take(
    connection: Connection, caller: CallingDevice, request: Numbered, now: datetime, *, grace: timedelta = AT_ONCE
) -> Turn:
    """Take the number of a request that is not a check-in: fresh, or a repeat that may be answered once more.

    ``grace`` is how long after its end the certificate still does.

    Raises:
        SequenceConflictError: The number was used before.
        DeviceNotActiveError: The device may not speak any more, or not with this key.
        CertificateExpiredError: Its certificate has ended.
    """
    if check_ins.take_number(
        connection,
        caller.id,
        key=caller.key,
        epoch=request.epoch,
        seq=request.seq,
        digest=request.digest,
        valid_at=now - grace,
    ):
        return Turn.FRESH
    repeated(connection, caller, request, now - grace)
    return Turn.REPEAT


def is_last(connection: Connection, caller: CallingDevice, request: Numbered) -> bool:
    """Say whether this very request was the last of the device that had an effect, whatever it may do by now."""
    last = check_ins.find(connection, caller.id)
    return last is not None and decide(last, request) is Turn.REPEAT


def is_fresh(connection: Connection, caller: CallingDevice, request: Numbered, valid_at: datetime) -> bool:
    """Say whether it is the turn of this request, which was not taken for another reason.

    Raises:
        DeviceNotActiveError: The device may not speak any more, or not with this key.
        CertificateExpiredError: Its certificate has ended.
    """
    speaking(connection, caller, valid_at)
    last = check_ins.find(connection, caller.id)
    return last is not None and decide(last, request) is Turn.FRESH


def speaking(connection: Connection, caller: CallingDevice, valid_at: datetime) -> Device:
    """Return the calling device, if it may speak with this key.

    Raises:
        DeviceNotActiveError: It may not.
        CertificateExpiredError: It might, but for its certificate, which is not good any more at this moment.
    """
    device = devices.find(connection, caller.id)
    if device is None or device.state not in SPEAKING or device.key_thumbprint != caller.key:
        raise DeviceNotActiveError(f"The device {caller.id} may not speak, or not with this key.")
    if _is_over(device, valid_at):
        raise CertificateExpiredError(f"The certificate of the device {caller.id} has ended.")
    return device


def has_expired(connection: Connection, caller: CallingDevice, now: datetime) -> bool:
    """Say whether the certificate of a device has ended. Raises: NotFoundError."""
    return _is_over(devices.get(connection, caller.id), now)


def _is_over(device: Device, moment: datetime) -> bool:
    return device.certificate_expires_at is not None and device.certificate_expires_at <= moment


def repeated(connection: Connection, caller: CallingDevice, request: Numbered, valid_at: datetime) -> CheckInState:
    """Return where a device stands whose request was not fresh, if all it does is repeat the last one.

    Raises:
        SequenceConflictError: It does not.
        DeviceNotActiveError: It may not speak any more, or not with this key.
        CertificateExpiredError: Its certificate has ended.
    """
    speaking(connection, caller, valid_at)
    last = check_ins.get(connection, caller.id)
    if decide(last, request) is not Turn.REPEAT:
        raise SequenceConflictError(
            f"Request {request.seq} of epoch {request.epoch} came after request {last.seq} of epoch {last.epoch}."
        )
    return last
