"""Reports of a very large tenant over HTTP: every count of a policy, and any slice of the fleet, while devices report.

The port for administrators runs as it does in a server, with TLS, in this process; a program of its own asks it over
one connection, and takes the time from its first byte to the last of the answer. Meanwhile twenty devices a second
report something else than before, so that nothing that was counted stays true. All of that on both engines; the tenant
is made by ``large_tenants``, on SQLite found again where ``SHIELDWALL_BENCHMARK_TENANT`` names a file.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import random
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import structlog
import uvloop
from granian.constants import Interfaces
from sqlalchemy import text
from tests.support.admin import AUTHORITY, AdminWorld
from tests.support.samples import TENANT_ID

from benchmarks.bars import ALL_COUNTS, ANY_SLICE
from benchmarks.engines import Measured, on_both
from benchmarks.figures import Bar, Figure
from benchmarks.portal import kept_tenant, opened_over
from benchmarks.programs import SHIELDWALL, resident_bytes, run, wait_for_port
from shieldwall.server.access.permissions import PERMISSIONS
from shieldwall.server.listening.listener import Listener
from shieldwall.server.manager.figures import FleetFigures
from shieldwall.server.manager.standing import standing_of_fleet
from shieldwall.server.processes.late_collections import spare_collections
from shieldwall.server.reporting.following import FleetReports
from shieldwall.server.reporting.held import HeldFleet

FLEET, QUICK_FLEET, PORT = 1_000_000, 20_000, 18_611
TIMES: Final = 60
REPORTS_PER_SECOND: Final = 20
_UNCOUNTED: Final = 3
_REPORTS: Final = "/beta/deviceManagement/reports/"
_ASKING: Final = """
import http.client, json, ssl, sys, time
asked = json.load(sys.stdin)
trust = ssl.create_default_context(cafile=asked["authority"])
line = http.client.HTTPSConnection("localhost", asked["port"], context=trust)
times = {name: [] for name in asked["questions"]}
for _ in range(asked["times"] + asked["uncounted"]):
    for name, (path, body) in asked["questions"].items():
        begun = time.perf_counter()
        line.request("POST", path, json.dumps(body), asked["headers"])
        answer = line.getresponse()
        found = answer.read()
        times[name].append((time.perf_counter() - begun) * 1e3)
        assert answer.status == 200, found
        assert json.loads(found)["Values"], (name, found)
        time.sleep(0.02)
json.dump({name: took[asked["uncounted"]:] for name, took in times.items()}, sys.stdout)
"""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, and the bar that its answer is held to."""

    action: str
    filter: str
    bar: Bar


