"""Keeping dynamic groups true: which devices their rules name, group by group or device by device.

Assignment filters have rules too; nobody belongs to a filter, so all there is to keep is who hears of a change.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from sqlalchemy import Connection

from shieldwall.contract.ids import DeviceId, GroupId, TenantId
from shieldwall.policy.membership import Attributes, parse_rule
from shieldwall.server.directory.filter_rules import Narrowing, matching, narrowing
from shieldwall.server.storage import devices, filters, groups, targets
from shieldwall.server.storage.device_records import Device, DeviceState
from shieldwall.server.storage.fleets import DescribedDevice
from shieldwall.server.storage.records import Group, Page

_PORTION: Final = 1_000
MANAGEMENT_TYPE: Final = "MicrosoftSense"
"""``managementType`` of devices that this channel manages."""


def attributes_of(device: Device | DescribedDevice) -> Attributes:
    """Return what a membership rule may ask of a device. What it never said is absent, not empty."""
    return {
        "deviceId": device.id,
        "displayName": device.display_name,
        "deviceOSType": device.os_type,
        "deviceOSVersion": device.os_version or None,
        "deviceManufacturer": device.manufacturer or None,
        "deviceModel": device.model or None,
        "deviceTrustType": device.trust_type,
        "deviceTag": device.tags,
        "managementType": MANAGEMENT_TYPE if device.managed_elsewhere is None else None,
    }


def reevaluate_device(connection: Connection, device: Device) -> frozenset[GroupId]:
    """Let a device join and leave the dynamic groups of its tenant; return those it joined or left."""
    attributes = attributes_of(device)
    present = groups.memberships(connection, [device.id])[device.id]
    changed: set[GroupId] = set()
    for group in groups.list_dynamic(connection, device.tenant_id):
        belongs = _may_belong(device) and parse_rule(_rule(group)).matches(attributes)
        if belongs == (group.id in present):
            continue
        changed.add(group.id)
        (groups.add_members if belongs else groups.remove_members)(connection, group.id, [device.id])
    return frozenset(changed)


def reevaluate_group(connection: Connection, group: Group) -> frozenset[DeviceId]:
    """Fill a dynamic group by its rule; return the devices that joined or left."""
    rule = parse_rule(_rule(group))
    named = {
        device.id
        for device in _all_devices(connection, group.tenant_id)
        if _may_belong(device) and rule.matches(attributes_of(device))
    }
    present = groups.member_ids(connection, group.id)
    groups.add_members(connection, group.id, named - present)
    groups.remove_members(connection, group.id, present - named)
    return frozenset(named ^ present)


def narrowings_in_use(connection: Connection, tenant_id: TenantId) -> tuple[Narrowing, ...]:
    """Return the filters of a tenant that narrow an assignment, read."""
    return tuple(narrowing(kept) for kept in filters.list_used(connection, tenant_id))


def matches_otherwise(connection: Connection, before: Device, after: Device) -> bool:
    """Say whether a device that changed matches other filters than before, of those that narrow an assignment."""
    was, is_now = attributes_of(before), attributes_of(after)
    if was == is_now or not filters.any_of(connection, after.tenant_id):
        return False
    targets.lock(connection)  # else a filter could change, and look at this device as it was, at the same time
    narrowings = narrowings_in_use(connection, after.tenant_id)
    return matching(narrowings, was) != matching(narrowings, is_now)


def _may_belong(device: Device) -> bool:
    return device.state is not DeviceState.RETIRED


def _rule(group: Group) -> str:
    assert group.membership_rule is not None, "only dynamic groups are evaluated"
    return group.membership_rule


def _all_devices(connection: Connection, tenant_id: TenantId) -> Iterator[Device]:
    after: str | None = None
    while portion := devices.list_devices(connection, tenant_id, Page(size=_PORTION, after=after)):
        yield from portion
        after = portion[-1].id
