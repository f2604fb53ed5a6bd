"""Divide a fleet into parts on which one setting comes out alike.

Deciding device by device would ask the same question a hundred thousand times. Devices are divided by what decides, and
each part is asked for once: through one of its devices, and through the very ``decide`` that a device uses.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import Any, Final, TypeAlias, TypeVar

import msgspec

from shieldwall.catalog.model import Catalog, Lists, Merge, SettingDefinition, Strength
from shieldwall.contract.conflicts import ConflictRule, ConflictRules
from shieldwall.contract.ids import PolicyId
from shieldwall.policy.deciding import decide, priority_of, subject_of, united
from shieldwall.policy.device_sets import NOBODY, DeviceSet, contains, first
from shieldwall.policy.families import chosen_rule
from shieldwall.policy.fleet import Entry
from shieldwall.policy.outcomes import Contender, Decided, Reason
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
    """Divide devices by the value that a setting comes out with; of equal outcomes there is one part."""
    asking = _Asking(catalog, definition, rules, entries)
    divide = _division(definition, chosen_rule(catalog, definition.id, rules), entries)
    reached = _any(entry.applies for entry in entries) & within
    together: dict[Outcome, DeviceSet] = {}
    for devices in divide(entries, reached):
        outcome = asking.outcome(devices)
        together[outcome] = together.get(outcome, NOBODY) | devices
    for outcome, devices in together.items():
        yield Part(outcome, devices, tuple(entries) if outcome == IN_CONFLICT else ())
    yield from _without(entries, within & ~reached)


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
    together = united(catalog, definition, [items])
    assert isinstance(together, tuple), "a union is a list"
    return together[0]


@dataclass(frozen=True, slots=True)
class _Asking:
    """Finds out how a setting comes out on devices that are alike, by asking for one of them."""

    catalog: Catalog
    definition: SettingDefinition
    rules: ConflictRules
    entries: Sequence[Entry]

    def outcome(self, devices: DeviceSet) -> Outcome:
        place = first(devices)
        contenders = [entry.contender for entry in self.entries if contains(entry.applies, place)]
        resolution = decide(self.catalog, self.definition, contenders, self.rules)
        return Outcome(OutcomeKind.VALUE, resolution.value) if isinstance(resolution, Decided) else IN_CONFLICT


Division: TypeAlias = "Callable[[Sequence[Entry], DeviceSet], Iterator[DeviceSet]]"
"""Divides devices that have a contender into parts that come out alike."""


def _division(definition: SettingDefinition, chosen: ConflictRule | None, entries: Sequence[Entry]) -> Division:
    """Choose how devices are divided, by what decides among different values."""
    by_strength = chosen is ConflictRule.MOST_SECURE or (chosen is None and definition.merge is Merge.MOST_SECURE)
    if chosen is ConflictRule.PRIORITY:
        return partial(_by_best, priority_of)
    if by_strength:
        strength = definition.strength
        ranks = [strength.rank(entry.contender.value) if strength else None for entry in entries]
        if None not in ranks and strength is not None:
            return partial(_by_best, partial(_place, strength))
        if set(ranks) == {None} and (strength is None or strength.lists not in {Lists.FEWER, Lists.MORE}):
            return partial(_by_best, lambda contender: _END_OF_TIME - contender.moment)
        return _by_contenders
    if chosen is None and definition.merge is Merge.UNION:
        return _by_contenders
    return _by_agreement


def _place(strength: Strength, contender: Contender) -> tuple[int | None, timedelta]:
    """Return a sort key that puts the strongest first, and of those that share a place the one modified last."""
    return strength.rank(contender.value), _END_OF_TIME - contender.moment if strength.tied else timedelta(0)


def _by_best(
    best_first: Callable[[Contender], Any], entries: Sequence[Entry], devices: DeviceSet
) -> Iterator[DeviceSet]:
    """Divide devices by the best that each has, and further by what the best ones want."""
    ranks: defaultdict[Any, list[tuple[SettingValue, DeviceSet]]] = defaultdict(list)
    for entry in entries:
        ranks[best_first(entry.contender)].append((entry.contender.value, entry.applies))
    for rank in sorted(ranks):
        reached = _any(holders for _, holders in ranks[rank]) & devices
        devices &= ~reached
        yield from (same for same, _ in _refined(reached, _grouped(ranks[rank])))


def _by_agreement(entries: Sequence[Entry], devices: DeviceSet) -> Iterator[DeviceSet]:
    """Divide devices into those with one value, by that value, and those with several."""
    grouped = _grouped((entry.contender.value, entry.applies & devices) for entry in entries)
    seen = several = NOBODY
    for holders in grouped.values():
        several |= seen & holders
        seen |= holders
    parts = [*(holders & ~several for holders in grouped.values()), several]
    yield from (part for part in parts if part)


def _by_contenders(entries: Sequence[Entry], devices: DeviceSet) -> Iterator[DeviceSet]:
    """Divide devices by which policies contend on each: right whatever decides, and many parts."""
    yield from (same for same, _ in _refined(devices, {entry.contender: entry.applies for entry in entries}))


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
