"""Devices as administrators see and change them, up to the end of their life in the directory."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from sqlalchemy import Connection

from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import DeviceId, TenantId
from shieldwall.server.directory.acting import Acting
from shieldwall.server.directory.membership import matches_otherwise, reevaluate_device
from shieldwall.server.directory.names import is_name
from shieldwall.server.storage import devices, groups
from shieldwall.server.storage.device_records import Device, DeviceState
from shieldwall.server.storage.errors import NotFoundError
from shieldwall.server.storage.records import Page

MAX_TAGS: Final = 64
MAX_TAG_LENGTH: Final = 128


class InvalidDeviceError(ShieldwallError):
    """A device cannot be like that; ``member`` names the part that is wrong."""

    code = "invalidDevice"
    remedy = "Correct the part named and try again."

    def __init__(self, cause: str, *, member: str) -> None:
        super().__init__(cause)
        self.member = member


def list_devices(connection: Connection, tenant_id: TenantId, page: Page) -> tuple[Device, ...]:
    """Return one page of a tenant's devices, retired ones included, ordered by id."""
    return devices.list_devices(connection, tenant_id, page)


def get_device(connection: Connection, tenant_id: TenantId, device_id: DeviceId) -> Device:
    """Return a device of this tenant. Raises: NotFoundError."""
    device = devices.find(connection, device_id)
    if device is None or device.tenant_id != tenant_id:  # the same answer, so that nobody learns of others' devices
        raise NotFoundError(f"There is no device {device_id}.")
    return device


def find_by_object_id(connection: Connection, tenant_id: TenantId, object_id: str) -> Device | None:
    """Return the device whose directory object has this id, or ``None``."""
    device = devices.find_by_object_id(connection, object_id)
    return device if device is not None and device.tenant_id == tenant_id else None


def rename(connection: Connection, acting: Acting, device_id: DeviceId, display_name: str) -> Device:
    """Give a device another name; the next facts it sends bring its own name back.

    Raises:
        NotFoundError: There is no such device.
        InvalidDeviceError: The name is empty or longer than 256 characters.
    """
    if not is_name(display_name):
        raise InvalidDeviceError("A device's name has 1 to 256 plain characters.", member="displayName")
    before = get_device(connection, acting.tenant_id, device_id)
    return _change(connection, acting, before, replace(before, display_name=display_name), "device.renamed")


def change_tags(
    connection: Connection, acting: Acting, device_id: DeviceId, *, add: Iterable[str] = (), remove: Iterable[str] = ()
) -> Device:
    """Give a device tags and take others away; case counts, order does not.

    Raises:
        NotFoundError: There is no such device.
        InvalidDeviceError: A tag is empty or too long, or there are too many.
    """
    before = get_device(connection, acting.tenant_id, device_id)
    tags = tuple(sorted((set(before.tags) | set(add)) - set(remove)))
    if len(tags) > MAX_TAGS or not all(is_name(tag, MAX_TAG_LENGTH) for tag in tags):
        raise InvalidDeviceError(
            f"A device has at most {MAX_TAGS} tags of 1 to {MAX_TAG_LENGTH} plain characters.", member="tags"
        )
    return _change(connection, acting, before, replace(before, tags=tags), "device.tagged", tags=tags)


def set_enabled(connection: Connection, acting: Acting, device_id: DeviceId, *, enabled: bool) -> Device:
    """Let a device speak to us, or not; a retired one stays retired.

    Raises:
        NotFoundError: There is no such device, or it is retired.
    """
    before = get_device(connection, acting.tenant_id, device_id)
    if before.state is DeviceState.RETIRED:
        raise NotFoundError(f"The device {device_id} was retired.")
    state = DeviceState.ACTIVE if enabled else DeviceState.DISABLED
    activity = "device.enabled" if enabled else "device.disabled"
    return _change(connection, acting, before, replace(before, state=state), activity)


def retire(
    connection: Connection,
    acting: Acting,
    device_id: DeviceId,
    *,
    activity: str = "device.retired",
    reason: str = "",
) -> Device:
    """End a device's life: it belongs to no group, its key is refused for ever. Twice is once.

    Raises:
        NotFoundError: There is no such device.
    """
    before = get_device(connection, acting.tenant_id, device_id)
    if before.state is DeviceState.RETIRED:
        return before
    device = replace(before, state=DeviceState.RETIRED, retired_at=acting.clock.now())
    devices.put(connection, device)
    groups.remove_from_all(connection, device_id)
    acting.record(connection, activity, "device", device_id, name=device.display_name, reason=reason)
    acting.tell(connection, [device_id])
    return device


def _change(
    connection: Connection, acting: Acting, before: Device, device: Device, activity: str, **details: object
) -> Device:
    if device == before:
        return before
    devices.put(connection, device)
    acting.record(connection, activity, "device", device.id, name=device.display_name, **details)
    moved = bool(reevaluate_device(connection, device))
    if moved or device.state is not before.state or matches_otherwise(connection, before, device):
        acting.tell(connection, [device.id])
    return device