def measure(home: Path, *, quick: bool = False) -> list[Figure]:
    """Measure over HTTP, and what the fleet in memory costs."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    return on_both(home, partial(_measured, quick=quick), sqlite=kept_tenant(quick=quick))


def _measured(measured: Measured, *, quick: bool) -> list[Figure]:
    fleet, engine = QUICK_FLEET if quick else FLEET, measured.engine
    with opened_over(measured.database, fleet=fleet, is_new=measured.is_new) as world:
        before = resident_bytes(os.getpid())
        held, fleets, loading = _held(measured, world)
        grown = (resident_bytes(os.getpid()) - before) / 2**20
        counted = measured.cost(partial(_in_database, world))
        questions = _questions(held)
        with _served(measured.home, _with(world, fleets)) as authority, _repeatedly(fleets.follow, 1.0):
            token = _token(_with(world, fleets))
            costs = {name: _cost(measured, authority, token, {name: each}) for name, each in questions.items()}
            with _repeatedly(_reporting(world), 1 / REPORTS_PER_SECOND):
                times = _asked(authority, token, questions, 10 if quick else TIMES)
    what = f"reports, {fleet:,} devices"
    figures = [
        Figure.of(f"{what}: {name}", took, "ms", engine=engine, bar=None if quick else questions[name].bar)
        for name, took in times.items()
    ]
    figures += [Figure(f"… CPU of the server: {name}", cost, "ms CPU", engine=engine) for name, cost in costs.items()]
    note = f"{len(held.image.stood_kinds):,} kinds of devices that report alike, {len(held.image.groups)} groups"
    return [
        *figures,
        Figure(f"{what}: memory of the fleet", fleets.size / 2**20, "MiB", engine=engine, note=note),
        Figure("… the process grew by, reading it", grown, "MiB", engine=engine),
        Figure("… read from the database", loading, "s CPU", engine=engine),
        Figure("… the same counts by the database", counted, "s CPU", engine=engine),
    ]


def _held(measured: Measured, world: AdminWorld) -> tuple[HeldFleet, FleetReports, float]:
    services = world.services
    fleets = FleetReports(services.database, services.catalog, services.clock, new_mark=services.new_id)
    fleets.current(TENANT_ID)
    took = measured.cost(fleets.follow)
    held = fleets.current(TENANT_ID)
    assert held is not None, "a fleet of this size is held"
    return held, fleets, took


def _with(world: AdminWorld, fleets: FleetReports) -> AdminWorld:
    services = replace(world.services, fleets=fleets, figures=FleetFigures(quicker=fleets))
    return replace(world, services=services)


def _in_database(world: AdminWorld) -> None:
    with world.services.database.read() as connection:
        standing_of_fleet(connection, world.services.catalog, TENANT_ID)


def _questions(held: HeldFleet) -> dict[str, Question]:
    policies = held.standing().fleet.policies
    policy = max(policies, key=lambda each: (sum(policies[each].devices.values()), len(policies[each].settings)))
    about = f"(PolicyId eq '{policy}')"
    group = min(held.image.groups, key=lambda each: abs(len(held.image.groups[each]) - 50_000))
    members = len(held.image.groups[group])
    number = len(policies[policy].settings)
    all_settings = sum(len(each.settings) for each in policies.values())
    of_group = f"(GroupId eq '{group}')"
    return {
        f"all counts of a policy, {number} settings": Question(
            "getConfigurationPolicySettingsDeviceSummaryReport", about, ALL_COUNTS
        ),
        "the fleet by all properties": Question("getFleetDevicesReport", "", ALL_COUNTS),
        f"a policy in a group of {members:,}": Question("getFleetSettingsReport", f"{about} and {of_group}", ANY_SLICE),
        "a policy on one system": Question("getFleetSettingsReport", f"{about} and (OS eq 'Linux')", ANY_SLICE),
        "a policy by a tag": Question("getFleetSettingsReport", f"{about} and (DeviceTag eq 'rare')", ANY_SLICE),
        "a group by all properties": Question("getFleetDevicesReport", of_group, ANY_SLICE),
        f"all {len(policies)} policies in a group": Question("getFleetPoliciesReport", of_group, ANY_SLICE),
        f"all {all_settings} settings in a group": Question("getFleetSettingsReport", of_group, ANY_SLICE),
    }


def _asked(authority: Path, token: str, questions: Mapping[str, Question], times: int) -> dict[str, list[float]]:
    asked = {
        "authority": str(authority),
        "port": PORT,
        "times": times,
        "uncounted": _UNCOUNTED,
        "headers": {"Host": AUTHORITY, "Authorization": f"Bearer {token}", "Content-Type": "application/json"},
        "questions": {
            name: (_REPORTS + each.action, {"filter": each.filter} if each.filter else {})
            for name, each in questions.items()
        },
    }
    done = subprocess.run(
        [sys.executable, "-c", _ASKING], input=json.dumps(asked).encode(), capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    found: dict[str, list[float]] = json.loads(done.stdout)
    return found


def _cost(measured: Measured, authority: Path, token: str, questions: Mapping[str, Question], times: int = 20) -> float:
    """Return what an answer costs this process and PostgreSQL, in milliseconds; whoever asks is another one."""
    return measured.cost(partial(_asked, authority, token, questions, times)) * 1e3 / (times + _UNCOUNTED)


def _token(world: AdminWorld) -> str:
    client = world.application_client(*PERMISSIONS)
    found: str = client.headers["Authorization"].removeprefix("Bearer ")
    client.close()
    return found


@contextmanager
def _served(home: Path, world: AdminWorld) -> Iterator[Path]:
    """Serve the administrators' port with a certificate of its own; gives the authority that made it."""
    made = home / "certificates"
    run(SHIELDWALL, "server", "init", "--data", str(made))
    listener = Listener(
        address="127.0.0.1", port=PORT, certificate=made / "tls" / "server.pem", key=made / "tls" / "server.key"
    )
    loop, stop = uvloop.new_event_loop(), asyncio.Event()  # as the server's own program has it
    collecting = gc.get_threshold()
    spare_collections()
    application = world.admin.application
    thread = threading.Thread(
        target=lambda: loop.run_until_complete(listener.serve(application, Interfaces.ASGI, stop.wait)), daemon=True
    )
    thread.start()
    wait_for_port(PORT)
    try:
        yield made / "tls" / "ca.pem"
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(30)
        gc.set_threshold(*collecting)
        gc.unfreeze()


@contextmanager
def _repeatedly(what: Callable[[], Any], seconds: float) -> Iterator[None]:
    ended = threading.Event()

    def turning() -> None:
        while not ended.wait(seconds):
            what()

    thread = threading.Thread(target=turning, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(30)


def _reporting(world: AdminWorld) -> Callable[[], None]:
    """Let one device after the other say what another one with its target said."""
    database, chance = world.services.database, random.Random(1)  # noqa: S311 - nothing secret
    with database.read() as connection:
        found = connection.execute(
            text("SELECT device_id, target_digest FROM check_ins WHERE target_digest IS NOT NULL LIMIT 5000")
        ).all()
        said: dict[str, list[str]] = {}
        for target, status in connection.execute(text("SELECT target, digest FROM status_documents")):
            said.setdefault(target, []).append(status)

    def report() -> None:
        device, target = chance.choice(found)
        with database.write() as connection:
            connection.execute(
                text("UPDATE check_ins SET status_digest = :status WHERE device_id = :device"),
                {"status": chance.choice(said[target]), "device": device},
            )

    return report
