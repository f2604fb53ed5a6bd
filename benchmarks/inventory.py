"""What a page of the device list costs in a large fleet, on both engines.

The fleet is spread over operating systems, versions, tags and hours; one device in a hundred is silent for weeks, one
in five hundred reports errors, one in fifty has drifted. A page is fifty devices, read with all that the list shows.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.engines import Measured, on_both
from benchmarks.figures import Bar, Engine, Figure
from shieldwall.contract.ids import DeviceId, KeyThumbprint, TenantId
from shieldwall.contract.strict_json import digest_of_bytes
from shieldwall.server.inventory import twins
from shieldwall.server.inventory.machines import Wanted, facets, filter_at, list_machines
from shieldwall.server.storage.device_records import Device, DeviceState, Registration
from shieldwall.server.storage.devices.devices import columns_of_device
from shieldwall.server.storage.engine.database import Database
from shieldwall.server.storage.inventory import inventory_rows
from shieldwall.server.storage.inventory.inventory_facets import FACETS
from shieldwall.server.storage.inventory.inventory_queries import Filter, Health, Order, Sort
from shieldwall.server.storage.records import Tenant
from shieldwall.server.storage.tables.schema import check_ins, devices
from shieldwall.server.storage.tenants import tenants

DEVICES, PAGE, PORTION, BAR_MILLISECONDS = 100_000, 50, 5_000, 50
_TIMES = 3
TENANT = TenantId("00000000-0000-4000-8000-00000000000a")
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def measure(home: Path, *, quick: bool = False) -> list[Figure]:
    """Measure pages of the list in every order, and by every filter."""
    return on_both(home, partial(_measured, fleet=5_000 if quick else DEVICES))


def _measured(measured: Measured, fleet: int) -> list[Figure]:
    fill(measured.database, fleet)
    twins.clear_suspects(
        measured.database, TENANT
    )  # as a server does every five minutes (``server/periodic/sampling.py``)
    measured.settle()
    everybody = filter_at(NOW)
    plain = _pages(measured, everybody, Order())
    print(
        f"device list on {measured.engine}: a page of {PAGE} of {fleet:,} devices; ms CPU, by name and by last check-in"
    )
    orders, filters = {}, {}
    for order in (Order(by=each, descending=turned) for each in Sort for turned in (False, True)):
        named = order.by.value + (", turned round" if order.descending else "")
        orders[f"by {named}"] = cost = _pages(measured, everybody, order)
        print(f"  by {named:32} {cost * 1e3:8.2f}")
    for name, asked in _filters(everybody).items():
        filters[f"{name}, by name"] = cost = _pages(measured, asked, Order())
        late = _pages(measured, asked, Order(by=Sort.LAST_CHECK_IN, descending=True))
        filters[f"{name}, by last check-in"] = late
        print(f"  {name:35} {cost * 1e3:8.2f} {late * 1e3:8.2f}")
    with measured.database.read() as connection:
        cost = measured.median_cost(_TIMES, lambda: facets(connection, TENANT, everybody, FACETS))
    engine = measured.engine
    return [
        _figure(f"device list: a page of {PAGE} of {fleet:,} devices, by name", plain, engine),
        _dearest("order", orders, engine),
        _dearest("filter", filters, engine),
        Figure("device list: all facets counted, apart from a page", cost * 1e3, "ms CPU", engine=engine),
    ]


def _dearest(kind: str, costs: Mapping[str, float], engine: Engine) -> Figure:
    name = max(costs, key=lambda each: costs[each])
    return _figure(f"device list: the dearest {kind}, {name}", costs[name], engine)


def _figure(what: str, seconds: float, engine: Engine) -> Figure:
    return Figure(what, seconds * 1e3, "ms CPU", engine=engine, bar=Bar(BAR_MILLISECONDS))


def fill(database: Database, fleet: int) -> None:
    """Make the fleet."""
    chance = random.Random(3)  # noqa: S311 - made-up fleets, nothing secret
    with database.write() as connection:
        tenants.add(connection, Tenant(id=TENANT, display_name="Bench", domain="bench.example", created_at=NOW))
    for start in range(0, fleet, PORTION):
        made = [_device(chance, number) for number in range(start, min(fleet, start + PORTION))]
        with database.write() as connection:
            connection.execute(devices.insert(), [columns_of_device(each) for each in made])
            inventory_rows.add(connection, made, lambda _: _reported(chance))
            connection.execute(check_ins.insert(), [_check_in(chance, each) for each in made])


def _filters(everybody: Filter) -> dict[str, Filter]:
    return {
        "search: one of them": replace(everybody, search="server-77777"),
        "search: nobody": replace(everybody, search="no such device"),
        "search: every second": replace(everybody, search="debian"),
        "health: impaired": replace(everybody, health=frozenset({Health.IMPAIRED})),
        "health: inactive": replace(everybody, health=frozenset({Health.INACTIVE})),
        "health: active": replace(everybody, health=frozenset({Health.ACTIVE})),
        "state: pending": replace(everybody, states=frozenset({DeviceState.PENDING})),
        "tag: a rare one": replace(everybody, tags=("rare",)),
        "os: macOS": replace(everybody, os_types=frozenset({"macOS"})),
        "drifted": replace(everybody, is_drifted=True),
        "duplicates": replace(everybody, is_duplicate=True),
        "seen before last week": replace(everybody, seen_before=NOW - timedelta(days=7)),
        "managed by somebody else": replace(everybody, managed_by="Intune"),
    }


def _device(chance: random.Random, number: int) -> Device:
    os_type, versions = chance.choice(
        (
            ("Linux", ("Debian 12", "Debian 13", "Ubuntu 24.04", "RHEL 9.4")),
            ("Windows Server", ("2019", "2022", "2025")),
            ("macOS", ("14.6", "15.1")),
        )
    )
    elsewhere = "Intune" if chance.random() < 0.01 else None
    state = DeviceState.ACTIVE
    if chance.random() < 0.03:
        state = chance.choice(list(DeviceState))
    return Device(
        id=DeviceId(f"{chance.getrandbits(32):08x}-0000-4000-8000-{number:012x}"),
        object_id=f"dddddddd-0000-4000-8000-{number:012x}",
        tenant_id=TENANT,
        display_name=f"{chance.choice(('server', 'edge', 'db'))}-{number}",
        registration=Registration.SYNTHETIC,
        trust_type=None,
        state=state,
        os_type=os_type,
        os_version=chance.choice(versions),
        architecture="x86_64",
        manufacturer="Fabrikam",
        model=f"Model {number % 20}",
        agent_version=chance.choice(("0.9.0", "0.10.0", "0.10.1")),
        catalog_version="2026.11.2",
        providers={"clamav": "1.4"},
        managed_elsewhere=elsewhere,
        enrollment_code=3 if elsewhere else 1,
        tags=("MDE-Management", "rare") if number % 1000 == 7 else ("MDE-Management",),
        key_thumbprint=KeyThumbprint(f"{number:043d}"),
        public_key=bytes(65),
        certificate="-" * 1_000,
        request_digest=digest_of_bytes(b"%d" % number),
        instance_id=f"{number:032d}",
        machine_id_hash=digest_of_bytes(b"m%d" % (number - (number % 500 == 1))),
        smbios_uuid_hash=digest_of_bytes(b"s%d" % number),
        package_id=None,
        registered_at=NOW - timedelta(days=60),
        retired_at=NOW if state is DeviceState.RETIRED else None,
    )


def _reported(chance: random.Random) -> dict[str, Any]:
    trouble, drifted = chance.random() < 0.002, int(chance.random() < 0.02) * chance.randint(1, 5)
    return {"report_trouble": trouble, "repaired": 0, "drifted": drifted, "exposure": drifted, "impaired": trouble}


def _check_in(chance: random.Random, device: Device) -> dict[str, Any]:
    silent = chance.random() < 0.01
    ago = timedelta(days=chance.randint(8, 50)) if silent else timedelta(seconds=chance.randint(0, 6_000))
    seen = None if chance.random() < 0.005 else NOW - ago
    return {"device_id": device.id, "tenant_id": TENANT, "epoch": 1, "seq": 1, "last_check_in": seen}


def _pages(measured: Measured, asked: Filter, order: Order) -> float:
    """Read the first page and, where there is one, the page after it; return what one costs."""
    pages = 0

    def read() -> None:
        nonlocal pages
        pages = 1
        with measured.database.read() as connection:
            first = list_machines(connection, TENANT, Wanted(filter=asked, order=order, size=PAGE))
            if len(first) == PAGE:
                pages = 2
                after = first[-1].cursor
                list_machines(connection, TENANT, Wanted(filter=asked, order=order, cursor=after, size=PAGE))

    return measured.median_cost(_TIMES, read) / pages
