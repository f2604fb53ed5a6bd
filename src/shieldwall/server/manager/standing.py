"""How a whole fleet stands in one pass: devices by their gravest state, and every policy by state and by setting.

Devices that are alike (same target, same report, same system and catalog) are in one state, which is worked out once
for all of them.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

from sqlalchemy import ColumnElement, Connection

from shieldwall.catalog.model import Catalog
from shieldwall.contract.ids import Digest, PolicyId, SettingId, TenantId
from shieldwall.contract.status import SettingState, StatusReport
from shieldwall.contract.target import Target
from shieldwall.policy.applicability import Traits, traits_of
from shieldwall.policy.prepared import PreparedPolicy, prepare
from shieldwall.server.manager.policies import document_of
from shieldwall.server.manager.reported import with_reports
from shieldwall.server.manager.states import said
from shieldwall.server.manager.statuses import PolicyCounts
from shieldwall.server.manager.summaries import state_of
from shieldwall.server.storage.check_ins import standings, targets
from shieldwall.server.storage.check_ins.standings import Counted
from shieldwall.server.storage.inventory.inventory_rows import REPAIRED, is_drifted
from shieldwall.server.storage.policies import revisions

TROUBLES: Final = (SettingState.ERROR, SettingState.CONFLICT)
"""States that somebody should look at, the gravest first."""
MOST_PAIRS: Final = 200
"""Pairs of target and report that are named for each state."""
MOST_ALIKE: Final = 20_000
"""Kinds of alike devices that are kept in memory."""
Pair: TypeAlias = tuple[Digest, Digest]
"""A target and a report: devices that have both are in one state."""


@dataclass(slots=True)
class SettingDrift:
    """On how many devices a setting was put back, and on how many it is not what it should be."""

    repaired: int = 0
    drifted: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetStanding:
    """Active devices that a policy reaches, by their gravest state; how many none reaches; and the same by policy."""

    devices: Mapping[SettingState, int]
    without_policy: int
    troubled: Mapping[SettingState, tuple[Pair, ...]]
    """Where the devices with errors and conflicts are to be found; the most common two hundred pairs of each."""
    policies: Mapping[PolicyId, PolicyCounts]
    drift: Mapping[SettingId, SettingDrift]
    """Settings that drifted, as their devices reported last."""
    alike: tuple[Counted, ...] = ()
    """The kinds of devices that are alike; none where they are too many to be kept."""


def standing_of_fleet(
    connection: Connection, catalog: Catalog, tenant_id: TenantId, only: tuple[ColumnElement[bool], ...] = ()
) -> FleetStanding:
    """Count how the devices of a tenant stand; ``only`` are conditions on their check-ins."""
    in_use = targets.get_many(connection, tenant_id, standings.targets_in_use(connection, tenant_id))
    counted = standings.count_by_report(connection, tenant_id, in_use, only)
    tally = Tally(in_use, prepared_policies(connection, catalog, in_use.values()))
    for each, report in with_reports(connection, tenant_id, counted):
        tally.add(each, report)
    return replace(tally.result(), alike=counted if len(counted) <= MOST_ALIKE else ())


def prepared_policies(
    connection: Connection, catalog: Catalog, in_use: Iterable[Target]
) -> Mapping[Digest, PreparedPolicy]:
    """Return the policies of these targets, each read once, by the digest of its revision."""
    digests = {item.digest for target in in_use for item in target.items}
    found = revisions.find_many(connection, sorted(digests))
    return {digest: prepare(catalog, document_of(revision)) for digest, revision in found.items()}


@dataclass(slots=True)
class Tally:
    """Counts devices that are alike into the states of the fleet, of its policies and of their settings."""

    targets: Mapping[Digest, Target]
    policies: Mapping[Digest, PreparedPolicy]
    fleet: Counter[SettingState] = field(default_factory=Counter)
    without_policy: int = 0
    troubled: defaultdict[SettingState, Counter[Pair]] = field(default_factory=lambda: defaultdict(Counter))
    of_policies: defaultdict[PolicyId, Counter[SettingState]] = field(default_factory=lambda: defaultdict(Counter))
    of_settings: defaultdict[PolicyId, defaultdict[SettingId, Counter[SettingState]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(Counter))
    )
    drift: defaultdict[SettingId, SettingDrift] = field(default_factory=lambda: defaultdict(SettingDrift))
    applying: dict[tuple[Digest, Traits], frozenset[SettingId]] = field(default_factory=dict)

    def add(self, alike: Counted, report: StatusReport | None) -> None:
        """Count devices that are alike and sent this report."""
        target = self.targets[alike.target]
        self._add_drift(alike, report)
        if not target.items:
            self.without_policy += alike.devices
            return
        state = state_of(alike.target, report)
        self.fleet[state] += alike.devices
        if state in TROUBLES and alike.status is not None:
            self.troubled[state][alike.target, alike.status] += alike.devices
        words = said(report, alike.target)
        traits = traits_of(alike.os_type, alike.catalog_version)
        for item in target.items:
            policy = self.policies.get(item.digest)
            if policy is None:
                continue
            mine = self._applying(item.digest, policy, traits)
            self.of_policies[item.policy_id][words.policy(item, mine)] += alike.devices
            settings = self.of_settings[item.policy_id]
            for setting in policy.contenders:
                state = words.state(setting) if setting in mine else SettingState.NOT_APPLICABLE
                settings[setting][state] += alike.devices

    def _add_drift(self, alike: Counted, report: StatusReport | None) -> None:
        for status in () if report is None else report.settings:
            if status.code == REPAIRED:
                self.drift[status.setting].repaired += alike.devices
            if is_drifted(status):
                self.drift[status.setting].drifted += alike.devices

    def result(self) -> FleetStanding:
        """Return what was counted."""
        return FleetStanding(
            devices=self.fleet,
            without_policy=self.without_policy,
            troubled={
                state: tuple(pair for pair, _ in pairs.most_common(MOST_PAIRS))
                for state, pairs in self.troubled.items()
            },
            policies={
                policy: PolicyCounts(devices=counts, settings=self.of_settings[policy])
                for policy, counts in self.of_policies.items()
            },
            drift=self.drift,
        )

    def _applying(self, digest: Digest, policy: PreparedPolicy, traits: Traits) -> frozenset[SettingId]:
        key = digest, traits
        if key not in self.applying:
            self.applying[key] = frozenset(
                setting for setting in policy.contenders if policy.reason_against(setting, traits) is None
            )
        return self.applying[key]
