"""The enforcement scope of a tenant: which devices may be managed, and what another scope would take and release.

A device that is released shall enforce nothing any more, and so goes back to its state from before management; one that
is taken gets the policies assigned to it. Both hear of it at once, or in a large fleet one after the other.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from heapq import nsmallest
from itertools import chain
from operator import itemgetter
from typing import Final

from sqlalchemy import Connection

from shieldwall.contract.ids import DeviceId, TenantId
from shieldwall.contract.messages import MANAGED_CODE
from shieldwall.policy.enrollment import (
    EnforcementScope,
    Enrollment,
    InvalidScopeError,
    Reason,
    check,
    decide,
)
from shieldwall.server.directory.acting import Acting
from shieldwall.server.directory.enrollment import deciding
from shieldwall.server.directory.membership import reevaluate_asking
from shieldwall.server.directory.names import is_name
from shieldwall.server.directory.recoding import ENROLLMENT_IN_RULES, parted, recode, standing, tagged_by_rules
from shieldwall.server.storage.check_ins import targets
from shieldwall.server.storage.device_records import SPEAKING
from shieldwall.server.storage.devices import enrollments
from shieldwall.server.storage.devices.enrollments import Alike
from shieldwall.server.storage.fleets import fleets
from shieldwall.server.storage.policies import aims
from shieldwall.server.storage.policies.aims import SCOPE, ChangeKind
from shieldwall.server.storage.tenants import tenants

MOST_SAMPLES: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """Devices of one platform that are taken or released for one reason."""

    os_type: str
    reason: Reason
    """Of a device that is released, why; of one that is taken, why it was not managed before."""
    count: int
    samples: tuple[tuple[DeviceId, str], ...]
    """Some of them, with their names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopeEffect:
    """What a scope does to the devices of a tenant."""

    taken: tuple[Moved, ...]
    released: tuple[Moved, ...]
    managed_before: int
    managed_after: int
    systems: tuple[tuple[str, int, int], ...] = ()
    """Of each operating system, how many are managed before and after."""

    @property
    def taken_count(self) -> int:
        """How many devices will be managed that were not."""
        return sum(each.count for each in self.taken)

    @property
    def released_count(self) -> int:
        """How many devices will be managed no more."""
        return sum(each.count for each in self.released)


def get_scope(connection: Connection, tenant_id: TenantId) -> EnforcementScope:
    """Return the scope of a tenant. Raises: NotFoundError."""
    return tenants.enforcement_scope(connection, tenant_id)


def preview_scope(connection: Connection, tenant_id: TenantId, scope: EnforcementScope) -> ScopeEffect:
    """Say what a scope would do, and change nothing.

    Raises:
        NotFoundError: There is no such tenant.
        InvalidScopeError: The scope contradicts itself.
        InvalidRuleError: A rule of a dynamic tag cannot be read.
    """
    return _effect(connection, _decided(connection, tenant_id, _checked(scope)))


@dataclass(frozen=True, slots=True)
class MovedDevice:
    """One device that is taken or released; ``reason`` as in ``Moved``."""

    id: DeviceId
    display_name: str
    os_type: str
    is_taken: bool
    reason: Reason


def list_moved(connection: Connection, tenant_id: TenantId, scope: EnforcementScope) -> tuple[MovedDevice, ...]:
    """Name every device that a scope would take or release, by ids, and change nothing.

    Raises: as ``preview_scope``.
    """
    moved = [each for each in _decided(connection, tenant_id, _checked(scope)) if each.is_managed != each.was_managed]
    reasons = {device_id: each for each in moved for device_id in each.ids}
    names = fleets.names(connection, reasons)
    return tuple(
        MovedDevice(
            device_id,
            names.get(device_id, ""),
            each.alike.os_type,
            each.is_managed,
            (each.before if each.is_managed else each.after).reason,
        )
        for device_id, each in sorted(reasons.items(), key=itemgetter(0))
    )


def change_scope(
    connection: Connection, acting: Acting, changed: Callable[[EnforcementScope], EnforcementScope]
) -> tuple[EnforcementScope, ScopeEffect]:
    """Make another scope of the present one; who changes something else at the same time is not undone.

    Raises: as ``save_scope``, and what ``changed`` raises.
    """
    targets.lock(connection)
    scope = changed(tenants.enforcement_scope(connection, acting.tenant_id))
    return scope, save_scope(connection, acting, scope)


def save_scope(connection: Connection, acting: Acting, scope: EnforcementScope) -> ScopeEffect:
    """Make this the scope of the tenant: every device is decided anew, and those that moved get another target.

    Where these are many, each takes that up when it checks in next or when the server comes to it, whichever is sooner.

    Raises: as ``preview_scope``.
    """
    targets.lock(connection)  # from here on no device is enrolled by the scope from before
    before = tenants.enforcement_scope(connection, acting.tenant_id)
    decided = _decided(connection, acting.tenant_id, _checked(scope))
    effect = _effect(connection, decided)
    if scope != before:
        tenants.put_enforcement_scope(connection, acting.tenant_id, scope)
        acting.record(
            connection,
            "enforcementScope.changed",
            "tenant",
            acting.tenant_id,
            before=before,
            after=scope,
            taken=effect.taken_count,
            released=effect.released_count,
        )
    _carry_out(connection, acting, decided)
    return effect


