"""Offboarding: a device leaves management, by its own word or an administrator's."""

from __future__ import annotations

from sqlalchemy import Connection

from shieldwall.contract.ids import DeviceId
from shieldwall.server.directory.acting import Acting
from shieldwall.server.directory.devices import retire
from shieldwall.server.storage.device_records import Device


def offboard(connection: Connection, acting: Acting, device_id: DeviceId, *, reason: str = "") -> Device:
    """Let a device leave: it is retired, belongs to no group, and its key is refused from the next request on.

    Twice is once, so that a lost answer can be asked for again.

    Raises:
        NotFoundError: There is no such device.
    """
    return retire(connection, acting, device_id, activity="device.offboarded", reason=reason)
