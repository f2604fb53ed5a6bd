"""What the targeting index costs: a million devices, a thousand rules, a thousand policies, and what changes of them.

Figures are processor time of everything that the index does for a change: the rule asked, the groups that ask for its
members, the policies that follow, and the hash of each device concerned. What reading the change from the database
costs is measured on a database of its own, and stands beside it.
"""

from __future__ import annotations

import random
import resource
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import numpy as np

from benchmarks.bars import RULE_CHANGE_MEDIAN, RULE_CHANGE_P95
from benchmarks.figures import Bar, Figure, percentile
from benchmarks.fleets import TENANT
from shieldwall.contract.ids import AssignmentFilterId, DeviceId, Digest, GroupId, PolicyId
from shieldwall.contract.messages import ManifestItem
from shieldwall.policy.membership import MembershipRule, Value, parse_rule
from shieldwall.server.manager.targeting import Aim
from shieldwall.server.storage.records import Assignment, AssignmentKind, FilterKind
from shieldwall.server.targeting.definitions import AimedPolicy, Definitions
from shieldwall.server.targeting.fleet import PROPERTIES, Devices, Fleet, Trait
from shieldwall.server.targeting.hashes import Hasher
from shieldwall.server.targeting.index import FleetIndex
from shieldwall.server.targeting.snapshot import load, save

DEVICES: Final = 1_000_000
RULES: Final = 1_000
POLICIES: Final = 1_000
PORTION: Final = 50_000
_MANAGED: Final = Trait(Aim.MANAGED, understands=True)
_PATTERNS: Final = (
    'device.deviceOSType -eq "Linux" -and device.deviceManufacturer -in ["Maker {small}", "Maker 2"]',
    'device.displayName -startsWith "server-{number}"',
    'device.deviceTag -any (_ -eq "tag-{tag}") -and -not (device.deviceOSVersion -startsWith "10.{tag}")',
    'device.displayName -eq "server-{number}" -or device.deviceTag -contains "{tag}"',
    'device.deviceOSVersion -startsWith "10.{tag}" -and device.deviceOSType -ne "macOS"',
    'device.deviceModel -eq "Model {tag}{small}" -and device.extensionAttribute1 -eq "site-{number}"',
    'device.extensionAttribute1 -in ["site-{number}", "site-{tag}"] -or device.deviceModel -endsWith "7{small}"',
    'device.extensionAttribute2 -ne null -and device.deviceManufacturer -ne "Maker {small}"',
)
_SLOW: Final = ('device.displayName -contains "9{small}"', 'device.displayName -endsWith "{tag}{small}"')
"""What has to look at every name: one rule in fifty."""


def measure(home: Path, *, quick: bool = False) -> list[Figure]:
    """Measure the index alone, in memory."""
    devices, rules, policies = (20_000, 100, 100) if quick else (DEVICES, RULES, POLICIES)
    chance = random.Random(9)  # noqa: S311 - made-up fleets, nothing secret
    before = _resident()
    index = FleetIndex(Hasher(b"b" * 32), Fleet(capacity=devices))
    read = 0.0
    for start in range(0, devices, PORTION):
        portion = _devices(chance, range(start, min(devices, start + PORTION)))
        read += _cost(lambda portion=portion: index.put(portion))  # type: ignore[misc]
    definitions = _definitions(chance, rules, policies)
    computed = _cost(lambda: index.define(definitions, {}))
    grown = _resident() - before
    size = f"{devices:,} devices, {rules:,} rules, {policies:,} policies"
    sizes = sorted(len(each) for each in index.reached.values())
    print(f"groups {_spread([len(each) for each in index.members.values()])}, policies reach {_spread(sizes)}")
    rule_changes = [_change_rule(index, chance) for _ in range(20 if quick else 200)]
    edits = [_edit_policy(index, chance) for _ in range(20 if quick else 200)]
    assigned = [_assign(index, chance) for _ in range(20 if quick else 100)]
    attributes = [_change_device(index, chance, devices) for _ in range(50 if quick else 1_000)]
    preview = [_cost(lambda: index.named_by(parse_rule(_rule(chance, 3)))) * 1e3 for _ in range(30)]
    worst = max(rule_changes)
    kept = _cost(lambda: save(home / "snapshot", "mark", {TENANT: index.fleet}))
    began = _cost(lambda: _begin(home / "snapshot", index.definitions))
    bars = (None, None) if quick else (RULE_CHANGE_MEDIAN, RULE_CHANGE_P95)
    return [
        Figure.of(
            f"rule changed, {size}: all it moves", rule_changes, "ms CPU", bar=bars[0], note=f"worst {worst:.0f}"
        ),
        Figure("the same: 95th percentile", percentile(rule_changes, 0.95), "ms CPU", bar=bars[1]),
        Figure.of("policy edited: a new hash for everybody it reaches", edits, "ms CPU", bar=Bar(10)),
        Figure.of("policy assigned otherwise", assigned, "ms CPU", bar=Bar(10)),
        Figure.of(
            "one device's attribute",
            attributes,
            "ms CPU",
            bar=Bar(0.5),
            note=f"p99 {percentile(attributes, 0.99):.2f}; the first after a rule change {attributes[0]:.0f}",
        ),
        Figure.of("a rule previewed: whom it would name", preview, "ms CPU", bar=Bar(10)),
        Figure("everything computed from nothing", computed, "s CPU", bar=Bar(6), note=f"and {read:.1f} to take it in"),
        Figure(
            "begun from what was kept, and computed",
            began,
            "s CPU",
            bar=Bar(8),
            note=f"{(home / 'snapshot').stat().st_size / 2**20:.0f} MiB, kept in {kept:.1f} s",
        ),
        Figure("memory of the index", grown / 2**20, "MiB", bar=Bar(400)),
    ]


