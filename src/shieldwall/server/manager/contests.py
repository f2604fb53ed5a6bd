"""Where policies want different values: what nobody decides, and what one of them won; on how many devices, and why.

Devices that are alike are decided once. What comes out is what the devices themselves come to: both ask ``resolve``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from sqlalchemy import ColumnElement, Connection

from shieldwall.catalog.model import Catalog
from shieldwall.contract.conflicts import ConflictFamily, ConflictRule, ConflictRules
from shieldwall.contract.ids import Digest, PolicyId, SettingId, TenantId
from shieldwall.contract.target import Target
from shieldwall.policy.applicability import Traits, traits_of
from shieldwall.policy.deciding import decide
from shieldwall.policy.families import conflict_family
from shieldwall.policy.outcomes import Conflict, Decided, Resolution
from shieldwall.policy.prepared import PreparedPolicy
from shieldwall.policy.resolve import resolve_prepared
from shieldwall.server.manager.standing import prepared_policies
from shieldwall.server.storage.check_ins import standings, targets

Contested: TypeAlias = Conflict | Decided
ContestKey: TypeAlias = tuple[Hashable, ...]
"""What makes two contests the same: the setting, the rule, and who contends with which revision."""
_TWO: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """A setting for which some policies want different values, on so many devices."""

    setting: SettingId
    resolution: Contested
    devices: int

    @property
    def is_conflict(self) -> bool:
        """Whether nobody decides, so that the setting stays as it was before management."""
        return isinstance(self.resolution, Conflict)

    @property
    def policies(self) -> tuple[PolicyId, ...]:
        """The policies that contend."""
        return tuple(each.policy for each in self.resolution.contenders)


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleOutcome:
    """What another rule of its family would make of a conflict; ``decided`` is absent where it would not solve it."""

    family: ConflictFamily
    rule: ConflictRule
    decided: Decided | None


def contests_of(
    connection: Connection,
    catalog: Catalog,
    tenant_id: TenantId,
    only: Sequence[ColumnElement[bool]] = (),
    *,
    policy_id: PolicyId | None = None,
) -> tuple[Contest, ...]:
    """Return every contest, or those of one policy, what nobody decides first; ``only`` are conditions on check-ins."""
    in_use = targets.get_many(connection, tenant_id, standings.targets_in_use(connection, tenant_id))
    several = {
        digest: target
        for digest, target in in_use.items()
        if len(target.items) >= _TWO
        and (policy_id is None or any(item.policy_id == policy_id for item in target.items))
    }
    contesting = Contesting(catalog, several, prepared_policies(connection, catalog, several.values()))
    contested = [digest for digest in several if contesting.is_contested(digest)]
    if not contested:
        return ()
    counts: defaultdict[ContestKey, int] = defaultdict(int)
    found: dict[ContestKey, Contested] = {}
    for alike in standings.count_by_report(connection, tenant_id, contested, only):
        for key, each in contesting.of(alike.target, traits_of(alike.os_type, alike.catalog_version)).items():
            if policy_id is None or any(contender.policy == policy_id for contender in each.contenders):
                counts[key] += alike.devices
                found.setdefault(key, each)
    return in_order(Contest(setting=each.setting, resolution=each, devices=counts[key]) for key, each in found.items())


def in_order(contests: Iterable[Contest]) -> tuple[Contest, ...]:
    """Return contests, what nobody decides first, and then what is contested on most devices."""
    return tuple(sorted(contests, key=lambda each: (not each.is_conflict, -each.devices, each.setting)))


def other_rules(catalog: Catalog, conflict: Conflict, rules: ConflictRules) -> tuple[RuleOutcome, ...]:
    """Say what each other rule of its family would make of a conflict."""
    family = conflict_family(catalog, conflict.setting)
    definition = catalog.definition(conflict.setting)
    outcomes: list[RuleOutcome] = []
    for rule in ConflictRule:
        if rule is ConflictRule.NOTHING or rules.get(family) is rule:
            continue
        resolution = decide(catalog, definition, list(conflict.contenders), {**rules, family: rule})
        decided = resolution if isinstance(resolution, Decided) else None
        outcomes.append(RuleOutcome(family=family, rule=rule, decided=decided))
    return tuple(outcomes)


@dataclass(slots=True)
class Contesting:
    """Finds what is contested in targets, for each kind of device, once. What no two policies share is passed over."""

    catalog: Catalog
    targets: Mapping[Digest, Target]
    prepared: Mapping[Digest, PreparedPolicy]
    _known: dict[tuple[Digest, Traits | None], Mapping[ContestKey, Contested]] = field(default_factory=dict)

    def is_contested(self, digest: Digest) -> bool:
        """Say whether anything in a target may be contested, whatever the device."""
        return bool(self.of(digest, None))

    def of(self, digest: Digest, traits: Traits | None) -> Mapping[ContestKey, Contested]:
        """Return what is contested in a target on devices with these traits."""
        target = self.targets[digest]
        if len(target.items) < _TWO:
            return {}
        key = digest, traits
        if key not in self._known:
            policies = [self.prepared[item.digest] for item in target.items if item.digest in self.prepared]
            settings = resolve_prepared(self.catalog, policies, target.conflict_rules, traits).settings
            self._known[key] = {_key(each): each for each in _contested(settings)}
        return self._known[key]


def _contested(settings: Mapping[SettingId, Resolution]) -> Iterator[Contested]:
    for resolution in settings.values():
        if isinstance(resolution, Conflict) or (isinstance(resolution, Decided) and resolution.losers):
            yield resolution


def _key(contested: Contested) -> ContestKey:
    return (
        contested.setting,
        contested.rule,
        isinstance(contested, Conflict),
        frozenset((each.policy, each.revision) for each in contested.contenders),
    )
