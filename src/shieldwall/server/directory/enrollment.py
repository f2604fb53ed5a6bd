"""The enrollment of devices: what the tenant's enforcement scope makes of each.

The code stands in the device's row, so that lists and rules can ask for it. ``enrolled`` must be called before a new
device is stored, ``enrolled_anew`` before one whose facts, tags or state may be others than before; the finer reason is
worked out whenever it is shown.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from shieldwall.contract.ids import DeviceId
from shieldwall.policy.enrollment import (
    Coverage,
    EnforcementScope,
    Enrollment,
    Standing,
    decide,
    is_tagged,
    tag_rules,
)
from shieldwall.policy.membership import MembershipRule
from shieldwall.server.directory.acting import Acting
from shieldwall.server.directory.attributes import attributes_of
from shieldwall.server.storage.check_ins import targets
from shieldwall.server.storage.device_records import Device, DeviceState
from shieldwall.server.storage.tenants import tenants


@dataclass(frozen=True, slots=True)
class Deciding:
    """A scope whose rules were read, to be asked about many devices."""

    scope: EnforcementScope
    rules: tuple[MembershipRule, ...]

    def __call__(self, device: Device) -> Enrollment:
        """Say how a device is enrolled."""
        return decide(
            self.scope,
            Standing(
                os_type=device.os_type,
                is_tagged=self.is_tagged(device),
                manager=device.manager,
                unsuitable=device.unsuitable,
                is_domain_controller=device.is_domain_controller,
                is_waiting=device.state is DeviceState.PENDING,
            ),
        )

    def is_tagged(self, device: Device) -> bool:
        """Say whether a device counts as tagged; its properties are looked at only where a rule asks for them."""
        return is_tagged(device.tags, self.rules, attributes_of(device) if self.asks_rules else {})

    @property
    def asks_rules(self) -> bool:
        """Whether the rules of dynamic tags can make a difference to any device."""
        return bool(self.rules) and Coverage.TAGGED in self.scope.coverages


def deciding(scope: EnforcementScope) -> Deciding:
    """Read the rules of a scope. Raises: InvalidRuleError."""
    return Deciding(scope, tag_rules(scope))


def enrolled(connection: Connection, device: Device) -> Device:
    """Return a device with the enrollment code that it has by now.

    Whoever stores it does so in this transaction; until that ends, no other can change the scope.
    """
    targets.lock(connection)
    code = deciding(tenants.enforcement_scope(connection, device.tenant_id))(device).code
    return device if device.enrollment_code == code else replace(device, enrollment_code=int(code))


def enrolled_anew(connection: Connection, acting: Acting, before: Device, device: Device) -> Device:
    """Return a device that changed with the code that it has by now; the audit trail says where that is another one.

    Nothing is asked where nothing matters to the enrollment.
    """
    if matters(before) == matters(device):
        return device
    device = enrolled(connection, device)
    if device.enrollment_code != before.enrollment_code:
        acting.record(
            connection,
            "device.enrollmentChanged",
            "device",
            device.id,
            name=device.display_name,
            before=before.enrollment_code,
            after=device.enrollment_code,
            manager=device.managed_elsewhere,
        )
    return device


def enrollments(connection: Connection, device_list: Collection[Device]) -> Mapping[DeviceId, Enrollment]:
    """Return how these devices are enrolled, with the reason."""
    decided = {
        tenant: deciding(tenants.enforcement_scope(connection, tenant))
        for tenant in {device.tenant_id for device in device_list}
    }
    return {device.id: decided[device.tenant_id](device) for device in device_list}


def matters(device: Device) -> tuple[object, ...]:
    """Return everything of a device that its enrollment may depend on."""
    return device.state, device.manager, device.unsuitable, device.is_domain_controller, attributes_of(device)
