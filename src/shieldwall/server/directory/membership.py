"""Keeping groups true: which devices the rules of dynamic ones name, by group or by device, and what happened when.

Where two changes meet, the later one must see what the earlier did. So both take the lock of targeting first, and read
rules and devices after it. A rule that asks for groups is looked at after the groups it names; those ask for no groups
themselves, so one further look is enough.

In a large fleet a rule that changes moves nobody at once: the change is noted, and each device takes it up when it
checks in next or when the server comes to it, whichever is sooner (``manager.catching_up``).

Assignment filters have rules too; nobody belongs to a filter, so all there is to keep is who hears of a change.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import lru_cache

from sqlalchemy import Connection

from shieldwall.contract.ids import AssignmentFilterId, DeviceId, GroupId, TenantId
from shieldwall.policy.device_sets import places
from shieldwall.policy.membership import MEMBER_OF, Attributes, MembershipRule, parse_rule
from shieldwall.policy.rule_index import RuleIndex
from shieldwall.server.directory.acting import Acting
from shieldwall.server.directory.attributes import attributes_of, described_fleet
from shieldwall.server.directory.filling import Why, decides, fill_among, move
from shieldwall.server.directory.filter_rules import Narrowing, matching, narrowing
from shieldwall.server.directory.recoding import ENROLLMENT_IN_RULES, decided_otherwise, recode
from shieldwall.server.storage.check_ins import targets
from shieldwall.server.storage.device_records import Device, DeviceState
from shieldwall.server.storage.fleets import fleets
from shieldwall.server.storage.fleets.fleets import Whose
from shieldwall.server.storage.groups import group_members, groups
from shieldwall.server.storage.policies import aims, filters
from shieldwall.server.storage.policies.aims import AimsChange, ChangeKind
from shieldwall.server.storage.records import Group, MembershipCause

_RuleTexts = tuple[tuple[GroupId, str], ...]


def reevaluate_device(
    connection: Connection, acting: Acting, device: Device, cause: MembershipCause = MembershipCause.DEVICE_CHANGED
) -> frozenset[GroupId]:
    """Let a device join and leave the dynamic groups of its tenant; return those it joined or left."""
    targets.lock(connection)
    rules = _ready(groups.rules_in_force(connection, device.tenant_id))
    present = group_members.memberships(connection, [device.id])[device.id]
    wanted = rules.groups_of(attributes_of(device), present) if _may_belong(device) else present - rules.decided
    for group_id in sorted(present ^ wanted):
        joined, why = group_id in wanted, Why(cause, acting.actor)
        move(connection, acting, group_id, [device.id], joined=joined, why=why)
    return present ^ wanted


def reevaluate_group(
    connection: Connection, acting: Acting, group: Group, cause: MembershipCause = MembershipCause.RULE_CHANGED
) -> frozenset[DeviceId]:
    """Fill a dynamic group by its rule, unless it is paused, and after it those that ask for its members.

    Returns:
        The devices that joined or left one of them. In a large fleet none: they catch up one after the other.
    """
    targets.lock(connection)
    if not decides(group):
        return frozenset()
    if fleets.has_more(connection, group.tenant_id, acting.most_at_once):
        now = acting.clock.now()
        aims.raise_version(
            connection, group.tenant_id, ChangeKind.GROUP, group.id, at=now, cause=cause, actor=acting.actor
        )
        return frozenset()
    return _fill(connection, acting, group, Why(cause, acting.actor))


def settle_group(connection: Connection, acting: Acting, group: Group) -> frozenset[DeviceId]:
    """Bring all devices into a dynamic group at once, whose members shall stay as its rule says for the last time.

    Nothing is to be done unless devices may have not taken up a change of its rule, or of a group that it asks for.
    Returns those that joined or left it, or one of those groups. Where the rule asks who is managed, all devices are
    first decided that have not taken up another scope.
    """
    targets.lock(connection)
    if group.membership_rule is None or not decides(group):
        return frozenset()
    asked = parse_rule(group.membership_rule).groups()
    opened = aims.open_groups(connection, group.tenant_id, {group.id, *asked})
    if not opened:
        return frozenset()
    why = why_moved(aims.changes_since(connection, group.tenant_id, 0), Why(MembershipCause.RULE_CHANGED, ""))
    named = groups.find_many(connection, opened - {group.id})
    if aims.is_scope_open(connection, group.tenant_id) and any(map(_asks_for_enrollment, (group, *named))):
        recode(connection, decided_otherwise(connection, group.tenant_id))
    moved: frozenset[DeviceId] = frozenset()
    for each in named:
        moved |= _fill(connection, acting, each, why(each.id)) if decides(each) else frozenset()
    return moved | _fill(connection, acting, group, why(group.id))


def _asks_for_enrollment(group: Group) -> bool:
    return group.membership_rule is not None and ENROLLMENT_IN_RULES in parse_rule(group.membership_rule).properties()


def is_catching_up(connection: Connection, group: Group) -> bool:
    """Say whether devices may still join or leave a group by a change of its rule, or of a group that it asks for."""
    if group.membership_rule is None or not decides(group):
        return False
    named = parse_rule(group.membership_rule).groups()
    return bool(aims.open_groups(connection, group.tenant_id, {group.id, *named}))


def why_moved(changes: Collection[AimsChange], otherwise: Why) -> Callable[[GroupId], Why]:
    """Say why a device that takes up these changes joins or leaves a group: the last that was about this one."""
    known: dict[str | None, Why] = {}
    last = otherwise
    for each in changes:
        if each.kind is ChangeKind.GROUP:
            known[each.object_id] = last = Why(each.cause, each.actor)
    return lambda group_id: known.get(group_id, last)


def _fill(connection: Connection, acting: Acting, group: Group, why: Why) -> frozenset[DeviceId]:
    assert group.membership_rule is not None, "its rule decides"
    named = devices_named_by(connection, group.tenant_id, parse_rule(group.membership_rule))
    present = group_members.member_ids(connection, group.id)
    move(connection, acting, group.id, named - present, joined=True, why=why)
    move(connection, acting, group.id, present - named, joined=False, why=why)
    return (named ^ present) | follow_members(connection, acting, group, named ^ present, why)


def devices_named_by(connection: Connection, tenant_id: TenantId, rule: MembershipRule) -> frozenset[DeviceId]:
    """Return the devices of a tenant that a rule names now, of those that may belong to groups."""
    fleet = described_fleet(connection, tenant_id, [rule], Whose.STAYING)
    return frozenset(fleet.ids[place] for place in places(fleet.columns.matching(rule)))


def follow_members(
    connection: Connection, acting: Acting, group: Group, moved: Collection[DeviceId], why: Why
) -> frozenset[DeviceId]:
    """Let devices that joined or left a group do the same with those whose rules ask for its members.

    Returns the devices that joined or left one of those.
    """
    asking = groups_asking_for(connection, group.tenant_id, group.id)
    return fill_among(connection, acting, asking, moved, lambda _: why)


def groups_asking_for(connection: Connection, tenant_id: TenantId, group_id: GroupId) -> tuple[Group, ...]:
    """Return the groups whose rules ask for the members of this one, ordered by id."""
    return tuple(
        group
        for group in groups.list_with_rule_like(connection, tenant_id, MEMBER_OF)
        if group.membership_rule is not None and group_id in parse_rule(group.membership_rule).groups()
    )


def reevaluate_asking(connection: Connection, acting: Acting, property_name: str) -> frozenset[DeviceId]:
    """Fill anew the dynamic groups whose rules ask for a property that changed for many devices at once.

    Returns:
        The devices that joined or left one of them.
    """
    moved: frozenset[DeviceId] = frozenset()
    for group in groups.list_with_rule_like(connection, acting.tenant_id, property_name):
        if group.membership_rule is not None and property_name in parse_rule(group.membership_rule).properties():
            moved |= reevaluate_group(connection, acting, group, MembershipCause.DEVICE_CHANGED)
    return moved


def add_members(
    connection: Connection, acting: Acting, group: Group, device_ids: Collection[DeviceId], cause: MembershipCause
) -> frozenset[DeviceId]:
    """Let devices join an assigned group; return them and those that other groups, asking for it, gain or lose."""
    why = Why(cause, acting.actor)
    move(connection, acting, group.id, device_ids, joined=True, why=why)
    return frozenset(device_ids) | follow_members(connection, acting, group, device_ids, why)


def remove_members(
    connection: Connection, acting: Acting, group: Group, device_ids: Collection[DeviceId], cause: MembershipCause
) -> frozenset[DeviceId]:
    """Let devices leave an assigned group; return as ``add_members`` does."""
    why = Why(cause, acting.actor)
    move(connection, acting, group.id, device_ids, joined=False, why=why)
    return frozenset(device_ids) | follow_members(connection, acting, group, device_ids, why)


def leave_all_groups(connection: Connection, acting: Acting, device_id: DeviceId) -> None:
    """Take a device that is retired, or told to leave, out of every group, of paused ones too."""
    why = Why(MembershipCause.DEVICE_RETIRED, acting.actor)
    for group_id in sorted(group_members.memberships(connection, [device_id])[device_id]):
        move(connection, acting, group_id, [device_id], joined=False, why=why)


def narrowings_in_use(connection: Connection, tenant_id: TenantId) -> tuple[Narrowing, ...]:
    """Return the filters of a tenant that narrow an assignment, read."""
    return tuple(narrowing(kept) for kept in filters.list_used(connection, tenant_id))


def matching_each(
    connection: Connection, tenant_id: TenantId, device_ids: Collection[DeviceId], narrowings: Collection[Narrowing]
) -> dict[DeviceId, frozenset[AssignmentFilterId]]:
    """Return the filters that each of these devices matches; one that matches none may be left out."""
    rules = {each.id: each.whole_rule for each in narrowings}
    fleet = described_fleet(connection, tenant_id, tuple(rules.values()), Whose.EXISTING, among=device_ids)
    found: dict[DeviceId, frozenset[AssignmentFilterId]] = {}
    larger: dict[tuple[frozenset[AssignmentFilterId], AssignmentFilterId], frozenset[AssignmentFilterId]] = {}
    for filter_id, rule in rules.items():
        for place in places(fleet.columns.matching(rule)):
            known = (found.get(fleet.ids[place], frozenset()), filter_id)
            if known not in larger:  # devices that match the same filters share one set
                larger[known] = known[0] | {filter_id}
            found[fleet.ids[place]] = larger[known]
    return found


def matches_otherwise(connection: Connection, before: Device, after: Device) -> bool:
    """Say whether a device that changed matches other filters than before, of those that narrow an assignment."""
    was, is_now = attributes_of(before), attributes_of(after)
    if was == is_now or not filters.any_of(connection, after.tenant_id):
        return False
    targets.lock(connection)  # else a filter could change, and look at this device as it was, at the same time
    narrowings = narrowings_in_use(connection, after.tenant_id)
    return matching(narrowings, was) != matching(narrowings, is_now)


@dataclass(frozen=True, slots=True)
class _Rules:
    """The rules of a tenant made ready: those that ask for groups apart, for they are asked last."""

    plain: RuleIndex[GroupId]
    asking: RuleIndex[GroupId]
    decided: frozenset[GroupId]
    """The groups that these rules decide; others keep who they have."""
    decided_plainly: frozenset[GroupId]

    def groups_of(self, attributes: Attributes, present: frozenset[GroupId]) -> frozenset[GroupId]:
        """Return all groups that a device in the groups ``present`` shall belong to."""
        plainly = (present - self.decided_plainly) | self.plain.matching(attributes)
        if self.decided_plainly == self.decided:
            return plainly
        known = {**attributes, MEMBER_OF: tuple(sorted(plainly))}
        return (plainly - self.decided | plainly & self.decided_plainly) | self.asking.matching(known)


@lru_cache(maxsize=32)
def _ready(texts: _RuleTexts) -> _Rules:
    """Make rules ready. What is kept here is named by the very texts, so it is never out of date."""
    rules: dict[GroupId, MembershipRule] = {group_id: parse_rule(text) for group_id, text in texts}
    asking = {group_id: rule for group_id, rule in rules.items() if rule.groups()}
    plain = {group_id: rule for group_id, rule in rules.items() if group_id not in asking}
    return _Rules(RuleIndex(plain), RuleIndex(asking), frozenset(rules), frozenset(plain))


def _may_belong(device: Device) -> bool:
    return device.state not in {DeviceState.LEAVING, DeviceState.RETIRED}
