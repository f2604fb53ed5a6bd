"""What the index is told of, read from the database."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from typing import Final

from sqlalchemy import Connection

from shieldwall.catalog.firewall.templates import is_firewall
from shieldwall.contract.ids import DeviceId, GroupId, PolicyId, TenantId
from shieldwall.contract.messages import WHOLE_MANIFESTS
from shieldwall.policy.membership import MembershipRule, parse_rule
from shieldwall.server.directory.attributes import attributes_from, fields_asked
from shieldwall.server.directory.filter_rules import Narrowing, narrowing
from shieldwall.server.manager.targeting import aim_of
from shieldwall.server.storage.check_ins.targets import Targeted
from shieldwall.server.storage.device_records import SPEAKING, DeviceState
from shieldwall.server.storage.fleets import fleet_devices
from shieldwall.server.storage.fleets.fleet_devices import ReadDevices
from shieldwall.server.storage.groups import group_members, groups
from shieldwall.server.storage.policies import assignments, filters
from shieldwall.server.storage.records import Assignment, AssignmentFilter
from shieldwall.server.storage.tenants import protection, tenants
from shieldwall.server.targeting.definitions import AimedPolicy, Definitions
from shieldwall.server.targeting.fleet import Devices, Trait

PORTION: Final = 20_000
_FIELDS: Final = fields_asked()
_GONE: Final = frozenset({DeviceState.LEAVING, DeviceState.RETIRED})


def definitions_of(connection: Connection, tenant_id: TenantId) -> Definitions:
    """Return what policies of a tenant are aimed by now."""
    rules = dict(groups.rules_in_force(connection, tenant_id))
    aimed: dict[PolicyId, AimedPolicy] = {}
    of_policy: dict[PolicyId, list[Assignment]] = {}
    for each in assignments.items_of_tenant(connection, tenant_id):
        policy_id = each.item.policy_id
        found = of_policy.setdefault(policy_id, [])
        found.append(each.assignment)
        if len(found) == 1:
            aimed[policy_id] = AimedPolicy(item=each.item, assignments=(), is_firewall=is_firewall(each.template_id))
    return Definitions(
        groups={
            group_id: _rule(rules[group_id]) if group_id in rules else None
            for group_id in groups.ids_of_tenant(connection, tenant_id)
        },
        filters={kept.id: _narrowing(kept).whole_rule for kept in filters.list_used(connection, tenant_id)},
        policies={
            policy_id: AimedPolicy(
                item=policy.item,
                assignments=tuple(sorted(of_policy[policy_id], key=lambda each: (each.kind, each.group_id or ""))),
                is_firewall=policy.is_firewall,
            )
            for policy_id, policy in aimed.items()
        },
        conflict_rules=tenants.conflict_rules(connection, tenant_id),
        protection=protection.settings(connection, tenant_id),
    )


def members_of(connection: Connection, group_ids: Collection[GroupId]) -> dict[GroupId, Collection[DeviceId]]:
    """Return who is recorded in these groups."""
    return {group_id: group_members.member_ids(connection, group_id) for group_id in group_ids}


def devices_after(connection: Connection, tenant_id: TenantId, place: str) -> tuple[Devices, str | None]:
    """Return some devices of a tenant behind an id, and behind which id others are, if there are any.

    Who is recorded in which group is not said.
    """
    read = fleet_devices.after(connection, tenant_id, place, PORTION, _FIELDS)
    return _told(read, {}), read.ids[-1] if len(read.ids) == PORTION else None


def these_devices(
    connection: Connection, tenant_id: TenantId, device_ids: Collection[DeviceId], recorded: Collection[GroupId]
) -> Devices:
    """Return those of these devices that are there, and to which of the groups ``recorded`` they belong."""
    read = fleet_devices.these(connection, tenant_id, device_ids, _FIELDS)
    members: dict[GroupId, list[int]] = {}
    if recorded:
        memberships = group_members.memberships(connection, read.ids)
        for number, device_id in enumerate(read.ids):
            for group_id in memberships[device_id]:
                members.setdefault(group_id, []).append(number)
    return _told(read, members)


def _told(read: ReadDevices, members: Mapping[GroupId, Sequence[int]]) -> Devices:
    decisive = zip(*(read.fields[name] for name in fleet_devices.DECISIVE), strict=True)
    return Devices(
        ids=read.ids,
        traits=[_trait(state, code, dc, until is not None, protocol) for state, code, dc, until, protocol in decisive],
        attributes=attributes_from(read.fields),
        members=members,
    )


@lru_cache(maxsize=4_096)
def _trait(
    state: DeviceState,
    code: int,
    is_domain_controller: bool,
    is_unsure: bool,
    protocol: int | None,
) -> Trait:
    aim = None
    if state in SPEAKING and protocol is not None:
        # Neither tenant nor present target nor the time of troubleshooting decides what a device is to its policies.
        aim = aim_of(Targeted(TenantId(""), None, state, code, is_domain_controller, None, protocol))
    understands = protocol is not None and protocol >= WHOLE_MANIFESTS
    return Trait(aim, understands, code, stays=state not in _GONE, is_unsure=is_unsure)


@lru_cache(maxsize=16_384)
def _rule(text: str) -> MembershipRule:
    """Read a rule once: the same text gives the same object, and so what is unchanged is seen at once."""
    return parse_rule(text)


@lru_cache(maxsize=4_096)
def _narrowing(kept: AssignmentFilter) -> Narrowing:
    return narrowing(kept)
