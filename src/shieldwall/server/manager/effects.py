"""What a preview found, in words that people read: the grave parts first, devices counted and a few of them named."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypedDict, TypeVar

from shieldwall.catalog.model import Catalog, Merge
from shieldwall.contract.ids import DeviceId, PolicyId, SettingId
from shieldwall.contract.strict_json import digest_of_bytes
from shieldwall.policy.classify import ChangeClass
from shieldwall.policy.compare import Change, Clash
from shieldwall.policy.device_sets import DeviceSet, count, places
from shieldwall.policy.outcomes import Reason
from shieldwall.policy.partition import LISTED, UNSET, Outcome, OutcomeKind
from shieldwall.policy.words import category_of, in_words, lines_of, name_of
from shieldwall.server.manager.preview import MOST_EXAMPLES, Preview
from shieldwall.server.manager.statuses import UNSEEN

_GRAVEST_FIRST: Final = (
    ChangeClass.WEAKEN,
    ChangeClass.CONNECTIVITY_RISK,
    ChangeClass.STRENGTHEN,
    ChangeClass.NEUTRAL,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """Some setting on so many devices, of which a few are named."""

    setting: SettingId
    name: str
    category: str
    devices: int
    examples: tuple[tuple[DeviceId, str], ...]


_W = TypeVar("_W", bound=Where)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeInWords(Where):
    """How a setting comes out otherwise; ``subject`` says which item of a list. A side is ``None`` where unset.

    ``before_lines`` and ``after_lines`` say the same, a line per item.
    """

    subject: str | None
    before: str | None
    after: str | None
    before_lines: tuple[str, ...]
    after_lines: tuple[str, ...]
    change_class: ChangeClass


@dataclass(frozen=True, slots=True, kw_only=True)
class ClashInWords(Where):
    """A conflict that comes or goes, and the policies in it by id and name; no id where the policy is not seen."""

    policies: tuple[tuple[PolicyId | None, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LapseInWords(Where):
    """A setting that becomes not applicable."""

    reason: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """Everything a change would do. ``devices`` are all that are managed, and seen; ``made`` policies are none yet."""

    devices: int
    targeted: int
    changed: int
    changes: tuple[ChangeInWords, ...]
    conflicts_made: tuple[ClashInWords, ...]
    conflicts_solved: tuple[ClashInWords, ...]
    lapses: tuple[LapseInWords, ...]
    restart: tuple[Where, ...]
    irreversible: tuple[Where, ...]
    made: frozenset[PolicyId]

    @property
    def lowered(self) -> tuple[ChangeInWords, ...]:
        """The changes that lower protection."""
        return self.of_class(ChangeClass.WEAKEN)

    @property
    def risky(self) -> tuple[ChangeInWords, ...]:
        """The changes by which a device can lose its network."""
        return self.of_class(ChangeClass.CONNECTIVITY_RISK)

    @property
    def needs_thought(self) -> bool:
        """Whether something comes of it that nobody should overlook."""
        return bool(self.lowered or self.risky or self.conflicts_made or self.irreversible)

    @property
    def fingerprint(self) -> str:
        """Name what would happen, not on how many devices: in a fleet at work numbers never stand still."""
        told = [
            sorted((each.setting, each.subject or "", each.before or "", each.after or "") for each in self.changes),
            *(
                sorted(each.setting for each in found)
                for found in (self.conflicts_made, self.lapses, self.irreversible)
            ),
        ]
        return digest_of_bytes(repr(told).encode())

    def named(self) -> tuple[frozenset[DeviceId], frozenset[PolicyId]]:
        """Return the devices and policies that are named anywhere, to ask which of them somebody sees."""
        clashes = (*self.conflicts_made, *self.conflicts_solved)
        places = (*self.changes, *clashes, *self.lapses, *self.restart, *self.irreversible)
        return (
            frozenset(device for place in places for device, _ in place.examples),
            frozenset(policy for clash in clashes for policy, _ in clash.policies if policy is not None),
        )

    def seen_by(self, devices: Collection[DeviceId], policies: Collection[PolicyId]) -> Effect:
        """Name these devices and policies alone: of one that was kept, and whose reader may see less by now."""
        known = self.made.union(policies)
        made, solved = (
            tuple(
                replace(each, policies=tuple(name if name[0] in known else (None, UNSEEN) for name in each.policies))
                for each in _naming(devices, clashes)
            )
            for clashes in (self.conflicts_made, self.conflicts_solved)
        )
        return replace(
            self,
            changes=_naming(devices, self.changes),
            conflicts_made=made,
            conflicts_solved=solved,
            lapses=_naming(devices, self.lapses),
            restart=_naming(devices, self.restart),
            irreversible=_naming(devices, self.irreversible),
        )

    def of_class(self, change_class: ChangeClass) -> tuple[ChangeInWords, ...]:
        """Return the changes of one class."""
        return tuple(change for change in self.changes if change.change_class is change_class)


def effect_of(catalog: Catalog, preview: Preview) -> Effect:
    """Say what a preview found. A policy without a name is one that is not seen."""
    telling, comparison = _Telling(catalog, preview), preview.comparison
    return Effect(
        devices=count(preview.seen),
        targeted=count(comparison.targeted),
        changed=count(comparison.changed),
        changes=tuple(telling.changes(comparison.changes)),
        conflicts_made=tuple(telling.clashes(comparison.conflicts_made)),
        conflicts_solved=tuple(telling.clashes(comparison.conflicts_solved)),
        lapses=tuple(
            LapseInWords(**telling.where(lapse.setting, lapse.devices), reason=lapse.reason)
            for lapse in comparison.lapses
        ),
        restart=telling.wheres(preview.restart),
        irreversible=telling.wheres(preview.irreversible),
        made=preview.made,
    )


def _naming(devices: Collection[DeviceId], found: Sequence[_W]) -> tuple[_W, ...]:
    return tuple(
        replace(each, examples=tuple(example for example in each.examples if example[0] in devices)) for each in found
    )


class _Place(TypedDict):
    setting: SettingId
    name: str
    category: str
    devices: int
    examples: tuple[tuple[DeviceId, str], ...]


@dataclass(frozen=True, slots=True)
class _Telling:
    """Tells of one preview."""

    catalog: Catalog
    preview: Preview

    def where(self, setting: SettingId, devices: DeviceSet) -> _Place:
        ids = (self.preview.ids[place] for place in places(devices, MOST_EXAMPLES))
        return {
            "setting": setting,
            "name": name_of(self.catalog, setting),
            "category": category_of(self.catalog, setting),
            "devices": count(devices),
            "examples": tuple((each, self.preview.device_names.get(each, "")) for each in ids),
        }

    def wheres(self, found: Mapping[SettingId, DeviceSet]) -> tuple[Where, ...]:
        return tuple(Where(**self.where(setting, devices)) for setting, devices in found.items())

    def changes(self, changes: Sequence[Change]) -> Iterator[ChangeInWords]:
        for change in sorted(_telling(changes), key=_order):
            before, after = self._lines(change, change.before), self._lines(change, change.after)
            yield ChangeInWords(
                **self.where(change.setting, change.devices),
                subject=self._subject(change),
                before=None if before is None else "; ".join(before) or "none",
                after=None if after is None else "; ".join(after) or "none",
                before_lines=before or (),
                after_lines=after or (),
                change_class=change.change_class,
            )

    def clashes(self, clashes: Sequence[Clash]) -> Iterator[ClashInWords]:
        for clash in clashes:
            yield ClashInWords(
                **self.where(clash.setting, clash.devices), policies=tuple(map(self._policy, clash.policies))
            )

    def _policy(self, policy: PolicyId) -> tuple[PolicyId | None, str]:
        name = self.preview.policy_names.get(policy)
        return (None, UNSEEN) if name is None else (policy, name)

    def _subject(self, change: Change) -> str | None:
        """Say which item of a list a change is about, ``None`` where it is about the setting as a whole."""
        if change.subject is None:
            return None
        identity = self.catalog.definition(change.setting).identity
        named = zip(identity or (change.setting,), change.subject, strict=False)
        return ", ".join(in_words(self.catalog, setting, value) for setting, value in named if value is not None)

    def _lines(self, change: Change, outcome: Outcome) -> tuple[str, ...] | None:
        """Say what a setting comes out as, ``None`` where no policy sets it."""
        match outcome.kind:
            case OutcomeKind.UNSET:
                return None
            case OutcomeKind.CONFLICT:
                return ("conflict",)
            case OutcomeKind.INAPPLICABLE:
                return ("not applicable",)
            case OutcomeKind.VALUE:
                is_list = change.subject is None and self.catalog.definition(change.setting).merge is Merge.UNION
                if outcome.value is None or (is_list and outcome == LISTED):
                    return ("managed",)
                return lines_of(self.catalog, change.setting, outcome.value)


def _telling(changes: Sequence[Change]) -> Iterator[Change]:
    """Leave out that a list comes under management, or out of it, where its items are told."""
    itemised = {change.setting for change in changes if change.subject is not None}
    for change in changes:
        comes_or_goes = {change.before, change.after} == {UNSET, LISTED}
        if change.subject is not None or change.setting not in itemised or not comes_or_goes:
            yield change


def _order(change: Change) -> tuple[int, int, str]:
    return _GRAVEST_FIRST.index(change.change_class), -count(change.devices), change.setting
