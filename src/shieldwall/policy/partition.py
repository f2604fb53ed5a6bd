"""Divide a fleet into parts on which one setting comes out alike.

Deciding device by device would ask the same question a hundred thousand times. Devices are divided by what decides, and
each part is asked for once: through one of its devices, and through the very ``decide`` that a device uses.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import Any, Final, TypeAlias, TypeVar

import msgspec
from msgspec import Struct

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


class Part(Struct, frozen=True):
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
    divide = _division(definition, chosen_rule(catalog, definition.id, rules))
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


def listed(parts: Iterable[Part]) -> Iterator[Part]:
    """Tell of lists only that they are managed."""
    managed = NOBODY
    for part in parts:
        if part.outcome.kind is OutcomeKind.VALUE:
            managed |= part.devices
        else:
            yield part
    if managed:
        yield Part(LISTED, managed)


def by_subject(
    catalog: Catalog,
    definition: SettingDefinition,
    lists: Iterable[tuple[SettingValue, DeviceSet]],
    within: DeviceSet,
) -> Callable[[tuple[SettingValue | None, ...]], list[Part]]:
    """Return what divides devices by what these lists say about one subject, united where a device has several."""
    subjects: defaultdict[tuple[SettingValue | None, ...], dict[SettingValue, DeviceSet]] = defaultdict(dict)
    for value, devices in lists:
        for item in _items(value):
            holders = subjects[subject_of(definition, item)]
            holders[item] = holders.get(item, NOBODY) | devices

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


class _Asking(Struct, frozen=True):
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


def _division(definition: SettingDefinition, chosen: ConflictRule | None) -> Division:
    """Choose how devices are divided, by what decides among different values."""
    if chosen is ConflictRule.PRIORITY:
        return partial(_by_best, priority_of)
    if chosen is ConflictRule.MOST_SECURE or (chosen is None and definition.merge is Merge.MOST_SECURE):
        return partial(_by_strength, definition.strength)
    assert chosen is not None or definition.merge is not Merge.UNION, "what is united is divided by subjects"
    return _by_agreement


def _by_strength(strength: Strength | None, entries: Sequence[Entry], devices: DeviceSet) -> Iterator[DeviceSet]:
    """Divide devices by the strongest that each has; by the newest where the order does not speak about all."""
    if strength is not None and strength.lists in {Lists.FEWER, Lists.MORE}:
        for won in _by_extreme(strength.lists, entries, devices):
            devices &= ~won
            yield won
    elif strength is not None:
        ranked = [entry for entry in entries if strength.rank(entry.contender.value) is not None]
        spoken_of = devices & ~_any(entry.applies for entry in entries if entry not in ranked)
        devices &= ~spoken_of
        yield from _by_best(partial(_place, strength), ranked, spoken_of)
    yield from _by_best(_age, entries, devices)


def _by_extreme(lists: Lists, entries: Sequence[Entry], devices: DeviceSet) -> Iterator[DeviceSet]:
    """Yield the devices on which one list is within all others there, or around them; each with another list."""
    grouped = _grouped((entry.contender.value, entry.applies & devices) for entry in entries)
    kept = [(frozenset(_items(value)), holders) for value, holders in grouped.items()]
    for items, holders in kept:
        fits = items.issuperset if lists is Lists.MORE else items.issubset
        won = holders & ~_any(others for other, others in kept if others & holders and not fits(other))
        if won:
            yield won


def _age(contender: Contender) -> timedelta:
    """Return a sort key that puts the policy modified last first."""
    return _END_OF_TIME - contender.moment


def _place(strength: Strength, contender: Contender) -> tuple[int | None, timedelta]:
    """Return a sort key that puts the strongest first, and of those that share a place the one modified last."""
    return strength.rank(contender.value), _age(contender) if strength.tied else timedelta(0)


def _by_best(
    best_first: Callable[[Contender], Any], entries: Sequence[Entry], devices: DeviceSet
) -> Iterator[DeviceSet]:
    """Divide devices by the best that each has, and further by what the best ones want, or that they differ."""
    ranks: defaultdict[Any, list[tuple[SettingValue, DeviceSet]]] = defaultdict(list)
    for entry in entries:
        ranks[best_first(entry.contender)].append((entry.contender.value, entry.applies))
    for rank in sorted(ranks):
        yield from _agreeing(ranks[rank], devices)
        devices &= ~_any(holders for _, holders in ranks[rank])


def _by_agreement(entries: Sequence[Entry], devices: DeviceSet) -> Iterator[DeviceSet]:
    """Divide devices into those with one value, by that value, and those with several."""
    return _agreeing(((entry.contender.value, entry.applies) for entry in entries), devices)


def _agreeing(wanted: Iterable[tuple[SettingValue, DeviceSet]], devices: DeviceSet) -> Iterator[DeviceSet]:
    grouped = _grouped((value, holders & devices) for value, holders in wanted)
    seen = several = NOBODY
    for holders in grouped.values():
        several |= seen & holders
        seen |= holders
    parts = [*(holders & ~several for holders in grouped.values()), several]
    yield from (part for part in parts if part)


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
