"""What a change would do to a fleet: settings old and new, conflicts made and solved, protection lowered.

Two situations are compared, as they are and as they would be. Only devices that a changed policy reaches, and only
settings that a changed policy speaks about, are looked at. What comes out is what then happens: both ask ``decide``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

from msgspec import Struct, field

from shieldwall.catalog.model import Catalog, Merge, SettingDefinition
from shieldwall.contract.ids import PolicyId, SettingId
from shieldwall.policy.classify import ChangeClass, classify
from shieldwall.policy.deciding import subject_of
from shieldwall.policy.device_sets import NOBODY, DeviceSet
from shieldwall.policy.families import chosen_rule
from shieldwall.policy.fleet import Entry, Fleet, Situation
from shieldwall.policy.outcomes import Reason
from shieldwall.policy.partition import Outcome, OutcomeKind, Part, by_presence, by_subject, by_value, listed
from shieldwall.policy.values import SettingValue

Subject: TypeAlias = "tuple[SettingValue | None, ...]"
"""What an item of a list is about."""


class Change(Struct, frozen=True, kw_only=True):
    """One setting, or one subject of a list, comes out otherwise on these devices.

    Of a list as a whole (no subject) only whether it is managed is told.
    """

    setting: SettingId
    subject: Subject | None
    before: Outcome
    after: Outcome
    change_class: ChangeClass
    devices: DeviceSet


class Clash(Struct, frozen=True, kw_only=True):
    """A conflict that comes or goes on these devices, and the policies in it."""

    setting: SettingId
    devices: DeviceSet
    policies: tuple[PolicyId, ...]


class Lapse(Struct, frozen=True, kw_only=True):
    """A setting that becomes not applicable on these devices."""

    setting: SettingId
    reason: Reason
    devices: DeviceSet


class Comparison(Struct, frozen=True, kw_only=True):
    """Everything a change would do. ``targeted`` are the devices that would be sent something else."""

    targeted: DeviceSet
    changes: tuple[Change, ...]
    conflicts_made: tuple[Clash, ...]
    conflicts_solved: tuple[Clash, ...]
    lapses: tuple[Lapse, ...]

    @property
    def changed(self) -> DeviceSet:
        """The devices on which any setting comes out otherwise."""
        found = NOBODY
        for change in self.changes:
            found |= change.devices
        return found


def compare(catalog: Catalog, fleet: Fleet, before: Situation, after: Situation) -> Comparison:
    """Say what it would do to a fleet to come from one situation to the other. Pure.

    Raises:
        UnknownSettingError: A policy sets what the catalog does not know.
    """
    touched = dict(_touched(before, after))
    targeted = fleet.everybody if before.rules != after.rules else NOBODY
    reached: defaultdict[SettingId, DeviceSet] = defaultdict(int)
    for policy, devices in touched.items():
        targeted |= devices
        for situation in (before, after):
            if policy in situation.policies:
                for setting in situation.policies[policy].policy.contenders:
                    reached[setting] |= devices
    for setting in _decided_otherwise(catalog, before, after):
        reached[setting] = fleet.everybody
    gathered = _Gathered()
    for setting in sorted(reached):
        if reached[setting]:
            _SettingComparison(catalog, catalog.definition(setting), fleet, before, after).gather(
                reached[setting], touched.keys(), gathered
            )
    return gathered.comparison(catalog, targeted)


def _touched(before: Situation, after: Situation) -> Iterator[tuple[PolicyId, DeviceSet]]:
    """Yield the policies that differ, with the devices to which that makes a difference."""
    for policy in before.policies.keys() | after.policies.keys():
        was, now = before.policies.get(policy), after.policies.get(policy)
        former, later = (was.devices if was else NOBODY), (now.devices if now else NOBODY)
        same = was is not None and now is not None and (was.policy is now.policy or was.policy == now.policy)
        devices = former ^ later if same else former | later
        if devices:
            yield policy, devices


def _decided_otherwise(catalog: Catalog, before: Situation, after: Situation) -> Iterator[SettingId]:
    """Yield the settings in use whose family is decided by another rule."""
    if before.rules == after.rules:
        return
    used = {
        setting
        for situation in (before, after)
        for standing in situation.policies.values()
        for setting in standing.policy.contenders
    }
    for setting in used:
        if chosen_rule(catalog, setting, before.rules) is not chosen_rule(catalog, setting, after.rules):
            yield setting


class _Gathered(Struct):
    """What was found so far, by what it is; devices of equal findings are counted together."""

    changes: dict[tuple[SettingId, Subject | None, Outcome, Outcome], DeviceSet] = field(default_factory=dict)
    made: dict[SettingId, tuple[DeviceSet, frozenset[PolicyId]]] = field(default_factory=dict)
    solved: dict[SettingId, tuple[DeviceSet, frozenset[PolicyId]]] = field(default_factory=dict)

    def add(self, setting: SettingId, subject: Subject | None, before: Iterable[Part], after: Sequence[Part]) -> None:
        """Add how one setting or subject comes out otherwise."""
        for was in before:
            for now in after:
                devices = was.devices & now.devices
                if not devices or was.outcome == now.outcome:
                    continue
                key = setting, subject, was.outcome, now.outcome
                self.changes[key] = self.changes.get(key, NOBODY) | devices
                if now.outcome.kind is OutcomeKind.CONFLICT:
                    _join(self.made, setting, devices, now.involved(devices))
                if was.outcome.kind is OutcomeKind.CONFLICT:
                    _join(self.solved, setting, devices, was.involved(devices))

    def comparison(self, catalog: Catalog, targeted: DeviceSet) -> Comparison:
        """Put everything in order."""
        changes = tuple(
            Change(
                setting=setting,
                subject=subject,
                before=before,
                after=after,
                change_class=_class(catalog, setting, subject, before, after),
                devices=devices,
            )
            for (setting, subject, before, after), devices in self.changes.items()
        )
        lapses: dict[tuple[SettingId, Reason], DeviceSet] = {}
        for change in changes:
            if change.after.reason is not None:
                key = change.setting, change.after.reason
                lapses[key] = lapses.get(key, NOBODY) | change.devices
        return Comparison(
            targeted=targeted,
            changes=changes,
            conflicts_made=_clashes(self.made),
            conflicts_solved=_clashes(self.solved),
            lapses=tuple(
                Lapse(setting=setting, reason=reason, devices=devices) for (setting, reason), devices in lapses.items()
            ),
        )


class _SettingComparison(Struct, frozen=True):
    """One setting in both situations."""

    catalog: Catalog
    definition: SettingDefinition
    fleet: Fleet
    before: Situation
    after: Situation

    def gather(self, within: DeviceSet, changed: Iterable[PolicyId], gathered: _Gathered) -> None:
        """Add to what was found how this setting comes out otherwise on these devices."""
        setting = self.definition.id
        former = tuple(self.fleet.entries(self.before, setting))
        later = tuple(self.fleet.entries(self.after, setting))
        if self.definition.merge is not Merge.UNION:
            gathered.add(
                setting, None, self._by_value(self.before, former, within), self._by_value(self.after, later, within)
            )
            return
        were, are = self._lists(self.before, former, within), self._lists(self.after, later, within)
        gathered.add(setting, None, were.presence, are.presence)
        divide_former = by_subject(self.catalog, self.definition, were.lists, within)
        divide_later = by_subject(self.catalog, self.definition, are.lists, within)
        if were.is_decided or are.is_decided:
            speaking = [value for value, _ in (*were.lists, *are.lists)]
        else:
            touched = frozenset(changed)
            speaking = [e.contender.value for e in (*former, *later) if e.contender.policy in touched]
        for subject in self._subjects(speaking):
            gathered.add(setting, subject, divide_former(subject), divide_later(subject))

    def _lists(self, situation: Situation, entries: Sequence[Entry], within: DeviceSet) -> _Lists:
        """Find the lists that devices have: those of all policies, or the one that a chosen rule decided for."""
        if chosen_rule(self.catalog, self.definition.id, situation.rules) is None:
            united = tuple((entry.contender.value, entry.applies) for entry in entries)
            return _Lists(presence=tuple(by_presence(entries, within)), lists=united, is_decided=False)
        parts = self._by_value(situation, entries, within)
        decided = tuple((part.outcome.value, part.devices) for part in parts if part.outcome.value is not None)
        return _Lists(presence=tuple(listed(parts)), lists=decided, is_decided=True)

    def _by_value(self, situation: Situation, entries: Sequence[Entry], within: DeviceSet) -> tuple[Part, ...]:
        return tuple(by_value(self.catalog, self.definition, situation.rules, entries, within))

    def _subjects(self, lists: Iterable[SettingValue]) -> Iterable[Subject]:
        """Return what the items of these lists are about, each once."""
        return dict.fromkeys(
            subject_of(self.definition, item) for value in lists if isinstance(value, tuple) for item in value
        )


class _Lists(Struct, frozen=True, kw_only=True):
    """Lists in one situation: whether there are any, who has which, and whether a rule decided between them."""

    presence: tuple[Part, ...]
    lists: tuple[tuple[SettingValue, DeviceSet], ...]
    is_decided: bool


def _class(
    catalog: Catalog, setting: SettingId, subject: Subject | None, before: Outcome, after: Outcome
) -> ChangeClass:
    if subject is None:
        return classify(catalog, setting, before.value, after.value)
    was, now = (() if outcome.value is None else (outcome.value,) for outcome in (before, after))
    return classify(catalog, setting, was, now)


def _join(
    clashes: dict[SettingId, tuple[DeviceSet, frozenset[PolicyId]]],
    setting: SettingId,
    devices: DeviceSet,
    policies: frozenset[PolicyId],
) -> None:
    known, involved = clashes.get(setting, (NOBODY, frozenset()))
    clashes[setting] = known | devices, involved | policies


def _clashes(found: dict[SettingId, tuple[DeviceSet, frozenset[PolicyId]]]) -> tuple[Clash, ...]:
    return tuple(
        Clash(setting=setting, devices=devices, policies=tuple(sorted(policies)))
        for setting, (devices, policies) in found.items()
    )
