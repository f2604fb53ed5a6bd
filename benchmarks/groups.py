"""What rules of dynamic groups cost: one rule on a million devices, a thousand rules on one device.

The rules are of every kind that people write: systems, makers, tags, beginnings of names, versions, negations.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from benchmarks.figures import Bar, Figure, Peer, percentile
from benchmarks.fleets import median_cost
from shieldwall.policy.membership import MembershipRule, Value, parse_rule
from shieldwall.policy.rule_columns import Column, RuleColumns
from shieldwall.policy.rule_index import RuleIndex

DEVICES: Final = 1_000_000
RULES: Final = 1_000

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
    """Measure rules in memory; ``fleet_changes`` says what a change of one costs a server."""
    del home  # all of it happens in memory
    fleet = 20_000 if quick else DEVICES
    chance = random.Random(3)  # noqa: S311 - made-up fleets, nothing secret
    rules = [
        parse_rule(_PATTERNS[number % len(_PATTERNS)].format(number=number, tag=number % 40)) for number in range(RULES)
    ]
    described = _described(chance, fleet)
    figures = _measure_columns(described, [*rules[:50], *map(parse_rule, _SLOW)], fleet)
    return figures + _measure_index(described, rules, chance, fleet)


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
