"""Devices as administrators see and change them, up to the end of their life in the directory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from sqlalchemy import Connection

from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import DeviceId, TenantId
from shieldwall.server.directory.acting import Acting
from shieldwall.server.directory.enrollment import enrolled_anew
from shieldwall.server.directory.membership import leave_all_groups, matches_otherwise, reevaluate_device
from shieldwall.server.directory.names import is_name, is_text
from shieldwall.server.directory.recoding import decided_otherwise, recode
from shieldwall.server.storage.check_ins import targets
from shieldwall.server.storage.device_records import Device, DeviceState
from shieldwall.server.storage.devices import devices, enrollments
from shieldwall.server.storage.errors import NotFoundError
from shieldwall.server.storage.policies import aims
from shieldwall.server.storage.records import Page

MAX_TAGS: Final = 64
MAX_TAG_LENGTH: Final = 128
MAX_ATTRIBUTE_LENGTH: Final = 1024
MAX_NOTES_LENGTH: Final = 4_096
EXTENSION_ATTRIBUTES: Final = frozenset(f"extensionAttribute{number}" for number in range(1, 16))
OWNERSHIPS: Final = ("Company", "Personal", "Unknown")
CLONED_IDENTITY: Final = "clonedIdentity"
"""Why a device is in quarantine, and the kind of the alert about it."""
_SWITCHED: Final = frozenset({DeviceState.ACTIVE, DeviceState.DISABLED, DeviceState.QUARANTINED})


class InvalidDeviceError(ShieldwallError):
    """A device cannot be like that; ``member`` names the part that is wrong."""

    code = "invalidDevice"
    remedy = "Correct the part named and try again."

    def __init__(self, cause: str, *, member: str) -> None:
        super().__init__(cause)
        self.member = member


class WrongDeviceStateError(ShieldwallError):
    """The device is not in a state in which this could be done."""

    code = "wrongDeviceState"
    remedy = "Look at the device: what it is in now decides what can be done with it."


def list_devices(connection: Connection, tenant_id: TenantId, page: Page) -> tuple[Device, ...]:
    """Return one page of a tenant's devices, retired ones included, ordered by id."""
    return devices.list_devices(connection, tenant_id, page)


def get_device(connection: Connection, tenant_id: TenantId, device_id: DeviceId) -> Device:
    """Return a device of this tenant. Raises: NotFoundError."""
    device = devices.find(connection, device_id)
    if device is None or device.tenant_id != tenant_id:  # the same answer, so that nobody learns of others' devices
        raise NotFoundError(f"There is no device {device_id}.")
    return device


def hold_device(connection: Connection, acting: Acting, device_id: DeviceId) -> Device:
    """Return a device of this tenant to be changed: nobody else changes it until this transaction ends.

    It is enrolled as the scope says by now, also where it has not taken that up yet.

    Raises:
        NotFoundError: There is no such device.
    """
    targets.lock(connection)
    device = devices.hold(connection, device_id)
    if device is None or device.tenant_id != acting.tenant_id:
        raise NotFoundError(f"There is no device {device_id}.")
    if aims.is_scope_open(connection, acting.tenant_id):
        recoded = recode(connection, decided_otherwise(connection, acting.tenant_id, [device_id]))
        return devices.get(connection, device_id) if recoded else device
    return device


def follow(connection: Connection, acting: Acting, before: Device) -> Device:
    """Let all that is derived of a device follow a change by ``device_states``: enrollment, groups and policies.

    ``before`` is what it was; returned is what it is.
    """
    targets.lock(connection)
    changed = devices.get(connection, before.id)
    device = enrolled_anew(connection, acting, before, changed)
    if device.enrollment_code != changed.enrollment_code:
        enrollments.set_code(connection, [device.id], device.enrollment_code)
    reevaluate_device(connection, acting, device)
    acting.tell(connection, [device.id])
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
    before = hold_device(connection, acting, device_id)
    return _change(connection, acting, before, replace(before, display_name=display_name), "device.renamed")


def change_tags(
    connection: Connection, acting: Acting, device_id: DeviceId, *, add: Iterable[str] = (), remove: Iterable[str] = ()
) -> Device:
    """Give a device tags and take others away; case counts, order does not.

    Raises:
        NotFoundError: There is no such device.
        InvalidDeviceError: A tag is empty or too long, or there are too many.
    """
    before = hold_device(connection, acting, device_id)
    tags = tuple(sorted((set(before.tags) | set(add)) - set(remove)))
    if len(tags) > MAX_TAGS or not all(is_name(tag, MAX_TAG_LENGTH) for tag in tags):
        raise InvalidDeviceError(
            f"A device has at most {MAX_TAGS} tags of 1 to {MAX_TAG_LENGTH} plain characters.", member="tags"
        )
    return _change(connection, acting, before, replace(before, tags=tags), "device.tagged", tags=tags)


