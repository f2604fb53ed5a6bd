"""Rules of groups in their tenant: whether the groups they ask for can be asked for, and what they say of a device."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from shieldwall.contract.ids import DeviceId, GroupId, TenantId
from shieldwall.policy.device_sets import places
from shieldwall.policy.membership import MEMBER_OF, MembershipRule, parse_rule
from shieldwall.policy.rule_verdicts import Verdict, explain
from shieldwall.server.directory.attributes import attributes_of, described_fleet
from shieldwall.server.directory.devices import get_device
from shieldwall.server.directory.invalid_group import InvalidGroupError
from shieldwall.server.directory.membership import devices_named_by, groups_asking_for
from shieldwall.server.storage.fleets import fleets
from shieldwall.server.storage.fleets.fleets import Whose
from shieldwall.server.storage.groups import group_members, groups

_MEMBER = "membershipRule"
TRIED: Final = 10_000
"""Devices that a rule is tried on while it is being written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moves:
    """Which devices would join a group and which would leave it."""

    gained: frozenset[DeviceId]
    lost: frozenset[DeviceId]
    members: int
    """How many it would have then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What a rule says of the devices that were looked at: all of them, or of a large fleet some."""

    moves: Moves
    looked_at: int
    is_everybody: bool
    named: frozenset[DeviceId]


def checked_rule(
    connection: Connection,
    tenant_id: TenantId,
    group_id: GroupId | None,
    text: str,
    sees: Callable[[Collection[GroupId]], Collection[GroupId]] | None = None,
) -> MembershipRule:
    """Read a rule for a group, new where it has no id yet, and see whether it may ask for the groups it names.

    They are of the same tenant, and their own rules name no groups: so nobody waits for anybody in a circle. Where
    ``sees`` chooses the groups that the caller knows of, the others are not there.

    Raises:
        InvalidRuleError: The rule cannot be read.
        InvalidGroupError: It names a group that is not there, or whose rule names groups, or is named itself.
    """
    rule = parse_rule(text)
    named = rule.groups()
    known = named if sees is None else frozenset(sees(named))
    for each in sorted(named):
        group = groups.find(connection, each) if each in known else None
        if group is None or group.tenant_id != tenant_id:
            raise InvalidGroupError(f"The rule asks for the group {each}, which is not there.", member=_MEMBER)
        if each == group_id:
            raise InvalidGroupError("The rule asks for the members of its own group.", member=_MEMBER)
        if group.membership_rule is not None and parse_rule(group.membership_rule).groups():
            cause = (
                f"The rule asks for {group.display_name}, whose own rule asks for groups; only one step is possible."
            )
            raise InvalidGroupError(cause, member=_MEMBER)
    if named and group_id is not None and (asking := groups_asking_for(connection, tenant_id, group_id)):
        cause = f"The rule of {asking[0].display_name} asks for this group, so its own rule can ask for none."
        raise InvalidGroupError(cause, member=_MEMBER)
    return rule


def evaluate(
    connection: Connection,
    tenant_id: TenantId,
    device_id: DeviceId,
    rule: MembershipRule,
    sees: Callable[[Collection[GroupId]], Collection[GroupId]],
) -> Verdict:
    """Say what a rule says of a device, part by part; ``sees`` chooses the groups that whoever asks hears of.

    Those that the rule itself names count as well: who reads the rule knows of them.

    Raises:
        NotFoundError: There is no such device.
    """
    device = get_device(connection, tenant_id, device_id)
    belongs = group_members.memberships(connection, [device_id])[device_id]
    told = belongs & {*rule.groups(), *sees(belongs)}
    return explain(rule, {**attributes_of(device), MEMBER_OF: tuple(sorted(told))})


def preview_rule(connection: Connection, tenant_id: TenantId, group_id: GroupId, rule: MembershipRule) -> Moves:
    """Say which devices a group would gain and lose, were it filled by this rule now."""
    named, present = devices_named_by(connection, tenant_id, rule), group_members.member_ids(connection, group_id)
    return Moves(gained=named - present, lost=present - named, members=len(named))


def preview_among(
    connection: Connection, tenant_id: TenantId, group_id: GroupId, rule: MembershipRule, among: Collection[DeviceId]
) -> Moves:
    """Say the same of some devices alone, whoever else there is."""
    fleet = described_fleet(connection, tenant_id, [rule], Whose.STAYING, among=among)
    named = frozenset(fleet.ids[place] for place in places(fleet.columns.matching(rule)))
    present = frozenset(group_members.members_of_these(connection, group_id, among))
    return Moves(gained=named - present, lost=present - named, members=len(named))


def try_rule(
    connection: Connection, tenant_id: TenantId, group_id: GroupId | None, rule: MembershipRule, most: int = TRIED
) -> Trial:
    """Say quickly what a rule would do: to the whole of a small fleet, to so many devices of a large one.

    A group that is not there yet has no members.
    """
    looked_at = fleets.first_ids(connection, tenant_id, most + 1)
    is_everybody = len(looked_at) <= most
    among = looked_at[:most]
    fleet = described_fleet(connection, tenant_id, [rule], Whose.STAYING, among=None if is_everybody else among)
    named = frozenset(fleet.ids[place] for place in places(fleet.columns.matching(rule)))
    present = frozenset[DeviceId]() if group_id is None else group_members.members_of_these(connection, group_id, among)
    moves = Moves(gained=named - present, lost=present - named, members=len(named))
    return Trial(moves=moves, looked_at=len(among), is_everybody=is_everybody, named=named)
