"""What dynamic groups cost: one rule on a million devices, a thousand rules on one device, a rule that changes.

The rules are of every kind that people write: systems, makers, tags, beginnings of names, versions, negations. The
change is the widest there is: a rule that names nobody comes to name everybody, and a policy goes along.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from benchmarks.figures import SQLITE, Bar, Engine, Figure, Peer, percentile
from benchmarks.fleets import TENANT, add_devices, add_tenant, median_cost
from benchmarks.preview import antivirus_draft
from shieldwall.catalog.loader import load
from shieldwall.contract.ids import GroupId
from shieldwall.policy.membership import MembershipRule, Value, parse_rule
from shieldwall.policy.rule_columns import Column, RuleColumns
from shieldwall.policy.rule_index import RuleIndex
from shieldwall.server.directory import groups
from shieldwall.server.directory.acting import Acting
from shieldwall.server.directory.groups import GroupDraft
from shieldwall.server.manager.assignments import Assigned, assign
from shieldwall.server.manager.policies import Policies
from shieldwall.server.manager.targeting import Retargeting
from shieldwall.server.signer.in_process import InProcessSigner
from shieldwall.server.storage import migrate
from shieldwall.server.storage.database import Database
from shieldwall.server.storage.records import AssignmentKind
from shieldwall.server.system import SystemClock, new_id

DEVICES: Final = 1_000_000
RULES: Final = 1_000
CHANGED: Final = 100_000
"""Devices that the changed rule names."""

_PATTERNS: Final = (
    'device.deviceOSType -eq "Linux" -and device.deviceManufacturer -in ["Maker 1", "Maker 2", "Maker {number}"]',
    'device.displayName -startsWith "server-{number}"',
    'device.deviceTag -any (_ -eq "tag-{tag}") -and -not (device.deviceOSVersion -startsWith "10.{number}")',
    'device.displayName -eq "server-{number}" -or device.deviceTag -contains "{tag}"',
    'device.deviceOSVersion -startsWith "10.{number}" -and device.deviceOSType -ne "macOS"',
)
"""Wide enough to differ, narrow enough to be met."""
_SLOW: Final = ('device.displayName -contains "99"', 'device.displayName -match "1.*9$"')
"""What has to look at every name."""


def measure(home: Path, *, quick: bool = False) -> list[Figure]:
    """Measure rules in memory, and a change of one in the database."""
    fleet, changed = (20_000, 2_000) if quick else (DEVICES, CHANGED)
    chance = random.Random(3)  # noqa: S311 - made-up fleets, nothing secret
    rules = [
        parse_rule(_PATTERNS[number % len(_PATTERNS)].format(number=number, tag=number % 40)) for number in range(RULES)
    ]
    described = _described(chance, fleet)
    figures = _measure_columns(described, [*rules[:50], *map(parse_rule, _SLOW)], fleet)
    figures += _measure_index(described, rules, chance, fleet)
    database = Database(f"sqlite:///{home / 'groups.db'}")
    figures.append(measure_change(database, home, devices=changed))
    database.close()
    return figures


def measure_change(database: Database, home: Path, *, devices: int, engine: Engine = SQLITE) -> Figure:
    """Measure how long it takes until a changed rule has reached the targets of its devices, in one transaction."""
    migrate.upgrade(database)
    catalog, clock = load(), SystemClock()
    acting = Acting(
        tenant_id=TENANT, actor="bench", clock=clock, new_id=new_id, on_devices_changed=Retargeting(clock=clock)
    )
    with database.write() as connection:
        add_tenant(connection)
    for start in range(0, devices, 20_000):
        with database.write() as connection:
            add_devices(connection, range(start, min(devices, start + 20_000)), catalog_version=catalog.version)
    with database.write() as connection:
        group = groups.create_group(connection, acting, _draft('device.displayName -eq "nobody"'))
        authoring = Policies(catalog=catalog, signer=InProcessSigner.create(home, TENANT, clock))
        policy = authoring.create(connection, acting, antivirus_draft(catalog, random.Random(4), 0))  # noqa: S311 - as below
        to_group = Assigned(kind=AssignmentKind.INCLUDE, group_id=GroupId(group.id))
        assign(connection, acting, policy.id, [to_group])
    taken, worked = [], []
    for rule in ('device.deviceOSType -eq "Linux"', 'device.displayName -eq "nobody"') * 2:
        before, before_work = time.perf_counter(), time.process_time()
        with database.write() as connection:
            groups.update_group(connection, acting, group.id, _draft(rule))
        taken.append(time.perf_counter() - before)
        worked.append(time.process_time() - before_work)
    return Figure.of(
        f"rule changed: {devices:,} devices join or leave and get their targets, in one transaction",
        taken,
        "s",
        engine=engine,
        bar=Bar(5),
        note=f"{statistics.median(worked):.2f} s CPU of the server",
    )


def _measure_columns(
    described: dict[str, Sequence[Value]], rules: Sequence[MembershipRule], fleet: int
) -> list[Figure]:
    columns = RuleColumns(fleet, {name: Column.of(values) for name, values in described.items()})
    costs = sorted(median_cost(5, _asking(columns, rule)) for rule in rules)
    few = [{name: values[place] for name, values in described.items()} for place in range(fleet // 20)]
    one_by_one = 20 * median_cost(1, lambda: [rules[0].matches(device) for device in few])
    return [
        Figure.of(
            f"one rule on {fleet:,} devices, columns read",
            [each * 1e3 for each in costs],
            "ms CPU",
            peer=Peer("device by device", one_by_one * 1e3),
            bar=Bar(10),
            note=f"{len(rules)} rules of every kind",
        )
    ]


def _asking(columns: RuleColumns, rule: MembershipRule) -> Callable[[], object]:
    return lambda: columns.matching(rule)


def _measure_index(
    described: dict[str, Sequence[Value]], rules: Sequence[MembershipRule], chance: random.Random, fleet: int
) -> list[Figure]:
    index = RuleIndex({str(number): rule for number, rule in enumerate(rules)})
    met = [{name: values[place] for name, values in described.items()} for place in chance.sample(range(fleet), 2_000)]
    costs, plain = [], []
    for number, device in enumerate(met):
        before = time.perf_counter()
        index.matching(device)
        costs.append(time.perf_counter() - before)
        if number % 100 == 0:
            plain.append(median_cost(1, lambda device=device: [rule.matches(device) for rule in rules]))  # type: ignore[misc]
    return [
        Figure.of(
            f"{len(rules):,} rules on a device not met before",
            [each * 1e6 for each in costs],
            "µs",
            peer=Peer.of("rule by rule", [each * 1e6 for each in plain]),
            bar=Bar(100),
            note=f"p99 {percentile(costs, 0.99) * 1e6:.0f} µs",
        )
    ]


def _described(chance: random.Random, fleet: int) -> dict[str, Sequence[Value]]:
    tags: list[Value] = [(), ("web",), *(tuple(sorted({f"tag-{number}", "web"})) for number in range(60))]
    return {
        "displayName": [f"server-{number}" for number in range(fleet)],
        "deviceOSType": chance.choices(["Linux", "Windows", "Windows Server", "macOS"], k=fleet),
        "deviceOSVersion": chance.choices([f"10.{number}.{number % 7}" for number in range(3_000)], k=fleet),
        "deviceManufacturer": chance.choices([f"Maker {number}" for number in range(50)], k=fleet),
        "deviceTag": chance.choices(tags, k=fleet),
    }


def _draft(rule: str) -> GroupDraft:
    return GroupDraft(display_name="Bench", mail_nickname="bench", membership_rule=rule)
