"""What one decision about a whole fleet costs: another enforcement scope, a policy for all devices.

The scope turns a platform off and on again, so every device gets another enrollment code, another line in the device
list and another target. The devices are those of the device list's benchmark.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from sqlalchemy import Connection

from benchmarks.check_in import SystemClock
from benchmarks.figures import SQLITE, Bar, Engine, Figure
from benchmarks.inventory import TENANT, fill
from benchmarks.preview import antivirus_draft
from shieldwall.catalog.loader import load
from shieldwall.policy.enrollment import Coverage, EnforcementScope
from shieldwall.server.directory.acting import Acting
from shieldwall.server.manager.assignments import Assigned, assign
from shieldwall.server.manager.enforcement_scope import save_scope
from shieldwall.server.manager.policies import Policies
from shieldwall.server.manager.targeting import Retargeting
from shieldwall.server.signer.in_process import InProcessSigner
from shieldwall.server.storage import migrate
from shieldwall.server.storage.database import Database
from shieldwall.server.storage.records import AssignmentKind
from shieldwall.server.system import new_id

DEVICES: Final = 100_000
_NOBODY: Final = EnforcementScope(
    windows=Coverage.OFF, windows_server=Coverage.OFF, linux=Coverage.OFF, mac_os=Coverage.OFF
)


def measure(home: Path, *, quick: bool = False) -> list[Figure]:
    """Measure on the embedded engine."""
    database = Database(f"sqlite:///{home / 'fleet.db'}")
    figures = measure_changes(database, home, fleet=5_000 if quick else DEVICES)
    database.close()
    return figures


def measure_changes(database: Database, home: Path, *, fleet: int, engine: Engine = SQLITE) -> list[Figure]:
    """Make a fleet, decide about it, and return what the clock said, with what this process worked."""
    migrate.upgrade(database)
    fill(database, fleet)
    catalog, clock = load(), SystemClock()
    acting = Acting(
        tenant_id=TENANT, actor="bench", clock=clock, new_id=new_id, on_devices_changed=Retargeting(clock=clock)
    )
    draft = antivirus_draft(catalog, random.Random(4), 0)  # noqa: S311 - a made-up policy, nothing secret
    with database.write() as connection:
        authoring = Policies(catalog=catalog, signer=InProcessSigner.create(home, TENANT, clock))
        policy = authoring.create(connection, acting, draft)
    everybody = [Assigned(kind=AssignmentKind.ALL_DEVICES)]
    decisions: tuple[tuple[str, Callable[[Connection], object]], ...] = (
        ("policy for all  ", lambda connection: assign(connection, acting, policy.id, everybody)),
        ("policy for none ", lambda connection: assign(connection, acting, policy.id, [])),
        ("policy again    ", lambda connection: assign(connection, acting, policy.id, everybody)),
        ("scope: nobody   ", lambda connection: save_scope(connection, acting, _NOBODY)),
        ("scope: everybody", lambda connection: save_scope(connection, acting, EnforcementScope())),
    )
    figures = []
    for name, decide in decisions:
        before, before_work = time.perf_counter(), time.process_time()
        with database.write() as connection:
            decide(connection)
        taken, worked = time.perf_counter() - before, time.process_time() - before_work
        what = f"{name.strip()}, {fleet:,} devices"
        figures.append(Figure(what, taken, "s", engine=engine, bar=Bar(5), note=f"{worked:.2f} s CPU of the server"))
    return figures
