"""What the pages of the admin center cost in a very large tenant: processor time of server and database, both engines.

The tenant is made by ``large_tenants``; ``SHIELDWALL_BENCHMARK_FLEET`` says how many devices it has. Where
``SHIELDWALL_BENCHMARK_TENANT`` names a file, SQLite's is kept there and found again. Every page that is asked for
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
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import structlog
from httpx import Response
from sqlalchemy import Connection, text
from tests.support.admin import AdminWorld, Client, admin_world_over, create_admin_world

from benchmarks.engines import Measured, on_both
from benchmarks.figures import Bar, Engine, Figure
from benchmarks.large_tenants import fill
from shieldwall.server.access.authorization import authorization_of
from shieldwall.server.admin.declared_routes import handlers_of
from shieldwall.server.periodic.sampling import Sampling
from shieldwall.server.portal.sessions import ADMINISTRATOR
from shieldwall.server.storage.engine.database import Database
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
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    return on_both(home, partial(_measured, fleet=5_000 if quick else FLEET), sqlite=kept_tenant(quick=quick))


def kept_tenant(*, quick: bool) -> Path | None:
    """Return the file of SQLite's tenant, where it is kept; a quick look never is at that one."""
    return None if quick or KEPT not in os.environ else Path(os.environ[KEPT])


def _measured(measured: Measured, fleet: int) -> list[Figure]:
    with opened_over(measured.database, fleet=fleet, is_new=measured.is_new) as world:
        services = world.services
        counted = measured.cost(lambda: Sampling(services=services).sample(services.tenant)) * 1e3
        print(f"admin center on {measured.engine}: {fleet:,} devices")
        return _figures([_shown(each) for each in _costs(measured, world)], counted, fleet, measured.engine)


@contextmanager
def opened_over(database: Database, *, fleet: int, is_new: bool) -> Iterator[AdminWorld]:
    """Open the server over a database that has its tables; the tenant is made where nothing else is in it."""
    with TemporaryDirectory() as data:
        if is_new:
            fill(create_admin_world(database, Path(data) / "first"), fleet)
        world = admin_world_over(database, Path(data) / "data")
        # Ids that are counted would be those of the last time.
        yield replace(world, services=replace(world.services, new_id=new_id))


def _costs(measured: Measured, world: AdminWorld) -> Iterator[Cost]:
    with world.services.database.read() as connection:
        values = {name: value for name, query in _SAMPLES.items() if (value := _first(connection, query)) is not None}
    with world.client() as client:
        world.sign_in(client)
        for path in sorted(_paths(world)):
            missing = set(re.findall(r"\{(\w+)\}", path)) - set(values)
            if missing:
                continue
            for query in _QUERIES.get(path, ("",)):
                yield _cost(measured, client, path.format(**values) + query, path + query)


def _cost(measured: Measured, client: Client, path: str, name: str) -> Cost:
    answers: list[Response] = []
    processor: list[float] = []
    clock: list[float] = []

    def ask() -> None:
        begun = time.perf_counter()
        answers.append(client.get(path))
        clock.append((time.perf_counter() - begun) * 1e3)

    while True:
        processor.append(measured.cost(ask) * 1e3)
        if len(clock) > TIMES or clock[0] > _LONG_MILLISECONDS:
            break
    usual, usual_clock = (statistics.median(each[1:] or each) for each in (processor, clock))
    return Cost(name, answers[-1].status_code, usual, usual_clock, len(answers[-1].content))


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


def _figures(costs: list[Cost], counted: float, fleet: int, engine: Engine) -> list[Figure]:
    good = {each.path: each.processor for each in costs if each.status == 200}
    slowest = max(good, key=lambda path: good[path])
    late = [path for path, milliseconds in good.items() if milliseconds > BAR_MILLISECONDS]
    pages = list(good.values())
    what, bar = f"admin center, {fleet:,} devices", Bar(BAR_MILLISECONDS)
    above = f"above the bar: {', '.join(late)}" if late else ""
    return [
        Figure.of(f"{what}: a page, {len(pages)} pages", pages, "ms CPU", engine=engine, bar=bar),
        Figure(f"… its slowest page, {slowest}", good[slowest], "ms CPU", engine=engine, bar=bar, note=above),
        Figure("… its figures counted, beside the pages", counted, "ms CPU", engine=engine),
    ]
