"""From assignments to one target per device, recomputed for the devices that a change may reach.

A device receives a policy that names one of its groups or all devices, unless the policy excludes one of its groups; a
filter narrows the assignment it stands in. Devices with the same groups that match the same filters share one target,
so a change is computed once per distinct set of both, and only rows that really change are written.

A device that this channel does not manage shall enforce nothing, and so goes back to its state from before; a domain
controller never gets firewall policy; one that leaves gets the order to. A device that does not understand whole
manifests is told what to enforce and nothing else: it refuses what has a member it does not know.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, auto
from typing import Final, NamedTuple, assert_never

from sqlalchemy import Connection

from shieldwall.catalog.firewall.templates import is_firewall
from shieldwall.contract.clock import Clock
from shieldwall.contract.conflicts import ConflictRules
from shieldwall.contract.ids import AssignmentFilterId, DeviceId, Digest, GroupId, PolicyId, TenantId
from shieldwall.contract.messages import MANAGED_CODE, UNPROTECTED, WHOLE_MANIFESTS, ManifestItem, Protection
from shieldwall.policy.protection import ProtectionSettings, protection_of
from shieldwall.server.directory.filter_rules import Narrowing, lets_through
from shieldwall.server.directory.membership import matching_each, narrowings_in_use
from shieldwall.server.storage.check_ins import check_ins, targets
from shieldwall.server.storage.check_ins.targets import Targeted
from shieldwall.server.storage.device_records import DeviceState
from shieldwall.server.storage.groups import group_members
from shieldwall.server.storage.policies import assignments
from shieldwall.server.storage.policies.assignments import AssignedItem
from shieldwall.server.storage.records import Assignment, AssignmentKind
from shieldwall.server.storage.statements.bulk import MOST_AT_ONCE
from shieldwall.server.storage.statements.rows import portions
from shieldwall.server.storage.tenants import protection, tenants


def items_for(
    memberships: Collection[GroupId],
    assigned: Iterable[AssignedItem],
    matched: Collection[AssignmentFilterId] = (),
) -> frozenset[ManifestItem]:
    """Return what a device in these groups that matches these filters shall enforce."""
    included: dict[PolicyId, ManifestItem] = {}
    excluded: set[PolicyId] = set()
    for each in assigned:
        match each.assignment:
            case Assignment(kind=AssignmentKind.EXCLUDE, group_id=group):
                if group in memberships:
                    excluded.add(each.item.policy_id)
            case narrowed if not lets_through(narrowed, matched):
                pass
            case Assignment(kind=AssignmentKind.ALL_DEVICES):
                included[each.item.policy_id] = each.item
            case Assignment(kind=AssignmentKind.INCLUDE, group_id=group) if group in memberships:
                included[each.item.policy_id] = each.item
            case _:
                pass
    return frozenset(item for policy, item in included.items() if policy not in excluded)


class Aim(Enum):
    """What a device is to its policies."""

    MANAGED = auto()
    DOMAIN_CONTROLLER = auto()
    """Managed, without firewall policy."""
    UNMANAGED = auto()
    LEAVING = auto()


_PROTECTABLE: Final = frozenset({Aim.MANAGED, Aim.DOMAIN_CONTROLLER})
"""Where nothing is managed there is nothing to protect."""


def aim_of(device: Targeted) -> Aim:
    """Say what a device is to its policies."""
    if device.state is DeviceState.LEAVING:
        return Aim.LEAVING if _understands(device) else Aim.UNMANAGED
    if device.enrollment_code != MANAGED_CODE:
        return Aim.UNMANAGED
    return Aim.DOMAIN_CONTROLLER if device.is_domain_controller else Aim.MANAGED


def _understands(device: Targeted) -> bool:
    """Say whether a device understands more of a manifest than what to enforce."""
    return device.protocol >= WHOLE_MANIFESTS


def retarget(connection: Connection, device_ids: Iterable[DeviceId], now: datetime) -> frozenset[DeviceId]:
    """Recompute the targets of these devices, and return those whose target changed.

    A device whose target changed and that waits is asked to check in at once.
    """
    targets.lock(connection)
    computed = _Computed(connection, now)
    changed: set[DeviceId] = set()
    for portion in portions(sorted(set(device_ids)), MOST_AT_ONCE):
        memberships = group_members.memberships(connection, portion)
        present = targets.present(connection, portion)
        matched = computed.matched(present)
        wanted: defaultdict[Digest, list[DeviceId]] = defaultdict(list)
        for targeted, ids in present.items():
            for digest, device_list in computed.wanted(targeted, ids, memberships, matched):
                if digest != targeted.target:
                    wanted[digest] += device_list
        for digest, device_list in wanted.items():
            check_ins.set_target(connection, device_list, digest, now)
            changed.update(device_list)
    return frozenset(changed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retargeting:
    """What directory and inventory call, inside their transaction, when devices or their groups changed."""

    clock: Clock

    def __call__(self, connection: Connection, device_ids: Iterable[DeviceId]) -> None:
        """Retarget these devices."""
        retarget(connection, device_ids, self.clock.now())


class _Alike(NamedTuple):
    """Everything a target depends on: devices that are alike share one."""

    tenant_id: TenantId
    memberships: frozenset[GroupId]
    matched: frozenset[AssignmentFilterId]
    aim: Aim
    protection: Protection
    enrollment: int


@dataclass(slots=True)
class _Computed:
    """Targets found so far in one retargeting, by tenant, set of groups and set of filters."""

    connection: Connection
    now: datetime
    rules: dict[TenantId, ConflictRules] = field(default_factory=dict)
    protection: dict[TenantId, ProtectionSettings] = field(default_factory=dict)
    assigned: dict[TenantId, tuple[AssignedItem, ...]] = field(default_factory=dict)
    narrowings: dict[TenantId, tuple[Narrowing, ...]] = field(default_factory=dict)
    digests: dict[_Alike, Digest] = field(default_factory=dict)

    def matched(
        self, present: Mapping[Targeted, Collection[DeviceId]]
    ) -> Mapping[DeviceId, frozenset[AssignmentFilterId]]:
        """Return the filters that each device matches; devices are looked at only where filters narrow anything."""
        of_tenant: defaultdict[TenantId, list[DeviceId]] = defaultdict(list)
        for targeted, ids in present.items():
            of_tenant[targeted.tenant_id] += ids
        found: dict[DeviceId, frozenset[AssignmentFilterId]] = {}
        for tenant, device_ids in of_tenant.items():
            if tenant not in self.narrowings:
                self.narrowings[tenant] = narrowings_in_use(self.connection, tenant)
            if narrowings := self.narrowings[tenant]:
                found |= matching_each(self.connection, tenant, device_ids, narrowings)
        return found

    def wanted(
        self,
        targeted: Targeted,
        device_ids: Collection[DeviceId],
        memberships: Mapping[DeviceId, frozenset[GroupId]],
        matched: Mapping[DeviceId, frozenset[AssignmentFilterId]],
    ) -> Iterator[tuple[Digest, list[DeviceId]]]:
        """Yield the targets that these devices shall have, each with devices alike in all it depends on."""
        excluded = frozenset(self._protection_of(targeted.tenant_id).excluded)
        no_filter = frozenset[AssignmentFilterId]()
        alike: defaultdict[tuple[object, ...], list[DeviceId]] = defaultdict(list)
        for device_id in device_ids:
            alike[memberships[device_id], matched.get(device_id, no_filter), device_id in excluded].append(device_id)
        for each in alike.values():
            first = each[0]
            yield self._target(targeted, first, memberships[first], matched.get(first, no_filter)), each

    def _target(
        self,
        device: Targeted,
        device_id: DeviceId,
        memberships: frozenset[GroupId],
        matched: frozenset[AssignmentFilterId],
    ) -> Digest:
        """Return the digest of the target of a device like this, which is kept on first sight."""
        tenant_id = device.tenant_id
        if tenant_id not in self.assigned:
            self.assigned[tenant_id] = assignments.items_of_tenant(self.connection, tenant_id)
            self.rules[tenant_id] = tenants.conflict_rules(self.connection, tenant_id)
        aim = aim_of(device)
        understands = _understands(device)
        is_protectable = understands and aim in _PROTECTABLE
        protected = self._protection(device, device_id, memberships) if is_protectable else UNPROTECTED
        enrollment = device.enrollment_code if understands and aim is Aim.UNMANAGED else MANAGED_CODE
        alike = _Alike(tenant_id, memberships, matched, aim, protected, enrollment)
        if alike not in self.digests:
            self.digests[alike] = self._keep(alike)
        return self.digests[alike]

    def _protection_of(self, tenant_id: TenantId) -> ProtectionSettings:
        if tenant_id not in self.protection:
            self.protection[tenant_id] = protection.settings(self.connection, tenant_id)
        return self.protection[tenant_id]

    def _protection(self, device: Targeted, device_id: DeviceId, memberships: frozenset[GroupId]) -> Protection:
        return protection_of(
            self._protection_of(device.tenant_id),
            memberships,
            device_id,
            troubleshooting_until=device.troubleshooting_until,
            now=self.now,
        )

    def _keep(self, alike: _Alike) -> Digest:
        match alike.aim:
            case Aim.LEAVING:
                return targets.keep(self.connection, alike.tenant_id, (), offboard=True)
            case Aim.UNMANAGED:
                return targets.keep(self.connection, alike.tenant_id, (), enrollment=alike.enrollment)
            case Aim.MANAGED | Aim.DOMAIN_CONTROLLER:
                assigned = self.assigned[alike.tenant_id]
                if alike.aim is Aim.DOMAIN_CONTROLLER:
                    assigned = tuple(each for each in assigned if not is_firewall(each.template_id))
                items = items_for(alike.memberships, assigned, alike.matched)
                return targets.keep(
                    self.connection, alike.tenant_id, items, self.rules[alike.tenant_id], alike.protection
                )
            case other:
                assert_never(other)
