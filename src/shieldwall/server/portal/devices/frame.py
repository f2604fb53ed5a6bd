"""What stands above every page of one device: who it is, how it is, what can be done, and how far a sync is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection

from shieldwall.contract.ids import DeviceId
from shieldwall.contract.status import SettingState, gravest
from shieldwall.policy.enrollment import Enrollment
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.verdicts import Facts
from shieldwall.server.admin.gates import facts_of_device
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.admin.sight import Sight, sight_of
from shieldwall.server.directory import devices
from shieldwall.server.directory.enrollment import enrollments
from shieldwall.server.inventory import machines
from shieldwall.server.inventory.machines import Machine
from shieldwall.server.manager import protection, statuses, sync_progress
from shieldwall.server.manager.statuses import DeviceEffect
from shieldwall.server.manager.sync_progress import SyncProgress
from shieldwall.server.portal.devices import device_words as words
from shieldwall.server.portal.devices.device_actions import Action, possible
from shieldwall.server.portal.handling import PageRequest
from shieldwall.server.portal.language import marked
from shieldwall.server.storage.device_records import Device, DeviceState

_TABS: Final = (
    ("", marked("Overview")),
    ("/policies", marked("Security policies")),
    ("/settings", marked("Effective settings")),
    ("/timeline", marked("Timeline")),
    ("/enrollment", marked("Enrollment")),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One device as every page of it shows it."""

    device: Device
    machine: Machine
    effect: DeviceEffect
    enrolled: Enrollment
    sight: Sight
    facts: Facts
    progress: SyncProgress | None
    is_protected: bool
    is_excluded: bool
    actions: tuple[Action, ...]
    now: datetime

    @property
    def can_sync(self) -> bool:
        """Whether the caller may ask the device to check in."""
        return self.device.state is DeviceState.ACTIVE and self.may(ResourceAction.SYNC_DEVICES)

    @property
    def troubleshooting_until(self) -> datetime | None:
        """Until when somebody may work at the device; nothing where that is over."""
        until = self.device.troubleshooting_until
        return until if until is not None and until > self.now else None

    def may(self, action: ResourceAction) -> bool:
        """Whether the caller may do this to the device."""
        return self.sight.may(action, self.facts)

    def shown(self, here: str) -> dict[str, Any]:
        """Return what the templates need; ``here`` is the part of the address after the device."""
        path = f"/devices/{self.device.id}"
        return {
            "section": "/devices",
            "live": (f"device:{self.device.id}",),
            "frame": self,
            "device": self.device,
            "effect": self.effect,
            "path": path,
            "tabs": tuple((f"{path}{part}", label) for part, label in _TABS),
            "here": f"{path}{here}",
            "words": words,
            "state": gravest_of(self.effect),
        }


def gravest_of(effect: DeviceEffect) -> SettingState:
    """Return the gravest state of what holds on a device: what it refused is an error."""
    return gravest([each.state for each in effect.settings] + [SettingState.ERROR for _ in effect.refused])


def frame_of(connection: Connection, services: AdminServices, request: PageRequest, device_id: DeviceId) -> Frame:
    """Read what every page of a device shows. Raises: NotFoundError."""
    tenant, now, sight = services.tenant.id, services.clock.now(), sight_of(request)
    device = devices.get_device(connection, tenant, device_id)
    effect = statuses.effective_of(
        connection, services.catalog, tenant, device.id, partial(sight.policies_among, connection)
    )
    facts = facts_of_device(connection, tenant, device.id)
    is_excluded = device.id in protection.get_settings(connection, tenant).excluded
    offered = possible(device, is_excluded=is_excluded)
    return Frame(
        device=device,
        machine=machines.describe(connection, [device.id], machines.filter_at(now).inactive_before)[device.id],
        effect=effect,
        enrolled=enrollments(connection, [device])[device.id],
        sight=sight,
        facts=facts,
        progress=sync_progress.progress_of(connection, tenant, effect.check_in, now, is_current=effect.is_current),
        is_protected=protection.is_device_protected(connection, device),
        is_excluded=is_excluded,
        actions=tuple(each for each in offered if sight.may(each.action, facts)),
        now=now,
    )
