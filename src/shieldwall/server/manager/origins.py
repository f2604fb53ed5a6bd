"""Through which groups a device gets its policies."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection

from shieldwall.contract.ids import GroupId, PolicyId
from shieldwall.server.directory.attributes import attributes_of
from shieldwall.server.directory.filter_rules import lets_through, matching
from shieldwall.server.directory.membership import narrowings_in_use
from shieldwall.server.storage.device_records import Device
from shieldwall.server.storage.groups import group_members, groups
from shieldwall.server.storage.policies import assignments
from shieldwall.server.storage.records import Assignment, AssignmentKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What brought a policy to a device: a group by its id and name, or without them that it is for all devices."""

    group_id: GroupId | None = None
    group_name: str = ""


def origins_of(
    connection: Connection, device: Device, policies: Collection[PolicyId]
) -> Mapping[PolicyId, tuple[Origin, ...]]:
    """Return what brought each of these policies to a device, all devices first, then groups by name."""
    memberships = group_members.memberships(connection, [device.id])[device.id]
    matched = matching(narrowings_in_use(connection, device.tenant_id), attributes_of(device))
    found: defaultdict[PolicyId, list[Origin]] = defaultdict(list)
    for policy in policies:
        for assignment in assignments.of_policy(connection, policy):
            if not lets_through(assignment, matched):
                continue
            match assignment:
                case Assignment(kind=AssignmentKind.ALL_DEVICES):
                    found[policy].append(Origin())
                case Assignment(kind=AssignmentKind.INCLUDE, group_id=str(group)) if group in memberships:
                    name = groups.get(connection, group).display_name
                    found[policy].append(Origin(group_id=group, group_name=name))
                case _:
                    pass
    return {
        policy: tuple(sorted(origins, key=lambda origin: (origin.group_id is not None, origin.group_name)))
        for policy, origins in found.items()
    }
