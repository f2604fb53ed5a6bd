"""Policy sync: asking devices to check in now, and knowing who is asked."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from shieldwall.contract.ids import DeviceId, Digest
from shieldwall.contract.messages import WaitRequest
from shieldwall.server.directory.acting import Acting
from shieldwall.server.manager import turns
from shieldwall.server.manager.sequence import Numbered
from shieldwall.server.manager.turns import CallingDevice
from shieldwall.server.storage.check_ins import check_ins
from shieldwall.server.storage.device_records import Device
from shieldwall.server.storage.policies import aims
from shieldwall.server.storage.statements.rows import portions

REQUESTED: Final = "device.syncRequested"
"""What the audit trail calls it when somebody asks a device to check in."""


def ask(connection: Connection, acting: Acting, devices: Collection[Device]) -> None:
    """Ask devices to check in at once, and keep who asked."""
    request_sync(connection, [device.id for device in devices], acting.clock.now())
    for device in devices:
        acting.record(connection, REQUESTED, "device", device.id, name=device.display_name)


def request_sync(connection: Connection, device_ids: Iterable[DeviceId], now: datetime) -> int:
    """Ask devices to check in at once; return how many of them there are. The next check-in takes the request back."""
    return sum(check_ins.request_sync(connection, portion, now) for portion in portions(sorted(set(device_ids))))


def start_waiting(
    connection: Connection, caller: CallingDevice, request: WaitRequest, body_digest: Digest, now: datetime
) -> None:
    """Take the number of a device that begins to wait.

    Raises:
        SequenceConflictError: The number was used before.
        DeviceNotActiveError: The device may not speak any more, or not with this key.
        CertificateExpiredError: Its certificate has ended.
    """
    turns.take(connection, caller, Numbered(request.epoch, request.seq, body_digest), now)


def due(connection: Connection, waiting: Iterable[DeviceId]) -> frozenset[DeviceId]:
    """Return those of the waiting devices that are asked to check in."""
    return frozenset(
        device for portion in portions(sorted(set(waiting))) for device in check_ins.due(connection, portion)
    )


@dataclass(frozen=True, slots=True)
class AskedToCome:
    """Of devices that wait: which are asked to check in, and which have first to take up a change (``catching_up``).

    Of the latter only those are woken that get another target by it.
    """

    due: frozenset[DeviceId]
    behind: frozenset[DeviceId]


def asked_to_come(connection: Connection, waiting: Iterable[DeviceId]) -> AskedToCome:
    """Look after devices that wait."""
    waiting = sorted(set(waiting))
    called = due(connection, waiting)
    behind: set[DeviceId] = set()
    for portion in portions(waiting):
        behind.update(*aims.behind(connection, portion).values())
    return AskedToCome(called, frozenset(behind - called))
