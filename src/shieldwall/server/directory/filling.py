"""Letting devices join and leave groups, with the history of it; of dynamic groups as their rules say."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import NamedTuple

from sqlalchemy import Connection

from shieldwall.contract.ids import DeviceId, GroupId
from shieldwall.policy.device_sets import places
from shieldwall.policy.membership import MembershipRule, parse_rule
from shieldwall.server.directory.acting import Acting
from shieldwall.server.directory.attributes import described_fleet
from shieldwall.server.storage.fleets.fleets import Whose
from shieldwall.server.storage.groups import group_members, membership_events
from shieldwall.server.storage.groups.membership_events import Change
from shieldwall.server.storage.records import Group, MembershipCause, ProcessingState


class Why(NamedTuple):
    """Why a device joins or leaves a group, and who did what led to it."""

    cause: MembershipCause
    actor: str


def move(
    connection: Connection,
    acting: Acting,
    group_id: GroupId,
    device_ids: Collection[DeviceId],
    *,
    joined: bool,
    why: Why,
) -> None:
    """Let devices join or leave a group, and write it into the history."""
    if not device_ids:
        return
    (group_members.add_members if joined else group_members.remove_members)(connection, group_id, device_ids)
    change = Change(
        id=acting.new_id(),
        tenant_id=acting.tenant_id,
        group_id=group_id,
        at=acting.clock.now(),
        joined=joined,
        cause=why.cause,
        actor=why.actor,
    )
    membership_events.add(connection, change, device_ids)


def fill_among(
    connection: Connection,
    acting: Acting,
    filled: Iterable[Group],
    among: Collection[DeviceId],
    why: Callable[[GroupId], Why],
) -> frozenset[DeviceId]:
    """Let some devices join and leave these groups by their rules; return those that joined or left one.

    None of the groups may ask for the members of another one of them. One without a rule, or paused, stays as it is.
    """
    rules = {group.id: parse_rule(rule) for group in filled if decides(group) and (rule := group.membership_rule)}
    if not rules or not among:
        return frozenset()
    named = _named(connection, acting, rules, among)
    present: defaultdict[GroupId, set[DeviceId]] = defaultdict(set)
    for device_id, belongs in group_members.memberships(connection, among).items():
        for group_id in belongs:
            present[group_id].add(device_id)
    moved: set[DeviceId] = set()
    for group_id in sorted(rules):
        wanted, has = named[group_id], present[group_id]
        move(connection, acting, group_id, wanted - has, joined=True, why=why(group_id))
        move(connection, acting, group_id, has - wanted, joined=False, why=why(group_id))
        moved |= wanted ^ has
    return frozenset(moved)


def decides(group: Group) -> bool:
    """Say whether the rule of a group decides who belongs to it: there is one, and it is not paused."""
    return group.membership_rule is not None and group.processing_state is ProcessingState.ON


def _named(
    connection: Connection, acting: Acting, rules: Mapping[GroupId, MembershipRule], among: Collection[DeviceId]
) -> dict[GroupId, frozenset[DeviceId]]:
    fleet = described_fleet(connection, acting.tenant_id, tuple(rules.values()), Whose.STAYING, among=among)
    return {
        group_id: frozenset(fleet.ids[place] for place in places(fleet.columns.matching(rule)))
        for group_id, rule in rules.items()
    }
