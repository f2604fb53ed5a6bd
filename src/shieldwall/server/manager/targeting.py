"""From assignments to one target per device, recomputed for the devices that a change may reach.

A device receives a policy that names one of its groups or all devices, unless the policy excludes one of its groups.
Devices with the same groups share one target, so a change is computed once per distinct set of groups, and only rows
that really change are written.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection

from shieldwall.contract.clock import Clock
from shieldwall.contract.ids import DeviceId, Digest, GroupId, PolicyId, TenantId
from shieldwall.contract.messages import ManifestItem
from shieldwall.server.storage import assignments, check_ins, devices, groups, targets
from shieldwall.server.storage.assignments import AssignedItem
from shieldwall.server.storage.records import Assignment, AssignmentKind
from shieldwall.server.storage.rows import portions


def items_for(memberships: Collection[GroupId], assigned: Iterable[AssignedItem]) -> frozenset[ManifestItem]:
    """Return what a device in these groups shall enforce."""
    included: dict[PolicyId, ManifestItem] = {}
    excluded: set[PolicyId] = set()
    for each in assigned:
        match each.assignment:
            case Assignment(kind=AssignmentKind.ALL_DEVICES):
                included[each.item.policy_id] = each.item
            case Assignment(kind=AssignmentKind.INCLUDE, group_id=group) if group in memberships:
                included[each.item.policy_id] = each.item
            case Assignment(kind=AssignmentKind.EXCLUDE, group_id=group) if group in memberships:
                excluded.add(each.item.policy_id)
            case _:
                pass
    return frozenset(item for policy, item in included.items() if policy not in excluded)


def retarget(connection: Connection, device_ids: Iterable[DeviceId], now: datetime) -> frozenset[DeviceId]:
    """Recompute the targets of these devices, and return those whose target changed.

    A device whose target changed and that waits is asked to check in at once.
    """
    targets.lock(connection)
    computed = _Computed(connection)
    changed: set[DeviceId] = set()
    for portion in portions(sorted(set(device_ids))):
        memberships = groups.memberships(connection, portion)
        wanted: defaultdict[Digest, list[DeviceId]] = defaultdict(list)
        for device in targets.present(connection, portion):
            digest = computed.target(device.tenant_id, memberships[device.device_id])
            if digest != device.target:
                wanted[digest].append(device.device_id)
        for digest, device_list in wanted.items():
            check_ins.set_target(connection, device_list, digest, now)
            changed.update(device_list)
    return frozenset(changed)


def devices_of_policy(connection: Connection, tenant_id: TenantId, policy_id: PolicyId) -> frozenset[DeviceId]:
    """Return every device that a policy is assigned to, those that an exclusion takes out included."""
    found: set[DeviceId] = set()
    for assignment in assignments.of_policy(connection, policy_id):
        match assignment:
            case Assignment(kind=AssignmentKind.ALL_DEVICES):
                return devices.active_ids(connection, tenant_id)
            case Assignment(kind=AssignmentKind.INCLUDE, group_id=str(group)):
                found |= groups.member_ids(connection, group)
            case _:
                pass  # an exclusion alone brings a policy to nobody
    return frozenset(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retargeting:
    """What directory and inventory call, inside their transaction, when devices or their groups changed."""

    clock: Clock

    def __call__(self, connection: Connection, device_ids: Iterable[DeviceId]) -> None:
        """Retarget these devices."""
        retarget(connection, device_ids, self.clock.now())


@dataclass(slots=True)
class _Computed:
    """Targets found so far in one retargeting, by tenant and set of groups."""

    connection: Connection
    assigned: dict[TenantId, tuple[AssignedItem, ...]] = field(default_factory=dict)
    digests: dict[tuple[TenantId, frozenset[GroupId]], Digest] = field(default_factory=dict)

    def target(self, tenant_id: TenantId, memberships: frozenset[GroupId]) -> Digest:
        """Return the digest of the target of a device in these groups, which is kept on first sight."""
        if tenant_id not in self.assigned:
            self.assigned[tenant_id] = assignments.items_of_tenant(self.connection, tenant_id)
        found = self.digests.get((tenant_id, memberships))
        if found is None:
            found = targets.keep(self.connection, items_for(memberships, self.assigned[tenant_id]))
            self.digests[tenant_id, memberships] = found
        return found
