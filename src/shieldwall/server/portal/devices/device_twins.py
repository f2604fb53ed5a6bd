"""A device beside the others that may be the same machine, for every page that compares them."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from shieldwall.contract.ids import TenantId
from shieldwall.server.admin.sight import Sight
from shieldwall.server.directory.devices import get_device
from shieldwall.server.inventory import twins
from shieldwall.server.storage.device_records import Device


@dataclass(frozen=True, slots=True, kw_only=True)
class TwinRow:
    """Another device that may be the same machine, and what both share."""

    device: Device
    shares: tuple[str, ...]


def twin_rows(connection: Connection, tenant_id: TenantId, device: Device, sight: Sight) -> list[TwinRow]:
    """Show the devices that may be the same machine as this one, and what they share."""
    shared = twins.proposals(connection, tenant_id, [device]).get(device.id, {})
    seen = sight.devices_among(connection, shared)
    return [
        TwinRow(device=get_device(connection, tenant_id, twin), shares=words)
        for twin, words in shared.items()
        if twin in seen
    ]
