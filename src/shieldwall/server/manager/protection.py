"""Tamper protection: who is protected, what a change of that does to the devices, and time for troubleshooting.

Changing it retargets, so a device learns of it from its next signed manifest and never from anything else.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import msgspec
from sqlalchemy import Connection

from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import DeviceId, TenantId
from shieldwall.policy.classify import ChangeClass
from shieldwall.policy.protection import (
    DEFAULT_WINDOW,
    LONGEST_WINDOW,
    SHORTEST_WINDOW,
    ProtectionSettings,
    class_of,
    is_protected,
    protected_among,
)
from shieldwall.server.directory.acting import Acting
from shieldwall.server.directory.devices import get_device, hold_device
from shieldwall.server.manager.reach import Reach
from shieldwall.server.manager.targeting import retarget
from shieldwall.server.storage.check_ins import targets
from shieldwall.server.storage.device_records import Device, DeviceState
from shieldwall.server.storage.devices import devices
from shieldwall.server.storage.fleets import fleets
from shieldwall.server.storage.groups import group_members, groups
from shieldwall.server.storage.policies.aims import ChangeKind
from shieldwall.server.storage.tenants import protection
from shieldwall.trust import moments


class InvalidProtectionError(ShieldwallError):
    """Tamper protection cannot be like that."""

    code = "invalidProtection"
    remedy = "Correct the part named and try again."


class DeviceNotManagedError(ShieldwallError):
    """Nothing is managed on this device that troubleshooting could be about."""

    code = "deviceNotManaged"
    remedy = "Look at the device's state and enrollment; troubleshooting is for devices that are managed."


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtectionEffect:
    """What a change of protection does: how many devices gain it, lose it, and have it afterwards."""

    gained: int
    lost: int
    protected: int
    devices: int

    @property
    def change_class(self) -> ChangeClass:
        """Whether that is safer."""
        return class_of(gained=self.gained, lost=self.lost)


def get_settings(connection: Connection, tenant_id: TenantId) -> ProtectionSettings:
    """Return what a tenant says, of groups and devices that are still there. Raises: NotFoundError."""
    found = protection.settings(connection, tenant_id)
    kept = {group: word for group, word in found.groups.items() if groups.find(connection, group) is not None}
    there = tuple(device.id for device in devices.find_many(connection, found.excluded))
    return msgspec.structs.replace(found, groups=kept, excluded=there)


def preview(connection: Connection, tenant_id: TenantId, wanted: ProtectionSettings) -> ProtectionEffect:
    """Say what a change would do to the managed devices.

    Raises:
        InvalidProtectionError: It names a group or device that is not there.
    """
    _check(connection, tenant_id, wanted)
    before = get_settings(connection, tenant_id)
    everybody = frozenset(device.id for device in fleets.managed(connection, tenant_id))
    named = before.groups.keys() | wanted.groups.keys()
    members = {group: group_members.member_ids(connection, group) for group in named}
    had, has = (protected_among(each, everybody, members) for each in (before, wanted))
    return ProtectionEffect(
        gained=len(has - had), lost=len(had - has), protected=len(has & everybody), devices=len(everybody)
    )


def replace_settings(connection: Connection, acting: Acting, wanted: ProtectionSettings) -> ProtectionEffect:
    """Protect devices as these settings say, and let every device follow.

    Raises:
        InvalidProtectionError: It names a group or device that is not there.
    """
    targets.lock(connection)
    effect = preview(connection, acting.tenant_id, wanted)
    before = get_settings(connection, acting.tenant_id)
    wanted = msgspec.structs.replace(wanted, excluded=tuple(sorted(set(wanted.excluded))))
    if wanted == before:
        return effect
    protection.put_settings(connection, acting.tenant_id, wanted)
    acting.record(
        connection,
        "tamperProtection.changed",
        "tenant",
        acting.tenant_id,
        before=msgspec.to_builtins(before),
        after=msgspec.to_builtins(wanted),
        gained=effect.gained,
        lost=effect.lost,
        change=effect.change_class.value,
    )
    reach = Reach(connection, acting)
    reach.everybody()
    reach.aim(ChangeKind.TENANT)
    return effect


def exclude(connection: Connection, acting: Acting, device_id: DeviceId, *, excluded: bool) -> ProtectionEffect:
    """Except one device from protection, or no more.

    Raises:
        NotFoundError: There is no such device.
        InvalidProtectionError: Too many devices are excepted already.
    """
    get_device(connection, acting.tenant_id, device_id)
    targets.lock(connection)
    before = get_settings(connection, acting.tenant_id)
    others = set(before.excluded) - {device_id}
    wanted = msgspec.structs.replace(before, excluded=tuple(sorted(others | ({device_id} if excluded else set()))))
    return replace_settings(connection, acting, wanted)


def is_device_protected(connection: Connection, device: Device) -> bool:
    """Say whether tamper protection is on for a device, whatever troubleshooting allows for the moment."""
    if not device.is_managed or device.state is DeviceState.LEAVING:
        return False  # whoever orders a device to leave has switched its protection off
    memberships = group_members.memberships(connection, [device.id])[device.id]
    return is_protected(protection.settings(connection, device.tenant_id), memberships, device.id)


def start_troubleshooting(
    connection: Connection, acting: Acting, device_id: DeviceId, *, window: timedelta = DEFAULT_WINDOW
) -> Device:
    """Let whoever is at a device change things for a while; a second time replaces the first.

    Raises:
        NotFoundError: There is no such device.
        DeviceNotManagedError: Nothing is managed there.
        InvalidProtectionError: The time is too short or too long.
    """
    if not SHORTEST_WINDOW <= window <= LONGEST_WINDOW:
        raise InvalidProtectionError("Troubleshooting lasts from 5 minutes to 24 hours.")
    device = hold_device(connection, acting, device_id)
    if not device.is_managed or device.state is DeviceState.LEAVING:
        raise DeviceNotManagedError(f"{device.display_name} is not managed.")
    until = (acting.clock.now() + window).replace(microsecond=0)
    protection.set_window(connection, device_id, until)
    acting.record(
        connection,
        "device.troubleshootingStarted",
        "device",
        device_id,
        name=device.display_name,
        until=moments.write(until),
        protected=is_device_protected(connection, device),
    )
    acting.tell(connection, [device_id])
    return devices.get(connection, device_id)


def stop_troubleshooting(connection: Connection, acting: Acting, device_id: DeviceId) -> Device:
    """End the time for troubleshooting now; where there is none, nothing happens. Raises: NotFoundError."""
    device = hold_device(connection, acting, device_id)
    if device.troubleshooting_until is None:
        return device
    protection.set_window(connection, device_id, None)
    acting.record(connection, "device.troubleshootingStopped", "device", device_id, name=device.display_name)
    acting.tell(connection, [device_id])
    return devices.get(connection, device_id)


def end_troubleshooting(connection: Connection, acting: Acting) -> frozenset[DeviceId]:
    """Clear away what is over by time; the devices have ended it by themselves. Returns whose time that was."""
    now = acting.clock.now()
    over = protection.ended_windows(connection, acting.tenant_id, now)
    if over:
        protection.clear_windows(connection, acting.tenant_id, now)
        retarget(connection, over, now)
    return over


def _check(connection: Connection, tenant_id: TenantId, wanted: ProtectionSettings) -> None:
    for group_id in wanted.groups:
        group = groups.find(connection, group_id)
        if group is None or group.tenant_id != tenant_id:
            raise InvalidProtectionError(f"There is no group {group_id}.")
    there = {device.id for device in devices.find_many(connection, wanted.excluded) if device.tenant_id == tenant_id}
    for device_id in wanted.excluded:
        if device_id not in there:
            raise InvalidProtectionError(f"There is no device {device_id}.")
