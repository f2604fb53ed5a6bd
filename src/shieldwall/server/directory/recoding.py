"""Deciding anew how devices that are there are enrolled, many at once: devices that are alike are decided once.

A scope that reaches many devices is noted (``storage.policies.aims``), and each of them is decided when it takes
that up.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

from sqlalchemy import Connection

from shieldwall.contract.ids import DeviceId, TenantId
from shieldwall.policy.device_sets import places
from shieldwall.policy.enrollment import TAG, Standing, decide
from shieldwall.server.directory.attributes import described_fleet
from shieldwall.server.directory.enrollment import Deciding, deciding
from shieldwall.server.storage.device_records import DeviceState
from shieldwall.server.storage.devices import enrollments
from shieldwall.server.storage.devices.enrollments import Alike
from shieldwall.server.storage.fleets.fleets import Whose
from shieldwall.server.storage.tenants import tenants

ENROLLMENT_IN_RULES: Final = "managementType"
"""The property by which rules ask whether a device is managed."""


def decided_otherwise(
    connection: Connection, tenant_id: TenantId, among: Collection[DeviceId] | None = None
) -> dict[int, list[DeviceId]]:
    """Find the devices of a tenant, or those ``among`` them, that have another code than its scope gives, by that."""
    now = deciding(tenants.enforcement_scope(connection, tenant_id))
    tagged = tagged_by_rules(connection, tenant_id, now, among)
    wanted: defaultdict[int, list[DeviceId]] = defaultdict(list)
    for alike, together in enrollments.alike(connection, tenant_id, among):
        for (by_rule,), ids in parted(together, tagged):
            code = decide(now.scope, standing(alike, by_rule=by_rule)).code
            if code != alike.code:
                wanted[int(code)] += ids
    return dict(wanted)


def recode(connection: Connection, wanted: Mapping[int, Collection[DeviceId]]) -> frozenset[DeviceId]:
    """Give devices the codes that they shall have; return the devices."""
    for code, device_ids in wanted.items():
        enrollments.set_code(connection, device_ids, code)
    return frozenset().union(*wanted.values())


def tagged_by_rules(
    connection: Connection, tenant_id: TenantId, decided: Deciding, among: Collection[DeviceId] | None = None
) -> frozenset[DeviceId]:
    """Find the devices that dynamic tags name; nobody is looked at where a scope asks for no tag."""
    if not decided.asks_rules:
        return frozenset()
    fleet = described_fleet(connection, tenant_id, decided.rules, Whose.EXISTING, among=among)
    named = (places(fleet.columns.matching(rule)) for rule in decided.rules)
    return frozenset(fleet.ids[place] for each in named for place in each)


def parted(
    device_ids: Sequence[DeviceId], *named: Collection[DeviceId]
) -> Iterable[tuple[tuple[bool, ...], Sequence[DeviceId]]]:
    """Part devices by which of some sets they are in."""
    if not any(named):
        return [((False,) * len(named), device_ids)]
    parts: defaultdict[tuple[bool, ...], list[DeviceId]] = defaultdict(list)
    for device_id in device_ids:
        parts[tuple(device_id in each for each in named)].append(device_id)
    return parts.items()


def standing(alike: Alike, *, by_rule: bool) -> Standing:
    """Say what enrollment depends on, of devices that are alike and that dynamic tags name or not."""
    return Standing(
        os_type=alike.os_type,
        is_tagged=by_rule or TAG in alike.tags,
        manager=alike.manager,
        unsuitable=alike.unsuitable,
        is_domain_controller=alike.is_domain_controller,
        is_waiting=alike.state is DeviceState.PENDING,
    )
