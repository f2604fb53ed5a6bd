"""What a kind of devices counts as: worked out by the code that counts a fleet in the database, one kind at a time.

Targets, revisions of policies and reports are named by what they hold, so what was worked out once stays true.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import Connection

from shieldwall.catalog.model import Catalog
from shieldwall.contract.ids import Digest, SettingId, TenantId
from shieldwall.contract.status import StatusReport
from shieldwall.contract.target import Target
from shieldwall.policy.applicability import Traits, traits_of
from shieldwall.policy.prepared import PreparedPolicy
from shieldwall.server.manager.contests import Contested, Contesting, ContestKey
from shieldwall.server.manager.standing import Tally, prepared_policies
from shieldwall.server.reporting.tallies import Slot, Tallies
from shieldwall.server.storage.check_ins import statuses, targets
from shieldwall.server.storage.check_ins.standings import Counted
from shieldwall.server.storage.reports.report_rows import Alike

STATE: Final = "state"
"""``(STATE, state)``: devices that a policy reaches, by their gravest setting."""
UNREACHED: Final = ("unreached",)
"""Devices that no policy reaches."""
POLICY: Final = "policy"
"""``(POLICY, policy, state)``."""
SETTING: Final = "setting"
"""``(SETTING, policy, setting, state)``."""
REPAIRED: Final = "repaired"
DRIFTED: Final = "drifted"
"""``(REPAIRED, setting)`` and ``(DRIFTED, setting)``: settings that drifted."""
CONTEST: Final = "contest"
"""``(CONTEST, key)``: where policies want different values."""


@dataclass(slots=True)
class Explaining:
    """Explains the kinds of one tenant, and remembers what they are made of."""

    catalog: Catalog
    tenant_id: TenantId
    contested: dict[ContestKey, Contested] = field(default_factory=dict)
    """What is contested, by what the places of contests are named by."""
    targets: dict[Digest, Target] = field(default_factory=dict)
    _policies: dict[Digest, PreparedPolicy] = field(default_factory=dict)
    _applying: dict[tuple[Digest, Traits], frozenset[SettingId]] = field(default_factory=dict)
    _contesting: Contesting = field(init=False)

    def __post_init__(self) -> None:
        """Look for contests in the same targets."""
        self._contesting = Contesting(self.catalog, self.targets, self._policies)

    def explain(self, connection: Connection, tallies: Tallies, kinds: Mapping[int, Alike]) -> None:
        """Explain these kinds; the connection has to see every target and report that they are made of.

        Raises:
            TooVariedError: They are too different.
        """
        self._read_targets(connection, {alike.target for alike in kinds.values()})
        by_report: dict[Digest | None, list[int]] = {}
        for code, alike in kinds.items():
            by_report.setdefault(alike.status, []).append(code)
        for digest, report in self._reports(connection, by_report):
            for code in by_report[digest]:
                alike = kinds[code]
                traits = traits_of(alike.os_type, alike.catalog_version)
                is_current = report is not None and report.target == alike.target
                tallies.explain(code, (alike.target, traits, is_current), self._entries(alike, traits, report))

    def forget_targets(self, used: Collection[Digest]) -> None:
        """Let go of targets that are in use no more."""
        for digest in self.targets.keys() - set(used):
            del self.targets[digest]
        self._contesting = Contesting(self.catalog, self.targets, self._policies)

    def _entries(self, alike: Alike, traits: Traits, report: StatusReport | None) -> Mapping[Slot, int]:
        if alike.target not in self.targets:
            return {}  # nobody counts devices whose target is not kept
        tally = Tally(self.targets, self._policies, applying=self._applying)
        tally.add(Counted(alike.target, alike.status, alike.os_type, alike.catalog_version, 1), report)
        found: dict[Slot, int] = {(STATE, state): times for state, times in tally.fleet.items()}
        if tally.without_policy:
            found[UNREACHED] = tally.without_policy
        for policy, states in tally.of_policies.items():
            found.update({(POLICY, policy, state): times for state, times in states.items()})
        for policy, settings in tally.of_settings.items():
            for setting, states in settings.items():
                found.update({(SETTING, policy, setting, state): times for state, times in states.items()})
        for setting, drift in tally.drift.items():
            found.update({(REPAIRED, setting): drift.repaired, (DRIFTED, setting): drift.drifted})
        if self._contesting.is_contested(alike.target):
            contests = self._contesting.of(alike.target, traits)
            self.contested.update(contests)
            found.update({(CONTEST, key): 1 for key in contests})
        return {slot: times for slot, times in found.items() if times}

    def _read_targets(self, connection: Connection, wanted: Collection[Digest]) -> None:
        missing = set(wanted) - self.targets.keys()
        if missing:
            found = targets.get_many(connection, self.tenant_id, missing)
            new = [
                target for target in found.values() if any(item.digest not in self._policies for item in target.items)
            ]
            self._policies.update(prepared_policies(connection, self.catalog, new))
            self.targets.update(found)

    def _reports(
        self, connection: Connection, digests: Collection[Digest | None]
    ) -> Iterator[tuple[Digest | None, StatusReport | None]]:
        if None in digests:
            yield None, None
        left = {digest for digest in digests if digest is not None}
        for digest, report in statuses.read_each(connection, self.tenant_id, tuple(left)):
            left.discard(digest)
            yield digest, report
        for digest in left:
            yield digest, None
