"""How far a new tenant has come: from the first package to the first device on which a policy is in effect.

Nothing of it is kept. It is read from what there is, so it is true however somebody got there: by the admin center, the
API or the command line.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from shieldwall.contract.ids import TenantId
from shieldwall.contract.status import SettingState
from shieldwall.server.manager.summaries import DeviceSummary, summaries
from shieldwall.server.storage.device_records import Device, DeviceState
from shieldwall.server.storage.devices import devices
from shieldwall.server.storage.reports import first_steps

MOST_DEVICES: Final = 20
"""Devices that are looked at: a tenant that has more is not at its first steps any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstSteps:
    """What a tenant has. ``devices`` are some of its devices, each with how it stands."""

    has_package: bool
    has_assignments: bool
    devices: tuple[tuple[Device, DeviceSummary], ...]

    @property
    def has_device(self) -> bool:
        """Whether any device came."""
        return bool(self.devices)

    @property
    def has_managed(self) -> bool:
        """Whether any device is managed and has checked in."""
        return any(_is_at_work(device, standing) for device, standing in self.devices)

    @property
    def is_in_effect(self) -> bool:
        """Whether any device reported that all it was told is in effect."""
        return self.has_assignments and any(
            _is_at_work(device, standing) and standing.is_current and standing.state is SettingState.SUCCEEDED
            for device, standing in self.devices
        )


def of_tenant(connection: Connection, tenant_id: TenantId, now: datetime) -> FirstSteps:
    """Say how far a tenant has come."""
    found = devices.find_many(connection, first_steps.some_devices(connection, tenant_id, MOST_DEVICES))
    standing = summaries(connection, found)
    return FirstSteps(
        has_package=first_steps.has_usable_package(connection, tenant_id, now),
        has_assignments=first_steps.has_assignments(connection, tenant_id),
        devices=tuple((each, standing[each.id]) for each in found if each.id in standing),
    )


def _is_at_work(device: Device, standing: DeviceSummary) -> bool:
    is_active = device.state is DeviceState.ACTIVE and standing.enrollment.is_managed
    return is_active and standing.check_in.last_check_in is not None