@dataclass(frozen=True, slots=True)
class _Decided:
    """Devices that are alike, and what a scope makes of them; ``before`` is what the present one does."""

    alike: Alike
    ids: Sequence[DeviceId]
    before: Enrollment
    after: Enrollment
    former: int
    """The code they had, or shall have by now where they have not taken up the present scope yet."""

    @property
    def was_managed(self) -> bool:
        return self.former == MANAGED_CODE and self.alike.state in SPEAKING

    @property
    def is_managed(self) -> bool:
        return self.after.is_managed and self.alike.state in SPEAKING


def _checked(scope: EnforcementScope) -> EnforcementScope:
    if not all(is_name(each.display_name) for each in scope.dynamic_tags):
        raise InvalidScopeError("A dynamic tag has a name of 1 to 256 plain characters.")
    return check(scope)


def _decided(connection: Connection, tenant_id: TenantId, scope: EnforcementScope) -> list[_Decided]:
    """Decide every device. Devices that are alike are decided once."""
    now, then = deciding(tenants.enforcement_scope(connection, tenant_id)), deciding(scope)
    was_tagged, will_be_tagged = (tagged_by_rules(connection, tenant_id, each) for each in (now, then))
    is_open = aims.is_scope_open(connection, tenant_id)
    return [
        _Decided(
            alike,
            ids,
            before := decide(now.scope, standing(alike, by_rule=was)),
            decide(then.scope, standing(alike, by_rule=will_be)),
            before.code if is_open else alike.code,
        )
        for alike, together in enrollments.alike(connection, tenant_id)
        for (was, will_be), ids in parted(together, was_tagged, will_be_tagged)
    ]


def _effect(connection: Connection, decided: Iterable[_Decided]) -> ScopeEffect:
    taken: dict[tuple[str, Reason], list[_Decided]] = defaultdict(list)
    released: dict[tuple[str, Reason], list[_Decided]] = defaultdict(list)
    systems: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for each in decided:
        systems[each.alike.os_type][0] += each.was_managed * len(each.ids)
        systems[each.alike.os_type][1] += each.is_managed * len(each.ids)
        if each.is_managed and not each.was_managed:
            taken[each.alike.os_type, each.before.reason].append(each)
        elif each.was_managed and not each.is_managed:
            released[each.alike.os_type, each.after.reason].append(each)
    return ScopeEffect(
        taken=tuple(_moved(connection, taken)),
        released=tuple(_moved(connection, released)),
        managed_before=sum(before for before, _ in systems.values()),
        managed_after=sum(after for _, after in systems.values()),
        systems=tuple((os_type, before, after) for os_type, (before, after) in sorted(systems.items())),
    )


def _moved(connection: Connection, groups: Mapping[tuple[str, Reason], list[_Decided]]) -> Iterator[Moved]:
    for (os_type, reason), moved in sorted(groups.items()):
        first = nsmallest(MOST_SAMPLES, chain.from_iterable(each.ids for each in moved))
        names = fleets.names(connection, first)
        yield Moved(
            os_type=os_type,
            reason=reason,
            count=sum(len(each.ids) for each in moved),
            samples=tuple((device_id, names.get(device_id, "")) for device_id in first),
        )


def _carry_out(connection: Connection, acting: Acting, decided: Iterable[_Decided]) -> None:
    """Give all devices their code, let those that moved change groups, and aim policies at them anew.

    One that stays unmanaged for another reason gets a target that says so. Where they are many, that is noted, and each
    does so when it comes, or when the server comes to it (``catching_up``).
    """
    recoded: defaultdict[int, list[DeviceId]] = defaultdict(list)
    moved = False
    for each in decided:
        if each.alike.code != each.after.code:
            recoded[int(each.after.code)] += each.ids
            if MANAGED_CODE in {each.alike.code, each.after.code}:
                moved = True
    if sum(map(len, recoded.values())) > acting.most_at_once:
        if moved:
            reevaluate_asking(connection, replace(acting, most_at_once=0), ENROLLMENT_IN_RULES)
        now, kind = acting.clock.now(), ChangeKind.DEVICES
        aims.raise_version(connection, acting.tenant_id, kind, SCOPE, at=now, actor=acting.actor)
    elif recoded:
        changed = recode(connection, recoded)
        joined = reevaluate_asking(connection, acting, ENROLLMENT_IN_RULES) if moved else frozenset[DeviceId]()
        acting.tell(connection, joined | changed)
