"""What a report means for one target: pure, and never more hopeful than the device was.

A report speaks about the target it names and no other. What it does not mention is pending; what it mentions twice
counts by its gravest word; what it says about policies and settings outside the target is kept, and counts for nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from shieldwall.contract.ids import Digest, PolicyId, SettingId
from shieldwall.contract.messages import ManifestItem
from shieldwall.contract.status import SettingState, SettingStatus, StatusReport, gravest


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A report as it bears on one target."""

    settings: Mapping[SettingId, tuple[SettingStatus, ...]] = field(default_factory=dict)
    refused: frozenset[tuple[PolicyId, Digest]] = frozenset()

    def state(self, setting: SettingId) -> SettingState:
        """Return the state of a setting of the target."""
        statuses = self.settings.get(setting, ())
        return gravest([status.state for status in statuses]) if statuses else SettingState.PENDING

    def status(self, setting: SettingId) -> SettingStatus | None:
        """Return what was said about a setting, the gravest where it was said twice."""
        state = self.state(setting)
        return next((status for status in self.settings.get(setting, ()) if status.state is state), None)

    def policy(self, item: ManifestItem, settings: Iterable[SettingId]) -> SettingState:
        """Return the state of a policy made of these settings: that of its gravest, or an error if it was refused."""
        if (item.policy_id, item.digest) in self.refused:
            return SettingState.ERROR
        return gravest([self.state(setting) for setting in settings])


def said(report: StatusReport | None, target: Digest) -> Said:
    """Read a report as the device that shall enforce ``target`` sent it."""
    if report is None or report.target != target:
        return Said()
    settings: defaultdict[SettingId, tuple[SettingStatus, ...]] = defaultdict(tuple)
    for status in report.settings:
        settings[status.setting] += (status,)
    return Said(settings=settings, refused=frozenset((each.policy_id, each.digest) for each in report.refused))
