"""Made-up fleets, written straight into the tables: a hundred thousand devices are there in seconds."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import Connection

from shieldwall.contract.ids import DeviceId, TenantId
from shieldwall.server.storage.devices import devices as stored_devices
from shieldwall.server.storage.inventory import inventory_rows
from shieldwall.server.storage.records import Tenant
from shieldwall.server.storage.tables.schema import check_ins, devices
from shieldwall.server.storage.tenants import tenants

TENANT: Final = TenantId("00000000-0000-4000-8000-00000000000a")


def add_tenant(connection: Connection) -> None:
    """Add the tenant whose fleet it is."""
    tenants.add(connection, Tenant(id=TENANT, display_name="Bench", domain="bench.example", created_at=moment()))


def add_devices(connection: Connection, numbers: Iterable[int], *, catalog_version: str) -> None:
    """Add active devices, as if they had been there for long."""
    listed = list(numbers)
    connection.execute(devices.insert(), [_device(number, catalog_version) for number in listed])
    added = stored_devices.find_many(connection, [DeviceId(device_id(number)) for number in listed])
    inventory_rows.add(connection, added)
    connection.execute(check_ins.insert(), [_check_in(number) for number in listed])


def median_cost(times: int, work: Callable[[], object]) -> float:
    """Return the processor time of a piece of work in seconds, the median of so many times."""
    costs = []
    for _ in range(times):
        before = time.process_time()
        work()
        costs.append(time.process_time() - before)
    return statistics.median(costs)


def moment() -> datetime:
    """Return when everything here began."""
    return datetime(2026, 11, 23, 12, tzinfo=UTC)


def device_id(number: int) -> str:
    """Return the id of a device by its number."""
    return f"aaaaaaaa-0000-4000-8000-{number:012x}"


def group_id(number: int) -> str:
    """Return the id of a group by its number."""
    return f"cccccccc-0000-4000-8000-{number:012x}"


def _device(number: int, catalog_version: str) -> dict[str, object]:
    return {
        "id": device_id(number),
        "object_id": f"dddddddd-0000-4000-8000-{number:012x}",
        "tenant_id": TENANT,
        "display_name": f"server-{number}",
        "registration": "synthetic",
        "trust_type": None,
        "state": "active",
        "os_type": "Linux",
        "os_version": "Debian 12",
        "architecture": "x86_64",
        "manufacturer": "",
        "model": "",
        "agent_version": "0.1.0",
        "catalog_version": catalog_version,
        "providers": "{}",
        "managed_elsewhere": None,
        "tags": "[]",
        "key_thumbprint": f"{number:043d}",
        "public_key": b"",
        "certificate": "",
        "request_digest": f"{number:064d}",
        "instance_id": f"{number:032d}",
        "machine_id_hash": None,
        "smbios_uuid_hash": None,
        "package_id": None,
        "registered_at": moment(),
        "retired_at": None,
    }


def _check_in(number: int) -> dict[str, object]:
    return {"device_id": device_id(number), "tenant_id": TENANT, "epoch": 0, "seq": 0}