def _begin(snapshot: Path, definitions: Definitions) -> None:
    _, fleets = load(snapshot, lambda _: bytearray)
    for _, fleet in fleets:
        index = FleetIndex(Hasher(b"b" * 32), fleet)
        index.begin()
        index.define(definitions, {})


def _cost(work: Callable[[], object]) -> float:
    before = time.process_time()
    work()
    return time.process_time() - before


def _resident() -> int:
    """Return the memory of this process, in bytes: what it holds now, not what it ever held."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize()


def _spread(sizes: Sequence[int]) -> str:
    return f"{min(sizes):,} to {max(sizes):,}, {statistics.mean(sizes):,.0f} on average"


def _change_rule(index: FleetIndex, chance: random.Random) -> float:
    groups = dict(index.definitions.groups)
    number = chance.randrange(len(groups))
    groups[_group(number)] = parse_rule(_rule(chance, chance.randrange(len(groups))))
    wanted = _with(index.definitions, groups=groups)
    return _cost(lambda: index.define(wanted, {})) * 1e3


def _edit_policy(index: FleetIndex, chance: random.Random) -> float:
    policies = dict(index.definitions.policies)
    chosen = chance.choice(list(policies))
    former = policies[chosen]
    policies[chosen] = AimedPolicy(
        item=_item(chosen, former.item.revision + 1), assignments=former.assignments, is_firewall=former.is_firewall
    )
    wanted = _with(index.definitions, policies=policies)
    return _cost(lambda: index.define(wanted, {})) * 1e3


def _assign(index: FleetIndex, chance: random.Random) -> float:
    policies = dict(index.definitions.policies)
    chosen = chance.choice(list(policies))
    policies[chosen] = AimedPolicy(
        item=policies[chosen].item,
        assignments=_assignments(chance, chosen, len(index.definitions.groups)),
        is_firewall=False,
    )
    wanted = _with(index.definitions, policies=policies)
    return _cost(lambda: index.define(wanted, {})) * 1e3


def _change_device(index: FleetIndex, chance: random.Random, devices: int) -> float:
    number = chance.randrange(devices)
    one = _devices(chance, range(number, number + 1))
    place = index.fleet.find(one.ids)[0]
    if place is not None:  # as it was, but for one tag
        attributes = {name: [value] for name, value in index.fleet.attributes_at(place).items()}
        one = replace(one, attributes=attributes | {"deviceTag": [(f"tag-{chance.randrange(40)}",)]})
    return _cost(lambda: index.put(one)) * 1e3


def _with(definitions: Definitions, **changes: Any) -> Definitions:
    fields = ("groups", "filters", "policies", "conflict_rules", "protection")
    return Definitions(**{name: getattr(definitions, name) for name in fields} | changes)


def _devices(chance: random.Random, numbers: range) -> Devices:
    nothing: list[Value] = [None] * len(numbers)
    columns: dict[str, Sequence[Value]] = dict.fromkeys(PROPERTIES, nothing)
    ids = [DeviceId(str(UUID(int=number * 0x9E3779B97F4A7C15F39CC0605CEDC834 % 2**128))) for number in numbers]

    def drawn(make: Callable[[], Value]) -> list[Value]:
        return [make() for _ in numbers]

    columns |= {
        "deviceOSType": drawn(lambda: chance.choices(("Windows", "Linux", "macOS"), (70, 20, 10))[0]),
        "deviceOSVersion": drawn(lambda: f"10.{chance.randrange(40)}.{chance.randrange(20)}"),
        "deviceManufacturer": drawn(lambda: f"Maker {chance.randrange(12)}"),
        "deviceModel": drawn(lambda: f"Model {chance.randrange(500)}"),
        "deviceTag": drawn(
            lambda: tuple(sorted({f"tag-{chance.randrange(40)}" for _ in range(chance.choice((0, 1, 1, 2)))}))
        ),
        "displayName": [f"server-{number}" for number in numbers],
        "extensionAttribute1": drawn(lambda: f"site-{chance.randrange(1_500)}"),
        "extensionAttribute2": drawn(lambda: chance.choice((None, None, "kiosk"))),
        "agentVersion": drawn(lambda: f"1.{chance.randrange(6)}"),
        "accountEnabled": [True] * len(numbers),
        "deviceId": ids,
        "objectId": ids,
    }
    return Devices(ids=ids, traits=[_MANAGED] * len(numbers), attributes=columns)


def _definitions(chance: random.Random, rules: int, policies: int) -> Definitions:
    groups: dict[GroupId, MembershipRule | None] = {
        _group(number): parse_rule(_rule(chance, number)) for number in range(rules)
    }
    filters = {
        AssignmentFilterId(f"99999999-0000-4000-8000-{number:012x}"): parse_rule(_rule(chance, 5 + 8 * number))
        for number in range(10)
    }
    aimed = {}
    for number in range(policies):
        policy_id = PolicyId(f"dddddddd-0000-4000-8000-{number:012x}")
        assignments = _assignments(chance, policy_id, rules, sorted(filters))
        aimed[policy_id] = AimedPolicy(item=_item(policy_id, 1), assignments=assignments, is_firewall=number % 4 == 0)
    return Definitions(groups=groups, filters=filters, policies=aimed)


def _rule(chance: random.Random, number: int) -> str:
    patterns = _SLOW if number % 50 == 49 else _PATTERNS
    text = patterns[number % len(patterns)]
    text = text.format(number=number, tag=chance.randrange(40), small=chance.randrange(10))
    if number % 20 == 19:
        text = f'device.memberOf -any (group.objectId -in ["{_group(chance.randrange(10))}"]) -and {text}'
    return text


def _assignments(
    chance: random.Random, policy_id: PolicyId, groups: int, filters: Sequence[AssignmentFilterId] = ()
) -> tuple[Assignment, ...]:
    if chance.random() < 0.03 and filters:
        return (
            Assignment(
                policy_id=policy_id,
                kind=AssignmentKind.ALL_DEVICES,
                group_id=None,
                filter_id=chance.choice(filters),
                filter_kind=FilterKind.INCLUDE,
            ),
        )
    chosen = chance.sample(range(groups), chance.choice((1, 1, 2, 3)))
    found = [Assignment(policy_id=policy_id, kind=AssignmentKind.INCLUDE, group_id=_group(number)) for number in chosen]
    if chance.random() < 0.1:
        excluded = _group(chance.choice([number for number in range(groups) if number not in chosen]))
        found.append(Assignment(policy_id=policy_id, kind=AssignmentKind.EXCLUDE, group_id=excluded))
    return tuple(found)


def _group(number: int) -> GroupId:
    return GroupId(f"cccccccc-0000-4000-8000-{number:012x}")


def _item(policy_id: PolicyId, revision: int) -> ManifestItem:
    digest = Digest(f"{hash((policy_id, revision)) & (2**256 - 1):064x}")
    return ManifestItem(policy_id=policy_id, revision=revision, digest=digest, length=1_000)


if __name__ == "__main__":
    for figure in measure(Path()):
        print(figure)
    print(np.__version__)
