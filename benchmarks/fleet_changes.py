"""What one decision about a whole fleet costs, and what it costs the devices to take it up.

A decision that reaches many is committed by itself: a policy is assigned to all, changed, taken away; the rule of a
dynamic group changes; the enforcement scope says of every device whether it is managed. Each device takes that up when
it checks in, many with one commit, or when the server comes to it; both are measured for each device, in CPU. A scope
says whom it takes and releases, and so looks at all of them. The devices are those of the device list's benchmark, on
both engines.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from benchmarks.engines import Measured, on_both
from benchmarks.figures import Bar, Figure
from benchmarks.inventory import TENANT, fill
from benchmarks.preview import antivirus_draft
from shieldwall.catalog.loader import load
from shieldwall.catalog.model import Catalog
from shieldwall.contract.ids import DeviceId, GroupId, PolicyId
from shieldwall.policy.enrollment import Coverage, EnforcementScope
from shieldwall.server.directory.acting import Acting
from shieldwall.server.directory.groups import GroupDraft, create_group, update_group
from shieldwall.server.manager.assignments import Assigned, assign
from shieldwall.server.manager.catching_up import catch_up
from shieldwall.server.manager.enforcement_scope import save_scope
from shieldwall.server.manager.policies import Policies
from shieldwall.server.manager.sweeping import PORTION, look, sweep
from shieldwall.server.manager.targeting import Retargeting
from shieldwall.server.signer.in_process import InProcessSigner
from shieldwall.server.storage.devices import devices
from shieldwall.server.storage.engine.database import Database
from shieldwall.server.storage.records import AssignmentKind
from shieldwall.server.system import SystemClock, new_id

DEVICES: Final = 100_000
_ROUNDS: Final = 15
_TOGETHER: Final = 128
"""Check-ins that catch up with one commit when many come; alone is one."""
_NOBODY: Final = EnforcementScope(
    windows=Coverage.OFF, windows_server=Coverage.OFF, linux=Coverage.OFF, mac_os=Coverage.OFF
)
_EVERYBODY: Final = (Assigned(kind=AssignmentKind.ALL_DEVICES),)
_RULES: Final = ('device.deviceOSVersion -startsWith "Debian"', 'device.deviceOSType -eq "Linux"')


def measure(home: Path, *, quick: bool = False) -> list[Figure]:
    """Measure both engines."""

    def measured(each: Measured) -> list[Figure]:
        fill(each.database, 6_000 if quick else DEVICES)
        each.settle()
        return _changes(each)

    return on_both(home, measured)


def _changes(measured: Measured) -> list[Figure]:
    """Decide about a fleet that is there, let it catch up, and return what the clock said of it."""
    deciding, database, engine = _deciding(measured.database, measured.home), measured.database, measured.engine
    figures = [
        Figure.of(f"{name}: commit, {deciding.fleet:,} devices", taken, "ms", engine=engine, bar=Bar(50))
        for name, taken in deciding.committed()
    ]
    for together in (1, _TOGETHER):
        behind = deciding.behind(together * _ROUNDS)
        costs = [_worked(measured, catch_up, deciding.acting, some) for some in behind(together)]
        what = f"caught up in a check-in, {together} at a time: for each device"
        figures.append(Figure.of(what, [each / together * 1e3 for each in costs], "ms CPU", engine=engine))
    figures.append(_swept(measured, deciding, "caught up"))
    for name, scope in (("nobody", _NOBODY), ("everybody", EnforcementScope())):
        took = _taken(database, save_scope, deciding.acting, scope)
        figures.append(
            Figure(f"scope: {name}: commit, {deciding.fleet:,} devices", took, "s", engine=engine, bar=Bar(5))
        )
        figures.append(_swept(measured, deciding, f"scope: {name}, taken up"))
    return figures


@dataclass(frozen=True, slots=True, kw_only=True)
class _Deciding:
    """A fleet, and an administrator with a policy for all of it and a group for a part of it."""

    database: Database
    acting: Acting
    authoring: Policies
    catalog: Catalog
    policy: PolicyId
    group: GroupId
    fleet: int

    def committed(self) -> Iterator[tuple[str, list[float]]]:
        """Yield what was decided, with the milliseconds of each commit."""
        drafts = [antivirus_draft(self.catalog, _chance(), each) for each in (0, 1)]
        edits = [
            [replace(draft, name=drafts[0].name) for draft in drafts][number % 2] for number in range(1, _ROUNDS + 1)
        ]
        of_group = (Assigned(kind=AssignmentKind.INCLUDE, group_id=self.group),)
        decisions: dict[str, list[tuple[Any, ...]]] = {
            "policy assigned": [
                (assign, self.acting, self.policy, wanted) for wanted in (_EVERYBODY, of_group) * (_ROUNDS // 2)
            ],
            "policy changed": [(self.authoring.update, self.acting, self.policy, draft) for draft in edits],
            "rule changed": [self.ruled(number) for number in range(_ROUNDS)],
        }
        for name, each in decisions.items():
            yield name, [_taken(self.database, *decision) * 1e3 for decision in each]

    def ruled(self, number: int) -> tuple[Any, ...]:
        """Return what gives the group another rule."""
        draft = GroupDraft(display_name="Some", mail_nickname="some", membership_rule=_RULES[number % 2])
        return update_group, self.acting, self.group, draft

    def behind(self, most: int) -> Callable[[int], Iterator[list[DeviceId]]]:
        """Return what yields so many devices at a time that are behind one change of a rule."""
        for number in (0, 1, 0):  # one of them is another rule than the present one
            _taken(self.database, *self.ruled(number))
        with self.database.read() as connection:
            ids = sorted(devices.speaking_ids(connection, TENANT, most))
        _chance().shuffle(ids)
        return lambda together: (ids[start : start + together] for start in range(0, len(ids), together))


def _swept(measured: Measured, deciding: _Deciding, what: str) -> Figure:
    """Let the server go round all that is behind, as it does beside everything else, but without a rest."""
    costs: list[float] = []
    while True:
        with deciding.database.read() as connection:
            looked = look(connection, TENANT)
        if looked is None:
            break
        cost = _worked(measured, sweep, deciding.acting, looked, "bench")
        if len(looked.device_ids) == PORTION:
            costs.append(cost)
    what = f"{what} in a round, {PORTION} at a time: for each device"
    return Figure.of(what, [each / PORTION * 1e3 for each in costs], "ms CPU", engine=measured.engine)


def _deciding(database: Database, home: Path) -> _Deciding:
    catalog, clock = load(), SystemClock()
    acting = Acting(
        tenant_id=TENANT, actor="bench", clock=clock, new_id=new_id, on_devices_changed=Retargeting(clock=clock)
    )
    authoring = Policies(catalog=catalog, signatures=InProcessSigner.create(home, TENANT, clock))
    with database.write() as connection:
        policy = authoring.create(connection, acting, antivirus_draft(catalog, _chance(), 0))
        draft = GroupDraft(display_name="Some", mail_nickname="some", membership_rule=_RULES[1])
        group = create_group(connection, acting, draft)
        fleet = devices.count(connection, TENANT)
    return _Deciding(
        database=database,
        acting=acting,
        authoring=authoring,
        catalog=catalog,
        policy=policy.id,
        group=group.id,
        fleet=fleet,
    )


def _chance() -> random.Random:
    return random.Random(4)  # noqa: S311 - made-up policies, nothing secret


def _taken(database: Database, do: Callable[..., object], *arguments: Any) -> float:
    before = time.perf_counter()
    with database.write() as connection:
        do(connection, *arguments)
    return time.perf_counter() - before


def _worked(measured: Measured, do: Callable[..., object], *arguments: Any) -> float:
    return measured.cost(lambda: _taken(measured.database, do, *arguments))