def change_details(
    connection: Connection,
    acting: Acting,
    device_id: DeviceId,
    *,
    category: str | None = None,
    ownership: str | None = None,
    attributes: Mapping[str, str | None] | None = None,
    notes: str | None = None,
    managed_name: str | None = None,
) -> Device:
    """Note what administrators know of a device; ``attributes`` are extension attributes, ``None`` takes one away.

    ``managed_name`` is what they call it; an empty one leaves it the name that it gives itself.

    Raises:
        NotFoundError: There is no such device.
        InvalidDeviceError: A part is too long, or not one that there is.
    """
    before = hold_device(connection, acting, device_id)
    noted: dict[str, str | None] = {**before.extension_attributes, **(attributes or {})}
    kept = {name: value for name, value in sorted(noted.items()) if value is not None}
    for name, value in kept.items():
        if name not in EXTENSION_ATTRIBUTES or not is_name(value, MAX_ATTRIBUTE_LENGTH):
            raise InvalidDeviceError(
                f"There are extensionAttribute1 to 15, each with 1 to {MAX_ATTRIBUTE_LENGTH} plain characters.",
                member="extensionAttributes",
            )
    if category and not is_name(category):
        raise InvalidDeviceError("A device's category has at most 256 plain characters.", member="deviceCategory")
    if ownership is not None and ownership not in OWNERSHIPS:
        raise InvalidDeviceError(f"A device's ownership is {' or '.join(OWNERSHIPS)}.", member="deviceOwnership")
    if notes is not None and not is_text(notes, MAX_NOTES_LENGTH):
        raise InvalidDeviceError(f"Notes have at most {MAX_NOTES_LENGTH} plain characters.", member="notes")
    if managed_name and not is_name(managed_name):
        raise InvalidDeviceError("A device's name has 1 to 256 plain characters.", member="managedDeviceName")
    device = replace(
        before,
        notes=before.notes if notes is None else notes,
        managed_name=before.managed_name if managed_name is None else managed_name or None,
        device_category=before.device_category if category is None else category,
        device_ownership=ownership or before.device_ownership,
        extension_attributes=kept,
    )
    return _change(
        connection,
        acting,
        before,
        device,
        "device.detailsChanged",
        category=device.device_category,
        ownership=device.device_ownership,
        attributes=kept,
        notes=device.notes,
        managed_name=device.managed_name,
    )


def set_enabled(connection: Connection, acting: Acting, device_id: DeviceId, *, enabled: bool) -> Device:
    """Let a device speak to us, or not; a retired one stays retired, and one from quarantine goes back there.

    Either way it keeps what it enforces. Twice is once.

    Raises:
        NotFoundError: There is no such device, or it is retired.
        WrongDeviceStateError: It waits to be let in, or is told to leave.
    """
    before = hold_device(connection, acting, device_id)
    if before.state is DeviceState.RETIRED:
        raise NotFoundError(f"The device {device_id} was retired.")
    if before.state not in _SWITCHED:
        raise WrongDeviceStateError(f"The device {before.display_name!r} is {before.state}.")
    if enabled is not (before.state is DeviceState.DISABLED):
        return before
    present = DeviceState.QUARANTINED if before.state_reason == CLONED_IDENTITY else DeviceState.ACTIVE
    state = present if enabled else DeviceState.DISABLED
    activity = "device.enabled" if enabled else "device.disabled"
    return _change(connection, acting, before, replace(before, state=state), activity)


def retire(
    connection: Connection,
    acting: Acting,
    device_id: DeviceId,
    *,
    activity: str = "device.retired",
    reason: str = "",
    state_reason: str | None = None,
) -> Device:
    """End a device's life: it belongs to no group, its key is refused for ever. Twice is once.

    ``reason`` is what the audit trail says, ``state_reason`` a code that stays with the device.

    Raises:
        NotFoundError: There is no such device.
    """
    before = hold_device(connection, acting, device_id)
    if before.state is DeviceState.RETIRED:
        return before
    device = replace(
        before,
        state=DeviceState.RETIRED,
        state_reason=before.state_reason if state_reason is None else state_reason,
        retired_at=acting.clock.now(),
    )
    devices.put(connection, device)
    leave_all_groups(connection, acting, device_id)
    acting.record(connection, activity, "device", device_id, name=device.display_name, reason=reason)
    acting.tell(connection, [device_id])
    return device


def _change(
    connection: Connection, acting: Acting, before: Device, device: Device, activity: str, **details: object
) -> Device:
    if device == before:
        return before
    device = enrolled_anew(connection, acting, before, device)
    devices.put(connection, device)
    acting.record(connection, activity, "device", device.id, name=device.display_name, **details)
    moved = bool(reevaluate_device(connection, acting, device))
    aims_otherwise = device.state is not before.state or device.enrollment_code != before.enrollment_code
    if moved or aims_otherwise or matches_otherwise(connection, before, device):
        acting.tell(connection, [device.id])
    return device
