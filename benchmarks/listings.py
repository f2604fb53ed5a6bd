"""What a page of Graph's listings of devices costs in a large fleet, filtered and ordered as programs do it.

Each question is asked many times, with other values and, where there is one, for the page after the first. The figures
are the elapsed time of a page of a hundred resources, with all that a listing shows, on both engines;
``SHIELDWALL_BENCHMARK_FLEET`` says how many devices.
"""

from __future__ import annotations

import gc
import os
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, text

from benchmarks.engines import Measured, on_both
from benchmarks.figures import Bar, Engine, Figure, percentile
from benchmarks.inventory import NOW, TENANT, fill
from shieldwall.server.access.grants import FULL
from shieldwall.server.admin.sight import Sight
from shieldwall.server.graph.directory_devices import directory_rows
from shieldwall.server.graph.fields.directory import DEVICE_FIELDS
from shieldwall.server.graph.fields.managed_devices import MANAGED_DEVICE_FIELDS
from shieldwall.server.graph.machine_shapes import device_resources
from shieldwall.server.graph.odata.fields import FieldMap
from shieldwall.server.graph.query import Query, parse_query
from shieldwall.server.storage.devices import devices
from shieldwall.server.storage.engine.database import Database

FLEET: Final = int(os.environ.get("SHIELDWALL_BENCHMARK_FLEET", "100000"))
TIMES: Final = 20
_MANAGED: Final[dict[str, tuple[str, str]]] = {
    "everything": ("", ""),
    "by name": ("", "deviceName"),
    "by name, turned round": ("", "deviceName desc"),
    "last in touch first": ("", "lastSyncDateTime desc"),
    "longest silent first": ("", "lastSyncDateTime"),
    "newest first": ("", "enrolledDateTime desc"),
    "system": ("operatingSystem eq 'Linux'", ""),
    "system and name, by name": ("operatingSystem eq 'linux' and startswith(deviceName,'edge-{n}')", "deviceName"),
    "system and name, last in touch first": (
        "operatingSystem eq 'macOS' and startswith(deviceName,'db-{n}')",
        "lastSyncDateTime desc",
    ),
    "system, last in touch first": ("operatingSystem eq 'Linux'", "lastSyncDateTime desc"),
    "agent": ("managementAgent eq 'msSense'", "deviceName"),
    "another agent": ("managementAgent eq 'mdm'", "deviceName"),
    "one by its id": ("azureADDeviceId eq '{id}'", ""),
    "one by its name": ("deviceName eq 'SERVER-{n}'", ""),
    "silent since last week": ("lastSyncDateTime lt 2026-11-16T00:00:00Z", "lastSyncDateTime"),
    "a name among three": ("deviceName in ('server-{n}','edge-{n}','db-{n}')", "lastSyncDateTime desc"),
    "contains, many": ("contains(deviceName,'7')", "deviceName"),
}
_COSTLY: Final[dict[str, tuple[str, str]]] = {
    "contains, nobody": ("contains(deviceName,'nobody{n}')", "deviceName"),
    "maker": ("manufacturer eq 'nobody{n}'", ""),
}
_DIRECTORY: Final[dict[str, tuple[str, str]]] = {
    "everything": ("", ""),
    "by name": ("", "displayName"),
    "system and name, by name": ("operatingSystem eq 'Linux' and startswith(displayName,'edge-{n}')", "displayName"),
    "last in touch first": ("", "approximateLastSignInDateTime desc"),
    "one by its device id": ("deviceId eq '{id}'", ""),
}


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of which listing. ``{n}`` and ``{id}`` stand for a number and an id that are others each time."""

    listing: str
    filter: str
    order: str

    def options(self, number: int, ids: list[str], fleet: int) -> dict[str, list[str]]:
        """Return the options of the question, asked for the so-manieth time."""
        named = self.filter.format(n=(number * 7919 + 13) % (fleet // 100), id=ids[number % len(ids)])
        given = {"$top": "100", "$filter": named, "$orderby": self.order}
        return {name: [value] for name, value in given.items() if value}


def measure(home: Path, *, quick: bool = False) -> list[Figure]:
    """Measure every question."""
    fleet = 5_000 if quick else FLEET

    def measured(each: Measured) -> list[Figure]:
        fill(each.database, fleet)
        each.settle()
        return measure_filled(each.database, each.engine, fleet)

    return on_both(home, measured)


def measure_filled(database: Database, engine: Engine, fleet: int) -> list[Figure]:
    """Measure a fleet that is there; the slowest of all pages is held against the bar, what takes a pass is not."""
    with database.read() as connection:
        ids = list(connection.scalars(text("SELECT device_id FROM inventory ORDER BY name_key LIMIT 100")))
    gc.collect()
    gc.freeze()  # a pass over all that filling left behind, 0.1 s, would fall into one answer of twenty
    print(f"Graph's listings on {engine}: a page of 100 of {fleet} devices")
    late: list[float] = []
    for listing, questions in (("managedDevices", _MANAGED), ("devices", _DIRECTORY)):
        for name, (filter_, order) in questions.items():
            times = sorted(_asked(database, Question(listing, filter_, order), ids, fleet))
            late.append(percentile(times, 0.95))
            print(f"  {listing:14} {name:38} {_figures(times)}")
    for name, (filter_, order) in _COSTLY.items():
        times = sorted(_asked(database, Question("managedDevices", filter_, order), ids, fleet, times=3))
        print(f"  {'one pass':14} {name:38} {_figures(times)}")
    for filter_ in ("", "operatingSystem eq 'Linux'"):
        times = sorted(_counted(database, filter_) for _ in range(3))
        print(f"  {'counted':14} {filter_ or 'everything':38} {_figures(times)}")
    what = f"Graph's listings, a page of 100 of {fleet:,} devices: 95th percentile of the slowest question"
    low, high = min(late) * 1e3, max(late) * 1e3
    return [Figure(what, high, "ms", low, high, engine=engine, bar=Bar(50), note="from … to: of all questions")]


def _asked(database: Database, question: Question, ids: list[str], fleet: int, times: int = TIMES) -> Iterator[float]:
    for number in range(times):
        options = question.options(number, ids, fleet)
        with _timed(database) as (connection, spent):
            query = parse_query(options)
            rows = _read(connection, question.listing, query)
        yield spent[0]
        if len(rows) > 100:
            with _timed(database) as (connection, spent):
                token = query.token_after(*rows[99], _fields(question.listing))
                following = _read(connection, question.listing, parse_query(options | {"$skiptoken": [token]}))
            assert following[0][0] != rows[99][0], "the page after the first"
            yield spent[0]


@contextmanager
def _timed(database: Database) -> Iterator[tuple[Connection, list[float]]]:
    spent: list[float] = []
    begun = time.perf_counter()
    with database.read() as connection:
        yield connection, spent
    spent.append(time.perf_counter() - begun)


def _read(connection: Connection, listing: str, query: Query) -> list[tuple[str, dict[str, Any]]]:
    if listing == "devices":
        return directory_rows(connection, TENANT, query)
    found = devices.list_devices(connection, TENANT, query.page_of(MANAGED_DEVICE_FIELDS))
    resources = device_resources(connection, found, NOW, Sight(TENANT, FULL))
    return [(str(each.id), resource) for each, resource in zip(found, resources, strict=True)]


def _fields(listing: str) -> FieldMap:
    return DEVICE_FIELDS if listing == "devices" else MANAGED_DEVICE_FIELDS


def _counted(database: Database, filter_: str) -> float:
    options = {"$count": ["true"]} | ({"$filter": [filter_]} if filter_ else {})
    with _timed(database) as (connection, spent):
        query = replace(parse_query(options), top=1)
        devices.list_devices(connection, TENANT, query.page_of(MANAGED_DEVICE_FIELDS))
    return spent[0]


def _figures(times: list[float]) -> str:
    p95 = times[min(int(len(times) * 0.95), len(times) - 1)]
    return f"p50 {statistics.median(times) * 1e3:8.1f} ms, p95 {p95 * 1e3:8.1f} ms"
