"""Where policies want different values: what nobody decides, and what one of them won; on how many devices, and why.

Devices that are alike are decided once. What comes out is what the devices themselves come to: both ask ``resolve``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from sqlalchemy import ColumnElement, Connection

from shieldwall.catalog.model import Catalog
from shieldwall.contract.conflicts import ConflictFamily, ConflictRule, ConflictRules
from shieldwall.contract.ids import Digest, PolicyId, SettingId, TenantId
from shieldwall.contract.target import Target
from shieldwall.policy.applicability import Traits, traits_of
from shieldwall.policy.deciding import decide
from shieldwall.policy.families import conflict_family
from shieldwall.policy.outcomes import Conflict, Decided, Resolution
from shieldwall.policy.prepared import PreparedPolicy, prepare
from shieldwall.policy.resolve import resolve_prepared
from shieldwall.server.manager.policies import document_of
from shieldwall.server.storage import revisions, standings, targets

Contested: TypeAlias = Conflict | Decided


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
        if len(target.items) > 1 and (policy_id is None or any(item.policy_id == policy_id for item in target.items))
    }
    prepared = _prepared(connection, catalog, several.values())
    resolving = _Resolving(catalog, several, prepared)
    contested = [digest for digest in several if any(_contested(resolving.outcome(digest, None)))]
    if not contested:
        return ()
    counts: defaultdict[tuple[object, ...], int] = defaultdict(int)
    found: dict[tuple[object, ...], Contested] = {}
    for alike in standings.count_by_report(connection, tenant_id, contested, only):
        traits = traits_of(alike.os_type, alike.catalog_version)
        for each in _contested(resolving.outcome(alike.target, traits)):
            if policy_id is None or any(contender.policy == policy_id for contender in each.contenders):
                counts[_key(each)] += alike.devices
                found.setdefault(_key(each), each)
    contests = [Contest(setting=each.setting, resolution=each, devices=counts[key]) for key, each in found.items()]
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
class _Resolving:
    """Resolves each target for each kind of device, once."""

    catalog: Catalog
    targets: Mapping[Digest, Target]
    prepared: Mapping[Digest, PreparedPolicy]
    _known: dict[tuple[Digest, Traits | None], Mapping[SettingId, Resolution]] = field(default_factory=dict)

    def outcome(self, digest: Digest, traits: Traits | None) -> Mapping[SettingId, Resolution]:
        key = digest, traits
        if key not in self._known:
            target = self.targets[digest]
            policies = [self.prepared[item.digest] for item in target.items if item.digest in self.prepared]
            self._known[key] = resolve_prepared(self.catalog, policies, target.conflict_rules, traits).settings
        return self._known[key]


def _contested(settings: Mapping[SettingId, Resolution]) -> Iterator[Contested]:
    for resolution in settings.values():
        if isinstance(resolution, Conflict) or (isinstance(resolution, Decided) and resolution.losers):
            yield resolution


def _key(contested: Contested) -> tuple[object, ...]:
    return (
        contested.setting,
        contested.rule,
        isinstance(contested, Conflict),
        frozenset((each.policy, each.revision) for each in contested.contenders),
    )


def _prepared(connection: Connection, catalog: Catalog, several: Iterable[Target]) -> Mapping[Digest, PreparedPolicy]:
    digests = {item.digest for target in several for item in target.items}
    found = revisions.find_many(connection, sorted(digests))
    return {digest: prepare(catalog, document_of(revision)) for digest, revision in found.items()}
