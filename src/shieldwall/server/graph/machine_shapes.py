"""Devices as the inventory sees them: a managedDevice, with health, enrollment and possible duplicates beside it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import Connection

from shieldwall.contract.ids import TenantId
from shieldwall.server.admin.sight import Sight
from shieldwall.server.directory.scope_tags import tags_of_devices
from shieldwall.server.graph.managed_device_shapes import managed_device_resource
from shieldwall.server.graph.resources import Json, moment
from shieldwall.server.inventory.machines import Machine, describe_read, filter_at, onboarding_status
from shieldwall.server.inventory.twins import proposals
from shieldwall.server.manager.summaries import summaries
from shieldwall.server.storage.device_records import Device


def machine_resources(
    connection: Connection, tenant_id: TenantId, machines: Sequence[Machine], sight: Sight
) -> list[Json]:
    """Shape devices for a list, in the order given; of their duplicates those that the caller sees."""
    standing = summaries(connection, [each.device for each in machines])
    twins = proposals(connection, tenant_id, [each.device for each in machines])
    seen = sight.devices_among(connection, {other for others in twins.values() for other in others})
    tags = tags_of_devices(connection, tenant_id, [each.device.id for each in machines])
    shaped = []
    for each in machines:
        resource = managed_device_resource(each.device, standing[each.device.id])
        shared = {other: words for other, words in twins.get(each.device.id, {}).items() if other in seen}
        resource["roleScopeTagIds"] = list(tags[each.device.id])
        resource["shieldwall"] |= inventory_members(each, [{"id": twin, "shares": shared[twin]} for twin in shared])
        shaped.append(resource)
    return shaped


def device_resources(connection: Connection, devices: Sequence[Device], now: datetime, sight: Sight) -> list[Json]:
    """Shape devices of one tenant, in the order given."""
    if not devices:
        return []
    described = describe_read(connection, devices, filter_at(now).inactive_before)
    return machine_resources(connection, devices[0].tenant_id, [described[each.id] for each in devices], sight)


def inventory_members(machine: Machine, duplicates: Collection[Json]) -> Json:
    """Return what the inventory adds to a device."""
    device = machine.device
    return {
        "health": machine.health.value,
        "onboardingStatus": onboarding_status(device),
        "stateReason": device.state_reason,
        "attestationLevel": device.attestation_level.value,
        "keyProtection": device.key_protection,
        "lastSeenDateTime": moment(machine.standing.last_check_in),
        "repairedSettings": machine.standing.repaired,
        "driftedSettings": machine.standing.drifted,
        "packageId": device.package_id,
        "replaces": device.replaces,
        "duplicates": list(duplicates),
    }
