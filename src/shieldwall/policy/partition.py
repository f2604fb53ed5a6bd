"""Divide a fleet into parts on which one setting comes out alike.

Deciding device by device would ask the same question a hundred thousand times. Devices on which the same values contend
come out alike, so they are asked for once: through one of them, and through the very ``decide`` that a device uses.
Only where the moment or the priority of a policy decides are parts divided further by which policies have the best one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, TypeVar

import msgspec

from shieldwall.catalog.model import Catalog, Merge, SettingDefinition
from shieldwall.contract.conflicts import ConflictRule, ConflictRules
from shieldwall.contract.ids import PolicyId
from shieldwall.policy.deciding import decide, priority_of, strongest, subject_of, united
from shieldwall.policy.device_sets import NOBODY, DeviceSet, contains, first
from shieldwall.policy.families import chosen_rule
from shieldwall.policy.fleet import Entry
from shieldwall.policy.outcomes import Contender, Decided, Reason
from shieldwall.policy.prepared import moment_of
from shieldwall.policy.values import SettingValue

K = TypeVar("K", bound=Hashable)

_END_OF_TIME: Final = datetime.max.replace(tzinfo=UTC)


class OutcomeKind(StrEnum):
    """What became of a setting on a device."""

    UNSET = "unset"
    VALUE = "value"
    CONFLICT = "conflict"
    INAPPLICABLE = "inapplicable"


class Outcome(msgspec.Struct, frozen=True):
    """What became of a setting, or of one subject of a list, on a device."""

    kind: OutcomeKind
    value: SettingValue | None = None
    reason: Reason | None = None


UNSET = Outcome(OutcomeKind.UNSET)
IN_CONFLICT = Outcome(OutcomeKind.CONFLICT)
LISTED = Outcome(OutcomeKind.VALUE, ())
"""A list is managed; what is on it are outcomes of their own."""


@dataclass(frozen=True, slots=True)
class Part:
    """Devices on which a setting comes out alike. Of a conflict, ``entries`` are all that may be in it."""

    outcome: Outcome
    devices: DeviceSet
    entries: tuple[Entry, ...] = ()

    def involved(self, devices: DeviceSet) -> frozenset[PolicyId]:
        """Return the policies that contend on any of these devices."""
        return frozenset(entry.contender.policy for entry in self.entries if entry.applies & devices)


def by_value(
    catalog: Catalog, definition: SettingDefinition, rules: ConflictRules, entries: Sequence[Entry], within: DeviceSet
) -> Iterator[Part]:
    """Divide devices by the value that a setting comes out with."""
    grouped = _grouped((entry.contender.value, entry.applies) for entry in entries)
    for devices, values in _refined(within, grouped):
        if not values:
            yield from _without(entries, devices)
        elif len(values) == 1 and definition.merge is not Merge.UNION:
            yield Part(Outcome(OutcomeKind.VALUE, values[0]), devices)
        else:
            tie_break = _tie_break(catalog, definition, rules, values)
            for same in [devices] if tie_break is None else _tied(tie_break, entries, devices):
                yield _asked(catalog, definition, rules, entries, same)


def by_presence(entries: Sequence[Entry], within: DeviceSet) -> Iterator[Part]:
    """Divide devices by whether a list is managed at all."""
    managed = _any(entry.applies for entry in entries) & within
    if managed:
        yield Part(LISTED, managed)
    yield from _without(entries, within & ~managed)


def by_subject(
    catalog: Catalog, definition: SettingDefinition, entries: Sequence[Entry], within: DeviceSet
) -> Callable[[tuple[SettingValue | None, ...]], list[Part]]:
    """Return what divides devices by what a united list says about one subject."""
    subjects: defaultdict[tuple[SettingValue | None, ...], dict[SettingValue, DeviceSet]] = defaultdict(dict)
    for entry in entries:
        for item in _items(entry.contender.value):
            holders = subjects[subject_of(definition, item)]
            holders[item] = holders.get(item, NOBODY) | entry.applies

    def divide(subject: tuple[SettingValue | None, ...]) -> list[Part]:
        return [
            Part(Outcome(OutcomeKind.VALUE, _one(catalog, definition, items)) if items else UNSET, devices)
            for devices, items in _refined(within, subjects.get(subject, {}))
        ]

    return divide


def _one(catalog: Catalog, definition: SettingDefinition, items: tuple[SettingValue, ...]) -> SettingValue:
    """Return which of several items about one subject counts."""
    if len(items) == 1:
        return items[0]
    together = united(catalog, definition, [_nameless(items)])
    assert isinstance(together, tuple), "a union is a list"
    return together[0]


def _tied(best_first: Callable[[Contender], Any], entries: Sequence[Entry], devices: DeviceSet) -> Iterator[DeviceSet]:
    """Divide devices with the same values further by the best that each has, and what the best ones want."""
    ranks: defaultdict[Any, list[tuple[SettingValue, DeviceSet]]] = defaultdict(list)
    for entry in entries:
        ranks[best_first(entry.contender)].append((entry.contender.value, entry.applies & devices))
    left = devices
    for rank in sorted(ranks):
        reached = _any(holders for _, holders in ranks[rank]) & left
        left &= ~reached
        for same, _ in _refined(reached, _grouped(ranks[rank])):
            yield same


def _tie_break(
    catalog: Catalog, definition: SettingDefinition, rules: ConflictRules, values: Sequence[SettingValue]
) -> Callable[[Contender], Any] | None:
    """Return what ranks contenders where their values alone do not decide."""
    chosen = chosen_rule(catalog, definition.id, rules)
    if len(values) == 1 or chosen is ConflictRule.NOTHING:
        return None
    if chosen is ConflictRule.PRIORITY:
        return priority_of
    by_strength = chosen is ConflictRule.MOST_SECURE or definition.merge is Merge.MOST_SECURE
    if by_strength and strongest(definition, values) is None:
        return lambda contender: _END_OF_TIME - moment_of(contender)
    return None


def _asked(
    catalog: Catalog,
    definition: SettingDefinition,
    rules: ConflictRules,
    entries: Sequence[Entry],
    devices: DeviceSet,
) -> Part:
    """Find out how the setting comes out on devices that are alike, by asking for one of them."""
    place = first(devices)
    contenders = [entry.contender for entry in entries if contains(entry.applies, place)]
    resolution = decide(catalog, definition, contenders, rules)
    if isinstance(resolution, Decided):
        return Part(Outcome(OutcomeKind.VALUE, resolution.value), devices)
    return Part(IN_CONFLICT, devices, tuple(entries))


def _without(entries: Sequence[Entry], devices: DeviceSet) -> Iterator[Part]:
    """Divide devices without a contender: because policies do not apply to them, or because there is none."""
    for reason in (Reason.AGENT_TOO_OLD, Reason.OTHER_PLATFORM):
        reached = _any(entry.inapplicable.get(reason, NOBODY) for entry in entries) & devices
        devices &= ~reached
        if reached:
            yield Part(Outcome(OutcomeKind.INAPPLICABLE, reason=reason), reached)
    if devices:
        yield Part(UNSET, devices)


def _refined(within: DeviceSet, grouped: Mapping[K, DeviceSet]) -> list[tuple[DeviceSet, tuple[K, ...]]]:
    """Divide devices by which of the groups each belongs to."""
    parts: list[tuple[DeviceSet, tuple[K, ...]]] = [(within, ())] if within else []
    for key, devices in grouped.items():
        refined: list[tuple[DeviceSet, tuple[K, ...]]] = []
        for members, keys in parts:
            inside = members & devices
            if inside:
                refined.append((inside, (*keys, key)))
            if inside != members:
                refined.append((members ^ inside, keys))
        parts = refined
    return parts


def _grouped(pairs: Iterable[tuple[K, DeviceSet]]) -> dict[K, DeviceSet]:
    grouped: dict[K, DeviceSet] = {}
    for key, devices in pairs:
        grouped[key] = grouped.get(key, NOBODY) | devices
    return grouped


def _any(sets: Iterable[DeviceSet]) -> DeviceSet:
    found = NOBODY
    for devices in sets:
        found |= devices
    return found


def _items(value: SettingValue) -> tuple[SettingValue, ...]:
    return value if isinstance(value, tuple) else ()


def _nameless(items: tuple[SettingValue, ...]) -> Contender:
    return Contender(policy=PolicyId(""), policy_name="", value=items, modified_at="")
