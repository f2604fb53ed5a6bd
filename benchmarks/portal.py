"""What the pages of the admin center cost in a very large tenant: server time of each, on the embedded engine.

The tenant is made by ``large_tenants``; ``SHIELDWALL_BENCHMARK_FLEET`` says how many devices it has. Where
``SHIELDWALL_BENCHMARK_TENANT`` names a file, the tenant is kept there and found again. Every page that is asked for
with GET is asked for as somebody who may do everything: the whole way from the request to the last byte of the answer,
in this process. Its first time is left out, in which its template is read.
"""

from __future__ import annotations

import os
import re
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import structlog
from sqlalchemy import Connection, text
from tests.support.admin import AdminWorld, Client, admin_world_over, create_admin_world

from benchmarks.figures import SQLITE, Bar, Figure
from benchmarks.large_tenants import fill
from shieldwall.server.authorization import authorization_of, handlers_of
from shieldwall.server.portal.sessions import ADMINISTRATOR
from shieldwall.server.sampling import Sampling
from shieldwall.server.storage import migrate
from shieldwall.server.storage.database import Database
from shieldwall.server.system import new_id

FLEET: Final = int(os.environ.get("SHIELDWALL_BENCHMARK_FLEET", "100000"))
KEPT: Final = "SHIELDWALL_BENCHMARK_TENANT"
TIMES: Final = 3
BAR_MILLISECONDS: Final = 300
_LONG_MILLISECONDS: Final = 3_000
"""What takes so long the first time is not asked again."""
_SAMPLES: Final = {
    "device_id": "SELECT device_id FROM inventory ORDER BY name_key LIMIT 1",
    "policy_id": "SELECT id FROM policies ORDER BY id LIMIT 1",
    "group_id": "SELECT id FROM groups ORDER BY id LIMIT 1",
    "alert_id": "SELECT id FROM alerts ORDER BY id LIMIT 1",
    "event_id": "SELECT id FROM audit_events ORDER BY id LIMIT 1",
    "person_id": "SELECT id FROM people ORDER BY id LIMIT 1",
    "revision": "SELECT 1",
    "code": "SELECT 3",
}
"""What stands in a path for each of its parameters; pages with others are left out."""
_QUERIES: Final = {
    "/": ("", "?period=year"),
    "/devices": (
        "",
        "?sort=lastCheckIn&descending=true",
        "?os=Linux&health=impaired",
        "?search=server-77777",
        "?search=nobody",
        "?policyState=error&policyState=conflict",
        "?drifted=true",
        "?enrollmentCode=3",
    ),
    "/alerts": ("", "?state=all", "?severity=high"),
    "/audit": ("", "?who=Ada"),
}
"""Further questions that some pages are asked, for their filters cost more than they do."""
_ELSEWHERE: Final = ("/static/", "/sign-", "/oauth2", "/devicelogin", "/live", "/work")


@dataclass(frozen=True, slots=True)
class Cost:
    """What one page costs: milliseconds of processor and on the clock, and bytes before they are packed."""

    path: str
    status: int
    processor: float
    clock: float
    size: int


def measure(home: Path, *, quick: bool = False) -> list[Figure]:
    """Measure every page, and print what each costs."""
    fleet = 5_000 if quick else FLEET
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    with opened(Path(os.environ.get(KEPT, home / "portal.db")), fleet=fleet) as world:
        begun = time.perf_counter()
        Sampling(services=world.services).sample(world.services.tenant)
        counted = (time.perf_counter() - begun) * 1e3
        return _figures([_shown(each) for each in _costs(world)], counted, fleet)


@contextmanager
def opened(file: Path, *, fleet: int = FLEET) -> Iterator[AdminWorld]:
    """Open the server over the tenant in a file, which is made when it is missing; ``world.client()`` speaks to it."""
    is_new = not file.exists()
    database = Database.at(file)
    migrate.upgrade(database)
    with opened_over(database, fleet=fleet, is_new=is_new) as world:
        yield world
    database.close()


@contextmanager
def opened_over(database: Database, *, fleet: int, is_new: bool) -> Iterator[AdminWorld]:
    """Open the server over a database that has its tables; the tenant is made where nothing else is in it."""
    with TemporaryDirectory() as data:
        if is_new:
            fill(create_admin_world(database, Path(data) / "first"), fleet)
        world = admin_world_over(database, Path(data) / "data")
        # Ids that are counted would be those of the last time.
        yield replace(world, services=replace(world.services, new_id=new_id))


def _costs(world: AdminWorld) -> Iterator[Cost]:
    with world.services.database.read() as connection:
        values = {name: value for name, query in _SAMPLES.items() if (value := _first(connection, query)) is not None}
    with world.client() as client:
        world.sign_in(client)
        for path in sorted(_paths(world)):
            missing = set(re.findall(r"\{(\w+)\}", path)) - set(values)
            if missing:
                continue
            for query in _QUERIES.get(path, ("",)):
                yield _cost(client, path.format(**values) + query, path + query)


def _cost(client: Client, path: str, name: str) -> Cost:
    times: list[tuple[float, float]] = []
    while True:
        begun, spent = time.perf_counter(), time.process_time()
        answer = client.get(path)
        times.append(((time.process_time() - spent) * 1e3, (time.perf_counter() - begun) * 1e3))
        if len(times) > TIMES or times[0][1] > _LONG_MILLISECONDS:
            break
    processor, clock = (statistics.median(each) for each in zip(*(times[1:] or times), strict=True))
    return Cost(name, answer.status_code, processor, clock, len(answer.content))


def _paths(world: AdminWorld) -> Iterator[str]:
    for method, route, handler in handlers_of(world.framework):
        is_page = ADMINISTRATOR in authorization_of(handler.opt).permissions
        if method == "GET" and is_page and not route.path_format.startswith(_ELSEWHERE):
            yield route.path_format


def _first(connection: Connection, query: str) -> str | None:
    found = connection.execute(text(query)).scalar()
    return None if found is None else str(found)


def _shown(cost: Cost) -> Cost:
    late = "  above the bar" if cost.processor > BAR_MILLISECONDS else ""
    status = "" if cost.status == 200 else f" ({cost.status})"
    took = f"{cost.processor:8.1f} ms CPU {cost.clock:8.1f} ms on the clock"
    print(f"  {cost.path:60}{status} {took} {cost.size / 1024:7.1f} KiB{late}", flush=True)
    return cost


def _figures(costs: list[Cost], counted: float, fleet: int) -> list[Figure]:
    good = {each.path: each.processor for each in costs if each.status == 200}
    slowest = max(good, key=lambda path: good[path])
    late = [path for path, milliseconds in good.items() if milliseconds > BAR_MILLISECONDS]
    pages = list(good.values())
    what, bar = f"admin center, {fleet:,} devices", Bar(BAR_MILLISECONDS)
    above = f"above the bar: {', '.join(late)}" if late else ""
    return [
        Figure.of(f"{what}: a page, {len(pages)} pages", pages, "ms CPU", engine=SQLITE, bar=bar),
        Figure(f"… its slowest page, {slowest}", good[slowest], "ms CPU", engine=SQLITE, bar=bar, note=above),
        Figure("… its figures counted, beside the pages", counted, "ms", engine=SQLITE),
    ]
