"""Devices that are behind take up what changed, in their next check-in or when the server comes to them.

Whichever way, the same is done for a handful of devices in one transaction: the scope decides them anew where it is
another, they join and leave the dynamic groups whose rules changed, policies are aimed at them anew, and their rows say
as of which change that is right. What they get is what they would have got, had the change itself gone through all.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final, TypeAlias

from sqlalchemy import Connection

from shieldwall.contract.ids import DeviceId, GroupId, TenantId
from shieldwall.policy.membership import MEMBER_OF, parse_rule
from shieldwall.server.directory.acting import Acting
from shieldwall.server.directory.filling import Why, fill_among
from shieldwall.server.directory.membership import why_moved
from shieldwall.server.directory.recoding import ENROLLMENT_IN_RULES, decided_otherwise, recode
from shieldwall.server.manager.targeting import retarget
from shieldwall.server.storage.check_ins import targets
from shieldwall.server.storage.devices import enrollments
from shieldwall.server.storage.groups import groups
from shieldwall.server.storage.policies import aims
from shieldwall.server.storage.policies.aims import AimsChange, ChangeKind
from shieldwall.server.storage.records import Group, MembershipCause

CATCHING_UP: Final = "server"
"""Who moves a device between groups where it is not known any more whose change that was."""


Unmoved: TypeAlias = Callable[[Connection, TenantId, Collection[DeviceId]], frozenset[DeviceId]]
"""Says which devices of a tenant have the target that they shall have, as far as it knows; see ``server.targeting``."""


def not_known(_connection: Connection, _tenant_id: TenantId, _device_ids: Collection[DeviceId]) -> frozenset[DeviceId]:
    """Know of no device."""
    return frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class CaughtUp:
    """What came of it: who is up to date now, whose target is another, and who could not be held at the moment."""

    reached: frozenset[DeviceId] = frozenset()
    aimed_anew: frozenset[DeviceId] = frozenset()
    left: frozenset[DeviceId] = frozenset()


def catch_up_all(
    connection: Connection,
    acting_for: Callable[[TenantId], Acting],
    device_ids: Collection[DeviceId],
    unmoved: Unmoved = not_known,
) -> CaughtUp:
    """Bring those of these devices up to date that are behind, of whatever tenants they are."""
    targets.lock(connection)
    caught = [
        catch_up(connection, acting_for(tenant_id), ids, unmoved)
        for tenant_id, ids in sorted(aims.behind(connection, device_ids).items())
    ]
    return CaughtUp(
        reached=frozenset().union(*(each.reached for each in caught)),
        aimed_anew=frozenset().union(*(each.aimed_anew for each in caught)),
        left=frozenset().union(*(each.left for each in caught)),
    )


def catch_up(
    connection: Connection, acting: Acting, device_ids: Collection[DeviceId], unmoved: Unmoved = not_known
) -> CaughtUp:
    """Bring those of a tenant's devices up to date that are behind.

    The transaction holds ``targets.lock`` before any row, like all that aim policies: nothing changes meanwhile.
    """
    targets.lock(connection)
    newest = aims.version(connection, acting.tenant_id)
    reached_by = aims.hold_behind(connection, acting.tenant_id, device_ids, newest)
    since = min(reached_by.values(), default=newest)
    changes = aims.changes_since(connection, acting.tenant_id, since)
    is_whole = len(changes) == newest - since
    held, wanted = frozenset(reached_by), dict[int, list[DeviceId]]()
    if held and (not is_whole or any(each.is_of_scope for each in changes)):
        held = enrollments.hold(connection, held)
        wanted = decided_otherwise(connection, acting.tenant_id, held)
    left = frozenset[DeviceId]()
    if len(held) < len(device_ids):
        left = frozenset(aims.behind(connection, device_ids).get(acting.tenant_id, {})) - held
    if not held:
        return CaughtUp(left=left)
    same = unmoved(connection, acting.tenant_id, held.difference(*wanted.values()))
    recode(connection, wanted)
    _move(connection, acting, held, changes, is_whole=is_whole)
    aimed_anew = retarget(connection, held - same, acting.clock.now())
    aims.set_reached(connection, held, newest)
    return CaughtUp(reached=held, aimed_anew=aimed_anew, left=left)


def decide_anew(connection: Connection, acting: Acting, device_ids: Collection[DeviceId]) -> frozenset[DeviceId]:
    """Bring devices to the scope of their tenant that are not behind and yet have another code than it gives them.

    A program that does not know that there is something to decide took up for them what it knew. Returns those whose
    target is another.
    """
    targets.lock(connection)
    held = enrollments.hold(connection, device_ids)
    recoded = recode(connection, decided_otherwise(connection, acting.tenant_id, held))
    _move(connection, acting, recoded, (), is_whole=False)
    return retarget(connection, recoded, acting.clock.now())


def _move(
    connection: Connection,
    acting: Acting,
    device_ids: Collection[DeviceId],
    changes: Collection[AimsChange],
    *,
    is_whole: bool,
) -> None:
    """Let devices take up changes of rules: first of those that ask for no groups, then of those that ask for them."""
    changed = frozenset(GroupId(each.object_id) for each in changes if each.kind is ChangeKind.GROUP and each.object_id)
    if any(each.is_of_scope for each in changes):
        asking_who = groups.list_with_rule_like(connection, acting.tenant_id, ENROLLMENT_IN_RULES)
        changed |= {each.id for each in asking_who}
    if is_whole and not changed:
        return
    plain, asking = _concerned(connection, acting.tenant_id, changed if is_whole else None)
    why = why_moved(changes, Why(MembershipCause.DEVICE_CHANGED, acting.actor))
    fill_among(connection, acting, plain, device_ids, why)
    fill_among(connection, acting, asking, device_ids, why)


def _concerned(
    connection: Connection, tenant_id: TenantId, changed: frozenset[GroupId] | None
) -> tuple[list[Group], list[Group]]:
    """Return the groups whose rules are to be asked: those that changed, and those that ask for their members.

    Where it is not known any more what changed, that is all.
    """
    asking = groups.list_with_rule_like(connection, tenant_id, "" if changed is None else MEMBER_OF)
    found = {group.id: group for group in (*groups.find_many(connection, changed or ()), *asking)}
    plain: list[Group] = []
    asks: list[Group] = []
    for group in found.values():
        if group.membership_rule is None:
            continue
        named = parse_rule(group.membership_rule).groups()
        if changed is None or group.id in changed or named & changed:
            (asks if named else plain).append(group)
    return plain, asks
