"""What a change would do, in words, the grave parts first: the same for everybody who is shown a preview. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from shieldwall.catalog.model import Catalog, Merge
from shieldwall.contract.ids import DeviceId, PolicyId, SettingId
from shieldwall.contract.strict_json import digest_of_bytes
from shieldwall.policy.classify import ChangeClass
from shieldwall.policy.compare import Change
from shieldwall.policy.device_sets import DeviceSet, count, places
from shieldwall.policy.outcomes import Reason
from shieldwall.policy.partition import LISTED, UNSET, Outcome, OutcomeKind
from shieldwall.policy.words import in_words, name_of
from shieldwall.server.manager.preview import MOST_EXAMPLES, Preview
from shieldwall.server.manager.statuses import UNSEEN

_GRAVEST_FIRST: Final = (
    ChangeClass.WEAKEN,
    ChangeClass.CONNECTIVITY_RISK,
    ChangeClass.STRENGTHEN,
    ChangeClass.NEUTRAL,
)


@dataclass(frozen=True, slots=True)
class Example:
    """A device that is named for many."""

    id: DeviceId
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One setting, or one item of a list (``subject``), that comes out otherwise; ``None`` is that nobody sets it."""

    setting: SettingId
    name: str
    subject: str | None
    before: str | None
    after: str | None
    change_class: ChangeClass
    devices: int
    examples: tuple[Example, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Affected:
    """A setting with the devices that something happens to; ``policies`` are those in a conflict, by id and name."""

    setting: SettingId
    name: str
    devices: int
    examples: tuple[Example, ...]
    policies: tuple[tuple[PolicyId, str], ...] = ()
    reason: Reason | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Consequences:
    """Everything a change would do. ``targeted`` devices are sent something else, on ``changed`` ones it matters."""

    devices: int
    targeted: int
    changed: int
    changes: tuple[Difference, ...]
    conflicts_made: tuple[Affected, ...]
    conflicts_solved: tuple[Affected, ...]
    not_applicable: tuple[Affected, ...]
    restart: tuple[Affected, ...]
    irreversible: tuple[Affected, ...]

    @property
    def lowered(self) -> tuple[Difference, ...]:
        """What protects less afterwards."""
        return tuple(each for each in self.changes if each.change_class is ChangeClass.WEAKEN)

    @property
    def risky(self) -> tuple[Difference, ...]:
        """What may cut devices off from their network."""
        return tuple(each for each in self.changes if each.change_class is ChangeClass.CONNECTIVITY_RISK)

    @property
    def is_grave(self) -> bool:
        """Whether somebody should say that they mean it."""
        return bool(self.lowered or self.risky or self.conflicts_made or self.irreversible)

    @property
    def fingerprint(self) -> str:
        """Name what would happen, not on how many devices: in a fleet at work numbers never stand still."""
        told = [
            sorted((each.setting, each.subject or "", each.before or "", each.after or "") for each in self.changes),
            *(
                sorted(each.setting for each in found)
                for found in (self.conflicts_made, self.not_applicable, self.irreversible)
            ),
        ]
        return digest_of_bytes(repr(told).encode())

    def seen_by(self, devices: Collection[DeviceId], policies: Collection[PolicyId]) -> Consequences:
        """Name only these devices and policies: the numbers stay, for they are what a change would really do."""

        def examples(found: tuple[Example, ...]) -> tuple[Example, ...]:
            return tuple(each for each in found if each.id in devices)

        def affected(found: tuple[Affected, ...]) -> tuple[Affected, ...]:
            return tuple(
                replace(
                    each,
                    examples=examples(each.examples),
                    policies=tuple((policy, name if policy in policies else UNSEEN) for policy, name in each.policies),
                )
                for each in found
            )

        return replace(
            self,
            changes=tuple(replace(each, examples=examples(each.examples)) for each in self.changes),
            conflicts_made=affected(self.conflicts_made),
            conflicts_solved=affected(self.conflicts_solved),
            not_applicable=affected(self.not_applicable),
            restart=affected(self.restart),
            irreversible=affected(self.irreversible),
        )

    def named(self) -> tuple[frozenset[DeviceId], frozenset[PolicyId]]:
        """Return the devices and policies that are named anywhere, to ask which of them somebody sees."""
        affected: tuple[Affected, ...] = (
            *self.conflicts_made,
            *self.conflicts_solved,
            *self.not_applicable,
            *self.restart,
            *self.irreversible,
        )
        examples = (*(each.examples for each in self.changes), *(each.examples for each in affected))
        devices = frozenset(device.id for named in examples for device in named)
        return devices, frozenset(policy for each in affected for policy, _ in each.policies)


def consequences_of(catalog: Catalog, preview: Preview) -> Consequences:
    """Say a preview in words. Devices are counted, and a few of them named."""
    comparison = preview.comparison
    telling = _Telling(catalog, preview)
    return Consequences(
        devices=len(preview.ids),
        targeted=count(comparison.targeted),
        changed=count(comparison.changed),
        changes=tuple(map(telling.difference, sorted(_told(comparison.changes), key=_order))),
        conflicts_made=tuple(
            telling.affected(each.setting, each.devices, each.policies) for each in comparison.conflicts_made
        ),
        conflicts_solved=tuple(
            telling.affected(each.setting, each.devices, each.policies) for each in comparison.conflicts_solved
        ),
        not_applicable=tuple(
            telling.affected(each.setting, each.devices, reason=each.reason) for each in comparison.lapses
        ),
        restart=telling.where(preview.restart),
        irreversible=telling.where(preview.irreversible),
    )


def _told(changes: Sequence[Change]) -> Iterator[Change]:
    """Leave out that a list comes under management, or out of it, where its items are told."""
    itemised = {change.setting for change in changes if change.subject is not None}
    for change in changes:
        comes_or_goes = {change.before, change.after} == {UNSET, LISTED}
        if change.subject is not None or change.setting not in itemised or not comes_or_goes:
            yield change


def _order(change: Change) -> tuple[int, int, str]:
    return _GRAVEST_FIRST.index(change.change_class), -count(change.devices), change.setting


@dataclass(frozen=True, slots=True)
class _Telling:
    """Puts the findings of one preview into words."""

    catalog: Catalog
    preview: Preview

    def difference(self, change: Change) -> Difference:
        return Difference(
            setting=change.setting,
            name=name_of(self.catalog, change.setting),
            subject=self._subject(change),
            before=self._outcome(change, change.before),
            after=self._outcome(change, change.after),
            change_class=change.change_class,
            devices=count(change.devices),
            examples=self._examples(change.devices),
        )

    def affected(
        self,
        setting: SettingId,
        devices: DeviceSet,
        policies: Collection[PolicyId] = (),
        reason: Reason | None = None,
    ) -> Affected:
        return Affected(
            setting=setting,
            name=name_of(self.catalog, setting),
            devices=count(devices),
            examples=self._examples(devices),
            policies=tuple((policy, self.preview.policy_names.get(policy, "")) for policy in policies),
            reason=reason,
        )

    def where(self, settings: Mapping[SettingId, DeviceSet]) -> tuple[Affected, ...]:
        return tuple(self.affected(setting, devices) for setting, devices in settings.items())

    def _examples(self, devices: DeviceSet) -> tuple[Example, ...]:
        found = (self.preview.ids[place] for place in places(devices, MOST_EXAMPLES))
        return tuple(Example(each, self.preview.device_names.get(each, "")) for each in found)

    def _subject(self, change: Change) -> str | None:
        """Say which item of a list a change is about, ``None`` where it is about the setting as a whole."""
        if change.subject is None:
            return None
        identity = self.catalog.definition(change.setting).identity
        named = zip(identity or (change.setting,), change.subject, strict=False)
        return ", ".join(in_words(self.catalog, setting, value) for setting, value in named if value is not None)

    def _outcome(self, change: Change, outcome: Outcome) -> str | None:
        """Say what a setting comes out as, ``None`` where no policy sets it."""
        match outcome.kind:
            case OutcomeKind.UNSET:
                return None
            case OutcomeKind.CONFLICT:
                return "conflict"
            case OutcomeKind.INAPPLICABLE:
                return "not applicable"
            case OutcomeKind.VALUE:
                definition = self.catalog.definition(change.setting)
                is_list = change.subject is None and definition.merge is Merge.UNION
                if outcome.value is None or (is_list and outcome == LISTED):
                    return "managed"
                return in_words(self.catalog, change.setting, outcome.value)
