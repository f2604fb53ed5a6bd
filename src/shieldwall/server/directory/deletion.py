"""Deleting: a device or a registration is gone from every view, and cannot come back with its old key."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection

from shieldwall.contract.ids import DeviceId
from shieldwall.server.directory.acting import Acting
from shieldwall.server.directory.devices import hold_device
from shieldwall.server.directory.membership import leave_all_groups
from shieldwall.server.directory.registration import spend_key
from shieldwall.server.directory.registrations import delete_registration
from shieldwall.server.storage.devices import device_moves, registrations

DELETED: Final = "deleted"
"""Why a key is spent whose device was deleted."""


def delete_device(connection: Connection, acting: Acting, device_id: DeviceId) -> None:
    """Delete a device, and the registration that it used or that nobody has used yet.

    What it enforces it goes on enforcing: it is not told, and whatever it asks is refused like an unknown key. Only the
    audit trail still knows of it.

    Raises:
        NotFoundError: There is no such device.
    """
    registration = registrations.find(connection, acting.tenant_id, device_id)
    if registration is not None:
        delete_registration(connection, acting, registration)
        if not device_moves.exists(connection, device_id):
            return
    device = hold_device(connection, acting, device_id)
    leave_all_groups(connection, acting, device_id)
    spend_key(connection, acting, device, DELETED)
    device_moves.remove(connection, acting.tenant_id, device_id)
    acting.record(connection, "device.deleted", "device", device_id, name=device.display_name)
